/*
 * roads.h - the ways to a broker by which the conformance suite goes
 *
 * $BROKER_TEST_ROAD names the road: "private" (shared memory without a daemon; the standard),
 * "unix" (shared memory of a brokerd), "ipc" or "tcp" (a brokerd-zmq beside it; over tcp with
 * keys). What the ZeroMQ roads do not offer is written down in roads.c, and skipped for all to see.
 */
#ifndef TESTS_ROADS_H
#define TESTS_ROADS_H

#include <stdbool.h>
#include <sys/types.h>

/* Gives the address of the case's broker. Skips the case if the road does not offer what
 * it is about. */
const char *road_begin(void);

/* Whose process id the broker shows for a session of the process @pid: by ZeroMQ it knows only the
 * brokerd-zmq that acts for it. */
pid_t road_pid(pid_t pid);
bool road_is_local(void);

#endif
