/*
 * What the kernel tells of a process.
 */
#ifndef CTL_PROCESS_H
#define CTL_PROCESS_H

#include <sys/types.h>

/* Its state as in /proc: 'R', 'S', 'D', 'T' stopped, 'Z'; 0 if that is not known. */
char ctl_process_state(pid_t pid);

#endif
