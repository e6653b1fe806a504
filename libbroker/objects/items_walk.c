/*
 * items_walk.c - see items_walk.h
 *
 * A cursor is the place of the next item, the low bits of its number, and whether it was away.
 * Nothing is kept for it, and it comes from outside: what lies at that place is believed to be an
 * item only if the store's structure says so, and to be the same one only if the number is. If it
 * is not, a FIFO goes on with the next number; in the other orders the first of those that can be
 * taken is gone before all others, so what follows it is what comes first now.
 */
#include "objects/items_walk.h"

#include <broker/errors.h>

#include "objects/segments.h"

#define NUMBER_BITS 31
#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)

static uint64_t make_cursor(
    const struct bri_object *o, const struct bri_item_shm *item, uint64_t number, bool away)
{
    return (uint64_t)bri_unit_of(o, item) << 32 | (number & NUMBER_MASK) << 1 | away;
}

static uint64_t number_in(uint64_t cursor)
{
    return cursor >> 1 & NUMBER_MASK;
}

/* Whether @number is older than the one that has the low bits @low. */
static bool is_older(uint64_t number, uint64_t low)
{
    return ((number - low) & NUMBER_MASK) > NUMBER_MASK / 2;
}

static uint64_t number_of(const struct bri_item_shm *item)
{
    return *(const volatile uint64_t *)&item->number;
}

/* The item that a cursor names, if it is still there. */
static struct bri_item_shm *find(
    const struct bri_object *o, const struct bri_items_shm *q, uint64_t cursor)
{
    uint32_t unit = (uint32_t)(cursor >> 32);
    struct bri_item_shm *item = bri_item_exists(o, q, unit) ? bri_item_of_unit(o, unit) : NULL;

    return item != NULL && (number_of(item) & NUMBER_MASK) == number_in(cursor) ? item : NULL;
}

/* ---- a FIFO ---- */

static struct bri_place_shm place_of(const struct bri_object *o, const struct bri_item_shm *item)
{
    uint64_t off = bri_off(o->arena, item);
    uint32_t page = bri_segment_page(o, off);

    return (struct bri_place_shm){page, (uint32_t)(off - ((uint64_t)page << BRI_PAGE_SHIFT))};
}

/* The last segment that begins with @low or an older number. */
static uint32_t segment_of_number(
    const struct bri_object *o, const struct bri_items_shm *q, uint64_t low)
{
    uint32_t page = q->first_segment, left = o->arena->n_pages;

    while (page != 0 && left-- > 0) {
        const struct bri_segment_shm *s = bri_segment_at(o, page), *after;
        uint32_t next = s != NULL ? *(const volatile uint32_t *)&s->next : 0;

        after = next != 0 ? bri_segment_at(o, next) : NULL;
        if (after == NULL || !is_older(number_of((const void *)(after + 1)), low + 1))
            break;
        page = next;
    }
    return page;
}

static void start_in_segments(const struct bri_object *o, const struct bri_items_shm *q,
    uint64_t cursor, struct bri_items_walk *w)
{
    struct bri_item_shm *item = cursor != 0 ? find(o, q, cursor) : NULL;
    uint32_t page = q->first_segment;

    w->from = cursor;
    if (item == NULL && cursor != 0)
        page = segment_of_number(o, q, number_in(cursor));
    w->place = item != NULL
                   ? place_of(o, item)
                   : (struct bri_place_shm){page, page != 0 ? sizeof(struct bri_segment_shm) : 0};
}

/* A plain get takes an item without marking it. */
static bool is_gone(const struct bri_items_shm *q, const struct bri_segment_shm *s,
    struct bri_place_shm place, const struct bri_item_shm *item)
{
    bool passed = s->passed != 0 || (place.segment == q->head.segment && place.at < q->head.at);

    return item->state == BRI_ITEM_DONE ||
           (passed && item->state == BRI_ITEM_READY && (item->flags & BRI_ITEM_REDELIVERED) == 0);
}

static int next_in_segments(const struct bri_object *o, const struct bri_items_shm *q,
    struct bri_items_walk *w, struct bri_items_met *out)
{
    const struct bri_segment_shm *s;
    uint64_t off;

    out->away = false;
    if (w->place.segment == 0 || bri_place_same(w->place, q->tail))
        return BROKER_EMPTY;
    if (!bri_place_step(o, &w->place, q->tail))
        return BROKER_CORRUPT;
    s = bri_segment_at(o, w->place.segment);
    off = ((uint64_t)w->place.segment << BRI_PAGE_SHIFT) + w->place.at;
    out->item = BRI_AT(o->arena, off, struct bri_item_shm);
    if (s == NULL || out->item == NULL)
        return BROKER_CORRUPT;
    out->skip = is_gone(q, s, w->place, out->item) ||
                (w->from != 0 && is_older(number_of(out->item), number_in(w->from)));
    /* The body of an item that is gone may belong to anybody by now. */
    if (!out->skip && bri_item_at(o, off, &out->bytes, &out->size) == NULL)
        return BROKER_CORRUPT;
    w->place.at += bri_item_space(out->item->size, out->item->body);
    return 0;
}

/* ---- the other orders ---- */

static void start_in_trees(const struct bri_object *o, const struct bri_items_shm *q,
    uint64_t cursor, struct bri_items_walk *w)
{
    struct bri_item_shm *item = cursor != 0 ? find(o, q, cursor) : NULL;

    w->away = (cursor & 1) != 0;
    if (item != NULL && (item->state != BRI_ITEM_READY) == w->away)
        w->node = bri_unit_of(o, bri_item_node(q, item));
    else
        w->node = w->away ? bri_items_rest(o)->away.first : q->early.first;
}

/* To the other tree, at the end of the first. */
static uint32_t node_or_away(const struct bri_object *o, struct bri_items_walk *w)
{
    if (w->node == 0 && !w->away) {
        w->away = true;
        w->node = bri_items_rest(o)->away.first;
    }
    return w->node;
}

static int next_in_trees(const struct bri_object *o, const struct bri_items_shm *q,
    struct bri_items_walk *w, struct bri_items_met *out)
{
    uint32_t node = node_or_away(o, w);
    uint64_t off = (uint64_t)bri_item_of_node(q, node) << BRI_UNIT_SHIFT;

    if (node == 0)
        return BROKER_EMPTY;
    out->skip = false;
    out->away = w->away;
    out->item = bri_item_at(o, off, &out->bytes, &out->size);
    w->node = bri_tree_next(o, node);
    return out->item != NULL && w->node != UINT32_MAX ? 0 : BROKER_CORRUPT;
}

/* ---- both ---- */

void bri_items_walk_start(const struct bri_object *o, const struct bri_items_shm *q,
    uint64_t cursor, struct bri_items_walk *w)
{
    *w = (struct bri_items_walk){0};
    if (q->order == BRI_FIFO)
        start_in_segments(o, q, cursor, w);
    else
        start_in_trees(o, q, cursor, w);
}

int bri_items_walk_next(const struct bri_object *o, const struct bri_items_shm *q,
    struct bri_items_walk *w, struct bri_items_met *out)
{
    return q->order == BRI_FIFO ? next_in_segments(o, q, w, out) : next_in_trees(o, q, w, out);
}

uint64_t bri_items_walk_cursor(
    const struct bri_object *o, const struct bri_items_shm *q, const struct bri_items_walk *w)
{
    struct bri_items_walk ahead = *w;
    struct bri_items_met met;

    if (bri_items_walk_next(o, q, &ahead, &met) < 0)
        return 0;
    return make_cursor(o, met.item, number_of(met.item), met.away);
}
