/*
 * lease.c - items that are leased and done, and large ones that are not copied
 */
#include <stdlib.h>

#include "probes.h"

#define BATCH 64
#define LARGE ((uint64_t)1 << 20)

struct leases {
    broker_queue *queue;
    broker_buffer buffer;
    uint8_t *item;
    uint64_t number;
};

static void leases_open(const struct bench *b, struct leases *l, const char *name)
{
    *l = (struct leases){.item = malloc(LARGE)};
    bench_expect(l->item != NULL, "malloc");
    bench_fill(l->item, LARGE, 0);
    bench_must(broker_queue_open(bench_open(b), name, NULL, &l->queue), "queue open");
}

static void lease_and_done(void *arg, unsigned n)
{
    struct leases *l = arg;
    uint64_t token;
    broker_value v;

    while (n-- > 0) {
        bench_fill(l->item, BENCH_VALUE, l->number);
        bench_must(broker_queue_put(l->queue, broker_bin(l->item, BENCH_VALUE), 0), "put");
        bench_must(
            broker_queue_lease(l->queue, 0, BROKER_FOREVER, &l->buffer, &v, &token, NULL), "lease");
        bench_expect(bench_is(v.data, v.size, l->number++), "lease");
        bench_must(broker_queue_done(l->queue, token), "done");
    }
}

static void hand_over_copied(void *arg, unsigned n)
{
    struct leases *l = arg;
    broker_value v;

    while (n-- > 0) {
        bench_fill(l->item, 16, l->number);
        bench_must(broker_queue_put(l->queue, broker_bin(l->item, LARGE), 0), "put");
        bench_must(broker_queue_get(l->queue, 0, &l->buffer, &v), "get");
        bench_expect(v.size == LARGE && bench_is(v.data, 16, l->number++), "get");
    }
}

/* Written and read where it lies: at its start, for what it says is the program's own time. */
static void hand_over_in_place(void *arg, unsigned n)
{
    struct leases *l = arg;
    uint64_t token;
    broker_value v;
    void *memory;

    while (n-- > 0) {
        bench_must(broker_queue_reserve(l->queue, LARGE, &memory), "reserve");
        bench_fill(memory, 16, l->number);
        bench_must(broker_queue_commit(l->queue, memory, LARGE, 0), "commit");
        bench_must(
            broker_queue_lease_in_place(l->queue, 0, BROKER_FOREVER, &l->buffer, &v, &token, NULL),
            "lease in place");
        bench_expect(v.size == LARGE && bench_is(v.data, 16, l->number++), "lease in place");
        bench_must(broker_queue_done(l->queue, token), "done");
    }
}

static void run(struct bench *b)
{
    struct leases l;
    double copied, in_place;

    leases_open(b, &l, "leases");
    bench_give(b, 0, bench_time(b, lease_and_done, &l, BATCH));
    leases_open(b, &l, "large items");
    copied = bench_time(b, hand_over_copied, &l, BATCH);
    in_place = bench_time(b, hand_over_in_place, &l, BATCH);
    bench_give(b, 1, copied);
    bench_give(b, 2, in_place);
    bench_give(b, 3, copied / in_place);
}

const struct bench_probe bench_lease = {
    .group = "lease",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"put, lease and done, 64 B", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {"1 MiB put and got", BENCH_NS, 0, NULL},
            {"1 MiB in place", BENCH_NS, 0, NULL},
            {"1 MiB in place, against copied", BENCH_TIMES, 5, NULL},
            {0},
        },
    .run = run,
};
