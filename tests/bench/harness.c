/*
 * harness.c - see harness.h
 *
 * The program itself opens nothing: each probe runs in fresh processes, which attach as any program
 * would, and end with the probe. What they measured comes back through shared memory.
 */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PROCESSES 2
#define PATIENCE_MS 120000
#define SPINS_BEFORE_YIELD 1000
#define WARM_UP 5 /* one part in so many of the slice */
#define INTERVAL_NS 200000
#define MAX_INTERVALS 100000

static bool is_probe; /* this process is one of a probe's */
static volatile sig_atomic_t is_interrupted;

void bench_fail(const char *format, ...)
{
    va_list args;

    (void)fputs("broker-bench: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    if (is_probe)
        _exit(EXIT_FAILURE);
    exit(EXIT_FAILURE); /* what is registered with atexit() ends the daemon */
}

static void on_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

unsigned bench_processors(unsigned *out, unsigned max)
{
    unsigned n = 0;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        bench_fail("sched_getaffinity: %s", strerror(errno));
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
        if (CPU_ISSET(cpu, &set))
            out[n++] = cpu;
    return n;
}

static void *share(size_t size)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        bench_fail("no memory to share: %s", strerror(errno));
    return p;
}

void bench_run_init(struct bench_run *run)
{
    const struct sigaction stop = {.sa_handler = on_interrupt};

    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    run->shared = share(sizeof(*run->shared));
    run->scratch = share(BENCH_SCRATCH_BYTES);
    for (const struct bench_probe *const *p = bench_probes; *p != NULL; p++) {
        struct bench_series *s = &run->series[run->n_series++];

        if (run->n_series == BENCH_MAX_PROBES)
            bench_fail("too many probes");
        s->probe = *p;
        while (s->n_figures < BENCH_MAX_FIGURES && (*p)->figures[s->n_figures].name != NULL)
            s->n_figures++;
    }
}

/* ---- which probes ---- */

const struct bench_series *bench_find(
    const struct bench_run *run, const char *name, unsigned *out_figure)
{
    for (unsigned i = 0; name != NULL && i < run->n_series; i++) {
        const struct bench_series *s = &run->series[i];
        size_t n = strlen(s->probe->group);

        if (strncmp(name, s->probe->group, n) != 0 || name[n] != '/')
            continue;
        for (unsigned k = 0; k < s->n_figures; k++)
            if (strcmp(name + n + 1, s->probe->figures[k].name) == 0) {
                *out_figure = k;
                return s;
            }
    }
    return NULL;
}

static bool is_chosen(const struct bench_series *s, const char *name)
{
    char full[256];

    for (unsigned k = 0; k < s->n_figures; k++) {
        (void)snprintf(full, sizeof(full), "%s/%s", s->probe->group, s->probe->figures[k].name);
        if (name == NULL || strncmp(full, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static void need_limits(struct bench_run *run, const struct bench_series *s)
{
    for (unsigned k = 0; k < s->n_figures; k++) {
        unsigned figure;
        const char *limit = s->probe->figures[k].limit;
        const struct bench_series *raw = bench_find(run, limit, &figure);

        if (raw != NULL)
            run->series[raw - run->series].is_needed = true;
        else if (limit != NULL)
            bench_fail("%s names the limit %s, which is none", s->probe->figures[k].name, limit);
    }
}

bool bench_run_choose(struct bench_run *run, const char *name)
{
    bool any = false;

    for (unsigned i = 0; i < run->n_series; i++) {
        struct bench_series *s = &run->series[i];

        s->is_wanted = is_chosen(s, name);
        s->is_needed |= s->is_wanted;
        any |= s->is_wanted;
        if (s->is_wanted)
            need_limits(run, s);
    }
    return any;
}

/* ---- one probe ---- */

static void bind_to(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        bench_fail("sched_setaffinity: %s", strerror(errno));
}

static void take_place(const struct bench *b)
{
    unsigned cpus[MAX_PROCESSES];
    unsigned n = bench_processors(cpus, MAX_PROCESSES);

    if (b->probe->place == BENCH_APART)
        bind_to(cpus[b->rank % n]);
    else if (b->probe->place == BENCH_TOGETHER)
        bind_to(cpus[0]);
}

static _Noreturn void be_process(struct bench *b, pid_t parent)
{
    is_probe = true;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    take_place(b);
    b->probe->run(b);
    _exit(EXIT_SUCCESS);
}

static void await(struct pollfd *pidfds, const pid_t *pids, unsigned n, const char *group)
{
    unsigned n_left = n;
    bool failed = false, late = false;
    int status;

    while (n_left > 0 && !failed) {
        if (is_interrupted || poll(pidfds, n, PATIENCE_MS) <= 0)
            failed = late = true;
        for (unsigned i = 0; i < n && !failed; i++) {
            if ((pidfds[i].revents & POLLIN) == 0)
                continue;
            failed = waitpid(pids[i], &status, 0) != pids[i] || status != 0;
            (void)close(pidfds[i].fd);
            pidfds[i].fd = -1;
            n_left--;
        }
    }
    if (!failed)
        return;
    for (unsigned i = 0; i < n; i++)
        if (pidfds[i].fd >= 0)
            (void)kill(pids[i], SIGKILL);
    bench_fail("a measurement of the group %s %s", group,
        is_interrupted ? "was interrupted"
        : late         ? "did not end"
                       : "failed");
}

static void run_probe(struct bench_run *run, struct bench_series *s, unsigned round)
{
    struct pollfd pidfds[MAX_PROCESSES];
    pid_t pids[MAX_PROCESSES], parent = getpid();
    struct bench b = {.probe = s->probe,
        .round = round,
        .slice_ns = run->slice_ns,
        .address = run->address,
        .shared = run->shared,
        .scratch = run->scratch};

    atomic_store(&run->shared->n_arrived, 0);
    atomic_store(&run->shared->is_over, 0);
    for (b.rank = 0; b.rank < s->probe->n_processes; b.rank++) {
        pids[b.rank] = fork();
        if (pids[b.rank] < 0)
            bench_fail("fork: %s", strerror(errno));
        if (pids[b.rank] == 0)
            be_process(&b, parent);
        pidfds[b.rank] =
            (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, pids[b.rank], 0), .events = POLLIN};
        if (pidfds[b.rank].fd < 0)
            bench_fail("pidfd_open: %s", strerror(errno));
    }
    await(pidfds, pids, s->probe->n_processes, s->probe->group);
    for (unsigned k = 0; k < s->n_figures; k++)
        s->values[k][round] = run->shared->values[k];
    s->n_rounds = round + 1;
}

static unsigned rounds_of(const struct bench_run *run, const struct bench_series *s)
{
    unsigned most = s->probe->max_rounds;

    return most != 0 && most < run->n_rounds ? most : run->n_rounds;
}

void bench_run_all(struct bench_run *run)
{
    for (unsigned i = 0; i < run->n_series; i++)
        for (unsigned k = 0; k < run->series[i].n_figures; k++) {
            run->series[i].values[k] = calloc(run->n_rounds, sizeof(double));
            if (run->series[i].values[k] == NULL)
                bench_fail("no memory");
        }
    for (unsigned round = 0; round < run->n_rounds; round++)
        for (unsigned i = 0; i < run->n_series; i++)
            if (run->series[i].is_needed && round < rounds_of(run, &run->series[i]))
                run_probe(run, &run->series[i], round);
}

/* ---- statistics ---- */

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sorts @values. */
static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof(*values), compare_values);
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct bench_summary bench_summarize(const struct bench_series *s, unsigned figure)
{
    double sorted[BENCH_MAX_ROUNDS];
    struct bench_summary sum;

    memcpy(sorted, s->values[figure], s->n_rounds * sizeof(*sorted));
    sum.median = median(sorted, s->n_rounds);
    sum.least = sorted[0];
    sum.most = sorted[s->n_rounds - 1];
    return sum;
}

/* ---- for probes ---- */

void bench_meet(struct bench *b)
{
    struct bench_shared *s = b->shared;
    uint32_t meeting = atomic_load(&s->n_meetings);
    unsigned spins = 0;

    if (atomic_fetch_add(&s->n_arrived, 1) + 1 == b->probe->n_processes) {
        atomic_store(&s->n_arrived, 0);
        atomic_fetch_add(&s->n_meetings, 1);
        return;
    }
    while (atomic_load(&s->n_meetings) == meeting) {
        bench_pause();
        if (++spins > SPINS_BEFORE_YIELD)
            (void)sched_yield();
    }
}

/*
 * What one operation takes, as the median over many short intervals: one in which the processor was
 * taken away does not count.
 */
static double time_for(int64_t span_ns, bench_batch *batch, void *arg, unsigned n)
{
    static double intervals[MAX_INTERVALS];
    int64_t start = bench_now(), now = start;
    unsigned n_intervals = 0;

    do {
        int64_t begin = now;
        uint64_t done = 0;

        do {
            batch(arg, n);
            done += n;
            now = bench_now();
        } while (now - begin < INTERVAL_NS);
        if (n_intervals < MAX_INTERVALS)
            intervals[n_intervals++] = (double)(now - begin) / (double)done;
    } while (now - start < span_ns);
    return median(intervals, n_intervals);
}

double bench_time(const struct bench *b, bench_batch *batch, void *arg, unsigned n)
{
    (void)time_for(b->slice_ns / WARM_UP, batch, arg, n);
    return time_for(b->slice_ns, batch, arg, n);
}

double bench_rate_together(struct bench *b, bench_batch *batch, void *arg, unsigned n)
{
    (void)time_for(b->slice_ns / WARM_UP, batch, arg, n);
    bench_meet(b);
    b->shared->scratch_numbers[b->rank] = 1e9 / time_for(b->slice_ns, batch, arg, n);
    bench_meet(b);
    return b->shared->scratch_numbers[0] + b->shared->scratch_numbers[1];
}

static int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void bench_percentiles(uint32_t *ns, size_t n, double out[3])
{
    static const double parts[3] = {0.5, 0.99, 0.999};

    bench_expect(n > 0, "percentiles");
    qsort(ns, n, sizeof(*ns), compare_ns);
    for (unsigned i = 0; i < 3; i++)
        out[i] = ns[(size_t)(parts[i] * (double)(n - 1))];
}

broker *bench_open(const struct bench *b)
{
    broker *opened;

    bench_must(broker_open(b->address, &opened), "broker_open");
    return opened;
}
