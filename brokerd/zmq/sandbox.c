/*
 * sandbox.c - see sandbox.h
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

/* Sanitizers reserve terabytes for their shadow, and look for leaks as a debugger does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER true
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER false
#endif

#define NEEDED(call) SCMP_SYS(call)

/* Whatever their arguments are. */
static const int allowed[] = {
    /* memory */
    NEEDED(brk),
    NEEDED(fallocate), /* an arena grows */
    NEEDED(madvise),
    NEEDED(mremap),
    NEEDED(munmap),
    NEEDED(membarrier),
    /* threads, and waiting for shared memory */
    NEEDED(exit),
    NEEDED(exit_group),
    NEEDED(futex),
    NEEDED(futex_waitv),
    NEEDED(get_robust_list),
    NEEDED(gettid),
    NEEDED(getpid),
    NEEDED(getppid),
    NEEDED(restart_syscall),
    NEEDED(rseq),
    NEEDED(rt_sigaction),
    NEEDED(rt_sigprocmask),
    NEEDED(rt_sigreturn),
    NEEDED(sched_getaffinity),
    NEEDED(sched_getparam),
    NEEDED(sched_getscheduler),
    NEEDED(sched_setscheduler),
    NEEDED(sched_yield),
    NEEDED(set_robust_list),
    NEEDED(sigaltstack),
    NEEDED(tgkill),
    /* descriptors */
    NEEDED(close),
    NEEDED(dup),
    NEEDED(epoll_create1),
    NEEDED(epoll_ctl),
    NEEDED(epoll_pwait),
    NEEDED(epoll_pwait2),
    NEEDED(epoll_wait),
    NEEDED(eventfd2),
    NEEDED(fcntl),
    NEEDED(fstat),
    NEEDED(lseek),
    NEEDED(newfstatat),
    NEEDED(pidfd_open),
    NEEDED(poll),
    NEEDED(ppoll),
    NEEDED(pread64),
    NEEDED(read),
    NEEDED(readv),
    NEEDED(signalfd4),
    NEEDED(statx),
    NEEDED(timerfd_create),
    NEEDED(timerfd_settime),
    NEEDED(write),
    NEEDED(writev),
    /* sockets that are there */
    NEEDED(accept4),
    NEEDED(connect),
    NEEDED(getpeername),
    NEEDED(getsockname),
    NEEDED(getsockopt),
    NEEDED(recvfrom),
    NEEDED(recvmsg),
    NEEDED(sendmsg),
    NEEDED(sendto),
    NEEDED(setsockopt),
    NEEDED(shutdown),
    /* the rest */
    NEEDED(clock_getres),
    NEEDED(clock_gettime),
    NEEDED(clock_nanosleep),
    NEEDED(getcpu),
    NEEDED(getegid),
    NEEDED(geteuid),
    NEEDED(getgid),
    NEEDED(getrandom),
    NEEDED(getrusage),
    NEEDED(gettimeofday),
    NEEDED(getuid),
    NEEDED(nanosleep),
    NEEDED(prlimit64),
    NEEDED(sysinfo),
    NEEDED(uname),
};

static bool add_plain(scmp_filter_ctx filter)
{
    bool ok = true;

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
    return ok;
}

/* glibc starts threads by clone3() and takes clone(), whose flags can be looked at, where there is
 * none. */
static bool add_threads(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0;
}

/* Files are opened to be read: the list of clients, and what /proc says of those who hold locks. */
static bool add_files(scmp_filter_ctx filter)
{
    const uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;

    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
               SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
}

static bool add_others(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
               SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)) == 0 &&
           seccomp_rule_add(
               filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_EQ, 0, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
               SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
               SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA, 0)) == 0;
}

bool zmqd_sandbox_filter(void)
{
    scmp_filter_ctx filter;
    bool ok;

    if (HAS_SANITIZER)
        return true;
    filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    ok = filter != NULL && seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
         add_plain(filter) && add_threads(filter) && add_files(filter) && add_others(filter) &&
         seccomp_load(filter) == 0;

    seccomp_release(filter);
    if (!ok)
        brokerd_log(LOG_ERR, NULL, "cannot give up the system calls that are not needed");
    return ok;
}

/* ---- limits ---- */

/* Who may not give any up, as under a service manager that filters that call too, has none to give.
 */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct mine[_LINUX_CAPABILITY_U32S_3], none[_LINUX_CAPABILITY_U32S_3];

    memset(none, 0, sizeof(none));
    for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
        (void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)syscall(SYS_capset, &head, none);
    return syscall(SYS_capget, &head, mine) == 0 && memcmp(mine, none, sizeof(none)) == 0;
}

bool zmqd_sandbox_limit(uint64_t memory_bytes)
{
    const struct rlimit memory = {.rlim_cur = memory_bytes, .rlim_max = memory_bytes};
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    struct rlimit files;

    /* A session costs a descriptor, and so do its connection and, by ipc, its process; without any
     * left libzmq ends this one. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if ((HAS_SANITIZER || setrlimit(RLIMIT_DATA, &memory) == 0) &&
        setrlimit(RLIMIT_CORE, &none) == 0 && /* a core has the keys in it */
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && drop_capabilities())
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot give up what is not needed: %s", strerror(errno));
    return false;
}
