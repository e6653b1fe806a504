/*
 * items_refs.c - the items of a queue as the collector sees them; see items.h
 *
 * The place is changed in the sections of the queue's operations, through the journal: a crash
 * leaves it as it belongs to the items.
 */
#include <broker/errors.h>

#include "core/pages.h"
#include "objects/refs.h"
#include "objects/segments.h"

enum tree {
    EARLY = 1,
    AWAY = 2,
};

static uint64_t place_in_segment(uint32_t page, uint32_t at)
{
    return (uint64_t)page << 32 | at;
}

static uint64_t place_in_tree(enum tree tree, uint32_t unit)
{
    return (uint64_t)tree << 32 | unit;
}

/* ---- looking ---- */

/* An item that was taken without a lease keeps its bytes until its segment goes. */
static bool is_stored(const struct bri_items_shm *q, const struct bri_segment_shm *s, uint32_t page,
    uint32_t at, const struct bri_item_shm *item)
{
    bool passed = s->passed != 0 || (page == q->head.segment && at < q->head.at);

    if (item->state == BRI_ITEM_DONE)
        return false;
    return item->state != BRI_ITEM_READY || !passed || (item->flags & BRI_ITEM_REDELIVERED) != 0;
}

/* One item of a FIFO. */
static void look_in_segment(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_collect_look *look)
{
    uint32_t page = (uint32_t)(look->scan >> 32), at = (uint32_t)look->scan, size, end;
    const struct bri_segment_shm *s = bri_segment_at(o, page);
    const struct bri_item_shm *item;
    const uint8_t *bytes;

    look->scan = BRI_SCAN_END;
    if (s == NULL)
        return; /* there are no items, or it is damaged */
    end = page == q->tail.segment ? q->tail.at : s->end;
    if (at >= end) {
        if (page != q->tail.segment)
            look->scan = place_in_segment(s->next, sizeof(*s));
        return;
    }
    item = bri_item_at(o, ((uint64_t)page << BRI_PAGE_SHIFT) + at, &bytes, &size);
    if (item == NULL)
        return;
    if (is_stored(q, s, page, at, item))
        bri_refs_look(look, bytes, size);
    else
        bri_collect_spend(look, 0);
    look->scan = place_in_segment(page, at + bri_item_space(size, item->body));
}

/* One item in another order. */
static void look_in_tree(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_collect_look *look)
{
    enum tree tree = (enum tree)(look->scan >> 32);
    uint32_t node = (uint32_t)look->scan, next = 0, size;
    const uint8_t *bytes;

    if (node != 0) {
        next = bri_tree_next(o, node);
        if (bri_item_at(o, (uint64_t)bri_item_of_node(q, node) << BRI_UNIT_SHIFT, &bytes, &size) !=
            NULL)
            bri_refs_look(look, bytes, size);
    }
    look->scan = BRI_SCAN_END;
    if (next != 0 && next != UINT32_MAX)
        look->scan = place_in_tree(tree, next);
    else if (tree == EARLY && bri_items_rest(o)->away.first != 0)
        look->scan = place_in_tree(AWAY, bri_items_rest(o)->away.first);
}

void bri_items_refs(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_collect_look *look)
{
    if (q->order == BRI_FIFO) {
        if (look->scan == 0)
            look->scan = place_in_segment(q->first_segment, sizeof(struct bri_segment_shm));
        look_in_segment(o, q, look);
    } else {
        if (look->scan == 0)
            look->scan = place_in_tree(EARLY, q->early.first);
        look_in_tree(o, q, look);
    }
}

/* ---- what moves the place ---- */

void bri_items_leave_segment(struct bri_txn *t, uint32_t page, uint32_t next)
{
    if (bri_scan_of(t) && t->o->slot->scan >> 32 == page)
        bri_set64(t, &t->o->slot->scan, place_in_segment(next, sizeof(struct bri_segment_shm)));
}

static void leave(struct bri_txn *t, enum tree tree, uint32_t node)
{
    uint32_t next;

    if (t->o->slot->scan != place_in_tree(tree, node))
        return;
    next = bri_tree_next(t->o, node);
    bri_set64(t, &t->o->slot->scan, place_in_tree(tree, next != UINT32_MAX ? next : 0));
}

void bri_items_leave_early(
    struct bri_txn *t, const struct bri_items_shm *q, struct bri_item_shm *item)
{
    if (bri_scan_of(t) && q->order != BRI_FIFO)
        leave(t, EARLY, bri_unit_of(t->o, bri_item_node(q, item)));
}

/* If it comes back, it comes to where the collector has been. */
void bri_items_leave_away(
    struct bri_txn *t, const struct bri_items_shm *q, struct bri_item_shm *item)
{
    const uint8_t *bytes;
    uint32_t size;

    if (!bri_scan_of(t) || q->order == BRI_FIFO)
        return;
    leave(t, AWAY, bri_unit_of(t->o, bri_item_node(q, item)));
    if (bri_item_at(t->o, bri_off(t->o->arena, item), &bytes, &size) != NULL)
        bri_refs_moved(t->o, bytes, size);
}
