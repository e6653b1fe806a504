/*
 * million.c - a dict of a million entries: its memory, and how long its slowest change takes
 *
 * A table that grows must not stop anybody. What a change waits for the kernel (a page that it
 * touches for the first time, a processor that was taken away) is not the table's doing: such
 * changes are told by the kernel's own counters and left out. What remains may still have been held
 * up by the machine; so beside the longest of each round stands the longest that comes back at the
 * same place in every round.
 */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "probes.h"

#define BATCH 256
#define MAX_ROUNDS 3
#define SLOW_NS 200000

struct million {
    broker *b;
    broker_dict *d;
    broker_buffer buffer;
    uint64_t random;
    char name[32];
};

static void set_one(const struct million *m, uint64_t i)
{
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];

    bench_key(key, i);
    bench_fill(value, sizeof(value), i);
    bench_must(
        broker_dict_set(m->d, broker_strn(key, sizeof(key)), broker_bin(value, sizeof(value))),
        "dict set");
}

static void million_open(const struct bench *b, struct million *m, const char *name)
{
    *m = (struct million){.b = bench_open(b), .random = 88172645463325252u};
    (void)snprintf(m->name, sizeof(m->name), "%s", name);
    bench_must(broker_dict_open(m->b, name, &(broker_dict_options){.mode = BROKER_CREATE}, &m->d),
        "dict open");
}

static void million_destroy(struct million *m)
{
    uint64_t n;

    bench_must(broker_dict_len(m->d, &n), "dict len");
    bench_expect(n == BENCH_MILLION, "dict len");
    bench_must(broker_destroy(m->b, m->name), "destroy");
}

/* What broker_stat() says of the dict under @key. */
static double stat_of(struct million *m, const char *key)
{
    msgpack_unpacked all;
    broker_value stat;
    size_t at = 0;
    double found = -1;

    bench_must(broker_stat(m->b, m->name, &m->buffer, &stat), "stat");
    msgpack_unpacked_init(&all);
    bench_expect(msgpack_unpack_next(&all, stat.data, stat.size, &at) == MSGPACK_UNPACK_SUCCESS &&
                     all.data.type == MSGPACK_OBJECT_MAP,
        "stat");
    for (uint32_t i = 0; i < all.data.via.map.size; i++) {
        const msgpack_object_kv *kv = &all.data.via.map.ptr[i];

        if (kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            found = (double)kv->val.via.u64;
    }
    msgpack_unpacked_destroy(&all);
    bench_expect(found >= 0, "stat");
    return found;
}

static void get_batch(void *arg, unsigned n)
{
    struct million *m = arg;
    char key[BENCH_KEY];
    broker_value v;

    while (n-- > 0) {
        uint64_t i = bench_pick(&m->random, BENCH_MILLION);

        bench_key(key, i);
        bench_must(
            broker_dict_get(m->d, broker_strn(key, sizeof(key)), &m->buffer, &v), "dict get");
        bench_expect(v.size == BENCH_VALUE && bench_is(v.data, v.size, i), "dict get");
    }
}

static void run_load(struct bench *b)
{
    struct million m;
    int64_t start;

    million_open(b, &m, "million");
    start = bench_now();
    for (uint64_t i = 0; i < BENCH_MILLION; i++)
        set_one(&m, i);
    bench_give(b, 0, (double)(bench_now() - start) / BENCH_MILLION);
    bench_give(b, 1, stat_of(&m, "bytes") / BENCH_MILLION);
    bench_give(b, 2, bench_time(b, get_batch, &m, BATCH));
    start = bench_now();
    million_destroy(&m);
    bench_give(b, 3, (double)(bench_now() - start));
}

const struct bench_probe bench_million_load = {
    .group = "million",
    .n_processes = 1,
    .max_rounds = MAX_ROUNDS,
    .figures =
        (const struct bench_figure[]){
            {"set a new key, a million times", BENCH_NS, 0, "raw/table, set of a million"},
            {"memory of an entry (80 B of key and value)", BENCH_BYTES, 160, NULL},
            {"random get", BENCH_NS, 0, "raw/table, random get of a million"},
            {"destroy", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_load,
};

/* ---- the slowest change ---- */

struct usage {
    long faults, preemptions;
};

static struct usage usage_now(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_THREAD, &u);
    return (struct usage){u.ru_minflt + u.ru_majflt, u.ru_nivcsw};
}

static void note_slow(struct bench *b, uint64_t entries, int64_t ns)
{
    struct bench_shared *s = b->shared;

    if (s->n_slow < BENCH_MAX_SLOW)
        s->slow[s->n_slow++] = (struct bench_slow){b->round, entries, ns};
}

/* How long each change took, 0 for those that the kernel held up. */
static void time_each(struct bench *b, const struct million *m, uint32_t *ns)
{
    struct usage before = usage_now();

    for (uint64_t i = 0; i < BENCH_MILLION; i++) {
        int64_t start = bench_now(), end;
        struct usage after;

        set_one(m, i);
        end = bench_now();
        after = usage_now();
        ns[i] = after.faults == before.faults && after.preemptions == before.preemptions
                    ? (uint32_t)(end - start)
                    : 0;
        if (ns[i] > SLOW_NS)
            note_slow(b, i, end - start);
        before = after;
    }
}

/* The longest of what was the shortest in each place in all rounds so far. @least lives from round
 * to round. */
static uint32_t longest_that_recurs(const struct bench *b, const uint32_t *ns, uint32_t *least)
{
    uint32_t longest = 0;

    for (uint64_t i = 0; i < BENCH_MILLION; i++) {
        if (b->round == 0 || (ns[i] != 0 && (ns[i] < least[i] || least[i] == 0)))
            least[i] = ns[i];
        if (least[i] > longest)
            longest = least[i];
    }
    return longest;
}

static int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void run_slowest(struct bench *b)
{
    uint32_t *ns = malloc(BENCH_MILLION * sizeof(*ns));
    uint32_t *least = (uint32_t *)(b->scratch + BENCH_SCRATCH_BYTES - BENCH_MILLION * sizeof(*ns));
    struct million m;

    bench_expect(ns != NULL, "malloc");
    memset(ns, 0, BENCH_MILLION * sizeof(*ns)); /* its faults come before */
    million_open(b, &m, "million, each timed");
    time_each(b, &m, ns);
    million_destroy(&m);
    bench_give(b, 2, longest_that_recurs(b, ns, least));
    qsort(ns, BENCH_MILLION, sizeof(*ns), compare_ns);
    bench_give(b, 0, ns[BENCH_MILLION / 100000 * 99999 - 1]);
    bench_give(b, 1, ns[BENCH_MILLION - 1]);
    free(ns);
}

const struct bench_probe bench_million_slowest = {
    .group = "million",
    .n_processes = 1,
    .max_rounds = MAX_ROUNDS,
    .figures =
        (const struct bench_figure[]){
            {"99.999 % of sets take at most", BENCH_NS, 0, NULL},
            {"the longest set", BENCH_NS, SLOW_NS, NULL},
            {"the longest set that recurs at its place", BENCH_NS, SLOW_NS, NULL},
            {0},
        },
    .run = run_slowest,
};
