/*
 * What the kernel tells of a process.
 */
#ifndef CTL_PROCESS_H
#define CTL_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Its state as in /proc: 'R', 'S', 'D', 'T' stopped, 'Z'; 0 if that is not known. */
char ctl_process_state(pid_t pid);

/* Such a state in a word, such as "stopped". */
const char *ctl_process_state_name(char state);

/* The unit of systemd that it belongs to, such as "backup.service"; empty if that is not known. */
void ctl_process_unit(pid_t pid, char *out, size_t size);

#endif
