/*
 * children.c - see children.h
 */
#include "children.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"

static sigset_t ends;

void children_begin(void)
{
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
}

pid_t children_fork(void)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0) {
        perror("fork");
        exit(99);
    }
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(99);
        (void)sigprocmask(SIG_UNBLOCK, &ends, NULL);
    }
    return pid;
}

void children_await(int64_t at_most_ns)
{
    const struct timespec left = {
        .tv_sec = at_most_ns / BRI_SECOND, .tv_nsec = at_most_ns % BRI_SECOND};

    (void)sigtimedwait(&ends, NULL, &left);
}

void children_await_other(pid_t pid)
{
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

    if (p.fd < 0)
        return; /* it has been collected */
    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        continue;
    (void)close(p.fd);
}
