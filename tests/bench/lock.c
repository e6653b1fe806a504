/*
 * lock.c - taking a lock and giving it back
 */
#include "probes.h"

#define BATCH 256

struct counted_lock {
    broker_lock *lock;
    volatile uint64_t *count; /* what the lock protects */
    uint64_t n;               /* how often this process had it */
};

static void lock_open(struct bench *b, struct counted_lock *l, const char *name)
{
    *l = (struct counted_lock){.count = (volatile uint64_t *)b->scratch};
    bench_must(broker_lock_open(bench_open(b), name, NULL, &l->lock), "lock open");
    if (b->rank == 0)
        *l->count = 0;
}

static void lock_batch(void *arg, unsigned n)
{
    struct counted_lock *l = arg;

    l->n += n;
    while (n-- > 0) {
        bench_must(broker_lock_acquire(l->lock, BROKER_FOREVER, NULL), "lock acquire");
        *l->count = *l->count + 1;
        bench_must(broker_lock_release(l->lock), "lock release");
    }
}

static void run_alone(struct bench *b)
{
    struct counted_lock l;

    lock_open(b, &l, "lock");
    bench_give(b, 0, bench_time(b, lock_batch, &l, BATCH));
    bench_expect(*l.count == l.n, "lock");
}

const struct bench_probe bench_lock_alone = {
    .group = "lock",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"acquire and release", BENCH_NS, 25, "raw/robust mutex, lock and unlock"},
            {0},
        },
    .run = run_alone,
};

static void run_contended(struct bench *b)
{
    volatile uint64_t *counts = (volatile uint64_t *)(b->scratch + 4096);
    struct counted_lock l;

    lock_open(b, &l, "lock");
    bench_meet(b);
    bench_give(b, 0, bench_rate_together(b, lock_batch, &l, BATCH));
    counts[b->rank] = l.n;
    bench_meet(b);
    bench_expect(*l.count == counts[0] + counts[1], "two processes under one lock");
}

const struct bench_probe bench_lock_contended = {
    .group = "lock",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"acquire and release, contended by 2", BENCH_PER_SECOND, 0,
                "raw/robust mutex, contended by 2"},
            {0},
        },
    .run = run_contended,
};
