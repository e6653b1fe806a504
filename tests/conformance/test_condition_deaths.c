/*
 * test_condition_deaths.c - what becomes of waiting and notifying when somebody is killed
 *
 * [killed waiter: a ghost on which the next notify is spent, and which takes the lock and never
 * gives it back] is what must not be.
 */
#include "conformance/calls.h"

#include <signal.h>
#include <sys/wait.h>

TestSuite(condition_deaths, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

/* ---- those who die ---- */

static void wait_to_be_killed(struct line *parent, void *arg)
{
    REQUIRE(broker_condition_acquire(arg, KIT_SOON, NULL) >= 0);
    kit_tell(parent, 0);
    (void)broker_condition_wait(arg, BROKER_FOREVER);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

static void hold(struct line *parent, void *arg)
{
    REQUIRE(broker_condition_acquire(arg, KIT_SOON, NULL) >= 0);
    REQUIRE(broker_condition_acquire(arg, KIT_SOON, NULL) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

static void notify_and_hold(struct line *parent, void *arg)
{
    REQUIRE(broker_condition_acquire(arg, KIT_SOON, NULL) >= 0);
    REQUIRE(broker_condition_notify(arg, 1) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

/* One that sleeps in the condition's line, as number @n of all. */
static struct line start_waiter(broker_condition *c, uint64_t n)
{
    struct line waiter = kit_fork(wait_to_be_killed, c);

    (void)kit_hear(&waiter);
    kit_await_waiters(kit_name("c"), n);
    return waiter;
}

/* Stopped, it is where it was asleep and cannot make use of a notification. */
static void stop(const struct line *who)
{
    int status;

    cr_assert_eq(kill(who->pid, SIGSTOP), 0);
    cr_assert_eq(waitpid(who->pid, &status, WUNTRACED), who->pid);
    cr_assert(WIFSTOPPED(status));
}

/* ---- those who live ---- */

static void notify(broker_condition *c, int64_t n)
{
    cr_assert_geq(broker_condition_acquire(c, KIT_SOON, NULL), 0);
    OK(broker_condition_notify(c, n));
    OK(broker_condition_release(c));
}

/* ---- killed waiters ---- */

/* Before it was notified: it leaves the line, and the notification is another's. */
Test(condition_deaths, a_killed_waiter_leaves_no_ghost)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying[3];
    struct call waiter;

    for (uint64_t i = 0; i < 3; i++)
        dying[i] = start_waiter(c, i + 1);
    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 4);
    kit_kill(&dying[1]);
    kit_await(kit_name("c"), "waiting", 3);
    kit_kill(&dying[0]);
    kit_kill(&dying[2]);
    kit_await(kit_name("c"), "waiting", 1);
    kit_await(kit_name("c"), "waiters", 1);
    notify(c, 1);
    OK(kit_return(&waiter));
    OK(broker_condition_acquire(c, 0, NULL));
    cr_assert_eq(kit_stat(kit_name("c"), "owner_deaths"), 0, "it died without the lock");
}

/* After it was notified, and before it could make use of that: the next one is notified instead. */
Test(condition_deaths, the_notification_of_a_killed_waiter_goes_to_the_next)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying = start_waiter(c, 1);
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 2);
    stop(&dying);
    notify(c, 1);
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 2);
    kit_kill(&dying);
    OK(kit_return(&waiter));
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
    cr_assert_eq(kit_stat(kit_name("c"), "notified"), 1);
}

/* Through several that are dead, and to several. */
Test(condition_deaths, all_notifications_of_the_killed_go_on)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying[3];
    struct call waiters[3];

    for (uint64_t i = 0; i < 3; i++) {
        dying[i] = start_waiter(c, 2 * i + 1);
        kit_call(&waiters[i], call_wait, c, BROKER_FOREVER);
        kit_await_waiters(kit_name("c"), 2 * i + 2);
    }
    for (int i = 0; i < 3; i++)
        stop(&dying[i]);
    notify(c, 3); /* a dead one, a living one, a dead one */
    OK(kit_return(&waiters[0]));
    for (int i = 2; i >= 0; i--)
        kit_kill(&dying[i]);
    OK(kit_return(&waiters[1]));
    OK(kit_return(&waiters[2]));
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
}

/* It was notified, and died while it waited for the lock: the lock goes on to others. */
Test(condition_deaths, one_killed_on_its_way_back_to_the_lock_is_no_obstacle)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying = start_waiter(c, 1);
    struct call waiter;

    OK(broker_condition_acquire(c, 0, NULL));
    OK(broker_condition_notify(c, 1));
    kit_await(kit_name("c"), "waiting", 0);
    kit_await_waiters(kit_name("c"), 1); /* for the lock */
    kit_kill(&dying);
    kit_await(kit_name("c"), "waiters", 0);
    OK(broker_condition_release(c));
    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    notify(c, 1);
    OK(kit_return(&waiter));
}

/* ---- killed owners ---- */

/* The notification has happened, and the lock comes back to the one who was notified. */
Test(condition_deaths, the_notified_waiter_of_a_killed_notifier_is_told)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying;
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    dying = kit_fork(notify_and_hold, c);
    (void)kit_hear(&dying);
    kit_await(kit_name("c"), "waiting", 0);
    kit_kill(&dying);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
    OK(broker_condition_acquire(c, 0, NULL)); /* told once */
}

/* Who was not notified goes on waiting when an owner dies; whoever acquires next is told. */
Test(condition_deaths, a_killed_owner_notifies_nobody)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying;
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    dying = kit_fork(hold, c);
    (void)kit_hear(&dying);
    kit_kill(&dying);
    GIVES(broker_condition_acquire(c, KIT_SOON, NULL), BROKER_OWNER_DIED);
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 1);
    OK(broker_condition_notify(c, 1));
    OK(broker_condition_release(c));
    OK(kit_return(&waiter));
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static int wait_for_ever(struct call *call)
{
    int r = broker_condition_acquire(call->object, KIT_SOON, NULL);

    if (r < 0)
        return r;
    call->result = broker_condition_wait_for(call->object, never, NULL, BROKER_FOREVER);
    r = broker_condition_release(call->object);
    return r < 0 ? r : call->result;
}

Test(condition_deaths, wait_for_ends_when_an_owner_died_meanwhile)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying;
    struct call waiter;

    kit_call(&waiter, wait_for_ever, c, 0);
    kit_await_waiters(kit_name("c"), 1);
    dying = kit_fork(notify_and_hold, c);
    (void)kit_hear(&dying);
    kit_await(kit_name("c"), "waiting", 0);
    kit_kill(&dying);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
}

/* A time that ends while a dying owner has the lock: that it died is what matters. */
Test(condition_deaths, a_timeout_does_not_hide_that_an_owner_died)
{
    broker_condition *c = kit_condition("c", NULL);
    struct line dying;
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_SECOND / 2);
    kit_await_waiters(kit_name("c"), 1);
    dying = kit_fork(hold, c);
    (void)kit_hear(&dying);
    kit_await(kit_name("c"), "waiting", 0); /* its time is over */
    kit_kill(&dying);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
}

/* ---- without a death ---- */

static void wait_and_exit(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    REQUIRE(broker_condition_acquire(arg, KIT_SOON, NULL) >= 0);
    REQUIRE(broker_condition_wait(arg, KIT_SOON) == 0);
    REQUIRE(broker_condition_release(arg) == 0);
}

/* A child uses what its parent opened, as a session of its own. */
Test(condition_deaths, children_wait_for_their_parent)
{
    broker_condition *c;
    struct line children[3];

    (void)kit_lock("l", NULL);
    c = kit_condition("c", &(broker_condition_options){.lock = kit_name("l")});
    for (int i = 0; i < 3; i++) {
        children[i] = kit_fork(wait_and_exit, c);
        (void)kit_hear(&children[i]);
    }
    kit_await(kit_name("c"), "waiting", 3);
    notify(c, 2);
    kit_await(kit_name("c"), "waiting", 1);
    notify(c, 1);
    for (int i = 0; i < 3; i++)
        kit_end(&children[i]);
}
