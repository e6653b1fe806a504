/*
 * deadlock.h - who waits for what that only others who wait could give
 *
 * A picture of all waiting threads is taken, and those are struck off who may still go on: because
 * somebody who is not waiting could end their wait, or anybody who comes. Who is left waits for
 * ever, unless his own time ends it. Pictures are not taken at one moment, so one alone could show
 * what never was: only what two of them show alike is believed.
 */
#ifndef BRI_DEADLOCK_H
#define BRI_DEADLOCK_H

#include "core/guard.h"

/* One thread of a circle. */
struct bri_stuck {
    uint32_t circle;          /* from 1; threads of one circle follow each other */
    uint32_t session, thread; /* that waits; the kernel's id */
    uint32_t object;          /* slot of what it waits for */
    uint64_t generation;
    unsigned channel;
    uint64_t since_ms;              /* CLOCK_MONOTONIC */
    uint64_t proof;                 /* of whoever holds it: another one for each holding */
    uint32_t by_session, by_thread; /* the next one of the circle */
};

/* All circles: an array that the caller frees, NULL if there are none. NOMEM. */
int bri_find_deadlocks(struct bri_arena *a, struct bri_stuck **out_stuck, uint32_t *out_n);

/* True if this thread, which is noted as waiting for @o, is in a circle, and has waited least of
 * all there. */
bool bri_is_youngest_in_deadlock(const struct bri_object *o);

#endif
