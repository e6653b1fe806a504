/*
 * sandbox.h - what the process may not do, should somebody take it over
 *
 * Memory: RLIMIT_DATA counts what is this process's alone, and so neither arenas nor what libraries
 * share. What is refused above it is an error for a request; in libzmq it ends the process.
 */
#ifndef ZMQD_SANDBOX_H
#define ZMQD_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/* At the start: limits, no capabilities, none to be had. False, logged, if it cannot be. */
bool zmqd_sandbox_limit(uint64_t memory_bytes);

/*
 * When all threads are there that will be but those that wait (sleeper.h), and all is bound: only
 * the system calls that are needed, in every thread. No program is started, no file is written, no
 * socket made but for the attach socket. False, logged, if it cannot be.
 */
bool zmqd_sandbox_filter(void);

#endif
