/*
 * dict.c - reading and changing keys of dicts that fit into the caches
 */
#include <stdlib.h>

#include "probes.h"

#define BATCH 256

struct dict {
    broker_dict *handle;
    broker_buffer buffer;
    size_t value_size;
    uint64_t n;
    uint64_t random;
    int64_t total;
    uint8_t *value;
};

static void set_one(struct dict *d, uint64_t i)
{
    char key[BENCH_KEY];

    bench_key(key, i);
    bench_fill(d->value, d->value_size, i);
    bench_must(broker_dict_set(
                   d->handle, broker_strn(key, sizeof(key)), broker_bin(d->value, d->value_size)),
        "dict set");
}

/* The dict of this name, with @n keys from the first round on. */
static void dict_open(
    const struct bench *b, struct dict *d, const char *name, uint64_t n, size_t value_size)
{
    uint64_t n_there;

    *d = (struct dict){.n = n, .value_size = value_size, .random = 88172645463325252u + b->rank};
    d->value = malloc(value_size);
    bench_expect(d->value != NULL, "malloc");
    bench_must(broker_dict_open(bench_open(b), name, NULL, &d->handle), "dict open");
    bench_must(broker_dict_len(d->handle, &n_there), "dict len");
    for (uint64_t i = n_there; i < n; i++)
        set_one(d, i);
}

static void get_batch(void *arg, unsigned n)
{
    struct dict *d = arg;
    char key[BENCH_KEY];
    broker_value v;

    while (n-- > 0) {
        uint64_t i = bench_pick(&d->random, d->n);

        bench_key(key, i);
        bench_must(
            broker_dict_get(d->handle, broker_strn(key, sizeof(key)), &d->buffer, &v), "dict get");
        bench_expect(v.size == d->value_size && bench_is(v.data, v.size, i), "dict get");
    }
}

static void set_batch(void *arg, unsigned n)
{
    struct dict *d = arg;

    while (n-- > 0)
        set_one(d, bench_pick(&d->random, d->n));
}

static void add_batch(void *arg, unsigned n)
{
    struct dict *d = arg;
    int64_t total;

    while (n-- > 0) {
        bench_must(broker_dict_add(d->handle, broker_str("n"), 1, &total), "dict add");
        bench_expect(total > d->total, "dict add");
        d->total = total;
    }
}

static void run_alone(struct bench *b)
{
    struct dict d;

    dict_open(b, &d, "dict", BENCH_ENTRIES, BENCH_VALUE);
    bench_give(b, 0, bench_time(b, get_batch, &d, BATCH));
    bench_give(b, 1, bench_time(b, set_batch, &d, BATCH));
    dict_open(b, &d, "counters", 0, BENCH_VALUE);
    bench_give(b, 2, bench_time(b, add_batch, &d, BATCH));
}

const struct bench_probe bench_dict_alone = {
    .group = "dict",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"get 64 B of 10,000", BENCH_NS, 60, "raw/table, get 64 B of 10,000"},
            {"set 64 B of 10,000", BENCH_NS, 130, "raw/table, set 64 B of 10,000"},
            {"add to a number", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {0},
        },
    .run = run_alone,
};

static void run_sizes(struct bench *b)
{
    struct dict medium, large;

    dict_open(b, &medium, "medium", BENCH_MEDIUM_ENTRIES, 1024);
    dict_open(b, &large, "large", BENCH_LARGE_ENTRIES, 65536);
    bench_give(b, 0, bench_time(b, get_batch, &medium, BATCH));
    bench_give(b, 1, bench_time(b, set_batch, &medium, BATCH));
    bench_give(b, 2, bench_time(b, get_batch, &large, 16));
    bench_give(b, 3, bench_time(b, set_batch, &large, 16));
}

const struct bench_probe bench_dict_sizes = {
    .group = "dict",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"get 1 KiB of 1,000", BENCH_NS, 0, "raw/copy of 1 KiB"},
            {"set 1 KiB of 1,000", BENCH_NS, 0, "raw/copy of 1 KiB"},
            {"get 64 KiB of 16", BENCH_NS, 0, "raw/copy of 64 KiB"},
            {"set 64 KiB of 16", BENCH_NS, 0, "raw/copy of 64 KiB"},
            {0},
        },
    .run = run_sizes,
};

/* ---- memory that has been in use for a while ---- */

#define WORN_ENTRIES 40000
#define WORN_BYTES 8192 /* and from half as much */

/* Each change gives a run of pages back and takes one of another length. */
static void resize_batch(void *arg, unsigned n)
{
    struct dict *d = arg;

    while (n-- > 0) {
        d->value_size = WORN_BYTES / 2 + bench_pick(&d->random, WORN_BYTES / 2);
        set_one(d, bench_pick(&d->random, d->n));
    }
}

static void run_worn(struct bench *b)
{
    struct dict d;

    dict_open(b, &d, "worn", WORN_ENTRIES, WORN_BYTES);
    resize_batch(&d, WORN_ENTRIES);
    bench_give(b, 0, bench_time(b, resize_batch, &d, BATCH));
    bench_must(broker_destroy(bench_open(b), "worn"), "destroy");
}

const struct bench_probe bench_dict_worn = {
    .group = "dict",
    .n_processes = 1,
    .max_rounds = 3,
    .figures =
        (const struct bench_figure[]){
            {"set 4 to 8 KiB of 40,000, worn memory", BENCH_NS, 0, "raw/copy of 1 KiB"},
            {0},
        },
    .run = run_worn,
};

static void run_two(struct bench *b)
{
    struct dict d;
    double one = 0, two;

    dict_open(b, &d, "dict", BENCH_ENTRIES, BENCH_VALUE);
    bench_meet(b);
    if (b->rank == 0)
        one = 1e9 / bench_time(b, get_batch, &d, BATCH);
    bench_meet(b);
    two = bench_rate_together(b, get_batch, &d, BATCH);
    if (b->rank == 0) {
        bench_give(b, 0, two);
        bench_give(b, 1, two / one);
    }
}

const struct bench_probe bench_dict_two = {
    .group = "dict",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"get 64 B by two processes", BENCH_PER_SECOND, 0, "raw/table, get by two processes"},
            {"get 64 B, two processes by one", BENCH_TIMES, 1.6, "raw/table, two processes by one"},
            {0},
        },
    .run = run_two,
};

static void run_writers(struct bench *b)
{
    struct dict d;

    dict_open(b, &d, "dict", BENCH_ENTRIES, BENCH_VALUE);
    bench_give(b, 0, bench_rate_together(b, set_batch, &d, BATCH));
}

const struct bench_probe bench_dict_writers = {
    .group = "dict",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"set 64 B by two processes", BENCH_PER_SECOND, 0, "raw/robust mutex, contended by 2"},
            {0},
        },
    .run = run_writers,
};

/* One reads while the other changes the same dict all the time. */
static void run_mixed(struct bench *b)
{
    struct dict d;

    dict_open(b, &d, "dict", BENCH_ENTRIES, BENCH_VALUE);
    (void)bench_rate_together(b, b->rank == 0 ? get_batch : set_batch, &d, BATCH);
    if (b->rank == 0) {
        bench_give(b, 0, b->shared->scratch_numbers[0]);
        bench_give(b, 1, b->shared->scratch_numbers[1]);
    }
}

const struct bench_probe bench_dict_mixed = {
    .group = "dict",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"get 64 B while another sets", BENCH_PER_SECOND, 0, "raw/table, get by two processes"},
            {"set 64 B while another gets", BENCH_PER_SECOND, 0,
                "raw/robust mutex, contended by 2"},
            {0},
        },
    .run = run_mixed,
};
