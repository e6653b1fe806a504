/*
 * items.c - see items.h: putting, looking, taking
 */
#include "objects/items.h"

#include <broker/errors.h>

#include "core/heap.h"
#include "core/pages.h"
#include "objects/segments.h"
#include "value/value.h"

_Static_assert(
    sizeof(struct bri_items_shm) <= BRI_SLOT_STATE - 24, "room for the queue's own state");
_Static_assert(sizeof(struct bri_items_rest_shm) <= BRI_ROOT_STATE, "room in the root page");
_Static_assert(sizeof(struct bri_item_shm) == 48, "item size");

struct bri_item_shm *bri_item_at(
    const struct bri_object *o, uint64_t off, const uint8_t **out_bytes, uint32_t *out_size)
{
    struct bri_item_shm *item = BRI_AT(o->arena, off, struct bri_item_shm);
    uint32_t size, body;

    if (item == NULL)
        return NULL;
    size = *(volatile uint32_t *)&item->size;
    body = *(volatile uint32_t *)&item->body;
    if (body != 0) {
        uint64_t tag = bri_page_tag(o->arena, body), start = (uint64_t)body << BRI_PAGE_SHIFT;
        enum bri_page_kind kind = bri_tag_kind(tag);

        if ((kind != BRI_PAGE_RUN && kind != BRI_PAGE_LENT) || bri_tag_owner(tag) != o->id)
            return NULL;
        if ((*(volatile uint8_t *)&item->flags & BRI_ITEM_IN_PLACE) != 0)
            start += BRI_ITEM_MARGIN;
        *out_bytes = bri_at(o->arena, start, size, 1);
    } else {
        *out_bytes =
            size <= BRI_ITEM_INLINE ? bri_at(o->arena, off + sizeof(*item), size, 1) : NULL;
    }
    *out_size = size;
    return *out_bytes != NULL ? item : NULL;
}

struct bri_item_shm *bri_item_of_unit(const struct bri_object *o, uint32_t unit)
{
    const uint8_t *bytes;
    uint32_t size;

    return unit != 0 ? bri_item_at(o, (uint64_t)unit << BRI_UNIT_SHIFT, &bytes, &size) : NULL;
}

/* ---- orders ---- */

/* The item that a node belongs to, @ahead or behind it. */
static const struct bri_item_shm *item_beside(
    const struct bri_object *o, const struct bri_node_shm *node, bool ahead)
{
    uint64_t off = bri_off(o->arena, node);

    return BRI_AT(o->arena, ahead ? off - sizeof(*node) : off + sizeof(*node), struct bri_item_shm);
}

static int order_numbers(
    const struct bri_item_shm *a, const struct bri_item_shm *b, int older, int *out_order)
{
    if (a == NULL || b == NULL)
        return BROKER_CORRUPT;
    *out_order = a->number < b->number ? older : -older;
    return 0;
}

static int by_number(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order)
{
    return order_numbers(item_beside(o, a, true), item_beside(o, b, true), -1, out_order);
}

static int by_youth(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order)
{
    return order_numbers(item_beside(o, a, false), item_beside(o, b, false), 1, out_order);
}

static int by_value(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order)
{
    const uint8_t *bytes_a, *bytes_b;
    uint32_t size_a, size_b;
    const struct bri_item_shm *ia = bri_item_at(o, bri_off(o->arena, a + 1), &bytes_a, &size_a);
    const struct bri_item_shm *ib = bri_item_at(o, bri_off(o->arena, b + 1), &bytes_b, &size_b);
    int r;

    if (ia == NULL || ib == NULL)
        return BROKER_CORRUPT;
    r = bri_value_compare(bytes_a, size_a, bytes_b, size_b, out_order);
    return r == 0 && *out_order == 0 ? order_numbers(ia, ib, -1, out_order) : r;
}

bri_order_fn *bri_items_order(const struct bri_items_shm *q)
{
    switch (q->order) {
    case BRI_LIFO:
        return by_youth;
    case BRI_PRIORITY:
        return by_value;
    default:
        return by_number;
    }
}

/* ---- putting ---- */

/* A block: the node, the item, its bytes. */
static struct bri_item_shm *new_block(struct bri_txn *t, uint32_t size, uint32_t body)
{
    uint64_t n = sizeof(struct bri_node_shm) + sizeof(struct bri_item_shm), off;

    off = bri_alloc(t, body != 0 ? n : n + size);
    if (off == 0)
        return NULL;
    return (struct bri_item_shm *)(t->o->arena->base + off + sizeof(struct bri_node_shm));
}

/* Behind the last item, in a new segment if need be. */
static struct bri_item_shm *new_in_segment(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm *tail, uint32_t space)
{
    struct bri_segment_shm *s;
    uint32_t at;

    if (tail->segment == 0 || tail->at > BRI_SEGMENT_SIZE - space) {
        uint32_t page = bri_segment_new(t, q, tail->segment, tail->at);

        if (page == 0)
            return NULL;
        tail->segment = page;
        tail->at = sizeof(struct bri_segment_shm);
    }
    s = bri_segment_at(t->o, tail->segment);
    if (s == NULL || tail->at < sizeof(*s) || tail->at % _Alignof(struct bri_item_shm) != 0)
        return (void)BRI_DAMAGED(t), NULL;
    at = tail->at;
    tail->at += space;
    return (struct bri_item_shm *)((uint8_t *)s + at);
}

uint8_t *bri_items_add(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm *tail,
    uint32_t size, uint32_t body, uint64_t number)
{
    struct bri_item_shm *item;

    if (__builtin_expect(q->order == BRI_FIFO, 1))
        item = new_in_segment(t, q, tail, bri_item_space(size, body));
    else
        item = new_block(t, size, body);
    if (item == NULL)
        return NULL;
    *item = (struct bri_item_shm){.number = number,
        .size = size,
        .state = BRI_ITEM_READY,
        .body = body,
        .put_ns = bri_now_coarse()};
    return (uint8_t *)(item + 1);
}

int bri_items_place(struct bri_txn *t, struct bri_items_shm *q, uint8_t *to)
{
    struct bri_node_shm *node = bri_item_node(q, bri_item_of_bytes(to));
    bri_order_fn *order = bri_items_order(q);
    int r = 0;

    /* What is away comes back: it must be comparable too. */
    if (q->order == BRI_PRIORITY)
        r = bri_tree_check(t->o, &bri_items_rest(t->o)->away, node, order);
    if (r == 0)
        r = bri_tree_insert(t, &q->early, node, order);
    return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
}

void bri_items_publish(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm tail,
    uint64_t n, uint64_t bytes)
{
    if (__builtin_expect(q->order == BRI_FIFO, 1)) {
        if (q->head.segment == 0)
            bri_place_set(t, &q->head,
                (struct bri_place_shm){q->first_segment, sizeof(struct bri_segment_shm)});
        bri_place_set(t, &q->tail, tail);
    }
    bri_set64(t, &q->n_put, q->n_put + n);
    bri_set64(t, &q->n_bytes, q->n_bytes + bytes);
}

/* ---- looking ---- */

void bri_items_look(const struct bri_items_shm *q, struct bri_items_cursor *c)
{
    *c = (struct bri_items_cursor){.place = q->head, .node = q->early.first};
}

int bri_items_next(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_items_cursor *c)
{
    uint64_t off;

    if (c->node != 0) {
        off = (uint64_t)bri_item_of_node(q, c->node) << BRI_UNIT_SHIFT;
        if (bri_tag_owner(bri_page_tag(o->arena, (uint32_t)(off >> BRI_PAGE_SHIFT))) != o->id)
            return BROKER_CORRUPT; /* another object's item */
    } else {
        if (bri_place_same(c->place, q->tail))
            return BROKER_EMPTY;
        if (!bri_place_step(o, &c->place, q->tail))
            return BROKER_CORRUPT;
        off = ((uint64_t)c->place.segment << BRI_PAGE_SHIFT) + c->place.at;
    }
    c->item = bri_item_at(o, off, &c->bytes, &c->size);
    if (c->item == NULL || c->item->state != BRI_ITEM_READY)
        return BROKER_CORRUPT;
    if (c->node != 0)
        c->node = bri_tree_next(o, c->node);
    else
        c->place.at += bri_item_space(c->size, c->item->body);
    return c->node != UINT32_MAX ? 0 : BROKER_CORRUPT;
}

/* ---- taking ---- */

void bri_item_end(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item)
{
    if (item->body != 0)
        bri_free(t, (uint64_t)item->body << BRI_PAGE_SHIFT);
    if (q->order != BRI_FIFO) {
        bri_free(t, bri_off(t->o->arena, bri_item_node(q, item)));
        return;
    }
    bri_item_set_state(t, item, BRI_ITEM_DONE, item->flags & ~(BRI_ITEM_COPYING | BRI_ITEM_LENT),
        item->deliveries);
    bri_segment_hold(t, q, item, -1);
}

static void take_one(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item,
    bool was_early, int flags)
{
    if (was_early) {
        bri_items_leave_early(t, q, item);
        bri_tree_remove(t, &q->early, bri_item_node(q, item));
    }
    if (flags < 0) {
        if (was_early)
            bri_item_end(t, q, item);
        return;
    }
    if (q->order == BRI_FIFO && !was_early)
        bri_segment_hold(t, q, item, 1);
    else if (q->order != BRI_FIFO &&
             bri_tree_insert(
                 t, &bri_items_rest(t->o)->away, bri_item_node(q, item), bri_items_order(q)) < 0 &&
             t->failed == 0)
        (void)BRI_DAMAGED(t); /* it was compared with all others before */
    bri_item_lease(t, q, item, (unsigned)flags);
}

void bri_items_take(
    struct bri_txn *t, struct bri_items_shm *q, uint64_t n, bool lease_them, uint8_t flags)
{
    struct bri_items_cursor c;
    uint64_t bytes = 0;

    bri_items_look(q, &c);
    for (uint64_t i = 0; i < n && t->failed == 0; i++) {
        bool was_early = c.node != 0, lease;

        if (bri_items_next(t->o, q, &c) < 0) {
            (void)BRI_DAMAGED(t);
            return;
        }
        bytes += c.size;
        lease = lease_them || c.item->body != 0;
        if (was_early || lease)
            take_one(t, q, c.item, was_early, lease ? flags : -1);
    }
    if (!bri_place_same(c.place, q->head))
        bri_segments_move_head(t, q, c.place);
    bri_set64(t, &q->n_taken, q->n_taken + n);
    bri_set64(t, &q->n_bytes, q->n_bytes - bytes);
}
