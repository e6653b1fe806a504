/*
 * host.h - one broker for all cases of a run
 *
 * Criterion runs each case in a process of its own, some at a time. They share a brokerd, and its
 * endpoint, but no arena: each has one for itself, with nothing in it and nobody else there.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include <stdbool.h>
#include <sys/types.h>

/* Before the first case: starts a broker that is reached by @road, and ends with this process;
 * after the last one. */
void host_start(const char *road);
void host_stop(void);

/* In a case: whether there is such a broker. */
bool host_is_there(void);

/* The address of an arena that the case has for itself until all its processes have ended. Others
 * may have had it before: sessions of theirs may not have ended yet. Lives as long as the process.
 */
const char *host_take_arena(void);

/* The endpoint's process; 0 if cases don't go by it. */
pid_t host_endpoint(void);

#endif
