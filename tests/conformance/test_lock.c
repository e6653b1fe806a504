/*
 * test_lock.c - the lock, and what becomes of it when its owner dies
 *
 * The names in brackets are the rows of CPython's Lock proxy whose rule a case shows.
 */
#include "conformance/calls.h"
#include "conformance/roads.h"

#include <unistd.h>

TestSuite(lock, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)

static bool is_locked(broker_lock *l)
{
    bool locked;

    OK(broker_lock_locked(l, &locked));
    return locked;
}

static int release_in_thread(struct call *c)
{
    return broker_lock_release(c->object);
}

/* [acquire, release, locked] */
Test(lock, a_lock_is_held_from_acquire_to_release)
{
    broker_lock *l = kit_lock("l", NULL);

    cr_assert_not(is_locked(l));
    OK(broker_lock_acquire(l, BROKER_FOREVER, NULL));
    cr_assert(is_locked(l));
    GIVES(call_elsewhere(call_acquire, l, 0), BROKER_TIMEDOUT);
    OK(broker_lock_release(l));
    cr_assert_not(is_locked(l));
    OK(call_elsewhere(call_acquire, l, 0));
    cr_assert(is_locked(l), "a thread that ends keeps what it holds");
}

/* [acquire(timeout)] not before its time; 0 is a try; negative is refused. */
Test(lock, a_timeout_is_kept)
{
    broker_lock *l = kit_lock("l", NULL);
    uint64_t token = 77;
    int64_t start;

    GIVES(broker_lock_acquire(l, -1, &token), BROKER_INVALID);
    GIVES(broker_lock_acquire(l, INT64_MIN, &token), BROKER_INVALID);
    cr_assert_not(is_locked(l));
    OK(call_elsewhere(call_acquire, l, 0));
    GIVES(broker_lock_acquire(l, 0, &token), BROKER_TIMEDOUT);
    GIVES(broker_lock_acquire(l, 1, &token), BROKER_TIMEDOUT);
    start = kit_now();
    GIVES(broker_lock_acquire(l, SHORT, &token), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(token, 77);
    cr_assert_eq(kit_stat(kit_name("l"), "waiters"), 0, "who gave up is still counted");
}

/* [acquire] waits for ever, which ends with the release. */
Test(lock, acquire_waits_for_the_release)
{
    broker_lock *l = kit_lock("l", NULL);
    struct call waiters[3];

    OK(broker_lock_acquire(l, 0, NULL));
    kit_call(&waiters[0], call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    cr_assert(is_locked(l));
    OK(broker_lock_release(l));
    OK(kit_return(&waiters[0]));
    cr_assert(is_locked(l));
    cr_assert_eq(kit_stat(kit_name("l"), "contended"), 1);
    cr_assert_eq(kit_stat(kit_name("l"), "acquired"), 2);
}

static int acquire_and_release(struct call *c)
{
    int r = broker_lock_acquire(c->object, KIT_SOON, NULL);

    return r < 0 ? r : broker_lock_release(c->object);
}

/* [fairness: none promised] but nobody is left out. */
Test(lock, every_waiter_gets_its_turn)
{
    broker_lock *l = kit_lock("l", NULL);
    struct call waiters[4];

    OK(broker_lock_acquire(l, 0, NULL));
    for (int i = 0; i < 4; i++)
        kit_call(&waiters[i], acquire_and_release, l, 0);
    kit_await_waiters(kit_name("l"), 4);
    OK(broker_lock_release(l));
    for (int i = 0; i < 4; i++)
        OK(kit_return(&waiters[i]));
    cr_assert_not(is_locked(l));
    cr_assert_eq(kit_stat(kit_name("l"), "waiters"), 0);
}

/* The fencing token grows with each acquisition, by whomever. */
Test(lock, the_token_grows_with_each_acquisition)
{
    broker_lock *l = kit_lock("l", NULL);
    uint64_t last = 0, token;

    for (int i = 0; i < 10; i++) {
        OK(broker_lock_acquire(l, 0, &token));
        cr_assert_gt(token, last);
        last = token;
        OK(broker_lock_release(l));
    }
    OK(call_elsewhere(acquire_and_release, l, 0));
    OK(broker_lock_acquire(l, 0, &token));
    cr_assert_gt(token, last + 1);
}

/* [release()] of an unlocked lock. */
Test(lock, release_of_a_free_lock_is_notlocked)
{
    broker_lock *l = kit_lock("l", NULL);

    GIVES(broker_lock_release(l), BROKER_NOTLOCKED);
    OK(broker_lock_acquire(l, 0, NULL));
    OK(broker_lock_release(l));
    GIVES(broker_lock_release(l), BROKER_NOTLOCKED);
    OK(broker_lock_acquire(l, 0, NULL));
}

Test(lock, release_of_anothers_lock_is_notowner_and_changes_nothing)
{
    broker_lock *l = kit_lock("l", NULL);

    OK(broker_lock_acquire(l, 0, NULL));
    GIVES(call_elsewhere(release_in_thread, l, 0), BROKER_NOTOWNER);
    cr_assert(is_locked(l));
    OK(broker_lock_release(l));
    OK(call_elsewhere(call_acquire, l, 0));
    GIVES(broker_lock_release(l), BROKER_NOTOWNER);
    cr_assert(is_locked(l));
}

/* [owner: none, any client may release] is an option here. */
Test(lock, with_handover_anybody_may_release)
{
    broker_lock *l = kit_lock("l", &(broker_lock_options){.handover = true});
    struct call waiter;

    GIVES(broker_lock_release(l), BROKER_NOTLOCKED);
    OK(broker_lock_acquire(l, 0, NULL));
    OK(call_elsewhere(release_in_thread, l, 0));
    cr_assert_not(is_locked(l));
    OK(call_elsewhere(call_acquire, l, 0));
    kit_call(&waiter, call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    OK(broker_lock_release(l));
    OK(kit_return(&waiter));
}

/* [acquire] A lock is not recursive: waiting for oneself for ever is said at once, with a timeout
 * it is a timeout. */
Test(lock, waiting_for_oneself_for_ever_is_a_deadlock)
{
    broker_lock *l = kit_lock("l", NULL), *other = kit_lock("other", NULL);
    broker_lock *handed = kit_lock("handed", &(broker_lock_options){.handover = true});
    struct call waiter;

    OK(broker_lock_acquire(l, 0, NULL));
    GIVES(broker_lock_acquire(l, BROKER_FOREVER, NULL), BROKER_DEADLOCK);
    GIVES(broker_lock_acquire(l, 0, NULL), BROKER_TIMEDOUT);
    GIVES(broker_lock_acquire(l, SHORT, NULL), BROKER_TIMEDOUT);
    OK(broker_lock_acquire(other, BROKER_FOREVER, NULL));
    OK(broker_lock_release(l));
    OK(broker_lock_acquire(l, BROKER_FOREVER, NULL));
    /* With handover somebody else may end the wait. */
    OK(broker_lock_acquire(handed, 0, NULL));
    kit_call(&waiter, call_acquire, handed, BROKER_FOREVER);
    kit_await_waiters(kit_name("handed"), 1);
    OK(call_elsewhere(release_in_thread, handed, 0));
    OK(kit_return(&waiter));
}

/* ---- owners that end ---- */

static void hold(struct line *parent, void *arg)
{
    uint64_t token;

    REQUIRE(broker_lock_acquire(arg, KIT_SOON, &token) >= 0);
    kit_tell(parent, token);
    (void)kit_hear(parent);
}

/* [owner killed: stays locked for ever] The next one gets it, and is told. */
Test(lock, the_lock_of_a_killed_owner_goes_to_the_next_with_notice)
{
    broker_lock *l = kit_lock("l", NULL);
    struct line owner = kit_fork(hold, l);
    uint64_t before = kit_hear(&owner), token = 0;

    GIVES(broker_lock_acquire(l, 0, NULL), BROKER_TIMEDOUT);
    kit_kill(&owner);
    GIVES(broker_lock_acquire(l, KIT_SOON, &token), BROKER_OWNER_DIED);
    cr_assert_gt(token, before);
    cr_assert_eq(kit_stat(kit_name("l"), "owner_deaths"), 1);
    OK(broker_lock_release(l));
    OK(broker_lock_acquire(l, 0, NULL)); /* told once */
    OK(broker_lock_release(l));
    cr_assert_not(is_locked(l));
}

/* P2: who waits is woken by the death. */
Test(lock, the_death_of_an_owner_wakes_one_who_waits)
{
    broker_lock *l = kit_lock("l", NULL);
    struct line owner = kit_fork(hold, l);
    struct call waiter;

    (void)kit_hear(&owner);
    kit_call(&waiter, call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    kit_kill(&owner);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
}

/* Killed again and again: each next owner is told. */
Test(lock, each_death_is_told)
{
    broker_lock *l = kit_lock("l", NULL);

    for (int i = 0; i < 5; i++) {
        struct line owner = kit_fork(hold, l);

        (void)kit_hear(&owner);
        kit_kill(&owner);
    }
    GIVES(broker_lock_acquire(l, KIT_SOON, NULL), BROKER_OWNER_DIED);
    cr_assert_eq(kit_stat(kit_name("l"), "owner_deaths"), 5);
}

/* Who leaves without releasing has left the same disorder. */
Test(lock, an_owner_that_exits_or_closes_gives_notice_too)
{
    broker_lock *l = kit_lock("l", NULL), *mine;
    struct line owner = kit_fork(hold, l);

    (void)kit_hear(&owner);
    kit_tell(&owner, 0);
    kit_end(&owner);
    GIVES(broker_lock_acquire(l, KIT_SOON, NULL), BROKER_OWNER_DIED);
    broker_lock_close(l);
    mine = kit_lock("l", NULL);
    GIVES(broker_lock_acquire(mine, 0, NULL), BROKER_OWNER_DIED);
}

/* [acquire in a child that exits, release in the parent] needs keep_on_death. */
Test(lock, with_keep_on_death_the_lock_stays_until_somebody_releases_it)
{
    broker_lock *l = kit_lock("l", &(broker_lock_options){.keep_on_death = true});
    struct line owner = kit_fork(hold, l);
    broker_value v;

    (void)kit_hear(&owner);
    kit_kill(&owner);
    kit_await(kit_name("l"), "owner_deaths", 1);
    cr_assert(is_locked(l));
    GIVES(broker_lock_acquire(l, 0, NULL), BROKER_TIMEDOUT);
    GIVES(broker_lock_acquire(l, SHORT, NULL), BROKER_TIMEDOUT);
    OK(broker_lock_owner(l, &kit_buffer, &v));
    SAYS(kit_field(v, "alive"), "false");
    OK(broker_lock_release(l));
    cr_assert_not(is_locked(l));
    OK(broker_lock_acquire(l, 0, NULL));
}

Test(lock, with_keep_on_death_a_release_wakes_who_waits)
{
    broker_lock *l = kit_lock("l", &(broker_lock_options){.keep_on_death = true});
    struct line owner = kit_fork(hold, l);
    struct call waiter;

    (void)kit_hear(&owner);
    kit_call(&waiter, call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 1);
    kit_kill(&owner);
    kit_await(kit_name("l"), "owner_deaths", 1);
    cr_assert(is_locked(l));
    OK(broker_lock_release(l));
    OK(kit_return(&waiter));
}

static void wait_for_lock(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    (void)broker_lock_acquire(arg, BROKER_FOREVER, NULL);
    (void)kit_hear(parent);
}

/* A killed waiter gets nothing and is counted off; the lock goes on to those who live. */
Test(lock, a_killed_waiter_leaves_no_ghost)
{
    broker_lock *l = kit_lock("l", NULL);
    struct line dying;
    struct call waiter;

    OK(broker_lock_acquire(l, 0, NULL));
    dying = kit_fork(wait_for_lock, l);
    (void)kit_hear(&dying);
    kit_await_waiters(kit_name("l"), 1);
    kit_call(&waiter, call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("l"), 2);
    kit_kill(&dying);
    kit_await(kit_name("l"), "waiters", 1);
    OK(broker_lock_release(l));
    OK(kit_return(&waiter));
    cr_assert_eq(kit_stat(kit_name("l"), "owner_deaths"), 0);
}

/* ---- who ---- */

Test(lock, owner_tells_who_holds_it)
{
    broker_lock *l = kit_lock("l", NULL);
    struct line owner;
    broker_value v;

    OK(broker_lock_owner(l, &kit_buffer, &v));
    SAYS(v, "nil");
    OK(broker_lock_acquire(l, 0, NULL));
    OK(broker_lock_owner(l, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "pid").u, (uint64_t)road_pid(getpid()));
    cr_assert(!road_is_local() || kit_field(v, "thread").u == (uint64_t)gettid());
    SAYS(kit_field(v, "alive"), "true");
    OK(broker_lock_release(l));
    owner = kit_fork(hold, l);
    (void)kit_hear(&owner);
    OK(broker_lock_owner(l, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "pid").u, (uint64_t)road_pid(owner.pid));
    kit_tell(&owner, 0);
    kit_end(&owner);
}
