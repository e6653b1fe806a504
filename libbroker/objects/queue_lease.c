/*
 * queue_lease.c - items that were taken: how they are finished, given back and given up
 *
 * A lease that is over by its time is returned by whoever looks next: every operation on leases and
 * every get does that first, and who sleeps wakes up for it.
 */
#include <string.h>

#include "core/attachment.h"
#include "core/type.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "value/value.h"

#define REVIVE_MAX 65536u
#define SLICE_NS BRI_SECOND /* the longest sleep, after which everybody looks anyhow */

/* ---- timers ---- */

void bri_queue_count_done(struct bri_txn *t, struct bri_queue_shm *q)
{
    if (q->items.n_done < q->items.n_put)
        bri_set64(t, &q->items.n_done, q->items.n_done + 1);
    if (q->items.n_done == q->items.n_put)
        bri_wake(t, BRI_QUEUE_ALL_DONE, BRI_WAKE_ALL);
}

/* A dead item is unfinished again. */
static void count_undone(struct bri_txn *t, struct bri_queue_shm *q)
{
    if (q->items.n_done > 0)
        bri_set64(t, &q->items.n_done, q->items.n_done - 1);
}

static void wake_getters(struct bri_txn *t, uint64_t n)
{
    bri_wake(t, BRI_QUEUE_NOT_EMPTY, n < BRI_WAKE_ALL ? (unsigned)n : BRI_WAKE_ALL);
}

static int fire_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_items_fired fired;
    int64_t now = bri_now();
    bool *more = arg;

    bri_items_fire(t, &q->items, now, &fired);
    wake_getters(t, fired.n_ready);
    for (uint32_t i = 0; i < fired.n_dead; i++)
        bri_queue_count_done(t, q);
    *more = q->items.due_ns != 0 && q->items.due_ns <= now;
    return t->failed;
}

int bri_queue_fire(struct bri_object *o)
{
    bool more = true;
    int r = 0;

    while (more && r == 0)
        r = bri_section(o, fire_try, &more);
    return r;
}

/* A try that may find a timer due. */
static int settled_section(struct bri_object *o, bri_try_fn *try, void *arg)
{
    int r;

    do {
        r = bri_section(o, try, arg);
        if (r != BRI_DUE)
            return r;
        r = bri_queue_fire(o);
    } while (r == 0);
    return r;
}

/* Sleepers know the time of the timer that was the first when they looked last; those that sleep
 * for a while more than this look by themselves. */
static void tell_sleepers(struct bri_txn *t, const struct bri_queue_shm *q, int64_t due_before_ns)
{
    if (q->items.due_ns == 0 || q->items.due_ns == due_before_ns ||
        q->items.due_ns >= bri_now() + SLICE_NS)
        return;
    bri_wake(t, BRI_QUEUE_NOT_EMPTY, BRI_WAKE_ALL);
    bri_wake(t, BRI_QUEUE_ALL_DONE, BRI_WAKE_ALL);
}

int bri_queue_limit(
    struct bri_txn *t, struct bri_queue_shm *q, struct bri_item_shm *item, int64_t hold_ns)
{
    int64_t due_before_ns = q->items.due_ns, due_ns = bri_deadline(hold_ns);

    if (bri_items_limit(t, &q->items, item, due_ns != BRI_NEVER ? due_ns : 0) == 0)
        tell_sleepers(t, q, due_before_ns);
    return t->failed;
}

/* ---- leases by token ---- */

/* The outputs of a lease that @x has been filled for. */
static int give_lease(
    const struct bri_get *x, broker_value *out_value, uint64_t *out_token, uint64_t *out_deliveries)
{
    const broker_buffer *buffer = x->out.buffer;
    int r = x->lent ? bri_value_decode(x->bytes, x->size, out_value)
                    : bri_value_decode(buffer->data, buffer->size, out_value);

    if (r < 0)
        return r;
    *out_token = x->token;
    *out_deliveries = x->deliveries;
    return 0;
}

static int lease(struct bri_handle *h, int64_t timeout_ns, struct bri_get *x)
{
    int r = x->hold_ns <= 0 ? BROKER_INVALID : bri_queue_check_timeout(h, timeout_ns);

    return r == 0 ? bri_queue_take(h, timeout_ns, bri_queue_get_try, x) : r;
}

int bri_queue_lease(struct bri_handle *h, int64_t timeout_ns, int64_t hold_ns,
    broker_buffer *buffer, broker_value *out_value, uint64_t *out_token, uint64_t *out_deliveries)
{
    struct bri_get x = {.out.buffer = buffer, .by_token = true, .hold_ns = hold_ns};
    int r = lease(h, timeout_ns, &x);

    return r == 0 ? give_lease(&x, out_value, out_token, out_deliveries) : r;
}

int bri_queue_lease_in_place(struct bri_handle *h, int64_t timeout_ns, int64_t hold_ns,
    broker_buffer *buffer, broker_value *out_item, uint64_t *out_token, uint64_t *out_deliveries)
{
    struct bri_get x = {
        .out.buffer = buffer, .by_token = true, .in_place = true, .hold_ns = hold_ns};
    int r = lease(h, timeout_ns, &x);

    return r == 0 ? give_lease(&x, out_item, out_token, out_deliveries) : r;
}

/* What is to become of a lease. */
struct end {
    uint64_t token;
    int64_t ns; /* delay or time to hold */
};

/* The item of the token, when every lease that is over by its time is over. */
static int find_lease(struct bri_txn *t, const struct end *x, struct bri_item_shm **out)
{
    const struct bri_queue_shm *q = bri_queue_of(t->o);
    int r = bri_queue_due(t, q);

    return r != 0 ? r : bri_items_of_token(t, &q->items, x->token, out);
}

static int done_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_item_shm *item;
    int r = find_lease(t, arg, &item);

    if (r != 0)
        return r;
    bri_items_finish(t, &q->items, item);
    bri_queue_count_done(t, q);
    return t->failed;
}

int bri_queue_done(struct bri_handle *h, uint64_t token)
{
    struct end x = {.token = token};

    return h->object.att == NULL ? BROKER_ACCESS : settled_section(&h->object, done_try, &x);
}

static int return_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    int64_t due_before_ns = q->items.due_ns;
    const struct end *x = arg;
    struct bri_item_shm *item;
    int r = find_lease(t, x, &item);

    if (r != 0)
        return r;
    if (bri_items_return(t, &q->items, item, x->ns != 0 ? bri_deadline(x->ns) : 0))
        bri_queue_count_done(t, q);
    else if (x->ns == 0)
        wake_getters(t, 1);
    else
        tell_sleepers(t, q, due_before_ns);
    return t->failed;
}

int bri_queue_return(struct bri_handle *h, uint64_t token, int64_t delay_ns)
{
    struct end x = {.token = token, .ns = delay_ns};

    if (delay_ns < 0 || delay_ns == BRI_NEVER)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : settled_section(&h->object, return_try, &x);
}

static int extend_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    const struct end *x = arg;
    struct bri_item_shm *item;
    int r = find_lease(t, x, &item);

    return r != 0 ? r : bri_queue_limit(t, q, item, x->ns);
}

int bri_queue_extend(struct bri_handle *h, uint64_t token, int64_t hold_ns)
{
    struct end x = {.token = token, .ns = hold_ns};

    if (hold_ns <= 0)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : settled_section(&h->object, extend_try, &x);
}

/* ---- leases of plain gets ---- */

static int task_done_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_item_shm *item = bri_items_oldest(t);

    (void)arg;
    if (item != NULL)
        bri_items_finish(t, &q->items, item);
    else if (bri_items_unfinished(&q->items) == 0)
        return BROKER_OVERDONE;
    bri_queue_count_done(t, q);
    return t->failed;
}

int bri_queue_task_done(struct bri_handle *h)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, task_done_try, NULL);
}

/* An item that dies by its timer is finished too. */
static int join_try(struct bri_txn *t, void *arg)
{
    const struct bri_queue_shm *q = bri_queue_of(t->o);
    int r = q->items.max_deliveries != 0 ? bri_queue_due(t, q) : 0;

    (void)arg;
    if (r != 0)
        return r;
    return bri_items_unfinished(&q->items) == 0 ? 0 : BRI_WAIT;
}

static int join_look(struct bri_object *o, void *arg)
{
    *(bool *)arg = bri_items_unfinished(&bri_queue_of(o)->items) == 0;
    return 0;
}

/* Who may only read can look, but not be counted among those who wait. */
static int join_reading(struct bri_handle *h, int64_t timeout_ns)
{
    bool done = false;
    int r = bri_read(h, join_look, &done);

    if (r < 0 || done)
        return r;
    return timeout_ns == 0 ? BROKER_TIMEDOUT : BROKER_ACCESS;
}

int bri_queue_join(struct bri_handle *h, int64_t timeout_ns)
{
    int64_t deadline = bri_deadline(timeout_ns);
    int r = timeout_ns < 0 ? BROKER_INVALID : 0;

    if (r == 0 && h->object.att == NULL)
        return join_reading(h, timeout_ns);
    while (r == 0) {
        r = bri_blocking(
            &h->object, BRI_QUEUE_ALL_DONE, timeout_ns, BROKER_TIMEDOUT, join_try, NULL);
        if (r != BRI_DUE)
            return r;
        r = bri_queue_fire(&h->object);
        if (deadline != BRI_NEVER)
            timeout_ns = deadline - bri_now() > 0 ? deadline - bri_now() : 0;
    }
    return r;
}

/* ---- the dead ---- */

/* One of many bytes is leased while these are copied: if that fails, it is among the dead again. */
static int take_dead_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_get *x = arg;
    struct bri_item_shm *item;
    int r = bri_queue_due(t, q);

    if (r != 0)
        return r;
    item = bri_items_first_dead(t);
    if (item == NULL)
        return t->failed != 0 ? t->failed : BRI_WAIT;
    if (bri_output_lacks(&x->out, item->size))
        return BRI_MORE;
    if (bri_item_at(t->o, bri_off(t->o->arena, item), &x->bytes, &x->size) == NULL)
        return BRI_DAMAGED(t);
    x->large = item->body != 0;
    x->out.buffer->size = x->size;
    x->item_off = bri_off(t->o->arena, item);
    if (!x->large) {
        memcpy(x->out.buffer->data, x->bytes, x->size);
        bri_items_drop_dead(t, &q->items, item);
        return t->failed;
    }
    bri_items_lease_dead(t, &q->items, item);
    count_undone(t, q);
    return t->failed;
}

int bri_queue_take_dead(struct bri_handle *h, broker_buffer *buffer, broker_value *out_value)
{
    struct bri_get x = {.out.buffer = buffer, .is_dead = true};
    int r = h->object.att == NULL ? BROKER_ACCESS : 0;

    if (r == 0)
        r = bri_queue_take(h, 0, take_dead_try, &x);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

struct revive {
    uint64_t limit, n;
};

static int revive_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct revive *x = arg;
    struct bri_item_shm *item;
    int r = bri_queue_due(t, q);

    x->n = 0;
    if (r != 0)
        return r;
    while (x->n < x->limit && (item = bri_items_first_dead(t)) != NULL && t->failed == 0) {
        bri_items_revive(t, &q->items, item);
        count_undone(t, q);
        x->n++;
    }
    wake_getters(t, x->n);
    return t->failed;
}

int bri_queue_revive(struct bri_handle *h, uint64_t limit, uint64_t *out_count)
{
    struct revive x = {.limit = limit < REVIVE_MAX ? limit : REVIVE_MAX};
    int r = h->object.att == NULL ? BROKER_ACCESS : settled_section(&h->object, revive_try, &x);

    if (r == 0)
        *out_count = x.n;
    return r;
}

/* ---- the end of a session ---- */

/* Some leases of the attachment end, at least one. True if there are more, though not by the count:
 * a damaged one must not hang the daemon. */
static bool return_some(struct bri_txn *t)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_item_shm *item;

    while (bri_items_has_room(t) && t->failed == 0 && (item = bri_items_last_leased(t)) != NULL)
        if (bri_items_return(t, &q->items, item, 0))
            bri_queue_count_done(t, q);
    bri_wake(t, BRI_QUEUE_NOT_EMPTY, BRI_WAKE_ALL);
    return (t->o->att->last_lease | t->o->att->held[1]) != 0;
}

/* Every lease of the attachment ends, the newest first, so that each finds its place near the
 * front. */
int bri_queue_reap(struct bri_object *o, bool died)
{
    struct bri_txn t;
    bool more = true;
    int r = 0;

    (void)died;
    while (more || r == BRI_AGAIN) {
        r = bri_reap_begin(&t, o);
        if (r < 0)
            return r;
        more = return_some(&t);
        r = bri_end(&t, 0);
        if (r < 0)
            return r;
    }
    return 0;
}
