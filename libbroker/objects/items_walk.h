/*
 * items_walk.h - a walk through a queue's items of every state, changing nothing
 *
 * A FIFO's items come in the order in which they were put; in the other orders those that can be
 * taken come first, in that order, then those that are away. A walk can be left and gone on with
 * later: what was there all the time comes, what moves meanwhile may come twice or not at all.
 */
#ifndef BRI_ITEMS_WALK_H
#define BRI_ITEMS_WALK_H

#include "objects/items.h"

struct bri_items_walk {
    struct bri_place_shm place; /* of a FIFO: the next one */
    uint64_t from;              /* of a FIFO: what has an older number was seen; 0: nothing was */
    uint32_t node;              /* in the other orders: the next one */
    bool away;                  /* and which tree it is in */
};

/* One item, as it was met; nothing of it counts before the read is known to be valid. */
struct bri_items_met {
    struct bri_item_shm *item;
    const uint8_t *bytes;
    uint32_t size;
    bool skip; /* it is gone, or was seen before */
    bool away; /* not of a FIFO: which tree it was in */
};

/* From the beginning with @cursor 0, or from where bri_items_walk_cursor() was. */
void bri_items_walk_start(const struct bri_object *o, const struct bri_items_shm *q,
    uint64_t cursor, struct bri_items_walk *w);

/* The next item; EMPTY, or CORRUPT. */
int bri_items_walk_next(const struct bri_object *o, const struct bri_items_shm *q,
    struct bri_items_walk *w, struct bri_items_met *out);

/* Where to go on later; 0 at the end. */
uint64_t bri_items_walk_cursor(
    const struct bri_object *o, const struct bri_items_shm *q, const struct bri_items_walk *w);

#endif
