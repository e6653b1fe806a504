/*
 * One run of a command with an item on its standard input.
 */
#ifndef CTL_JOB_H
#define CTL_JOB_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <broker/value.h>

struct ctl_job {
    pid_t pid; /* 0: none */
    uint64_t token;
    uint64_t deliveries;
    bool lost; /* the lease is over: others may have the item */
};

struct ctl_job_command {
    char *const *argv;
    const sigset_t *mask; /* the signal mask that it gets */
    const char *queue;    /* in its environment, as BROKER_QUEUE */
};

/*
 * Starts the command in a process group of its own, with @item on its stdin: a string or byte
 * string as it is, anything else as a line of JSON. 0; SYSTEM with errno in @out_errno: of exec, or
 * of what came before it; NOMEM.
 */
int ctl_job_start(
    const struct ctl_job_command *command, broker_value item, struct ctl_job *job, int *out_errno);

/* Sends a signal to the command and what it has started. */
void ctl_job_signal(const struct ctl_job *job, int signal);

#endif
