/*
 * way.h - somebody on his way through what he does, in the live world of a sweep
 *
 * He walks in this process, from store to store, or is a child that is stepped from instruction to
 * instruction. The sweep's image of the world, and what a death would do to it, are kept up to
 * date, and readers look at each state.
 */
#ifndef TESTS_CRASH_WAY_H
#define TESTS_CRASH_WAY_H

#include "sweep.h"

/* What the victim does; @arg is the sweep. */
void way_run_operation(void *arg);

/* Starts somebody in the world as it is: one who walks if the sweep's `walking` says so. */
void way_start(struct sweep *s, void (*fn)(void *));
void way_stop(struct sweep *s);

/* One instruction, or one store. False at the end. Tells whether it made another state. */
bool way_step(struct sweep *s, bool *out_changed);

/* So many of them, or up to the end. */
void way_skip(struct sweep *s, uint64_t n);

/* A child that does @before untraced and stands before @fn. */
void way_start_child(struct sweep *s, void (*before)(void *), void (*fn)(void *));

/* A child that does the operation and stands behind its @n-th store; it can be stepped, and killed.
 * False if it has come to its end. */
bool way_start_child_at(struct sweep *s, uint64_t n);

void way_kill_child(struct sweep *s);

#endif
