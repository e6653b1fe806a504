/*
 * road.c - the ZeroMQ road: brokerd-zmq, beside the least that libzmq takes and beside Redis
 *
 * One client drives all three through the same four loops. It waits for each answer, or has 32
 * requests under way, or asks for 32 keys at a time, or is many clients that each wait for theirs.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "probes.h"
#include "road.h"
#include "road_ceiling.h"
#include "road_peer.h"
#include "road_redis.h"

#define WINDOW 32
#define KEYS 32
#define TRIPS 4096
#define MANY_CLIENTS 200
#define IDLE_PEERS 200

/* Something that can be asked, and that answers in order. */
struct road {
    void *peers[MANY_CLIENTS];
    unsigned n_peers;
    void *(*connect)(struct road *r);
    void (*ask)(struct road *r, void *peer, uint64_t key);
    void (*ask_many)(struct road *r, void *peer, uint64_t first);
    void (*take)(struct road *r, void *peer, unsigned n);
    /* The number of one of the peers that has an answer. */
    unsigned (*ready)(struct road *r);
    void *context;
    const char *endpoint;
    struct peer_keys keys;
    pid_t server;
    uint64_t random;
};

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
    return bench_pick(&r->random, BENCH_ENTRIES - KEYS);
}

/* ---- the loops ---- */

/* Half of the trips there and back take no longer than this. */
static double round_trip(struct bench *b, struct road *r)
{
    static uint32_t took[TRIPS];
    int64_t until = bench_now() + b->slice_ns;
    double percentiles[3];
    size_t n = 0;

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
    for (unsigned i = 0; i < n; i++)
        r->ask(r, r->peers[i], any_key(r));
    start = bench_now();
    until = start + b->slice_ns;
    while (bench_now() < until) {
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

static void run_all(struct bench *b, struct road *r)
{
    double before;

    r->random = b->round + 1;
    bench_give(b, 0, round_trip(b, r));
    bench_give(b, 1, under_way(b, r, 1));
    bench_give(b, 2, under_way(b, r, KEYS));
    bench_give(b, 3, clients(b, r, 1));
    bench_give(b, 4, clients(b, r, 10));
    before = resident_bytes(r->server);
    bench_give(b, 5, clients(b, r, MANY_CLIENTS));
    bench_give(b, 6, (resident_bytes(r->server) - before) / (MANY_CLIENTS - 10));
}

/* ---- over ZeroMQ ---- */

static void *zmq_peer(struct road *r)
{
    struct peer *p = calloc(1, sizeof(*p));

    if (p == NULL)
        bench_fail("no memory");
    peer_connect(p, r->context, r->endpoint, &r->keys);
    return p;
}

static void ask_get(struct road *r, void *p, uint64_t key)
{
    struct peer_request request;

    (void)r;
    peer_make_get(&request, key);
    peer_send(p, &request);
}

static void ask_get_many(struct road *r, void *p, uint64_t first)
{
    struct peer_request request;

    (void)r;
    peer_make_get_many(&request, first, KEYS);
    peer_send(p, &request);
}

static void take_answer(struct road *r, void *p, unsigned n)
{
    (void)r;
    peer_take(p, n);
}

/* In turn, so that nobody is forgotten while others are quick. */
static unsigned zmq_ready(struct road *r)
{
    static zmq_pollitem_t items[MANY_CLIENTS];
    static unsigned next, n;

    for (;;) {
        for (; next < n && n == r->n_peers; next++)
            if ((items[next].revents & ZMQ_POLLIN) != 0)
                return next++;
        for (unsigned i = 0; i < r->n_peers; i++)
            items[i] = (zmq_pollitem_t){
                .socket = ((struct peer *)r->peers[i])->socket, .events = ZMQ_POLLIN};
        n = r->n_peers;
        next = 0;
        if (zmq_poll(items, (int)n, -1) < 0)
            bench_fail("zmq_poll: %s", zmq_strerror(zmq_errno()));
    }
}

static void run_zmq(struct bench *b, struct road *r)
{
    r->context = zmq_ctx_new();
    r->connect = zmq_peer;
    r->ask = ask_get;
    r->ask_many = ask_get_many;
    r->take = take_answer;
    r->ready = zmq_ready;
    run_all(b, r);
    for (unsigned i = 0; i < r->n_peers; i++)
        peer_close(r->peers[i]);
}

static void run_ceiling(struct bench *b, const char *endpoint, const struct peer_keys *keys)
{
    struct road r = {.endpoint = endpoint};

    if (keys != NULL)
        r.keys = *keys;
    r.server = ceiling_start(endpoint, keys != NULL ? bench_road.server_secret : NULL);
    run_zmq(b, &r);
    (void)kill(r.server, SIGKILL);
}

static void run_ceiling_ipc(struct bench *b)
{
    run_ceiling(b, bench_road.ipc_ceiling, NULL);
}

static void run_ceiling_curve(struct bench *b)
{
    run_ceiling(b, bench_road.tcp_ceiling, &bench_road.keys);
}

/* The dict that all ask for. */
static void fill(struct bench *b)
{
    uint8_t value[BENCH_VALUE];
    char key[BENCH_KEY];
    broker_dict *d;

    bench_must(broker_dict_open(bench_open(b), "road", NULL, &d), "dict open");
    for (uint64_t i = 0; i < BENCH_ENTRIES; i++) {
        bench_key(key, i);
        bench_fill(value, sizeof(value), i);
        bench_must(
            broker_dict_set(d, broker_strn(key, sizeof(key)), broker_bin(value, sizeof(value))),
            "set");
    }
}

static void run_ipc(struct bench *b)
{
    struct road r = {.endpoint = bench_road.ipc, .server = bench_road.server};

    fill(b);
    run_zmq(b, &r);
}

static void run_curve(struct bench *b)
{
    struct road r = {
        .endpoint = bench_road.tcp, .server = bench_road.server, .keys = bench_road.keys};

    fill(b);
    run_zmq(b, &r);
}

/* ---- Redis ---- */

static void *redis_peer(struct road *r)
{
    return redis_connect(r->context);
}

static void ask_redis(struct road *r, void *p, uint64_t key)
{
    (void)r;
    redis_ask(p, key, 1);
}

static void ask_redis_many(struct road *r, void *p, uint64_t first)
{
    (void)r;
    redis_ask(p, first, KEYS);
}

static void take_redis(struct road *r, void *p, unsigned n)
{
    (void)r;
    redis_take(p, n);
}

static unsigned redis_ready(struct road *r)
{
    static struct pollfd items[MANY_CLIENTS];
    static unsigned next, n;

    for (;;) {
        for (; next < n && n == r->n_peers; next++)
            if (items[next].revents != 0)
                return next++;
        for (unsigned i = 0; i < r->n_peers; i++)
            items[i] = (struct pollfd){.fd = redis_fd(r->peers[i]), .events = POLLIN};
        n = r->n_peers;
        next = 0;
        if (poll(items, n, -1) < 0)
            bench_fail("poll: %s", strerror(errno));
    }
}

static void run_redis(struct bench *b)
{
    struct redis *redis = redis_start();
    struct road r = {.context = redis,
        .server = redis_pid(redis),
        .connect = redis_peer,
        .ask = ask_redis,
        .ask_many = ask_redis_many,
        .take = take_redis,
        .ready = redis_ready};

    run_all(b, &r);
    redis_stop(redis);
}

/* ---- the figures ---- */

#define FIGURES(n_target, g)                                                                       \
    (const struct bench_figure[])                                                                  \
    {                                                                                              \
        {"round trip, p50", BENCH_NS, 0, g "round trip, p50"},                                     \
            {"32 requests under way", BENCH_PER_SECOND, 0, g "32 requests under way"},             \
            {"32 keys a request", BENCH_PER_SECOND, n_target, g "32 keys a request"},              \
            {"1 client", BENCH_PER_SECOND, 0, g "1 client"},                                       \
            {"10 clients", BENCH_PER_SECOND, 0, g "10 clients"},                                   \
            {"200 clients", BENCH_PER_SECOND, 0, g "200 clients"},                                 \
            {"memory of a client", BENCH_BYTES, 0, g "memory of a client"}, {0},                   \
    }
#define ALONE                                                                                      \
    (const struct bench_figure[])                                                                  \
    {                                                                                              \
        {"round trip, p50", BENCH_NS, 0, NULL},                                                    \
            {"32 requests under way", BENCH_PER_SECOND, 0, NULL},                                  \
            {"32 keys a request", BENCH_PER_SECOND, 0, NULL},                                      \
            {"1 client", BENCH_PER_SECOND, 0, NULL}, {"10 clients", BENCH_PER_SECOND, 0, NULL},    \
            {"200 clients", BENCH_PER_SECOND, 0, NULL},                                            \
            {"memory of a client", BENCH_BYTES, 0, NULL}, {0},                                     \
    }
#define PROBE(name, group_, figures_, run_)                                                        \
    const struct bench_probe name = {                                                              \
        .group = group_, .n_processes = 1, .figures = figures_, .run = run_}

PROBE(bench_ceiling_ipc, "least over ipc", ALONE, run_ceiling_ipc);
PROBE(bench_ceiling_curve, "least over tcp, CURVE", ALONE, run_ceiling_curve);
PROBE(bench_redis, "Redis", ALONE, run_redis);
PROBE(bench_road_ipc, "ipc", FIGURES(1e6, "least over ipc/"), run_ipc);
PROBE(bench_road_curve, "tcp, CURVE", FIGURES(0, "least over tcp, CURVE/"), run_curve);
