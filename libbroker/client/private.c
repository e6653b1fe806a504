/*
 * private.c - see private.h
 *
 * Processes are made by the bare system call: no fork handler of the program runs, and the one
 * child that this process gets for a moment has no exit signal, so that neither SIGCHLD nor a
 * waitpid(-1) of the program's comes across it. Between that call and exec only async-signal-safe
 * functions are used. A program killed in here leaves an empty folder at most: the daemon ends when
 * its starter is gone and nobody has attached.
 */
#include "client/private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/handle.h"
#include "core/errno.h"

#define PATIENCE_MS 10000
#define DAEMON_FD 3 /* where the daemon finds its end of the pair */
#define ABOVE_STANDARD 10

/* All that the child needs, made ready before it exists. */
struct start {
    const char *program;
    char *arguments[6];
    char dir[BRI_SOCKET_PATH_MAX];
    int pair[2];
};

static int make_dir(char out_dir[BRI_SOCKET_PATH_MAX])
{
    const char *base = secure_getenv("XDG_RUNTIME_DIR");
    const size_t room = sizeof("/brokerd-XXXXXX/" BRI_ATTACH_NAME);

    if (base == NULL || base[0] != '/' || strlen(base) + room > BRI_SOCKET_PATH_MAX ||
        access(base, W_OK) != 0)
        base = "/tmp";
    (void)snprintf(out_dir, BRI_SOCKET_PATH_MAX, "%s/brokerd-XXXXXX", base);
    if (mkdtemp(out_dir) == NULL)
        return bri_fail_text(
            bri_from_errno(errno), "cannot make a folder in %s: %s", base, strerror(errno));
    return 0;
}

/* The program's signal handlers and masks are not for the daemon. */
static void reset_signals(void)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &standard, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Leaves the daemon its end of the pair and stderr, and nothing else that the program has open. */
static void arrange_files(int fd)
{
    int null;

    fd = fcntl(fd, F_DUPFD, ABOVE_STANDARD);
    null = open("/dev/null", O_RDWR);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0)
        (void)dup2(null, STDERR_FILENO);
    (void)dup2(fd, DAEMON_FD);
    (void)syscall(SYS_close_range, DAEMON_FD + 1, ~0U, 0);
}

static _Noreturn void become_daemon(struct start *s)
{
    char packet[1 + sizeof(int)] = {BRI_PRIVATE_NO_EXEC};
    int e;

    (void)setsid();
    reset_signals();
    arrange_files(s->pair[1]);
    if (s->program != NULL) {
        (void)execvp(s->program, s->arguments);
    } else {
        (void)execv(BRI_BROKERD_PATH, s->arguments);
        if (errno == ENOENT)
            (void)execvp("brokerd", s->arguments);
    }
    e = errno;
    memcpy(packet + 1, &e, sizeof(e));
    (void)send(DAEMON_FD, packet, sizeof(packet), MSG_NOSIGNAL);
    _exit(127);
}

static long bare_fork(unsigned long exit_signal)
{
    return syscall(SYS_clone, exit_signal, NULL, NULL, NULL, NULL);
}

static int launch(struct start *s)
{
    sigset_t all, before;
    long child;
    int status, e;

    /* No handler of the program may run in the child. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    child = bare_fork(0);
    if (child == 0) {
        if (bare_fork(SIGCHLD) == 0)
            become_daemon(s);
        _exit(0);
    }
    e = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return bri_fail_text(bri_from_errno(e), "cannot start a daemon: %s", strerror(e));
    while (waitpid((pid_t)child, &status, (int)__WCLONE) < 0 && errno == EINTR)
        continue;
    return 0;
}

static int no_exec(const struct start *s, const char *packet)
{
    const char *program = s->program != NULL ? s->program : "brokerd";
    int e;

    memcpy(&e, packet + 1, sizeof(e));
    return bri_fail_text(BROKER_NODAEMON,
        "cannot run %s: %s; install it, or set BROKERD to its path", program, strerror(e));
}

static int await_daemon(const struct start *s, char out_path[BRI_SOCKET_PATH_MAX])
{
    struct pollfd p = {.fd = s->pair[0], .events = POLLIN};
    char packet[BRI_PRIVATE_PACKET + 1] = "";
    ssize_t n;
    int r;

    do
        r = poll(&p, 1, PATIENCE_MS);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return bri_fail_text(BROKER_NODAEMON, "the private broker did not get ready in time");
    n = recv(s->pair[0], packet, sizeof(packet) - 1, MSG_DONTWAIT);
    if (n == 1 + (ssize_t)sizeof(int) && packet[0] == BRI_PRIVATE_NO_EXEC)
        return no_exec(s, packet);
    if (n > 1 && packet[0] == BRI_PRIVATE_FAILED)
        return bri_fail_text(BROKER_NODAEMON, "the private broker did not start: %s", packet + 1);
    if (n < 2 || packet[0] != BRI_PRIVATE_READY || strlen(packet + 1) >= BRI_SOCKET_PATH_MAX)
        return bri_fail_text(BROKER_NODAEMON, "the private broker ended before it was ready");
    memcpy(out_path, packet + 1, strlen(packet + 1) + 1);
    return 0;
}

static int start(struct start *s, char out_path[BRI_SOCKET_PATH_MAX])
{
    char fd_text[12];
    int r;

    (void)snprintf(fd_text, sizeof(fd_text), "%d", DAEMON_FD);
    s->program = secure_getenv("BROKERD");
    s->arguments[0] = (char[]){"brokerd"};
    s->arguments[1] = (char[]){"--private"};
    s->arguments[2] = fd_text;
    s->arguments[3] = (char[]){"--runtime-dir"};
    s->arguments[4] = s->dir;
    r = launch(s);
    (void)close(s->pair[1]);
    return r < 0 ? r : await_daemon(s, out_path);
}

int bri_private_start(char out_path[BRI_SOCKET_PATH_MAX], int *out_starter)
{
    struct start s = {0};
    int r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s.pair) != 0)
        return bri_fail_text(bri_from_errno(errno), "cannot make a socket: %s", strerror(errno));
    r = make_dir(s.dir);
    if (r < 0) {
        (void)close(s.pair[0]);
        (void)close(s.pair[1]);
        return r;
    }
    r = start(&s, out_path);
    if (r < 0) {
        (void)close(s.pair[0]);
        (void)rmdir(s.dir); /* the daemon has taken away what it put there */
        return r;
    }
    *out_starter = s.pair[0];
    return 0;
}
