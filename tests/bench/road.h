/*
 * road.h - where the benchmark's brokerd offers the ZeroMQ road
 */
#ifndef BENCH_ROAD_H
#define BENCH_ROAD_H

#include <stddef.h>
#include <sys/types.h>

#include "road_peer.h"

struct bench_road {
    char folder[64]; /* of the keys */
    char ipc[128], tcp[64], ipc_ceiling[128], tcp_ceiling[64];
    struct peer_keys keys; /* of a client that the clients file lists */
    char server_secret[41];
    pid_t server; /* brokerd-zmq */
};

extern struct bench_road bench_road;

/* Makes keys, and the lines of the configuration that use them. */
void bench_road_prepare(char *out_config, size_t size);

/* Where the daemon that runs with them has its endpoint, and which process that is. */
void bench_road_find(const char *ipc, pid_t endpoint);

void bench_road_clean(void);

#endif
