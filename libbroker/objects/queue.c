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
#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/items.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "value/value.h"

#define NOT_EMPTY 0 /* channels */
#define NOT_FULL 1
#define ALL_DONE 2
#define BULK_ROOM 3 /* for those who wait for room for several at once */

#define ITEM_MAX (UINT32_C(1) << 30)        /* encoded bytes of one item */
#define BATCH_BYTES_MAX (UINT32_C(1) << 20) /* a get_many is one section: it must not last */
#define BULK_MAX 65536u                     /* items of one put_many */
#define RETURN_AT_ONCE 16                   /* leases given back in one section */

#define JOINABLE 1u
#define CLOSED 2u

struct queue_shm {
    struct bri_items_shm items;
    uint64_t max_items; /* [const] 0 is none */
    uint64_t max_bytes; /* [const] 0 is none */
    uint64_t flags;     /* [guard] JOINABLE [const], CLOSED */
};

_Static_assert(sizeof(struct queue_shm) <= BRI_SLOT_STATE, "queue state size");

static inline struct queue_shm *state_of(const struct bri_object *o)
{
    return (struct queue_shm *)o->slot->state;
}

static int check_timeout(const struct bri_handle *h, int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : 0;
}

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
static int check_room(const struct queue_shm *q, const struct put *x)
{
    if ((q->flags & CLOSED) != 0)
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
    struct bri_txn *t, struct queue_shm *q, struct put *x, struct bri_place_shm *tail)
{
    uint32_t body = x->body != 0 ? (uint32_t)(bri_unreserve(t, x->body) >> BRI_PAGE_SHIFT) : 0;
    uint8_t *to;

    if (x->body != 0 && body == 0)
        return t->failed;
    to = bri_items_add(t, &q->items, tail, (uint32_t)x->bytes, body, q->items.n_put);
    if (to != NULL && body == 0)
        (void)bri_value_encode(x->value, to);
    return t->failed;
}

static int add_several(
    struct bri_txn *t, struct queue_shm *q, const struct put *x, struct bri_place_shm *tail)
{
    struct bri_iter it = x->items;
    const void *bytes;
    size_t size;

    for (uint64_t i = 0; i < x->n; i++) {
        uint64_t body = 0;
        uint8_t *to;

        if (bri_iter_next(&it, &bytes, &size) < 0)
            return BROKER_INTERNAL; /* it was walked before */
        if (size > BRI_ITEM_INLINE && (body = bri_alloc(t, size)) == 0)
            return t->failed;
        to = bri_items_add(t, &q->items, tail, (uint32_t)size, (uint32_t)(body >> BRI_PAGE_SHIFT),
            q->items.n_put + i);
        if (to == NULL)
            return t->failed;
        memcpy(body != 0 ? t->o->arena->base + body : to, bytes, size);
    }
    return 0;
}

static int put_try(struct bri_txn *t, void *arg)
{
    struct queue_shm *q = state_of(t->o);
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
    bri_wake(t, NOT_EMPTY, x->n < BRI_WAKE_ALL ? (unsigned)x->n : BRI_WAKE_ALL);
    return t->failed;
}

static int reserve_try(struct bri_txn *t, void *arg)
{
    struct put *x = arg;
    int r = check_room(state_of(t->o), x);

    if (r < 0)
        return r; /* no need to copy what is not wanted */
    x->body = bri_reserve(t, x->bytes);
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
    r = bri_blocking(o, NOT_FULL, timeout_ns, BROKER_FULL, put_try, x);
    if (r < 0)
        (void)bri_section(o, release_try, x); /* if that fails, the session's end does it */
    return r;
}

int bri_queue_put(struct bri_handle *h, broker_value value, int64_t timeout_ns)
{
    struct put x = {.value = value, .n = 1};
    size_t size;
    int r = check_timeout(h, timeout_ns);

    if (r == 0)
        r = bri_value_measure(value, &size);
    if (__builtin_expect(r < 0, 0))
        return r;
    if (size > ITEM_MAX)
        return BROKER_TOOBIG;
    x.bytes = size;
    if (__builtin_expect(size > BRI_ITEM_INLINE, 0))
        return put_large(&h->object, &x, timeout_ns);
    r = bri_blocking(&h->object, NOT_FULL, timeout_ns, BROKER_FULL, put_try, &x);
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
        if (size > ITEM_MAX)
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
    int r = check_timeout(h, timeout_ns);

    if (r == 0)
        r = items.type == BROKER_PACKED ? bri_value_measure(items, &size) : BROKER_INVALID;
    if (r == 0)
        r = bri_iter_array(&x.items, items.data, items.size);
    if (r == 0)
        r = measure_items(&x);
    if (r < 0 || x.n == 0)
        return r;
    return bri_blocking(&h->object, BULK_ROOM, timeout_ns, BROKER_FULL, put_try, &x);
}

/* ---- getting ---- */

struct get {
    struct bri_output out;
    uint64_t limit; /* of several; 0 is one item, without an array around it */
    bool large;     /* the item is leased and its bytes are still to be copied, from here: */
    const uint8_t *bytes;
    uint64_t item_off;
    uint32_t size;
    struct bri_place_shm next; /* where the next item will be */
};

/* Room came: for one who waits for a place, and for all who wait for several or for bytes. */
static void wake_putters(struct bri_txn *t, const struct queue_shm *q, uint64_t n)
{
    if ((q->max_items | q->max_bytes) == 0)
        return;
    bri_wake(t, NOT_FULL, q->max_bytes != 0 || n >= BRI_WAKE_ALL ? BRI_WAKE_ALL : (unsigned)n);
    bri_wake(t, BULK_ROOM, BRI_WAKE_ALL);
}

static int nothing_there(const struct queue_shm *q)
{
    return (q->flags & CLOSED) != 0 ? BROKER_CLOSED : BRI_WAIT;
}

/*
 * The first item, alone: its bytes are copied now, or noted to be copied outside if they are many.
 */
static int get_try(struct bri_txn *t, void *arg)
{
    struct queue_shm *q = state_of(t->o);
    struct get *x = arg;
    struct bri_items_cursor c;
    int r;

    bri_items_look(&q->items, &c);
    r = bri_items_next(t->o, &q->items, &c);
    if (r < 0)
        return r == BROKER_EMPTY ? nothing_there(q) : BRI_DAMAGED(t);
    if (bri_output_lacks(&x->out, c.size))
        return BRI_MORE;
    x->large = c.item->body != 0;
    if (x->large) {
        x->bytes = c.bytes;
        x->size = c.size;
        x->item_off = bri_off(t->o->arena, c.item);
    } else {
        bri_copy(x->out.buffer->data, c.bytes, c.size);
    }
    x->out.buffer->size = c.size;
    x->next = c.place;
    bri_items_take(t, &q->items, 1, (q->flags & JOINABLE) != 0, x->large ? BRI_ITEM_COPYING : 0);
    wake_putters(t, q, 1);
    return t->failed;
}

/* How many of the first items fit one batch, and their bytes. A large one ends it. */
static int measure_batch(struct bri_txn *t, const struct queue_shm *q, const struct get *x,
    uint64_t *out_n, uint64_t *out_bytes)
{
    struct bri_items_cursor c;
    uint64_t n = 0, bytes = 0;
    int r = 0;

    bri_items_look(&q->items, &c);
    while (n < x->limit && bytes < BATCH_BYTES_MAX) {
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
    struct queue_shm *q = state_of(t->o);
    struct get *x = arg;
    struct bri_items_cursor c;
    uint64_t n = 0, bytes = 0;
    uint8_t *to;
    int r = measure_batch(t, q, x, &n, &bytes);

    if (r < 0)
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
    bri_items_take(t, &q->items, n, (q->flags & JOINABLE) != 0, x->large ? BRI_ITEM_COPYING : 0);
    wake_putters(t, q, n);
    return t->failed;
}

/* The large item was copied: on a joinable queue it stays leased, on a plain one it is finished. */
static int copied_try(struct bri_txn *t, void *arg)
{
    struct queue_shm *q = state_of(t->o);
    const struct get *x = arg;
    struct bri_item_shm *item = BRI_AT(t->o->arena, x->item_off, struct bri_item_shm);

    if (item == NULL || item->state != BRI_ITEM_LEASED)
        return BROKER_INTERNAL;
    if ((q->flags & JOINABLE) != 0)
        bri_set_bytes(t, &item->flags, &(uint8_t){item->flags & (uint8_t)~BRI_ITEM_COPYING}, 1);
    else
        bri_items_finish(t, &q->items, item);
    return t->failed;
}

static int get(struct bri_handle *h, int64_t timeout_ns, bri_try_fn *try, struct get *x)
{
    /* Only a timeout that ends needs the clock, in case the buffer must grow in between. */
    int64_t deadline = timeout_ns == 0 || timeout_ns == BRI_NEVER ? 0 : bri_deadline(timeout_ns);
    int r;

    for (;;) {
        r = bri_blocking(&h->object, NOT_EMPTY, timeout_ns, BROKER_EMPTY, try, x);
        if (r != BRI_MORE)
            break;
        r = bri_output_grow(&x->out);
        if (r < 0)
            return r;
        if (deadline != 0)
            timeout_ns = deadline - bri_now() > 0 ? deadline - bri_now() : 0;
    }
    if (r < 0 || !x->large)
        return r;
    bri_copy((uint8_t *)x->out.buffer->data + x->out.buffer->size - x->size, x->bytes, x->size);
    return bri_section(&h->object, copied_try, x);
}

int bri_queue_get(
    struct bri_handle *h, int64_t timeout_ns, broker_buffer *buffer, broker_value *out_value)
{
    struct get x = {.out.buffer = buffer};
    int r = check_timeout(h, timeout_ns);

    if (r == 0)
        r = get(h, timeout_ns, get_try, &x);
    bri_items_prefetch_get(&h->object, x.next);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

int bri_queue_get_many(struct bri_handle *h, uint64_t limit, int64_t timeout_ns,
    broker_buffer *buffer, broker_value *out_items)
{
    struct get x = {.out.buffer = buffer, .limit = limit};
    int r = limit == 0 ? BROKER_INVALID : check_timeout(h, timeout_ns);

    if (r == 0)
        r = get(h, timeout_ns, get_many_try, &x);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_items);
}

/* ---- looking ---- */

struct size {
    uint64_t ready, max_items, bytes, max_bytes;
};

static int size_try(struct bri_object *o, void *arg)
{
    const volatile struct queue_shm *q = state_of(o);
    struct size *x = arg;

    x->ready = q->items.n_put + q->items.n_returned - q->items.n_taken;
    x->bytes = q->items.n_bytes;
    x->max_items = q->max_items;
    x->max_bytes = q->max_bytes;
    return 0;
}

int bri_queue_qsize(struct bri_handle *h, uint64_t *out_count)
{
    struct size x = {0};
    int r = bri_read(h, size_try, &x);

    if (r == 0)
        *out_count = x.ready;
    return r;
}

int bri_queue_empty(struct bri_handle *h, bool *out_empty)
{
    struct size x = {0};
    int r = bri_read(h, size_try, &x);

    if (r == 0)
        *out_empty = x.ready == 0;
    return r;
}

int bri_queue_full(struct bri_handle *h, bool *out_full)
{
    struct size x = {0};
    int r = bri_read(h, size_try, &x);

    if (r == 0)
        *out_full = (x.max_items != 0 && x.ready >= x.max_items) ||
                    (x.max_bytes != 0 && x.bytes >= x.max_bytes);
    return r;
}

/* ---- finishing ---- */

static void count_done(struct bri_txn *t, struct queue_shm *q)
{
    if (q->items.n_done < q->items.n_put)
        bri_set64(t, &q->items.n_done, q->items.n_done + 1);
    if (q->items.n_done == q->items.n_put)
        bri_wake(t, ALL_DONE, BRI_WAKE_ALL);
}

static int task_done_try(struct bri_txn *t, void *arg)
{
    struct queue_shm *q = state_of(t->o);
    struct bri_item_shm *item = bri_items_oldest(t);

    (void)arg;
    if (item != NULL)
        bri_items_finish(t, &q->items, item);
    else if (bri_items_unfinished(&q->items) == 0)
        return BROKER_OVERDONE;
    count_done(t, q);
    return t->failed;
}

int bri_queue_task_done(struct bri_handle *h)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, task_done_try, NULL);
}

static int join_try(struct bri_txn *t, void *arg)
{
    (void)arg;
    return bri_items_unfinished(&state_of(t->o)->items) == 0 ? 0 : BRI_WAIT;
}

int bri_queue_join(struct bri_handle *h, int64_t timeout_ns)
{
    int r = check_timeout(h, timeout_ns);

    return r < 0 ? r
                 : bri_blocking(&h->object, ALL_DONE, timeout_ns, BROKER_TIMEDOUT, join_try, NULL);
}

static int shutdown_try(struct bri_txn *t, void *arg)
{
    struct queue_shm *q = state_of(t->o);

    (void)arg;
    if ((q->flags & CLOSED) == 0)
        bri_set64(t, &q->flags, q->flags | CLOSED);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        bri_wake(t, i, BRI_WAKE_ALL);
    return t->failed;
}

int bri_queue_shutdown(struct bri_handle *h)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, shutdown_try, NULL);
}

/* ---- the type ---- */

static int queue_create(struct bri_object *o, const void *options)
{
    const broker_queue_options *wanted = options;
    struct queue_shm *q = state_of(o);

    if (wanted == NULL)
        return 0;
    q->max_items = wanted->max_items;
    q->max_bytes = wanted->max_bytes;
    q->flags = wanted->joinable ? JOINABLE : 0;
    return 0;
}

static int queue_match(const struct bri_object *o, const void *options)
{
    const broker_queue_options *wanted = options;
    const struct queue_shm *q = state_of(o);

    if ((wanted->max_items != 0 && wanted->max_items != q->max_items) ||
        (wanted->max_bytes != 0 && wanted->max_bytes != q->max_bytes) ||
        (wanted->joinable && (q->flags & JOINABLE) == 0))
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->quota_bytes);
}

/* Every lease of the attachment ends, the newest first, so that each finds its place near the
 * front. */
static int queue_reap(struct bri_object *o, bool died)
{
    struct queue_shm *q = state_of(o);
    struct bri_item_shm *item;
    struct bri_txn t;
    bool more = true;
    int r;

    (void)died;
    while (more) {
        r = bri_reap_begin(&t, o);
        if (r < 0)
            return r;
        for (unsigned i = 0; i < RETURN_AT_ONCE && (item = bri_items_last_leased(&t)) != NULL; i++)
            bri_items_return(&t, &q->items, item);
        more = o->att->last_lease != 0; /* not the count: a damaged one must not hang the daemon */
        bri_wake(&t, NOT_EMPTY, BRI_WAKE_ALL);
        r = bri_end(&t, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool queue_ready(struct bri_object *o, struct bri_wait_word *out)
{
    const struct queue_shm *q = state_of(o);

    bri_wait_word_of(o, NOT_EMPTY, out);
    return bri_items_ready(&q->items) != 0 || (*(const volatile uint64_t *)&q->flags & CLOSED) != 0;
}

static void queue_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct queue_shm *q = state_of(o);

    bri_items_audit(o, &q->items, audit);
    if (q->items.n_done > q->items.n_put)
        bri_audit_fail(audit, o, "%llu items are done, but only %llu were put",
            (unsigned long long)q->items.n_done, (unsigned long long)q->items.n_put);
}

static void queue_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct queue_shm *q = state_of(o);

    bri_stat_add(stat, "items", bri_items_ready(&q->items));
    bri_stat_add(stat, "payload_bytes", q->items.n_bytes);
    bri_stat_add(stat, "leased", q->items.n_leased);
    bri_stat_add(stat, "unfinished", bri_items_unfinished(&q->items));
    bri_stat_add(stat, "puts", q->items.n_put);
    bri_stat_add(stat, "takes", q->items.n_taken);
    bri_stat_add(stat, "returned", q->items.n_returned);
    bri_stat_add(stat, "max_items", q->max_items);
    bri_stat_add(stat, "max_bytes", q->max_bytes);
    bri_stat_add(stat, "joinable", (q->flags & JOINABLE) != 0);
    bri_stat_add(stat, "closed", (q->flags & CLOSED) != 0);
}

const struct bri_type_ops bri_queue_type = {
    .number = BRI_TYPE_QUEUE,
    .name = "queue",
    .has_heap = true,
    .create = queue_create,
    .match = queue_match,
    .reap = queue_reap,
    .ready = queue_ready,
    .audit = queue_audit,
    .stat = queue_stat,
};
