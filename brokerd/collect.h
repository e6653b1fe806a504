/*
 * collect.h - the daemon collects anonymous objects that nobody can reach any more
 *
 * Soon after somebody hints that there may be some, and then a step at a time between other work.
 * A collection that found much work to do is not followed by the next one at once: at most a small
 * part of the daemon's time goes into it.
 */
#ifndef BROKERD_COLLECT_H
#define BROKERD_COLLECT_H

#include "daemon.h"

/* Begins to look after the arena. False, logged, if that can't be. */
bool brokerd_collect_start(struct brokerd *d, struct brokerd_arena *arena);

/* Before the memory is unmapped. */
void brokerd_collect_stop(struct brokerd_arena *arena);

#endif
