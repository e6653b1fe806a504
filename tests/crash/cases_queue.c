/*
 * cases_queue.c - start states and operations of the queue
 *
 * Items lie in segments of 16 KiB: seven of 2000 bytes and 29 small ones fill one to its end,
 * leaving 48 bytes, which is the head of an item without any bytes.
 */
#include <string.h>

#include <broker.h>

#include "cases.h"
#include "core/attachment.h"
#include "engine_ops.h"
#include "objects/items.h"
#include "value/value.h"

#define LARGE 5000u
#define MEDIUM 2000u
#define N_MEDIUM 7u
#define N_SMALL 29u
#define N_SEGMENT (N_MEDIUM + N_SMALL)
#define MAX_ITEMS 6u

static uint8_t bytes[LARGE];

static struct bri_handle *queue_of(struct actor *who)
{
    return &who->handles[QUEUE];
}

/* The operations themselves are not to spend instructions on these. */
static broker_buffer out;
static uint8_t many[3100]; /* three packed items, one so large that it has pages of its own */
static size_t many_size;

void queue_make_arguments(void)
{
    crash_make_buffer(&out, 4 * LARGE);
    many_size = bri_array_header(3, many);
    many_size += bri_value_encode(broker_int(1), many + many_size);
    many_size += bri_value_encode(broker_bin(bytes, 3000), many + many_size);
    many_size += bri_value_encode(broker_str("three"), many + many_size);
}

void queue_free_arguments(void)
{
    broker_buffer_free(&out);
}

/* ---- start states ---- */

static void open_queue(struct world *w, bool joinable, uint64_t max_items)
{
    broker_queue_options options = {.joinable = joinable, .max_items = max_items};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_queue(w, (enum who)i, &options);
}

static void put(struct world *w, broker_value value)
{
    MUST(bri_queue_put(queue_of(&w->actors[PEER]), value, 0));
}

static void put_small(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(w, broker_int(100 + i));
}

static void put_medium(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(w, broker_bin(bytes, MEDIUM));
}

static void take(struct world *w, enum who who, unsigned n)
{
    broker_value v;

    for (unsigned i = 0; i < n; i++)
        MUST(bri_queue_get(queue_of(&w->actors[who]), 0, &out, &v));
}

/* On a joinable queue, what was taken must be finished to be gone. */
static void consume(struct world *w, unsigned n, bool joinable)
{
    take(w, PEER, n);
    for (unsigned i = 0; joinable && i < n; i++)
        MUST(bri_queue_task_done(queue_of(&w->actors[PEER])));
}

static void few(struct world *w, bool joinable)
{
    open_queue(w, joinable, 0);
    put_small(w, 4);
}

/* Some have gone through it already. */
static void passed(struct world *w, bool joinable)
{
    few(w, joinable);
    put_medium(w, 3);
    consume(w, 3, joinable);
}

/* The next item needs a new segment. */
static void segment_end(struct world *w, bool joinable)
{
    open_queue(w, joinable, 0);
    put_small(w, N_SMALL);
    put_medium(w, N_MEDIUM);
}

/* The next one to be taken is the first of the second segment: the first one goes, and is kept as
 * the spare one. */
static void head_end(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    put_small(w, 3);
    consume(w, N_SEGMENT, joinable);
}

/* The same when there is a spare one already: it is given back. */
static void head_end_again(struct world *w, bool joinable)
{
    head_end(w, joinable);
    put_small(w, N_SMALL - 3);
    put_medium(w, N_MEDIUM + 1);
    put_small(w, 2);
    put_medium(w, N_MEDIUM);
    consume(w, N_SEGMENT, joinable);
}

/* Tail at the end of a segment, and a spare one to go on with. */
static void spare(struct world *w, bool joinable)
{
    head_end(w, joinable);
    consume(w, 1, joinable);
    put_small(w, N_SMALL - 3);
    put_medium(w, N_MEDIUM);
}

/* No page with memory behind it is free. */
static void exhausted(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    world_exhaust(w);
}

/* The third has two items, and had two more that came back in front of them: the session that had
 * them closed it. */
static void returned(struct world *w, bool joinable)
{
    few(w, joinable);
    take(w, OTHER, 2);
    MUST(bri_detach(&w->actors[OTHER].broker->session, &queue_of(&w->actors[OTHER])->object));
    queue_of(&w->actors[OTHER])->magic = 0;
}

/* One item that came back, and behind it others that the third has. */
static void returned_one(struct world *w, bool joinable)
{
    returned(w, joinable);
    consume(w, 1, joinable);
}

/* The third has the first segment's last items and the second's first ones. */
static void leased(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    put_small(w, 3);
    consume(w, N_SEGMENT - 2, joinable);
    take(w, OTHER, 3);
}

static void large_first(struct world *w, bool joinable)
{
    open_queue(w, joinable, 0);
    put(w, broker_bin(bytes, LARGE));
    put_small(w, 3);
}

static void large_alone(struct world *w, bool joinable)
{
    open_queue(w, joinable, 0);
    put(w, broker_bin(bytes, LARGE));
}

/* A large item at the end of its segment, so that the next one to be taken makes the head leave it.
 */
static void large_at_end(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    put(w, broker_bin(bytes, LARGE));
    put_small(w, 2);
    consume(w, N_SEGMENT, joinable);
}

static void large_twice(struct world *w, bool joinable)
{
    large_alone(w, joinable);
    put(w, broker_bin(bytes, LARGE));
}

static void large_exhausted(struct world *w, bool joinable)
{
    large_first(w, joinable);
    world_exhaust(w);
}

static void fresh(struct world *w, bool joinable)
{
    open_queue(w, joinable, 0);
}

static void emptied(struct world *w, bool joinable)
{
    few(w, joinable);
    consume(w, 4, joinable);
}

static void emptied_at_end(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    consume(w, N_SEGMENT, joinable);
}

static void emptied_by_lease(struct world *w, bool joinable)
{
    few(w, joinable);
    take(w, OTHER, 4);
}

static void full(struct world *w, bool joinable)
{
    open_queue(w, joinable, MAX_ITEMS);
    put_small(w, MAX_ITEMS);
}

static void full_passed(struct world *w, bool joinable)
{
    full(w, joinable);
    consume(w, 3, joinable);
    put_medium(w, 3);
}

/* What the third has leased does not count, until it comes back. */
static void full_leased(struct world *w, bool joinable)
{
    full(w, joinable);
    take(w, OTHER, 1);
    put_small(w, 1);
}

/* ---- holdings of the victim ---- */

static void mine_one(struct world *w, bool joinable)
{
    few(w, joinable);
    take(w, VICTIM, 1);
}

static void mine_all(struct world *w, bool joinable)
{
    few(w, joinable);
    take(w, VICTIM, 4);
}

/* The victim's item is the last that keeps its segment. */
static void mine_keeps_segment(struct world *w, bool joinable)
{
    segment_end(w, joinable);
    put_small(w, 2);
    consume(w, N_SEGMENT - 1, joinable);
    take(w, VICTIM, 2);
}

static void mine_large(struct world *w, bool joinable)
{
    large_first(w, joinable);
    take(w, VICTIM, 2);
}

static void mine_among_others(struct world *w, bool joinable)
{
    few(w, joinable);
    take(w, OTHER, 1);
    take(w, VICTIM, 1);
    take(w, OTHER, 1);
    take(w, VICTIM, 1);
}

/* ---- the lists ---- */

#define PLAIN(state)                                                                               \
    static void plain_##state(struct world *w)                                                     \
    {                                                                                              \
        state(w, false);                                                                           \
    }
#define JOINABLE(state)                                                                            \
    static void joinable_##state(struct world *w)                                                  \
    {                                                                                              \
        state(w, true);                                                                            \
    }
#define STATE(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

PLAIN(fresh)
PLAIN(few)
PLAIN(passed)
PLAIN(segment_end)
PLAIN(head_end)
PLAIN(head_end_again)
PLAIN(spare)
PLAIN(exhausted)
PLAIN(full)
PLAIN(full_passed)
PLAIN(large_first)
PLAIN(large_alone)
PLAIN(large_at_end)
PLAIN(large_twice)
PLAIN(large_exhausted)
PLAIN(emptied)
PLAIN(emptied_at_end)
JOINABLE(few)
JOINABLE(head_end)
JOINABLE(head_end_again)
JOINABLE(exhausted)
JOINABLE(returned)
JOINABLE(returned_one)
JOINABLE(leased)
JOINABLE(large_first)
JOINABLE(emptied)
JOINABLE(emptied_by_lease)
JOINABLE(full)
JOINABLE(full_passed)
JOINABLE(full_leased)
JOINABLE(mine_one)
JOINABLE(mine_all)
JOINABLE(mine_keeps_segment)
JOINABLE(mine_large)
JOINABLE(mine_among_others)

const struct crash_state queue_any[7] = {STATE(plain_fresh), STATE(plain_few),
    STATE(plain_segment_end), STATE(plain_spare), STATE(plain_exhausted), STATE(joinable_returned),
    STATE(joinable_leased)};
const struct crash_state queue_full[5] = {STATE(plain_full), STATE(plain_full_passed),
    STATE(joinable_full), STATE(joinable_full_passed), STATE(joinable_full_leased)};
const struct crash_state queue_plain[6] = {STATE(plain_few), STATE(plain_passed),
    STATE(plain_head_end), STATE(plain_head_end_again), STATE(plain_spare), STATE(plain_full)};
const struct crash_state queue_large[5] = {STATE(plain_large_first), STATE(plain_large_alone),
    STATE(plain_large_at_end), STATE(plain_large_twice), STATE(plain_large_exhausted)};
const struct crash_state queue_joinable[7] = {STATE(joinable_few), STATE(joinable_head_end),
    STATE(joinable_head_end_again), STATE(joinable_returned), STATE(joinable_returned_one),
    STATE(joinable_leased), STATE(joinable_large_first)};
const struct crash_state queue_empty[5] = {STATE(plain_fresh), STATE(plain_emptied),
    STATE(plain_emptied_at_end), STATE(joinable_emptied), STATE(joinable_emptied_by_lease)};
const struct crash_state queue_mine[5] = {STATE(joinable_mine_one), STATE(joinable_mine_all),
    STATE(joinable_mine_keeps_segment), STATE(joinable_mine_large),
    STATE(joinable_mine_among_others)};
const struct crash_state queue_others[5] = {STATE(plain_few), STATE(joinable_few),
    STATE(joinable_head_end), STATE(joinable_leased), STATE(joinable_exhausted)};

/* ---- operations ---- */

int queue_put(struct actor *who)
{
    return bri_queue_put(queue_of(who), broker_int(1), 0);
}

int queue_put_2k(struct actor *who)
{
    return bri_queue_put(queue_of(who), broker_bin(bytes, MEDIUM), 0);
}

int queue_put_large(struct actor *who)
{
    return bri_queue_put(queue_of(who), broker_bin(bytes, LARGE), 0);
}

int queue_put_many(struct actor *who)
{
    return bri_queue_put_many(queue_of(who), broker_packed(many, many_size), 0);
}

/* Waits for room, registered as a sleeper, and gives up. */
int queue_put_timeout(struct actor *who)
{
    return bri_queue_put(queue_of(who), broker_int(1), 1000);
}

int queue_get(struct actor *who)
{
    broker_value v;

    who->out = &out;
    return bri_queue_get(queue_of(who), 0, &out, &v);
}

int queue_get_many(struct actor *who)
{
    broker_value v;

    who->out = &out;
    return bri_queue_get_many(queue_of(who), 3, 0, &out, &v);
}

int queue_get_timeout(struct actor *who)
{
    broker_value v;

    return bri_queue_get(queue_of(who), 1000, &out, &v);
}

int queue_task_done(struct actor *who)
{
    return bri_queue_task_done(queue_of(who));
}

int queue_shutdown(struct actor *who)
{
    return bri_queue_shutdown(queue_of(who));
}

/* It takes the first item as a lease, and dies with it. */
void queue_deliver(struct actor *victim)
{
    struct bri_object *o = &victim->handles[QUEUE].object;
    struct bri_txn t;

    MUST(bri_begin(&t, o, BRI_PATIENCE));
    bri_items_take(&t, (struct bri_items_shm *)o->slot->state, 1, true, BRI_ITEM_COPYING);
    MUST(bri_end(&t, t.failed));
}
