/*
 * items.h - the store of a queue: its items, in which order they are taken, and what becomes of
 * them
 *
 * A FIFO appends items to segments and takes them in that order; an item that is held (leased,
 * delayed, dead, or returned) stays where it is, and a segment is given back when it was passed and
 * nothing in it is held. In the other orders each item is a block, in one of two trees: of those
 * that can be taken, and of those that are away; both count when it comes to whether a new one can
 * be compared.
 *
 * A leased item is in a list of its holder's attachment until it is finished or returned. A
 * returned one goes to its old place: in a FIFO into a tree, by number, that is served before the
 * segments. All functions belong in a section of the queue, except those that only read.
 */
#ifndef BRI_ITEMS_H
#define BRI_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "objects/tree.h"

struct bri_audit;
struct bri_collect_look;

/* Encoded bytes of an item that lie beside its head; larger ones have pages of their own. */
#define BRI_ITEM_INLINE 2048u
#define BRI_ITEM_INLINE_BLOCK 1984u /* of one that is a block, with head and node */

#define BRI_DELIVERIES_MAX UINT16_MAX

enum bri_items_order {
    BRI_FIFO = 0,
    BRI_LIFO = 1,
    BRI_PRIORITY = 2, /* the smallest value first, the older one of equals */
};

/* A place in the segments; one word, so that it changes at once. */
struct bri_place_shm {
    uint32_t segment; /* first page, 0 is none */
    uint32_t at;      /* bytes from its start */
};

/* Lies in the slot's state: what every operation needs. */
struct bri_items_shm {
    struct bri_place_shm head; /* [guard] the next item that was never taken, if it is not tail */
    struct bri_place_shm tail; /* [guard] where the next one goes */
    uint64_t n_put;            /* [guard] ever; the number of the next item */
    uint64_t n_taken;          /* [guard] ever, redeliveries included */
    uint64_t n_returned;       /* [guard] ever made ready again */
    uint64_t n_done;           /* [guard] ever finished, by task_done or by its token, or dead */
    uint64_t n_bytes;          /* [guard] encoded, of items that can be taken */
    uint32_t first_segment;    /* [guard] oldest */
    uint32_t spare_segment;    /* [guard] kept for the next time */
    struct bri_tree_shm early; /* [guard] taken before the segments: of a FIFO the returned ones, by
                                  number; in other orders all that can be taken */
    uint32_t n_leased;         /* [guard] */
    uint32_t serial;           /* [guard] of the last token */
    int64_t due_ns;            /* [guard] when the first timer is due; 0: there is none */
    uint32_t n_delayed;        /* [guard] */
    uint32_t n_dead;           /* [guard] */
    uint32_t max_deliveries;   /* [const] 0 is none */
    uint32_t order;            /* [const] enum bri_items_order */
};

/* Lies in the root page: the rest. */
struct bri_items_rest_shm {
    struct bri_tree_shm away;   /* [guard] not of a FIFO: leased, delayed and dead items */
    struct bri_tree_shm timers; /* [guard] by time */
    uint32_t first_dead;        /* [guard] items in units; the one that died first */
    uint32_t last_dead;         /* [guard] */
};

static inline struct bri_items_rest_shm *bri_items_rest(const struct bri_object *o)
{
    return (struct bri_items_rest_shm *)o->root->state;
}

enum bri_item_state {
    BRI_ITEM_READY = 1,
    BRI_ITEM_LEASED = 2,
    BRI_ITEM_DONE = 3,
    BRI_ITEM_DELAYED = 4, /* its timer makes it ready */
    BRI_ITEM_DEAD = 5,    /* delivered too often */
};

#define BRI_ITEM_REDELIVERED 1u /* flag: was taken before */
#define BRI_ITEM_COPYING 2u     /* flag: its holder is still reading it */
#define BRI_ITEM_TOKEN 4u       /* flag: leased by token, and so in the second list */
#define BRI_ITEM_LENT 8u        /* flag: leased, and its holder reads the body where it is */
#define BRI_ITEM_IN_PLACE 16u   /* flag [const]: written by its producer, behind a margin */

/* Before the encoded bytes of an item that was written in place, so that what follows their head is
 * aligned for whatever it may be. */
#define BRI_ITEM_MARGIN (64u - BRI_ITEM_BIN_HEAD)
#define BRI_ITEM_BIN_HEAD 5u

/* One item. */
struct bri_item_shm {
    uint64_t number;     /* [const] */
    uint32_t size;       /* [const] encoded bytes */
    uint8_t state;       /* [guard] enum bri_item_state */
    uint8_t flags;       /* [guard] */
    uint16_t deliveries; /* [guard] */
    union {
        struct bri_node_shm node; /* [guard] of a FIFO's, among the returned */
        struct {
            uint32_t next;   /* [guard] in the holder's leases or among the dead, in units */
            uint32_t prev;   /* [guard] */
            uint32_t holder; /* [guard] attachment, in units, while it is leased */
            uint32_t serial; /* [guard] of its token */
        };
    };
    uint32_t body;  /* [const] first page of the bytes of a large item, else 0 and they follow */
    uint32_t timer; /* [guard] block in units: of a lease that ends by itself, or of a delay */
    int64_t put_ns; /* [const] CLOCK_MONOTONIC, coarse */
};

static inline uint64_t bri_items_ready(const struct bri_items_shm *q)
{
    return q->n_put + q->n_returned - q->n_taken;
}

static inline uint64_t bri_items_unfinished(const struct bri_items_shm *q)
{
    return q->n_put - q->n_done;
}

static inline uint32_t bri_items_inline(const struct bri_items_shm *q)
{
    return q->order == BRI_FIFO ? BRI_ITEM_INLINE : BRI_ITEM_INLINE_BLOCK;
}

/* ---- putting ---- */

/*
 * Room for an item of @size encoded bytes behind the last one: where its bytes are to be written,
 * NULL on failure. A large item's bytes lie in @body already. Not there for others until
 * bri_items_publish(); several may be added before.
 */
uint8_t *bri_items_add(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm *tail,
    uint32_t size, uint32_t body, uint64_t number);

/* Not of a FIFO: gives the item that was added at @to, now that its bytes are there, its place.
 * INCOMPARABLE. */
int bri_items_place(struct bri_txn *t, struct bri_items_shm *q, uint8_t *to);

/* The head of the item that was added at @to. */
static inline struct bri_item_shm *bri_item_of_bytes(uint8_t *to)
{
    return (struct bri_item_shm *)(void *)to - 1;
}

/* Makes @n added items of @bytes in all part of the queue, the last one ending at @tail. */
void bri_items_publish(struct bri_txn *t, struct bri_items_shm *q, struct bri_place_shm tail,
    uint64_t n, uint64_t bytes);

/* What is to be allocated for the bytes of a large item: never as many pages as a segment has. */
uint64_t bri_items_body_size(uint64_t size);

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

/* ---- looking and taking ---- */

/* A look at the items that can be taken, from the first on, changing nothing. */
struct bri_items_cursor {
    struct bri_place_shm place;
    uint32_t node;
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

/* ---- leases ---- */

/* The oldest item that this session has leased without a token and is not still reading; NULL if
 * there is none. */
struct bri_item_shm *bri_items_oldest(struct bri_txn *t);

/* The last item that @t->o->att has leased, with a token or, if there are none of these, without;
 * NULL if there is none. */
struct bri_item_shm *bri_items_last_leased(struct bri_txn *t);

/* What its holder names a lease by; never 0. */
uint64_t bri_item_token(const struct bri_object *o, const struct bri_item_shm *item);

/* The item of a token of this session. NOTFOUND: that lease is over; NOTOWNER: it is another
 * session's. */
int bri_items_of_token(
    struct bri_txn *t, const struct bri_items_shm *q, uint64_t token, struct bri_item_shm **out);

/* The lease ends by itself at @due_ns; 0: it does not. NOMEM, QUOTA: it is as it was. */
int bri_items_limit(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, int64_t due_ns);

/* Ends a lease: the item is gone. */
void bri_items_finish(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/*
 * Ends a lease: the item goes back to its place, as one that was delivered; at @due_ns, if that is
 * not 0. If it was delivered too often, it goes to the dead: true.
 */
bool bri_items_return(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, int64_t due_ns);

/* What timers have done. */
struct bri_items_fired {
    uint32_t n_ready, n_dead;
};

/* Carries out some timers that are due at @now_ns, at least one. */
void bri_items_fire(
    struct bri_txn *t, struct bri_items_shm *q, int64_t now_ns, struct bri_items_fired *out);

/*
 * Whether the section has room for another item that comes back, without more memory for its
 * journal: what is given back when a session ends must not need any.
 */
static inline bool bri_items_has_room(const struct bri_txn *t)
{
    return t->n <= (BRI_JOURNAL_SLOT + BRI_JOURNAL_ROOT) / 4;
}

/* ---- the dead ---- */

/* The one that has been dead longest; NULL if there is none. */
struct bri_item_shm *bri_items_first_dead(struct bri_txn *t);

/* Makes a dead one ready, as if it had never been delivered. */
void bri_items_revive(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* Leases a dead one while it is copied: given back, it is dead again. */
void bri_items_lease_dead(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* Ends a dead one. */
void bri_items_drop_dead(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* ---- what the parts of the store share ---- */

/* The item at @off, with its bytes inside its segment, block or body; NULL if there can't be one.
 */
struct bri_item_shm *bri_item_at(
    const struct bri_object *o, uint64_t off, const uint8_t **out_bytes, uint32_t *out_size);
struct bri_item_shm *bri_item_of_unit(const struct bri_object *o, uint32_t unit);

/* Whether an item begins at @unit, whatever the bytes there are. */
bool bri_item_exists(const struct bri_object *o, const struct bri_items_shm *q, uint32_t unit);

/* The number of the session that has a leased item; UINT32_MAX if that can't be told. */
uint32_t bri_item_session(const struct bri_object *o, const struct bri_item_shm *item);

/* When an item's timer is due; 0: it has none. */
int64_t bri_item_due(const struct bri_object *o, const struct bri_item_shm *item);

static inline uint32_t bri_unit_of(const struct bri_object *o, const void *p)
{
    return (uint32_t)(bri_off(o->arena, p) >> BRI_UNIT_SHIFT);
}

/* An item's node in the trees: within its head in a FIFO, before it in the other orders. */
static inline struct bri_node_shm *bri_item_node(
    const struct bri_items_shm *q, struct bri_item_shm *item)
{
    return q->order == BRI_FIFO ? &item->node : (struct bri_node_shm *)item - 1;
}

static inline uint32_t bri_item_of_node(const struct bri_items_shm *q, uint32_t node)
{
    return q->order == BRI_FIFO ? node - 1 : node + 1;
}

_Static_assert(sizeof(struct bri_node_shm) == 1 << BRI_UNIT_SHIFT &&
                   offsetof(struct bri_item_shm, node) == 1 << BRI_UNIT_SHIFT,
    "nodes are one unit off their items");

bri_order_fn *bri_items_order(const struct bri_items_shm *q);
extern bri_order_fn bri_timers_order;

/* state, flags and deliveries change at once. */
void bri_item_set_state(struct bri_txn *t, struct bri_item_shm *item, unsigned state,
    unsigned flags, unsigned deliveries);

/* Notes a lease in the attachment. */
void bri_item_lease(
    struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item, unsigned flags);

/* Lets an item that is in no list or tree go, with all its memory. */
void bri_item_end(struct bri_txn *t, struct bri_items_shm *q, struct bri_item_shm *item);

/* A timer, and the item it belongs to. */
struct bri_timer_shm {
    struct bri_node_shm node;
    int64_t due_ns; /* [guard] */
    uint32_t item;  /* [const] in units */
    uint32_t spare;
};

/*
 * For the collector. Its place is in a FIFO the next item in the segments, which never move; in the
 * other orders the next node, first of those that can be taken, then of those that are away. What
 * frees a segment or takes a node out of its tree moves the place on before.
 */
void bri_items_refs(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_collect_look *look);
void bri_items_leave_segment(struct bri_txn *t, uint32_t page, uint32_t next);
void bri_items_leave_early(
    struct bri_txn *t, const struct bri_items_shm *q, struct bri_item_shm *item);
void bri_items_leave_away(
    struct bri_txn *t, const struct bri_items_shm *q, struct bri_item_shm *item);

void bri_items_audit(
    const struct bri_object *o, const struct bri_items_shm *q, struct bri_audit *audit);

#endif
