/*
 * waits_lock.c - waiting for a lock, for an rlock, and for whichever of several objects is ready
 *
 * Each death of an owner is told exactly once, to the next one.
 */
#include "core/clock.h"
#include "waits.h"

static int acquire(struct round *r, int64_t timeout_ns)
{
    return r->type == &waits_rlock ? broker_rlock_acquire(r->object, timeout_ns, NULL)
                                   : broker_lock_acquire(r->object, timeout_ns, NULL);
}

static int release(struct round *r)
{
    return r->type == &waits_rlock ? broker_rlock_release(r->object)
                                   : broker_lock_release(r->object);
}

/* An rlock is taken twice now and then. */
static bool is_twice(const struct round *r)
{
    return r->type == &waits_rlock && r->choice % 2 == 0;
}

static void open_lock(struct round *r)
{
    broker_lock *lock;
    broker_rlock *rlock;

    if (r->type == &waits_rlock) {
        (void)MUST(r, broker_rlock_open(r->waits->broker, r->name, NULL, &rlock));
        r->object = rlock;
    } else {
        (void)MUST(r, broker_lock_open(r->waits->broker, r->name, NULL, &lock));
        r->object = lock;
    }
}

static void close_lock(struct round *r)
{
    if (r->type == &waits_rlock)
        broker_rlock_close(r->object);
    else
        broker_lock_close(r->object);
}

static void hold_lock(struct round *r)
{
    (void)MUST(r, acquire(r, 0));
    if (is_twice(r))
        (void)MUST(r, acquire(r, 0));
}

static void wait_for_lock(struct round *r, enum actor who)
{
    (void)MUST(r, acquire(r, BROKER_FOREVER));
    waits_have(r, who, 1);
    waits_let_go(r, who);
    (void)MUST(r, release(r));
}

static void wake_by_release(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, release(r));
    if (is_twice(r))
        (void)MUST(r, release(r));
}

/* Released or left behind: it is free in any case. */
static unsigned all_are_due(struct round *r)
{
    (void)r;
    return N_SURVIVORS;
}

static void check_lock(struct round *r)
{
    uint64_t n_deaths;

    (void)MUST(r, acquire(r, 0));
    (void)MUST(r, release(r));
    n_deaths = waits_stat(r, "owner_deaths");
    if (n_deaths != r->shm->n_notices)
        waits_fail(r, "%u notices of %u deaths", r->shm->n_notices, (unsigned)n_deaths);
    REQUIRE(r, n_deaths <= 1 && (r->death != HOLDER || n_deaths == 1));
    REQUIRE(r, !r->is_stopped || n_deaths == 0);
}

#define OF_LOCKS                                                                                   \
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER, .open = open_lock, .close = close_lock,      \
    .hold = hold_lock, .wait = wait_for_lock, .wake = wake_by_release, .due = all_are_due,         \
    .check = check_lock

const struct waits_type waits_lock = {.name = "lock", OF_LOCKS};
const struct waits_type waits_rlock = {.name = "rlock", OF_LOCKS};

/* ---- any of a lock and a queue ---- */

#define N_TASKS 3u /* one for each who waits */

static bool is_woken_by_queue(const struct round *r)
{
    return r->death == WAITER && r->choice % 2 == 0;
}

static void open_any(struct round *r)
{
    const broker_queue_options options = {.joinable = true};
    broker_queue *q;

    open_lock(r);
    (void)MUST(r, broker_queue_open(r->waits->broker, r->decoy_name, &options, &q));
    r->decoy = q;
}

static void close_any(struct round *r)
{
    close_lock(r);
    broker_queue_close(r->decoy);
}

static void hold_any(struct round *r)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    hold_lock(r);
    for (unsigned i = 0; r->death == HOLDER && i < N_TASKS; i++) {
        (void)MUST(r, broker_queue_put(r->decoy, broker_int(i), 0));
        (void)MUST(r, broker_queue_get(r->decoy, 0, &buffer, &v));
    }
    broker_buffer_free(&buffer);
}

/* True if there was one. */
static bool take_task(struct round *r, enum actor who)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int result = broker_queue_get(r->decoy, 0, &buffer, &v);

    if (result == BROKER_EMPTY)
        return false;
    (void)MUST(r, result);
    REQUIRE(r, v.i >= 0 && v.i < N_TASKS);
    if (who == VICTIM)
        atomic_fetch_add(&r->shm->n_held[v.i], 1);
    (void)MUST(r, broker_queue_task_done(r->decoy));
    if (who != VICTIM)
        atomic_fetch_add(&r->shm->n_taken[v.i], 1);
    broker_buffer_free(&buffer);
    return true;
}

static bool take_lock(struct round *r, enum actor who)
{
    int result = acquire(r, 0);

    if (result == BROKER_TIMEDOUT)
        return false;
    (void)MUST(r, result);
    waits_have(r, who, 1);
    waits_let_go(r, who);
    (void)MUST(r, release(r));
    return true;
}

static void wait_for_any(struct round *r, enum actor who)
{
    void *const objects[] = {r->object, r->decoy};
    size_t ready;
    bool taken = false;

    while (!taken) {
        (void)MUST(r, broker_wait_any(objects, 2, BROKER_FOREVER, &ready));
        taken = ready == 0 ? take_lock(r, who) : take_task(r, who);
    }
}

static void wake_any(struct round *r, enum actor who)
{
    if (!is_woken_by_queue(r)) {
        wake_by_release(r, who);
        return;
    }
    for (unsigned i = 0; i < N_TASKS; i++)
        (void)MUST(r, broker_queue_put(r->decoy, broker_int(i), 0));
}

/* Whoever woke by the queue has left with the lock still in its hands. */
static void check_any(struct round *r)
{
    bool has_tasks = r->death == HOLDER || is_woken_by_queue(r), left;
    uint64_t n_deaths;

    do
        left = take_task(r, SURVIVING_WAKER);
    while (left);
    for (unsigned i = 0; i < N_TASKS; i++) {
        unsigned taken = r->shm->n_taken[i];
        bool by_victim = r->death == WAITER && !r->is_stopped && r->shm->n_held[i] == 1;

        REQUIRE(r, taken <= (has_tasks ? 1 : 0));
        REQUIRE(r, taken == 1 || !has_tasks || by_victim);
    }
    (void)MUST(r, acquire(r, 0));
    (void)MUST(r, release(r));
    n_deaths = waits_stat(r, "owner_deaths");
    if (n_deaths != r->shm->n_notices)
        waits_fail(r, "%u notices of %u deaths", r->shm->n_notices, (unsigned)n_deaths);
}

const struct waits_type waits_any = {
    .name = "wait_any",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .open = open_any,
    .close = close_any,
    .hold = hold_any,
    .wait = wait_for_any,
    .wake = wake_any,
    .due = all_are_due,
    .check = check_any,
};
