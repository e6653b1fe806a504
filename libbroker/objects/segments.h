/*
 * segments.h - where the items of a FIFO lie: runs of pages, one behind the other
 */
#ifndef BRI_SEGMENTS_H
#define BRI_SEGMENTS_H

#include "objects/items.h"

#define BRI_SEGMENT_PAGES 4u
#define BRI_SEGMENT_SIZE (BRI_SEGMENT_PAGES * BRI_PAGE_SIZE)
#define BRI_ITEM_ALIGN 16u

struct bri_segment_shm {
    uint32_t next;   /* [guard] the newer one, 0 at the end */
    uint32_t prev;   /* [guard] */
    uint32_t end;    /* [guard] where its items end; 0 while it is the last */
    uint32_t n_held; /* [guard] items in it that were taken or passed, and are not gone */
    uint64_t passed; /* [guard] the head has left it */
    uint64_t spare;
};

static inline uint32_t bri_item_space(uint32_t size, uint32_t body)
{
    uint32_t n = (uint32_t)sizeof(struct bri_item_shm) + (body != 0 ? 0 : size);

    return (n + BRI_ITEM_ALIGN - 1) / BRI_ITEM_ALIGN * BRI_ITEM_ALIGN;
}

struct bri_segment_shm *bri_segment_at(const struct bri_object *o, uint32_t page);

/* The first page of the run that @off lies in, if that is a segment. */
uint32_t bri_segment_page(const struct bri_object *o, uint64_t off);

/* From the end of a segment to the start of the next; false if @place is none. */
bool bri_place_step(
    const struct bri_object *o, struct bri_place_shm *place, struct bri_place_shm tail);

/* A segment behind the last one, which ends at @end; 0 on failure. */
uint32_t bri_segment_new(struct bri_txn *t, struct bri_items_shm *q, uint32_t last, uint32_t end);

/* One more or fewer of the items in @item's segment is held. */
void bri_segment_hold(
    struct bri_txn *t, struct bri_items_shm *q, const struct bri_item_shm *item, int change);

/* Moves the head over items that were taken, out of segments that it leaves. */
void bri_segments_move_head(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm to);

/* Whether an item begins at @off: found by walking its segment, whatever bytes lie there. */
bool bri_segment_has_item(const struct bri_object *o, const struct bri_items_shm *q, uint64_t off);

static inline void bri_place_set(
    struct bri_txn *t, struct bri_place_shm *place, struct bri_place_shm to)
{
    uint64_t word;

    memcpy(&word, &to, sizeof(word));
    bri_set64(t, (uint64_t *)(void *)place, word);
}

static inline bool bri_place_same(struct bri_place_shm a, struct bri_place_shm b)
{
    return a.segment == b.segment && a.at == b.at;
}

#endif
