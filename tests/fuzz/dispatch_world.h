/*
 * dispatch_world.h - brokerd-zmq without sockets and without a broker, for one client
 *
 * Requests go into the dispatcher as they would from the socket, on the same workers. Sessions come
 * from an arena of this program, connections are made up, and time stands still: what waits goes on
 * when it is woken or its session ends.
 */
#ifndef FUZZ_DISPATCH_WORLD_H
#define FUZZ_DISPATCH_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What came of a request. */
struct world_outcome {
    unsigned n_answers; /* to it */
    int status;         /* of the last one */
    bool is_waiting;    /* it is under way */
    bool is_old;        /* its id was not greater than all before it */
    bool is_sound;      /* all that was sent meanwhile are answers, and none speaks of damage */
};

/* A fresh arena, and a session that has two objects of each type open, named "dict0", "dict1". */
void world_start(void);

/* An id that the session has not seen. */
uint64_t world_next_id(void);

/* Carries out a request. @id: which is its own, 0 if it has none. */
void world_take(const void *data, size_t size, uint64_t id, struct world_outcome *out);

/* Ends all sessions. False if something was left over, or an audit of the arena finds a problem. */
bool world_end(void);

#endif
