/*
 * tracer.c - see tracer.h
 *
 * The child marks the start and the end of its function by a signal to itself, which only we see.
 * Nothing in here depends on the processor but PTRACE_SINGLESTEP and the trap flag.
 */
#include "tracer.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEGIN SIGUSR1
#define END SIGUSR2

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* A name that only one process of the machine can have, and that goes with the process. */
static bool take_processor(int cpu)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int n =
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "broker-crash-processor-%d", cpu);

    if (fd < 0)
        fail("socket");
    if (bind(fd, (struct sockaddr *)&name,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
        return true; /* stays open as long as we run */
    (void)close(fd);
    return false;
}

void tracer_pin(void)
{
    cpu_set_t allowed, one;
    int chosen = sched_getcpu();

    if (chosen < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        fail("sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &allowed) && take_processor(cpu)) {
            chosen = cpu;
            break;
        }
    CPU_ZERO(&one);
    CPU_SET((size_t)chosen, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        fail("sched_setaffinity");
}

void tracer_stay(bool here)
{
    static cpu_set_t before;
    cpu_set_t one;
    int cpu = sched_getcpu();

    if (here && sched_getaffinity(0, sizeof(before), &before) != 0)
        fail("sched_getaffinity");
    CPU_ZERO(&one);
    CPU_SET((size_t)(cpu >= 0 ? cpu : 0), &one);
    if (sched_setaffinity(0, sizeof(one), here ? &one : &before) != 0)
        fail("sched_setaffinity");
}

/* ---- starting and stepping ---- */

static _Noreturn void run_child(void (*before)(void *), void (*fn)(void *), void *arg)
{
    pid_t me = getpid();

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(EXIT_FAILURE);
    if (before != NULL)
        before(arg);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_FAILURE);
    (void)kill(me, BEGIN);
    fn(arg);
    (void)kill(me, END);
    _exit(EXIT_SUCCESS);
}

/* The signal by which it stopped, 0 if it has not. */
static int stopped(struct tracer *t, int options)
{
    int status;
    pid_t pid = waitpid(t->pid, &status, __WALL | options);

    if (pid == 0)
        return 0;
    if (pid != t->pid)
        fail("waitpid");
    if (WIFSTOPPED(status))
        return WSTOPSIG(status);
    (void)fprintf(stderr, "tracer: the child ended by itself, status %#x, behind step %llu\n",
        (unsigned)status, (unsigned long long)t->n_steps);
    exit(EXIT_FAILURE);
}

static int wait_stop(struct tracer *t)
{
    return stopped(t, 0);
}

static void expect(struct tracer *t, int signal_number, int wanted)
{
    if (signal_number == wanted)
        return;
    (void)fprintf(stderr, "tracer: the child got signal %d behind step %llu\n", signal_number,
        (unsigned long long)t->n_steps);
    exit(EXIT_FAILURE);
}

void tracer_start(struct tracer *t, void (*before)(void *), void (*fn)(void *), void *arg)
{
    struct robust_list_head *head;
    size_t size;

    (void)fflush(NULL);
    *t = (struct tracer){.pid = fork()};
    if (t->pid < 0)
        fail("fork");
    if (t->pid == 0)
        run_child(before, fn, arg);
    expect(t, wait_stop(t), BEGIN);
    if (ptrace(PTRACE_SETOPTIONS, t->pid, NULL, PTRACE_O_EXITKILL) != 0)
        fail("ptrace");
    if (syscall(SYS_get_robust_list, t->pid, &head, &size) != 0)
        fail("get_robust_list");
    t->head = (uint64_t)(uintptr_t)head;
}

static void go_on(const struct tracer *t, enum __ptrace_request how, int signal_number)
{
    if (ptrace(how, t->pid, NULL, (void *)(uintptr_t)signal_number) != 0)
        fail("ptrace");
}

static void begin_step(const struct tracer *t)
{
    go_on(t, PTRACE_SINGLESTEP, 0);
}

static bool end_step(struct tracer *t, int signal_number)
{
    if (signal_number == END)
        return false;
    expect(t, signal_number, SIGTRAP);
    t->n_steps++;
    return true;
}

bool tracer_step(struct tracer *t)
{
    begin_step(t);
    return end_step(t, wait_stop(t));
}

bool tracer_sleeps(pid_t pid)
{
    char path[40], line[512];
    const char *after;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, line, sizeof(line) - 1);
    (void)close(fd);
    line[n > 0 ? n : 0] = '\0';
    after = strrchr(line, ')');
    return after != NULL && after[1] == ' ' && after[2] == 'S';
}

enum tracer_event tracer_step_or_sleep(struct tracer *t)
{
    int signal_number;

    if (!t->under_way)
        begin_step(t);
    t->under_way = true;
    while ((signal_number = stopped(t, WNOHANG)) == 0) {
        if (tracer_sleeps(t->pid))
            return TRACER_ASLEEP;
        (void)sched_yield();
    }
    t->under_way = false;
    return end_step(t, signal_number) ? TRACER_STEPPED : TRACER_ENDED;
}

void tracer_finish(struct tracer *t)
{
    go_on(t, PTRACE_CONT, 0);
    expect(t, wait_stop(t), END);
}

void tracer_kill(struct tracer *t)
{
    int status;

    if (kill(t->pid, SIGKILL) != 0)
        fail("kill");
    do
        if (waitpid(t->pid, &status, __WALL) != t->pid)
            fail("waitpid");
    while (WIFSTOPPED(status));
    t->pid = 0;
}

static void read_child(const struct tracer *t, uint64_t address, void *out, size_t size)
{
    struct iovec local = {.iov_base = out, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};

    if (process_vm_readv(t->pid, &local, 1, &remote, 1, 0) != (ssize_t)size)
        fail("process_vm_readv");
}

struct tracer_death tracer_death_of(const struct robust_list_head *head, const void *head_at,
    uint32_t thread, const void *mapping, uint64_t size)
{
    struct tracer_death death = {0};
    uint64_t at = (uint64_t)(uintptr_t)head->list_op_pending;
    uint32_t word;

    /* The lock has no lists and no priority inheritance: whoever brings them in must have them
     * simulated. */
    if (head->list.next != head_at || (at & 1) != 0) {
        (void)fprintf(stderr, "tracer: the child has a robust list, which is not simulated\n");
        exit(EXIT_FAILURE);
    }
    if (at == 0)
        return death;
    at += (uint64_t)head->futex_offset - (uint64_t)(uintptr_t)mapping;
    if (at % sizeof(word) != 0 || at > size - sizeof(word))
        return death;
    word = __atomic_load_n((const uint32_t *)((const uint8_t *)mapping + at), __ATOMIC_RELAXED);
    if ((word & FUTEX_TID_MASK) == thread)
        death = (struct tracer_death){
            .marks = true, .off = at, .word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED};
    return death;
}

struct tracer_death tracer_death(const struct tracer *t, const void *mapping, uint64_t size)
{
    struct robust_list_head head;

    read_child(t, t->head, &head, sizeof(head));
    return tracer_death_of(
        &head, (const void *)(uintptr_t)t->head, (uint32_t)t->pid, mapping, size);
}

#ifdef __x86_64__
static bool stands_at(const struct tracer *t, uint64_t address)
{
    size_t where = offsetof(struct user_regs_struct, rip);

    return (uint64_t)ptrace(PTRACE_PEEKUSER, t->pid, where, NULL) == address;
}
#else
static bool stands_at(const struct tracer *t, uint64_t address)
{
    (void)t;
    (void)address;
    return false;
}
#endif

/* From one system call to the next: whoever comes back from a handler does so by one. */
bool tracer_run_to(struct tracer *t, uint64_t address)
{
    while (!stands_at(t, address)) {
        int signal_number;

        go_on(t, PTRACE_SYSCALL, 0);
        signal_number = wait_stop(t);
        if (signal_number == END)
            return false;
        expect(t, signal_number, SIGTRAP);
    }
    return true;
}
