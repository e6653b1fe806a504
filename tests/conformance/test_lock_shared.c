/*
 * test_lock_shared.c - the lock under contention
 *
 * What shows that one at a time is inside is a plain counter in memory that the processes share,
 * changed in two halves.
 */
#include "conformance/kit.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

TestSuite(lock_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define N_OTHERS 4
#define TIMES kit_often(3000)

struct counted {
    broker_lock *lock;
    volatile int64_t *plain; /* incremented by load and store, with something in between */
};

static volatile int64_t *shared_counter(void)
{
    void *p =
        mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(p, MAP_FAILED);
    return p;
}

/* One increment under the lock; every now and then the processor is given away in the middle. */
static int count_once(const struct counted *c, int i, uint64_t *last_token)
{
    uint64_t token;
    int64_t n;
    int r = broker_lock_acquire(c->lock, BROKER_FOREVER, &token);

    if (r < 0)
        return r;
    n = *c->plain;
    if (i % 64 == 0)
        (void)sched_yield();
    *c->plain = n + 1;
    if (token <= *last_token)
        return BROKER_INTERNAL;
    *last_token = token;
    r = broker_lock_release(c->lock);
    return r;
}

static int count_in_thread(struct call *call)
{
    uint64_t last_token = 0;
    int r = 0;

    for (int i = 0; i < TIMES && r == 0; i++)
        r = count_once(call->object, i, &last_token);
    return r;
}

static void count_in_process(struct line *parent, void *arg)
{
    uint64_t last_token = 0;

    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++)
        REQUIRE(count_once(arg, i, &last_token) == 0);
}

Test(lock_shared, one_of_four_threads_is_inside)
{
    struct counted c = {kit_lock("l", NULL), shared_counter()};
    struct call others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        kit_call(&others[i], count_in_thread, &c, 0);
    for (int i = 0; i < N_OTHERS; i++)
        OK(kit_return(&others[i]));
    cr_assert_eq(*c.plain, N_OTHERS * TIMES);
    cr_assert_eq(kit_stat(kit_name("l"), "acquired"), (uint64_t)(N_OTHERS * TIMES));
}

Test(lock_shared, one_of_four_processes_is_inside)
{
    struct counted c = {kit_lock("l", NULL), shared_counter()};
    struct line others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(count_in_process, &c);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    cr_assert_eq(*c.plain, N_OTHERS * TIMES);
    cr_assert_eq(kit_stat(kit_name("l"), "acquired"), (uint64_t)(N_OTHERS * TIMES));
}

static void die_inside(struct line *parent, void *arg)
{
    const struct counted *c = arg;
    uint64_t last_token = 0;

    (void)kit_hear(parent);
    for (int i = 0; i < 200; i++)
        REQUIRE(count_once(c, i, &last_token) >= 0);
    REQUIRE(broker_lock_acquire(c->lock, BROKER_FOREVER, NULL) >= 0);
    *c->plain += 1;
    (void)kill(getpid(), SIGKILL);
}

/* Each death inside gives its notice once, to whoever comes next; nobody is kept out, nobody let in
 * too much. */
Test(lock_shared, deaths_inside_let_the_others_go_on)
{
    struct counted c = {kit_lock("l", NULL), shared_counter()};
    struct line dying[3];
    uint64_t last_token = 0;
    int64_t mine = 0;

    for (int i = 0; i < 3; i++)
        dying[i] = kit_fork(die_inside, &c);
    for (int i = 0; i < 3; i++)
        kit_tell(&dying[i], 0);
    while (kit_stat(kit_name("l"), "owner_deaths") < 3) {
        cr_assert_geq(count_once(&c, (int)mine, &last_token), 0);
        mine++;
    }
    for (int i = 0; i < 3; i++)
        kit_kill(&dying[i]);
    cr_assert_eq(*c.plain, mine + 3 * 201);
}
