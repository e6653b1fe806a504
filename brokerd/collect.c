/*
 * collect.c - see collect.h
 *
 * The hint is a futex in the arena. A thread sleeps on it and does nothing but that and to tell the
 * event loop: it makes system calls alone and never touches the memory, so that neither what a
 * client writes there nor its being cut short can harm it. The daemon's death in the middle of a
 * collection leaves it as it is, for the next one to go on with.
 */
#include "collect.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/clock.h"
#include "core/collect.h"
#include "core/lock.h"

#define PAUSE_LEAST_NS (2 * BRI_MILLISECOND)
#define PAUSE_MOST_NS (60 * BRI_SECOND)
#define PAUSE_FACTOR 16 /* of the time that the collection took */
#define STUCK_USEC 200000u

struct brokerd_collect {
    struct brokerd_arena *arena;
    pthread_t thread;
    _Atomic uint32_t *word;   /* the hint, for system calls alone */
    _Atomic uint32_t is_told; /* the loop knows of the hint, and has not taken it yet */
    int fd;                   /* eventfd: there is a hint */
    sd_event_source *on_hint, *on_step;
    struct bri_collector collector;
    bool wanted;     /* a collection is to be begun */
    bool under_way;  /* on_step is set, and is not only waiting for the pause to end */
    int64_t busy_ns; /* spent on the present one */
    int64_t next_ns; /* not before that the next one */
};

/* ---- the thread ---- */

static void *watch(void *arg)
{
    struct brokerd_collect *c = arg;
    uint64_t one = 1;

    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL); /* it has nothing to lose */
    for (;;) {
        if (syscall(SYS_futex, c->word, FUTEX_WAIT, 0, NULL, NULL, 0) != 0 && errno != EAGAIN) {
            if (errno == EINTR)
                continue;
            return NULL; /* the memory is not there any more */
        }
        atomic_store(&c->is_told, 1);
        (void)!write(c->fd, &one, sizeof(one));
        bri_futex_wait_private(&c->is_told, 1);
    }
}

static bool start_thread(struct brokerd_collect *c)
{
    sigset_t all, before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    r = pthread_create(&c->thread, NULL, watch, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0;
}

/* ---- the loop ---- */

static void step_in(struct brokerd_collect *c, uint64_t usec)
{
    (void)sd_event_source_set_time_relative(c->on_step, usec);
    (void)sd_event_source_set_enabled(c->on_step, SD_EVENT_ONESHOT);
}

static void begin_when_due(struct brokerd_collect *c)
{
    int64_t wait_ns = c->next_ns - bri_now();

    if (!c->wanted || c->under_way)
        return;
    c->under_way = true;
    step_in(c, wait_ns > 0 ? (uint64_t)(wait_ns / 1000) : 0);
}

static int step(struct bri_arena *a, void *arg)
{
    struct brokerd_collect *c = arg;
    int r = bri_collect_step(a, &c->collector);

    if (r == 0 && c->wanted) {
        c->wanted = false;
        bri_collect_begin(a);
        r = BRI_COLLECT_MORE;
    }
    return r;
}

/* From here on a hint is a new one. */
static void take_hint(struct brokerd_collect *c)
{
    if (atomic_exchange(&c->is_told, 0) != 0)
        bri_futex_wake_private(&c->is_told, 1);
}

static void finish(struct brokerd_collect *c)
{
    int64_t pause_ns = c->busy_ns * PAUSE_FACTOR;

    if (pause_ns < PAUSE_LEAST_NS)
        pause_ns = PAUSE_LEAST_NS;
    c->next_ns = bri_now() + (pause_ns < PAUSE_MOST_NS ? pause_ns : PAUSE_MOST_NS);
    c->busy_ns = 0;
    c->under_way = false;
    begin_when_due(c);
}

static int on_step(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd_collect *c = arg;
    bool was_wanted = c->wanted;
    int64_t start_ns = bri_now();
    int r = brokerd_arena_run(c->arena, step, c);

    (void)source;
    (void)usec;
    c->busy_ns += bri_now() - start_ns;
    if (was_wanted && !c->wanted)
        take_hint(c);
    if (r == BRI_COLLECT_MORE)
        step_in(c, 0);
    else if (r == BROKER_TIMEDOUT)
        step_in(c, STUCK_USEC);
    else
        finish(c);
    return 0;
}

static int on_hint(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd_collect *c = arg;
    uint64_t n;

    (void)source;
    (void)events;
    (void)!read(fd, &n, sizeof(n));
    c->wanted = true;
    begin_when_due(c);
    return 0;
}

/* ---- starting and stopping ---- */

static void release(struct brokerd_collect *c)
{
    c->on_hint = sd_event_source_disable_unref(c->on_hint);
    c->on_step = sd_event_source_disable_unref(c->on_step);
    if (c->fd >= 0)
        (void)close(c->fd);
    free(c);
}

bool brokerd_collect_start(struct brokerd *d, struct brokerd_arena *arena)
{
    struct brokerd_collect *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        brokerd_log(LOG_ERR, NULL, "no memory");
        return false;
    }
    c->arena = arena;
    c->word = &arena->map->shm->collect_wanted;
    c->wanted = true; /* what an earlier daemon left to do */
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0 || sd_event_add_io(d->event, &c->on_hint, c->fd, EPOLLIN, on_hint, c) < 0 ||
        sd_event_add_time_relative(d->event, &c->on_step, CLOCK_MONOTONIC, 0, 1, on_step, c) < 0 ||
        !start_thread(c)) {
        brokerd_log(LOG_ERR, NULL, "cannot look after the garbage of the arena %s: %s", arena->name,
            strerror(errno));
        release(c);
        return false;
    }
    c->under_way = true;
    arena->collect = c;
    return true;
}

void brokerd_collect_stop(struct brokerd_arena *arena)
{
    if (arena->collect == NULL)
        return;
    (void)pthread_cancel(arena->collect->thread);
    (void)pthread_join(arena->collect->thread, NULL);
    release(arena->collect);
    arena->collect = NULL;
}
