/*
 * items.h - the store of a FIFO queue: items one after another in segments, and what becomes of
 * them
 *
 * Items are appended to segments and taken in that order. An item that was taken on a lease stays
 * where it is, in the list of its holder's attachment, until it is finished or returned; a returned
 * one waits in a list, sorted by its number, that is served before all others, which is its old
 * place. A segment is given back when it was passed and nothing in it is held. All functions belong
 * in a section of the queue, except those that only read.
 */
#ifndef BRI_ITEMS_H
#define BRI_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/guard.h"

struct bri_audit;

/* Encoded bytes of an item that lie in its segment; larger ones have pages of their own. */
#define BRI_ITEM_INLINE 2048u

/* A place in the segments; one word, so that it changes at once. */
struct bri_place_shm {
    uint32_t segment; /* first page, 0 is none */
    uint32_t at;      /* bytes from its start */
};

/* Lies in the slot's state. */
struct bri_items_shm {
    struct bri_place_shm head; /* [guard] the next item that was never taken, if it is not tail */
    struct bri_place_shm tail; /* [guard] where the next one goes */
    uint64_t n_put;            /* [guard] ever; the number of the next item */
    uint64_t n_taken;          /* [guard] ever, redeliveries included */
    uint64_t n_returned;       /* [guard] ever */
    uint64_t n_done;           /* [guard] ever finished, by task_done */
    uint64_t n_bytes;          /* [guard] encoded, of items that can be taken */
    uint32_t first_segment;    /* [guard] oldest */
    uint32_t spare_segment;    /* [guard] kept for the next time */
    uint32_t returned;         /* [guard] item, in units: first of the returned ones */
    uint32_t n_leased;         /* [guard] */
};

enum bri_item_state {
    BRI_ITEM_READY = 1,
    BRI_ITEM_LEASED = 2,
    BRI_ITEM_DONE = 3,
    BRI_ITEM_DELAYED = 4, /* to be returned at deadline_ns */
};

#define BRI_ITEM_REDELIVERED 1u /* flag: was taken before */
#define BRI_ITEM_COPYING 2u     /* flag: its holder is still reading it */

/* One item. */
struct bri_item_shm {
    uint64_t number;     /* [const] */
    uint32_t size;       /* [const] encoded bytes */
    uint8_t state;       /* [guard] enum bri_item_state */
    uint8_t flags;       /* [guard] */
    uint16_t deliveries; /* [guard] */
    uint32_t next,
        prev;      /* [guard] in the holder's leases, or next alone among the returned; in units */
    uint32_t body; /* [const] first page of the bytes of a large item, else 0 and they follow */
    uint32_t holder;     /* [guard] attachment, in units, while it is leased */
    int64_t put_ns;      /* [const] CLOCK_MONOTONIC, coarse */
    int64_t deadline_ns; /* [guard] of the lease; 0 is none */
};

static inline uint64_t bri_items_ready(const struct bri_items_shm *q)
{
    return q->n_put + q->n_returned - q->n_taken;
}

static inline uint64_t bri_items_unfinished(const struct bri_items_shm *q)
{
    return q->n_put - q->n_done;
}

/*
 * Room for an item of @size encoded bytes behind the last one: where its bytes are to be written,
 * NULL on failure. A large item's bytes lie in @body already. Not there for others until
 * bri_items_publish(); several may be added before.
 */
uint8_t *bri_items_add(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm *tail,
    uint32_t size, uint32_t body, uint64_t number);

/* Makes @n added items of @bytes in all part of the queue, the last one ending at @tail. */
void bri_items_publish(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm tail,
    uint64_t n, uint64_t bytes);

/*
 * Brings over the memory of the next item to be put at @place (or taken from there), while the
 * guard is not needed: what the other side had last then does not have to be waited for inside the
 * section.
 */
static inline void bri_items_prefetch_put(const struct bri_object *o, struct bri_place_shm place)
{
    const uint8_t *p = o->arena->base + ((uint64_t)place.segment << BRI_PAGE_SHIFT) + place.at;

    __builtin_prefetch(p, 1); /* an address that is wrong does no harm */
    __builtin_prefetch(p + 64, 1);
}

static inline void bri_items_prefetch_get(const struct bri_object *o, struct bri_place_shm place)
{
    const uint8_t *p = o->arena->base + ((uint64_t)place.segment << BRI_PAGE_SHIFT) + place.at;

    __builtin_prefetch(p, 0);
    __builtin_prefetch(p + 64, 0);
}

/* A look at the items that can be taken, from the first on, changing nothing. */
struct bri_items_cursor {
    struct bri_place_shm place;
    uint32_t returned;
    struct bri_item_shm *item; /* the current one */
    const uint8_t *bytes;      /* its encoded bytes */
    uint32_t size;
};
void bri_items_look(const struct bri_items_shm *q, struct bri_items_cursor *c);
/* The next item that can be taken; EMPTY, or CORRUPT. */
int bri_items_next(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_items_cursor *c);

/*
 * Takes the first @n items (that a cursor has just passed; it stands behind them) of @bytes in all.
 * With @lease each is noted in the attachment and stays; otherwise they are gone. Large items
 * (there may be one, the last) are leased always.
 */
void bri_items_take(
    struct bri_txn *t, struct bri_items_shm *q, uint64_t n, bool lease, uint8_t flags);

/* The oldest item that this session has leased and is not still reading; NULL if there is none. */
struct bri_item_shm *bri_items_oldest(struct bri_txn *t);

/* Ends a lease: the item is gone. */
void bri_items_finish(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* Ends a lease: the item goes back to its place, as one that was delivered. */
void bri_items_return(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* The last item that @t->o->att has leased; NULL if there is none. */
struct bri_item_shm *bri_items_last_leased(struct bri_txn *t);

void bri_items_audit(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_audit *audit);

#endif
