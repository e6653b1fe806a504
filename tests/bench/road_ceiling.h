/*
 * road_ceiling.h - the smallest server that answers the benchmark's requests: what libzmq allows
 */
#ifndef BENCH_ROAD_CEILING_H
#define BENCH_ROAD_CEILING_H

#include <sys/types.h>

/* Starts it at @endpoint, with CURVE if @secret (Z85) is not NULL; it ends with this process. Gives
 * its pid when it is bound. */
pid_t ceiling_start(const char *endpoint, const char *secret);

/* Ends it; its endpoint is free then. */
void ceiling_stop(pid_t pid);

#endif
