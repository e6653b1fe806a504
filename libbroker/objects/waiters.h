/*
 * waiters.h - who waits to be notified, in the order in which they came
 *
 * Each waiter is a record in the object's heap, in one list of all and in one of its session's
 * attachment. Notifying marks the oldest that are not marked, and so those that are marked are
 * always the front of the list: one number says up to which. A marked waiter takes its record out
 * by itself, and has been notified then; what a dead session's marked waiters did not take goes to
 * the next ones. All functions belong in a section of the object, except those that only read.
 */
#ifndef BRI_WAITERS_H
#define BRI_WAITERS_H

#include <stdbool.h>

#include "core/guard.h"

struct bri_audit;

#define BRI_WAITERS_CHANNEL 1 /* of the object, in which they sleep */

/* Lies in the slot's state. */
struct bri_waiters_shm {
    uint64_t first_off;  /* [guard] the oldest */
    uint64_t last_off;   /* [guard] */
    uint64_t next_off;   /* [guard] the oldest that is not notified */
    uint64_t n_joined;   /* [guard] ever; the number of the newest */
    uint64_t notified;   /* [guard] waiters with numbers up to this one are */
    uint64_t n_notified; /* [guard] ever */
    uint64_t n;          /* [guard] */
};

/* One waiter. */
struct bri_waiter_shm {
    uint64_t number;        /* [const] never given twice */
    uint64_t holder_off;    /* [const] attachment of its session */
    uint64_t next_off;      /* [guard] the one that came after it */
    uint64_t prev_off;      /* [guard] */
    uint64_t next_mine_off; /* [guard] of its session, from first_lease to last_lease */
    uint64_t prev_mine_off; /* [guard] */
};

/* A waiter as the thread that waits knows it. */
struct bri_waiter {
    uint64_t off, number;
};

/* Joins this session as the last one. The section's failure if there is no memory. */
int bri_waiters_join(struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter *out_waiter);

/* The record; NULL if it is not there any more. */
struct bri_waiter_shm *bri_waiters_find(const struct bri_object *o, struct bri_waiter waiter);

static inline bool bri_waiters_is_notified(
    const struct bri_waiters_shm *w, const struct bri_waiter_shm *waiter)
{
    return waiter->number <= w->notified;
}

/* The bits of the futex under which a waiter sleeps. */
static inline uint32_t bri_waiters_bit(uint64_t number)
{
    return UINT32_C(1) << number % 32;
}

/* Takes a waiter out. If it was notified, it has made use of that. */
void bri_waiters_leave(struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter_shm *waiter);

/* Takes a waiter out that has not made use of it: if it was notified, the next one is instead. */
void bri_waiters_give_up(
    struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter_shm *waiter);

/* Notifies the oldest @n that are not notified; all of these with UINT64_MAX. */
void bri_waiters_notify(struct bri_txn *t, struct bri_waiters_shm *w, uint64_t n);

/* The oldest waiter of @t->o->att; NULL if there is none. */
struct bri_waiter_shm *bri_waiters_mine(struct bri_txn *t);

void bri_waiters_audit(
    const struct bri_object *o, const struct bri_waiters_shm *w, struct bri_audit *audit);

#endif
