/*
 * sync.c - one number, and the types that programs wait with: alone, contended, and to and fro
 */
#include <stdlib.h>

#include "probes.h"

#define BATCH 256
#define TURNS 20000u /* of a conversation */

/* ---- what is taken and given back ---- */

struct taken {
    void *object;
    int (*take)(void *object);
    int (*give)(void *object);
    volatile uint64_t *count; /* what it protects */
    uint64_t n;
};

static int take_rlock(void *object)
{
    return broker_rlock_acquire(object, BROKER_FOREVER, NULL);
}

static int give_rlock(void *object)
{
    return broker_rlock_release(object);
}

static int take_condition(void *object)
{
    return broker_condition_acquire(object, BROKER_FOREVER, NULL);
}

static int give_condition(void *object)
{
    return broker_condition_release(object);
}

static int take_semaphore(void *object)
{
    return broker_semaphore_acquire(object, BROKER_FOREVER);
}

static int give_semaphore(void *object)
{
    return broker_semaphore_release(object, 1);
}

static void take_and_give(void *arg, unsigned n)
{
    struct taken *t = arg;

    t->n += n;
    while (n-- > 0) {
        bench_must(t->take(t->object), "take");
        *t->count = *t->count + 1;
        bench_must(t->give(t->object), "give back");
    }
}

/* The three, in the order of the figures. */
static void open_all(const struct bench *b, struct taken t[3])
{
    const broker_semaphore_options one = {.value = 1, .bounded = true};
    broker_semaphore *semaphore;
    broker_condition *condition;
    broker_rlock *rlock;
    broker *opened = bench_open(b);
    volatile uint64_t *counts = (volatile uint64_t *)b->scratch;

    bench_must(broker_rlock_open(opened, "rlock", NULL, &rlock), "rlock open");
    bench_must(broker_condition_open(opened, "condition", NULL, &condition), "condition open");
    bench_must(broker_semaphore_open(opened, "semaphore", &one, &semaphore), "semaphore open");
    t[0] = (struct taken){rlock, take_rlock, give_rlock, counts, 0};
    t[1] = (struct taken){condition, take_condition, give_condition, counts + 8, 0};
    t[2] = (struct taken){semaphore, take_semaphore, give_semaphore, counts + 16, 0};
    for (int i = 0; i < 3 && b->rank == 0; i++)
        *t[i].count = 0;
}

static void run_alone(struct bench *b)
{
    struct taken t[3];

    open_all(b, t);
    for (unsigned i = 0; i < 3; i++) {
        bench_give(b, i, bench_time(b, take_and_give, &t[i], BATCH));
        bench_expect(*t[i].count == t[i].n, "one process");
    }
}

const struct bench_probe bench_sync_alone = {
    .group = "sync",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"rlock, acquire and release", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {"condition, acquire and release", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {"semaphore, acquire and release", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {0},
        },
    .run = run_alone,
};

static void run_contended(struct bench *b)
{
    volatile uint64_t *counts = (volatile uint64_t *)(b->scratch + 4096);
    struct taken t[3];

    open_all(b, t);
    for (unsigned i = 0; i < 3; i++) {
        bench_meet(b);
        bench_give(b, i, bench_rate_together(b, take_and_give, &t[i], BATCH));
        counts[b->rank] = t[i].n;
        bench_meet(b);
        bench_expect(*t[i].count == counts[0] + counts[1], "two processes");
    }
}

const struct bench_probe bench_sync_contended = {
    .group = "sync",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"rlock, contended by 2", BENCH_PER_SECOND, 0, "raw/robust mutex, contended by 2"},
            {"condition's lock, contended by 2", BENCH_PER_SECOND, 0,
                "raw/robust mutex, contended by 2"},
            {"semaphore of 1, contended by 2", BENCH_PER_SECOND, 0,
                "raw/robust mutex, contended by 2"},
            {0},
        },
    .run = run_contended,
};

/* ---- one number ---- */

struct number {
    broker_number *handle;
    int64_t n;
};

static void add_batch(void *arg, unsigned n)
{
    struct number *x = arg;
    broker_value total;

    while (n-- > 0) {
        bench_must(broker_number_add(x->handle, broker_int(1), &total), "value add");
        bench_expect(total.i == ++x->n, "value add");
    }
}

static void get_batch(void *arg, unsigned n)
{
    struct number *x = arg;
    broker_value v;

    while (n-- > 0) {
        bench_must(broker_number_get(x->handle, &v), "value get");
        bench_expect(v.i == x->n, "value get");
    }
}

static void run_number(struct bench *b)
{
    struct number x = {0};

    bench_must(broker_number_open(bench_open(b), "number", NULL, &x.handle), "value open");
    bench_must(broker_number_set(x.handle, broker_int(0)), "value set");
    bench_give(b, 0, bench_time(b, add_batch, &x, BATCH));
    bench_give(b, 1, bench_time(b, get_batch, &x, BATCH));
}

const struct bench_probe bench_value = {
    .group = "value",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"add", BENCH_NS, 25, "raw/robust mutex, lock and unlock"},
            {"get", BENCH_NS, 0, "raw/robust mutex, lock and unlock"},
            {0},
        },
    .run = run_number,
};

/* ---- to and fro ---- */

/* Time of one turn of both, at the first process. */
static void converse(
    struct bench *b, unsigned figure, void (*turn)(void *arg, unsigned i), void *arg)
{
    int64_t start;

    bench_meet(b);
    for (unsigned i = 0; i < TURNS / 10; i++)
        turn(arg, i);
    bench_meet(b);
    start = bench_now();
    for (unsigned i = 0; i < TURNS; i++)
        turn(arg, TURNS / 10 + i);
    if (b->rank == 0)
        bench_give(b, figure, (double)(bench_now() - start) / TURNS);
    bench_meet(b);
}

struct events {
    broker_event *mine, *others;
    bool begins;
};

static void event_turn(void *arg, unsigned i)
{
    struct events *e = arg;

    (void)i;
    if (e->begins)
        bench_must(broker_event_set(e->others), "event set");
    bench_must(broker_event_wait(e->mine, BROKER_FOREVER), "event wait");
    bench_must(broker_event_clear(e->mine), "event clear");
    if (!e->begins)
        bench_must(broker_event_set(e->others), "event set");
}

static void barrier_turn(void *arg, unsigned i)
{
    (void)i;
    bench_must(broker_barrier_wait(arg, BROKER_FOREVER, NULL), "barrier wait");
}

struct talk {
    broker_condition *condition;
    volatile uint64_t *turns; /* under its lock: how many there were */
    unsigned rank;
};

static void condition_turn(void *arg, unsigned i)
{
    struct talk *t = arg;

    bench_must(broker_condition_acquire(t->condition, BROKER_FOREVER, NULL), "condition acquire");
    while (*t->turns != (uint64_t)i * 2 + t->rank)
        bench_must(broker_condition_wait(t->condition, BROKER_FOREVER), "condition wait");
    *t->turns = *t->turns + 1;
    bench_must(broker_condition_notify(t->condition, 1), "condition notify");
    bench_must(broker_condition_release(t->condition), "condition release");
}

static void run_turns(struct bench *b)
{
    const broker_barrier_options two = {.parties = 2};
    broker *opened = bench_open(b);
    struct talk t = {.turns = (volatile uint64_t *)b->scratch, .rank = b->rank};
    struct events e = {.begins = b->rank == 0};
    broker_barrier *barrier;

    bench_must(broker_event_open(opened, "to 0", NULL, b->rank == 0 ? &e.mine : &e.others), "open");
    bench_must(broker_event_open(opened, "to 1", NULL, b->rank == 1 ? &e.mine : &e.others), "open");
    bench_must(broker_barrier_open(opened, "barrier", &two, &barrier), "barrier open");
    bench_must(broker_condition_open(opened, "talk", NULL, &t.condition), "condition open");
    if (b->rank == 0)
        *t.turns = 0;
    converse(b, 0, event_turn, &e);
    converse(b, 1, barrier_turn, barrier);
    converse(b, 2, condition_turn, &t);
}

const struct bench_probe bench_sync_turns = {
    .group = "sync",
    .n_processes = 2,
    .place = BENCH_APART,
    .figures =
        (const struct bench_figure[]){
            {"event, set and woken, there and back", BENCH_NS, 0, "raw/round trip, spinning, p50"},
            {"barrier of 2", BENCH_NS, 0, "raw/round trip, spinning, p50"},
            {"condition, notified there and back", BENCH_NS, 0, "raw/round trip, spinning, p50"},
            {0},
        },
    .run = run_turns,
};
