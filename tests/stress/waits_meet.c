/*
 * waits_meet.c - waiting for a notification, and for each other
 *
 * A notification is of as many as it says, and who dies with one hands it on. Of a barrier all go
 * on or all are told that it broke, and no seat is taken by the dead.
 */
#include "waits.h"

#include <sched.h>

/* ---- condition ---- */

static void open_condition(struct round *r)
{
    broker_condition *c;

    (void)MUST(r, broker_condition_open(r->waits->broker, r->name, NULL, &c));
    r->object = c;
}

static void close_condition(struct round *r)
{
    broker_condition_close(r->object);
}

static void wait_for_notice(struct round *r, enum actor who)
{
    (void)MUST(r, broker_condition_acquire(r->object, BROKER_FOREVER, NULL));
    (void)MUST(r, broker_condition_wait(r->object, BROKER_FOREVER));
    waits_have(r, who, 1);
    waits_let_go(r, who);
    (void)MUST(r, broker_condition_release(r->object));
}

/* As many as survive: at once or one by one. */
static void notify_survivors(struct round *r)
{
    if (r->choice % 2 == 0) {
        (void)MUST(r, broker_condition_notify(r->object, N_SURVIVORS));
        return;
    }
    for (unsigned i = 0; i < N_SURVIVORS; i++)
        (void)MUST(r, broker_condition_notify(r->object, 1));
}

/* Who is to die with the lock has notified, and has it twice now and then. */
static void hold_condition(struct round *r)
{
    if (r->death != HOLDER)
        return;
    (void)MUST(r, broker_condition_acquire(r->object, WAITS_SOON, NULL));
    if (r->choice / 2 % 2 == 0)
        (void)MUST(r, broker_condition_acquire(r->object, 0, NULL));
    notify_survivors(r);
}

static void wake_by_notify(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, broker_condition_acquire(r->object, BROKER_FOREVER, NULL));
    notify_survivors(r);
    (void)MUST(r, broker_condition_release(r->object));
}

/*
 * The victim can have had one of the notifications only if it stood before the survivors and was
 * running: then one of these still stands in line.
 */
static unsigned due_by_notify(struct round *r)
{
    uint64_t notified = waits_stat(r, "notified"), waiting = waits_stat(r, "waiting");

    if (r->death == WAITER && r->victim_first && !r->is_stopped && waiting != 0)
        return N_SURVIVORS - 1;
    return notified < N_SURVIVORS ? (unsigned)notified : N_SURVIVORS;
}

static void complete_notify(struct round *r)
{
    (void)MUST(r, broker_condition_acquire(r->object, WAITS_SOON, NULL));
    REQUIRE(r, waits_stat(r, "waiting") == N_SURVIVORS - r->due);
    (void)MUST(r, broker_condition_notify_all(r->object));
    (void)MUST(r, broker_condition_release(r->object));
}

static void check_condition(struct round *r)
{
    uint64_t n_deaths;

    (void)MUST(r, broker_condition_acquire(r->object, 0, NULL));
    (void)MUST(r, broker_condition_release(r->object));
    n_deaths = waits_stat(r, "owner_deaths");
    if (n_deaths != r->shm->n_notices)
        waits_fail(r, "%u notices of %u deaths", r->shm->n_notices, (unsigned)n_deaths);
    REQUIRE(r, n_deaths <= 1 && (r->death != HOLDER || n_deaths == 1));
    REQUIRE(r, waits_stat(r, "waiting") == 0);
    REQUIRE(r,
        waits_stat(r, "notified") == (r->death == WAITER ? 2 * N_SURVIVORS - r->due : N_SURVIVORS));
}

const struct waits_type waits_condition = {
    .name = "condition",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .waiters_first = true,
    .line = "waiting",
    .open = open_condition,
    .close = close_condition,
    .hold = hold_condition,
    .wait = wait_for_notice,
    .wake = wake_by_notify,
    .due = due_by_notify,
    .complete = complete_notify,
    .check = check_condition,
};

/* ---- barrier ---- */

/* Who holds it is the last to arrive, as long as it runs the action. */
static bool has_action(const struct round *r)
{
    return r->death == HOLDER || (r->death == WAKER && r->choice % 2 == 0);
}

/* All survivors and the victim, and the waker if that is another. */
static uint64_t parties(const struct round *r)
{
    return N_SURVIVORS + (r->death == WAITER ? 2 : 1);
}

static void open_barrier(struct round *r)
{
    const broker_barrier_options options = {.parties = parties(r), .action = has_action(r)};
    broker_barrier *barrier;

    (void)MUST(r, broker_barrier_open(r->waits->broker, r->name, &options, &barrier));
    r->object = barrier;
}

static void close_barrier(struct round *r)
{
    broker_barrier_close(r->object);
}

static void arrive(struct round *r, enum actor who)
{
    struct actor_shm *me = &r->shm->actors[who];

    me->result = broker_barrier_wait(r->object, BROKER_FOREVER, &me->index);
    if (me->result != BROKER_BROKEN)
        (void)MUST(r, me->result);
}

static void hold_barrier(struct round *r)
{
    uint64_t n_waiting = 0, index;

    if (!has_action(r))
        return;
    while (n_waiting < N_SURVIVORS) {
        (void)MUST(r, broker_barrier_n_waiting(r->object, &n_waiting));
        (void)sched_yield();
    }
    REQUIRE(r, broker_barrier_wait(r->object, WAITS_SOON, &index) == BROKER_ACTION);
}

static void wake_by_arrival(struct round *r, enum actor who)
{
    if (has_action(r))
        (void)MUST(r, broker_barrier_pass(r->object));
    else
        arrive(r, who);
}

/* Unless the victim died before it had arrived. */
static unsigned due_by_arrival(struct round *r)
{
    return has_action(r) || waits_stat(r, "passes") + waits_stat(r, "breaks") > 0 ? N_SURVIVORS : 0;
}

/* Takes the seat that the victim has not taken. */
static void complete_arrival(struct round *r)
{
    uint64_t index;

    (void)MUST(r, broker_barrier_wait(r->object, WAITS_SOON, &index));
}

static void check_barrier(struct round *r)
{
    const struct actor_shm *one = &r->shm->actors[SURVIVOR];
    const struct actor_shm *other = &r->shm->actors[OTHER_SURVIVOR];
    const struct actor_shm *waker = &r->shm->actors[SURVIVING_WAKER];
    bool passed = one->result == 0;

    REQUIRE(r, one->result == other->result);
    REQUIRE(r, r->death != WAITER || one->result == waker->result);
    REQUIRE(r, waits_stat(r, "passes") == passed && waits_stat(r, "breaks") == !passed);
    REQUIRE(r, !passed || (one->index != other->index && one->index < parties(r) &&
                              other->index < parties(r)));
    REQUIRE(r, passed || waits_stat(r, "broken_by_death") == 1);
    REQUIRE(r, !passed || r->death != HOLDER);
    REQUIRE(r, passed || r->death != WAKER || has_action(r));
    REQUIRE(r, waits_stat(r, "inside") == 0 && waits_stat(r, "acting") == 0);
    (void)MUST(r, broker_barrier_reset(r->object));
    REQUIRE(r, waits_stat(r, "broken") == 0 && waits_stat(r, "n_waiting") == 0);
}

const struct waits_type waits_barrier = {
    .name = "barrier",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .waiters_first = true,
    .waker_waits = true,
    .open = open_barrier,
    .close = close_barrier,
    .hold = hold_barrier,
    .wait = arrive,
    .wake = wake_by_arrival,
    .due = due_by_arrival,
    .complete = complete_arrival,
    .check = check_barrier,
};
