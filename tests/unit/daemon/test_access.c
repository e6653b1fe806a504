/*
 * test_access.c - which process it is
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "access.h"
#include "core/session.h"

TestSuite(access, .timeout = 30);

static pid_t live_child(void)
{
    pid_t parent = getpid(), pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            (void)pause();
        _exit(99);
    }
    return pid;
}

/* How many more descriptors there can be. */
static void leave_descriptors(unsigned n)
{
    int first = dup(STDIN_FILENO);
    struct rlimit limit;

    cr_assert_geq(first, 0);
    cr_assert_eq(close(first), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)first + n;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A session of a process that only cannot be looked at must not be ended. */
Test(access, a_process_is_gone_only_if_that_is_certain)
{
    pid_t pid = live_child();
    struct rlimit before;
    uint64_t start_time;
    int fd;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(bri_process_start_time(pid, &start_time), 0);
    fd = brokerd_pidfd_of(pid, start_time);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(brokerd_pidfd_of(pid, start_time + 1), BROKER_GONE);
    for (unsigned n = 0; n < 2; n++) { /* neither a pidfd nor /proc, and only the first */
        leave_descriptors(n);
        cr_assert_eq(brokerd_pidfd_of(pid, start_time), BROKER_SYSTEM, "%u", n);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_assert_eq(brokerd_pidfd_of(pid, start_time), BROKER_GONE);
    cr_assert_eq(brokerd_pidfd_of(0, 0), BROKER_GONE);
}
