/*
 * worker.c - see worker.h
 */
#include "worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "objects.h"

#define SIDE_PICKS 1000000u

int worker_expect(struct worker *w, int r, const char *what, uint64_t allowed)
{
    if (r >= 0 || (allowed & ANSWER(r)) != 0)
        return r;
    ledger_fail(w->ledger, "life %u: %s gave %s: %s", w->number, what, broker_error_name(r),
        broker_last_error());
}

static void open_all(struct worker *w)
{
    const broker_queue_options plain = STRESS_PLAIN, tasks = STRESS_TASKS;
    const broker_array_options sums = STRESS_SUMS, stripes = STRESS_STRIPES;
    const broker_lock_options kept = {.keep_on_death = true};
    const broker_pipe_options talk = STRESS_TALK;
    char name[16];

    worker_expect(w, broker_dict_open(w->b, "counters", NULL, &w->counters), "dict open", 0);
    worker_expect(w, broker_dict_open(w->b, "sums", NULL, &w->sums), "dict open", 0);
    worker_expect(w, broker_dict_open(w->b, "records", NULL, &w->records), "dict open", 0);
    worker_expect(w, broker_dict_open(w->b, "groups", NULL, &w->groups), "dict open", 0);
    worker_expect(w, broker_list_open(w->b, "rows", NULL, &w->rows), "list open", 0);
    worker_expect(w, broker_queue_open(w->b, "plain", &plain, &w->plain), "queue open", 0);
    worker_expect(w, broker_queue_open(w->b, "tasks", &tasks, &w->tasks), "queue open", 0);
    worker_expect(w, broker_array_open(w->b, "array", &sums, &w->sums_array), "array open", 0);
    worker_expect(w, broker_array_open(w->b, "stripes", &stripes, &w->stripes), "array open", 0);
    worker_expect(w, broker_pipe_open(w->b, "talk", &talk, &w->talk), "pipe open", 0);
    for (unsigned i = 0; i < N_LOCKS; i++) {
        (void)snprintf(name, sizeof(name), "lock-%u", i);
        worker_expect(w, broker_lock_open(w->b, name, i == KEPT_LOCK ? &kept : NULL, &w->locks[i]),
            "lock open", 0);
    }
}

/* Another thread of the same process, on the same handles: it only counts. */
static void *run_beside(void *arg)
{
    const struct worker *main_thread = arg;
    struct worker w = *main_thread;

    w.random ^= SIDE_PICKS;
    w.in = w.out = (broker_buffer)BROKER_BUFFER_INIT;
    while (atomic_load(&w.ledger->must_stop) == 0 && atomic_load(&w.life->is_doomed) == 0)
        dict_count(&w, 1);
    broker_buffer_free(&w.in);
    broker_buffer_free(&w.out);
    return NULL;
}

/* A child of a child: it inherits the handles, becomes a session of its own, and just ends. */
static void fork_child(struct worker *w)
{
    uint32_t number = ledger_begin_life(w->ledger);
    pid_t pid;
    int status;

    worker_step(w, "fork");
    pid = fork();
    if (pid == 0) {
        struct life *life = &w->ledger->lives[number];

        w->number = number;
        w->life = life;
        w->n_leases = 0;
        w->n_tokens = 0;
        dict_count(w, 0);
        queue_use_tasks(w);
        atomic_store(&life->is_doomed, 1);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        ledger_fail(w->ledger, "life %u: its child failed", w->number);
}

static void do_something(struct worker *w)
{
    uint32_t pick = worker_pick(w, 1000);

    if (pick < 150)
        dict_count(w, 0);
    else if (pick < 200)
        dict_count_many(w);
    else if (pick < 400)
        dict_use_records(w);
    else if (pick < 450)
        dict_use_groups(w);
    else if (pick < 480)
        list_use_rows(w);
    else if (pick < 530)
        array_use(w);
    else if (pick < 600)
        pipe_use(w);
    else if (pick < 680)
        queue_use_plain(w);
    else if (pick < 760)
        queue_use_tasks(w);
    else if (pick < 800)
        lease_use(w);
    else if (pick < 950)
        lock_use(w);
    else if (pick < 998)
        object_use_any(w);
    else if (!w->ledger->kills_daemon) /* the child attaches in its first operation */
        fork_child(w);
}

static void leave(struct worker *w, bool all_done)
{
    worker_step(w, "leave");
    while (all_done && w->n_leases > 0)
        queue_finish_one(w);
    while (all_done && w->n_tokens > 0)
        lease_finish_one(w);
    atomic_store(&w->life->is_doomed, 1);
    broker_buffer_free(&w->in);
    broker_buffer_free(&w->out);
    broker_close(w->b);
    worker_step(w, "gone");
}

/* The daemon may be gone at the moment, where it is killed as well. */
static void attach(struct worker *w, const char *address)
{
    int r;

    worker_step(w, "attach");
    do
        r = broker_open(address, &w->b);
    while (r == BROKER_NODAEMON && w->ledger->kills_daemon);
    worker_expect(w, r, "broker_open", 0);
}

void worker_run(struct ledger *ledger, uint32_t number, const char *address)
{
    static struct worker w;
    pthread_t side;
    bool has_side;

    w = (struct worker){.ledger = ledger, .life = &ledger->lives[number], .number = number};
    w.random = ledger->seed + number;
    w.last_seen[0] = mmap(NULL, N_ROADS * MAX_LIVES * sizeof(uint32_t), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w.last_seen[0] == MAP_FAILED)
        ledger_fail(ledger, "no memory");
    for (unsigned i = 1; i < N_ROADS; i++)
        w.last_seen[i] = w.last_seen[i - 1] + MAX_LIVES;
    attach(&w, address);
    worker_step(&w, "open");
    open_all(&w);
    has_side = worker_pick(&w, 8) == 0 && pthread_create(&side, NULL, run_beside, &w) == 0;
    while (atomic_load(&ledger->must_stop) == 0 && worker_pick(&w, 20000) != 0)
        do_something(&w);
    if (has_side) {
        bool stops = atomic_load(&ledger->must_stop) != 0;

        worker_step(&w, "join the side thread");
        if (!stops)
            atomic_store(&w.life->is_doomed, 1); /* tells it, too */
        (void)pthread_join(side, NULL);
    }
    leave(&w, atomic_load(&ledger->must_stop) != 0);
    _exit(0);
}
