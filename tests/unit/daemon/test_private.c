/*
 * test_private.c - instances that a program starts for itself
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/attach.h"
#include "client/handle.h"
#include "support/child.h"

#define PATIENCE_MS 20000

TestSuite(private, .timeout = 60);

static broker *open_private(void)
{
    broker *b = NULL;

    cr_assert_eq(broker_open("private:", &b), 0, "%s", broker_last_error());
    return b;
}

static pid_t daemon_of(broker *b)
{
    struct bri_attach_status status;

    cr_assert_eq(bri_attach_ask_status(b, &status), 0);
    return (pid_t)status.pid;
}

/* To wait with for the end of a daemon, which is not our child. */
static int pidfd_of(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    cr_assert_geq(fd, 0);
    return fd;
}

static bool ends(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return poll(&p, 1, PATIENCE_MS) == 1;
}

static void folder_of(broker *b, char out[BRI_ADDRESS_MAX])
{
    (void)snprintf(out, BRI_ADDRESS_MAX, "%s", b->path);
    *strrchr(out, '/') = '\0';
}

Test(private, it_ends_with_the_last_close_and_leaves_nothing)
{
    broker *b = open_private();
    char folder[BRI_ADDRESS_MAX];
    int pidfd = pidfd_of(daemon_of(b));

    folder_of(b, folder);
    cr_assert_eq(access(folder, F_OK), 0);
    broker_close(b);
    cr_assert(ends(pidfd));
    cr_assert_neq(access(folder, F_OK), 0);
}

Test(private, its_memory_has_no_name_that_could_be_left_behind)
{
    broker *b = open_private();
    char link[64], target[256];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", b->arena->fd);
    n = readlink(link, target, sizeof(target) - 1);
    cr_assert_gt(n, 0);
    target[n] = '\0';
    cr_assert_not_null(strstr(target, " (deleted)"), "%s", target);
    broker_close(b);
}

Test(private, each_open_is_an_instance_of_its_own)
{
    broker *a = open_private(), *b = open_private();

    cr_assert_neq(a, b);
    cr_assert_str_neq(broker_address(a), broker_address(b));
    cr_assert_neq(daemon_of(a), daemon_of(b));
    broker_close(a);
    cr_assert_eq(kill(daemon_of(b), 0), 0);
    broker_close(b);
}

static volatile sig_atomic_t n_signals;

static void count_signal(int number)
{
    (void)number;
    n_signals++;
}

Test(private, the_program_has_no_child_and_gets_no_signal)
{
    struct sigaction action = {.sa_handler = count_signal};
    broker *b;

    (void)sigaction(SIGCHLD, &action, NULL);
    b = open_private();
    cr_assert_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    cr_assert_eq(errno, ECHILD);
    cr_assert_eq(n_signals, 0);
    cr_assert_neq(getsid(daemon_of(b)), getsid(0));
    broker_close(b);
}

/* Neither the program's descriptors nor its ignored signals. */
Test(private, the_daemon_inherits_nothing)
{
    char line[256], path[64];
    unsigned long long ignored = 1;
    int ends_[2];
    broker *b;
    char byte;
    FILE *f;

    cr_assert_eq(pipe(ends_), 0); /* without close-on-exec */
    (void)signal(SIGTERM, SIG_IGN);
    b = open_private();
    (void)close(ends_[1]);
    cr_assert_eq(read(ends_[0], &byte, 1), 0, "the daemon holds the pipe open");
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon_of(b));
    f = fopen(path, "re");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        (void)sscanf(line, "SigIgn: %llx", &ignored);
    (void)fclose(f);
    cr_assert_eq(ignored & (1ull << (SIGTERM - 1)), 0);
    broker_close(b);
}

Test(private, it_outlives_its_starter_as_long_as_others_use_it)
{
    int address_pipe[2], pidfd;
    char address[BRI_ADDRESS_MAX] = "";
    broker *b = NULL;
    int gate[2];
    pid_t pid;

    cr_assert(pipe(address_pipe) == 0 && pipe(gate) == 0);
    pid = fork();
    if (pid == 0) {
        broker *mine;
        char byte;

        if (broker_open("private:", &mine) < 0 ||
            write(address_pipe[1], broker_address(mine), strlen(broker_address(mine))) < 0 ||
            read(gate[0], &byte, 1) != 1)
            _exit(1);
        _exit(0); /* without closing */
    }
    cr_assert_gt(read(address_pipe[0], address, sizeof(address) - 1), 0);
    cr_assert_eq(broker_open(address, &b), 0, "%s", broker_last_error());
    cr_assert_eq(write(gate[1], "x", 1), 1);
    child_expect_success(pid);
    pidfd = pidfd_of(daemon_of(b));
    broker_close(b);
    cr_assert(ends(pidfd));
}

Test(private, it_ends_when_its_program_is_killed)
{
    int pid_pipe[2], pidfd;
    pid_t pid, daemon_pid = 0;

    cr_assert_eq(pipe(pid_pipe), 0);
    pid = fork();
    if (pid == 0) {
        struct bri_attach_status s;
        broker *mine;

        if (broker_open("private:", &mine) < 0 || bri_attach_ask_status(mine, &s) < 0 ||
            write(pid_pipe[1], &s.pid, sizeof(s.pid)) < 0)
            _exit(1);
        for (;;)
            (void)pause();
    }
    cr_assert_eq(read(pid_pipe[0], &daemon_pid, sizeof(daemon_pid)), (ssize_t)sizeof(daemon_pid));
    pidfd = pidfd_of(daemon_pid);
    child_kill(pid);
    cr_assert(ends(pidfd));
}

Test(private, children_share_it_even_when_the_parent_closes_first)
{
    broker *b = open_private();
    broker_dict *d;
    int gate[2];
    int64_t n;
    pid_t pid;

    cr_assert_eq(broker_dict_open(b, "d", NULL, &d), 0);
    cr_assert_eq(broker_dict_add(d, broker_str("n"), 1, &n), 0);
    cr_assert_eq(pipe(gate), 0);
    pid = fork();
    if (pid == 0) {
        char byte;

        if (read(gate[0], &byte, 1) != 1)
            _exit(1);
        _exit(broker_dict_add(d, broker_str("n"), 1, &n) == 0 && n == 2 ? 0 : 2);
    }
    broker_close(b);
    cr_assert_eq(write(gate[1], "x", 1), 1);
    child_expect_success(pid);
}

Test(private, without_the_program_the_error_names_it)
{
    broker *b = NULL;

    (void)setenv("BROKERD", "/nonexistent/brokerd", 1);
    cr_assert_eq(broker_open("private:", &b), BROKER_NODAEMON);
    cr_assert_not_null(
        strstr(broker_last_error(), "/nonexistent/brokerd"), "%s", broker_last_error());
    (void)setenv("BROKERD", "/bin/true", 1);
    cr_assert_eq(broker_open("private:", &b), BROKER_NODAEMON);
    cr_assert_null(b);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
}
