/*
 * faults.h - the system calls that a save makes, each of which can be made to fail or to kill
 */
#ifndef SNAPSHOT_FAULTS_H
#define SNAPSHOT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum fault {
    FAULT_NONE,  /* calls are counted and noted only */
    FAULT_ERROR, /* the call fails and does nothing */
    FAULT_KILL,  /* the process ends before the call; of a write, half of it happened */
};

/* From here on: the @at-th call (from 1 on) meets @fault, with @error. 0: none does. */
void faults_arm(enum fault fault, unsigned at, int error);

/* Calls since then; ends it. */
unsigned faults_disarm(void);

/* The calls as letters: o open, w write, s fsync, c close, r rename, u unlink, m mkdir. */
const char *faults_trace(void);

#define FAULT_EXIT 99 /* code of a process that was ended */

#endif
