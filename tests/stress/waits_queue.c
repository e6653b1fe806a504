/*
 * waits_queue.c - waiting for items, for room, and for all items to be done
 *
 * An item that the dead had taken comes back, but where a plain get had made it theirs; what they
 * had finished does not.
 */
#include "waits.h"

#define N_TAKEN 3u /* one for each who waits */
#define ROOM 2u

static void open_queue(struct round *r, const broker_queue_options *options)
{
    broker_queue *q;

    (void)MUST(r, broker_queue_open(r->waits->broker, r->name, options, &q));
    r->object = q;
}

static void close_queue(struct round *r)
{
    broker_queue_close(r->object);
}

static void put(struct round *r, unsigned item)
{
    (void)MUST(r, broker_queue_put(r->object, broker_int(item), BROKER_FOREVER));
}

/* An item in somebody's hands. */
struct taken {
    int64_t item;
    uint64_t token;
};

/* BROKER_EMPTY if there is none in that time. */
static int take(struct round *r, int64_t timeout_ns, struct taken *out)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint64_t deliveries;
    broker_value v;
    int result = r->type == &waits_lease ? broker_queue_lease(r->object, timeout_ns, BROKER_FOREVER,
                                               &buffer, &v, &out->token, &deliveries)
                                         : broker_queue_get(r->object, timeout_ns, &buffer, &v);

    if (result != BROKER_EMPTY) {
        (void)MUST(r, result);
        out->item = v.i;
        REQUIRE(r, out->item >= 0 && out->item < N_ITEMS);
    }
    broker_buffer_free(&buffer);
    return result;
}

static void finish(struct round *r, const struct taken *taken)
{
    (void)MUST(r, r->type == &waits_lease ? broker_queue_done(r->object, taken->token)
                                          : broker_queue_task_done(r->object));
}

/* ---- items, which are leased until they are finished ---- */

/* One was there before: what a queue needs for its first item is not made in the wake. */
static void open_items(struct round *r)
{
    struct taken taken;

    open_queue(r, &(broker_queue_options){.joinable = r->type == &waits_get});
    put(r, 0);
    (void)MUST(r, take(r, 0, &taken));
    finish(r, &taken);
}

static uint64_t n_put(const struct round *r)
{
    return waits_stat(r, "puts") - 1;
}

/* Who is to die with items has some. */
static void hold_items(struct round *r)
{
    struct taken taken;

    for (unsigned i = 0; r->death == HOLDER && i < N_TAKEN; i++) {
        put(r, i);
        REQUIRE(r, take(r, 0, &taken) == 0 && taken.item == (int64_t)i);
    }
}

static void wait_for_item(struct round *r, enum actor who)
{
    struct taken taken;

    (void)MUST(r, take(r, BROKER_FOREVER, &taken));
    if (who == VICTIM)
        atomic_fetch_add(&r->shm->n_held[taken.item], 1);
    finish(r, &taken);
    if (who != VICTIM)
        atomic_fetch_add(&r->shm->n_taken[taken.item], 1);
}

static void wake_by_items(struct round *r, enum actor who)
{
    (void)who;
    for (unsigned i = 0; i < N_TAKEN; i++)
        put(r, i);
}

/* There is one for everybody, unless the one who puts them died. */
static unsigned due_by_items(struct round *r)
{
    uint64_t n = n_put(r);

    return n < N_SURVIVORS ? (unsigned)n : N_SURVIVORS;
}

static void complete_items(struct round *r)
{
    for (unsigned i = r->due; i < N_SURVIVORS; i++)
        put(r, i);
}

static void check_items(struct round *r)
{
    uint64_t n = n_put(r);
    struct taken taken;

    REQUIRE(r, n <= N_TAKEN && (n == N_TAKEN || r->death == WAKER));
    while (take(r, 0, &taken) == 0) {
        finish(r, &taken);
        atomic_fetch_add(&r->shm->n_taken[taken.item], 1);
    }
    for (unsigned i = 0; i < N_ITEMS; i++) {
        unsigned n_taken = r->shm->n_taken[i];
        bool by_victim = r->death == WAITER && !r->is_stopped && r->shm->n_held[i] == 1;

        if (n_taken != (i < n) && !(n_taken == 0 && by_victim))
            waits_fail(r, "item %u of %u came out %u times", i, (unsigned)n, n_taken);
    }
    REQUIRE(r, waits_stat(r, "leased") == 0);
    REQUIRE(r, r->type == &waits_lease || waits_stat(r, "unfinished") == 0);
}

#define OF_ITEMS                                                                                   \
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER, .open = open_items, .close = close_queue,    \
    .hold = hold_items, .wait = wait_for_item, .wake = wake_by_items, .due = due_by_items,         \
    .complete = complete_items, .check = check_items

const struct waits_type waits_get = {.name = "queue get", OF_ITEMS};
const struct waits_type waits_lease = {.name = "queue lease", OF_ITEMS};

/* ---- room ---- */

/* Items 0 to ROOM - 1 are there from the start; each who waits then puts one of its own. */
static void open_room(struct round *r)
{
    open_queue(r, &(broker_queue_options){.max_items = ROOM});
    for (unsigned i = 0; i < ROOM; i++)
        put(r, i);
}

static void wait_for_room(struct round *r, enum actor who)
{
    put(r, ROOM + who);
}

static void take_one(struct round *r, enum actor who)
{
    struct taken taken;

    (void)MUST(r, take(r, who == VICTIM ? 0 : BROKER_FOREVER, &taken));
    if (who != VICTIM)
        atomic_fetch_add(&r->shm->n_taken[taken.item], 1);
}

/* The victim takes those of the start only: so it is known which it has, if not how many. */
static void wake_by_room(struct round *r, enum actor who)
{
    for (unsigned i = 0; i < (who == VICTIM ? ROOM : N_TAKEN); i++)
        take_one(r, who);
}

static unsigned due_by_room(struct round *r)
{
    uint64_t n = waits_stat(r, "takes");

    REQUIRE(r, waits_stat(r, "items") <= ROOM);
    r->seen = r->death == WAKER ? n : 0; /* by the victim */
    return n < N_SURVIVORS ? (unsigned)n : N_SURVIVORS;
}

static void complete_room(struct round *r)
{
    for (unsigned i = r->due; i < N_SURVIVORS; i++)
        take_one(r, SURVIVING_WAKER);
}

static void check_room(struct round *r)
{
    struct taken taken;

    REQUIRE(r, waits_stat(r, "items") <= ROOM && r->seen <= ROOM);
    while (take(r, 0, &taken) == 0)
        atomic_fetch_add(&r->shm->n_taken[taken.item], 1);
    for (unsigned i = 0; i < N_ITEMS; i++) {
        unsigned expected = i >= r->seen && i < ROOM + N_SURVIVORS, n = r->shm->n_taken[i];

        if (n != expected && !(i == ROOM + VICTIM && r->death == WAITER && n == 1))
            waits_fail(r, "item %u came out %u times, and %u were taken by the dead", i, n,
                (unsigned)r->seen);
    }
}

const struct waits_type waits_put = {
    .name = "queue put",
    .deaths = 1 << WAITER | 1 << WAKER,
    .open = open_room,
    .close = close_queue,
    .wait = wait_for_room,
    .wake = wake_by_room,
    .due = due_by_room,
    .complete = complete_room,
    .check = check_room,
};

/* ---- join ---- */

static void open_task(struct round *r)
{
    open_queue(r, &(broker_queue_options){.joinable = true});
}

static void hold_task(struct round *r)
{
    struct taken taken;

    put(r, 0);
    REQUIRE(r, take(r, 0, &taken) == 0);
}

/* When who holds the task dies, one of the survivors is there to do it. */
static void wait_for_task(struct round *r, enum actor who)
{
    if (r->death == HOLDER && who == OTHER_SURVIVOR)
        wait_for_item(r, who);
    else
        (void)MUST(r, broker_queue_join(r->object, BROKER_FOREVER));
}

static void wake_by_finish(struct round *r, enum actor who)
{
    (void)who;
    (void)MUST(r, broker_queue_task_done(r->object));
}

static unsigned due_by_finish(struct round *r)
{
    return r->death == HOLDER || waits_stat(r, "unfinished") == 0 ? N_SURVIVORS : 0;
}

/* The task of the dead has come back. */
static void complete_task(struct round *r)
{
    struct taken taken;

    REQUIRE(r, take(r, 0, &taken) == 0);
    finish(r, &taken);
}

static void check_task(struct round *r)
{
    struct taken taken;

    REQUIRE(r, take(r, 0, &taken) == BROKER_EMPTY);
    REQUIRE(r, waits_stat(r, "unfinished") == 0 && waits_stat(r, "leased") == 0);
    REQUIRE(r, waits_stat(r, "puts") == 1);
}

const struct waits_type waits_join = {
    .name = "queue join",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .open = open_task,
    .close = close_queue,
    .hold = hold_task,
    .wait = wait_for_task,
    .wake = wake_by_finish,
    .due = due_by_finish,
    .complete = complete_task,
    .check = check_task,
};
