/*
 * queue_lease.c - items by lease, and large ones in place instead of by copy
 *
 * One process, so that it is the work that is measured and not the waiting. The producer writes
 * only a number into each large item, and the consumer reads only that: the rest is the queue's.
 */
#include <stdlib.h>
#include <string.h>

#include "probes.h"

#define BATCH 256
#define LARGE_BATCH 8
#define LARGE ((size_t)1 << 20)

struct queue {
    broker_queue *handle;
    broker_buffer buffer;
    uint8_t *message;
    size_t size;
    uint64_t number; /* of the next message */
};

/* What came must be the message that was put last; it is finished. */
static void finish(struct queue *q, int r, broker_value v, uint64_t token)
{
    uint64_t number;

    bench_must(r, "queue lease");
    bench_expect(v.type == BROKER_BIN && v.size == q->size, "queue lease");
    memcpy(&number, v.data, sizeof(number));
    bench_expect(number == q->number, "queue lease");
    bench_must(broker_queue_done(q->handle, token), "queue done");
}

static void put_lease_done(void *arg, unsigned n)
{
    struct queue *q = arg;
    uint64_t token = 0;
    broker_value v;
    int r;

    for (; n > 0; n--, q->number++) {
        memcpy(q->message, &q->number, sizeof(q->number));
        bench_must(broker_queue_put(q->handle, broker_bin(q->message, q->size), 0), "queue put");
        r = broker_queue_lease(q->handle, 0, BROKER_FOREVER, &q->buffer, &v, &token, NULL);
        finish(q, r, v, token);
    }
}

static void put_lease_done_in_place(void *arg, unsigned n)
{
    struct queue *q = arg;
    uint64_t token = 0;
    broker_value v;
    void *memory;
    int r;

    for (; n > 0; n--, q->number++) {
        bench_must(broker_queue_reserve(q->handle, q->size, &memory), "queue reserve");
        memcpy(memory, &q->number, sizeof(q->number));
        bench_must(broker_queue_commit(q->handle, memory, q->size, 0), "queue commit");
        r = broker_queue_lease_in_place(q->handle, 0, BROKER_FOREVER, &q->buffer, &v, &token, NULL);
        finish(q, r, v, token);
    }
}

static void run_leases(struct bench *b)
{
    broker *opened = bench_open(b);
    struct queue q = {.message = malloc(LARGE), .size = BENCH_VALUE};
    double copied, in_place;

    bench_expect(q.message != NULL, "malloc");
    bench_fill(q.message, LARGE, 0);
    bench_must(broker_queue_open(opened, "leases", NULL, &q.handle), "queue open");
    bench_give(b, 0, bench_time(b, put_lease_done, &q, BATCH));
    q.size = LARGE;
    copied = bench_time(b, put_lease_done, &q, LARGE_BATCH);
    in_place = bench_time(b, put_lease_done_in_place, &q, LARGE_BATCH);
    bench_give(b, 1, copied);
    bench_give(b, 2, in_place);
    bench_give(b, 3, copied / in_place);
}

const struct bench_probe bench_queue_lease = {
    .group = "queue",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"put, lease and done 64 B", BENCH_NS, 0, "raw/ring, put and take 64 B"},
            {"put, lease and done 1 MiB, by copy", BENCH_NS, 0, NULL},
            {"put, lease and done 1 MiB, in place", BENCH_NS, 0, NULL},
            {"1 MiB in place is faster by", BENCH_TIMES, 5, NULL},
            {0},
        },
    .run = run_leases,
};
