/*
 * queue_put.c - how items come into a queue
 *
 * Small ones are written in the section that puts them. Large ones are copied outside the guard, or
 * written by the caller, into a run that is reserved for the session, and only linked in the
 * section: killed in between, the run is given back; if the queue is destroyed meanwhile, the run
 * stays the session's until it has let go of the queue.
 */
#include <string.h>

#include "core/heap.h"
#include "core/type.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "objects/refs.h"
#include "value/value.h"

#define BULK_MAX 65536u /* items of one put_many */

struct put {
    broker_value value;    /* one item, ... */
    struct bri_iter items; /* ... or several, packed */
    uint64_t n;
    uint64_t bytes;
    uint32_t body;   /* of one large item: reserved pages that have its bytes already */
    uint32_t margin; /* before the bytes, of an item that was written in place; else 0 */
    bool several;
    bool has_refs;             /* there are references in the items */
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
    if (__builtin_expect(x->has_refs, 0) && bri_refs_store(t, x->value) < 0)
        return t->failed;
    to = bri_items_add(t, &q->items, tail, (uint32_t)x->bytes, body, q->items.n_put);
    if (to != NULL && body == 0)
        (void)bri_value_encode(x->value, to);
    else if (to != NULL && x->margin != 0)
        bri_item_of_bytes(to)->flags = BRI_ITEM_IN_PLACE;
    if (__builtin_expect(to != NULL && q->items.order != BRI_FIFO, 0))
        return bri_items_place(t, &q->items, to);
    return t->failed;
}

/* One item of several. */
static int add_next(struct bri_txn *t, const struct put *x, struct bri_iter *it,
    struct bri_place_shm *tail, uint64_t number)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    const void *bytes;
    uint64_t body = 0;
    uint8_t *to;
    size_t size;

    if (bri_iter_next(it, &bytes, &size) < 0)
        return BROKER_INTERNAL; /* it was walked before */
    if (x->has_refs && bri_ref_in(broker_packed(bytes, size)) &&
        bri_refs_store(t, broker_packed(bytes, size)) < 0)
        return t->failed;
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
        r = add_next(t, x, &it, tail, q->items.n_put + i);
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
    x->body = bri_reserve(t, bri_items_body_size(x->margin + x->bytes));
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
    x.has_refs = bri_ref_in(value);
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
    x.has_refs = r == 0 && bri_ref_in(items);
    if (r < 0 || x.n == 0)
        return r;
    return bri_blocking(&h->object, BRI_QUEUE_BULK_ROOM, timeout_ns, BROKER_FULL, put_try, &x);
}

/* ---- in place ---- */

static int check_size(const struct bri_handle *h, uint64_t size)
{
    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return size > BRI_QUEUE_ITEM_MAX - BRI_ITEM_BIN_HEAD ? BROKER_TOOBIG : 0;
}

int bri_queue_reserve(struct bri_handle *h, uint64_t size, void **out_memory)
{
    struct put x = {.n = 1, .bytes = BRI_ITEM_BIN_HEAD + size, .margin = BRI_ITEM_MARGIN};
    int r = check_size(h, size);

    if (r == 0)
        r = bri_section(&h->object, reserve_try, &x);
    if (r == 0)
        *out_memory =
            (uint8_t *)bri_page_at(h->object.arena, x.body) + BRI_ITEM_MARGIN + BRI_ITEM_BIN_HEAD;
    return r;
}

/* The run that @memory was given for; 0 if it can't be one. */
static uint32_t body_of(const struct bri_handle *h, const void *memory)
{
    const struct bri_arena *a = h->object.arena;
    uint64_t off = (uint64_t)((uintptr_t)memory - (uintptr_t)a->base);
    uint64_t before = BRI_ITEM_MARGIN + BRI_ITEM_BIN_HEAD;

    return off < a->size && off % BRI_PAGE_SIZE == before ? (uint32_t)(off >> BRI_PAGE_SHIFT) : 0;
}

/* Whether the memory is this session's comes first: it may be an item by now. */
static int commit_try(struct bri_txn *t, void *arg)
{
    struct put *x = arg;
    uint32_t size = __builtin_bswap32((uint32_t)x->bytes - BRI_ITEM_BIN_HEAD);
    uint8_t *head;

    if (x->margin + x->bytes > bri_reserved_size(t, x->body))
        return BROKER_INVALID;
    head = (uint8_t *)bri_page_at(t->o->arena, x->body) + BRI_ITEM_MARGIN;
    head[0] = 0xc6; /* a byte string; its length has four bytes, however short it is */
    memcpy(head + 1, &size, sizeof(size));
    return put_try(t, x);
}

int bri_queue_commit(struct bri_handle *h, void *memory, uint64_t size, int64_t timeout_ns)
{
    struct put x = {.n = 1,
        .bytes = BRI_ITEM_BIN_HEAD + size,
        .margin = BRI_ITEM_MARGIN,
        .body = body_of(h, memory)};
    int r = bri_queue_check_timeout(h, timeout_ns);

    if (r == 0)
        r = check_size(h, size);
    if (r == 0 && x.body == 0)
        r = BROKER_INVALID;
    if (r < 0)
        return r;
    return bri_blocking(&h->object, BRI_QUEUE_NOT_FULL, timeout_ns, BROKER_FULL, commit_try, &x);
}

static int cancel_try(struct bri_txn *t, void *arg)
{
    const struct put *x = arg;

    return bri_reserved_size(t, x->body) != 0 ? release_try(t, arg) : BROKER_INVALID;
}

int bri_queue_cancel(struct bri_handle *h, void *memory)
{
    struct put x = {.body = body_of(h, memory)};

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return x.body != 0 ? bri_section(&h->object, cancel_try, &x) : BROKER_INVALID;
}
