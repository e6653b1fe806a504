/*
 * raw_ring.c - a ring for one producer and one consumer: the limit of what a queue can do
 *
 * Slots of one size; each side keeps a copy of the other's position and looks at the original only
 * when the copy says that it must wait.
 */
#include <string.h>

#include "probes.h"

#define BATCH 256
#define RING_BYTES ((size_t)8 << 20)
#define MAX_SLOTS 1024u
#define END UINT64_MAX

struct ring_shm {
    _Alignas(64) _Atomic uint64_t head; /* taken */
    _Alignas(64) _Atomic uint64_t tail; /* put */
};

struct ring {
    struct ring_shm *shm;
    uint8_t *slots;
    size_t size;
    uint64_t n_slots; /* a power of two */
    uint64_t head, tail;
    uint8_t *message;
    uint64_t number; /* of the next message */
};

static void ring_init(struct bench *b, struct ring *r, size_t size)
{
    memset(r, 0, sizeof(*r));
    r->shm = (struct ring_shm *)b->scratch;
    r->slots = b->scratch + 4096;
    r->size = size;
    r->n_slots = MAX_SLOTS;
    while (r->n_slots * size > RING_BYTES)
        r->n_slots /= 2;
    r->message = b->scratch + 4096 + 2 * RING_BYTES + b->rank * RING_BYTES;
    bench_fill(r->message, size, 0);
    if (b->rank == 0) {
        memset(r->shm, 0, sizeof(*r->shm));
        memset(r->slots, 0, r->n_slots * size);
    }
}

static void put(struct ring *r, const void *message)
{
    uint64_t tail = atomic_load_explicit(&r->shm->tail, memory_order_relaxed);

    while (tail - r->head == r->n_slots) {
        r->head = atomic_load_explicit(&r->shm->head, memory_order_acquire);
        if (tail - r->head == r->n_slots)
            bench_pause();
    }
    memcpy(r->slots + (tail & (r->n_slots - 1)) * r->size, message, r->size);
    atomic_store_explicit(&r->shm->tail, tail + 1, memory_order_release);
}

static void take(struct ring *r, void *message)
{
    uint64_t head = atomic_load_explicit(&r->shm->head, memory_order_relaxed);

    while (head == r->tail) {
        r->tail = atomic_load_explicit(&r->shm->tail, memory_order_acquire);
        if (head == r->tail)
            bench_pause();
    }
    memcpy(message, r->slots + (head & (r->n_slots - 1)) * r->size, r->size);
    atomic_store_explicit(&r->shm->head, head + 1, memory_order_release);
}

static void put_and_take(void *arg, unsigned n)
{
    struct ring *r = arg;

    while (n-- > 0) {
        memcpy(r->message, &r->number, sizeof(r->number));
        put(r, r->message);
        take(r, r->message);
        bench_expect(memcmp(r->message, &r->number, sizeof(r->number)) == 0, "raw ring");
        r->number++;
    }
}

static void run_alone(struct bench *b)
{
    struct ring r;

    ring_init(b, &r, 64);
    bench_give(b, 0, bench_time(b, put_and_take, &r, BATCH));
}

const struct bench_probe bench_ring_alone = {
    .group = "raw",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"ring, put and take 64 B", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_alone,
};

/* Until the consumer has had enough; then one more, to say so. */
static void produce(const struct bench *b, struct ring *r)
{
    do {
        memcpy(r->message, &r->number, sizeof(r->number));
        put(r, r->message);
        r->number++;
    } while (atomic_load_explicit(&b->shared->is_over, memory_order_relaxed) == 0);
    r->number = END;
    memcpy(r->message, &r->number, sizeof(r->number));
    put(r, r->message);
}

static uint64_t take_number(struct ring *r)
{
    uint64_t number;

    take(r, r->message);
    memcpy(&number, r->message, sizeof(number));
    return number;
}

static void take_batch(void *arg, unsigned n)
{
    struct ring *r = arg;

    while (n-- > 0)
        bench_expect(take_number(r) == r->number++, "raw ring");
}

static void consume(struct bench *b, struct ring *r)
{
    bench_give(b, 0, 1e9 / bench_time(b, take_batch, r, r->size < 65536 ? 16 : 1));
    atomic_store(&b->shared->is_over, 1);
    while (take_number(r) != END)
        continue;
}

static void run_messages(struct bench *b)
{
    struct ring r;

    ring_init(b, &r, b->probe->size);
    bench_meet(b);
    if (b->rank == 0)
        produce(b, &r);
    else
        consume(b, &r);
}

#define RING_PROBE(name, bytes)                                                                    \
    {                                                                                              \
        .group = "raw", .n_processes = 2, .place = BENCH_APART, .size = bytes,                     \
        .figures = (const struct bench_figure[]){{name, BENCH_PER_SECOND, 0, NULL}, {0}},          \
        .run = run_messages,                                                                       \
    }

const struct bench_probe bench_ring_64 = RING_PROBE("ring, messages of 64 B", 64);
const struct bench_probe bench_ring_1k = RING_PROBE("ring, messages of 1 KiB", 1024);
const struct bench_probe bench_ring_64k = RING_PROBE("ring, messages of 64 KiB", 65536);
const struct bench_probe bench_ring_1m = RING_PROBE("ring, messages of 1 MiB", 1 << 20);
