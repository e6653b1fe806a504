/*
 * instance.c - see instance.h
 */
#include "support/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define PATH_SIZE 128
#define STORE_SIZE 8
#define FIRST_PASSED 3 /* where a daemon looks for descriptors that it was started with */

struct kept {
    char name[64];
    int fd;
};

struct instance {
    pid_t pid;  /* 0: does not run */
    int notify; /* where the daemon says that it is ready */
    int sock;   /* where programs attach, if it is not the daemon's own; else -1 */
    int zmq;    /* the same for ZeroMQ */
    char name[40];
    char dir[32];
    char address[64], zmq_address[64];
    char config[PATH_SIZE];
    char notify_path[64];
    char arena_path[PATH_SIZE];
    bool keeps, was_killed;
    unsigned n_kept;
    struct kept kept[STORE_SIZE];
};

static void remove_all(const char *format, const char *name)
{
    char pattern[PATH_SIZE];
    glob_t found;

    (void)snprintf(pattern, sizeof(pattern), format, name);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t k = 0; k < found.gl_pathc; k++)
        (void)unlink(found.gl_pathv[k]);
    globfree(&found);
}

/* A test that cannot run: its folder goes, the message stays. */
static _Noreturn void die(const struct instance *i, const char *what)
{
    int e = errno;

    if (i != NULL) {
        remove_all("%s/*", i->dir);
        (void)rmdir(i->dir);
    }
    errno = e;
    (void)fprintf(stderr, "instance: %s: %s\n", what, strerror(errno));
    exit(99);
}

static void write_config(const struct instance *i, const char *text)
{
    FILE *f = fopen(i->config, "we");
    bool ok = f != NULL && fputs(text != NULL ? text : "", f) >= 0;

    /* Few tests need the endpoint, and none has to wait for its start. */
    if (ok && (text == NULL || strstr(text, "[zmq]") == NULL))
        ok = fputs("\n[zmq]\nipc = no\n", f) >= 0;
    if (!ok || fclose(f) != 0)
        die(i, "cannot write the configuration");
}

static void listen_for_readiness(struct instance *i)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", i->notify_path);
    i->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (i->notify < 0 || bind(i->notify, (const struct sockaddr *)&address, sizeof(address)) != 0)
        die(i, "cannot make the readiness socket");
}

/* ---- the store of descriptors ---- */

/* NULL: all. */
static void forget(struct instance *i, const char *name)
{
    for (unsigned k = 0; k < i->n_kept;) {
        if (name != NULL && strcmp(i->kept[k].name, name) != 0) {
            k++;
            continue;
        }
        (void)close(i->kept[k].fd);
        i->kept[k] = i->kept[--i->n_kept];
    }
}

/* What a message says about the store; owns @fd. */
static void mind_store(struct instance *i, const char *message, int fd)
{
    const char *at = strstr(message, "FDNAME=");
    struct kept kept = {.fd = fd};

    if (at != NULL)
        (void)sscanf(at, "FDNAME=%63[^\n]", kept.name);
    if (strstr(message, "FDSTOREREMOVE=1") != NULL)
        forget(i, kept.name);
    if (fd < 0)
        return;
    if (i->keeps && strstr(message, "FDSTORE=1") != NULL && i->n_kept < STORE_SIZE)
        i->kept[i->n_kept++] = kept;
    else
        (void)close(fd);
}

/* One message of the daemon's; false if there is none. */
static bool receive(struct instance *i, char *message, size_t size, int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = message, .iov_len = size - 1};
    struct msghdr m = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(i->notify, &m, flags | MSG_CMSG_CLOEXEC);
    int fd = -1;

    if (n < 0)
        return false;
    message[n] = '\0';
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    mind_store(i, message, fd);
    return true;
}

void instance_keep_descriptors(struct instance *i)
{
    i->keeps = true;
}

unsigned instance_n_kept(struct instance *i)
{
    instance_drain(i);
    return i->n_kept;
}

/* In the daemon to be: the kept descriptors, and the socket, where it looks for them. */
static void pass_kept(const struct instance *i)
{
    char names[(STORE_SIZE + 2) * sizeof(i->kept[0].name)] = "", number[16];
    struct kept passed[STORE_SIZE + 2];
    unsigned n = i->n_kept;

    memcpy(passed, i->kept, sizeof(i->kept));
    if (i->sock >= 0) {
        passed[n++] = (struct kept){.name = "attach", .fd = i->sock};
        passed[n++] = (struct kept){.name = "attach", .fd = i->zmq};
    }
    (void)unsetenv("LISTEN_FDS");
    if (n == 0)
        return;
    for (unsigned k = 0; k < n; k++) {
        passed[k].fd = fcntl(passed[k].fd, F_DUPFD_CLOEXEC, FIRST_PASSED + STORE_SIZE + 2);
        (void)strcat(strcat(names, k > 0 ? ":" : ""), passed[k].name);
    }
    for (unsigned k = 0; k < n; k++)
        (void)dup2(passed[k].fd, FIRST_PASSED + (int)k);
    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)snprintf(number, sizeof(number), "%u", n);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)setenv("LISTEN_FDNAMES", names, 1);
}

/* ---- what it says ---- */

bool instance_hear(
    struct instance *i, const char *text, const char *unless, char *out_message, size_t size)
{
    struct pollfd p[2] = {{.fd = i->notify, .events = POLLIN}, {.fd = -1, .events = POLLIN}};

    if (i->pid != 0)
        p[1].fd = (int)syscall(SYS_pidfd_open, i->pid, 0);
    do {
        if (poll(p, 2, PATIENCE_MS) <= 0 || (p[0].revents & POLLIN) == 0)
            die(i, "brokerd did not say what it should (see above why)");
        if (!receive(i, out_message, size, 0))
            die(i, "cannot hear from brokerd");
    } while (strstr(out_message, text) == NULL &&
             (unless == NULL || strstr(out_message, unless) == NULL));
    if (p[1].fd >= 0)
        (void)close(p[1].fd);
    return strstr(out_message, text) != NULL;
}

static void await_readiness(struct instance *i)
{
    char message[1024];

    (void)instance_hear(i, "READY=1", NULL, message, sizeof(message));
}

static _Noreturn void run_daemon(const struct instance *i, pid_t parent)
{
    const char *program = getenv("BROKERD");

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(99);
    (void)setenv("NOTIFY_SOCKET", i->notify_path, 1);
    pass_kept(i);
    (void)execl(program != NULL ? program : "brokerd", "brokerd", "--instance", i->name,
        "--runtime-dir", i->dir, "--config", i->config, (char *)NULL);
    (void)fprintf(stderr, "instance: cannot run brokerd; is BROKERD set to its path?\n");
    _exit(99);
}

static void launch(struct instance *i)
{
    pid_t parent = getpid();

    i->pid = fork();
    if (i->pid < 0)
        die(i, "cannot fork");
    if (i->pid == 0)
        run_daemon(i, parent);
    i->was_killed = false;
    await_readiness(i);
}

static int make_socket(struct instance *i, const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", i->dir, name);
    if (sock < 0 || bind(sock, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(sock, SOMAXCONN) != 0)
        die(i, "cannot make the sockets");
    return sock;
}

static struct instance *start(const char *config, bool by_socket)
{
    struct instance *i = calloc(1, sizeof(*i));

    if (i == NULL)
        die(NULL, "no memory");
    (void)snprintf(i->dir, sizeof(i->dir), "/tmp/brokerd-test-XXXXXX");
    if (mkdtemp(i->dir) == NULL)
        die(i, "cannot make a folder");
    /* Not the process's number alone: a test that was killed leaves its arena, which the daemon of
     * the next one with that number would adopt. */
    (void)snprintf(i->name, sizeof(i->name), "test-%d-%s", (int)getpid(), strrchr(i->dir, '-') + 1);
    (void)snprintf(i->address, sizeof(i->address), "unix:%s/attach", i->dir);
    (void)snprintf(i->zmq_address, sizeof(i->zmq_address), "ipc://%s/zmq", i->dir);
    (void)snprintf(i->config, sizeof(i->config), "%s/brokerd.conf", i->dir);
    (void)snprintf(i->notify_path, sizeof(i->notify_path), "%s/notify", i->dir);
    (void)snprintf(i->arena_path, sizeof(i->arena_path), "/dev/shm/brokerd.%s.default", i->name);
    i->sock = -1;
    write_config(i, config);
    listen_for_readiness(i);
    if (by_socket) {
        i->sock = make_socket(i, "attach", SOCK_SEQPACKET);
        i->zmq = make_socket(i, "zmq", SOCK_STREAM);
    }
    launch(i);
    return i;
}

struct instance *instance_start(const char *config)
{
    return start(config, false);
}

struct instance *instance_start_by_socket(const char *config)
{
    return start(config, true);
}

int instance_zmq_socket(const struct instance *i)
{
    return i->zmq;
}

void instance_await_visitor(const struct instance *i)
{
    struct pollfd p = {.fd = i->sock, .events = POLLIN};

    if (poll(&p, 1, PATIENCE_MS) <= 0)
        die(i, "nobody came to the attach socket");
}

const char *instance_address(const struct instance *i)
{
    return i->address;
}

const char *instance_dir(const struct instance *i)
{
    return i->dir;
}

const char *instance_arena_path(const struct instance *i)
{
    return i->arena_path;
}

pid_t instance_pid(const struct instance *i)
{
    return i->pid;
}

static int end_by(struct instance *i, pid_t *pid, int number)
{
    int status = 0;

    if (*pid == 0)
        return 0;
    if (number != 0)
        (void)kill(*pid, number);
    while (waitpid(*pid, &status, 0) < 0)
        if (errno != EINTR)
            die(i, "what was started is no child any more");
    *pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void instance_kill(struct instance *i)
{
    (void)end_by(i, &i->pid, SIGKILL);
    i->was_killed = true;
}

int instance_end(struct instance *i)
{
    return end_by(i, &i->pid, SIGTERM);
}

int instance_await_end(struct instance *i)
{
    return end_by(i, &i->pid, 0);
}

void instance_drain(struct instance *i)
{
    char message[1024];

    while (receive(i, message, sizeof(message), MSG_DONTWAIT))
        continue;
}

void instance_restart(struct instance *i)
{
    bool was_ended = i->pid == 0 && !i->was_killed;

    (void)instance_end(i);
    instance_drain(i);
    if (was_ended)
        forget(i, NULL);
    launch(i);
}

void instance_ask_reload(struct instance *i, const char *config)
{
    write_config(i, config);
    instance_drain(i);
    if (kill(i->pid, SIGHUP) != 0)
        die(i, "brokerd does not run");
}

void instance_reload(struct instance *i, const char *config)
{
    instance_ask_reload(i, config);
    await_readiness(i);
}

const char *instance_zmq_address(const struct instance *i)
{
    return i->zmq_address;
}

pid_t instance_zmq_pid(const struct instance *i)
{
    char path[64];
    int pid = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)i->pid, (int)i->pid);
    f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%d", &pid) != 1)
        pid = 0;
    (void)fclose(f);
    return pid;
}

void instance_stop(struct instance *i)
{
    if (i == NULL)
        return;
    (void)instance_end(i);
    forget(i, NULL);
    (void)close(i->notify);
    if (i->sock >= 0) {
        (void)close(i->sock);
        (void)close(i->zmq);
    }
    remove_all("%s/*", i->dir);
    (void)rmdir(i->dir);
    remove_all("/dev/shm/brokerd.%s.*", i->name);
    free(i);
}

int instance_run(const char *const arguments[], char *out_text, size_t size)
{
    const char *program = getenv("BROKERD");
    int pair[2], status = 0;
    size_t used = 0;
    ssize_t n = 1;
    pid_t pid;

    if (pipe2(pair, O_CLOEXEC) != 0)
        die(NULL, "cannot make a pipe");
    pid = fork();
    if (pid < 0)
        die(NULL, "cannot fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(pair[1], STDOUT_FILENO);
        (void)dup2(pair[1], STDERR_FILENO);
        (void)unsetenv("NOTIFY_SOCKET");
        (void)execvp(program != NULL ? program : "brokerd", (char *const *)(uintptr_t)arguments);
        _exit(99);
    }
    (void)close(pair[1]);
    while (n > 0 && used < size - 1) {
        n = read(pair[0], out_text + used, size - 1 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    out_text[used] = '\0';
    (void)close(pair[0]);
    if (waitpid(pid, &status, 0) != pid)
        die(NULL, "cannot wait for brokerd");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
