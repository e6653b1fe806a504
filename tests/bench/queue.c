/*
 * queue.c - messages: within one process, from one to another, and there and back
 *
 * Producer and consumer are bound to processors of their own. The queue between them is bounded, so
 * that both sides wait for each other, as they do in programs.
 */
#include <stdlib.h>
#include <string.h>

#include "probes.h"

#define BATCH 256
#define TOGETHER 64 /* messages put and got by one call */
#define MAX_ITEMS 1024u
#define MAX_BYTES (UINT64_C(16) << 20)
#define END UINT64_MAX
#define MAX_SAMPLES 4000000u
#define IDLE_NS 300000 /* until nobody spins any more */

struct queue {
    broker_queue *handle;
    broker_buffer buffer;
    size_t size;
    uint8_t *message;
    uint64_t number; /* of the next message */
    uint8_t *packed; /* an array of messages */
    size_t packed_size;
};

static void queue_open(
    broker *b, struct queue *q, const char *name, const broker_queue_options *options, size_t size)
{
    *q = (struct queue){.size = size, .message = malloc(size)};
    bench_expect(q->message != NULL, "malloc");
    bench_fill(q->message, size, 0);
    bench_must(broker_queue_open(b, name, options, &q->handle), "queue open");
}

static void put(struct queue *q, uint64_t number)
{
    memcpy(q->message, &number, sizeof(number));
    bench_must(
        broker_queue_put(q->handle, broker_bin(q->message, q->size), BROKER_FOREVER), "queue put");
}

static uint64_t get(struct queue *q)
{
    uint64_t number;
    broker_value v;

    bench_must(broker_queue_get(q->handle, BROKER_FOREVER, &q->buffer, &v), "queue get");
    bench_expect(v.type == BROKER_BIN && v.size == q->size, "queue get");
    memcpy(&number, v.data, sizeof(number));
    return number;
}

/* ---- one process ---- */

static void put_and_get(void *arg, unsigned n)
{
    struct queue *q = arg;

    for (; n > 0; n--, q->number++) {
        put(q, q->number);
        bench_expect(get(q) == q->number, "queue get");
    }
}

static void put_get_done(void *arg, unsigned n)
{
    struct queue *q = arg;

    for (; n > 0; n--, q->number++) {
        put(q, q->number);
        bench_expect(get(q) == q->number, "queue get");
        bench_must(broker_queue_task_done(q->handle), "queue task_done");
    }
}

/* An array of @n messages: a header of three bytes, and one of two before each message. */
static void pack(struct queue *q, unsigned n)
{
    uint8_t *to = q->packed = malloc(3 + n * (2 + q->size));

    bench_expect(to != NULL && q->size < 256, "malloc");
    *to++ = 0xdc;
    *to++ = (uint8_t)(n >> 8);
    *to++ = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        *to++ = 0xc4;
        *to++ = (uint8_t)q->size;
        memcpy(to, q->message, q->size);
        to += q->size;
    }
    q->packed_size = (size_t)(to - q->packed);
}

static void put_and_get_many(void *arg, unsigned n)
{
    struct queue *q = arg;
    broker_value v;

    for (; n > 0; n -= TOGETHER) {
        bench_must(broker_queue_put_many(
                       q->handle, broker_packed(q->packed, q->packed_size), BROKER_FOREVER),
            "queue put_many");
        bench_must(broker_queue_get_many(q->handle, TOGETHER, BROKER_FOREVER, &q->buffer, &v),
            "queue get_many");
        bench_expect(
            v.size == q->packed_size && memcmp(v.data, q->packed, v.size) == 0, "queue get_many");
    }
}

static void run_alone(struct bench *b)
{
    broker *opened = bench_open(b);
    struct queue q;

    queue_open(opened, &q, "queue", NULL, 64);
    bench_give(b, 0, bench_time(b, put_and_get, &q, BATCH));
    pack(&q, TOGETHER);
    bench_give(b, 1, bench_time(b, put_and_get_many, &q, BATCH));
    queue_open(opened, &q, "joinable", &(broker_queue_options){.joinable = true}, 64);
    bench_give(b, 2, bench_time(b, put_get_done, &q, BATCH));
}

const struct bench_probe bench_queue_alone = {
    .group = "queue",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"put and get 64 B, one process", BENCH_NS, 160, "raw/ring, put and take 64 B"},
            {"the same, 64 at a time, each", BENCH_NS, 0, "raw/ring, put and take 64 B"},
            {"joinable: put, get, task_done", BENCH_NS, 0, "raw/ring, put and take 64 B"},
            {0},
        },
    .run = run_alone,
};

/* ---- from one process to another ---- */

/* Until the consumer has had enough; then one more, to say so. */
static void produce(const struct bench *b, struct queue *q)
{
    do
        put(q, q->number++);
    while (atomic_load_explicit(&b->shared->is_over, memory_order_relaxed) == 0);
    put(q, END);
}

static void get_batch(void *arg, unsigned n)
{
    struct queue *q = arg;

    while (n-- > 0)
        bench_expect(get(q) == q->number++, "messages in order");
}

static void consume(struct bench *b, struct queue *q)
{
    bench_give(b, 0, 1e9 / bench_time(b, get_batch, q, q->size < 65536 ? 16 : 1));
    atomic_store(&b->shared->is_over, 1);
    while (get(q) != END)
        continue;
}

static void run_messages(struct bench *b)
{
    const broker_queue_options options = {.max_items = MAX_ITEMS, .max_bytes = MAX_BYTES};
    struct queue q;

    queue_open(bench_open(b), &q, "messages", &options, b->probe->size);
    bench_meet(b);
    if (b->rank == 0)
        produce(b, &q);
    else
        consume(b, &q);
}

#define MESSAGES_PROBE(name, bytes, target, limit)                                                 \
    {                                                                                              \
        .group = "queue", .n_processes = 2, .place = BENCH_APART, .size = bytes,                   \
        .figures = (const struct bench_figure[]){{name, BENCH_PER_SECOND, target, limit}, {0}},    \
        .run = run_messages,                                                                       \
    }

const struct bench_probe bench_queue_64 =
    MESSAGES_PROBE("messages of 64 B", 64, 4e6, "raw/ring, messages of 64 B");
const struct bench_probe bench_queue_1k =
    MESSAGES_PROBE("messages of 1 KiB", 1024, 0, "raw/ring, messages of 1 KiB");
const struct bench_probe bench_queue_64k =
    MESSAGES_PROBE("messages of 64 KiB", 65536, 0, "raw/ring, messages of 64 KiB");
const struct bench_probe bench_queue_1m =
    MESSAGES_PROBE("messages of 1 MiB", 1 << 20, 0, "raw/ring, messages of 1 MiB");

static void produce_many(const struct bench *b, struct queue *q)
{
    pack(q, TOGETHER);
    while (atomic_load_explicit(&b->shared->is_over, memory_order_relaxed) == 0)
        bench_must(broker_queue_put_many(
                       q->handle, broker_packed(q->packed, q->packed_size), BROKER_FOREVER),
            "queue put_many");
    bench_must(broker_queue_shutdown(q->handle), "queue shutdown");
}

/* How many messages came, until @end or until the queue is closed. */
static uint64_t consume_many(struct queue *q, int64_t end)
{
    uint64_t n = 0;
    broker_value v;
    int r;

    do {
        r = broker_queue_get_many(q->handle, TOGETHER, BROKER_FOREVER, &q->buffer, &v);
        if (r == BROKER_CLOSED)
            break;
        bench_must(r, "queue get_many");
        n += v.size / (2 + q->size);
    } while (bench_now() < end);
    return n;
}

static void run_batch(struct bench *b)
{
    const broker_queue_options options = {.max_items = MAX_ITEMS};
    broker *opened = bench_open(b);
    struct queue q;
    uint64_t n;
    int64_t start;

    queue_open(opened, &q, "batches", &options, 64);
    bench_meet(b);
    if (b->rank == 0) {
        produce_many(b, &q);
        return;
    }
    (void)consume_many(&q, bench_now() + b->slice_ns / 5);
    start = bench_now();
    n = consume_many(&q, start + b->slice_ns);
    bench_give(b, 0, (double)n * 1e9 / (double)(bench_now() - start));
    atomic_store(&b->shared->is_over, 1);
    (void)consume_many(&q, INT64_MAX);
    bench_must(broker_destroy(opened, "batches"), "destroy");
}

const struct bench_probe bench_queue_batch = {
    .group = "queue",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"messages of 64 B, 64 at a time", BENCH_PER_SECOND, 0, "raw/ring, messages of 64 B"},
            {0},
        },
    .run = run_batch,
};

/* ---- there and back ---- */

static void answer(struct queue *there, struct queue *back)
{
    uint64_t number;

    do {
        number = get(there);
        put(back, number);
    } while (number != END);
}

static void wait_busily(int64_t until)
{
    while (bench_now() < until)
        bench_pause();
}

/* The percentiles of the time that a message and its answer take, with @idle_ns between them. */
static void ask(
    const struct bench *b, struct queue *there, struct queue *back, int64_t idle_ns, double out[3])
{
    uint32_t *ns = malloc(MAX_SAMPLES * sizeof(*ns));
    int64_t start = bench_now(), warm = start + b->slice_ns / 5, end = warm + b->slice_ns;
    int64_t before = start, after = start;
    size_t n = 0;

    bench_expect(ns != NULL, "malloc");
    while (after < end && n < MAX_SAMPLES) {
        if (idle_ns != 0) {
            wait_busily(after + idle_ns);
            after = bench_now();
        }
        before = after;
        put(there, there->number);
        bench_expect(get(back) == there->number++, "the answer");
        after = bench_now();
        if (after >= warm)
            ns[n++] = (uint32_t)(after - before);
    }
    put(there, END);
    bench_expect(get(back) == END, "the answer");
    bench_percentiles(ns, n, out);
    free(ns);
}

static void round_trip(struct bench *b, int64_t idle_ns)
{
    broker *opened = bench_open(b);
    struct queue there, back;
    double percentiles[3];

    queue_open(opened, &there, "there", NULL, 64);
    queue_open(opened, &back, "back", NULL, 64);
    bench_meet(b);
    if (b->rank == 1) {
        answer(&there, &back);
        return;
    }
    ask(b, &there, &back, idle_ns, percentiles);
    for (unsigned i = 0; b->probe->figures[i].name != NULL; i++)
        bench_give(b, i, percentiles[i]);
}

static void run_trip(struct bench *b)
{
    round_trip(b, 0);
}

static void run_asleep(struct bench *b)
{
    round_trip(b, IDLE_NS);
}

const struct bench_probe bench_queue_trip = {
    .group = "queue",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"round trip, p50", BENCH_NS, 1200, "raw/round trip, spinning, p50"},
            {"round trip, p99", BENCH_NS, 0, "raw/round trip, spinning, p99"},
            {"round trip, p999", BENCH_NS, 0, "raw/round trip, spinning, p999"},
            {0},
        },
    .run = run_trip,
};

const struct bench_probe bench_queue_asleep = {
    .group = "queue",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"round trip, other side asleep, p50", BENCH_NS, 0, "raw/round trip, futex, p50"},
            {0},
        },
    .run = run_asleep,
};

const struct bench_probe bench_queue_together = {
    .group = "queue",
    .n_processes = 2,
    .place = BENCH_TOGETHER,
    .figures =
        (const struct bench_figure[]){
            {"round trip, one processor, p50", BENCH_NS, 0,
                "raw/round trip, futex, one processor, p50"},
            {0},
        },
    .run = run_trip,
};
