/*
 * road.c - the ZeroMQ road: brokerd-zmq, beside the least that libzmq takes and beside Redis
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <zmq.h>

#include "probes.h"
#include "road.h"
#include "road_ceiling.h"
#include "road_peer.h"
#include "road_redis.h"
#include "road_run.h"

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
    peer_make_get_many(&request, first, ROAD_KEYS);
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
    static zmq_pollitem_t items[ROAD_CLIENTS];

    for (;;) {
        for (; r->next < r->n_looked; r->next++)
            if ((items[r->next].revents & ZMQ_POLLIN) != 0)
                return r->next++;
        for (unsigned i = 0; i < r->n_peers; i++)
            items[i] = (zmq_pollitem_t){
                .socket = ((struct peer *)r->peers[i])->socket, .events = ZMQ_POLLIN};
        r->n_looked = r->n_peers;
        r->next = 0;
        if (zmq_poll(items, (int)r->n_looked, -1) < 0)
            bench_fail("zmq_poll: %s", zmq_strerror(zmq_errno()));
    }
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

static struct road zmq_road(
    void *context, const char *endpoint, const struct peer_keys *keys, pid_t server)
{
    return (struct road){.connect = zmq_peer,
        .ask = ask_get,
        .ask_many = ask_get_many,
        .take = take_answer,
        .ready = zmq_ready,
        .context = context,
        .endpoint = endpoint,
        .keys = *keys,
        .server = server};
}

/* brokerd-zmq and the least server, by the same client. */
static void run_zmq(
    struct bench *b, const char *endpoint, const char *ceiling, const struct peer_keys *keys)
{
    bool has_keys = keys->server[0] != '\0';
    pid_t least = ceiling_start(ceiling, has_keys ? bench_road.server_secret : NULL);
    void *context = zmq_ctx_new();
    struct road roads[2] = {zmq_road(context, endpoint, keys, bench_road.server),
        zmq_road(context, ceiling, keys, least)};

    fill(b);
    road_run_pair(b, (struct road *const[2]){&roads[0], &roads[1]});
    for (unsigned i = 0; i < roads[0].n_peers; i++)
        peer_close(roads[0].peers[i]);
    ceiling_stop(least);
}

static void run_ipc(struct bench *b)
{
    run_zmq(b, bench_road.ipc, bench_road.ipc_ceiling, &(struct peer_keys){.server = ""});
}

static void run_curve(struct bench *b)
{
    run_zmq(b, bench_road.tcp, bench_road.tcp_ceiling, &bench_road.keys);
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
    redis_ask(p, first, ROAD_KEYS);
}

static void take_redis(struct road *r, void *p, unsigned n)
{
    (void)r;
    redis_take(p, n);
}

static unsigned redis_ready(struct road *r)
{
    static struct pollfd items[ROAD_CLIENTS];

    for (;;) {
        for (; r->next < r->n_looked; r->next++)
            if (items[r->next].revents != 0)
                return r->next++;
        for (unsigned i = 0; i < r->n_peers; i++)
            items[i] = (struct pollfd){.fd = redis_fd(r->peers[i]), .events = POLLIN};
        r->n_looked = r->n_peers;
        r->next = 0;
        if (poll(items, r->n_looked, -1) < 0)
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

    road_run_alone(b, &r);
    redis_stop(redis);
}

/* ---- the figures ---- */

#define FIGURES(keys_target, prefix, limit)                                                        \
    {prefix "round trip, p50", BENCH_NS, 0, limit("round trip, p50")},                             \
        {prefix "32 requests under way", BENCH_PER_SECOND, 0, limit("32 requests under way")},     \
        {prefix "32 keys a request", BENCH_PER_SECOND, keys_target, limit("32 keys a request")},   \
        {prefix "1 client", BENCH_PER_SECOND, 0, limit("1 client")},                               \
        {prefix "10 clients", BENCH_PER_SECOND, 0, limit("10 clients")},                           \
        {prefix "200 clients", BENCH_PER_SECOND, 0, limit("200 clients")},                         \
        {prefix "memory of a client", BENCH_BYTES, 0, limit("memory of a client")},
#define RATIOS(prefix)                                                                             \
    {prefix "round trip, p50", BENCH_TIMES, SHARE, NULL},                                          \
        {prefix "32 requests under way", BENCH_TIMES, SHARE, NULL},                                \
        {prefix "32 keys a request", BENCH_TIMES, SHARE, NULL},                                    \
        {prefix "1 client", BENCH_TIMES, SHARE, NULL},                                             \
        {prefix "10 clients", BENCH_TIMES, SHARE, NULL},                                           \
        {prefix "200 clients", BENCH_TIMES, SHARE, NULL},
#define SHARE 0.9 /* of what libzmq allows */
#define KEYS_A_SECOND 1e6
#define NO_LIMIT(name) NULL
#define IPC_LIMIT(name) "ipc/least: " name
#define CURVE_LIMIT(name) "tcp, CURVE/least: " name

const struct bench_probe bench_redis = {
    .group = "Redis",
    .n_processes = 1,
    .figures = (const struct bench_figure[]){FIGURES(0, "", NO_LIMIT){0}},
    .run = run_redis,
};

const struct bench_probe bench_road_ipc = {
    .group = "ipc",
    .n_processes = 1,
    .figures = (const struct bench_figure[]){FIGURES(KEYS_A_SECOND, "", IPC_LIMIT)
            FIGURES(0, "least: ", NO_LIMIT) RATIOS("by the least: "){0}},
    .run = run_ipc,
};

const struct bench_probe bench_road_curve = {
    .group = "tcp, CURVE",
    .n_processes = 1,
    .figures = (const struct bench_figure[]){FIGURES(0, "", CURVE_LIMIT)
            FIGURES(0, "least: ", NO_LIMIT) RATIOS("by the least: "){0}},
    .run = run_curve,
};
