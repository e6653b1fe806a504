/*
 * calls.h - calls that cases make in another thread, for kit_call()
 */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include "conformance/kit.h"

/* The result of a call that another thread makes. */
int call_elsewhere(int (*run)(struct call *c), void *object, int64_t number);

/* Each of these may take as many ns as `number` says. */

/* Of a queue: gets an item, which is `number` then; -1 if it is no number. */
int call_get(struct call *c);

/* Of a lock: acquires it. */
int call_acquire(struct call *c);

/* Of a condition: acquires it, waits, and releases it. What the wait gave, unless the release
 * fails.
 */
int call_wait(struct call *c);

#endif
