/*
 * daemon_gone.c - the daemon is killed and started again under work: no call fails, and the dead
 * are not waited for
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "core/session.h"
#include "stress/worker.h"
#include "support/instance.h"

#define ROUNDS 5
#define TICKS 20

/* Everybody worked on for a while. */
static void hear(struct world *w, int ticks, int n)
{
    struct pollfd p = {.fd = ticks, .events = POLLIN};
    char byte;

    for (int i = 0; i < n; i++) {
        if (poll(&p, 1, 20000) != 1 || w->shared->failed)
            fail(w, "the workers stand still");
        (void)!read(ticks, &byte, 1);
    }
}

/* A child that takes an item and the lock, says so, and waits to be killed. */
static pid_t start_holder(struct world *w, broker_queue *q, broker_lock *l)
{
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe(ready) != 0)
        fail(w, "pipe");
    pid = fork();
    if (pid == 0) {
        broker_value v;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (broker_queue_get(q, 0, &w->buffer, &v) < 0 || broker_lock_acquire(l, 0, NULL) < 0)
            fail(w, "the holder cannot take what it should hold");
        (void)!write(ready[1], "", 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        fail(w, "the holder ended");
    (void)close(ready[0]);
    return pid;
}

/* Killed while no daemon runs: its lock and its item come to who waits for them. */
static void check_dead_without_daemon(struct world *w, struct instance *instance)
{
    broker_queue *q;
    broker_lock *l;
    broker_value v;
    pid_t pid;
    int r;

    if (broker_queue_open(w->b, "held", &(broker_queue_options){.joinable = true}, &q) < 0 ||
        broker_lock_open(w->b, "held lock", NULL, &l) < 0 ||
        broker_queue_put(q, broker_int(7), 0) < 0)
        fail(w, "cannot prepare");
    pid = start_holder(w, q, l);
    instance_kill(instance);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    r = broker_lock_acquire(l, 10 * BROKER_SECOND, NULL);
    if (r != BROKER_OWNER_DIED)
        fail(w, "the lock of the dead gave %s", broker_error_name(r));
    r = broker_queue_get(q, 10 * BROKER_SECOND, &w->buffer, &v);
    if (r < 0 || v.i != 7 || broker_queue_task_done(q) < 0 || broker_queue_join(q, 0) < 0)
        fail(w, "the item of the dead gave %s", broker_error_name(r));
    if (broker_lock_release(l) < 0)
        fail(w, "release");
    instance_restart(instance);
}

int main(void)
{
    struct instance *instance = instance_start(NULL);
    struct world w = {.random = (uint64_t)bri_now() | 1};
    int ends[2];
    pid_t pids[WORKERS];
    broker *b;

    printf("seed %llu\n", (unsigned long long)w.random);
    fflush(stdout);
    if (pipe(ends) != 0 || broker_open(instance_address(instance), &b) < 0) {
        fprintf(stderr, "cannot start: %s\n", broker_last_error());
        return 1;
    }
    w.ticks = ends[1];
    world_open(&w, b, shared_new());
    for (int i = 0; i < WORKERS; i++)
        pids[i] = worker_start(&w, i, next_random(&w));
    for (int round = 0; round < ROUNDS; round++) {
        hear(&w, ends[0], TICKS);
        instance_kill(instance);
        hear(&w, ends[0], TICKS);
        instance_restart(instance);
    }
    check_dead_without_daemon(&w, instance);
    hear(&w, ends[0], TICKS);
    w.shared->stop = 1;
    for (int i = 0; i < WORKERS; i++) {
        int status;

        if (waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 0)
            fail(&w, "worker %d failed", i);
    }
    check_all(&w);
    printf("%d daemons killed under %llu operations: no call failed\n", ROUNDS + 1,
        (unsigned long long)w.shared->n_ops);
    broker_close(b);
    instance_stop(instance);
    return 0;
}
