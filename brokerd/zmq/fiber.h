/*
 * fiber.h - functions that can be left in the middle and gone on with later, all on one thread
 *
 * A fiber has a stack of its own, of which only the pages that it touches cost memory; the page
 * below it is none, so that what outgrows the stack ends the process and harms nothing.
 */
#ifndef ZMQD_FIBER_H
#define ZMQD_FIBER_H

#include <stddef.h>

struct zmqd_fiber;

/* A fiber that will run @run, which must not return. NULL without memory. */
struct zmqd_fiber *zmqd_fiber_new(void (*run)(void *arg), void *arg);

/* From outside of all fibers: runs @f until it leaves. */
void zmqd_fiber_enter(struct zmqd_fiber *f);

/* From inside @f: back to who entered it. Returns when it is entered again. */
void zmqd_fiber_leave(struct zmqd_fiber *f);

/* From outside, of one that has left. NULL is allowed. */
void zmqd_fiber_free(struct zmqd_fiber *f);

#endif
