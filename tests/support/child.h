/*
 * child.h - processes that a test starts
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/types.h>

/* One that does nothing: it lives until it is killed, or its parent ends. What fails in here ends
 * the test. */
pid_t child_start(void);

/* Kills and collects a child. */
void child_kill(pid_t pid);

/* Waits for the end of a child, which must have exited with 0. */
void child_expect_success(pid_t pid);

#endif
