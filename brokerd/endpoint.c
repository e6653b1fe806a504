/*
 * endpoint.c - see endpoint.h
 *
 * A process that ends is started again after a pause, which doubles while it does not last. What it
 * is started with is its command line; when that changes, it is ended and started anew.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "level.h"

#define PROGRAM "brokerd-zmq"
#define SOCKET_NAME "zmq"
#define FIRST_PAUSE_USEC UINT64_C(100000)
#define LAST_PAUSE_USEC UINT64_C(30000000)
#define LASTS_NS (60 * BRI_SECOND) /* who ran so long has a new start */
#define STOP_MS 3000
#define MAX_ARGS 40

struct arguments {
    unsigned n;
    char *all[MAX_ARGS + 1]; /* up to a NULL */
    bool failed;
};

struct brokerd_endpoint {
    pid_t pid; /* 0: none runs */
    int pidfd;
    bool is_stopping; /* it was told to end, to be started with other arguments or not at all */
    int64_t started_ns;
    uint64_t pause_usec;
    struct arguments arguments; /* none: it is not wanted */
    sd_event_source *on_end, *again, *overdue;
    struct brokerd *daemon;
};

/* ---- what it is started with ---- */

static void clear(struct arguments *a)
{
    for (unsigned i = 0; i < a->n; i++)
        free(a->all[i]);
    *a = (struct arguments){.n = 0};
}

static void add(struct arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *a, const char *format, ...)
{
    va_list args;
    int n = -1;

    va_start(args, format);
    if (a->n < MAX_ARGS)
        n = vasprintf(&a->all[a->n], format, args);
    va_end(args);
    if (n >= 0)
        a->n++;
    else
        a->failed = true;
    a->all[a->n] = NULL;
}

/* Beside the daemon, as in a build, or where it is installed. */
static void add_program(struct arguments *a, const char *given)
{
    char path[BROKERD_PATH_MAX + sizeof(PROGRAM) + 1];
    ssize_t n = readlink("/proc/self/exe", path, BROKERD_PATH_MAX);
    char *slash;

    if (given != NULL) {
        add(a, "%s", given);
        return;
    }
    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash != NULL) {
        memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
        if (access(path, X_OK) == 0) {
            add(a, "%s", path);
            return;
        }
    }
    add(a, "%s", BROKERD_LIBEXECDIR "/" PROGRAM);
}

static void make_arguments(const struct brokerd *d, struct arguments *out)
{
    const struct brokerd_zmq_config *c = &d->config->zmq;

    *out = (struct arguments){.n = 0};
    if (!c->ipc && c->tcp[0] == '\0')
        return;
    add_program(out, d->endpoint_program);
    add(out, "--attach=%s", d->place.socket);
    if (c->ipc)
        add(out, "--ipc=%s/" SOCKET_NAME, d->place.dir);
    if (c->ipc && d->zmq_fd >= 0)
        add(out, "--ipc-fd=%d", d->zmq_fd);
    if (c->tcp[0] != '\0') {
        add(out, "--tcp=%s", c->tcp);
        add(out, "--server-key=%s", c->server_key);
        add(out, "--clients=%s", c->clients);
    }
    add(out, "--max-message=%" PRIu64, c->max_message);
    add(out, "--max-sessions=%" PRIu64, c->max_sessions);
    add(out, "--max-pending=%" PRIu64, c->max_pending);
    add(out, "--max-queued=%" PRIu64, c->max_queued);
    add(out, "--max-unread=%" PRIu64, c->max_unread);
    add(out, "--session-memory=%" PRIu64, c->session_memory);
    add(out, "--memory=%" PRIu64, c->memory);
    add(out, "--timeout=%" PRIu64, c->timeout_s * (uint64_t)BRI_SECOND);
    add(out, "--max-timeout=%" PRIu64, c->max_timeout_s * (uint64_t)BRI_SECOND);
    add(out, "--log-level=%s", brokerd_level_word(d->config->log_level));
}

static bool are_same(const struct arguments *a, const struct arguments *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++)
        if (strcmp(a->all[i], b->all[i]) != 0)
            return false;
    return true;
}

/* ---- starting ---- */

static void launch(struct brokerd_endpoint *e);

static int on_again(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd_endpoint *e = arg;

    (void)usec;
    e->again = sd_event_source_disable_unref(source);
    launch(e);
    return 0;
}

/* Later, and later still if it does not last. */
static void launch_later(struct brokerd_endpoint *e)
{
    if (e->pause_usec == 0 || bri_now() - e->started_ns > LASTS_NS)
        e->pause_usec = FIRST_PAUSE_USEC;
    if (sd_event_add_time_relative(
            e->daemon->event, &e->again, CLOCK_MONOTONIC, e->pause_usec, 0, on_again, e) < 0)
        brokerd_log(LOG_ERR, NULL, "no memory to start " PROGRAM " again");
    e->pause_usec = e->pause_usec < LAST_PAUSE_USEC / 2 ? 2 * e->pause_usec : LAST_PAUSE_USEC;
}

static void tell_end(const struct brokerd_endpoint *e, const siginfo_t *info)
{
    const struct brokerd_about about = {.pid = e->pid};

    if (info->si_code == CLD_EXITED)
        brokerd_log(
            LOG_WARNING, &about, PROGRAM " ended with %d; its sessions end", info->si_status);
    else
        brokerd_log(LOG_WARNING, &about, PROGRAM " was ended by SIG%s; its sessions end",
            sigabbrev_np(info->si_status));
}

static void forget(struct brokerd_endpoint *e)
{
    e->on_end = sd_event_source_disable_unref(e->on_end);
    e->overdue = sd_event_source_disable_unref(e->overdue);
    if (e->pidfd >= 0)
        (void)close(e->pidfd);
    e->pidfd = -1;
    e->pid = 0;
    e->is_stopping = false;
}

/* libzmq leaves it behind; a program that comes then would wait for nobody. */
static void remove_socket(const struct brokerd *d)
{
    char path[BROKERD_PATH_MAX + sizeof(SOCKET_NAME) + 1];

    (void)snprintf(path, sizeof(path), "%s/" SOCKET_NAME, d->place.dir);
    if (d->zmq_fd < 0) /* else it is the service manager's */
        (void)unlink(path);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd_endpoint *e = arg;
    bool was_stopping = e->is_stopping;
    siginfo_t info = {.si_pid = 0};

    (void)source;
    (void)fd;
    (void)events;
    if (waitid(P_PID, (id_t)e->pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return 0;
    if (!was_stopping)
        tell_end(e, &info);
    forget(e);
    if (e->arguments.n == 0) {
        remove_socket(e->daemon);
        return 0;
    }
    if (was_stopping)
        launch(e);
    else
        launch_later(e);
    return 0;
}

/* After fork: only what is safe there. A request to read its list anew waits until it listens. */
static _Noreturn void become(const struct brokerd_endpoint *e, pid_t parent)
{
    sigset_t blocked;

    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGHUP);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("LISTEN_FDS");
    if (e->daemon->zmq_fd >= 0)
        (void)fcntl(e->daemon->zmq_fd, F_SETFD, 0);
    (void)execv(e->arguments.all[0], e->arguments.all);
    _exit(errno == ENOENT ? 127 : 126);
}

static void launch(struct brokerd_endpoint *e)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        become(e, parent);
    e->started_ns = bri_now();
    if (pid < 0) {
        brokerd_log(LOG_ERR, NULL, "cannot start " PROGRAM ": %s", strerror(errno));
        launch_later(e);
        return;
    }
    e->pid = pid;
    e->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (e->pidfd >= 0 &&
        sd_event_add_io(e->daemon->event, &e->on_end, e->pidfd, EPOLLIN, on_end, e) >= 0)
        return;
    brokerd_log(LOG_ERR, NULL, "cannot watch " PROGRAM);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    forget(e);
    launch_later(e);
}

/* ---- ending ---- */

static int on_overdue(sd_event_source *source, uint64_t usec, void *arg)
{
    const struct brokerd_endpoint *e = arg;

    (void)source;
    (void)usec;
    (void)kill(e->pid, SIGKILL);
    return 0;
}

/* on_end() goes on. */
static void tell_to_end(struct brokerd_endpoint *e)
{
    e->again = sd_event_source_disable_unref(e->again);
    if (e->pid == 0 || e->is_stopping)
        return;
    e->is_stopping = true;
    (void)kill(e->pid, SIGTERM);
    if (sd_event_add_time_relative(e->daemon->event, &e->overdue, CLOCK_MONOTONIC,
            STOP_MS * UINT64_C(1000), 0, on_overdue, e) < 0)
        (void)kill(e->pid, SIGKILL);
}

void brokerd_endpoint_configure(struct brokerd *d)
{
    struct brokerd_endpoint *e = d->endpoint;
    struct arguments arguments;

    make_arguments(d, &arguments);
    if (e == NULL && arguments.n > 0)
        e = d->endpoint = calloc(1, sizeof(*e));
    if (e == NULL || arguments.failed) {
        if (arguments.n > 0)
            brokerd_log(LOG_ERR, NULL, "no memory for " PROGRAM);
        clear(&arguments);
        return;
    }
    if (e->daemon == NULL) {
        e->daemon = d;
        e->pidfd = -1;
    }
    if (are_same(&arguments, &e->arguments)) {
        clear(&arguments);
        if (e->pid != 0)
            (void)kill(e->pid, SIGHUP); /* its list of clients may be another one */
        return;
    }
    clear(&e->arguments);
    e->arguments = arguments;
    if (e->pid != 0)
        brokerd_log(LOG_INFO, NULL, "the settings of [zmq] have changed: ZeroMQ sessions end");
    tell_to_end(e);
    if (e->pid == 0 && arguments.n > 0)
        launch(e);
}

bool brokerd_endpoint_is(const struct brokerd *d, pid_t pid)
{
    return d->endpoint != NULL && d->endpoint->pid != 0 && d->endpoint->pid == pid;
}

void brokerd_endpoint_stop(struct brokerd *d)
{
    struct brokerd_endpoint *e = d->endpoint;
    struct pollfd p = {.events = POLLIN};

    if (e == NULL)
        return;
    e->again = sd_event_source_disable_unref(e->again);
    if (e->pid != 0) {
        p.fd = e->pidfd;
        (void)kill(e->pid, SIGTERM);
        if (poll(&p, 1, STOP_MS) <= 0)
            (void)kill(e->pid, SIGKILL);
        (void)waitpid(e->pid, NULL, 0);
        forget(e);
    }
    remove_socket(d);
    clear(&e->arguments);
    free(e);
    d->endpoint = NULL;
}
