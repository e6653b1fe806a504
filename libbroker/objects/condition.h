/*
 * condition.h - what a condition is in shared memory
 */
#ifndef BRI_CONDITION_H
#define BRI_CONDITION_H

#include "objects/owner.h"
#include "objects/waiters.h"

struct bri_condition_shm {
    struct bri_owner_shm own; /* the lock, if it has one of its own */
    uint64_t lock_generation; /* [const] of the lock that it shares; 0: it has its own */
    uint32_t lock_id;         /* [const] slot of that */
    uint32_t spare;
    struct bri_waiters_shm waiters;
};

_Static_assert(sizeof(struct bri_condition_shm) <= BRI_SLOT_STATE, "condition state size");

static inline struct bri_condition_shm *bri_condition_of(const struct bri_object *o)
{
    return (struct bri_condition_shm *)o->slot->state;
}

#endif
