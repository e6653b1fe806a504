/*
 * test_condition_lock.c - conditions that share a lock which was there before them
 *
 * The names in brackets are the rows of CPython's Condition proxy whose rule a case shows.
 */
#include "conformance/calls.h"

#include <sys/mman.h>

TestSuite(condition_lock, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_condition *on(const char *base, const char *lock)
{
    return kit_condition(base, &(broker_condition_options){.lock = kit_name(lock)});
}

static int open_condition(const char *base, const broker_condition_options *options)
{
    broker_condition *c = NULL;
    int r = broker_condition_open(kit_broker, kit_name(base), options, &c);

    broker_condition_close(c);
    return r;
}

/* [create: may be given a managed Lock/RLock shared with other Conditions] */
Test(condition_lock, its_lock_is_the_one_that_was_named)
{
    broker_rlock *l = kit_rlock("l");
    broker_condition *a = on("a", "l"), *b = on("b", "l");
    bool locked;

    OK(broker_rlock_acquire(l, 0, NULL));
    OK(broker_condition_locked(a, &locked));
    cr_assert(locked);
    OK(broker_condition_acquire(a, 0, NULL));
    OK(broker_condition_acquire(b, 0, NULL));
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 3);
    OK(broker_condition_notify(a, 1));
    GIVES(broker_condition_wait(b, 0), BROKER_TIMEDOUT);
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 3);
    OK(broker_condition_release(b));
    OK(broker_condition_release(a));
    OK(broker_rlock_release(l));
    GIVES(broker_condition_release(a), BROKER_NOTLOCKED);
    GIVES(broker_condition_notify(a, 1), BROKER_NOTOWNER);
    cr_assert_eq(kit_stat(kit_name("a"), "own_lock"), 0);
    cr_assert_eq(kit_stat(kit_name("b"), "waits"), 1);
}

/* A lock that is not recursive is one under a condition as well. */
Test(condition_lock, a_plain_lock_will_do)
{
    broker_lock *l = kit_lock("l", NULL);
    broker_condition *c = on("c", "l");
    struct call waiter;
    uint64_t first, second;

    OK(broker_condition_acquire(c, 0, &first));
    GIVES(broker_condition_acquire(c, BROKER_FOREVER, NULL), BROKER_DEADLOCK);
    OK(broker_condition_release(c));
    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_lock_acquire(l, 0, &second));
    cr_assert_gt(second, first);
    OK(broker_condition_notify(c, 1));
    OK(broker_lock_release(l));
    OK(kit_return(&waiter));
}

static int wait_bare(struct call *call)
{
    return broker_condition_wait(call->object, call->number);
}

/* [must own] As Python has it, a lock that anybody may release is everybody's while it is locked.
 */
Test(condition_lock, with_handover_it_is_enough_that_the_lock_is_held)
{
    broker_lock *l = kit_lock("l", &(broker_lock_options){.handover = true});
    broker_condition *c = on("c", "l");
    struct call other;

    GIVES(broker_condition_notify(c, 1), BROKER_NOTOWNER);
    OK(broker_lock_acquire(l, 0, NULL));
    kit_call(&other, wait_bare, c, 0);
    GIVES(kit_return(&other), BROKER_TIMEDOUT);
    OK(broker_condition_notify(c, 1));
    OK(broker_lock_release(l));
}

Test(condition_lock, the_named_lock_must_be_there_and_be_one)
{
    broker_condition_options options = {.lock = kit_name("l")};

    GIVES(open_condition("c", &options), BROKER_NOTFOUND);
    (void)kit_dict("l", NULL);
    GIVES(open_condition("c", &options), BROKER_WRONGTYPE);
    options.lock = "";
    GIVES(open_condition("c", &options), BROKER_BADNAME);
    options = (broker_condition_options){.mode = BROKER_OPEN};
    GIVES(open_condition("c", &options), BROKER_NOTFOUND); /* none of these made one */
    (void)kit_condition("own", NULL);
    options = (broker_condition_options){.lock = kit_name("own")};
    GIVES(open_condition("c", &options), BROKER_WRONGTYPE);
}

/* The lock is an option like others: what is given must be what there is. */
Test(condition_lock, another_lock_than_at_creation_is_a_mismatch)
{
    broker_condition_options options = {.lock = kit_name("l")};

    (void)kit_rlock("l");
    (void)kit_lock("other", NULL);
    OK(open_condition("c", &options));
    OK(open_condition("c", &options));
    OK(open_condition("c", NULL));
    options.lock = kit_name("other");
    GIVES(open_condition("c", &options), BROKER_MISMATCH);
    OK(open_condition("own", NULL));
    GIVES(open_condition("own", &options), BROKER_MISMATCH);
}

/* Opened without the name of its lock, by one who has neither open. */
static void open_and_notify(struct line *parent, void *arg)
{
    broker_condition *c;

    (void)arg;
    (void)kit_hear(parent);
    c = kit_condition("c", NULL);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    REQUIRE(broker_condition_acquire(c, KIT_SOON, NULL) == 0);
    REQUIRE(broker_condition_notify(c, 1) == 0);
    REQUIRE(broker_condition_release(c) == 0);
    broker_condition_close(c);
}

Test(condition_lock, who_opens_the_condition_has_its_lock_with_it)
{
    struct line other;
    broker_lock *l;
    broker_condition *c;

    (void)kit_name("l");
    (void)kit_name("c");
    other = kit_fork(open_and_notify, NULL);
    l = kit_lock("l", NULL);
    c = on("c", "l");
    kit_tell(&other, 0);
    (void)kit_hear(&other);
    OK(broker_lock_acquire(l, 0, NULL));
    kit_tell(&other, 0);
    OK(broker_condition_wait(c, KIT_SOON));
    OK(broker_lock_release(l));
    kit_end(&other);
}

/* The last close of the condition closes the lock's handle, and gives it back. */
Test(condition_lock, closing_the_condition_gives_its_lock_back)
{
    broker_condition *c;

    broker_rlock_close(kit_rlock("l"));
    c = on("c", "l");
    OK(broker_condition_acquire(c, 0, NULL));
    broker_condition_close(c);
    GIVES(broker_rlock_acquire(kit_rlock("l"), 0, NULL), BROKER_OWNER_DIED);
    c = kit_condition("own", NULL);
    OK(broker_condition_acquire(c, 0, NULL));
    broker_condition_close(c);
    GIVES(broker_condition_acquire(kit_condition("own", NULL), 0, NULL), BROKER_OWNER_DIED);
}

/* ---- what was destroyed ---- */

Test(condition_lock, with_a_destroyed_condition_waiters_are_gone_and_keep_the_lock)
{
    broker_rlock *l = kit_rlock("l");
    broker_condition *c = on("c", "l");
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_destroy(kit_broker, kit_name("c")));
    GIVES(kit_return(&waiter), BROKER_GONE); /* and its release went well */
    GIVES(broker_condition_acquire(c, 0, NULL), BROKER_GONE);
    OK(broker_rlock_acquire(l, 0, NULL));
    GIVES(broker_condition_wait(c, 0), BROKER_GONE);
    GIVES(broker_condition_notify(c, 1), BROKER_GONE);
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 1);
    OK(broker_condition_release(c)); /* what one holds can be given back */
    cr_assert_eq(kit_stat(kit_name("l"), "count"), 0);
}

static int wait_and_lose(struct call *call)
{
    int r = broker_condition_acquire(call->object, KIT_SOON, NULL);

    return r < 0 ? r : broker_condition_wait(call->object, call->number);
}

Test(condition_lock, a_condition_with_a_lock_of_its_own_takes_it_along)
{
    broker_condition *c = kit_condition("c", NULL);
    struct call waiter;

    kit_call(&waiter, wait_and_lose, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_destroy(kit_broker, kit_name("c")));
    GIVES(kit_return(&waiter), BROKER_GONE);
    GIVES(broker_condition_acquire(c, 0, NULL), BROKER_GONE);
    GIVES(broker_condition_release(c), BROKER_GONE);
    GIVES(broker_condition_wait(c, 0), BROKER_GONE);
}

/* Nobody can notify without the lock. Another lock under its name is another lock. */
Test(condition_lock, with_a_destroyed_lock_waiters_are_gone)
{
    broker_condition *c;
    struct call waiter;

    (void)kit_rlock("l");
    c = on("c", "l");
    kit_call(&waiter, wait_and_lose, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_destroy(kit_broker, kit_name("l")));
    GIVES(kit_return(&waiter), BROKER_GONE);
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
    GIVES(broker_condition_acquire(c, 0, NULL), BROKER_GONE);
    GIVES(open_condition("c", &(broker_condition_options){.lock = kit_name("l")}), BROKER_NOTFOUND);
    (void)kit_rlock("l");
    GIVES(open_condition("c", &(broker_condition_options){.lock = kit_name("l")}), BROKER_MISMATCH);
    broker_condition_close(c);
    GIVES(open_condition("c", NULL), BROKER_GONE);
}

/* ---- two conditions at work ---- */

#define ROOM 3
#define N_SIDE 3
#define TIMES 300

/* A ring of Python's handbook: one lock, and a condition for each side. */
struct ring {
    broker_condition *not_empty, *not_full;
    struct {
        int n;
        uint64_t sum;
    } * shared; /* [the lock] */
};

static void put_into_ring(struct ring *ring, uint64_t number)
{
    REQUIRE(broker_condition_acquire(ring->not_full, KIT_SOON, NULL) == 0);
    while (ring->shared->n == ROOM)
        REQUIRE(broker_condition_wait(ring->not_full, KIT_SOON) == 0);
    ring->shared->n++;
    ring->shared->sum += number;
    REQUIRE(broker_condition_notify(ring->not_empty, 1) == 0);
    REQUIRE(broker_condition_release(ring->not_full) == 0);
}

static void get_from_ring(struct ring *ring)
{
    REQUIRE(broker_condition_acquire(ring->not_empty, KIT_SOON, NULL) == 0);
    while (ring->shared->n == 0)
        REQUIRE(broker_condition_wait(ring->not_empty, KIT_SOON) == 0);
    ring->shared->n--;
    REQUIRE(broker_condition_notify(ring->not_full, 1) == 0);
    REQUIRE(broker_condition_release(ring->not_empty) == 0);
}

static void produce(struct line *parent, void *arg)
{
    (void)parent;
    for (uint64_t i = 1; i <= TIMES; i++)
        put_into_ring(arg, i);
}

static void consume(struct line *parent, void *arg)
{
    (void)parent;
    for (int i = 0; i < TIMES; i++)
        get_from_ring(arg);
}

/* One notification each, and nobody is left waiting: none may be lost, none be had by two. */
Test(condition_lock, producers_and_consumers_never_miss_each_other)
{
    struct ring ring;
    struct line sides[2][N_SIDE];

    (void)kit_lock("l", NULL);
    ring.not_empty = on("not_empty", "l");
    ring.not_full = on("not_full", "l");
    ring.shared =
        mmap(NULL, sizeof(*ring.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(ring.shared, MAP_FAILED);
    for (int i = 0; i < N_SIDE; i++) {
        sides[0][i] = kit_fork(produce, &ring);
        sides[1][i] = kit_fork(consume, &ring);
    }
    for (int i = 0; i < N_SIDE; i++) {
        kit_end(&sides[0][i]);
        kit_end(&sides[1][i]);
    }
    cr_assert_eq(ring.shared->n, 0);
    cr_assert_eq(ring.shared->sum, N_SIDE * TIMES * (TIMES + 1) / 2);
    cr_assert_eq(kit_stat(kit_name("not_empty"), "waiting"), 0);
    cr_assert_eq(kit_stat(kit_name("not_full"), "waiting"), 0);
}
