/*
 * sweep.h - killing one case at every instruction, in three ways
 *
 * Linear: a child goes through the operation once, instruction by instruction; after each, what the
 * kernel does at a death is done to a copy of the shared memory, and the copy is judged.
 * Instructions that change neither the memory nor what the kernel would do to it leave the same
 * copy, which is not judged again: a state.
 *
 * Real: a child is really killed in one of those states. What the kernel leaves must be, byte by
 * byte, what was simulated; and the live arena, when it is recovered, must give the same verdict.
 *
 * Double: before that, a child recovers that state, and dies at every instruction of it, as in the
 * linear way.
 */
#ifndef TESTS_CRASH_SWEEP_H
#define TESTS_CRASH_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "judge.h"
#include "tracer.h"
#include "world.h"

struct sweep_options {
    uint64_t seed;
    uint64_t n_real;   /* states a case in which a child is really killed */
    uint64_t n_double; /* of those, in which its recoverer is killed too */
    uint64_t
        work_first; /* one in so many states is also judged with work before the reaping; 0: none */
    bool reaping;   /* kill the reaping too, not only the recovery of a guard */
    bool reserved;  /* what a session fills outside the guard makes states too */
    uint64_t only_step; /* judges what this instruction leaves, and nothing else; UINT64_MAX: all */
    uint64_t stop_after; /* faults in a case */
};

struct sweep_counts {
    uint64_t n_cases;
    uint64_t n_points; /* instructions after which somebody was killed */
    uint64_t n_states;
    uint64_t n_outcomes[N_OUTCOMES]; /* of the states of the linear pass */
    uint64_t n_real;                 /* real deaths */
    uint64_t n_double; /* instructions of recoveries after which the recoverer was killed */
    uint64_t n_bad[N_ORACLES];
};

struct sweep {
    struct sweep_options options;
    struct sweep_counts counts;
    struct judge judge;
    struct world live;
    uint8_t *before;          /* images of the live world: at the start, ... */
    uint8_t *after;           /* ... at the end, ... */
    uint8_t *seen;            /* ... now, ... */
    uint8_t *died;            /* ... and with somebody dead */
    struct world_pages pages; /* that count in `seen` */
    struct tracer tracer;
    struct tracer_death death; /* if the child died now */
    uint64_t guard_off;        /* that the recoverer is to recover, 0 if none */
    int *result;               /* of the operation, from the child */
    const struct crash_operation *operation;
    const struct crash_state *state;
    uint32_t
        *marked; /* states of the linear pass in which a death leaves a guard to be recovered */
    uint32_t n_marked, max_marked;
    uint64_t random;
    uint64_t n_faults; /* in this case */
};

void sweep_init(struct sweep *s, const struct sweep_options *options);
void sweep_fini(struct sweep *s);

/* One case; adds to the counts, and says what is wrong on standard output. */
void sweep_case(
    struct sweep *s, const struct crash_operation *operation, const struct crash_state *state);

#endif
