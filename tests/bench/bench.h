/*
 * bench.h - what a group of measurements gives the benchmark, and what it gets
 *
 * A probe runs in one or two processes of its own, once a round: it opens what it needs, warms up,
 * measures for a slice of time, and gives one number for each of its figures. Probes take turns, so
 * that what else the machine does at the time hits all of them; what is printed is the median over
 * the rounds. A probe checks what it gets back: a wrong result ends the benchmark.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <broker.h>

#define BENCH_MAX_FIGURES 24
#define BENCH_MAX_SLOW 64
#define BENCH_SCRATCH_BYTES ((size_t)320 << 20)
#define BENCH_KEY 16   /* bytes of a key */
#define BENCH_VALUE 64 /* bytes of a value, unless said otherwise */

enum bench_unit {
    BENCH_NS,         /* shorter is better */
    BENCH_BYTES,      /* less is better */
    BENCH_PER_SECOND, /* more is better */
    BENCH_TIMES,      /* more is better */
};

struct bench_figure {
    const char *name; /* NULL after the last one */
    enum bench_unit unit;
    double target;     /* what it should reach; 0 if nothing was promised */
    const char *limit; /* the raw figure ("group/name") to set beside it; NULL if there is none */
};

enum bench_place {
    BENCH_ANYWHERE, /* where the scheduler likes */
    BENCH_APART,    /* each process bound to a processor of its own */
    BENCH_TOGETHER, /* both bound to the same processor */
};

struct bench;

struct bench_probe {
    const char *group;
    unsigned n_processes;
    enum bench_place place;
    unsigned max_rounds; /* of a slow probe; 0: as many as asked for */
    size_t size;         /* for probes that differ in nothing else: bytes of a message */
    const struct bench_figure *figures;
    void (*run)(struct bench *b);
};

/* One change of the large dict that took long. */
struct bench_slow {
    unsigned round;
    uint64_t entries; /* that the dict had */
    int64_t ns;
};

/* Lies in memory that all processes of the benchmark share. */
struct bench_shared {
    _Alignas(64) _Atomic uint32_t n_arrived, n_meetings;
    _Alignas(
        64) _Atomic uint32_t is_over; /* 0 at the start of a probe; one side may tell the other */
    _Alignas(64) double values[BENCH_MAX_FIGURES];
    double scratch_numbers[2];
    uint32_t n_slow;
    struct bench_slow slow[BENCH_MAX_SLOW];
};

/* A process of a probe. */
struct bench {
    const struct bench_probe *probe;
    unsigned rank; /* 0 or 1 */
    unsigned round;
    int64_t slice_ns;
    const char *address; /* of the broker */
    struct bench_shared *shared;
    uint8_t *scratch; /* BENCH_SCRATCH_BYTES, shared by the processes, of undefined contents */
};

/* All probes, ended by NULL, in the order in which they are printed. */
extern const struct bench_probe *const bench_probes[];

static inline int64_t bench_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * BROKER_SECOND + ts.tv_nsec;
}

static inline void bench_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#endif
}

/* Keeps the compiler from dropping what computes @value. */
#define bench_keep(value) __asm__ __volatile__("" : : "g"(value) : "memory")

/* The probe's figure number @i, this round. */
static inline void bench_give(struct bench *b, unsigned i, double value)
{
    b->shared->values[i] = value;
}

/* Both processes of the probe wait here for each other. */
void bench_meet(struct bench *b);

/* Ends the benchmark with a message (printf). */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the benchmark if @r is a failure. */
static inline void bench_must(int r, const char *what)
{
    if (__builtin_expect(r < 0, 0))
        bench_fail("%s: %s", what, broker_last_error());
}

static inline void bench_expect(bool right, const char *what)
{
    if (__builtin_expect(!right, 0))
        bench_fail("%s: wrong result", what);
}

/* @n operations, one after another. */
typedef void bench_batch(void *arg, unsigned n);

/* Nanoseconds that one operation takes: batches of @n, for a slice, after warming up. */
double bench_time(const struct bench *b, bench_batch *batch, void *arg, unsigned n);

/*
 * The same in both processes at once: operations a second of both together. Each has to call it;
 * the first one's result is set.
 */
double bench_rate_together(struct bench *b, bench_batch *batch, void *arg, unsigned n);

/* Sorts @n times and gives the ones that half, 99 % and 99.9 % of them do not exceed. */
void bench_percentiles(uint32_t *ns, size_t n, double out[3]);

/* A broker in the arena of the benchmark. Everything opened ends with the process. */
broker *bench_open(const struct bench *b);

/* Key number @i: 16 bytes of text. */
static inline void bench_key(char out[BENCH_KEY], uint64_t i)
{
    uint64_t half[2];

    for (int k = 0; k < 2; k++) {
        uint64_t x = k == 0 ? i >> 32 : i & UINT32_MAX;

        /* Eight digits at once: spread the nibbles, then turn each into a letter from 'A' on. */
        x = (x & 0x00000000ffff0000) << 16 | (x & 0x000000000000ffff);
        x = (x & 0x0000ff000000ff00) << 8 | (x & 0x000000ff000000ff);
        x = (x & 0x00f000f000f000f0) << 4 | (x & 0x000f000f000f000f);
        half[k] = x + UINT64_C(0x4141414141414141);
    }
    __builtin_memcpy(out, half, sizeof(half));
}

/* Fills a value that tells which one it is. */
static inline void bench_fill(void *value, size_t size, uint64_t i)
{
    __builtin_memset(value, (int)(i & 0x7f), size);
    __builtin_memcpy(value, &i, sizeof(i));
    __builtin_memcpy((char *)value + size - sizeof(i), &i, sizeof(i));
}

static inline bool bench_is(const void *value, size_t size, uint64_t i)
{
    uint64_t first, last;

    __builtin_memcpy(&first, value, sizeof(first));
    __builtin_memcpy(&last, (const char *)value + size - sizeof(last), sizeof(last));
    return first == i && last == i;
}

/* The next of numbers that look random. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* One of @n, from the high bits of a random number. */
static inline uint64_t bench_pick(uint64_t *state, uint64_t n)
{
    return (bench_random(state) >> 32) * n >> 32;
}

#endif
