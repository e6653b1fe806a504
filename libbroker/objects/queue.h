/*
 * queue.h - what the parts of the queue type share
 */
#ifndef BRI_QUEUE_H
#define BRI_QUEUE_H

#include "client/handle.h"
#include "core/clock.h"
#include "core/type.h"
#include "core/wait.h"
#include "objects/items.h"
#include "objects/reading.h"

/* Channels. */
#define BRI_QUEUE_NOT_EMPTY 0
#define BRI_QUEUE_NOT_FULL 1
#define BRI_QUEUE_ALL_DONE 2
#define BRI_QUEUE_BULK_ROOM 3 /* for those who wait for room for several at once */

#define BRI_QUEUE_ITEM_MAX (UINT32_C(1) << 30)        /* encoded bytes of one item */
#define BRI_QUEUE_BATCH_BYTES_MAX (UINT32_C(1) << 20) /* read in one section: it must not last */

#define BRI_QUEUE_JOINABLE 1u
#define BRI_QUEUE_CLOSED 2u

#define BRI_DUE 1003 /* internal: a timer is due; see bri_queue_fire() */

struct bri_queue_shm {
    struct bri_items_shm items;
    uint64_t max_items; /* [const] 0 is none */
    uint64_t max_bytes; /* [const] 0 is none */
    uint64_t flags;     /* [guard] JOINABLE [const], CLOSED */
};

_Static_assert(sizeof(struct bri_queue_shm) <= BRI_SLOT_STATE, "queue state size");

static inline struct bri_queue_shm *bri_queue_of(const struct bri_object *o)
{
    return (struct bri_queue_shm *)o->slot->state;
}

static inline int bri_queue_check_timeout(const struct bri_handle *h, int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return BROKER_INVALID;
    return h->object.att == NULL ? BROKER_ACCESS : 0;
}

/*
 * For a try: BRI_DUE if a timer is due, which is to be carried out first; else 0, and if the try
 * comes to wait it is repeated when the next one is.
 */
static inline int bri_queue_due(struct bri_txn *t, const struct bri_queue_shm *q)
{
    if (__builtin_expect(q->items.due_ns == 0, 1))
        return 0;
    t->look_again_ns = q->items.due_ns;
    return q->items.due_ns <= bri_now() ? BRI_DUE : 0;
}

/* Carries out what is due, in sections of its own. */
int bri_queue_fire(struct bri_object *o);

/* The same before an operation that does not wait: leases that are over are so for everybody. */
static inline int bri_queue_settle(struct bri_object *o)
{
    int64_t due_ns = *(volatile int64_t *)&bri_queue_of(o)->items.due_ns;

    return due_ns != 0 && o->att != NULL && due_ns <= bri_now() ? bri_queue_fire(o) : 0;
}

/* A lease of @hold_ns from now; BRI_NEVER takes its limit away. NOMEM, QUOTA. */
int bri_queue_limit(
    struct bri_txn *t, struct bri_queue_shm *q, struct bri_item_shm *item, int64_t hold_ns);

/* One unfinished item fewer. */
void bri_queue_count_done(struct bri_txn *t, struct bri_queue_shm *q);

/* Room came: for one who waits for a place, and for all who wait for several or for bytes. */
void bri_queue_wake_putters(struct bri_txn *t, const struct bri_queue_shm *q, uint64_t n);

/* ---- getting ---- */

struct bri_get {
    struct bri_output out;
    uint64_t limit;      /* of several; 0 is one item, without an array around it */
    bool by_token;       /* lease it by token, for hold_ns */
    bool is_dead;        /* it ends when it was copied, and is finished then */
    bool in_place;       /* an item that has pages of its own is lent, not copied */
    int64_t hold_ns;     /* BRI_NEVER: until it is finished or returned */
    uint64_t token;      /* out */
    uint64_t deliveries; /* out */
    bool large;          /* the item is leased and its bytes are still to be copied, from here: */
    const uint8_t *bytes;
    uint64_t item_off;
    uint32_t size;
    bool lent;                 /* out: `bytes` are the answer */
    struct bri_place_shm next; /* where the next item will be */
};

/* The first item, alone: its bytes are copied now, or noted to be copied outside if they are many.
 */
int bri_queue_get_try(struct bri_txn *t, void *arg);

/* The whole of a get by @try, with its waiting and copying. */
int bri_queue_take(struct bri_handle *h, int64_t timeout_ns, bri_try_fn *try, struct bri_get *x);

/* ---- in place; only in shared memory ---- */

/* Memory for an item of @size bytes, which only this session knows. CLOSED, TOOBIG, NOMEM, QUOTA.
 */
int bri_queue_reserve(struct bri_handle *h, uint64_t size, void **out_memory);

/* Puts the first @size bytes of what was reserved as a byte string; INVALID if it was not. If it
 * fails, it is still reserved. */
int bri_queue_commit(struct bri_handle *h, void *memory, uint64_t size, int64_t timeout_ns);

/* Gives it back instead; INVALID. */
int bri_queue_cancel(struct bri_handle *h, void *memory);

/* bri_queue_lease() without a copy of an item that has pages of its own. */
int bri_queue_lease_in_place(struct bri_handle *h, int64_t timeout_ns, int64_t hold_ns,
    broker_buffer *buffer, broker_value *out_item, uint64_t *out_token, uint64_t *out_deliveries);

/* Of the type. */
int bri_queue_reap(struct bri_object *o, bool died);
void bri_queue_stat(const struct bri_object *o, struct bri_stat *stat);

#endif
