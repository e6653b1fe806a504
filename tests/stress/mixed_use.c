/*
 * mixed_use.c - what the processes of mixed.c do, and whether it came out right
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <broker.h>

#include "core/clock.h"
#include "mixed.h"
#include "settle.h"

#define MAX_ITEMS_WAITING 64u
#define MAX_STOCK 32
#define ANSWER(error) (UINT64_C(1) << -(error))

struct user {
    struct mixed *m;
    struct ledger *ledger;
    uint32_t life;
    bool is_remote, is_over; /* its session is */
    uint64_t random;
    struct progress *progress;
    broker *broker;
    broker_queue *queue;
    broker_lock *lock;
    broker_barrier *barrier;
    broker_condition *condition;
    broker_buffer buffer;
};

/* What it has may be others' by now. */
static bool is_gone(struct mixed *m, uint32_t life)
{
    uint32_t epoch = atomic_load(&m->epochs[life]);

    return atomic_load(&m->ledger->lives[life].is_doomed) != 0 ||
           (epoch != 0 && epoch <= atomic_load(&m->epoch));
}

/* Gives @r. A session is lost with its endpoint only, and never in shared memory. */
static int check(struct user *u, int r, const char *what, uint64_t allowed)
{
    if (r >= 0 || (allowed & ANSWER(r)) != 0)
        return r;
    if ((r == BROKER_LOST || r == BROKER_UNKNOWN) && u->is_remote && is_gone(u->m, u->life)) {
        u->is_over = true;
        return r;
    }
    ledger_fail(u->ledger, "life %u (%s): %s gave %s: %s", u->life,
        u->is_remote ? "by ZeroMQ" : "in shared memory", what, broker_error_name(r),
        broker_last_error());
}

static void step(struct user *u, const char *what)
{
    atomic_store(&u->ledger->lives[u->life].step, what);
    if (u->progress != NULL)
        atomic_fetch_add(&u->progress->n_steps, 1);
}

static bool must_stop(const struct user *u)
{
    return atomic_load(&u->ledger->must_stop) != 0;
}

/* Long enough to be killed here, now and then. */
static void dwell(struct user *u)
{
    if (ledger_pick(&u->random, 8) == 0)
        for (volatile uint32_t i = ledger_pick(&u->random, 300000); i > 0; i = i - 1)
            continue;
}

/* ---- rooms ---- */

/* @token 0: it is not known. */
static void enter(struct user *u, struct room *room, int r, uint64_t token)
{
    uint32_t before = atomic_exchange(&room->inside, u->life + 1);
    uint64_t last = atomic_load(&room->token);

    if (before != 0 && !is_gone(u->m, before - 1) && !is_gone(u->m, u->life))
        ledger_fail(u->ledger, "life %u came in while life %u was inside", u->life, before - 1);
    if (before != 0 && r != BROKER_OWNER_DIED && !is_gone(u->m, u->life))
        ledger_fail(u->ledger, "life %u was not told of the death of life %u", u->life, before - 1);
    if (token != 0 && token <= last && !is_gone(u->m, u->life))
        ledger_fail(u->ledger, "life %u: token %" PRIu64 " after %" PRIu64, u->life, token, last);
    while (token > last && !atomic_compare_exchange_weak(&room->token, &last, token))
        continue;
    atomic_fetch_add(&u->m->n_inside, 1);
}

static void leave(struct user *u, struct room *room)
{
    uint32_t own = u->life + 1;

    (void)atomic_compare_exchange_strong(&room->inside, &own, 0);
}

static void use_lock(struct user *u)
{
    uint64_t token;
    int r;

    step(u, "lock acquire");
    r = check(u, broker_lock_acquire(u->lock, BROKER_FOREVER, &token), "lock acquire", 0);
    if (r < 0)
        return;
    enter(u, &u->m->lock, r, token);
    dwell(u);
    leave(u, &u->m->lock);
    step(u, "lock release");
    (void)check(u, broker_lock_release(u->lock), "lock release", 0);
}

/* ---- the queue ---- */

static void put_item(struct user *u)
{
    uint32_t n = atomic_fetch_add(&u->ledger->n_items, 1);
    int r;

    if (n >= MAX_ITEMS)
        ledger_fail(u->ledger, "the ledger is full: too long a run");
    step(u, "queue put");
    atomic_store(&u->ledger->items[n].flags, ITEM_PUT_BEGUN);
    r = check(u, broker_queue_put(u->queue, broker_uint(n), BROKER_FOREVER), "queue put",
        ANSWER(BROKER_CLOSED));
    if (r == 0)
        atomic_fetch_or(&u->ledger->items[n].flags, ITEM_PUT);
    else if (r == BROKER_CLOSED)
        atomic_fetch_or(&u->ledger->items[n].flags, ITEM_REFUSED);
}

static void note_item(struct user *u, uint64_t n)
{
    struct item *item = &u->ledger->items[n < MAX_ITEMS ? n : 0];
    uint32_t before = atomic_exchange(&item->holder, u->life + 1), flags;

    flags = atomic_fetch_or(&item->flags, ITEM_TAKEN);
    if (n >= MAX_ITEMS || (flags & ITEM_PUT_BEGUN) == 0 || (flags & ITEM_REFUSED) != 0)
        ledger_fail(u->ledger, "item %" PRIu64 " came, and nobody put it", n);
    if ((flags & ITEM_FINISHED) != 0)
        ledger_fail(u->ledger, "item %" PRIu64 " came again after it was finished", n);
    if (before != 0 && !is_gone(u->m, before - 1) && !is_gone(u->m, u->life))
        ledger_fail(u->ledger, "item %" PRIu64 " came to life %u while life %u had it", n, u->life,
            before - 1);
}

/* What a get gives. */
static int take_item(struct user *u, int64_t timeout_ns)
{
    struct item *item;
    broker_value v;
    int r;

    step(u, "queue get");
    r = check(u, broker_queue_get(u->queue, timeout_ns, &u->buffer, &v), "queue get",
        ANSWER(BROKER_CLOSED) | ANSWER(BROKER_EMPTY));
    if (r < 0)
        return r;
    note_item(u, v.u);
    dwell(u);
    step(u, "queue task_done");
    item = &u->ledger->items[v.u];
    atomic_fetch_or(&item->flags, ITEM_FINISHING);
    r = check(u, broker_queue_task_done(u->queue), "queue task_done", 0);
    if (r == 0) {
        atomic_fetch_or(&item->flags, ITEM_FINISHED);
        atomic_fetch_add(&u->m->n_items, 1);
    }
    return r;
}

static void consume(struct user *u)
{
    (void)take_item(u, BROKER_FOREVER);
    if (!u->is_over && ledger_pick(&u->random, 4) == 0)
        use_lock(u);
}

/* ---- the condition ---- */

/* False if the session is over. */
static bool enter_condition(struct user *u)
{
    uint64_t token;
    int r;

    step(u, "condition acquire");
    r = check(
        u, broker_condition_acquire(u->condition, BROKER_FOREVER, &token), "condition acquire", 0);
    if (r >= 0)
        enter(u, &u->m->condition, r, token);
    return r >= 0;
}

static void leave_condition(struct user *u)
{
    leave(u, &u->m->condition);
    step(u, "condition release");
    (void)check(u, broker_condition_release(u->condition), "condition release", 0);
}

static void deliver(struct user *u)
{
    if (!enter_condition(u))
        return;
    dwell(u);
    if (atomic_load(&u->m->stock) < MAX_STOCK)
        (void)atomic_fetch_add(&u->m->stock, 1);
    step(u, "condition notify");
    if (check(u, broker_condition_notify(u->condition, 1), "condition notify", 0) >= 0)
        leave_condition(u);
}

static void buy(struct user *u)
{
    int r;

    if (!enter_condition(u))
        return;
    while (atomic_load(&u->m->stock) <= 0 && !must_stop(u)) {
        leave(u, &u->m->condition);
        step(u, "condition wait");
        r = check(u, broker_condition_wait(u->condition, BROKER_FOREVER), "condition wait", 0);
        if (r < 0)
            return;
        enter(u, &u->m->condition, r, 0);
    }
    dwell(u);
    if (atomic_load(&u->m->stock) > 0) {
        (void)atomic_fetch_sub(&u->m->stock, 1);
        atomic_fetch_add(&u->m->n_sold, 1);
    }
    leave_condition(u);
}

/* ---- the barrier ---- */

/* Who finds it broken makes it whole; that may send away some who have come again meanwhile. */
static void meet(struct user *u)
{
    bool is_broken;
    int r;

    step(u, "barrier wait");
    atomic_fetch_add(&u->m->meet.n_begun, 1);
    r = check(u, broker_barrier_wait(u->barrier, BROKER_FOREVER, NULL), "barrier wait",
        ANSWER(BROKER_BROKEN));
    if (u->is_over)
        return;
    atomic_fetch_add(r == 0 ? &u->m->meet.n_passed : &u->m->meet.n_failed, 1);
    if (r == 0 || must_stop(u))
        return;
    step(u, "barrier reset");
    if (check(u, broker_barrier_broken(u->barrier, &is_broken), "barrier broken", 0) == 0 &&
        is_broken)
        (void)check(u, broker_barrier_reset(u->barrier), "barrier reset", 0);
}

/* ---- lives ---- */

static void open_all(struct user *u)
{
    const broker_queue_options joinable = {.max_items = MAX_ITEMS_WAITING, .joinable = true};
    const broker_barrier_options parties = {.parties = N_PARTIES};

    step(u, "open");
    if (check(u, broker_queue_open(u->broker, "queue", &joinable, &u->queue), "open", 0) >= 0 &&
        check(u, broker_lock_open(u->broker, "lock", NULL, &u->lock), "open", 0) >= 0 &&
        check(u, broker_barrier_open(u->broker, "barrier", &parties, &u->barrier), "open", 0) >= 0)
        (void)check(
            u, broker_condition_open(u->broker, "condition", NULL, &u->condition), "open", 0);
}

/* The endpoint may be away for a while, after it was killed. */
static int attach(struct user *u)
{
    int r;

    step(u, "attach");
    do {
        if (u->is_remote)
            atomic_store(&u->m->epochs[u->life], atomic_load(&u->m->epoch) + 1);
        r = broker_open(u->m->addresses[u->is_remote], &u->broker);
        step(u, "attach");
    } while (r < 0 && u->is_remote && !must_stop(u));
    if (r < 0 && !must_stop(u))
        ledger_fail(u->ledger, "broker_open: %s", broker_last_error());
    return r;
}

static void act(struct user *u, unsigned seat)
{
    switch (seat / 2) {
    case 0:
        consume(u);
        break;
    case 1:
        buy(u);
        break;
    case 2:
        put_item(u);
        if (!u->is_over && ledger_pick(&u->random, 2) == 0)
            deliver(u);
        if (!u->is_over && ledger_pick(&u->random, 4) == 0)
            use_lock(u);
        break;
    default:
        meet(u);
    }
}

static void live(struct user *u, unsigned seat)
{
    struct mixed *m = u->m;

    *u = (struct user){.m = m,
        .ledger = m->ledger,
        .life = u->life,
        .progress = u->progress,
        .is_remote = seat % 2 != 0,
        .random = m->ledger->seed + u->life};
    if (attach(u) < 0)
        return;
    open_all(u);
    while (!u->is_over && !must_stop(u))
        act(u, seat);
    if (u->is_over)
        atomic_fetch_add(&m->n_lost, 1);
    step(u, "leave");
    atomic_store(&u->ledger->lives[u->life].is_doomed, 1);
    broker_buffer_free(&u->buffer);
    broker_close(u->broker);
}

void mixed_run(struct mixed *m, unsigned seat, struct progress *progress)
{
    static struct user u;

    u.m = m;
    u.progress = progress;
    while (atomic_load(&m->ledger->must_stop) == 0) {
        u.life = ledger_begin_life(m->ledger);
        atomic_store(&progress->life, u.life);
        live(&u, seat);
    }
    _exit(0);
}

/* ---- the end ---- */

void mixed_let_go(struct mixed *m, broker *b)
{
    struct user u = {
        .m = m, .ledger = m->ledger, .broker = b, .life = ledger_begin_life(m->ledger)};

    open_all(&u);
    (void)check(&u, broker_queue_shutdown(u.queue), "queue shutdown", 0);
    (void)check(&u, broker_barrier_abort(u.barrier), "barrier abort", 0);
    if (broker_condition_acquire(u.condition, 0, NULL) >= 0) {
        (void)check(&u, broker_condition_notify_all(u.condition), "notify", 0);
        (void)check(&u, broker_condition_release(u.condition), "release", 0);
    }
    broker_queue_close(u.queue);
    broker_lock_close(u.lock);
    broker_barrier_close(u.barrier);
    broker_condition_close(u.condition);
}

static bool told(bool is_right, const char *what)
{
    if (!is_right)
        (void)fprintf(stderr, "%s\n", what);
    return is_right;
}

/* What was put for certain was finished, for certain or in the last moment of somebody. */
static bool verify_items(struct mixed *m)
{
    uint32_t n = atomic_load(&m->ledger->n_items);
    bool right = true;

    for (uint32_t i = 0; i < n && right; i++) {
        uint32_t flags = atomic_load(&m->ledger->items[i].flags);

        if ((flags & ITEM_PUT) != 0 && (flags & (ITEM_FINISHED | ITEM_FINISHING)) == 0) {
            (void)fprintf(stderr, "item %u of %u was lost\n", i, n);
            right = false;
        }
    }
    return right;
}

static uint64_t stat_of(const char *name, const char *field, struct user *u)
{
    uint64_t n;

    if (!settle_stat(u->broker, name, field, &n))
        ledger_fail(u->ledger, "%s has no %s: %s", name, field, broker_last_error());
    return n;
}

static bool verify_meetings(struct user *u)
{
    uint64_t passed = atomic_load(&u->m->meet.n_passed), failed = atomic_load(&u->m->meet.n_failed);
    uint64_t in_doubt = atomic_load(&u->m->meet.n_begun) - passed - failed;
    uint64_t places = stat_of("barrier", "passes", u) * N_PARTIES;

    return told(places >= passed && places - passed <= in_doubt,
               "more or fewer have come through the barrier than it let pass") &&
           told(stat_of("barrier", "inside", u) == 0, "somebody is still in the barrier");
}

bool mixed_verify(struct mixed *m)
{
    struct user u = {.m = m, .ledger = m->ledger, .life = ledger_begin_life(m->ledger)};
    bool right;

    if (attach(&u) < 0)
        return told(false, "the broker cannot be opened");
    open_all(&u);
    while (take_item(&u, 0) == 0)
        continue;
    right = verify_items(m) && verify_meetings(&u) &&
            told(broker_queue_join(u.queue, 0) == 0, "an item is still away") &&
            told(broker_lock_acquire(u.lock, 0, NULL) >= 0, "the lock is held by nobody") &&
            told(broker_condition_acquire(u.condition, 0, NULL) >= 0,
                "the condition is held by nobody");
    broker_buffer_free(&u.buffer);
    broker_close(u.broker);
    return right;
}
