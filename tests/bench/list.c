/*
 * list.c - reading and changing elements of lists that fit into the caches, and of a long one
 */
#include "probes.h"

#define BATCH 256
#define LONG BENCH_MILLION

struct list {
    broker_list *handle;
    broker_buffer buffer;
    uint64_t n;
    uint64_t random;
    uint8_t value[BENCH_VALUE];
};

static broker_value value_of(struct list *l, uint64_t i)
{
    bench_fill(l->value, sizeof(l->value), i);
    return broker_bin(l->value, sizeof(l->value));
}

/* The list of this name, with @n elements from the first round on. */
static void list_open(const struct bench *b, struct list *l, const char *name, uint64_t n)
{
    uint64_t n_there;

    *l = (struct list){.n = n, .random = 88172645463325252u + b->rank};
    bench_must(broker_list_open(bench_open(b), name, NULL, &l->handle), "list open");
    bench_must(broker_list_len(l->handle, &n_there), "list len");
    for (uint64_t i = n_there; i < n; i++)
        bench_must(broker_list_append(l->handle, value_of(l, i)), "list append");
}

static void get_batch(void *arg, unsigned n)
{
    struct list *l = arg;
    broker_value v;

    while (n-- > 0) {
        uint64_t i = bench_pick(&l->random, l->n);

        bench_must(broker_list_get(l->handle, (int64_t)i, &l->buffer, &v), "list get");
        bench_expect(v.size == BENCH_VALUE && bench_is(v.data, v.size, i), "list get");
    }
}

static void set_batch(void *arg, unsigned n)
{
    struct list *l = arg;

    while (n-- > 0) {
        uint64_t i = bench_pick(&l->random, l->n);

        bench_must(broker_list_set(l->handle, (int64_t)i, value_of(l, i)), "list set");
    }
}

/* Now and then the list is emptied, which is part of the price. */
static void append_batch(void *arg, unsigned n)
{
    struct list *l = arg;

    if (l->n + n > BENCH_ENTRIES) {
        bench_must(broker_list_clear(l->handle), "list clear");
        l->n = 0;
    }
    while (n-- > 0)
        bench_must(broker_list_append(l->handle, value_of(l, l->n++)), "list append");
}

static void middle_batch(void *arg, unsigned n)
{
    struct list *l = arg;

    while (n-- > 0) {
        int64_t i = (int64_t)bench_pick(&l->random, l->n);

        bench_must(broker_list_insert(l->handle, i, broker_int(1)), "list insert");
        bench_must(broker_list_delete(l->handle, i), "list delete");
    }
}

static void run_alone(struct bench *b)
{
    struct list l;

    list_open(b, &l, "list", BENCH_ENTRIES);
    bench_give(b, 0, bench_time(b, get_batch, &l, BATCH));
    bench_give(b, 1, bench_time(b, set_batch, &l, BATCH));
    list_open(b, &l, "growing list", 0);
    bench_must(broker_list_clear(l.handle), "list clear");
    bench_give(b, 2, bench_time(b, append_batch, &l, BATCH));
    list_open(b, &l, "long list", LONG);
    bench_give(b, 3, bench_time(b, middle_batch, &l, BATCH));
}

const struct bench_probe bench_list_alone = {
    .group = "list",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"get 64 B of 10,000", BENCH_NS, 80, "raw/table, get 64 B of 10,000"},
            {"set 64 B of 10,000", BENCH_NS, 0, "raw/table, set 64 B of 10,000"},
            {"append 64 B", BENCH_NS, 100, "raw/robust mutex, lock and unlock"},
            {"insert and delete within a million", BENCH_NS, 0,
                "raw/robust mutex, lock and unlock"},
            {0},
        },
    .run = run_alone,
};
