/*
 * queue.c - the queue type
 *
 * Semantics of CPython 3.11's queue.Queue, and of 3.13's shutdown(); where ours differ it is for
 * crash safety: on a joinable queue a get is a lease that task_done finishes, and what a dead
 * session had leased goes back to its place. A negative timeout is always refused (CPython refuses
 * it only where it would wait). Large items are copied outside the guard, into a reserved run on
 * their way in and out of a lease on their way out: killed in between, the run is given back and
 * the item returns.
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
#include "value/value.h"

#define BULK_MAX 65536u /* items of one put_many */

/* ---- putting ---- */

struct put {
    broker_value value;    /* one item, ... */
    struct bri_iter items; /* ... or several, packed */
    uint64_t n;
    uint64_t bytes;
    uint32_t body; /* of one large item: reserved pages that have its bytes already */
    bool several;
    struct bri_place_shm next; /* where the next item will go */
};

/* 0, or BRI_WAIT while there is no room, or why there never will be. */
static int check_room(const struct bri_queue_shm *q, const struct put *x)
{
    if ((q->flags & BRI_QUEUE_CLOSED) != 0)
        return BROKER_CLOSED;
    if ((q->max_items != 0 && x->n > q->max_items) ||
        (q->max_bytes != 0 && x->bytes > q->max_bytes))
        return BROKER_TOOBIG;
    if (q->max_items != 0 && bri_items_ready(&q->items) + x->n > q->max_items)
        return BRI_WAIT;
    if (q->max_bytes != 0 && q->items.n_bytes + x->bytes > q->max_bytes)
        return BRI_WAIT;
    return 0;
}

static int add_one(
    struct bri_txn *t, struct bri_queue_shm *q, struct put *x, struct bri_place_shm *tail)
{
    uint32_t body = x->body != 0 ? (uint32_t)(bri_unreserve(t, x->body) >> BRI_PAGE_SHIFT) : 0;
    uint8_t *to;

    if (x->body != 0 && body == 0)
        return t->failed;
    to = bri_items_add(t, &q->items, tail, (uint32_t)x->bytes, body, q->items.n_put);
    if (to != NULL && body == 0)
        (void)bri_value_encode(x->value, to);
    if (__builtin_expect(to != NULL && q->items.order != BRI_FIFO, 0))
        return bri_items_place(t, &q->items, to);
    return t->failed;
}

/* One item of several. */
static int add_next(struct bri_txn *t, struct bri_queue_shm *q, struct bri_iter *it,
    struct bri_place_shm *tail, uint64_t number)
{
    const void *bytes;
    uint64_t body = 0;
    uint8_t *to;
    size_t size;

    if (bri_iter_next(it, &bytes, &size) < 0)
        return BROKER_INTERNAL; /* it was walked before */
    if (size > bri_items_inline(&q->items) && (body = bri_alloc(t, bri_items_body_size(size))) == 0)
        return t->failed;
    to = bri_items_add(
        t, &q->items, tail, (uint32_t)size, (uint32_t)(body >> BRI_PAGE_SHIFT), number);
    if (to == NULL)
        return t->failed;
    memcpy(body != 0 ? t->o->arena->base + body : to, bytes, size);
    return q->items.order != BRI_FIFO ? bri_items_place(t, &q->items, to) : 0;
}

static int add_several(
    struct bri_txn *t, struct bri_queue_shm *q, const struct put *x, struct bri_place_shm *tail)
{
    struct bri_iter it = x->items;
    int r = 0;

    for (uint64_t i = 0; i < x->n && r == 0; i++)
        r = add_next(t, q, &it, tail, q->items.n_put + i);
    return r;
}

static int put_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct put *x = arg;
    struct bri_place_shm tail = q->items.tail;
    int r = check_room(q, x);

    if (r != 0)
        return r;
    r = x->several ? add_several(t, q, x, &tail) : add_one(t, q, x, &tail);
    if (r < 0)
        return r;
    bri_items_publish(t, &q->items, tail, x->n, x->bytes);
    x->next = tail;
    bri_wake(t, BRI_QUEUE_NOT_EMPTY, x->n < BRI_WAKE_ALL ? (unsigned)x->n : BRI_WAKE_ALL);
    return t->failed;
}

static int reserve_try(struct bri_txn *t, void *arg)
{
    struct put *x = arg;
    int r = check_room(bri_queue_of(t->o), x);

    if (r < 0)
        return r; /* no need to copy what is not wanted */
    x->body = bri_reserve(t, bri_items_body_size(x->bytes));
    return t->failed;
}

static int release_try(struct bri_txn *t, void *arg)
{
    struct put *x = arg;

    bri_release_reserved(t, x->body);
    return t->failed;
}

static int put_large(struct bri_object *o, struct put *x, int64_t timeout_ns)
{
    int r = bri_section(o, reserve_try, x);

    if (r < 0)
        return r;
    (void)bri_value_encode(x->value, bri_page_at(o->arena, x->body));
    r = bri_blocking(o, BRI_QUEUE_NOT_FULL, timeout_ns, BROKER_FULL, put_try, x);
    if (r < 0)
        (void)bri_section(o, release_try, x); /* if that fails, the session's end does it */
    return r;
}

int bri_queue_put(struct bri_handle *h, broker_value value, int64_t timeout_ns)
{
    struct put x = {.value = value, .n = 1};
    size_t size;
    int r = bri_queue_check_timeout(h, timeout_ns);

    if (r == 0)
        r = bri_value_measure(value, &size);
    if (__builtin_expect(r < 0, 0))
        return r;
    if (size > BRI_QUEUE_ITEM_MAX)
        return BROKER_TOOBIG;
    x.bytes = size;
    if (__builtin_expect(size > bri_items_inline(&bri_queue_of(&h->object)->items), 0))
        return put_large(&h->object, &x, timeout_ns);
    r = bri_blocking(&h->object, BRI_QUEUE_NOT_FULL, timeout_ns, BROKER_FULL, put_try, &x);
    bri_items_prefetch_put(&h->object, x.next);
    return r;
}

/* Walks the items once: how many and how large. */
static int measure_items(struct put *x)
{
    struct bri_iter it = x->items;
    const void *bytes;
    size_t size;
    int r;

    for (;;) {
        r = bri_iter_next(&it, &bytes, &size);
        if (r < 0)
            return r == BROKER_EMPTY ? 0 : r;
        if (size > BRI_QUEUE_ITEM_MAX)
            return BROKER_TOOBIG;
        if (++x->n > BULK_MAX)
            return BROKER_TOOBIG;
        x->bytes += size;
    }
}

int bri_queue_put_many(struct bri_handle *h, broker_value items, int64_t timeout_ns)
{
    struct put x = {.several = true};
    size_t size;
    int r = bri_queue_check_timeout(h, timeout_ns);

    if (r == 0)
        r = items.type == BROKER_PACKED ? bri_value_measure(items, &size) : BROKER_INVALID;
    if (r == 0)
        r = bri_iter_array(&x.items, items.data, items.size);
    if (r == 0)
        r = measure_items(&x);
    if (r < 0 || x.n == 0)
        return r;
    return bri_blocking(&h->object, BRI_QUEUE_BULK_ROOM, timeout_ns, BROKER_FULL, put_try, &x);
}

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
    x->large = c->item->body != 0 && !x->in_place;
    x->bytes = c->bytes;
    x->size = c->size;
    x->item_off = bri_off(t->o->arena, c->item);
    if (x->in_place)
        return;
    if (!x->large)
        bri_copy(x->out.buffer->data, c->bytes, c->size);
    x->out.buffer->size = c->size;
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
    unsigned flags;
    int r = bri_queue_due(t, q);

    if (__builtin_expect(r != 0, 0))
        return r;
    bri_items_look(&q->items, &c);
    r = bri_items_next(t->o, &q->items, &c);
    if (r < 0)
        return r == BROKER_EMPTY ? nothing_there(q) : BRI_DAMAGED(t);
    if (!x->in_place && bri_output_lacks(&x->out, c.size))
        return BRI_MORE;
    give_one(t, x, &c);
    x->next = c.place;
    flags = x->by_token ? BRI_ITEM_TOKEN : x->large ? BRI_ITEM_COPYING : 0;
    bri_items_take(
        t, &q->items, 1, x->by_token || (q->flags & BRI_QUEUE_JOINABLE) != 0, (uint8_t)flags);
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
    .audit = queue_audit,
    .stat = bri_queue_stat,
};
