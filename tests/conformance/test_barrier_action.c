/*
 * test_barrier_action.c - the barrier whose last party runs an action
 *
 * [action: run once, by the last arriver, before anyone leaves; if it fails, the barrier breaks]
 */
#include "conformance/kit.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

TestSuite(barrier_action, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)

static broker_barrier *barrier(uint64_t parties)
{
    return kit_barrier("b", &(broker_barrier_options){.parties = parties, .action = true});
}

static uint64_t stat_of(const char *field)
{
    return kit_stat(kit_name("b"), field);
}

static bool is_broken(void)
{
    return stat_of("broken") != 0;
}

/* Gives the index, or what else came out with it. */
static int wait_in_thread(struct call *c)
{
    uint64_t index = 0;
    int r = broker_barrier_wait(c->object, c->number, &index);

    return r == 0 ? 1000 + (int)index : r;
}

static void arrive(struct call *c, broker_barrier *b, uint64_t n)
{
    kit_call(c, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), n);
}

/* Runs the action until it hears a number: 1 lets the others pass, 2 aborts, 0 just ends. */
static void act(struct line *parent, void *arg)
{
    uint64_t index, order;
    int r;

    REQUIRE(broker_barrier_wait(arg, KIT_SOON, &index) == BROKER_ACTION);
    kit_tell(parent, index);
    order = kit_hear(parent);
    if (order == 0)
        return;
    r = order == 1 ? broker_barrier_pass(arg) : broker_barrier_abort(arg);
    kit_tell(parent, (uint64_t)-r);
    (void)kit_hear(parent);
}

/* The last one, a process of its own, is in its action. */
static struct line actor(broker_barrier *b, uint64_t parties)
{
    struct line line = kit_fork(act, b);

    cr_assert_eq(kit_hear(&line), parties - 1);
    cr_assert_eq(stat_of("acting"), 1);
    return line;
}

static void end(struct line *line)
{
    kit_tell(line, 0);
    kit_end(line);
}

Test(barrier_action, the_last_is_told_and_the_others_wait_until_it_lets_them_pass)
{
    broker_barrier *b = barrier(3);
    struct call others[2];
    uint64_t index = 77, n;

    for (int phase = 0; phase < 3; phase++) {
        arrive(&others[0], b, 1);
        arrive(&others[1], b, 2);
        GIVES(broker_barrier_wait(b, BROKER_FOREVER, &index), BROKER_ACTION);
        cr_assert_eq(index, 2);
        cr_assert_eq(stat_of("waiters"), 2);
        cr_assert_eq(stat_of("acting"), 1);
        OK(broker_barrier_n_waiting(b, &n));
        cr_assert_eq(n, 3);
        OK(broker_barrier_pass(b));
        for (int i = 0; i < 2; i++)
            cr_assert_eq(kit_return(&others[i]), 1000 + i);
        cr_assert_eq(stat_of("acting"), 0);
    }
    cr_assert_eq(stat_of("passes"), 3);
    cr_assert_eq(stat_of("inside"), 0);
}

Test(barrier_action, a_single_party_acts_each_time)
{
    broker_barrier *b = barrier(1);

    for (int i = 0; i < 3; i++) {
        GIVES(broker_barrier_wait(b, 0, NULL), BROKER_ACTION);
        GIVES(broker_barrier_wait(b, 0, NULL), BROKER_TIMEDOUT);
        OK(broker_barrier_pass(b));
    }
    cr_assert_eq(stat_of("passes"), 3);
}

Test(barrier_action, pass_is_for_the_one_who_acts)
{
    broker_barrier *b = barrier(1);
    struct line one;

    GIVES(broker_barrier_pass(b), BROKER_NOTLOCKED);
    one = actor(b, 1);
    GIVES(broker_barrier_pass(b), BROKER_NOTOWNER);
    cr_assert_eq(stat_of("acting"), 1);
    kit_tell(&one, 1);
    OK(-(int)kit_hear(&one));
    GIVES(broker_barrier_pass(b), BROKER_NOTLOCKED);
    end(&one);
    GIVES(broker_barrier_pass(kit_barrier("other", &(broker_barrier_options){.parties = 1})),
        BROKER_NOTLOCKED);
}

/* The action failed: [broken, the error propagates] */
Test(barrier_action, an_abort_of_the_one_who_acts_breaks_it)
{
    broker_barrier *b = barrier(2);
    struct call other;

    arrive(&other, b, 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    OK(broker_barrier_abort(b));
    GIVES(kit_return(&other), BROKER_BROKEN);
    GIVES(broker_barrier_pass(b), BROKER_BROKEN);
    cr_assert_eq(stat_of("inside"), 0);
    cr_assert_eq(stat_of("passes"), 0);
    OK(broker_barrier_reset(b));
    arrive(&other, b, 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    OK(broker_barrier_pass(b));
    cr_assert_eq(kit_return(&other), 1000);
}

/* Killed, or gone without a word. */
Test(barrier_action, the_death_of_the_one_who_acts_breaks_it)
{
    broker_barrier *b = barrier(2);

    for (int i = 0; i < 2; i++) {
        struct call other;
        struct line one;

        arrive(&other, b, 1);
        one = actor(b, 2);
        if (i == 0)
            kit_kill(&one);
        else
            end(&one);
        GIVES(kit_return(&other), BROKER_BROKEN);
        kit_await(kit_name("b"), "broken_by_death", 1);
        cr_assert_eq(stat_of("acting"), 0);
        cr_assert_eq(stat_of("inside"), 0);
        OK(broker_barrier_reset(b));
    }
}

static void wait_for_ever(struct line *parent, void *arg)
{
    (void)parent;
    (void)broker_barrier_wait(arg, BROKER_FOREVER, NULL);
    (void)kit_hear(parent);
}

Test(barrier_action, the_death_of_one_who_waits_for_the_action_breaks_it)
{
    broker_barrier *b = barrier(2);
    struct line dying = kit_fork(wait_for_ever, b);

    kit_await_waiters(kit_name("b"), 1);
    GIVES(broker_barrier_wait(b, KIT_SOON, NULL), BROKER_ACTION);
    kit_kill(&dying);
    kit_await(kit_name("b"), "broken_by_death", 1);
    cr_assert_eq(stat_of("inside"), 1);
    GIVES(broker_barrier_pass(b), BROKER_BROKEN);
    cr_assert_not_null(strstr(broker_last_error(), "died"), "%s", broker_last_error());
    cr_assert_eq(stat_of("inside"), 0);
}

Test(barrier_action, a_timeout_during_the_action_breaks_it)
{
    broker_barrier *b = barrier(2);
    struct call other;

    kit_call(&other, wait_in_thread, b, SHORT);
    kit_await(kit_name("b"), "inside", 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    GIVES(kit_return(&other), BROKER_BROKEN);
    cr_assert_eq(stat_of("broken_by_timeout"), 1);
    GIVES(broker_barrier_pass(b), BROKER_BROKEN);
    cr_assert(is_broken());
    cr_assert_eq(stat_of("inside"), 0);
}

Test(barrier_action, who_comes_during_the_action_waits_for_the_next_phase)
{
    broker_barrier *b = barrier(2);
    struct call first, next;

    arrive(&first, b, 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    GIVES(broker_barrier_wait(b, SHORT, NULL), BROKER_TIMEDOUT);
    cr_assert_not(is_broken());
    kit_call(&next, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), 2);
    OK(broker_barrier_pass(b));
    cr_assert_eq(kit_return(&first), 1000);
    kit_await(kit_name("b"), "n_waiting", 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    OK(broker_barrier_pass(b));
    cr_assert_eq(kit_return(&next), 1000);
}

/* The others go at once; the barrier is ready when the action is over. */
Test(barrier_action, a_reset_waits_for_the_end_of_the_action)
{
    broker_barrier *b = barrier(2);
    struct line one;
    struct call other;

    arrive(&other, b, 1);
    one = actor(b, 2);
    OK(broker_barrier_reset(b));
    GIVES(kit_return(&other), BROKER_BROKEN);
    cr_assert_eq(stat_of("inside"), 1);
    GIVES(broker_barrier_wait(b, SHORT, NULL), BROKER_TIMEDOUT);
    kit_call(&other, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), 1);
    kit_tell(&one, 1);
    GIVES(-(int)kit_hear(&one), BROKER_BROKEN);
    end(&one);
    kit_await(kit_name("b"), "n_waiting", 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_ACTION);
    OK(broker_barrier_pass(b));
    cr_assert_eq(kit_return(&other), 1000);
}

/* Somebody else's abort does not end the action. */
Test(barrier_action, an_abort_by_another_leaves_the_one_who_acts_inside)
{
    broker_barrier *b = barrier(2);
    struct line one;
    struct call other;

    arrive(&other, b, 1);
    one = actor(b, 2);
    OK(broker_barrier_abort(b));
    GIVES(kit_return(&other), BROKER_BROKEN);
    cr_assert_eq(stat_of("inside"), 1);
    cr_assert_eq(stat_of("acting"), 1);
    kit_tell(&one, 2);
    OK(-(int)kit_hear(&one));
    cr_assert_eq(stat_of("inside"), 0);
    end(&one);
    cr_assert(is_broken());
}

#define N_OTHERS 4
#define PHASES 300

struct rounds {
    broker_barrier *barrier;
    broker_dict *counts;
};

static void go_round(struct line *parent, void *arg)
{
    const struct rounds *x = arg;
    int64_t n;

    (void)kit_hear(parent);
    for (int64_t phase = 0; phase < PHASES; phase++) {
        broker_value v;
        int r;

        REQUIRE(broker_dict_add(x->counts, broker_str("arrived"), 1, &n) == 0);
        r = broker_barrier_wait(x->barrier, KIT_SOON, NULL);
        REQUIRE(r >= 0);
        if (r == BROKER_ACTION) {
            REQUIRE(broker_dict_get(x->counts, broker_str("arrived"), &kit_buffer, &v) == 0);
            REQUIRE(v.i == (phase + 1) * N_OTHERS); /* nobody has left, so nobody has come again */
            REQUIRE(broker_dict_add(x->counts, broker_str("acted"), 1, &n) == 0);
            REQUIRE(n == phase + 1);
            REQUIRE(broker_barrier_pass(x->barrier) == 0);
        }
        REQUIRE(broker_dict_get(x->counts, broker_str("acted"), &kit_buffer, &v) == 0);
        REQUIRE(v.i >= phase + 1);
    }
}

Test(barrier_action, the_action_runs_once_in_each_phase_before_anybody_leaves)
{
    struct rounds x = {barrier(N_OTHERS), kit_dict("counts", NULL)};
    struct line others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(go_round, &x);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    cr_assert_str_eq(kit_get(x.counts, broker_str("acted")), "300");
    cr_assert_eq(stat_of("passes"), PHASES);
    cr_assert_eq(stat_of("inside"), 0);
}
