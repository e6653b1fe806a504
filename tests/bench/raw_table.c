/*
 * raw_table.c - a table made by hand for exactly one purpose: the limit of what a dict can do
 *
 * Fixed size, fixed keys and values, in shared memory: open addressing, and a sequence number for
 * each entry. Not crash-safe, never grows, forgets nothing.
 */
#include <string.h>

#include "probes.h"

#define BATCH 256

struct entry {
    _Atomic uint32_t seq; /* odd: being written; 0: empty */
    uint32_t hash;
    char key[BENCH_KEY];
    uint8_t value[BENCH_VALUE];
    uint8_t spare[8];
};

struct table {
    struct entry *entries;
    uint64_t mask;
    uint64_t n; /* keys 0 to n - 1 */
    uint64_t random;
};

static uint32_t hash_of(const char key[BENCH_KEY])
{
    uint64_t a, b;
    __uint128_t m;

    memcpy(&a, key, sizeof(a));
    memcpy(&b, key + sizeof(a), sizeof(b));
    m = (__uint128_t)(a ^ UINT64_C(0xa0761d6478bd642f)) * (b ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint32_t)((uint64_t)m ^ (uint64_t)(m >> 64));
}

static struct entry *find(const struct table *t, const char key[BENCH_KEY], uint32_t hash)
{
    for (uint64_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        struct entry *e = &t->entries[i];

        if (atomic_load_explicit(&e->seq, memory_order_acquire) == 0)
            return e;
        if (e->hash == hash && memcmp(e->key, key, BENCH_KEY) == 0)
            return e;
    }
}

static bool get(const struct table *t, const char key[BENCH_KEY], uint8_t value[BENCH_VALUE])
{
    struct entry *e = find(t, key, hash_of(key));
    uint32_t seq;

    do {
        seq = atomic_load_explicit(&e->seq, memory_order_acquire);
        memcpy(value, e->value, BENCH_VALUE);
        atomic_thread_fence(memory_order_acquire);
    } while ((seq & 1) != 0 || atomic_load_explicit(&e->seq, memory_order_relaxed) != seq);
    return seq != 0;
}

static void set(const struct table *t, const char key[BENCH_KEY], const uint8_t value[BENCH_VALUE])
{
    uint32_t hash = hash_of(key), seq;
    struct entry *e = find(t, key, hash);

    do
        seq = atomic_load_explicit(&e->seq, memory_order_relaxed) & ~1u;
    while (!atomic_compare_exchange_weak_explicit(
        &e->seq, &seq, seq + 1, memory_order_acquire, memory_order_relaxed));
    if (seq == 0) {
        e->hash = hash;
        memcpy(e->key, key, BENCH_KEY);
    }
    memcpy(e->value, value, BENCH_VALUE);
    atomic_store_explicit(&e->seq, seq + 2, memory_order_release);
}

static void get_batch(void *arg, unsigned n)
{
    struct table *t = arg;
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];

    while (n-- > 0) {
        uint64_t i = bench_pick(&t->random, t->n);

        bench_key(key, i);
        bench_expect(get(t, key, value) && bench_is(value, sizeof(value), i), "raw get");
    }
}

static void set_batch(void *arg, unsigned n)
{
    struct table *t = arg;
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];

    while (n-- > 0) {
        uint64_t i = bench_pick(&t->random, t->n);

        bench_key(key, i);
        bench_fill(value, sizeof(value), i);
        set(t, key, value);
    }
}

/* An empty table of twice as many places as keys, or more. */
static struct table table_in(struct bench *b, uint64_t n)
{
    struct table t = {.entries = (struct entry *)b->scratch, .mask = 1, .n = n};

    t.random = 88172645463325252u + b->rank;
    while (t.mask + 1 < 2 * n)
        t.mask = 2 * t.mask + 1;
    bench_expect((t.mask + 1) * sizeof(struct entry) <= BENCH_SCRATCH_BYTES, "scratch size");
    if (b->rank == 0)
        memset(t.entries, 0, (t.mask + 1) * sizeof(struct entry));
    return t;
}

static void fill(const struct table *t)
{
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];

    for (uint64_t i = 0; i < t->n; i++) {
        bench_key(key, i);
        bench_fill(value, sizeof(value), i);
        set(t, key, value);
    }
}

static void run_alone(struct bench *b)
{
    struct table t = table_in(b, BENCH_ENTRIES);

    fill(&t);
    bench_give(b, 0, bench_time(b, get_batch, &t, BATCH));
    bench_give(b, 1, bench_time(b, set_batch, &t, BATCH));
}

const struct bench_probe bench_table_alone = {
    .group = "raw",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"table, get 64 B of 10,000", BENCH_NS, 0, NULL},
            {"table, set 64 B of 10,000", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_alone,
};

static void run_two(struct bench *b)
{
    struct table t = table_in(b, BENCH_ENTRIES);
    double one = 0, two;

    if (b->rank == 0)
        fill(&t);
    bench_meet(b);
    if (b->rank == 0)
        one = 1e9 / bench_time(b, get_batch, &t, BATCH);
    bench_meet(b);
    two = bench_rate_together(b, get_batch, &t, BATCH);
    if (b->rank == 0) {
        bench_give(b, 0, two);
        bench_give(b, 1, two / one);
    }
}

const struct bench_probe bench_table_two = {
    .group = "raw",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"table, get by two processes", BENCH_PER_SECOND, 0, NULL},
            {"table, two processes by one", BENCH_TIMES, 0, NULL},
            {0},
        },
    .run = run_two,
};

static void run_million(struct bench *b)
{
    struct table t = table_in(b, BENCH_MILLION);
    int64_t start = bench_now();

    fill(&t);
    bench_give(b, 0, (double)(bench_now() - start) / BENCH_MILLION);
    bench_give(b, 1, bench_time(b, get_batch, &t, BATCH));
}

const struct bench_probe bench_table_million = {
    .group = "raw",
    .n_processes = 1,
    .max_rounds = 5,
    .figures =
        (const struct bench_figure[]){
            {"table, set of a million", BENCH_NS, 0, NULL},
            {"table, random get of a million", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_million,
};
