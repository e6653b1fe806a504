/*
 * child.h - a process that does nothing
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/types.h>

/* It lives until it is killed, or its parent ends. What fails in here ends the test. */
pid_t child_start(void);

/* Kills and collects it. */
void child_kill(pid_t pid);

#endif
