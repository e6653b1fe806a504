/*
 * pair.h - a broker with its endpoint, and a program in shared memory that must not notice what is
 * done to the endpoint
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <broker.h>
#include <sys/types.h>

#include "support/instance.h"

struct pair {
    struct instance *instance;
    pid_t daemon;
    broker *broker; /* in shared memory */
    broker_dict *dict;
    char ipc[80]; /* address, and the path in it */
    char path[64];
};

/* Starts both, with these lines in [zmq], and waits until the endpoint serves. */
void pair_start(struct pair *pair, const char *zmq_lines);
void pair_stop(struct pair *pair);

/* The endpoint's process; waits until there is one. */
pid_t pair_endpoint(const struct pair *pair);

/* Waits until the endpoint is another process than @old, and serves. */
void pair_await_another(const struct pair *pair, pid_t old);

/* The program in shared memory goes on, the daemon is the one that was started, and a program that
 * comes over the endpoint is served (perhaps once it is back). */
void pair_expect_well(const struct pair *pair);

/* The same, by an endpoint that was not ended meanwhile. */
void pair_expect_same(const struct pair *pair, pid_t endpoint);

#endif
