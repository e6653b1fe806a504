/*
 * lock.h - what the inspection of an arena needs to know of a lock
 */
#ifndef BRI_OBJECTS_LOCK_H
#define BRI_OBJECTS_LOCK_H

#include "core/guard.h"

/* Who has a lock; a copy. */
struct bri_lock_look {
    bool held;
    bool kept; /* its owner died or left, and the lock was told to stay locked */
    uint32_t session;
    uint32_t thread; /* kernel's id; may lag behind for a moment */
    uint64_t token;
};

/* GONE if the object is not the one that was opened. */
int bri_lock_look(const struct bri_object *o, struct bri_lock_look *out_owner);

#endif
