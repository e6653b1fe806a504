/*
 * job.c - see job.h
 *
 * The item lies in a file of memory, so that nobody has to feed a pipe. The command has a process
 * group of its own: keys of a terminal are signals for the worker, which decides what they mean for
 * its commands. If the worker is killed, they get SIGTERM.
 */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <broker.h>

#include "json.h"

#define EXIT_KILLED (128 + SIGTERM) /* as shells do */

static bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    ssize_t n;

    for (; size > 0; p += n, size -= (size_t)n) {
        n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            n = 0;
        if (n < 0)
            return false;
    }
    return true;
}

/* A descriptor to read the item from; -1 with errno. */
static int item_file(broker_value item)
{
    broker_buffer json = BROKER_BUFFER_INIT;
    int fd = memfd_create("item", MFD_CLOEXEC);
    bool ok = fd >= 0;

    if (ok && (item.type == BROKER_STR || item.type == BROKER_BIN)) {
        ok = write_all(fd, item.data, item.size);
    } else if (ok) {
        errno = ENOMEM;
        ok = ctl_json_print(item, false, &json) == 0 && write_all(fd, json.data, json.size) &&
             write_all(fd, "\n", 1);
    }
    broker_buffer_free(&json);
    if (ok && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    if (fd >= 0) {
        int e = errno;

        (void)close(fd);
        errno = e;
    }
    return -1;
}

static void set_environment(const struct ctl_job_command *command, const struct ctl_job *job)
{
    char deliveries[24];

    (void)snprintf(deliveries, sizeof(deliveries), "%llu", (unsigned long long)job->deliveries);
    (void)setenv("BROKER_DELIVERIES", deliveries, 1);
    (void)setenv("BROKER_QUEUE", command->queue, 1);
}

struct becoming {
    pid_t parent;
    int item;    /* to read it from */
    int failure; /* to write errno to */
};

static _Noreturn void become_command(
    const struct ctl_job_command *command, const struct ctl_job *job, const struct becoming *b)
{
    int e;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != b->parent)
        _exit(EXIT_KILLED); /* it died before the line above */
    (void)setpgid(0, 0);
    set_environment(command, job);
    if (dup2(b->item, STDIN_FILENO) == STDIN_FILENO) {
        (void)sigprocmask(SIG_SETMASK, command->mask, NULL);
        (void)execvp(command->argv[0], command->argv);
    }
    e = errno;
    (void)write_all(b->failure, &e, sizeof(e));
    _exit(EXIT_KILLED);
}

/* The errno with which the command could not be run; 0 once it does. */
static int wait_for_exec(int fd)
{
    int e = 0;
    ssize_t n;

    do
        n = read(fd, &e, sizeof(e));
    while (n < 0 && errno == EINTR);
    return n == sizeof(e) ? e : 0;
}

int ctl_job_start(
    const struct ctl_job_command *command, broker_value item, struct ctl_job *job, int *out_errno)
{
    int failure[2], fd = item_file(item), e = errno;
    pid_t child = -1;

    if (fd >= 0 && pipe2(failure, O_CLOEXEC) == 0) {
        const struct becoming b = {getpid(), fd, failure[1]};

        child = fork();
        if (child == 0)
            become_command(command, job, &b);
        e = errno;
        (void)close(failure[1]);
        if (child > 0) {
            (void)setpgid(child, child); /* whoever is first */
            e = wait_for_exec(failure[0]);
        }
        (void)close(failure[0]);
    } else {
        e = errno;
    }
    if (fd >= 0)
        (void)close(fd);
    job->pid = child > 0 ? child : 0; /* if it could not be run, it is a child that ends now */
    *out_errno = e;
    return child > 0 && e == 0 ? 0 : BROKER_SYSTEM;
}

void ctl_job_signal(const struct ctl_job *job, int signal)
{
    if (job->pid > 0)
        (void)kill(-job->pid, signal);
}
