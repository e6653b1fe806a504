/*
 * road_redis.h - Redis on its unix socket, beside which the ZeroMQ road is measured
 */
#ifndef BENCH_ROAD_REDIS_H
#define BENCH_ROAD_REDIS_H

#include <stdint.h>
#include <sys/types.h>

struct redis;

/* Starts a redis-server of our own, without disk, with BENCH_ENTRIES values of 64 bytes. It ends
 * with this process. */
struct redis *redis_start(void);
pid_t redis_pid(const struct redis *r);
void redis_stop(struct redis *r);

/* A connection more, and its descriptor. */
void *redis_connect(struct redis *r);
int redis_fd(void *peer);

/* Asks for @n keys from @first on: GET for one, else MGET. */
void redis_ask(void *peer, uint64_t first, unsigned n);

/* Takes one answer: of @n values. */
void redis_take(void *peer, unsigned n);

#endif
