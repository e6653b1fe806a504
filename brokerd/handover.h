/*
 * handover.h - giving what is in the arenas to a brokerd that knows another layout of memory
 *
 * Such a one cannot adopt an arena. So a daemon that is stopped looks whether its program was
 * replaced by one that knows another layout. If so, it takes the arenas away from all who use them
 * (core/seal.h): they hear LOST, and from then on nothing changes. Then it saves those that would
 * have stayed to files of their own, which the next daemon makes the arenas anew from, and removes
 * the memory. Pointers into an arena (broker_array_data()) no seal can take away: it waits for some
 * seconds until whoever has them has heard LOST and closed the broker, or has ended. What cannot be
 * saved is given back to its users and stays; so does all of it when nobody can tell what comes
 * next. Then a brokerd that cannot use it refuses to start.
 */
#ifndef BROKERD_HANDOVER_H
#define BROKERD_HANDOVER_H

#include "daemon.h"

/* True if the next brokerd knows another layout than this one. Waits for its answer, some seconds
 * at most. */
bool brokerd_handover_is_due(const struct brokerd *d);

/*
 * Takes the arenas away from their users, and begins to save them. Nobody is let in any more. The
 * daemon ends when all are saved, see snapshot.h.
 */
void brokerd_handover_begin(struct brokerd *d);

/* The daemon ends before that is done: what is sealed and not being saved is given back. */
void brokerd_handover_end(struct brokerd *d);

#endif
