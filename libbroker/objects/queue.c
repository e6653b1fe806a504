/*
 * queue.c - the queue type
 *
 * Semantics of CPython 3.11's queue.Queue, and of 3.13's shutdown(); where ours differ it is for
 * crash safety: on a joinable queue a get is a lease that task_done finishes, and what a dead
 * session had leased goes back to its place. A negative timeout is always refused (CPython refuses
 * it only where it would wait). Large items are copied outside the guard, out of a lease: killed in
 * between, the item returns. An item that is lent is leased to a session that reads it where it is.
 */
#include "objects/queue.h"
#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/type.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/queue_save.h"
#include "objects/refs.h"
#include "value/value.h"

/* ---- getting ---- */

void bri_queue_wake_putters(struct bri_txn *t, const struct bri_queue_shm *q, uint64_t n)
{
    if ((q->max_items | q->max_bytes) == 0)
        return;
    bri_wake(
        t, BRI_QUEUE_NOT_FULL, q->max_bytes != 0 || n >= BRI_WAKE_ALL ? BRI_WAKE_ALL : (unsigned)n);
    bri_wake(t, BRI_QUEUE_BULK_ROOM, BRI_WAKE_ALL);
}

static int nothing_there(const struct bri_queue_shm *q)
{
    return (q->flags & BRI_QUEUE_CLOSED) != 0 ? BROKER_CLOSED : BRI_WAIT;
}

/* Notes what was found, and copies it if that is not for later. */
static void give_one(struct bri_txn *t, struct bri_get *x, const struct bri_items_cursor *c)
{
    x->large = c->item->body != 0 && !x->lent;
    x->bytes = c->bytes;
    x->size = c->size;
    x->item_off = bri_off(t->o->arena, c->item);
    if (c->item->body == 0)
        bri_copy(x->out.buffer->data, c->bytes, c->size);
    x->out.buffer->size = x->lent ? 0 : c->size;
}

static unsigned flags_of(const struct bri_get *x)
{
    if (x->by_token)
        return BRI_ITEM_TOKEN | (x->lent ? BRI_ITEM_LENT : 0);
    return x->large ? BRI_ITEM_COPYING : 0;
}

/* After the item was taken. One that is still to be copied must not be taken back meanwhile. */
static int lease_by_token(struct bri_txn *t, struct bri_queue_shm *q, struct bri_get *x)
{
    struct bri_item_shm *item = BRI_AT(t->o->arena, x->item_off, struct bri_item_shm);

    if (t->failed != 0 || item == NULL)
        return t->failed;
    x->token = bri_item_token(t->o, item);
    x->deliveries = item->deliveries;
    if (x->large || x->hold_ns == BRI_NEVER)
        return t->failed;
    return bri_queue_limit(t, q, item, x->hold_ns);
}

int bri_queue_get_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_get *x = arg;
    struct bri_items_cursor c;
    int r = bri_queue_due(t, q);

    if (__builtin_expect(r != 0, 0))
        return r;
    bri_items_look(&q->items, &c);
    r = bri_items_next(t->o, &q->items, &c);
    if (r < 0)
        return r == BROKER_EMPTY ? nothing_there(q) : BRI_DAMAGED(t);
    x->lent = x->in_place && c.item->body != 0;
    if (!x->lent && bri_output_lacks(&x->out, c.size))
        return BRI_MORE;
    give_one(t, x, &c);
    x->next = c.place;
    bri_items_take(
        t, &q->items, 1, x->by_token || (q->flags & BRI_QUEUE_JOINABLE) != 0, (uint8_t)flags_of(x));
    bri_queue_wake_putters(t, q, 1);
    return x->by_token ? lease_by_token(t, q, x) : t->failed;
}

/* How many of the first items fit one batch, and their bytes. A large one ends it. */
static int measure_batch(struct bri_txn *t, const struct bri_queue_shm *q, const struct bri_get *x,
    uint64_t *out_n, uint64_t *out_bytes)
{
    struct bri_items_cursor c;
    uint64_t n = 0, bytes = 0;
    int r = 0;

    bri_items_look(&q->items, &c);
    while (n < x->limit && bytes < BRI_QUEUE_BATCH_BYTES_MAX) {
        r = bri_items_next(t->o, &q->items, &c);
        if (r < 0 || (c.item->body != 0 && n > 0))
            break;
        n++;
        bytes += c.size;
        if (c.item->body != 0)
            break;
    }
    if (r < 0 && r != BROKER_EMPTY)
        return BRI_DAMAGED(t);
    *out_n = n;
    *out_bytes = bytes;
    return 0;
}

static int get_many_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct bri_get *x = arg;
    struct bri_items_cursor c;
    uint64_t n = 0, bytes = 0;
    uint8_t *to;
    int r = bri_queue_due(t, q);

    if (r == 0)
        r = measure_batch(t, q, x, &n, &bytes);
    if (r != 0)
        return r;
    if (n == 0)
        return nothing_there(q);
    if (bri_output_lacks(&x->out, 5 + bytes))
        return BRI_MORE;
    to = x->out.buffer->data;
    to += bri_array_header((uint32_t)n, to);
    bri_items_look(&q->items, &c);
    for (uint64_t i = 0; i < n; i++) {
        if (bri_items_next(t->o, &q->items, &c) < 0)
            return BRI_DAMAGED(t);
        x->large = c.item->body != 0;
        x->bytes = c.bytes;
        x->size = c.size;
        x->item_off = bri_off(t->o->arena, c.item);
        if (!x->large)
            memcpy(to, c.bytes, c.size);
        to += c.size;
    }
    x->out.buffer->size = (size_t)(to - (uint8_t *)x->out.buffer->data);
    bri_items_take(
        t, &q->items, n, (q->flags & BRI_QUEUE_JOINABLE) != 0, x->large ? BRI_ITEM_COPYING : 0);
    bri_queue_wake_putters(t, q, n);
    return t->failed;
}

/* The large item was copied: on a joinable queue it stays leased, on a plain one it is finished. */
static int copied_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    const struct bri_get *x = arg;
    struct bri_item_shm *item = BRI_AT(t->o->arena, x->item_off, struct bri_item_shm);

    if (item == NULL || item->state != BRI_ITEM_LEASED)
        return BROKER_INTERNAL;
    if (x->is_dead) {
        bri_items_finish(t, &q->items, item);
        bri_queue_count_done(t, q);
        return t->failed;
    }
    if (x->by_token)
        return x->hold_ns != BRI_NEVER ? bri_queue_limit(t, q, item, x->hold_ns) : 0;
    if ((q->flags & BRI_QUEUE_JOINABLE) != 0)
        bri_set_bytes(t, &item->flags, &(uint8_t){item->flags & (uint8_t)~BRI_ITEM_COPYING}, 1);
    else
        bri_items_finish(t, &q->items, item);
    return t->failed;
}

/* What another try needs first. */
static int prepare_again(struct bri_handle *h, struct bri_get *x, int why)
{
    return why == BRI_MORE ? bri_output_grow(&x->out) : bri_queue_fire(&h->object);
}

int bri_queue_take(struct bri_handle *h, int64_t timeout_ns, bri_try_fn *try, struct bri_get *x)
{
    /* Only a timeout that ends needs the clock, in case there must be another try. */
    int64_t deadline = timeout_ns == 0 || timeout_ns == BRI_NEVER ? 0 : bri_deadline(timeout_ns);
    int if_now = BROKER_EMPTY, r;

    for (;;) {
        r = bri_blocking(&h->object, BRI_QUEUE_NOT_EMPTY, timeout_ns, if_now, try, x);
        if (r != BRI_MORE && r != BRI_DUE)
            break;
        r = prepare_again(h, x, r);
        if (r < 0)
            return r;
        if (deadline != 0) {
            timeout_ns = deadline - bri_now() > 0 ? deadline - bri_now() : 0;
            if_now = BROKER_TIMEDOUT;
        }
    }
    if (r < 0 || !x->large)
        return r;
    bri_copy((uint8_t *)x->out.buffer->data + x->out.buffer->size - x->size, x->bytes, x->size);
    return x->by_token && x->hold_ns == BRI_NEVER ? 0 : bri_section(&h->object, copied_try, x);
}

int bri_queue_get(
    struct bri_handle *h, int64_t timeout_ns, broker_buffer *buffer, broker_value *out_value)
{
    struct bri_get x = {.out.buffer = buffer};
    int r = bri_queue_check_timeout(h, timeout_ns);

    if (r == 0)
        r = bri_queue_take(h, timeout_ns, bri_queue_get_try, &x);
    bri_items_prefetch_get(&h->object, x.next);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

int bri_queue_get_many(struct bri_handle *h, uint64_t limit, int64_t timeout_ns,
    broker_buffer *buffer, broker_value *out_items)
{
    struct bri_get x = {.out.buffer = buffer, .limit = limit};
    int r = limit == 0 ? BROKER_INVALID : bri_queue_check_timeout(h, timeout_ns);

    if (r == 0)
        r = bri_queue_take(h, timeout_ns, get_many_try, &x);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_items);
}

/* ---- the end ---- */

static int shutdown_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);

    (void)arg;
    if ((q->flags & BRI_QUEUE_CLOSED) == 0)
        bri_set64(t, &q->flags, q->flags | BRI_QUEUE_CLOSED);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        bri_wake(t, i, BRI_WAKE_ALL);
    return t->failed;
}

int bri_queue_shutdown(struct bri_handle *h)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, shutdown_try, NULL);
}

/* ---- clearing ---- */

struct clear {
    uint64_t limit; /* UINT64_MAX: as many as there are at first */
    uint64_t n;     /* in this section */
    bool more;
};

/* Drops the first item. EMPTY if there is none. */
static int drop_first(struct bri_txn *t, struct bri_queue_shm *q)
{
    struct bri_items_cursor c;
    bool large;
    int r;

    bri_items_look(&q->items, &c);
    r = bri_items_next(t->o, &q->items, &c);
    if (r < 0)
        return r == BROKER_EMPTY ? r : BRI_DAMAGED(t);
    large = c.item->body != 0;
    bri_items_take(t, &q->items, 1, false, 0);
    if (large && t->failed == 0) /* it was leased */
        bri_items_finish(t, &q->items, c.item);
    bri_queue_count_done(t, q);
    return t->failed;
}

static int clear_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct clear *x = arg;
    int r = bri_queue_due(t, q);

    x->n = 0;
    if (r != 0)
        return r;
    if (x->limit == UINT64_MAX)
        x->limit = bri_items_ready(&q->items);
    while (r == 0 && x->n < x->limit && bri_items_has_room(t)) {
        r = drop_first(t, q);
        x->n += r == 0;
    }
    x->more = r == 0 && x->n < x->limit;
    bri_queue_wake_putters(t, q, x->n);
    return r == BROKER_EMPTY ? t->failed : r;
}

int bri_queue_clear(struct bri_handle *h, uint64_t *out_count)
{
    struct clear x = {.limit = UINT64_MAX, .more = true};
    uint64_t n = 0;
    int r = h->object.att == NULL ? BROKER_ACCESS : 0;

    while (r == 0 && x.more) {
        r = bri_section(&h->object, clear_try, &x);
        if (r == BRI_DUE) {
            r = bri_queue_fire(&h->object);
            continue;
        }
        n += x.n;
        x.limit -= x.n;
    }
    if (r == 0)
        *out_count = n;
    return r;
}

/* ---- the type ---- */

static uint32_t order_of(const broker_queue_options *wanted)
{
    return wanted->priority ? BRI_PRIORITY : wanted->lifo ? BRI_LIFO : BRI_FIFO;
}

static int queue_create(struct bri_object *o, const void *options)
{
    const broker_queue_options *wanted = options;
    struct bri_queue_shm *q = bri_queue_of(o);

    if (wanted == NULL)
        return 0;
    if ((wanted->lifo && wanted->priority) || wanted->max_deliveries > BRI_DELIVERIES_MAX)
        return BROKER_INVALID;
    q->max_items = wanted->max_items;
    q->max_bytes = wanted->max_bytes;
    q->flags = wanted->joinable ? BRI_QUEUE_JOINABLE : 0;
    q->items.order = order_of(wanted);
    q->items.max_deliveries = (uint32_t)wanted->max_deliveries;
    return 0;
}

static int queue_match(const struct bri_object *o, const void *options)
{
    const broker_queue_options *wanted = options;
    const struct bri_queue_shm *q = bri_queue_of(o);

    if ((wanted->max_items != 0 && wanted->max_items != q->max_items) ||
        (wanted->max_bytes != 0 && wanted->max_bytes != q->max_bytes) ||
        (wanted->max_deliveries != 0 && wanted->max_deliveries != q->items.max_deliveries) ||
        (wanted->joinable && (q->flags & BRI_QUEUE_JOINABLE) == 0) ||
        (wanted->lifo && q->items.order != BRI_LIFO) ||
        (wanted->priority && q->items.order != BRI_PRIORITY))
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->quota_bytes);
}

/* A timer that is due may bring an item. */
static bool queue_ready(struct bri_object *o, struct bri_wait_word *out)
{
    const struct bri_queue_shm *q = bri_queue_of(o);
    int r = bri_queue_settle(o);
    int64_t due_ns = *(const volatile int64_t *)&q->items.due_ns;

    bri_wait_word_of(o, BRI_QUEUE_NOT_EMPTY, out);
    if (due_ns != 0)
        out->look_again_ns = due_ns;
    return r < 0 || bri_items_ready(&q->items) != 0 ||
           (*(const volatile uint64_t *)&q->flags & BRI_QUEUE_CLOSED) != 0;
}

/* Room comes from those who take; the end of a join, from those who have what is left, or from
 * those who could take it. */
static void queue_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out)
{
    const struct bri_queue_shm *q = bri_queue_of(o);
    bool all_taken = bri_items_ready(&q->items) == 0;

    *out = (struct bri_ends){.by = BRI_BY_ANYBODY, .proof = bri_version(o)};
    if (channel == BRI_QUEUE_NOT_FULL || channel == BRI_QUEUE_BULK_ROOM)
        out->by = BRI_BY_USERS;
    else if (channel == BRI_QUEUE_ALL_DONE && q->items.due_ns == 0)
        out->by = all_taken ? BRI_BY_LEASEHOLDERS : BRI_BY_USERS;
}

static void queue_refs(const struct bri_object *o, struct bri_collect_look *look)
{
    bri_items_refs(o, &bri_queue_of(o)->items, look);
}

static void queue_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct bri_queue_shm *q = bri_queue_of(o);

    bri_items_audit(o, &q->items, audit);
    if (q->items.n_done > q->items.n_put)
        bri_audit_fail(audit, o, "%llu items are done, but only %llu were put",
            (unsigned long long)q->items.n_done, (unsigned long long)q->items.n_put);
}

const struct bri_type_ops bri_queue_type = {
    .number = BRI_TYPE_QUEUE,
    .name = "queue",
    .has_heap = true,
    .create = queue_create,
    .match = queue_match,
    .reap = bri_queue_reap,
    .ready = queue_ready,
    .ends = queue_ends,
    .refs = queue_refs,
    .audit = queue_audit,
    .stat = bri_queue_stat,
    .save = bri_queue_save,
    .load = bri_queue_load,
};
