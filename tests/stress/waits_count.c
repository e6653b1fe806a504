/*
 * waits_count.c - waiting for permits, signals, events and changes
 *
 * What was taken comes back from a bounded semaphore only; a signal, the mark of an event and a
 * change have happened or have not, whoever dies.
 */
#include "waits.h"

#define N_PERMITS 2u
#define N_SIGNALS 3u /* one for each who waits */

static unsigned all_are_due(struct round *r)
{
    (void)r;
    return N_SURVIVORS;
}

static void close_semaphore(struct round *r)
{
    broker_semaphore_close(r->object);
}

/* All at once or one by one. */
static void release(struct round *r, uint64_t n)
{
    if (r->choice % 2 == 0) {
        (void)MUST(r, broker_semaphore_release(r->object, n));
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        (void)MUST(r, broker_semaphore_release(r->object, 1));
}

/* ---- permits ---- */

static void open_permits(struct round *r)
{
    const broker_semaphore_options options = {.bounded = true, .value = N_PERMITS};
    broker_semaphore *s;

    (void)MUST(r, broker_semaphore_open(r->waits->broker, r->name, &options, &s));
    r->object = s;
}

static void hold_permits(struct round *r)
{
    for (unsigned i = 0; i < N_PERMITS; i++)
        (void)MUST(r, broker_semaphore_acquire(r->object, 0));
}

static void wait_for_permit(struct round *r, enum actor who)
{
    (void)MUST(r, broker_semaphore_acquire(r->object, BROKER_FOREVER));
    waits_have(r, who, N_PERMITS);
    waits_let_go(r, who);
    (void)MUST(r, broker_semaphore_release(r->object, 1));
}

static void wake_by_permits(struct round *r, enum actor who)
{
    (void)who;
    release(r, N_PERMITS);
}

static void check_permits(struct round *r)
{
    uint64_t n_deaths = waits_stat(r, "owner_deaths");

    hold_permits(r);
    REQUIRE(r, broker_semaphore_acquire(r->object, 0) == BROKER_TIMEDOUT);
    (void)MUST(r, broker_semaphore_release(r->object, N_PERMITS));
    REQUIRE(r, waits_stat(r, "foreign") == 0 && waits_stat(r, "kept") == 0);
    if (n_deaths != r->shm->n_notices)
        waits_fail(r, "%u notices of %u permits", r->shm->n_notices, (unsigned)n_deaths);
    REQUIRE(r, r->death != HOLDER || n_deaths == N_PERMITS);
    REQUIRE(r, r->death != WAITER || n_deaths <= (r->is_stopped ? 0 : 1));
}

const struct waits_type waits_semaphore = {
    .name = "semaphore",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .open = open_permits,
    .close = close_semaphore,
    .hold = hold_permits,
    .wait = wait_for_permit,
    .wake = wake_by_permits,
    .due = all_are_due,
    .check = check_permits,
};

/* ---- signals ---- */

static void open_signals(struct round *r)
{
    const broker_semaphore_options options = {.empty = true};
    broker_semaphore *s;

    (void)MUST(r, broker_semaphore_open(r->waits->broker, r->name, &options, &s));
    r->object = s;
}

static void wait_for_signal(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, broker_semaphore_acquire(r->object, BROKER_FOREVER));
}

static void wake_by_signals(struct round *r, enum actor who)
{
    (void)who;
    release(r, N_SIGNALS);
}

static uint64_t n_signals(const struct round *r)
{
    return waits_stat(r, "value") + waits_stat(r, "acquired");
}

/* All have come, unless the waker died; and the victim has taken one at most. */
static unsigned due_by_signals(struct round *r)
{
    uint64_t n = r->death == WAITER ? N_SURVIVORS : n_signals(r);

    return n < N_SURVIVORS ? (unsigned)n : N_SURVIVORS;
}

static void complete_signals(struct round *r)
{
    (void)MUST(r, broker_semaphore_release(r->object, N_SURVIVORS - r->due));
}

static void check_signals(struct round *r)
{
    uint64_t n = n_signals(r), taken = waits_stat(r, "acquired");

    REQUIRE(r, r->death != WAITER || n == N_SIGNALS);
    REQUIRE(r, n >= N_SURVIVORS && n <= N_SIGNALS && (r->choice % 2 != 0 || n != 1));
    REQUIRE(r,
        taken == N_SURVIVORS || (r->death == WAITER && !r->is_stopped && taken == N_SURVIVORS + 1));
}

const struct waits_type waits_signals = {
    .name = "semaphore, unbounded",
    .deaths = 1 << WAITER | 1 << WAKER,
    .open = open_signals,
    .close = close_semaphore,
    .wait = wait_for_signal,
    .wake = wake_by_signals,
    .due = due_by_signals,
    .complete = complete_signals,
    .check = check_signals,
};

/* ---- events, and changes of one ---- */

static void open_event(struct round *r)
{
    broker_event *e;

    (void)MUST(r, broker_event_open(r->waits->broker, r->name, NULL, &e));
    r->object = e;
    (void)MUST(r, broker_wait_change(r->waits->broker, r->name, 0, 0, &r->seen));
}

static void close_event(struct round *r)
{
    broker_event_close(r->object);
}

static void wait_for_event(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, broker_event_wait(r->object, BROKER_FOREVER));
}

/* Now and then a version is new without a change; the wait then goes on. */
static void wait_for_change(struct round *r, enum actor who)
{
    uint64_t version = r->seen;
    bool set = false;

    (void)who;
    while (!set) {
        (void)MUST(
            r, broker_wait_change(r->waits->broker, r->name, version, BROKER_FOREVER, &version));
        (void)MUST(r, broker_event_is_set(r->object, &set));
    }
}

static void wake_by_set(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, broker_event_set(r->object));
}

static unsigned due_by_set(struct round *r)
{
    bool set;

    (void)MUST(r, broker_event_is_set(r->object, &set));
    return set ? N_SURVIVORS : 0;
}

static void complete_set(struct round *r)
{
    (void)MUST(r, broker_event_set(r->object));
}

static void check_event(struct round *r)
{
    REQUIRE(r, waits_stat(r, "set") == 1 && waits_stat(r, "sets") == 1);
}

const struct waits_type waits_event = {
    .name = "event",
    .deaths = 1 << WAITER | 1 << WAKER,
    .open = open_event,
    .close = close_event,
    .wait = wait_for_event,
    .wake = wake_by_set,
    .due = due_by_set,
    .complete = complete_set,
    .check = check_event,
};

const struct waits_type waits_change = {
    .name = "wait_change",
    .deaths = 1 << WAITER | 1 << WAKER,
    .open = open_event,
    .close = close_event,
    .wait = wait_for_change,
    .wake = wake_by_set,
    .due = due_by_set,
    .complete = complete_set,
    .check = check_event,
};
