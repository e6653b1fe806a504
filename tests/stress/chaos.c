/*
 * chaos.c - eight processes at work, killed, stopped and continued at random; nothing may be lost,
 * stuck or leaked
 *
 * usage: chaos [SECONDS [SEED]]
 */
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "core/session.h"
#include "stress/worker.h"
#include "support/instance.h"

#define TICK_MS 20 /* without one for so long, whoever is stopped is continued */

struct chaos {
    struct world w;
    pid_t pids[WORKERS];
    bool stopped[WORKERS];
    int ticks; /* read end */
    uint64_t n_kills, n_stops;
};

static int count_fds(pid_t pid)
{
    char path[40];
    DIR *dir;
    int n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    if (dir == NULL)
        return -1;
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static uint32_t count_sessions(struct bri_arena *a)
{
    struct bri_session_info info;
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->n_sessions; i++)
        n += bri_session_info(a, i, &info) == 0 && info.status != BRI_SESSION_FREE;
    return n;
}

static void replace(struct chaos *c, int i)
{
    int status;

    (void)kill(c->pids[i], SIGKILL);
    (void)waitpid(c->pids[i], &status, 0);
    if (WIFEXITED(status) && !c->w.shared->stop)
        fail(&c->w, "worker %d ended by itself with %d", i, WEXITSTATUS(status));
    c->stopped[i] = false;
    c->n_kills++;
    c->pids[i] = worker_start(&c->w, i, next_random(&c->w));
}

static void resume_all(struct chaos *c)
{
    for (int i = 0; i < WORKERS; i++)
        if (c->stopped[i]) {
            (void)kill(c->pids[i], SIGCONT);
            c->stopped[i] = false;
        }
}

static void disturb(struct chaos *c)
{
    uint64_t x = next_random(&c->w);
    int i = (int)(x % WORKERS);

    switch ((x >> 8) % 8) {
    case 0:
    case 1:
    case 2:
        replace(c, i);
        break;
    case 3:
        (void)kill(c->pids[i], SIGSTOP);
        c->stopped[i] = true;
        c->n_stops++;
        break;
    case 4:
        resume_all(c);
        break;
    default:
        break;
    }
}

static void run(struct chaos *c, int64_t until)
{
    struct pollfd p = {.fd = c->ticks, .events = POLLIN};
    char bytes[64];

    while (bri_now() < until && !c->w.shared->failed) {
        if (poll(&p, 1, TICK_MS) == 1)
            (void)!read(c->ticks, bytes, sizeof(bytes));
        else
            resume_all(c); /* one of them may hold up all others */
        disturb(c);
    }
    c->w.shared->stop = 1;
    resume_all(c);
    for (int i = 0; i < WORKERS; i++)
        (void)waitpid(c->pids[i], NULL, 0);
}

int main(int argc, char **argv)
{
    int64_t seconds = argc > 1 ? strtoll(argv[1], NULL, 10) : 8, deadline;
    uint64_t seed =
        argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)bri_now() ^ (uint64_t)getpid() << 20;
    struct instance *instance = instance_start(NULL);
    struct chaos c = {.w.random = seed | 1};
    int ends[2], fds;
    broker *b;

    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    if (pipe(ends) != 0 || broker_open(instance_address(instance), &b) < 0) {
        fprintf(stderr, "cannot start: %s\n", broker_last_error());
        return 1;
    }
    c.ticks = ends[0];
    c.w.ticks = ends[1];
    world_open(&c.w, b, shared_new());
    fds = count_fds(instance_pid(instance));
    for (int i = 0; i < WORKERS; i++)
        c.pids[i] = worker_start(&c.w, i, next_random(&c.w));
    run(&c, bri_now() + seconds * BRI_SECOND);

    /* The last of them were told to leave; the daemon has still to hear of the last deaths. */
    deadline = bri_now() + 10 * BRI_SECOND;
    while (count_sessions(b->arena) > 1 || count_fds(instance_pid(instance)) != fds) {
        if (bri_now() > deadline)
            fail(&c.w, "%u sessions and %d descriptors are left, not 1 and %d",
                count_sessions(b->arena), count_fds(instance_pid(instance)), fds);
        (void)sched_yield();
    }
    check_all(&c.w);
    printf("%llu operations, %llu kills, %llu stops, %llu owners died, %llu items came again: "
           "nothing lost\n",
        (unsigned long long)c.w.shared->n_ops, (unsigned long long)c.n_kills,
        (unsigned long long)c.n_stops, (unsigned long long)c.w.shared->n_owner_deaths,
        (unsigned long long)c.w.shared->n_redelivered);
    broker_close(b);
    instance_stop(instance);
    return 0;
}
