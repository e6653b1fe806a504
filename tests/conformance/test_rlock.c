/*
 * test_rlock.c - the lock that its owner may take again, and what becomes of it when its owner dies
 *
 * The names in brackets are the rows of CPython's RLock proxy whose rule a case shows. What it has
 * in common with the lock is shown in test_lock.c, for both are one mechanism.
 */
#include "conformance/calls.h"
#include "conformance/roads.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

TestSuite(rlock, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)
#define DEEP 1000

static bool is_locked(broker_rlock *l)
{
    bool locked;

    OK(broker_rlock_locked(l, &locked));
    return locked;
}

/* How often the owner has it; 0 while it is free. */
static uint64_t count_of(broker_rlock *l)
{
    broker_value v;

    OK(broker_rlock_owner(l, &kit_buffer, &v));
    return v.type == BROKER_NIL ? 0 : kit_field(v, "count").u;
}

static int acquire_in_thread(struct call *c)
{
    return broker_rlock_acquire(c->object, c->number, NULL);
}

static int release_in_thread(struct call *c)
{
    return broker_rlock_release(c->object);
}

/* [acquire, release: the owner may nest] */
Test(rlock, its_owner_takes_it_again)
{
    broker_rlock *l = kit_rlock("l");

    cr_assert_not(is_locked(l));
    cr_assert_eq(count_of(l), 0);
    for (uint64_t i = 1; i <= DEEP; i++) {
        OK(broker_rlock_acquire(l, i % 2 == 0 ? BROKER_FOREVER : 0, NULL));
        cr_assert_eq(count_of(l), i);
    }
    for (uint64_t i = DEEP; i > 0; i--) {
        cr_assert(is_locked(l));
        GIVES(call_elsewhere(acquire_in_thread, l, 0), BROKER_TIMEDOUT);
        OK(broker_rlock_release(l));
        cr_assert_eq(count_of(l), i - 1);
    }
    cr_assert_not(is_locked(l));
    OK(call_elsewhere(acquire_in_thread, l, 0));
    cr_assert_eq(count_of(l), 1);
}

/* [acquire(timeout)] not before its time; 0 is a try; negative is refused, of the owner too. */
Test(rlock, a_timeout_is_kept)
{
    broker_rlock *l = kit_rlock("l");
    uint64_t token = 77;
    int64_t start;

    GIVES(broker_rlock_acquire(l, -1, &token), BROKER_INVALID);
    cr_assert_not(is_locked(l));
    OK(call_elsewhere(acquire_in_thread, l, 0));
    GIVES(broker_rlock_acquire(l, 0, &token), BROKER_TIMEDOUT);
    start = kit_now();
    GIVES(broker_rlock_acquire(l, SHORT, &token), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(token, 77);
    cr_assert_eq(count_of(l), 1);
    cr_assert_eq(kit_stat(kit_name("l"), "waiters"), 0, "who gave up is still counted");
    OK(broker_rlock_acquire(kit_rlock("mine"), 0, NULL));
    GIVES(broker_rlock_acquire(kit_rlock("mine"), INT64_MIN, NULL), BROKER_INVALID);
    cr_assert_eq(count_of(kit_rlock("mine")), 1);
}

/* Of one lock opened twice, both handles are the same lock to a thread. */
Test(rlock, two_handles_are_one_lock)
{
    broker_rlock *a = kit_rlock("l"), *b = kit_rlock("l");

    OK(broker_rlock_acquire(a, 0, NULL));
    OK(broker_rlock_acquire(b, 0, NULL));
    cr_assert_eq(count_of(a), 2);
    OK(broker_rlock_release(a));
    OK(broker_rlock_release(b));
    GIVES(broker_rlock_release(a), BROKER_NOTLOCKED);
}

/* [release() unlocked: RuntimeError "cannot release un-acquired lock"] */
Test(rlock, release_of_a_free_lock_is_notlocked)
{
    broker_rlock *l = kit_rlock("l");

    GIVES(broker_rlock_release(l), BROKER_NOTLOCKED);
    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_release(l));
    OK(broker_rlock_release(l));
    GIVES(broker_rlock_release(l), BROKER_NOTLOCKED);
    OK(broker_rlock_acquire(l, 0, NULL));
    cr_assert_eq(count_of(l), 1);
}

/* [release() not mine; other thread of the same process gets False] */
Test(rlock, anothers_lock_is_notowner_and_does_not_change)
{
    broker_rlock *l = kit_rlock("l");

    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_acquire(l, 0, NULL));
    GIVES(call_elsewhere(release_in_thread, l, 0), BROKER_NOTOWNER);
    GIVES(call_elsewhere(acquire_in_thread, l, 0), BROKER_TIMEDOUT);
    cr_assert_eq(count_of(l), 2);
    OK(broker_rlock_release(l));
    GIVES(call_elsewhere(release_in_thread, l, 0), BROKER_NOTOWNER);
    OK(broker_rlock_release(l));
    OK(call_elsewhere(acquire_in_thread, l, 0));
    GIVES(broker_rlock_release(l), BROKER_NOTOWNER);
    cr_assert(is_locked(l));
}

/* Only the last release lets the next one in. */
Test(rlock, a_waiter_comes_in_after_the_last_release)
{
    broker_rlock *l = kit_rlock("l");
    struct call waiter;

    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_acquire(l, 0, NULL));
    kit_call(&waiter, acquire_in_thread, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    OK(broker_rlock_release(l));
    cr_assert_eq(count_of(l), 1);
    /* Recursion while somebody sleeps for it goes another way. */
    OK(broker_rlock_acquire(l, 0, NULL));
    cr_assert_eq(count_of(l), 2);
    OK(broker_rlock_release(l));
    OK(broker_rlock_release(l));
    OK(kit_return(&waiter));
    cr_assert_eq(count_of(l), 1);
    GIVES(broker_rlock_release(l), BROKER_NOTOWNER);
    cr_assert_eq(kit_stat(kit_name("l"), "contended"), 1);
}

/* The token belongs to the owner, not to each of its acquisitions. */
Test(rlock, the_token_grows_with_each_owner)
{
    broker_rlock *l = kit_rlock("l");
    uint64_t last = 0, token, again;

    for (int i = 0; i < 10; i++) {
        OK(broker_rlock_acquire(l, 0, &token));
        cr_assert_gt(token, last);
        OK(broker_rlock_acquire(l, 0, &again));
        cr_assert_eq(again, token);
        last = token;
        OK(broker_rlock_release(l));
        OK(broker_rlock_release(l));
    }
    cr_assert_eq(kit_stat(kit_name("l"), "acquired"), 10);
}

/* ---- owners that end ---- */

static void hold_twice(struct line *parent, void *arg)
{
    uint64_t token;

    REQUIRE(broker_rlock_acquire(arg, KIT_SOON, &token) >= 0);
    REQUIRE(broker_rlock_acquire(arg, KIT_SOON, &token) == 0);
    kit_tell(parent, token);
    (void)kit_hear(parent);
}

/* [owner killed: stays locked for ever] The next one has it, once, and is told, once. */
Test(rlock, the_lock_of_a_killed_owner_goes_to_the_next_with_notice)
{
    broker_rlock *l = kit_rlock("l");
    struct line owner = kit_fork(hold_twice, l);
    uint64_t before = kit_hear(&owner), token = 0;
    broker_value v;

    GIVES(broker_rlock_acquire(l, 0, NULL), BROKER_TIMEDOUT);
    GIVES(broker_rlock_release(l), BROKER_NOTOWNER);
    OK(broker_rlock_owner(l, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "pid").u, (uint64_t)road_pid(owner.pid));
    cr_assert_eq(kit_field(v, "count").u, 2);
    kit_kill(&owner);
    GIVES(broker_rlock_acquire(l, KIT_SOON, &token), BROKER_OWNER_DIED);
    cr_assert_gt(token, before);
    cr_assert_eq(count_of(l), 1);
    OK(broker_rlock_acquire(l, 0, NULL));
    cr_assert_eq(count_of(l), 2);
    OK(broker_rlock_release(l));
    OK(broker_rlock_release(l));
    cr_assert_not(is_locked(l));
    OK(broker_rlock_acquire(l, 0, NULL));
    cr_assert_eq(kit_stat(kit_name("l"), "owner_deaths"), 1);
}

/* P2: who waits is woken by the death. */
Test(rlock, the_death_of_an_owner_wakes_one_who_waits)
{
    broker_rlock *l = kit_rlock("l");
    struct line owner = kit_fork(hold_twice, l);
    struct call waiter;

    (void)kit_hear(&owner);
    kit_call(&waiter, acquire_in_thread, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    kit_kill(&owner);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
    cr_assert_eq(count_of(l), 1);
}

/* Who leaves without releasing has left the same disorder. */
Test(rlock, an_owner_that_exits_or_closes_gives_notice_too)
{
    broker_rlock *l = kit_rlock("l");
    struct line owner = kit_fork(hold_twice, l);

    (void)kit_hear(&owner);
    kit_tell(&owner, 0);
    kit_end(&owner);
    GIVES(broker_rlock_acquire(l, KIT_SOON, NULL), BROKER_OWNER_DIED);
    OK(broker_rlock_acquire(l, 0, NULL));
    broker_rlock_close(l);
    l = kit_rlock("l");
    GIVES(broker_rlock_acquire(l, 0, NULL), BROKER_OWNER_DIED);
    cr_assert_eq(count_of(l), 1);
}

static void wait_for_lock(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    (void)broker_rlock_acquire(arg, BROKER_FOREVER, NULL);
    (void)kit_hear(parent);
}

/* A killed waiter gets nothing and is counted off; the lock goes on to those who live. */
Test(rlock, a_killed_waiter_leaves_no_ghost)
{
    broker_rlock *l = kit_rlock("l");
    struct line dying;
    struct call waiter;

    OK(broker_rlock_acquire(l, 0, NULL));
    dying = kit_fork(wait_for_lock, l);
    (void)kit_hear(&dying);
    kit_await_waiters(kit_name("l"), 1);
    kit_call(&waiter, acquire_in_thread, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 2);
    kit_kill(&dying);
    kit_await(kit_name("l"), "waiters", 1);
    OK(broker_rlock_release(l));
    OK(kit_return(&waiter));
    cr_assert_eq(kit_stat(kit_name("l"), "owner_deaths"), 0);
}

static void use_parents(struct line *parent, void *arg)
{
    REQUIRE(broker_rlock_release(arg) == BROKER_NOTOWNER);
    REQUIRE(broker_rlock_acquire(arg, 0, NULL) == BROKER_TIMEDOUT);
    kit_tell(parent, 0);
}

/* A child has a session of its own: it is not the owner because its parent is. */
Test(rlock, a_child_does_not_own_what_its_parent_owns)
{
    broker_rlock *l = kit_rlock("l");
    struct line child;

    OK(broker_rlock_acquire(l, 0, NULL));
    child = kit_fork(use_parents, l);
    (void)kit_hear(&child);
    kit_end(&child);
    cr_assert_eq(count_of(l), 1);
    OK(broker_rlock_release(l));
}

Test(rlock, a_destroyed_lock_is_gone_for_all)
{
    broker_rlock *l = kit_rlock("l");
    struct call waiter;

    OK(broker_rlock_acquire(l, 0, NULL));
    kit_call(&waiter, acquire_in_thread, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    OK(broker_destroy(kit_broker, kit_name("l")));
    GIVES(kit_return(&waiter), BROKER_GONE);
    GIVES(broker_rlock_acquire(l, 0, NULL), BROKER_GONE);
    GIVES(broker_rlock_release(l), BROKER_GONE);
}

/* ---- who ---- */

Test(rlock, owner_and_locks_tell_who_holds_it)
{
    broker_rlock *l = kit_rlock("l");
    broker_value v;
    uint32_t found = 0;

    OK(broker_rlock_owner(l, &kit_buffer, &v));
    SAYS(v, "nil");
    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_rlock_owner(l, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "pid").u, (uint64_t)road_pid(getpid()));
    cr_assert(!road_is_local() || kit_field(v, "thread").u == (uint64_t)gettid());
    SAYS(kit_field(v, "alive"), "true");
    cr_assert_eq(kit_field(v, "count").u, 2);
    OK(broker_locks(kit_broker, &kit_buffer, &v));
    for (uint32_t i = 0; i < kit_count(v); i++)
        if (strcmp(text_of(kit_field(kit_element(v, i), "name")),
                text_of(broker_str(kit_name("l")))) == 0)
            found++;
    cr_assert_eq(found, 1);
    OK(broker_rlock_release(l));
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 1);
    OK(broker_rlock_release(l));
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 0);
    cr_assert_eq(kit_stat(kit_name("l"), "locked"), 0);
}

/* ---- contention ---- */

#define N_OTHERS 4
#define TIMES kit_often(2000)

struct counted {
    broker_rlock *lock;
    volatile int64_t *plain; /* incremented by load and store, with something in between */
};

/* One increment inside both of two acquisitions, of which the outer one ends last. */
static int count_once(const struct counted *c, int i)
{
    int64_t n;
    int r = broker_rlock_acquire(c->lock, BROKER_FOREVER, NULL);

    if (r == 0)
        r = broker_rlock_acquire(c->lock, BROKER_FOREVER, NULL);
    if (r < 0)
        return r;
    n = *c->plain;
    if (i % 64 == 0)
        (void)sched_yield();
    r = broker_rlock_release(c->lock);
    if (i % 64 == 1)
        (void)sched_yield();
    *c->plain = n + 1;
    return r == 0 ? broker_rlock_release(c->lock) : r;
}

static int count_in_thread(struct call *call)
{
    int r = 0;

    for (int i = 0; i < TIMES && r == 0; i++)
        r = count_once(call->object, i);
    return r;
}

static void count_in_process(struct line *parent, void *arg)
{
    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++)
        REQUIRE(count_once(arg, i) == 0);
}

Test(rlock, one_of_many_threads_and_processes_is_inside)
{
    void *p =
        mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counted c = {kit_rlock("l"), p};
    struct line processes[N_OTHERS];
    struct call threads[N_OTHERS];

    cr_assert_neq(p, MAP_FAILED);
    for (int i = 0; i < N_OTHERS; i++)
        processes[i] = kit_fork(count_in_process, &c);
    for (int i = 0; i < N_OTHERS; i++)
        kit_call(&threads[i], count_in_thread, &c, 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&processes[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        OK(kit_return(&threads[i]));
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&processes[i]);
    cr_assert_eq(*c.plain, 2 * N_OTHERS * TIMES);
    cr_assert_not(is_locked(c.lock));
}
