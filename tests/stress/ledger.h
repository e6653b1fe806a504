/*
 * ledger.h - what really happened, beside the broker: in memory of its own, shared by all processes
 * of a stress test
 *
 * Each life (one process from its start to its end) notes what it is about to do before it does it,
 * and what has happened after. So for whoever is killed, at most its last operation is in doubt,
 * and everything else is certain. A note is one store: a kill falls before it or after it.
 */
#ifndef STRESS_LEDGER_H
#define STRESS_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define N_COUNTERS 16u
#define N_SUMS 3u /* counters that one add_many changes */
#define N_LOCKS 5u
#define N_THREADS 2u
#define MAX_LIVES (UINT32_C(1) << 17)
#define MAX_ITEMS (UINT32_C(1) << 27)
#define KEPT_LOCK (N_LOCKS - 1) /* the one that stays locked when its owner dies */

/* Changes of one kind, by one thread: begun, and known to have happened. */
struct tally {
    _Atomic uint64_t begun, done;
};

struct life {
    _Atomic uint32_t
        is_doomed; /* it leaves, or is about to be killed: what it holds may be others' */
    _Atomic uint32_t was_killed;
    _Atomic uint64_t n_steps; /* moves as long as it lives */
    const char *_Atomic step; /* what it does now */
    struct tally added[N_THREADS][N_COUNTERS];
    struct tally added_many;
    struct tally summed[N_COUNTERS]; /* into the array */
    struct tally locked[N_LOCKS];
    _Atomic uint32_t
        taking_plain; /* items that a get under way may take from the plain queue or the pipe */
    _Atomic uint32_t taking_tasks; /* and from the joinable one */
};

/* What became of an item, told by those who had it. */
enum item_flag {
    ITEM_PUT_BEGUN = 1,
    ITEM_PUT = 2,
    ITEM_REFUSED = 4, /* the put failed */
    ITEM_TASK = 8,    /* of the joinable queue */
    ITEM_TAKEN = 16,
    ITEM_FINISHING = 32, /* its task_done is begun */
    ITEM_FINISHED = 64,
    ITEM_MESSAGE = 128, /* of the pipe */
};

#define ITEM_KINDS (ITEM_TASK | ITEM_MESSAGE) /* neither: of the plain queue */

struct item {
    _Atomic uint32_t flags;
    _Atomic uint32_t holder; /* life that has it leased, plus one; 0: nobody */
    uint32_t batch;          /* first of those that were put by the same call */
};

/* What a lock protects: plain words, so that two at a time show. */
struct guarded {
    _Alignas(64) volatile uint64_t first, second; /* the same, but inside */
    volatile uint64_t token;                      /* of the last acquisition */
    volatile uint32_t inside;                     /* life, plus one; 0: nobody */
};

struct ledger {
    uint64_t seed;
    bool kills_daemon; /* so it may be gone when somebody wants to attach */
    _Atomic uint32_t must_stop;
    _Atomic uint32_t has_failed;
    char failure[512]; /* the first one's */
    _Atomic uint32_t n_lives;
    _Atomic uint32_t n_items;
    _Atomic uint64_t n_redelivered;
    _Atomic uint64_t n_out_of_order; /* items that came after a later one of the same producer */
    _Atomic uint64_t n_notices;      /* of owners that died */
    struct guarded guarded[N_LOCKS];
    struct life lives[MAX_LIVES];
    struct item items[MAX_ITEMS];
};

/* Ends the program if it can't. Memory comes with use. */
struct ledger *ledger_new(uint64_t seed);

/* A new life. */
uint32_t ledger_begin_life(struct ledger *l);

/* Notes a failure (the first one counts) and ends this process. */
_Noreturn void ledger_fail(struct ledger *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The next of numbers that look random. */
static inline uint64_t ledger_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint32_t ledger_pick(uint64_t *state, uint32_t n)
{
    return (uint32_t)((ledger_random(state) >> 32) * n >> 32);
}

/* The @k-th counter that the @n-th add_many of @life changes. */
static inline uint32_t ledger_sum_key(uint32_t life, uint64_t n, unsigned k)
{
    return (uint32_t)((life + n) * N_SUMS + k) % N_COUNTERS;
}

#endif
