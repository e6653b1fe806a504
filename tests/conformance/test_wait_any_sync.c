/*
 * test_wait_any_sync.c - waiting for semaphores, events and rlocks among others, and their
 * descriptors
 */
#include "conformance/kit.h"

#include <poll.h>

TestSuite(wait_any_sync, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

enum sync { SEMAPHORE, EVENT, RLOCK, N_SYNC };
static const char *const sync_names[N_SYNC] = {"s", "e", "r"};

struct syncs {
    void *objects[N_SYNC]; /* none of them ready */
    size_t index;
};

static struct syncs open_syncs(void)
{
    static const broker_semaphore_options one = {.value = 1, .bounded = true};
    struct syncs s = {.index = 99};

    s.objects[SEMAPHORE] = kit_semaphore("s", &one);
    s.objects[EVENT] = kit_event("e");
    s.objects[RLOCK] = kit_rlock("r");
    OK(broker_semaphore_acquire(s.objects[SEMAPHORE], 0));
    OK(broker_rlock_acquire(s.objects[RLOCK], 0, NULL));
    return s;
}

static int wait_for_syncs(struct call *c)
{
    struct syncs *s = c->object;

    return broker_wait_any(s->objects, N_SYNC, c->number, &s->index);
}

static void make_ready(const struct syncs *s, enum sync which)
{
    if (which == SEMAPHORE)
        OK(broker_semaphore_release(s->objects[SEMAPHORE], 1));
    else if (which == EVENT)
        OK(broker_event_set(s->objects[EVENT]));
    else
        OK(broker_rlock_release(s->objects[RLOCK]));
}

static void undo_ready(const struct syncs *s, enum sync which)
{
    if (which == SEMAPHORE)
        OK(broker_semaphore_acquire(s->objects[SEMAPHORE], 0));
    else if (which == EVENT)
        OK(broker_event_clear(s->objects[EVENT]));
    else
        OK(broker_rlock_acquire(s->objects[RLOCK], 0, NULL));
}

Test(wait_any_sync, a_permit_a_set_and_a_free_rlock_end_the_wait)
{
    struct syncs s = open_syncs();
    struct call call;

    for (unsigned i = 0; i < N_SYNC; i++) {
        GIVES(broker_wait_any(s.objects, N_SYNC, 0, &s.index), BROKER_TIMEDOUT);
        kit_call(&call, wait_for_syncs, &s, BROKER_FOREVER);
        for (unsigned k = 0; k < N_SYNC; k++)
            kit_await_waiters(kit_name(sync_names[k]), 1);
        make_ready(&s, (enum sync)i);
        OK(kit_return(&call));
        cr_assert_eq(s.index, i);
        OK(broker_wait_any(s.objects, N_SYNC, 0, &s.index));
        cr_assert_eq(s.index, i, "nothing was taken");
        undo_ready(&s, (enum sync)i);
    }
}

Test(wait_any_sync, an_rlock_is_ready_at_its_last_release_only)
{
    struct syncs s = open_syncs();
    struct call call;

    OK(broker_rlock_acquire(s.objects[RLOCK], 0, NULL));
    kit_call(&call, wait_for_syncs, &s, BROKER_FOREVER);
    kit_await_waiters(kit_name("r"), 1);
    OK(broker_rlock_release(s.objects[RLOCK]));
    GIVES(broker_wait_any(s.objects, N_SYNC, 0, &(size_t){0}), BROKER_TIMEDOUT);
    OK(broker_rlock_release(s.objects[RLOCK]));
    OK(kit_return(&call));
    cr_assert_eq(s.index, RLOCK);
}

static void hold_all(struct line *parent, void *arg)
{
    struct syncs *s = arg;

    REQUIRE(broker_semaphore_acquire(s->objects[SEMAPHORE], 0) == 0);
    REQUIRE(broker_rlock_acquire(s->objects[RLOCK], 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

/* Of both; each is waited for alone. */
Test(wait_any_sync, the_death_of_a_holder_makes_a_semaphore_and_an_rlock_ready)
{
    static const enum sync with_holders[] = {SEMAPHORE, RLOCK};

    for (int i = 0; i < 2; i++) {
        struct syncs s = open_syncs(), one = {.objects = {s.objects[with_holders[i]],
                                                  s.objects[EVENT], s.objects[EVENT]}};
        struct line holder;
        struct call call;

        make_ready(&s, SEMAPHORE);
        make_ready(&s, RLOCK);
        holder = kit_fork(hold_all, &s);
        cr_assert_eq(kit_hear(&holder), 1);
        kit_call(&call, wait_for_syncs, &one, BROKER_FOREVER);
        kit_await_waiters(kit_name("e"), 1);
        kit_kill(&holder);
        OK(kit_return(&call));
        cr_assert_eq(one.index, 0);
        GIVES(broker_semaphore_acquire(s.objects[SEMAPHORE], BROKER_FOREVER), BROKER_OWNER_DIED);
        GIVES(broker_rlock_acquire(s.objects[RLOCK], BROKER_FOREVER, NULL), BROKER_OWNER_DIED);
        make_ready(&s, SEMAPHORE);
        make_ready(&s, RLOCK);
    }
}

static int acquire_one(struct call *c)
{
    return broker_semaphore_acquire(c->object, BROKER_FOREVER);
}

/* How long a permit lies there for one who sleeps behind one who only looks. */
static int64_t pass_permit_over(struct syncs *s)
{
    struct call looker, taker;
    int64_t start;

    kit_call(&looker, wait_for_syncs, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("r"), 1);
    kit_call(&taker, acquire_one, s->objects[SEMAPHORE], 0);
    kit_await_waiters(kit_name("s"), 2);
    start = kit_now();
    make_ready(s, SEMAPHORE);
    OK(kit_return(&taker));
    make_ready(s, EVENT);
    OK(kit_return(&looker));
    undo_ready(s, EVENT);
    return kit_now() - start;
}

Test(wait_any_sync, a_permit_s_wake_up_that_is_not_used_goes_to_the_next)
{
    struct syncs s = open_syncs();
    int n_tries = 0;

    while (pass_permit_over(&s) > BROKER_SECOND / 2)
        cr_assert_lt(++n_tries, 10);
}

#define SOON_MS 20000

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

Test(wait_any_sync, their_descriptors_are_readable_while_they_are_ready)
{
    struct syncs s = open_syncs();

    for (unsigned i = 0; i < N_SYNC; i++) {
        int fd;

        OK(broker_fd(s.objects[i], &fd));
        kit_await_waiters(kit_name(sync_names[i]), 1);
        cr_assert_not(is_readable(fd, 0));
        make_ready(&s, (enum sync)i);
        cr_assert(is_readable(fd, SOON_MS));
        undo_ready(&s, (enum sync)i);
        OK(broker_fd_clear(s.objects[i]));
        kit_await_waiters(kit_name(sync_names[i]), 1);
        cr_assert_not(is_readable(fd, 0));
    }
}
