/*
 * raw.c - what this machine allows: the primitives that shared objects are made of, alone
 *
 * Nothing here is the broker's. These are the figures that the broker's are set beside.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probes.h"

#define BATCH 256
#define MAX_SAMPLES 4000000u

/* ---- one process ---- */

static void read_clock(void *arg, unsigned n)
{
    (void)arg;
    while (n-- > 0)
        bench_keep(bench_now());
}

static void call_system(void *arg, unsigned n)
{
    (void)arg;
    while (n-- > 0)
        bench_keep(syscall(SYS_getppid));
}

static void compare_and_store(void *arg, unsigned n)
{
    _Atomic uint32_t *word = arg;

    while (n-- > 0) {
        uint32_t expected = 0;

        bench_expect(atomic_compare_exchange_strong(word, &expected, 1), "compare and swap");
        atomic_store_explicit(word, 0, memory_order_release);
    }
}

static void init_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;

    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    bench_expect(pthread_mutex_init(mutex, &attributes) == 0, "pthread_mutex_init");
    (void)pthread_mutexattr_destroy(&attributes);
}

struct counted_mutex {
    pthread_mutex_t mutex;
    _Alignas(64) volatile uint64_t count;
};

static void lock_mutex(void *arg, unsigned n)
{
    struct counted_mutex *m = arg;

    while (n-- > 0) {
        if (pthread_mutex_lock(&m->mutex) != 0)
            bench_fail("pthread_mutex_lock");
        m->count = m->count + 1;
        (void)pthread_mutex_unlock(&m->mutex);
    }
}

static void run_alone(struct bench *b)
{
    struct counted_mutex *m = (struct counted_mutex *)b->scratch;
    _Atomic uint32_t *word = (_Atomic uint32_t *)(b->scratch + 4096);

    init_mutex(&m->mutex);
    atomic_store(word, 0);
    bench_give(b, 0, bench_time(b, read_clock, NULL, BATCH));
    bench_give(b, 1, bench_time(b, call_system, NULL, BATCH));
    bench_give(b, 2, bench_time(b, compare_and_store, word, BATCH));
    bench_give(b, 3, bench_time(b, lock_mutex, m, BATCH));
}

const struct bench_probe bench_raw_alone = {
    .group = "raw",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"clock read", BENCH_NS, 0, NULL},
            {"system call", BENCH_NS, 0, NULL},
            {"compare-and-swap, store", BENCH_NS, 0, NULL},
            {"robust mutex, lock and unlock", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_alone,
};

static void run_contended(struct bench *b)
{
    struct counted_mutex *m = (struct counted_mutex *)b->scratch;

    if (b->rank == 0)
        init_mutex(&m->mutex);
    bench_meet(b);
    bench_give(b, 0, bench_rate_together(b, lock_mutex, m, BATCH));
}

const struct bench_probe bench_raw_contended = {
    .group = "raw",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"robust mutex, contended by 2", BENCH_PER_SECOND, 0, NULL},
            {0},
        },
    .run = run_contended,
};

/* ---- copying ---- */

struct copying {
    const uint8_t *from; /* several, one after another */
    uint8_t *to;
    size_t size, n_sources;
    size_t at;
};

static void copy(void *arg, unsigned n)
{
    struct copying *c = arg;

    while (n-- > 0) {
        memcpy(c->to, c->from + c->at * c->size, c->size);
        bench_keep(c->to);
        c->at = c->at + 1 == c->n_sources ? 0 : c->at + 1;
    }
}

static void run_copies(struct bench *b)
{
    static const struct copying kinds[] = {
        {.size = 64, .n_sources = 10000},
        {.size = 1024, .n_sources = BENCH_MEDIUM_ENTRIES},
        {.size = 65536, .n_sources = BENCH_LARGE_ENTRIES},
        {.size = 1 << 20, .n_sources = 4},
    };
    /* At the same place of a page as the sources: a few bytes further, and some processors are ten
     * times slower. */
    uint8_t *to = aligned_alloc(4096, 1 << 20);

    bench_expect(to != NULL, "malloc");
    for (unsigned i = 0; i < 4; i++) {
        struct copying c = kinds[i];

        c.from = b->scratch;
        c.to = to;
        memset(b->scratch, 1, c.size * c.n_sources);
        bench_give(b, i, bench_time(b, copy, &c, c.size < 65536 ? BATCH : 4));
    }
    free(to);
}

const struct bench_probe bench_raw_copies = {
    .group = "raw",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"copy of 64 B", BENCH_NS, 0, NULL},
            {"copy of 1 KiB", BENCH_NS, 0, NULL},
            {"copy of 64 KiB", BENCH_NS, 0, NULL},
            {"copy of 1 MiB", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_copies,
};

/* ---- there and back between two processes ---- */

/* One word each way, on lines of their own. */
struct words {
    _Alignas(64) _Atomic uint32_t there;
    _Alignas(64) _Atomic uint32_t back;
    _Alignas(64) _Atomic uint32_t over;
};

static void await_by_spinning(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load_explicit(word, memory_order_acquire) == seen)
        bench_pause();
}

static void await_by_sleeping(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load_explicit(word, memory_order_acquire) == seen)
        if (syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0) != 0 && errno == ENOSYS)
            bench_fail("futex");
}

static void move(_Atomic uint32_t *word, bool wake)
{
    (void)atomic_fetch_add_explicit(word, 1, memory_order_release);
    if (wake)
        (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void answer(struct words *w, bool sleeping)
{
    for (uint32_t seen = 0; atomic_load(&w->over) == 0; seen++) {
        (sleeping ? await_by_sleeping : await_by_spinning)(&w->there, seen);
        move(&w->back, sleeping);
    }
}

/* How long it takes, each time: the three percentiles. */
static void ask(struct bench *b, struct words *w, bool sleeping, double out[3])
{
    uint32_t *ns = malloc(MAX_SAMPLES * sizeof(*ns));
    int64_t start = bench_now(), warm = start + b->slice_ns / 5, end = warm + b->slice_ns;
    int64_t before = start;
    size_t n = 0;

    bench_expect(ns != NULL, "malloc");
    for (uint32_t seen = 0; before < end && n < MAX_SAMPLES; seen++) {
        int64_t after;

        move(&w->there, sleeping);
        (sleeping ? await_by_sleeping : await_by_spinning)(&w->back, seen);
        after = bench_now();
        if (before >= warm)
            ns[n++] = (uint32_t)(after - before);
        before = after;
    }
    atomic_store(&w->over, 1);
    move(&w->there, sleeping);
    bench_percentiles(ns, n, out);
    free(ns);
}

static void round_trip(struct bench *b, bool sleeping)
{
    struct words *w = (struct words *)b->scratch;
    double percentiles[3];

    if (b->rank == 0)
        memset(w, 0, sizeof(*w));
    bench_meet(b);
    if (b->rank == 1) {
        answer(w, sleeping);
        return;
    }
    ask(b, w, sleeping, percentiles);
    for (unsigned i = 0; b->probe->figures[i].name != NULL; i++)
        bench_give(b, i, percentiles[i]);
}

static void run_spinning(struct bench *b)
{
    round_trip(b, false);
}

static void run_sleeping(struct bench *b)
{
    round_trip(b, true);
}

const struct bench_probe bench_raw_spinning = {
    .group = "raw",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"round trip, spinning, p50", BENCH_NS, 0, NULL},
            {"round trip, spinning, p99", BENCH_NS, 0, NULL},
            {"round trip, spinning, p999", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_spinning,
};

const struct bench_probe bench_raw_sleeping = {
    .group = "raw",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"round trip, futex, p50", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_sleeping,
};

const struct bench_probe bench_raw_together = {
    .group = "raw",
    .n_processes = 2,
    .place = BENCH_TOGETHER,
    .figures =
        (const struct bench_figure[]){
            {"round trip, futex, one processor, p50", BENCH_NS, 0, NULL},
            {0},
        },
    .run = run_sleeping,
};
