/*
 * sweep.h - killing one case at every instruction, in three ways
 *
 * Linear: a child goes through the operation once; wherever it has changed the memory, or what the
 * kernel would do to it at a death, what the kernel does is done to a copy of the shared memory,
 * and the copy is judged. Between two such places all instructions leave the same: a state. They
 * are found by watching (tracer.h); and, in some cases that the seed chooses or in all, once more
 * by going through it instruction by instruction, which must give the same states with the same
 * verdicts.
 *
 * Real: a child goes to one of those states, and by some instructions farther, and is really
 * killed. What the kernel leaves must be, byte by byte, what was simulated; and the live arena,
 * when it is recovered, must give the same verdict.
 *
 * Double: before that, a child recovers that state, and dies in every state of its recovery, as in
 * the linear way.
 */
#ifndef TESTS_CRASH_SWEEP_H
#define TESTS_CRASH_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "judge.h"
#include "tracer.h"
#include "walker.h"
#include "world.h"

struct sweep_options {
    uint64_t seed;
    uint64_t stepped;  /* one in so many cases is stepped through as well; 0: none */
    uint64_t n_real;   /* states a case in which a child is really killed */
    uint64_t n_double; /* of those, in which its recoverer is killed too */
    uint64_t
        work_first; /* one in so many states is also judged with work before the reaping; 0: none */
    bool reaping;   /* kill the reaping too, not only the recovery of a guard */
    bool reserved;  /* what a session fills outside the guard makes states too */
    bool only;      /* judges one point, and nothing else: behind ... */
    uint64_t store, step; /* ... this store, and then this instruction */
    uint64_t stop_after;  /* faults in a case */
};

struct sweep_counts {
    uint64_t n_cases;
    uint64_t n_states;               /* different ones that the operation can die in */
    uint64_t n_steps;                /* instructions after which it was looked at, one by one */
    uint64_t n_outcomes[N_OUTCOMES]; /* of the states */
    uint64_t n_real;                 /* real deaths */
    uint64_t n_double;               /* states of recoveries in which the recoverer died */
    uint64_t n_bad[N_ORACLES];
};

struct sweep {
    struct sweep_options options;
    struct sweep_counts counts;
    struct judge judge;
    struct world live; /* one for all cases */
    struct sweep_programs {
        struct world world;
        broker *live[N_ACTORS], brokers[N_ACTORS]; /* where the live world has them, and copies */
    } programs, blank_programs;                    /* at the start, and before anything was there */
    uint8_t *blank;           /* images of the live world: with nothing in it, ... */
    uint8_t *before;          /* ... at the start, ... */
    uint8_t *after;           /* ... at the end, ... */
    uint8_t *seen;            /* ... now, ... */
    uint8_t *died;            /* ... and with somebody dead */
    struct world_pages pages; /* that count in `seen` */
    struct tracer tracer;
    uint64_t n_stores;         /* of the victim's, so far, */
    uint64_t target;           /* or to be done by a child */
    struct tracer_death death; /* if the victim died now */
    struct wakes *wakes;       /* that it has done, shared with children */
    uint32_t n_wakes;          /* of those, in the state that it is in */
    uint64_t guard_off;        /* that the recoverer is to recover, 0 if none */
    int *result;               /* of the operation, from the child */
    const struct crash_operation *operation;
    const struct crash_state *state;
    /* What the linear pass has found in each state, ... */
    struct sweep_finding {
        uint64_t store; /* behind which it begins */
        unsigned fits;  /* as the judge's */
        bool marked;    /* a death leaves a guard to be recovered */
    } * findings;
    uint32_t n_findings, max_findings, n_marked;
    uint64_t random;
    uint64_t turn; /* of cases that could be stepped through */
    bool can_walk;
    bool walking;      /* the victim walks in this process; else it is a child that is stepped */
    uint64_t n_faults; /* in this case */
};

void sweep_init(struct sweep *s, const struct sweep_options *options);
void sweep_fini(struct sweep *s);

/* Notes a fault of the present case, of which the judge's message tells. */
void sweep_say_fault(struct sweep *s, const char *how);

/* One case; adds to the counts, and says what is wrong on standard output. */
void sweep_case(
    struct sweep *s, const struct crash_operation *operation, const struct crash_state *state);

#endif
