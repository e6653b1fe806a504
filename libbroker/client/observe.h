/*
 * observe.h - what the public functions do around each operation, so that it can be monitored
 *
 * A thread times its first operations of each tick and writes them down, and counts some more.
 * When it has done that, there is nothing left to do before the next tick but to write down what
 * had to wait; so it compares the word, as it does while nobody monitors, with what it expects.
 */
#ifndef BRI_OBSERVE_H
#define BRI_OBSERVE_H

#include "client/handle.h"
#include "core/monitor.h"
#include "engine_ops.h"

#define BRI_OBSERVE_COUNT                                                                          \
    1024u /* operations of a tick that are counted behind those that are timed */

/* For brokers whose operations are not monitored: read-only, remote, or of a copy. */
extern const _Atomic uint64_t bri_observe_nothing;

/* The broker has got this arena and session. */
void bri_observe_begin(broker *b);

/* For public functions that are not observed: a wait in there is not the next operation's. */
void bri_observe_forget(void);

/* The broker is closed: what this thread has left out is told. */
void bri_observe_leave(broker *b);

void bri_observe_start(uint64_t until);
void bri_observe_end(broker *b, const struct bri_handle *h, enum bri_op op, int r);

/* Before an operation. @monitored is the broker's. */
static inline void bri_observe(const _Atomic uint64_t *monitored)
{
    uint64_t until = atomic_load_explicit(monitored, memory_order_relaxed);

    if (__builtin_expect(until != bri_monitor_thread.spent, 0))
        bri_observe_start(until);
}

/* After it. @h may be NULL: an operation of no object. */
static inline void bri_observed(broker *b, const struct bri_handle *h, enum bri_op op, int r)
{
    if (__builtin_expect(bri_monitor_thread.since_ns != 0, 0))
        bri_observe_end(b, h, op, r);
}

#endif
