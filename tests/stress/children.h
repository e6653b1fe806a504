/*
 * children.h - processes that end when they like
 */
#ifndef STRESS_CHILDREN_H
#define STRESS_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

/* Before the first: from now on the end of one is kept for children_await(). */
void children_begin(void);

/* fork() that ends the program if it fails; in the child signals are as they were, and it dies with
 * its parent. */
pid_t children_fork(void);

/* Until one ends, or the time for something else has come. */
void children_await(int64_t at_most_ns);

/* Until a process that is nobody's here has ended; it may still have to be collected. */
void children_await_other(pid_t pid);

#endif
