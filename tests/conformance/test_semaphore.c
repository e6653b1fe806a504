/*
 * test_semaphore.c - the semaphore, and what becomes of its permits when their holders die
 *
 * The names in brackets are the rows of CPython's Semaphore and BoundedSemaphore whose rule a case
 * shows.
 */
#include "conformance/kit.h"

#include <signal.h>
#include <unistd.h>

TestSuite(semaphore, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)

static broker_semaphore *bounded(uint64_t value)
{
    return kit_semaphore("s", &(broker_semaphore_options){.value = value, .bounded = true});
}

static uint64_t value_of_it(broker_semaphore *s)
{
    uint64_t value;

    OK(broker_semaphore_value(s, &value));
    return value;
}

static uint64_t stat_of(const char *field)
{
    return kit_stat(kit_name("s"), field);
}

static int acquire_in_thread(struct call *c)
{
    return broker_semaphore_acquire(c->object, c->number);
}

/* [create value=1] */
Test(semaphore, one_permit_is_there_unless_said_otherwise)
{
    broker_semaphore *s = kit_semaphore("s", NULL);

    cr_assert_eq(value_of_it(s), 1);
    OK(broker_semaphore_acquire(s, BROKER_FOREVER));
    cr_assert_eq(value_of_it(s), 0);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    OK(broker_semaphore_release(s, 1));
    cr_assert_eq(value_of_it(s), 1);
}

Test(semaphore, as_many_permits_as_asked_for)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.value = 3});

    for (uint64_t left = 3; left > 0; left--) {
        cr_assert_eq(value_of_it(s), left);
        OK(broker_semaphore_acquire(s, 0));
    }
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    cr_assert_eq(value_of_it(s), 0);
    cr_assert_eq(stat_of("acquired"), 3);
    cr_assert_eq(stat_of("initial"), 3);
}

/* [Semaphore(0)] */
Test(semaphore, it_may_start_without_permits)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    broker_semaphore *none = NULL;

    cr_assert_eq(value_of_it(s), 0);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    OK(broker_semaphore_release(s, 1));
    OK(broker_semaphore_acquire(s, 0));
    GIVES(broker_semaphore_open(kit_broker, kit_name("other"),
              &(broker_semaphore_options){.empty = true, .value = 2}, &none),
        BROKER_INVALID);
    cr_assert_null(none);
}

/* Bounded and empty: all that there can be are out, and may be released by anybody. */
Test(semaphore, a_bounded_one_that_starts_empty_can_be_filled_to_its_bound)
{
    broker_semaphore *s =
        kit_semaphore("s", &(broker_semaphore_options){.value = 2, .bounded = true, .empty = true});

    cr_assert_eq(value_of_it(s), 0);
    GIVES(broker_semaphore_release(s, 3), BROKER_OVERDONE);
    OK(broker_semaphore_release(s, 2));
    GIVES(broker_semaphore_release(s, 1), BROKER_OVERDONE);
    OK(broker_semaphore_acquire(s, 0));
    cr_assert_eq(value_of_it(s), 1);
}

/* [acquire(timeout)] not before its time; 0 is a try; negative is refused. */
Test(semaphore, a_timeout_is_kept)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    int64_t start;

    GIVES(broker_semaphore_acquire(s, -1), BROKER_INVALID);
    GIVES(broker_semaphore_acquire(s, INT64_MIN), BROKER_INVALID);
    GIVES(broker_semaphore_acquire(s, 1), BROKER_TIMEDOUT);
    start = kit_now();
    GIVES(broker_semaphore_acquire(s, SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(stat_of("waiters"), 0, "who gave up is still counted");
    OK(broker_semaphore_release(s, 1));
    GIVES(broker_semaphore_acquire(s, -1), BROKER_INVALID);
    cr_assert_eq(value_of_it(s), 1);
}

/* [release(n)] n < 1 is refused; n permits let n waiters go on. */
Test(semaphore, a_release_of_several_wakes_as_many)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    struct call waiters[5];
    int n_done = 0;

    GIVES(broker_semaphore_release(s, 0), BROKER_INVALID);
    for (int i = 0; i < 5; i++)
        kit_call(&waiters[i], acquire_in_thread, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 5);
    OK(broker_semaphore_release(s, 3));
    kit_await(kit_name("s"), "acquired", 3);
    kit_await(kit_name("s"), "waiters", 2);
    cr_assert_eq(value_of_it(s), 0);
    OK(broker_semaphore_release(s, 2));
    for (int i = 0; i < 5; i++)
        n_done += kit_return(&waiters[i]) == 0;
    cr_assert_eq(n_done, 5);
    cr_assert_eq(value_of_it(s), 0);
    cr_assert_eq(stat_of("waiters"), 0);
}

/* [Semaphore has no ceiling] but the one of a 64-bit count. */
Test(semaphore, an_unbounded_one_has_no_ceiling)
{
    broker_semaphore *s = kit_semaphore("s", NULL);

    OK(broker_semaphore_release(s, 1));
    OK(broker_semaphore_release(s, 1000000));
    cr_assert_eq(value_of_it(s), 1000002);
    GIVES(broker_semaphore_release(s, UINT64_MAX - 1000001), BROKER_OVERFLOW);
    cr_assert_eq(value_of_it(s), 1000002);
    OK(broker_semaphore_release(s, UINT64_MAX - 1000002));
    cr_assert_eq(value_of_it(s), UINT64_MAX);
    GIVES(broker_semaphore_release(s, 1), BROKER_OVERFLOW);
    OK(broker_semaphore_acquire(s, 0));
    cr_assert_eq(value_of_it(s), UINT64_MAX - 1);
}

/* [BoundedSemaphore beyond the initial value: ValueError, count unchanged] */
Test(semaphore, a_bounded_one_refuses_what_is_too_much)
{
    broker_semaphore *s = bounded(2);

    GIVES(broker_semaphore_release(s, 1), BROKER_OVERDONE);
    OK(broker_semaphore_acquire(s, 0));
    GIVES(broker_semaphore_release(s, 2), BROKER_OVERDONE);
    GIVES(broker_semaphore_release(s, UINT64_MAX), BROKER_OVERDONE);
    cr_assert_eq(value_of_it(s), 1);
    OK(broker_semaphore_acquire(s, 0));
    OK(broker_semaphore_release(s, 2));
    GIVES(broker_semaphore_release(s, 1), BROKER_OVERDONE);
    cr_assert_eq(value_of_it(s), 2);
}

Test(semaphore, an_option_that_differs_is_a_mismatch)
{
    broker_semaphore *s, *plain = kit_semaphore("plain", NULL);

    (void)plain;
    (void)bounded(4);
    OK(broker_semaphore_open(kit_broker, kit_name("s"), NULL, &s));
    OK(broker_semaphore_open(
        kit_broker, kit_name("s"), &(broker_semaphore_options){.value = 4, .bounded = true}, &s));
    GIVES(broker_semaphore_open(
              kit_broker, kit_name("s"), &(broker_semaphore_options){.value = 3}, &s),
        BROKER_MISMATCH);
    GIVES(broker_semaphore_open(
              kit_broker, kit_name("s"), &(broker_semaphore_options){.empty = true}, &s),
        BROKER_MISMATCH);
    GIVES(broker_semaphore_open(
              kit_broker, kit_name("s"), &(broker_semaphore_options){.keep_on_death = true}, &s),
        BROKER_MISMATCH);
    GIVES(broker_semaphore_open(
              kit_broker, kit_name("plain"), &(broker_semaphore_options){.bounded = true}, &s),
        BROKER_MISMATCH);
    OK(broker_semaphore_open(
        kit_broker, kit_name("plain"), &(broker_semaphore_options){.value = 1}, &s));
}

static int acquire_and_release(struct call *c)
{
    int r = 0;

    for (int i = 0; i < 200 && r == 0; i++) {
        r = broker_semaphore_acquire(c->object, KIT_SOON);
        if (r == 0)
            r = broker_semaphore_release(c->object, 1);
    }
    return r;
}

Test(semaphore, every_waiter_gets_its_turn)
{
    broker_semaphore *s = bounded(2);
    struct call users[6];

    for (int i = 0; i < 6; i++)
        kit_call(&users[i], acquire_and_release, s, 0);
    for (int i = 0; i < 6; i++)
        OK(kit_return(&users[i]));
    cr_assert_eq(value_of_it(s), 2);
    cr_assert_eq(stat_of("acquired"), 1200);
    cr_assert_eq(stat_of("waiters"), 0);
}

Test(semaphore, a_destroyed_semaphore_is_gone_also_for_who_waits)
{
    broker_semaphore *s = bounded(1);
    struct call waiter;
    uint64_t value;

    OK(broker_semaphore_acquire(s, 0));
    kit_call(&waiter, acquire_in_thread, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 1);
    OK(broker_destroy(kit_broker, kit_name("s")));
    GIVES(kit_return(&waiter), BROKER_GONE);
    (void)bounded(1);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_GONE);
    GIVES(broker_semaphore_acquire(s, BROKER_FOREVER), BROKER_GONE);
    GIVES(broker_semaphore_release(s, 1), BROKER_GONE);
    GIVES(broker_semaphore_value(s, &value), BROKER_GONE);
}

/* ---- holders that end ---- */

static void hold(struct line *parent, void *arg)
{
    REQUIRE(broker_semaphore_acquire(arg, KIT_SOON) >= 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

static struct line holder(broker_semaphore *s)
{
    struct line line = kit_fork(hold, s);

    (void)kit_hear(&line);
    return line;
}

/* [permit of a killed holder is lost] It comes back, and the next one is told. */
Test(semaphore, the_permit_of_a_killed_holder_comes_back_with_notice)
{
    broker_semaphore *s = bounded(2);
    struct line one = holder(s), other = holder(s);

    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    kit_kill(&one);
    GIVES(broker_semaphore_acquire(s, KIT_SOON), BROKER_OWNER_DIED);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    OK(broker_semaphore_release(s, 1));
    OK(broker_semaphore_acquire(s, 0)); /* told once */
    cr_assert_eq(stat_of("owner_deaths"), 1);
    kit_tell(&other, 0);
    kit_end(&other); /* who leaves without giving it back has left the same disorder */
    GIVES(broker_semaphore_acquire(s, KIT_SOON), BROKER_OWNER_DIED);
    cr_assert_eq(stat_of("owner_deaths"), 2);
}

/* P2: who waits is woken by the death. */
Test(semaphore, the_death_of_a_holder_wakes_who_waits)
{
    broker_semaphore *s = bounded(1);
    struct line dying = holder(s);
    struct call waiter;

    kit_call(&waiter, acquire_in_thread, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 1);
    kit_kill(&dying);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
}

static void hold_three(struct line *parent, void *arg)
{
    for (int i = 0; i < 3; i++)
        REQUIRE(broker_semaphore_acquire(arg, 0) == 0);
    REQUIRE(broker_semaphore_release(arg, 1) == 0);
    REQUIRE(broker_semaphore_acquire(arg, 0) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

Test(semaphore, all_permits_of_a_killed_holder_come_back)
{
    broker_semaphore *s = bounded(4);
    struct line dying;

    OK(broker_semaphore_acquire(s, 0));
    dying = kit_fork(hold_three, s);
    (void)kit_hear(&dying);
    cr_assert_eq(value_of_it(s), 0);
    kit_kill(&dying);
    kit_await(kit_name("s"), "value", 3);
    for (int i = 0; i < 3; i++)
        GIVES(broker_semaphore_acquire(s, 0), BROKER_OWNER_DIED);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
}

Test(semaphore, closing_the_last_handle_gives_the_permits_back)
{
    broker_semaphore *s = bounded(2);

    OK(broker_semaphore_acquire(s, 0));
    broker_semaphore_close(s);
    s = bounded(2);
    cr_assert_eq(value_of_it(s), 2);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_OWNER_DIED);
    OK(broker_semaphore_acquire(s, 0));
}

/* An unbounded one passes signals: what was taken is taken. */
Test(semaphore, an_unbounded_one_does_not_give_back_what_the_dead_took)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.value = 2});
    struct line dying = holder(s);

    kit_kill(&dying);
    /* Its session is over when its sleepers are counted off: none here, so look at the clients. */
    while (1) {
        broker_value clients;

        OK(broker_clients(kit_broker, &kit_buffer, &clients));
        if (kit_count(clients) == 1)
            break;
    }
    cr_assert_eq(value_of_it(s), 1);
    OK(broker_semaphore_acquire(s, 0));
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
}

/* [test_bounded_semaphore] A child takes it and exits, the parent gives it back: with
 * keep_on_death. */
Test(semaphore, with_keep_on_death_a_permit_stays_out_until_somebody_releases_it)
{
    broker_semaphore *s = kit_semaphore(
        "s", &(broker_semaphore_options){.value = 2, .bounded = true, .keep_on_death = true});
    struct line leaving = holder(s), dying = holder(s);

    kit_tell(&leaving, 0);
    kit_end(&leaving);
    kit_kill(&dying);
    kit_await(kit_name("s"), "kept", 2);
    GIVES(broker_semaphore_acquire(s, SHORT), BROKER_TIMEDOUT);
    OK(broker_semaphore_release(s, 1));
    OK(broker_semaphore_acquire(s, 0));
    OK(broker_semaphore_release(s, 2));
    cr_assert_eq(value_of_it(s), 2);
    cr_assert_eq(stat_of("kept"), 0);
    GIVES(broker_semaphore_release(s, 1), BROKER_OVERDONE);
}

/* ---- permits that others release ---- */

/* What was released for somebody does not come back a second time at that one's death. */
Test(semaphore, a_death_never_makes_a_permit_of_nothing)
{
    broker_semaphore *s = bounded(1);
    struct line first = holder(s), second;

    OK(broker_semaphore_release(s, 1)); /* the first one's */
    second = holder(s);
    cr_assert_eq(stat_of("foreign"), 1);
    kit_kill(&first);
    kit_await(kit_name("s"), "foreign", 0);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    kit_kill(&second);
    GIVES(broker_semaphore_acquire(s, KIT_SOON), BROKER_OWNER_DIED);
}

/* If the wrong one dies first its permit is late, and not lost. */
Test(semaphore, a_permit_that_a_foreign_release_was_charged_to_comes_back_later)
{
    broker_semaphore *s = bounded(1);
    struct line first = holder(s), second;
    struct call waiter;

    OK(broker_semaphore_release(s, 1));
    second = holder(s);
    kit_kill(&second);
    kit_await(kit_name("s"), "foreign", 0);
    cr_assert_eq(value_of_it(s), 0);
    kit_call(&waiter, acquire_in_thread, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 1);
    kit_kill(&first);
    GIVES(kit_return(&waiter), BROKER_OWNER_DIED);
    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
}

/* ---- waiters and wakers that end ---- */

static void wait_for_permit(struct line *parent, void *arg)
{
    (void)parent;
    (void)broker_semaphore_acquire(arg, BROKER_FOREVER);
    (void)kit_hear(parent);
}

/* A killed waiter gets nothing and is counted off; the permit goes to those who live. */
Test(semaphore, a_killed_waiter_leaves_no_ghost)
{
    broker_semaphore *s = bounded(1);
    struct line dying;
    struct call waiter;

    OK(broker_semaphore_acquire(s, 0));
    dying = kit_fork(wait_for_permit, s);
    kit_await_waiters(kit_name("s"), 1);
    kit_call(&waiter, acquire_in_thread, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 2);
    kit_kill(&dying);
    kit_await(kit_name("s"), "waiters", 1);
    OK(broker_semaphore_release(s, 1));
    OK(kit_return(&waiter));
    cr_assert_eq(stat_of("owner_deaths"), 0);
}

static void release_and_die(struct line *parent, void *arg)
{
    (void)parent;
    (void)broker_semaphore_release(arg, 1);
    (void)kill(getpid(), SIGKILL);
}

Test(semaphore, what_a_waker_released_before_its_death_counts)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    struct call waiter;

    for (int i = 0; i < 10; i++) {
        struct line waker;

        kit_call(&waiter, acquire_in_thread, s, BROKER_FOREVER);
        kit_await_waiters(kit_name("s"), 1);
        waker = kit_fork(release_and_die, s);
        OK(kit_return(&waiter));
        kit_kill(&waker);
    }
    cr_assert_eq(value_of_it(s), 0);
}

/* ---- several processes ---- */

#define N_OTHERS 4
#define TIMES 300

static void use_and_die(struct line *parent, void *arg)
{
    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++) {
        REQUIRE(broker_semaphore_acquire(arg, BROKER_FOREVER) >= 0);
        REQUIRE(broker_semaphore_release(arg, 1) == 0);
    }
    REQUIRE(broker_semaphore_acquire(arg, BROKER_FOREVER) >= 0);
    (void)kill(getpid(), SIGKILL);
}

/* Each dies with a permit while others wait for it: all come back, none is made. */
Test(semaphore, deaths_let_the_others_go_on)
{
    broker_semaphore *s = bounded(2);
    struct line others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(use_and_die, s);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    kit_await(kit_name("s"), "owner_deaths", N_OTHERS);
    for (int i = 0; i < N_OTHERS; i++)
        kit_kill(&others[i]);
    cr_assert_eq(value_of_it(s), 2);
    cr_assert_eq(stat_of("acquired"), N_OTHERS * (TIMES + 1));
}
