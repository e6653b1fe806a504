/*
 * road_run.c - see road_run.h
 */
#include "road_run.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "probes.h"

#define WINDOW 32
#define TRIPS 4096
#define FEW_CLIENTS 10
#define TURNS 4u /* of each client, at least */
#define BOUTS 3  /* an odd number */

static void *peer(struct road *r, unsigned i)
{
    while (r->n_peers <= i) {
        r->peers[r->n_peers] = r->connect(r);
        r->n_peers++;
    }
    return r->peers[i];
}

static uint64_t any_key(struct road *r)
{
    return bench_pick(&r->random, BENCH_ENTRIES - ROAD_KEYS);
}

/* ---- the loops ---- */

/* Half of the trips there and back take no longer than this. */
static double round_trip(struct bench *b, struct road *r, unsigned n_under_way)
{
    static uint32_t took[TRIPS];
    int64_t until = bench_now() + b->slice_ns;
    double percentiles[3];
    size_t n = 0;

    (void)n_under_way;
    while (n < TRIPS && (n < 64 || bench_now() < until)) {
        int64_t start = bench_now();

        r->ask(r, peer(r, 0), any_key(r));
        r->take(r, peer(r, 0), 1);
        took[n++] = (uint32_t)(bench_now() - start);
    }
    bench_percentiles(took, n, percentiles);
    return percentiles[0];
}

struct window {
    struct road *road;
    unsigned n_keys; /* of each request; 1: of "get" */
};

static void ask(struct window *w)
{
    struct road *r = w->road;

    if (w->n_keys == 1)
        r->ask(r, peer(r, 0), any_key(r));
    else
        r->ask_many(r, peer(r, 0), any_key(r));
}

static void windows(void *arg, unsigned n)
{
    struct window *w = arg;
    unsigned asked = 0;

    for (unsigned taken = 0; taken < n; taken++) {
        while (asked < n && asked - taken < WINDOW) {
            ask(w);
            asked++;
        }
        w->road->take(w->road, peer(w->road, 0), w->n_keys);
    }
}

/* Values a second, with as many requests under way as fit in the window. */
static double under_way(struct bench *b, struct road *r, unsigned n_keys)
{
    struct window w = {.road = r, .n_keys = n_keys};

    return 1e9 / bench_time(b, windows, &w, 8 * WINDOW) * n_keys;
}

/* Many clients that each wait for their answers: answers a second. */
static double clients(struct bench *b, struct road *r, unsigned n)
{
    int64_t start, until;
    uint64_t taken = 0;

    (void)peer(r, n - 1);
    r->n_peers = n;
    r->n_looked = r->next = 0;
    for (unsigned i = 0; i < n; i++)
        r->ask(r, r->peers[i], any_key(r));
    start = bench_now();
    until = start + b->slice_ns;
    while (taken < TURNS * n || bench_now() < until) {
        unsigned i = r->ready(r);

        r->take(r, r->peers[i], 1);
        r->ask(r, r->peers[i], any_key(r));
        taken++;
    }
    start = bench_now() - start;
    for (unsigned i = 0; i < n; i++)
        r->take(r, r->peers[i], 1);
    return (double)taken * 1e9 / (double)start;
}

static double resident_bytes(pid_t pid)
{
    unsigned long all, resident = 0;
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%lu %lu", &all, &resident) != 2)
        bench_fail("%s: %s", path, strerror(errno));
    (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* ---- places ---- */

static void bind_to(const char *thread, const unsigned *cpus, unsigned n)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < n; i++)
        CPU_SET(cpus[i], &set);
    if (sched_setaffinity((pid_t)atoi(thread), sizeof(set), &set) != 0)
        bench_fail("sched_setaffinity: %s", strerror(errno));
}

static void bind_all(pid_t pid, const unsigned *cpus, unsigned n)
{
    const struct dirent *entry;
    char path[64];
    DIR *threads;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    threads = opendir(path);
    if (threads == NULL)
        bench_fail("%s: %s", path, strerror(errno));
    while ((entry = readdir(threads)) != NULL)
        if (entry->d_name[0] != '.')
            bind_to(entry->d_name, cpus, n);
    (void)closedir(threads);
}

/* Otherwise what is measured is where the scheduler has put them: on one processor a round trip
 * takes half as long. */
static void take_places(struct road *const *roads, unsigned n_roads)
{
    unsigned cpus[CPU_SETSIZE], n = bench_processors(cpus, CPU_SETSIZE), half = (n + 1) / 2;

    for (unsigned i = 0; i < n_roads; i++)
        bind_all(roads[i]->server, cpus + n - half, half);
    bind_all(getpid(), cpus, half);
}

/* ---- what is measured ---- */

/* A loop, and what of it: requests under way at a time, or clients. */
struct measure {
    double (*run)(struct bench *b, struct road *r, unsigned n);
    unsigned n;
    bool is_time; /* shorter is better */
};

static const struct measure measures[ROAD_N_MEASURES] = {
    {round_trip, 1, true},
    {under_way, 1, false},
    {under_way, ROAD_KEYS, false},
    {clients, 1, false},
    {clients, FEW_CLIENTS, false},
    {clients, ROAD_CLIENTS, false},
};

/* What a client more costs the server, when the last measure has brought many. */
static double memory_of_client(const struct road *r, double before)
{
    return (resident_bytes(r->server) - before) / (ROAD_CLIENTS - FEW_CLIENTS);
}

void road_run_alone(struct bench *b, struct road *r)
{
    double before = 0;

    take_places(&r, 1);
    r->random = b->round + 1;
    for (unsigned i = 0; i < ROAD_N_MEASURES; i++) {
        before = resident_bytes(r->server);
        bench_give(b, i, measures[i].run(b, r, measures[i].n));
    }
    bench_give(b, ROAD_MEMORY, memory_of_client(r, before));
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double middle(double values[BOUTS])
{
    qsort(values, BOUTS, sizeof(values[0]), compare_values);
    return values[BOUTS / 2];
}

/*
 * Two roads, by one measure. They take turns in short bouts, so that both have the same from the
 * machine, and what is compared is each bout with the one beside it.
 */
static void compare(
    struct bench *b, struct road *const roads[2], const struct measure *m, double out[3])
{
    double values[2][BOUTS], ratios[BOUTS];
    struct bench bout = *b;

    bout.slice_ns = b->slice_ns / BOUTS;
    for (unsigned i = 0; i < BOUTS; i++) {
        for (unsigned k = 0; k < 2; k++) {
            unsigned turn = (i + b->round + k) % 2;

            values[turn][i] = m->run(&bout, roads[turn], m->n);
        }
        ratios[i] = m->is_time ? values[1][i] / values[0][i] : values[0][i] / values[1][i];
    }
    out[0] = middle(values[0]);
    out[1] = middle(values[1]);
    out[2] = middle(ratios);
}

void road_run_pair(struct bench *b, struct road *const roads[2])
{
    double before[2], got[3];

    take_places(roads, 2);
    for (unsigned k = 0; k < 2; k++)
        roads[k]->random = b->round + 1;
    for (unsigned i = 0; i < ROAD_N_MEASURES; i++) {
        for (unsigned k = 0; k < 2; k++)
            before[k] = resident_bytes(roads[k]->server);
        compare(b, roads, &measures[i], got);
        for (unsigned k = 0; k < 3; k++)
            bench_give(b, k * ROAD_N_FIGURES + i, got[k]);
    }
    for (unsigned k = 0; k < 2; k++)
        bench_give(b, k * ROAD_N_FIGURES + ROAD_MEMORY, memory_of_client(roads[k], before[k]));
}
