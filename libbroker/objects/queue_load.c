/*
 * queue_load.c - loading queues; see queue_save.c for what their contents are
 *
 * All items are put, in their order. If some of them cannot be taken yet, or any more, all are
 * leased, and then given back as what they are: that is how an item comes to be delayed or dead.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "core/heap.h"
#include "objects/queue.h"
#include "objects/queue_save.h"
#include "objects/refs.h"
#include "objects/save.h"

#define UNFINISHED_MAX (UINT64_C(1) << 48) /* no queue comes to so many */

/* An item as the contents tell it. */
struct loaded {
    const void *bytes;
    size_t size;
    uint64_t deliveries;
    bool delayed, dead;
    int64_t due_ns; /* CLOCK_REALTIME */
    uint64_t rank;
};

/* How it is to be given back. */
struct place {
    uint64_t off; /* of the item */
    uint16_t deliveries;
    bool delayed, dead;
    int64_t due_ns; /* CLOCK_MONOTONIC */
};

struct loading {
    struct bri_iter it;
    uint64_t n, base;     /* items, and the number of the first of them */
    uint64_t n_special;   /* that cannot be taken */
    struct place *places; /* of all, by number; only if there are special ones */
    uint64_t *dead;       /* their numbers, by rank */
    uint64_t n_dead;
    uint64_t i; /* the item that it is about */
    uint64_t unfinished;
    bool closed;
};

/* ---- reading ---- */

static int read_state(struct bri_iter *it, struct loaded *out)
{
    broker_value word, n;
    const void *data;
    size_t size;

    if (bri_iter_next(it, &data, &size) < 0 || bri_value_decode(data, size, &word) < 0 ||
        word.type != BROKER_STR || bri_iter_next(it, &data, &size) < 0 ||
        bri_value_decode(data, size, &n) < 0 || n.type != BROKER_INT || n.i < 0)
        return BROKER_INVALID;
    out->delayed = word.size == 7 && memcmp(word.data, "delayed", 7) == 0;
    out->dead = word.size == 4 && memcmp(word.data, "dead", 4) == 0;
    out->due_ns = n.i;
    out->rank = n.u;
    return out->delayed || out->dead ? 0 : BROKER_INVALID;
}

static int read_item(const void *data, size_t size, struct loaded *out)
{
    struct bri_iter it;
    broker_value n;
    int r = bri_iter_array(&it, data, size);

    *out = (struct loaded){0};
    if (r < 0 || (it.left != 1 && it.left != 2 && it.left != 4) ||
        bri_iter_next(&it, &out->bytes, &out->size) < 0)
        return BROKER_INVALID;
    if (out->size > BRI_QUEUE_ITEM_MAX)
        return BROKER_TOOBIG;
    if (it.left == 0)
        return 0;
    if (bri_iter_next(&it, &data, &size) < 0 || bri_value_decode(data, size, &n) < 0 ||
        n.type != BROKER_INT || n.i < 0 || n.i > BRI_DELIVERIES_MAX)
        return BROKER_INVALID;
    out->deliveries = n.u;
    return it.left != 0 ? read_state(&it, out) : 0;
}

/* ---- putting ---- */

static int add_item(struct bri_txn *t, struct bri_queue_shm *q, const struct loaded *item,
    struct bri_place_shm *tail, uint64_t number)
{
    broker_value v = broker_packed(item->bytes, item->size);
    uint64_t body = 0;
    uint8_t *to;

    if (bri_ref_in(v) && bri_refs_store(t, v) < 0)
        return t->failed;
    if (item->size > bri_items_inline(&q->items) &&
        (body = bri_alloc(t, bri_items_body_size(item->size))) == 0)
        return t->failed;
    to = bri_items_add(
        t, &q->items, tail, (uint32_t)item->size, (uint32_t)(body >> BRI_PAGE_SHIFT), number);
    if (to == NULL)
        return t->failed;
    bri_item_of_bytes(to)->deliveries = (uint16_t)item->deliveries;
    memcpy(body != 0 ? t->o->arena->base + body : to, item->bytes, item->size);
    return q->items.order != BRI_FIFO ? bri_items_place(t, &q->items, to) : 0;
}

static int put_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct loading *x = arg;
    struct bri_place_shm tail = q->items.tail;
    struct bri_iter it = x->it;
    struct loaded item;
    uint64_t n = 0, bytes = 0;
    const void *data;
    size_t size;
    int r = 0;

    while (r == 0 && it.left > 0 && n < BRI_LOAD_ELEMENTS && bytes < BRI_LOAD_BYTES) {
        r = bri_iter_next(&it, &data, &size);
        if (r == 0)
            r = read_item(data, size, &item);
        if (r == 0)
            r = add_item(t, q, &item, &tail, q->items.n_put + n);
        n++;
        bytes += r == 0 ? item.size : 0;
    }
    if (r < 0)
        return r;
    bri_items_publish(t, &q->items, tail, n, bytes);
    if (t->failed == 0)
        x->it = it;
    return t->failed;
}

/* ---- giving back ---- */

/* Leases the first item. */
static int take_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct loading *x = arg;
    struct bri_items_cursor c;

    bri_items_look(&q->items, &c);
    if (bri_items_next(t->o, &q->items, &c) < 0 || c.item->number - x->base >= x->n)
        return BRI_DAMAGED(t);
    x->places[c.item->number - x->base].off = bri_off(t->o->arena, c.item);
    bri_items_take(t, &q->items, 1, true, 0);
    return t->failed;
}

/* Its count of deliveries decides what becomes of it, and is then what it was. */
static int give_back_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    struct loading *x = arg;
    const struct place *p = &x->places[x->i];
    struct bri_item_shm *item = BRI_AT(t->o->arena, p->off, struct bri_item_shm);

    if (item == NULL || item->state != BRI_ITEM_LEASED)
        return BRI_DAMAGED(t);
    bri_item_set_state(t, item, BRI_ITEM_LEASED, item->flags, p->dead ? BRI_DELIVERIES_MAX : 0);
    (void)bri_items_return(t, &q->items, item, p->delayed ? p->due_ns : 0);
    bri_item_set_state(t, item, item->state, item->flags, p->deliveries);
    return t->failed;
}

static int note_place(struct loading *x, const struct loaded *item, uint64_t i)
{
    int64_t due_ns = item->due_ns - bri_clock(CLOCK_REALTIME) + bri_now();

    x->places[i] = (struct place){.deliveries = (uint16_t)item->deliveries,
        .delayed = item->delayed,
        .dead = item->dead,
        .due_ns = due_ns > 0 ? due_ns : 1};
    if (!item->dead)
        return 0;
    if (item->rank >= x->n_dead || x->dead[item->rank] != UINT64_MAX)
        return BROKER_INVALID;
    x->dead[item->rank] = i;
    return 0;
}

static int note_places(struct loading *x, struct bri_iter it)
{
    struct loaded item;
    const void *data;
    size_t size;
    int r = 0;

    x->places = calloc(x->n, sizeof(*x->places));
    x->dead = malloc((x->n_dead + 1) * sizeof(*x->dead));
    if (x->places == NULL || x->dead == NULL)
        return BROKER_NOMEM;
    memset(x->dead, 0xff, (x->n_dead + 1) * sizeof(*x->dead));
    for (uint64_t i = 0; i < x->n && r == 0; i++) {
        r = bri_iter_next(&it, &data, &size);
        if (r == 0)
            r = read_item(data, size, &item);
        if (r == 0)
            r = note_place(x, &item, i);
    }
    return r;
}

/* All items are there and could be taken. */
static int put_away(struct bri_object *o, struct loading *x, struct bri_iter it)
{
    int r = note_places(x, it);

    for (uint64_t i = 0; i < x->n && r == 0; i++)
        r = bri_section(o, take_try, x);
    for (x->i = 0; x->i < x->n && r == 0; x->i++)
        if (!x->places[x->i].dead)
            r = bri_section(o, give_back_try, x);
    for (uint64_t i = 0; i < x->n_dead && r == 0; i++) {
        x->i = x->dead[i];
        r = bri_section(o, give_back_try, x);
    }
    return r;
}

/* ---- the whole ---- */

static int count_special(const struct bri_queue_shm *q, struct loading *x, struct bri_iter it)
{
    struct loaded item;
    const void *data;
    size_t size;
    int r = 0;

    for (x->n = it.left; it.left > 0 && r == 0;) {
        r = bri_iter_next(&it, &data, &size);
        if (r == 0)
            r = read_item(data, size, &item);
        if (r == 0 && item.dead && q->items.max_deliveries == 0)
            r = BROKER_INVALID; /* nothing dies there */
        x->n_special += r == 0 && (item.delayed || item.dead);
        x->n_dead += r == 0 && item.dead;
    }
    return r;
}

/* Items that are gone but not finished are counted as well. */
static int begin_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    const struct loading *x = arg;

    if (q->items.n_put != 0)
        return BROKER_INVALID;
    bri_set64(t, &q->items.n_put, x->base);
    bri_set64(t, &q->items.n_taken, x->base);
    return t->failed;
}

static int end_try(struct bri_txn *t, void *arg)
{
    struct bri_queue_shm *q = bri_queue_of(t->o);
    const struct loading *x = arg;

    bri_set64(t, &q->items.n_done, q->items.n_put - x->unfinished);
    if (x->closed)
        bri_set64(t, &q->flags, q->flags | BRI_QUEUE_CLOSED);
    return t->failed;
}

static int load_items(struct bri_handle *h, struct loading *x)
{
    struct bri_object *o = &h->object;
    struct bri_iter all = x->it;
    int r = count_special(bri_queue_of(o), x, all);

    x->base = x->unfinished > x->n ? x->unfinished - x->n : 0;
    if (r == 0)
        r = bri_section(o, begin_try, x);
    while (r == 0 && x->it.left > 0)
        r = bri_section(o, put_try, x);
    if (r == 0 && x->n_special > 0)
        r = put_away(o, x, all);
    return r == 0 ? bri_section(o, end_try, x) : r;
}

int bri_queue_load(struct bri_handle *h, const struct bri_load *load)
{
    struct loading x = {
        .unfinished = bri_load_u64(load, "unfinished"), .closed = bri_load_bool(load, "closed")};
    int r = 0;

    if (x.unfinished > UNFINISHED_MAX)
        return BROKER_INVALID;
    if (load->contents.type == BROKER_PACKED)
        r = bri_iter_array(&x.it, load->contents.data, load->contents.size);
    else if (load->contents.type != BROKER_NIL)
        r = BROKER_INVALID;
    if (r == 0)
        r = load_items(h, &x);
    free(x.places);
    free(x.dead);
    return r;
}
