/*
 * selftest.c - see selftest.h
 *
 * A test that fails sends no ping and says why; the service manager then ends the daemon, and the
 * next one adopts the memory. The service manager's patience is several tests long, so that one
 * which comes late does no harm.
 */
#include "selftest.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <broker/errors.h>
#include <systemd/sd-daemon.h>

#include "client/attach.h"
#include "daemon.h"

#define TESTS_PER_PATIENCE 4

static void end_probe(struct brokerd_selftest *t)
{
    t->on_answer = sd_event_source_disable_unref(t->on_answer);
    if (t->probe >= 0)
        (void)close(t->probe);
    t->probe = -1;
}

static void passed(struct brokerd *d)
{
    d->notify.selftest_trouble[0] = '\0';
    brokerd_notify_status(d);
    brokerd_notify_alive();
}

static void failed(struct brokerd *d, const char *arena, const char *what)
{
    (void)snprintf(d->notify.selftest_trouble, sizeof(d->notify.selftest_trouble),
        "self-test failed: %s", what);
    brokerd_log(LOG_ERR, &(struct brokerd_about){.arena = arena}, "%s", d->notify.selftest_trouble);
    brokerd_notify_status(d);
}

/*
 * Guards work. Damage is no reason to fail: it is contained, known, and would be there after a
 * restart as well.
 */
static bool guards_work(struct brokerd *d)
{
    for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next) {
        int r = a->map != NULL ? brokerd_arena_unstick(a, a->map->first_slot) : BROKER_CORRUPT;

        if (r < 0 && r != BROKER_TIMEDOUT && r != BROKER_CORRUPT) {
            failed(d, a->name, broker_error_text(r));
            return false;
        }
    }
    return true;
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct bri_attach_status status;
    struct brokerd *d = arg;
    ssize_t n = recv(fd, &status, sizeof(status), MSG_DONTWAIT);

    (void)source;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    end_probe(&d->selftest);
    if (n == sizeof(status) && status.head.magic == BRI_ATTACH_MAGIC &&
        status.head.kind == BRI_ATTACH_STATUS && status.pid == (uint32_t)getpid())
        passed(d);
    else
        failed(d, NULL, "the attach socket gave no status of this daemon");
    return 0;
}

/* Asks for the status, as `brokerctl status` does. 0, or a negative errno. */
static int ask(struct brokerd *d)
{
    const struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_STATUS)};
    struct brokerd_selftest *t = &d->selftest;
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    t->probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->probe < 0 || getsockname(d->listen_fd, (struct sockaddr *)&address, &size) != 0 ||
        connect(t->probe, (const struct sockaddr *)&address, size) != 0 ||
        send(t->probe, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return -errno;
    return sd_event_add_io(d->event, &t->on_answer, t->probe, EPOLLIN, on_answer, d);
}

/* Whether we could not ask only because others do so: a full backlog that gets shorter, or no
 * descriptors, which on_connect() has complained of. */
static bool is_crowded(const struct brokerd *d, int r)
{
    return (r == -EAGAIN && d->n_accepted != d->selftest.n_accepted) || r == -EMFILE ||
           r == -ENFILE;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd *d = arg;
    struct brokerd_selftest *t = &d->selftest;
    int r = 0;

    (void)usec;
    if (t->probe >= 0) {
        failed(d, NULL, "the attach socket does not answer");
    } else if (guards_work(d)) {
        r = ask(d);
        if (r < 0)
            end_probe(t);
        if (r < 0 && is_crowded(d, r))
            passed(d);
        else if (r < 0)
            failed(d, NULL, "the attach socket cannot be reached");
    }
    t->n_accepted = d->n_accepted;
    (void)sd_event_source_set_time_relative(source, t->interval_usec);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

bool brokerd_selftest_start(struct brokerd *d)
{
    struct brokerd_selftest *t = &d->selftest;
    uint64_t patience_usec;

    t->probe = -1;
    if (sd_watchdog_enabled(1, &patience_usec) <= 0)
        return true;
    t->interval_usec = patience_usec / TESTS_PER_PATIENCE;
    if (sd_event_add_time_relative(d->event, &t->tick, CLOCK_MONOTONIC, 0, 1, on_tick, d) >= 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot start the self-test");
    return false;
}

void brokerd_selftest_stop(struct brokerd *d)
{
    end_probe(&d->selftest);
    d->selftest.tick = sd_event_source_disable_unref(d->selftest.tick);
}
