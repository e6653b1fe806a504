/*
 * observe.h - what the public functions do around each operation, so that it can be monitored
 *
 * While nobody monitors that is one load and a branch. Otherwise a thread times its first
 * operations of each tick and writes them down; of the rest it counts those that were quick, and
 * writes down those that waited or took long.
 */
#ifndef BRI_OBSERVE_H
#define BRI_OBSERVE_H

#include "client/handle.h"
#include "core/monitor.h"
#include "engine_ops.h"

#define BRI_OBSERVE_SLOW_NS (2 * BRI_MONITOR_TICK_NS) /* told by the ticks that pass meanwhile */
#define BRI_OBSERVE_COUNT 4096u /* operations that are counted before anybody is told */

/* For brokers whose operations are not monitored: read-only, remote, or of a copy. */
extern const _Atomic uint64_t bri_observe_nothing;

/* The broker has got this arena and session. */
void bri_observe_begin(broker *b);

void bri_observe_start(uint64_t until);
void bri_observe_end(broker *b, const struct bri_handle *h, enum bri_op op, int r, uint64_t until);

/* Before an operation; what to give to bri_observed() after it. */
static inline uint64_t bri_observe(const broker *b)
{
    uint64_t until = atomic_load_explicit(b->monitored, memory_order_relaxed);

    if (__builtin_expect(until != 0, 0)) {
        bri_monitor_thread.since_ns = 0;
        if (until != bri_monitor_thread.spent)
            bri_observe_start(until);
    }
    return until;
}

/* @h may be NULL: an operation of no object. */
static inline void bri_observed(
    broker *b, const struct bri_handle *h, enum bri_op op, int r, uint64_t until)
{
    if (__builtin_expect(until == 0, 1))
        return;
    if (bri_monitor_thread.since_ns != 0 ||
        atomic_load_explicit(b->monitored, memory_order_relaxed) - until >= BRI_OBSERVE_SLOW_NS ||
        ++bri_monitor_thread.n_left_out >= BRI_OBSERVE_COUNT)
        bri_observe_end(b, h, op, r, until);
}

#endif
