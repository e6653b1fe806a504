/*
 * monitor.c - what it costs to be monitored
 *
 * One process measures, the other one runs `brokerctl monitor` and reads what it prints. Each round
 * measures the same without a monitor and with one, so that the two can be compared.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probes.h"

#define BATCH 256
#define ENTRIES 256u /* so few that the caches of the processor are no matter */
#define MAX_BATCHES 65536u
#define REST_NS 250000000 /* after which a monitor of before is forgotten */

struct work {
    broker_dict *dict;
    broker_queue *queue;
    broker_lock *lock;
    broker_buffer buffer;
    uint64_t random;
};

static void work_open(const struct bench *b, struct work *w)
{
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];
    broker *opened = bench_open(b);
    uint64_t n_there;

    *w = (struct work){.random = 88172645463325252u};
    bench_must(broker_queue_open(opened, "queue", NULL, &w->queue), "queue open");
    bench_must(broker_dict_open(opened, "few", NULL, &w->dict), "dict open");
    bench_must(broker_lock_open(opened, "lock", NULL, &w->lock), "lock open");
    bench_must(broker_dict_len(w->dict, &n_there), "dict len");
    for (uint64_t i = n_there; i < ENTRIES; i++) {
        bench_key(key, i);
        bench_fill(value, sizeof(value), i);
        bench_must(broker_dict_set(
                       w->dict, broker_strn(key, sizeof(key)), broker_bin(value, sizeof(value))),
            "dict set");
    }
}

static void get_batch(void *arg, unsigned n)
{
    struct work *w = arg;
    char key[BENCH_KEY];
    broker_value v;

    while (n-- > 0) {
        uint64_t i = bench_pick(&w->random, ENTRIES);

        bench_key(key, i);
        bench_must(
            broker_dict_get(w->dict, broker_strn(key, sizeof(key)), &w->buffer, &v), "dict get");
        bench_expect(v.size == BENCH_VALUE && bench_is(v.data, v.size, i), "dict get");
    }
}

static void put_and_get(void *arg, unsigned n)
{
    struct work *w = arg;
    uint8_t value[BENCH_VALUE];
    broker_value v;

    bench_fill(value, sizeof(value), n);
    while (n-- > 0) {
        bench_must(broker_queue_put(w->queue, broker_bin(value, sizeof(value)), BROKER_FOREVER),
            "queue put");
        bench_must(broker_queue_get(w->queue, BROKER_FOREVER, &w->buffer, &v), "queue get");
        bench_expect(v.size == sizeof(value), "queue get");
    }
}

static void acquire_and_release(void *arg, unsigned n)
{
    const struct work *w = arg;

    while (n-- > 0) {
        bench_must(broker_lock_acquire(w->lock, BROKER_FOREVER, NULL), "lock acquire");
        bench_must(broker_lock_release(w->lock), "lock release");
    }
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/*
 * Nanoseconds that one operation takes, as the median of short batches: two of these are compared
 * to a percent, and what else the machine does hits some batches and not others. So do the
 * operations that are timed, of which there are 256 in ten milliseconds: a fifth of a percent more.
 */
static double median_time(const struct bench *b, bench_batch *batch, struct work *w)
{
    int64_t end = bench_now() + b->slice_ns;
    static double times[MAX_BATCHES];
    size_t n = 0;

    batch(w, BATCH);
    for (int64_t now = bench_now(), before; n == 0 || (n < MAX_BATCHES && now < end);) {
        before = now;
        batch(w, BATCH);
        now = bench_now();
        times[n++] = (double)(now - before) / BATCH;
    }
    qsort(times, n, sizeof(times[0]), compare_times);
    return times[n / 2];
}

static void measure(struct bench *b)
{
    double get, put, lock, get_monitored, put_monitored, lock_monitored;
    struct work w;

    work_open(b, &w);
    for (int64_t end = bench_now() + REST_NS; bench_now() < end;)
        get_batch(&w, BATCH); /* who works finds that out */
    get = median_time(b, get_batch, &w);
    put = median_time(b, put_and_get, &w);
    lock = median_time(b, acquire_and_release, &w);
    bench_meet(b);
    while (atomic_load(&b->shared->is_over) == 0)
        get_batch(&w, BATCH);
    get_monitored = median_time(b, get_batch, &w);
    put_monitored = median_time(b, put_and_get, &w);
    lock_monitored = median_time(b, acquire_and_release, &w);
    bench_meet(b);
    bench_give(b, 0, get_monitored);
    bench_give(b, 1, get / get_monitored);
    bench_give(b, 2, put_monitored);
    bench_give(b, 3, put / put_monitored);
    bench_give(b, 4, lock_monitored);
    bench_give(b, 5, lock / lock_monitored);
}

static pid_t start_monitor(const struct bench *b, FILE **out_lines)
{
    int ends[2];
    pid_t pid;

    bench_expect(pipe(ends) == 0, "pipe");
    pid = fork();
    bench_expect(pid >= 0, "fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)execl(BENCH_BROKERCTL, BENCH_BROKERCTL, "--address", b->address, "monitor", "--json",
            (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    *out_lines = fdopen(ends[0], "r");
    bench_expect(*out_lines != NULL, "fdopen");
    return pid;
}

/* While the others meet: the monitor must not have to wait. */
static void *read_lines(void *arg)
{
    char line[4096];

    while (fgets(line, sizeof(line), arg) != NULL)
        continue;
    return NULL;
}

static void watch(struct bench *b)
{
    char line[4096];
    pthread_t reader;
    FILE *lines;
    pid_t pid;

    bench_meet(b);
    pid = start_monitor(b, &lines);
    bench_expect(fgets(line, sizeof(line), lines) != NULL && strstr(line, "dict.get") != NULL,
        "brokerctl monitor");
    bench_expect(pthread_create(&reader, NULL, read_lines, lines) == 0, "pthread_create");
    atomic_store(&b->shared->is_over, 1);
    bench_meet(b);
    (void)kill(pid, SIGTERM);
    (void)pthread_join(reader, NULL);
    (void)waitpid(pid, NULL, 0);
    (void)fclose(lines);
}

static void run(struct bench *b)
{
    if (b->rank == 0)
        measure(b);
    else
        watch(b);
}

const struct bench_probe bench_monitor = {
    .group = "monitor",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"dict get while monitored", BENCH_NS, 0, NULL},
            {"dict get, monitored by not", BENCH_TIMES, 0.95, NULL},
            {"queue put and get while monitored", BENCH_NS, 0, NULL},
            {"queue put and get, monitored by not", BENCH_TIMES, 0.95, NULL},
            {"lock acquire and release while monitored", BENCH_NS, 0, NULL},
            {"lock acquire and release, monitored by not", BENCH_TIMES, 0.95, NULL},
            {0},
        },
    .run = run,
};
