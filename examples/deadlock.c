/*
 * deadlock.c - five workers, two locks: stuck for ever, found, ended; and the cure
 *
 * Worker 1 takes lock A, then B. Worker 2 takes B, then A. When each has its first, neither gets
 * its second, and the three others wait behind them. A program that can't get a lock in good time
 * asks broker_deadlocks(), which tells who waits for whom; `brokerctl locks --deadlocks` prints the
 * same with pids. Here the program kills one of the two: its lock comes back, and all others end.
 * (With .detect_deadlock in the options of the locks, the last to wait gets BROKER_DEADLOCK
 * instead.)
 *
 * The cure: where both names mean one rlock, whoever has it may take it again.
 *
 * Expect: a circle of workers 1 and 2, four workers that end after the kill; then five that end.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 5
#define VICTIM 2
#define TEXT(value) (int)(value).size, (const char *)(value).data /* for %.*s */

static broker *b;
static broker_lock *lock_a, *lock_b;
static broker_rlock *both;
static broker_barrier *each_has_one; /* workers 1 and 2, and the one that looks on */
static pid_t workers[WORKERS + 1];   /* from 1 */

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "deadlock: %s\n", broker_last_error());
    exit(1);
}

/* ---- the workers ---- */

static void work_with_two_locks(int me)
{
    broker_lock *first = me == 2 ? lock_b : lock_a, *second = me == 2 ? lock_a : lock_b;

    /* A lock of one who died is taken over with BROKER_OWNER_DIED; it protects nothing here. */
    must(broker_lock_acquire(first, BROKER_FOREVER, NULL));
    if (me <= 2)
        must(broker_barrier_wait(each_has_one, BROKER_FOREVER, NULL));
    must(broker_lock_acquire(second, BROKER_FOREVER, NULL));
    must(broker_lock_release(second));
    must(broker_lock_release(first));
}

static void work_with_rlock(int me)
{
    (void)me; /* first and second are the same for all */
    must(broker_rlock_acquire(both, BROKER_FOREVER, NULL));
    must(broker_rlock_acquire(both, BROKER_FOREVER, NULL));
    must(broker_rlock_release(both));
    must(broker_rlock_release(both));
}

static void start(void (*work)(int me), int first, int last)
{
    (void)fflush(stdout); /* or a child that fails would print it once more */
    for (int i = first; i <= last; i++) {
        workers[i] = fork();
        if (workers[i] < 0) {
            perror("deadlock: fork");
            exit(1);
        }
        if (workers[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for a parent that failed */
            work(i);
            broker_close(b);
            _exit(0);
        }
    }
}

/* How many of the workers ended well. */
static int finish(void)
{
    int status, n = 0;

    while (wait(&status) > 0)
        n += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return n;
}

/* ---- the report ---- */

static broker_value field(broker_value line, const char *key)
{
    broker_value v;

    must(broker_unpack_find(line, broker_str(key), &v));
    return v;
}

/* Pids are others in each run; the number of a worker is not. */
static int worker_of(broker_value pid)
{
    int i = WORKERS;

    while (i > 0 && (int64_t)workers[i] != pid.i)
        i--;
    return i;
}

/* Prints the circles in brokerctl's columns; returns of how many workers they are. */
static uint32_t report(void)
{
    broker_value lines[WORKERS + 1] = {{0}}, found, line;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_cursor c;
    uint32_t n = 0;

    must(broker_deadlocks(b, &buffer, &found));
    must(broker_unpack_begin(found, &c));
    for (; broker_unpack_next(&c, &line) == 0; n++)
        lines[worker_of(field(line, "pid"))] = line; /* any of a circle may be the first */
    if (n > 0)
        printf("CIRCLE  WORKER  COMMAND   TYPE  WAITS FOR  HELD BY\n");
    for (int i = 0; i <= WORKERS; i++)
        if ((line = lines[i]).type == BROKER_PACKED)
            printf("%6d  %6d  %.*s  %.*s  %-9.*s  %7d\n", (int)field(line, "circle").i, i,
                TEXT(field(line, "command")), TEXT(field(line, "type")), TEXT(field(line, "name")),
                worker_of(field(line, "by_pid")));
    broker_buffer_free(&buffer);
    return n;
}

int main(int argc, char **argv)
{
    int r;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_lock_open(b, "A", NULL, &lock_a));
    must(broker_lock_open(b, "B", NULL, &lock_b));
    must(broker_rlock_open(b, "both", NULL, &both));
    must(broker_barrier_open(
        b, "each has one", &(broker_barrier_options){.parties = 3}, &each_has_one));

    start(work_with_two_locks, 1, 2);
    must(broker_barrier_wait(each_has_one, BROKER_FOREVER, NULL));
    start(work_with_two_locks, 3, WORKERS); /* these wait for lock A, and hold nothing */
    do {
        /* Nobody is told that a deadlock arose; a wait that takes too long is the time to ask. */
        r = broker_lock_acquire(lock_a, BROKER_SECOND / 10, NULL);
        if (r != BROKER_TIMEDOUT) {
            fprintf(stderr, "deadlock: lock A was to be had\n");
            return 1;
        }
    } while (report() == 0);
    (void)kill(workers[VICTIM], SIGKILL);
    printf("worker %d killed: %d of %d workers ended\n", VICTIM, finish(), WORKERS);

    start(work_with_rlock, 1, WORKERS);
    printf("with one rlock: %d of %d workers ended\n", finish(), WORKERS);
    broker_close(b);
    return 0;
}
