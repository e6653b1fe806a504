/*
 * mixed.h - programs in shared memory and programs by ZeroMQ, on the same objects
 *
 * Every other process comes by ZeroMQ. A life is one session: who has lost his, because the
 * endpoint was killed, goes on with another one. What a life has is others' as soon as it is
 * doomed, or by ZeroMQ as soon as the endpoint that it began with is.
 */
#ifndef STRESS_MIXED_H
#define STRESS_MIXED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <broker.h>

#include "ledger.h"

#define N_PARTIES 4u /* of the barrier */

/* Where at most one may be at a time. */
struct room {
    _Atomic uint32_t inside; /* life, plus one */
    _Atomic uint64_t token;  /* the greatest that anybody came in with */
};

/* Shared by all processes. Lives, items, and who has failed, are in the ledger. */
struct mixed {
    struct ledger *ledger;
    const char *addresses[2]; /* in shared memory, by ZeroMQ */
    _Atomic uint32_t epoch;   /* endpoints that were killed */
    _Atomic int32_t stock;    /* what those who wait for the condition take from */
    struct room lock, condition;
    struct { /* waits at the barrier */
        _Atomic uint64_t n_begun, n_passed, n_failed;
    } meet;
    _Atomic uint64_t n_items, n_sold, n_inside, n_lost;
    _Atomic uint32_t epochs[MAX_LIVES]; /* when the life began; 0: in shared memory */
};

/* How far a process is; shared. */
struct progress {
    _Atomic uint32_t life;
    _Atomic uint64_t n_steps; /* of all its lives */
};

/* A process: one of N_SEATS kinds. Never returns. */
#define N_SEATS 10u
_Noreturn void mixed_run(struct mixed *m, unsigned seat, struct progress *progress);

/* In the supervisor, when nobody else is left: what is to be had still is taken and noted, and all
 * accounts must be right. False, told, if one is not. */
bool mixed_verify(struct mixed *m);

/* Again and again until all have left: ends what they wait for. */
void mixed_let_go(struct mixed *m, broker *b);

#endif
