/*
 * shm_fixture.h - an arena and brokers for tests that need no daemon
 *
 * The arena lies in a memfd. A broker made here is what broker_open() would give, except that no
 * daemon stands behind it: the session belongs to whichever process the test names, and nobody
 * reaps it but the test. With it the engine functions of engine_ops.h work as they are:
 *
 *     struct bri_arena *a = shm_arena_new(256, 4);
 *     broker *b = shm_broker_new(a, getpid());
 *     struct bri_handle *h;
 *     r = bri_dict_open(b, "stock", NULL, &h);
 *     ...
 *     shm_broker_free(b);
 *     shm_arena_free(a);
 *
 * What fails in here ends the test program with a message.
 */
#ifndef TESTS_SHM_FIXTURE_H
#define TESTS_SHM_FIXTURE_H

#include <stdint.h>
#include <sys/types.h>

#include "client/handle.h"

/* A new arena of @n_pages pages. A forked child keeps the mapping, unlike a client's. */
struct bri_arena *shm_arena_new(uint32_t n_pages, uint32_t n_sessions);

/*
 * Replaces the random secret of an arena that holds no names yet by one made from @seed, so that
 * every run of a test puts the same keys into the same buckets.
 */
void shm_arena_set_secret(struct bri_arena *a, uint64_t seed);

void shm_arena_free(struct bri_arena *a);

/* A broker with a session of its own for the process @pid, which must live. */
broker *shm_broker_new(struct bri_arena *a, pid_t pid);

/* Frees the broker and its handles; what the session holds stays, for the test to reap. NULL is
 * allowed. */
void shm_broker_drop(broker *b);

/* Ends the session in good order, and frees the broker and its handles. NULL is allowed. */
void shm_broker_free(broker *b);

#endif
