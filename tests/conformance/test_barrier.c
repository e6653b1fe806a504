/*
 * test_barrier.c - the barrier without an action
 *
 * The names in brackets are the rows of CPython's Barrier proxy whose rule a case shows.
 */
#include "conformance/kit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(barrier, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)

static broker_barrier *barrier(uint64_t parties)
{
    return kit_barrier("b", &(broker_barrier_options){.parties = parties});
}

static uint64_t n_waiting(broker_barrier *b)
{
    uint64_t n;

    OK(broker_barrier_n_waiting(b, &n));
    return n;
}

static bool is_broken(broker_barrier *b)
{
    bool broken;

    OK(broker_barrier_broken(b, &broken));
    return broken;
}

static uint64_t stat_of(const char *field)
{
    return kit_stat(kit_name("b"), field);
}

/* Gives the index, or the failure and its sentence. */
static int wait_in_thread(struct call *c)
{
    uint64_t index = 0;
    int r = broker_barrier_wait(c->object, c->number, &index);

    if (r < 0)
        (void)snprintf(c->text, sizeof(c->text), "%s", strrchr(broker_last_error(), ':'));
    return r < 0 ? r : (int)index;
}

/* A party that waits for ever, in a thread. */
static void arrive(struct call *c, broker_barrier *b, uint64_t n)
{
    kit_call(c, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), n);
}

/* ---- making one ---- */

/* [parties: 3.11 accepts 0, reject < 1] */
Test(barrier, it_needs_a_party)
{
    broker_barrier *b = NULL;
    uint64_t parties;

    GIVES(broker_barrier_open(kit_broker, kit_name("b"), NULL, &b), BROKER_INVALID);
    GIVES(broker_barrier_open(kit_broker, kit_name("b"), &(broker_barrier_options){0}, &b),
        BROKER_INVALID);
    GIVES(broker_barrier_open(kit_broker, kit_name("b"),
              &(broker_barrier_options){.parties = 2, .timeout_ns = -1}, &b),
        BROKER_INVALID);
    GIVES(broker_barrier_open(
              kit_broker, kit_name("b"), &(broker_barrier_options){.mode = BROKER_OPEN}, &b),
        BROKER_NOTFOUND);
    cr_assert_null(b);
    b = barrier(3);
    OK(broker_barrier_parties(b, &parties));
    cr_assert_eq(parties, 3);
    OK(broker_barrier_open(kit_broker, kit_name("b"), NULL, &b));
}

Test(barrier, an_option_that_differs_is_a_mismatch)
{
    const broker_barrier_options good = {.parties = 3, .timeout_ns = SHORT};
    const broker_barrier_options bad[] = {
        {.parties = 2}, {.timeout_ns = 1}, {.action = true}, {.parties = 3, .action = true}};
    broker_barrier *b = kit_barrier("b", &good);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        GIVES(broker_barrier_open(kit_broker, kit_name("b"), &bad[i], &b), BROKER_MISMATCH);
    OK(broker_barrier_open(kit_broker, kit_name("b"), &good, &b));
}

/* ---- waiting ---- */

/* [wait: a distinct index 0..parties-1] in the order of arrival; [n_waiting]. */
Test(barrier, the_last_to_arrive_lets_all_go)
{
    broker_barrier *b = barrier(4);
    struct call others[3];
    uint64_t index = 77;

    for (int phase = 0; phase < 3; phase++) {
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(n_waiting(b), i);
            arrive(&others[i], b, i + 1);
        }
        cr_assert_eq(n_waiting(b), 3);
        OK(broker_barrier_wait(b, BROKER_FOREVER, &index));
        cr_assert_eq(index, 3);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(kit_return(&others[i]), i);
        cr_assert_eq(n_waiting(b), 0);
        cr_assert_not(is_broken(b));
    }
    cr_assert_eq(stat_of("passes"), 3);
    cr_assert_eq(stat_of("inside"), 0);
    cr_assert_eq(stat_of("waiters"), 0);
}

Test(barrier, a_single_party_waits_for_nobody)
{
    broker_barrier *b = barrier(1);
    uint64_t index = 77;

    for (int i = 0; i < 5; i++)
        OK(broker_barrier_wait(b, i % 2 == 0 ? BROKER_FOREVER : 0, &index));
    cr_assert_eq(index, 0);
    OK(broker_barrier_wait(b, BROKER_FOREVER, NULL));
    cr_assert_eq(stat_of("passes"), 6);
}

/* [per-call timeout: BrokenBarrierError for the one and for all] */
Test(barrier, a_timeout_breaks_it_for_all)
{
    broker_barrier *b = barrier(4);
    struct call others[2];
    uint64_t index = 77;
    int64_t start;

    GIVES(broker_barrier_wait(b, -1, &index), BROKER_INVALID);
    GIVES(broker_barrier_wait(b, INT64_MIN, &index), BROKER_INVALID);
    cr_assert_not(is_broken(b));
    arrive(&others[0], b, 1);
    arrive(&others[1], b, 2);
    start = kit_now();
    GIVES(broker_barrier_wait(b, SHORT, &index), BROKER_BROKEN);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_not_null(strstr(broker_last_error(), "time was over"), "%s", broker_last_error());
    for (int i = 0; i < 2; i++) {
        GIVES(kit_return(&others[i]), BROKER_BROKEN);
        cr_assert_not_null(strstr(others[i].text, "time was over"), "%s", others[i].text);
    }
    cr_assert_eq(index, 77);
    cr_assert(is_broken(b));
    cr_assert_eq(n_waiting(b), 0);
    cr_assert_eq(stat_of("broken_by_timeout"), 1);
    cr_assert_eq(stat_of("breaks"), 1);
    cr_assert_eq(stat_of("waiters"), 0);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, &index), BROKER_BROKEN);
    cr_assert_not_null(strstr(broker_last_error(), "time was over"), "%s", broker_last_error());
}

/* [timeout 0] As Python's: it arrives, and its time is over. */
Test(barrier, a_timeout_of_0_breaks_it_unless_it_is_the_last)
{
    broker_barrier *b = barrier(2);
    struct call other;
    uint64_t index;

    arrive(&other, b, 1);
    OK(broker_barrier_wait(b, 0, &index));
    cr_assert_eq(index, 1);
    cr_assert_eq(kit_return(&other), 0);
    GIVES(broker_barrier_wait(b, 0, &index), BROKER_BROKEN);
    cr_assert(is_broken(b));
}

/* [Barrier(timeout), wait(timeout) overrides it] */
Test(barrier, the_barriers_own_timeout_is_for_those_who_name_none)
{
    broker_barrier *b =
        kit_barrier("b", &(broker_barrier_options){.parties = 2, .timeout_ns = SHORT});
    struct call other;
    int64_t start = kit_now();

    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_BROKEN);
    cr_assert_geq(kit_now() - start, SHORT);
    OK(broker_barrier_reset(b));
    start = kit_now();
    kit_call(&other, wait_in_thread, b, KIT_SOON);
    kit_await_waiters(kit_name("b"), 1);
    while (kit_now() - start < 3 * SHORT)
        cr_assert_eq(n_waiting(b), 1);
    OK(broker_barrier_wait(b, BROKER_FOREVER, NULL));
    cr_assert_eq(kit_return(&other), 0);
}

/* ---- abort and reset ---- */

/* [abort: broken until reset, waiters get BrokenBarrierError] */
Test(barrier, an_abort_breaks_it_until_a_reset)
{
    broker_barrier *b = barrier(3);
    struct call others[2];

    arrive(&others[0], b, 1);
    arrive(&others[1], b, 2);
    OK(broker_barrier_abort(b));
    for (int i = 0; i < 2; i++) {
        GIVES(kit_return(&others[i]), BROKER_BROKEN);
        cr_assert_not_null(strstr(others[i].text, "aborted"), "%s", others[i].text);
    }
    cr_assert(is_broken(b));
    cr_assert_eq(stat_of("broken_by_abort"), 1);
    OK(broker_barrier_abort(b));
    cr_assert_eq(stat_of("breaks"), 1);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, NULL), BROKER_BROKEN);
    OK(broker_barrier_reset(b));
    cr_assert_not(is_broken(b));
    cr_assert_eq(stat_of("broken_by_abort"), 0);
    arrive(&others[0], b, 1);
    arrive(&others[1], b, 2);
    OK(broker_barrier_wait(b, BROKER_FOREVER, NULL));
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kit_return(&others[i]), i);
}

/* [reset: on an idle or broken barrier just clears] */
Test(barrier, an_idle_barrier_can_be_aborted_and_reset)
{
    broker_barrier *b = barrier(2);

    OK(broker_barrier_reset(b));
    cr_assert_not(is_broken(b));
    OK(broker_barrier_abort(b));
    GIVES(broker_barrier_wait(b, 0, NULL), BROKER_BROKEN);
    OK(broker_barrier_reset(b));
    OK(broker_barrier_reset(b));
    cr_assert_not(is_broken(b));
    cr_assert_eq(n_waiting(b), 0);
}

/* [reset: waiters get BrokenBarrierError, then usable] */
Test(barrier, a_reset_sends_away_who_waits)
{
    broker_barrier *b = barrier(3);
    struct call others[2];

    for (int round = 0; round < 20; round++) {
        arrive(&others[0], b, 1);
        arrive(&others[1], b, 2);
        OK(broker_barrier_reset(b));
        for (int i = 0; i < 2; i++) {
            GIVES(kit_return(&others[i]), BROKER_BROKEN);
            cr_assert_not_null(strstr(others[i].text, "reset"), "%s", others[i].text);
        }
        cr_assert_not(is_broken(b));
        cr_assert_eq(n_waiting(b), 0);
    }
    arrive(&others[0], b, 1);
    arrive(&others[1], b, 2);
    OK(broker_barrier_wait(b, 0, NULL));
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kit_return(&others[i]), i);
}

Test(barrier, a_destroyed_barrier_is_gone_also_for_who_waits)
{
    broker_barrier *b = barrier(2);
    struct call other;
    uint64_t n;
    bool flag;

    arrive(&other, b, 1);
    OK(broker_destroy(kit_broker, kit_name("b")));
    GIVES(kit_return(&other), BROKER_GONE);
    (void)barrier(2);
    GIVES(broker_barrier_wait(b, 0, &n), BROKER_GONE);
    GIVES(broker_barrier_wait(b, BROKER_FOREVER, &n), BROKER_GONE);
    GIVES(broker_barrier_pass(b), BROKER_GONE);
    GIVES(broker_barrier_abort(b), BROKER_GONE);
    GIVES(broker_barrier_reset(b), BROKER_GONE);
    GIVES(broker_barrier_parties(b, &n), BROKER_GONE);
    GIVES(broker_barrier_n_waiting(b, &n), BROKER_GONE);
    GIVES(broker_barrier_broken(b, &flag), BROKER_GONE);
}

/* ---- those who are still leaving ---- */

/* Tells its index, or the failure as a positive number, each time it is told to wait. */
static void wait_again_and_again(struct line *parent, void *arg)
{
    while (kit_hear(parent) != 0) {
        uint64_t index = 0;
        int r = broker_barrier_wait(arg, BROKER_FOREVER, &index);

        kit_tell(parent, r < 0 ? (uint64_t)-r : 1000 + index);
    }
}

static void stop(const struct line *line)
{
    int status;

    cr_assert_eq(kill(line->pid, SIGSTOP), 0);
    cr_assert_eq(waitpid(line->pid, &status, WUNTRACED), line->pid);
    cr_assert(WIFSTOPPED(status));
}

/* A party of a phase that is complete, stopped on its way out. */
static struct line leaver(broker_barrier *b)
{
    struct line line = kit_fork(wait_again_and_again, b);

    kit_tell(&line, 1);
    kit_await_waiters(kit_name("b"), 1);
    stop(&line);
    OK(broker_barrier_wait(b, 0, NULL));
    cr_assert_eq(stat_of("inside"), 1);
    return line;
}

/* [arrivals during draining wait; n_waiting is 0 unless filling] */
Test(barrier, who_comes_round_again_waits_until_all_have_left)
{
    broker_barrier *b = barrier(2);
    struct line slow = leaver(b);
    struct call fast;
    int64_t start = kit_now();

    GIVES(broker_barrier_wait(b, 0, NULL), BROKER_TIMEDOUT);
    GIVES(broker_barrier_wait(b, SHORT, NULL), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_not(is_broken(b), "who has not arrived breaks nothing");
    kit_call(&fast, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), 2);
    cr_assert_eq(n_waiting(b), 0);
    cr_assert_eq(stat_of("inside"), 1);
    OK(broker_barrier_reset(b)); /* nothing to reset: they have passed */
    cr_assert_eq(kill(slow.pid, SIGCONT), 0);
    cr_assert_eq(kit_hear(&slow), 1000);
    kit_await(kit_name("b"), "n_waiting", 1);
    kit_tell(&slow, 1);
    cr_assert_eq(kit_hear(&slow), 1001);
    cr_assert_eq(kit_return(&fast), 0);
    kit_tell(&slow, 0);
    kit_end(&slow);
    cr_assert_eq(stat_of("passes"), 2);
}

/* As in Python, an abort also catches those who have not left yet. */
Test(barrier, an_abort_catches_who_is_still_leaving)
{
    broker_barrier *b = barrier(2);
    struct line slow = leaver(b);
    struct call fast;

    kit_call(&fast, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), 2);
    OK(broker_barrier_abort(b));
    GIVES(kit_return(&fast), BROKER_BROKEN);
    OK(broker_barrier_reset(b));
    cr_assert_not(is_broken(b));
    GIVES(broker_barrier_wait(b, 0, NULL), BROKER_TIMEDOUT);
    cr_assert_eq(kill(slow.pid, SIGCONT), 0);
    cr_assert_eq(kit_hear(&slow), (uint64_t)-BROKER_BROKEN);
    kit_tell(&slow, 0);
    kit_end(&slow);
    GIVES(broker_barrier_wait(b, 0, NULL), BROKER_BROKEN);
}

/* Its phase was complete: a death on the way out breaks nothing, and lets those outside in. */
Test(barrier, a_party_killed_on_its_way_out_is_counted_off)
{
    broker_barrier *b = barrier(2);
    struct line slow = leaver(b);
    struct call fast;

    kit_call(&fast, wait_in_thread, b, BROKER_FOREVER);
    kit_await_waiters(kit_name("b"), 2);
    kit_kill(&slow);
    kit_await(kit_name("b"), "n_waiting", 1);
    cr_assert_not(is_broken(b));
    OK(broker_barrier_wait(b, 0, NULL));
    cr_assert_eq(kit_return(&fast), 0);
}

/* ---- deaths ---- */

static uint32_t n_sessions(void)
{
    broker_value clients;

    OK(broker_clients(kit_broker, &kit_buffer, &clients));
    return kit_count(clients);
}

/* [killed party: n_waiting 1 after SIGKILL, and the barrier passes one short] */
Test(barrier, a_party_that_is_killed_breaks_it)
{
    broker_barrier *b = barrier(3);
    struct line dying = kit_fork(wait_again_and_again, b);
    struct call other;

    kit_tell(&dying, 1);
    kit_await_waiters(kit_name("b"), 1);
    arrive(&other, b, 2);
    cr_assert_eq(n_waiting(b), 2);
    kit_kill(&dying);
    GIVES(kit_return(&other), BROKER_BROKEN);
    cr_assert_not_null(strstr(other.text, "died"), "%s", other.text);
    cr_assert(is_broken(b));
    cr_assert_eq(n_waiting(b), 0);
    cr_assert_eq(stat_of("broken_by_death"), 1);
    GIVES(broker_barrier_wait(b, 0, NULL), BROKER_BROKEN);
    cr_assert_not_null(strstr(broker_last_error(), "died"), "%s", broker_last_error());
    OK(broker_barrier_reset(b));
    cr_assert_not(is_broken(b));
    cr_assert_eq(stat_of("inside"), 0);
}

/* Who is not in it is no party. */
Test(barrier, a_death_elsewhere_breaks_nothing)
{
    broker_barrier *b = barrier(2);
    struct line other = kit_fork(wait_again_and_again, b);
    struct call waiter;

    kit_tell(&other, 1);
    kit_await_waiters(kit_name("b"), 1);
    OK(broker_barrier_wait(b, KIT_SOON, NULL));
    cr_assert_eq(kit_hear(&other), 1000);
    arrive(&waiter, b, 1);
    kit_kill(&other);
    while (n_sessions() > 1)
        continue;
    cr_assert_eq(n_waiting(b), 1);
    cr_assert_not(is_broken(b));
    OK(broker_barrier_wait(b, 0, NULL));
    cr_assert_eq(kit_return(&waiter), 0);
}

/* The process ends while one of its threads waits. */
static void leave_a_thread_behind(struct line *parent, void *arg)
{
    struct call waiter;

    kit_call(&waiter, wait_in_thread, arg, BROKER_FOREVER);
    (void)kit_hear(parent);
}

Test(barrier, a_party_whose_process_exits_breaks_it)
{
    broker_barrier *b = barrier(2);
    struct line leaving = kit_fork(leave_a_thread_behind, b);

    kit_await_waiters(kit_name("b"), 1);
    kit_tell(&leaving, 0);
    kit_end(&leaving);
    kit_await(kit_name("b"), "broken_by_death", 1);
    cr_assert_eq(stat_of("inside"), 0);
    cr_assert_eq(stat_of("waiters"), 0);
}

static void arrive_and_die(struct line *parent, void *arg)
{
    (void)parent;
    (void)broker_barrier_wait(arg, BROKER_FOREVER, NULL);
    (void)kill(getpid(), SIGKILL);
}

/* The last one wakes the others, and dies right after. */
Test(barrier, who_was_let_go_before_a_death_goes)
{
    broker_barrier *b = barrier(2);
    struct call waiter;

    for (int i = 0; i < 10; i++) {
        struct line last;

        arrive(&waiter, b, 1);
        last = kit_fork(arrive_and_die, b);
        cr_assert_eq(kit_return(&waiter), 0);
        kit_kill(&last);
    }
    cr_assert_not(is_broken(b));
    cr_assert_eq(stat_of("passes"), 10);
}

/* ---- many at once ---- */

#define N_OTHERS 4
#define PHASES 500

struct rounds {
    broker_barrier *barrier;
    broker_dict *phases; /* how often each index came, by phase */
};

static void go_round(struct line *parent, void *arg)
{
    const struct rounds *x = arg;

    (void)kit_hear(parent);
    for (uint64_t phase = 0; phase < PHASES; phase++) {
        uint64_t index;
        int64_t n;

        REQUIRE(broker_barrier_wait(x->barrier, KIT_SOON, &index) == 0);
        REQUIRE(index < N_OTHERS);
        REQUIRE(broker_dict_add(x->phases, broker_uint(phase * N_OTHERS + index), 1, &n) == 0);
        REQUIRE(n == 1);
    }
}

/* Each index comes once in each phase: nobody slips into the phase that others are leaving. */
Test(barrier, no_phase_is_mixed_with_the_next)
{
    struct rounds x = {barrier(N_OTHERS), kit_dict("phases", NULL)};
    struct line others[N_OTHERS];
    uint64_t n;

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(go_round, &x);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    OK(broker_dict_len(x.phases, &n));
    cr_assert_eq(n, PHASES * N_OTHERS);
    cr_assert_eq(stat_of("passes"), PHASES);
    cr_assert_eq(stat_of("inside"), 0);
}

static void go_round_until_broken(struct line *parent, void *arg)
{
    int r;

    (void)kit_hear(parent);
    do
        r = broker_barrier_wait(arg, KIT_SOON, NULL);
    while (r == 0);
    REQUIRE(r == BROKER_BROKEN);
}

/* One of those who go round is killed, wherever that is: the others learn of it. */
Test(barrier, a_death_among_many_is_told_to_all)
{
    broker_barrier *b = barrier(N_OTHERS);

    for (int round = 0; round < 10; round++) {
        uint64_t passes = stat_of("passes");
        struct line others[N_OTHERS];

        for (int i = 0; i < N_OTHERS; i++)
            others[i] = kit_fork(go_round_until_broken, b);
        for (int i = 0; i < N_OTHERS; i++)
            kit_tell(&others[i], 0);
        while (stat_of("passes") < passes + 20)
            continue;
        kit_kill(&others[0]);
        while (!is_broken(b))
            if (n_sessions() == N_OTHERS && n_waiting(b) == N_OTHERS - 1)
                OK(broker_barrier_abort(b)); /* it died between two phases: no party then */
        for (int i = 1; i < N_OTHERS; i++)
            kit_end(&others[i]);
        cr_assert(is_broken(b));
        cr_assert_eq(stat_of("inside"), 0);
        OK(broker_barrier_reset(b));
    }
}
