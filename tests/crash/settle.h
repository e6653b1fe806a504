/*
 * settle.h - what clients and the daemon do after a death, and what can be seen of it
 */
#ifndef TESTS_CRASH_SETTLE_H
#define TESTS_CRASH_SETTLE_H

#include "judge.h"

/* What comes first: the dead is recovered from, and reaped if that is the order. False: that cannot
 * be done, or readers see undone what they saw. */
bool settle_repair(struct judge *j, struct world *w, enum order order);

/* Brings a world that was repaired to rest, and writes down what can be seen of it on the way.
 * False: something is damaged or lost, or somebody cannot go on. */
bool settle(struct judge *j, struct world *w, enum order order, struct text *out);

#endif
