/*
 * bury.h - completing the removal of objects
 *
 * Whoever removes an object takes its name away and puts its slot into the list of the dying; here
 * the rest is done, in steps that anybody can go on with: waiters learn of it, then the memory
 * goes, then the slot is free.
 */
#ifndef BRI_BURY_H
#define BRI_BURY_H

#include "core/arena.h"

/* The object in this slot. If somebody stopped holds it, the daemon goes on with it. */
void bri_bury_slot(struct bri_arena *a, uint32_t slot);

/* Those that somebody began with: at most some at a time. 0, or TIMEDOUT if one is stuck. */
int bri_bury(struct bri_arena *a);

#endif
