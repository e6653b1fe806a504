/*
 * cases_queue_lease.c - leases by token, the dead, items in place, and queues of other orders
 */
#include <broker.h>

#include "cases.h"
#include "core/session.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "value/value.h"

#define LARGE 5000u
#define HOUR (3600 * BROKER_SECOND)
#define MANY 40u

static uint8_t bytes[LARGE];
static broker_buffer out;

/* Of the victim's lease, and what it has reserved. */
static uint64_t token;
static void *memory;

static struct bri_handle *queue_of(struct actor *who)
{
    return &who->handles[QUEUE];
}

void queue_lease_make_arguments(void)
{
    crash_make_buffer(&out, 4 * LARGE);
}

void queue_lease_free_arguments(void)
{
    broker_buffer_free(&out);
}

/* ---- start states ---- */

static void open_queue(struct world *w, const broker_queue_options *options)
{
    for (int i = 0; i < N_ACTORS; i++)
        world_open_queue(w, (enum who)i, options);
}

static void put(struct world *w, broker_value value)
{
    MUST(bri_queue_put(queue_of(&w->actors[PEER]), value, 0));
}

/* Leases the first item; @hold_ns as for the operation. */
static uint64_t lease_for(struct world *w, enum who who, int64_t hold_ns)
{
    uint64_t of_lease, deliveries;
    broker_value v;

    MUST(bri_queue_lease(queue_of(&w->actors[who]), 0, hold_ns, &out, &v, &of_lease, &deliveries));
    return of_lease;
}

static uint64_t lease(struct world *w, enum who who)
{
    return lease_for(w, who, BROKER_FOREVER);
}

static void give_back(struct world *w, enum who who, uint64_t of_lease, int64_t delay_ns)
{
    MUST(bri_queue_return(queue_of(&w->actors[who]), of_lease, delay_ns));
}

/* Neither the order of puts nor its reverse is that of the values. */
static void few(struct world *w, const broker_queue_options *options)
{
    static const int64_t numbers[] = {30, 10, 50, 20, 40};

    open_queue(w, options);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        put(w, broker_int(numbers[i]));
}

static void fifo_few(struct world *w)
{
    few(w, NULL);
}

static void lifo_few(struct world *w)
{
    few(w, &(broker_queue_options){.lifo = true});
}

static void priority_few(struct world *w)
{
    few(w, &(broker_queue_options){.priority = true});
}

/* Some came back, some are away for a while, some are others'. */
static void mixed(struct world *w, const broker_queue_options *options)
{
    uint64_t first, second;

    few(w, options);
    first = lease(w, OTHER);
    second = lease(w, OTHER);
    (void)lease_for(w, OTHER, HOUR);
    give_back(w, OTHER, first, 0);
    give_back(w, OTHER, second, HOUR);
}

static void fifo_mixed(struct world *w)
{
    mixed(w, &(broker_queue_options){.joinable = true});
}

static void lifo_mixed(struct world *w)
{
    mixed(w, &(broker_queue_options){.lifo = true});
}

static void priority_mixed(struct world *w)
{
    mixed(w, &(broker_queue_options){.priority = true});
}

static void fifo_exhausted(struct world *w)
{
    fifo_few(w);
    world_exhaust(w);
}

static void priority_tasks(struct world *w)
{
    few(w, &(broker_queue_options){.priority = true, .joinable = true});
}

static void priority_fresh(struct world *w)
{
    open_queue(w, &(broker_queue_options){.priority = true});
}

static void with_large(struct world *w, const broker_queue_options *options)
{
    open_queue(w, options);
    put(w, broker_bin(bytes, LARGE));
    put(w, broker_bin(bytes, LARGE));
}

static void fifo_large(struct world *w)
{
    with_large(w, NULL);
}

static void lifo_large(struct world *w)
{
    with_large(w, &(broker_queue_options){.lifo = true});
}

static void priority_large(struct world *w)
{
    with_large(w, &(broker_queue_options){.priority = true});
}

static void joinable_large(struct world *w)
{
    with_large(w, &(broker_queue_options){.joinable = true});
}

/* ---- leases of the victim ---- */

static uint64_t lend(struct world *w, enum who who)
{
    uint64_t of_lease, deliveries;
    broker_value v;

    MUST(bri_queue_lease_in_place(
        queue_of(&w->actors[who]), 0, BROKER_FOREVER, &out, &v, &of_lease, &deliveries));
    return of_lease;
}

static void large_others(struct world *w)
{
    fifo_large(w);
    put(w, broker_bin(bytes, LARGE));
    (void)lend(w, OTHER);
}

static void fifo_mine(struct world *w)
{
    fifo_few(w);
    token = lease(w, VICTIM);
}

/* Between another of the victim's own and others'. */
static void fifo_mine_among(struct world *w)
{
    fifo_few(w);
    (void)lease(w, VICTIM);
    (void)lease(w, OTHER);
    token = lease(w, VICTIM);
    (void)lease(w, VICTIM);
}

static void fifo_mine_limited(struct world *w)
{
    fifo_few(w);
    (void)lease_for(w, OTHER, HOUR / 2);
    token = lease_for(w, VICTIM, HOUR);
}

static void lifo_mine(struct world *w)
{
    lifo_mixed(w);
    token = lease(w, VICTIM);
}

static void priority_mine(struct world *w)
{
    priority_mixed(w);
    token = lease_for(w, VICTIM, HOUR);
}

static void large_mine(struct world *w)
{
    fifo_large(w);
    token = lease(w, VICTIM);
}

static void lent_mine(struct world *w)
{
    fifo_large(w);
    token = lend(w, VICTIM);
    (void)lend(w, OTHER);
}

static void lent_mine_priority(struct world *w)
{
    priority_large(w);
    (void)lend(w, VICTIM);
    token = lend(w, VICTIM);
}

/* ---- the dead ---- */

/* The victim's lease is the last delivery that its item gets, after @n others have died. */
static void dying(struct world *w, broker_queue_options options, unsigned n)
{
    options.max_deliveries = 1;
    few(w, &options);
    for (unsigned i = 0; i < n; i++)
        give_back(w, OTHER, lease(w, OTHER), 0);
    token = lease(w, VICTIM);
}

static void fifo_dying(struct world *w)
{
    dying(w, (broker_queue_options){.joinable = true}, 0);
}

static void fifo_dying_after(struct world *w)
{
    dying(w, (broker_queue_options){0}, 2);
}

static void lifo_dying(struct world *w)
{
    dying(w, (broker_queue_options){.lifo = true}, 1);
}

static void priority_dying(struct world *w)
{
    dying(w, (broker_queue_options){.priority = true}, 1);
}

static void lent_dying(struct world *w)
{
    with_large(w, &(broker_queue_options){.max_deliveries = 1});
    token = lend(w, VICTIM);
}

static void dead(struct world *w, broker_queue_options options, unsigned n)
{
    options.max_deliveries = 1;
    few(w, &options);
    for (unsigned i = 0; i < n; i++)
        give_back(w, OTHER, lease(w, OTHER), 0);
}

static void fifo_dead_one(struct world *w)
{
    dead(w, (broker_queue_options){0}, 1);
}

static void fifo_dead_all(struct world *w)
{
    dead(w, (broker_queue_options){.joinable = true}, 5);
}

static void lifo_dead(struct world *w)
{
    dead(w, (broker_queue_options){.lifo = true}, 3);
}

static void priority_dead(struct world *w)
{
    dead(w, (broker_queue_options){.priority = true}, 3);
}

static void fifo_dead_among(struct world *w)
{
    dead(w, (broker_queue_options){0}, 2);
    (void)lease(w, OTHER);
    (void)lease(w, VICTIM);
}

static void large_dead_of(struct world *w, broker_queue_options options)
{
    options.max_deliveries = 1;
    with_large(w, &options);
    put(w, broker_bin(bytes, 10));
    for (unsigned i = 0; i < 2; i++)
        give_back(w, OTHER, lease(w, OTHER), 0);
}

static void large_dead(struct world *w)
{
    large_dead_of(w, (broker_queue_options){0});
}

static void large_dead_joinable(struct world *w)
{
    large_dead_of(w, (broker_queue_options){.joinable = true});
}

static void large_dead_priority(struct world *w)
{
    open_queue(w, &(broker_queue_options){.priority = true, .max_deliveries = 1});
    put(w, broker_bin(bytes, LARGE));
    give_back(w, OTHER, lease(w, OTHER), 0);
}

static void large_dead_alone(struct world *w)
{
    open_queue(w, &(broker_queue_options){.max_deliveries = 1});
    put(w, broker_bin(bytes, LARGE));
    give_back(w, OTHER, lend(w, OTHER), 0);
}

static void large_dead_exhausted(struct world *w)
{
    large_dead(w);
    world_exhaust(w);
}

/* ---- in place ---- */

static void reserve(struct world *w, enum who who)
{
    void *of_who;

    MUST(bri_queue_reserve(queue_of(&w->actors[who]), LARGE, &of_who));
    memory = of_who;
}

static void fifo_reserved(struct world *w)
{
    fifo_mixed(w);
    reserve(w, VICTIM);
}

static void fresh_reserved(struct world *w)
{
    open_queue(w, NULL);
    reserve(w, VICTIM);
}

static void lifo_reserved(struct world *w)
{
    lifo_few(w);
    reserve(w, VICTIM);
}

static void priority_reserved(struct world *w)
{
    priority_large(w);
    reserve(w, VICTIM);
}

/* Not the first of its list, which has what it was lent, too; others have some of their own. */
static void reserved_among(struct world *w)
{
    void *of_victim;

    large_others(w);
    reserve(w, OTHER);
    reserve(w, VICTIM);
    of_victim = memory;
    (void)lend(w, VICTIM);
    reserve(w, VICTIM);
    memory = of_victim;
}

static void reserved_exhausted(struct world *w)
{
    fifo_reserved(w);
    world_exhaust(w);
}

/* ---- what the end of a session gives back ---- */

static void many(struct world *w, const broker_queue_options *options)
{
    open_queue(w, options);
    for (unsigned i = 0; i < MANY; i++)
        put(w, broker_int(i * 7 % MANY));
    for (unsigned i = 0; i < MANY; i++)
        (void)lease(w, i % 3 == 0 ? OTHER : VICTIM);
    world_exhaust(w); /* the journal cannot grow */
}

static void fifo_many(struct world *w)
{
    many(w, NULL);
}

static void lifo_many(struct world *w)
{
    many(w, &(broker_queue_options){.lifo = true});
}

static void priority_many(struct world *w)
{
    many(w, &(broker_queue_options){.priority = true});
}

static void dying_many(struct world *w)
{
    many(w, &(broker_queue_options){.joinable = true, .max_deliveries = 1});
}

/* Leases of both kinds, lent and reserved pages. */
static void all_kinds(struct world *w)
{
    broker_value v;

    large_others(w);
    put(w, broker_bin(bytes, LARGE));
    (void)lend(w, VICTIM);
    (void)lease_for(w, VICTIM, HOUR);
    for (unsigned i = 0; i < 3; i++)
        put(w, broker_int(i));
    MUST(bri_queue_get(queue_of(&w->actors[VICTIM]), 0, &out, &v));
    (void)lease_for(w, VICTIM, HOUR);
    reserve(w, VICTIM);
}

/* ---- the lists ---- */

#define STATE(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

const struct crash_state queue_leasable[7] = {STATE(fifo_few), STATE(lifo_few), STATE(priority_few),
    STATE(fifo_mixed), STATE(lifo_mixed), STATE(priority_mixed), STATE(fifo_exhausted)};
const struct crash_state queue_lendable[5] = {STATE(fifo_large), STATE(lifo_large),
    STATE(priority_large), STATE(joinable_large), STATE(large_others)};
const struct crash_state queue_by_token[8] = {STATE(fifo_mine), STATE(fifo_mine_among),
    STATE(fifo_mine_limited), STATE(lifo_mine), STATE(priority_mine), STATE(large_mine),
    STATE(lent_mine), STATE(lent_mine_priority)};
const struct crash_state queue_dying[5] = {STATE(fifo_dying), STATE(fifo_dying_after),
    STATE(lifo_dying), STATE(priority_dying), STATE(lent_dying)};
const struct crash_state queue_dead[5] = {STATE(fifo_dead_one), STATE(fifo_dead_all),
    STATE(lifo_dead), STATE(priority_dead), STATE(fifo_dead_among)};
const struct crash_state queue_dead_large[5] = {STATE(large_dead), STATE(large_dead_joinable),
    STATE(large_dead_priority), STATE(large_dead_alone), STATE(large_dead_exhausted)};
const struct crash_state queue_ordered[5] = {STATE(lifo_few), STATE(priority_few),
    STATE(lifo_mixed), STATE(priority_mixed), STATE(priority_tasks)};
const struct crash_state queue_ordered_large[5] = {STATE(lifo_large), STATE(priority_large),
    STATE(lifo_few), STATE(lifo_mixed), STATE(priority_fresh)};
const struct crash_state queue_fresh_or_not[6] = {STATE(fifo_few), STATE(fifo_exhausted),
    STATE(lifo_mixed), STATE(priority_fresh), STATE(lent_mine), STATE(large_others)};
const struct crash_state queue_reserved[6] = {STATE(fifo_reserved), STATE(fresh_reserved),
    STATE(lifo_reserved), STATE(priority_reserved), STATE(reserved_among),
    STATE(reserved_exhausted)};
const struct crash_state queue_held[5] = {
    STATE(fifo_many), STATE(lifo_many), STATE(priority_many), STATE(dying_many), STATE(all_kinds)};

/* ---- operations ---- */

static int lease_of(struct actor *who, int64_t hold_ns)
{
    uint64_t of_lease, deliveries = 0;
    broker_value v;
    int r = bri_queue_lease(queue_of(who), 0, hold_ns, &out, &v, &of_lease, &deliveries);

    who->out = &out;
    who->answer = (int64_t)deliveries;
    return r;
}

int queue_lease(struct actor *who)
{
    return lease_of(who, BROKER_FOREVER);
}

int queue_lease_limited(struct actor *who)
{
    return lease_of(who, HOUR);
}

int queue_lease_in_place(struct actor *who)
{
    uint64_t of_lease, deliveries;
    broker_value v;

    return bri_queue_lease_in_place(
        queue_of(who), 0, BROKER_FOREVER, &out, &v, &of_lease, &deliveries);
}

int queue_done(struct actor *who)
{
    return bri_queue_done(queue_of(who), token);
}

int queue_return(struct actor *who)
{
    return bri_queue_return(queue_of(who), token, 0);
}

int queue_return_later(struct actor *who)
{
    return bri_queue_return(queue_of(who), token, HOUR);
}

int queue_extend(struct actor *who)
{
    return bri_queue_extend(queue_of(who), token, 2 * HOUR);
}

int queue_extend_for_ever(struct actor *who)
{
    return bri_queue_extend(queue_of(who), token, BROKER_FOREVER);
}

int queue_take_dead(struct actor *who)
{
    broker_value v;

    who->out = &out;
    return bri_queue_take_dead(queue_of(who), &out, &v);
}

/* It leases the first item, and dies before it is copied and the lease limited. */
void queue_deliver_by_token(struct actor *victim)
{
    struct bri_object *o = &queue_of(victim)->object;
    struct bri_txn t;

    MUST(bri_begin(&t, o, BRI_PATIENCE));
    bri_items_take(&t, &bri_queue_of(o)->items, 1, true, BRI_ITEM_TOKEN);
    MUST(bri_end(&t, t.failed));
}

/* It takes a dead item as a lease, to copy it, and dies with it. */
void queue_deliver_dead(struct actor *victim)
{
    struct bri_object *o = &queue_of(victim)->object;
    struct bri_queue_shm *q = bri_queue_of(o);
    struct bri_txn t;

    MUST(bri_begin(&t, o, BRI_PATIENCE));
    bri_items_lease_dead(&t, &q->items, bri_items_first_dead(&t));
    bri_set64(&t, &q->items.n_done, q->items.n_done - 1);
    MUST(bri_end(&t, t.failed));
}

int queue_revive(struct actor *who)
{
    uint64_t n = 0;
    int r = bri_queue_revive(queue_of(who), 2, &n);

    who->answer = (int64_t)n;
    return r;
}

int queue_reserve(struct actor *who)
{
    void *of_who;

    return bri_queue_reserve(queue_of(who), LARGE, &of_who);
}

int queue_commit(struct actor *who)
{
    return bri_queue_commit(queue_of(who), memory, LARGE - 100, 0);
}

int queue_cancel(struct actor *who)
{
    return bri_queue_cancel(queue_of(who), memory);
}

int queue_clear(struct actor *who)
{
    uint64_t n = 0;
    int r = bri_queue_clear(queue_of(who), &n);

    who->answer = (int64_t)n;
    return r;
}

/* All but the last item are gone: the rest was for another section. */
void queue_clear_most(struct actor *victim)
{
    struct bri_handle *h = queue_of(victim);
    broker_value v;

    while (bri_items_ready(&bri_queue_of(&h->object)->items) > 1) {
        MUST(bri_queue_get(h, 0, &out, &v));
        MUST(bri_queue_task_done(h));
    }
}
