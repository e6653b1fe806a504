/*
 * test_sandbox.c - what brokerd-zmq cannot do any more
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sandbox.h"

#define MEMORY (UINT64_C(64) << 20)

TestSuite(zmq_sandbox, .timeout = 60);

/* Runs @run in a process in the sandbox; its exit status. */
static int in_sandbox(int (*run)(void))
{
    pid_t child = fork();
    int status;

    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(zmqd_sandbox_limit(MEMORY) && zmqd_sandbox_filter() ? run() : 99);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define REFUSED(call) ((call) == -1 && errno == EPERM)

static int try_all(void)
{
    char *const words[] = {"true", NULL};

    if (!REFUSED(execv("/bin/true", words)))
        return 1;
    if (!REFUSED(fork()))
        return 2;
    if (!REFUSED(open("/tmp/broker-sandbox", O_WRONLY | O_CREAT, 0600)))
        return 3;
    if (!REFUSED(open("/tmp", O_RDWR | O_TMPFILE, 0600)))
        return 4;
    if (!REFUSED(socket(AF_INET, SOCK_STREAM, 0)))
        return 5;
    if (!REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
        return 6;
    if (!REFUSED(kill(getppid(), SIGKILL)))
        return 7;
    if (!REFUSED(unlink("/tmp/broker-sandbox")))
        return 8;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 9;
    return 0;
}

Test(zmq_sandbox, does_nothing_but_what_it_is_for)
{
    cr_assert_eq(in_sandbox(try_all), 0);
}

static void *try_in_thread(void *arg)
{
    *(int *)arg = try_all();
    return NULL;
}

static int try_threads(void)
{
    pthread_t thread;
    int result = -1;

    if (pthread_create(&thread, NULL, try_in_thread, &result) != 0)
        return 98;
    (void)pthread_join(thread, NULL);
    return result;
}

Test(zmq_sandbox, starts_threads_that_are_no_freer)
{
    cr_assert_eq(in_sandbox(try_threads), 0);
}

/* A thread that was there before waits until the filter is. */
static pthread_barrier_t barrier;

static void *wait_and_try(void *arg)
{
    (void)pthread_barrier_wait(&barrier);
    *(int *)arg = try_all();
    return NULL;
}

Test(zmq_sandbox, reaches_the_threads_that_are_there)
{
    pid_t child = fork();
    int status, result = -1;
    pthread_t thread;

    if (child == 0) {
        if (pthread_barrier_init(&barrier, NULL, 2) != 0 ||
            pthread_create(&thread, NULL, wait_and_try, &result) != 0 ||
            !zmqd_sandbox_limit(MEMORY) || !zmqd_sandbox_filter())
            _exit(99);
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_join(thread, NULL);
        _exit(result);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
}

/* What is shared does not count: an arena may be larger than what the process may have. */
static int take_memory(void)
{
    void *own = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *shared = mmap(NULL, 2 * MEMORY, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (own != MAP_FAILED)
        return 1;
    return shared != MAP_FAILED ? 0 : 2;
}

Test(zmq_sandbox, has_no_more_memory_than_it_may)
{
    cr_assert_eq(in_sandbox(take_memory), 0);
}
