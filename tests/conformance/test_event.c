/*
 * test_event.c - the event
 *
 * The names in brackets are the rows of CPython's Event proxy whose rule a case shows.
 */
#include "conformance/kit.h"

#include <signal.h>
#include <unistd.h>

TestSuite(event, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)

static bool is_set(broker_event *e)
{
    bool set;

    OK(broker_event_is_set(e, &set));
    return set;
}

static uint64_t stat_of(const char *field)
{
    return kit_stat(kit_name("e"), field);
}

static int wait_in_thread(struct call *c)
{
    return broker_event_wait(c->object, c->number);
}

/* [is_set, set, clear] */
Test(event, it_is_set_from_set_to_clear)
{
    broker_event *e = kit_event("e");

    cr_assert_not(is_set(e));
    OK(broker_event_set(e));
    cr_assert(is_set(e));
    OK(broker_event_clear(e));
    cr_assert_not(is_set(e));
}

/* [set is idempotent] and so is clear. */
Test(event, a_second_set_or_clear_changes_nothing)
{
    broker_event *e = kit_event("e");

    OK(broker_event_clear(e));
    cr_assert_not(is_set(e));
    OK(broker_event_set(e));
    OK(broker_event_set(e));
    cr_assert(is_set(e));
    cr_assert_eq(stat_of("sets"), 1);
    cr_assert_eq(stat_of("set"), 1);
    OK(broker_event_clear(e));
    OK(broker_event_clear(e));
    cr_assert_not(is_set(e));
    GIVES(broker_event_wait(e, 0), BROKER_TIMEDOUT);
    cr_assert_eq(stat_of("sets"), 1);
    cr_assert_eq(stat_of("set"), 0);
}

/* [wait returns the flag] Set already, it is not waited for. */
Test(event, waiting_for_what_is_set_returns_at_once)
{
    broker_event *e = kit_event("e");

    OK(broker_event_set(e));
    OK(broker_event_wait(e, 0));
    OK(broker_event_wait(e, 1));
    OK(broker_event_wait(e, BROKER_FOREVER));
    cr_assert(is_set(e), "waiting does not clear");
}

/* [wait(0) polls] negative is refused; a timeout is not before its time. */
Test(event, a_timeout_is_kept)
{
    broker_event *e = kit_event("e");
    int64_t start;

    GIVES(broker_event_wait(e, -1), BROKER_INVALID);
    GIVES(broker_event_wait(e, INT64_MIN), BROKER_INVALID);
    GIVES(broker_event_wait(e, 0), BROKER_TIMEDOUT);
    GIVES(broker_event_wait(e, 1), BROKER_TIMEDOUT);
    start = kit_now();
    GIVES(broker_event_wait(e, SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(stat_of("waiters"), 0, "who gave up is still counted");
    OK(broker_event_set(e));
    GIVES(broker_event_wait(e, -1), BROKER_INVALID);
}

/* [set] wakes all. */
Test(event, a_set_frees_all_who_wait)
{
    broker_event *e = kit_event("e");
    struct call waiters[5];

    for (int i = 0; i < 5; i++)
        kit_call(&waiters[i], wait_in_thread, e, BROKER_FOREVER);
    kit_await_waiters(kit_name("e"), 5);
    OK(broker_event_set(e));
    for (int i = 0; i < 5; i++)
        OK(kit_return(&waiters[i]));
    cr_assert_eq(stat_of("waiters"), 0);
}

/* [a waiter released by set() returns True even if clear() follows at once] */
Test(event, a_set_that_is_cleared_at_once_frees_all_who_waited)
{
    broker_event *e = kit_event("e");
    struct call waiters[4];

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4; i++)
            kit_call(&waiters[i], wait_in_thread, e, BROKER_FOREVER);
        kit_await_waiters(kit_name("e"), 4);
        OK(broker_event_set(e));
        OK(broker_event_clear(e));
        for (int i = 0; i < 4; i++)
            OK(kit_return(&waiters[i]));
        cr_assert_not(is_set(e));
    }
    GIVES(broker_event_wait(e, 0), BROKER_TIMEDOUT);
    cr_assert_eq(stat_of("sets"), 50);
}

/* Who comes after the clear waits for the next set. */
Test(event, a_set_that_was_cleared_is_nothing_to_who_comes_later)
{
    broker_event *e = kit_event("e");
    struct call waiter;

    OK(broker_event_set(e));
    OK(broker_event_clear(e));
    GIVES(broker_event_wait(e, SHORT), BROKER_TIMEDOUT);
    kit_call(&waiter, wait_in_thread, e, BROKER_FOREVER);
    kit_await_waiters(kit_name("e"), 1);
    OK(broker_event_clear(e));
    cr_assert_eq(stat_of("waiters"), 1);
    OK(broker_event_set(e));
    OK(kit_return(&waiter));
}

Test(event, a_destroyed_event_is_gone_also_for_who_waits)
{
    broker_event *e = kit_event("e");
    struct call waiter;
    bool set;

    kit_call(&waiter, wait_in_thread, e, BROKER_FOREVER);
    kit_await_waiters(kit_name("e"), 1);
    OK(broker_destroy(kit_broker, kit_name("e")));
    GIVES(kit_return(&waiter), BROKER_GONE);
    OK(broker_event_set(kit_event("e")));
    GIVES(broker_event_set(e), BROKER_GONE);
    GIVES(broker_event_clear(e), BROKER_GONE);
    GIVES(broker_event_is_set(e, &set), BROKER_GONE);
    GIVES(broker_event_wait(e, 0), BROKER_GONE);
    GIVES(broker_event_wait(e, BROKER_FOREVER), BROKER_GONE);
}

/* ---- several processes, and those that die ---- */

static void wait_for_event(struct line *parent, void *arg)
{
    REQUIRE(broker_event_wait(arg, BROKER_FOREVER) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

Test(event, a_killed_waiter_is_counted_off)
{
    broker_event *e = kit_event("e");
    struct line dying = kit_fork(wait_for_event, e), other = kit_fork(wait_for_event, e);

    kit_await_waiters(kit_name("e"), 2);
    kit_kill(&dying);
    kit_await(kit_name("e"), "waiters", 1);
    OK(broker_event_set(e));
    (void)kit_hear(&other);
    kit_tell(&other, 0);
    kit_end(&other);
    kit_await(kit_name("e"), "waiters", 0);
}

static void set_and_die(struct line *parent, void *arg)
{
    (void)parent;
    (void)broker_event_set(arg);
    (void)kill(getpid(), SIGKILL);
}

/* What it set before it died is set, and who waited goes on. */
Test(event, a_killed_setter_has_set_it)
{
    broker_event *e = kit_event("e");

    for (int i = 0; i < 10; i++) {
        struct line setter;
        struct call waiter;

        kit_call(&waiter, wait_in_thread, e, BROKER_FOREVER);
        kit_await_waiters(kit_name("e"), 1);
        setter = kit_fork(set_and_die, e);
        OK(kit_return(&waiter));
        kit_kill(&setter);
        cr_assert(is_set(e));
        OK(broker_event_clear(e));
    }
}

#define N_OTHERS 4
#define ROUNDS 200

struct turns {
    broker_event *go, *went; /* one after the other */
};

static void take_turns(struct line *parent, void *arg)
{
    const struct turns *t = arg;

    for (int i = 0; i < ROUNDS; i++) {
        REQUIRE(broker_event_wait(t->go, KIT_SOON) == 0);
        kit_tell(parent, (uint64_t)i);
        REQUIRE(broker_event_wait(t->went, KIT_SOON) == 0);
        kit_tell(parent, (uint64_t)i);
    }
}

/* Rounds of set and clear: nobody misses one. */
Test(event, nobody_misses_a_set)
{
    struct turns t = {kit_event("e"), kit_event("other")};
    struct line others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(take_turns, &t);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        OK(broker_event_set(i % 2 == 0 ? t.go : t.went));
        for (int k = 0; k < N_OTHERS; k++)
            cr_assert_eq(kit_hear(&others[k]), (uint64_t)i / 2);
        OK(broker_event_clear(i % 2 == 0 ? t.go : t.went));
    }
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
}
