/*
 * test_access.c - which process it is
 */
#include <sys/resource.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "access.h"
#include "core/session.h"
#include "support/child.h"

TestSuite(access, .timeout = 30);

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
    pid_t pid = child_start();
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
    child_kill(pid);
    cr_assert_eq(brokerd_pidfd_of(pid, start_time), BROKER_GONE);
    cr_assert_eq(brokerd_pidfd_of(0, 0), BROKER_GONE);
}
