/*
 * segments.c - see segments.h
 *
 * The last segment is never dropped. A run of pages of a segment's size that belongs to the queue
 * is a segment: the bytes of large items never have that many pages. So a place that a token names
 * can be told from bytes that only look like an item.
 */
#include "objects/segments.h"

#include <broker/errors.h>

#include "core/heap.h"
#include "core/pages.h"

#define MAX_WALK 100000000u

struct bri_segment_shm *bri_segment_at(const struct bri_object *o, uint32_t page)
{
    if (bri_page_tag(o->arena, page) != bri_tag(o->id, BRI_PAGE_RUN, BRI_SEGMENT_PAGES))
        return NULL;
    return bri_at(o->arena, (uint64_t)page << BRI_PAGE_SHIFT, BRI_SEGMENT_SIZE, BRI_PAGE_SIZE);
}

uint32_t bri_segment_new(struct bri_txn *t, struct bri_items_shm *q, uint32_t last, uint32_t end)
{
    uint32_t page = q->spare_segment;
    struct bri_segment_shm *s, *before;

    if (page != 0)
        bri_set32(t, &q->spare_segment, 0);
    else
        page = bri_alloc_pages(t, BRI_SEGMENT_PAGES, BRI_PAGE_RUN);
    s = page != 0 ? bri_segment_at(t->o, page) : NULL;
    if (s == NULL)
        return page != 0 ? ((void)BRI_DAMAGED(t), 0u) : 0u;
    *s =
        (struct bri_segment_shm){.prev = last}; /* nobody knows it yet, not even as the spare one */
    if (last == 0) {
        bri_set32(t, &q->first_segment, page);
        return page;
    }
    before = bri_segment_at(t->o, last);
    if (before == NULL)
        return (void)BRI_DAMAGED(t), 0;
    bri_set32(t, &before->next, page);
    bri_set32(t, &before->end, end);
    return page;
}

bool bri_place_step(
    const struct bri_object *o, struct bri_place_shm *place, struct bri_place_shm tail)
{
    const struct bri_segment_shm *s = bri_segment_at(o, place->segment);

    if (s == NULL)
        return false;
    if (place->segment != tail.segment && place->at == s->end) {
        place->segment = s->next;
        place->at = sizeof(*s);
        s = bri_segment_at(o, place->segment);
    }
    return s != NULL && place->at >= sizeof(*s) &&
           place->at <= BRI_SEGMENT_SIZE - sizeof(struct bri_item_shm);
}

/* Out of the list, and kept as the spare one or freed. */
static void drop_segment(
    struct bri_txn *t, struct bri_items_shm *q, uint32_t page, struct bri_segment_shm *s)
{
    struct bri_segment_shm *next = s->next != 0 ? bri_segment_at(t->o, s->next) : NULL;
    struct bri_segment_shm *prev = s->prev != 0 ? bri_segment_at(t->o, s->prev) : NULL;

    if (next == NULL || (s->prev != 0) != (prev != NULL)) {
        (void)BRI_DAMAGED(t); /* the last one is never dropped */
        return;
    }
    bri_items_leave_segment(t, page, s->next);
    bri_set32(t, &next->prev, s->prev);
    bri_set32(t, prev != NULL ? &prev->next : &q->first_segment, s->next);
    if (q->spare_segment == 0)
        bri_set32(t, &q->spare_segment, page);
    else
        bri_free(t, (uint64_t)page << BRI_PAGE_SHIFT);
}

uint32_t bri_segment_page(const struct bri_object *o, uint64_t off)
{
    uint32_t page = (uint32_t)(off >> BRI_PAGE_SHIFT);
    uint64_t tag = bri_page_tag(o->arena, page);

    return bri_tag_kind(tag) == BRI_PAGE_TAIL && bri_tag_aux(tag) < BRI_SEGMENT_PAGES
               ? page - bri_tag_aux(tag)
               : page;
}

void bri_segment_hold(
    struct bri_txn *t, struct bri_items_shm *q, const struct bri_item_shm *item, int change)
{
    uint32_t page = bri_segment_page(t->o, bri_off(t->o->arena, item));
    struct bri_segment_shm *s = bri_segment_at(t->o, page);

    if (s == NULL || (change < 0 && s->n_held == 0)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set32(t, &s->n_held, s->n_held + (uint32_t)change);
    if (s->n_held == 0 && s->passed != 0)
        drop_segment(t, q, page, s);
}

void bri_segments_move_head(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm to)
{
    uint32_t page = q->head.segment, left = MAX_WALK;

    bri_place_set(t, &q->head, to);
    while (page != to.segment && t->failed == 0 && left-- > 0) {
        struct bri_segment_shm *s = bri_segment_at(t->o, page);
        uint32_t next;

        if (s == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        next = s->next;
        bri_set64(t, &s->passed, 1);
        if (s->n_held == 0)
            drop_segment(t, q, page, s);
        page = next;
    }
}

bool bri_segment_has_item(const struct bri_object *o, const struct bri_items_shm *q, uint64_t off)
{
    uint32_t page = bri_segment_page(o, off), at = sizeof(struct bri_segment_shm), end;
    const struct bri_segment_shm *s = bri_segment_at(o, page);
    uint64_t wanted = off - ((uint64_t)page << BRI_PAGE_SHIFT);

    if (s == NULL || page == q->spare_segment)
        return false;
    end = page == q->tail.segment ? q->tail.at : s->end;
    while (at < wanted && at < end && at <= BRI_SEGMENT_SIZE - sizeof(struct bri_item_shm)) {
        const struct bri_item_shm *item = (const void *)((const uint8_t *)s + at);

        if (item->body == 0 && item->size > BRI_ITEM_INLINE)
            return false;
        at += bri_item_space(item->size, item->body);
    }
    return at == wanted && at < end && at <= BRI_SEGMENT_SIZE - sizeof(struct bri_item_shm);
}

uint64_t bri_items_body_size(uint64_t size)
{
    uint64_t n = (size + BRI_PAGE_SIZE - 1) >> BRI_PAGE_SHIFT;

    return n == BRI_SEGMENT_PAGES ? size + BRI_PAGE_SIZE : size;
}
