/*
 * road_run.h - what is measured of a road that leads to a server
 *
 * One client drives every server through the same loops. It waits for each answer, or has 32
 * requests under way, or asks for 32 keys at a time, or is many clients that each wait for theirs.
 * Client and server have a half of the processors each.
 */
#ifndef BENCH_ROAD_RUN_H
#define BENCH_ROAD_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "bench.h"
#include "road_peer.h"

#define ROAD_KEYS 32 /* of a request that asks for many */
#define ROAD_CLIENTS 200

/* Something that can be asked, and that answers in order. */
struct road {
    void *peers[ROAD_CLIENTS];
    unsigned n_peers;
    void *(*connect)(struct road *r);
    void (*ask)(struct road *r, void *peer, uint64_t key);
    void (*ask_many)(struct road *r, void *peer, uint64_t first);
    void (*take)(struct road *r, void *peer, unsigned n);
    /* The number of one of the peers that has an answer. */
    unsigned (*ready)(struct road *r);
    unsigned next, n_looked; /* of the peers that it looked at */
    void *context;
    const char *endpoint;
    struct peer_keys keys;
    pid_t server;
    uint64_t random;
};

/* What is measured, in the order of the figures: six measures, and memory. */
enum {
    ROAD_N_MEASURES = 6,
    ROAD_MEMORY = ROAD_N_MEASURES,
    ROAD_N_FIGURES,
};

/* Gives the figures of @r. */
void road_run_alone(struct bench *b, struct road *r);

/*
 * Gives the figures of @roads[0], then those of @roads[1], then of each measure how many times as
 * good the first one is.
 */
void road_run_pair(struct bench *b, struct road *const roads[2]);

#endif
