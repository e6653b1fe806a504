/*
 * roads.h - the ways to a broker by which the conformance suite goes
 *
 * $BROKER_TEST_ROAD names the road: "private" (shared memory; the standard) or "ipc" (a brokerd-zmq
 * beside a brokerd). What a road does not offer is written down in roads.c, and skipped for all to
 * see.
 */
#ifndef TESTS_ROADS_H
#define TESTS_ROADS_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts what the case needs and gives its address. Skips the case if the road does not offer what
 * it is about. */
const char *road_begin(void);
void road_end(void);

/* Whose process id the broker shows for a session of the process @pid: by ZeroMQ it knows only the
 * brokerd-zmq that acts for it. */
pid_t road_pid(pid_t pid);
bool road_is_local(void);

#endif
