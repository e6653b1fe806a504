/*
 * test_queue_tokens.c - leases by token: lease, done, return, extend, and the dead
 *
 * On every queue, whatever its order. Times are either so long that they cannot run out, or waited
 * for by an operation of the queue itself.
 */
#include "conformance/calls.h"

TestSuite(tokens, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define HOUR (3600 * BROKER_SECOND)
#define A_MOMENT (20 * BROKER_MILLISECOND)

static const broker_queue_options joinable = {.joinable = true};
static const broker_queue_options twice = {.max_deliveries = 2};

static void put_numbers(broker_queue *q, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_queue_put(q, INT(i), 0));
}

/* Leases the first item, which must be @number. */
static uint64_t lease_for(broker_queue *q, int64_t number, int64_t hold_ns)
{
    uint64_t token = 0;
    broker_value v;

    OK(broker_queue_lease(q, 0, hold_ns, &kit_buffer, &v, &token, NULL));
    cr_assert_eq(v.i, number, "it is %lld", (long long)v.i);
    cr_assert_neq(token, 0);
    return token;
}

static uint64_t lease(broker_queue *q, int64_t number)
{
    return lease_for(q, number, BROKER_FOREVER);
}

static int64_t get(broker_queue *q)
{
    broker_value v;

    OK(broker_queue_get(q, KIT_SOON, &kit_buffer, &v));
    return v.i;
}

/* [2.3 lease] */
Test(tokens, a_leased_item_is_neither_there_nor_gone)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token, n;

    put_numbers(q, 0, 3);
    token = lease(q, 0);
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 2);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 1);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 3);
    OK(broker_queue_done(q, token));
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 2);
    cr_assert_str_eq(kit_drain(q), "[1, 2]");
}

/* [2.3 lease, edges] */
Test(tokens, lease_fails_as_get_does)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token = 7, deliveries = 7;
    broker_value v = INT(7);

    GIVES(broker_queue_lease(q, 0, HOUR, &kit_buffer, &v, &token, &deliveries), BROKER_EMPTY);
    GIVES(broker_queue_lease(q, 1000, HOUR, &kit_buffer, &v, &token, NULL), BROKER_TIMEDOUT);
    GIVES(broker_queue_lease(q, -1, HOUR, &kit_buffer, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease(q, 0, 0, &kit_buffer, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease(q, 0, -1, &kit_buffer, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease(q, 0, HOUR, &kit_buffer, &v, NULL, NULL), BROKER_INVALID);
    OK(broker_queue_shutdown(q));
    GIVES(broker_queue_lease(q, HOUR, HOUR, &kit_buffer, &v, &token, NULL), BROKER_CLOSED);
    cr_assert(token == 7 && deliveries == 7 && v.i == 7, "an output was written");
}

/* [2.3 return] */
Test(tokens, a_returned_item_goes_to_its_old_place)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t tokens[6];

    put_numbers(q, 0, 6);
    for (int i = 0; i < 6; i++)
        tokens[i] = lease(q, i);
    put_numbers(q, 6, 8);
    OK(broker_queue_return(q, tokens[4], 0));
    OK(broker_queue_return(q, tokens[1], 0));
    OK(broker_queue_return(q, tokens[3], 0));
    OK(broker_queue_done(q, tokens[2]));
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 2);
    cr_assert_str_eq(kit_drain(q), "[1, 3, 4, 6, 7]");
    OK(broker_queue_return(q, tokens[5], 0));
    OK(broker_queue_return(q, tokens[0], 0));
    cr_assert_str_eq(kit_drain(q), "[0, 5]");
}

Test(tokens, deliveries_are_counted)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token, deliveries;
    broker_value v;

    put_numbers(q, 0, 1);
    for (uint64_t i = 1; i <= 5; i++) {
        OK(broker_queue_lease(q, 0, BROKER_FOREVER, &kit_buffer, &v, &token, &deliveries));
        cr_assert_eq(deliveries, i);
        OK(broker_queue_return(q, token, 0));
    }
}

/* [2.3 a stale token, a token of nobody] */
Test(tokens, a_token_names_one_lease_and_no_other)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t first, second, other;

    put_numbers(q, 0, 2);
    first = lease(q, 0);
    other = lease(q, 1);
    OK(broker_queue_return(q, first, 0));
    GIVES(broker_queue_done(q, first), BROKER_NOTFOUND);
    second = lease(q, 0);
    cr_assert_neq(first, second);
    GIVES(broker_queue_done(q, first), BROKER_NOTFOUND);
    GIVES(broker_queue_return(q, first, HOUR), BROKER_NOTFOUND);
    GIVES(broker_queue_extend(q, first, HOUR), BROKER_NOTFOUND);
    OK(broker_queue_done(q, second));
    GIVES(broker_queue_done(q, second), BROKER_NOTFOUND);
    for (uint64_t bad = 0; bad < 64; bad++) {
        GIVES(broker_queue_done(q, other ^ UINT64_C(1) << bad), BROKER_NOTFOUND);
        GIVES(broker_queue_done(q, bad), BROKER_NOTFOUND);
    }
    OK(broker_queue_done(q, other));
}

/* What lies in an item's bytes is never taken for an item, whatever it looks like. */
Test(tokens, a_token_that_points_into_an_item_is_none)
{
    broker_queue *orders[3] = {kit_queue("fifo", NULL),
        kit_queue("lifo", &(broker_queue_options){.lifo = true}),
        kit_queue("priority", &(broker_queue_options){.priority = true})};
    const char *text = filling(20000, 0);

    for (int i = 0; i < 3; i++) {
        uint64_t token = 0;
        broker_value v;

        OK(broker_queue_put(orders[i], broker_strn(text, 1500), 0));
        OK(broker_queue_put(orders[i], broker_strn(text, 20000), 0));
        OK(broker_queue_lease(orders[i], 0, HOUR, &kit_buffer, &v, &token, NULL));
        for (uint64_t at = 1, n = (uint64_t)kit_often(2000); at < n; at++)
            GIVES(broker_queue_done(orders[i], token + (at << 32)), BROKER_NOTFOUND);
        OK(broker_queue_done(orders[i], token));
    }
}

/* Many at a time, finished in no order: the middle ones are found too. */
Test(tokens, many_leases_end_in_any_order)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t tokens[1000];

    put_numbers(q, 0, 1000);
    for (int i = 0; i < 1000; i++)
        tokens[i] = lease(q, i);
    for (int i = 0; i < 1000; i++) {
        int k = i * 377 % 1000;

        if (k % 2 == 0)
            OK(broker_queue_done(q, tokens[k]));
        else
            OK(broker_queue_return(q, tokens[k], 0));
    }
    for (int i = 1; i < 1000; i += 2)
        cr_assert_eq(get(q), i);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
}

/* [2.3 task_done] It ends leases of plain gets only. */
Test(tokens, task_done_leaves_leases_by_token_alone)
{
    broker_queue *q = kit_queue("q", &joinable);
    uint64_t token;

    put_numbers(q, 0, 3);
    token = lease(q, 0);
    cr_assert_eq(get(q), 1);
    OK(broker_queue_task_done(q));
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    OK(broker_queue_done(q, token));
    cr_assert_eq(get(q), 2);
    OK(broker_queue_task_done(q));
    OK(broker_queue_join(q, 0));
    GIVES(broker_queue_task_done(q), BROKER_OVERDONE);
}

Test(tokens, done_ends_a_join)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token;

    put_numbers(q, 0, 1);
    token = lease(q, 0);
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    OK(broker_queue_done(q, token));
    OK(broker_queue_join(q, 0));
}

Test(tokens, large_items_are_leased_whole_and_given_back)
{
    broker_queue *q = kit_queue("q", NULL);
    const char *text = filling(1 << 20, 1);
    uint64_t token;
    broker_value v;

    OK(broker_queue_put(q, broker_strn(text, 1 << 20), 0));
    for (int i = 0; i < 3; i++) {
        OK(broker_queue_lease(q, 0, i == 1 ? HOUR : BROKER_FOREVER, &kit_buffer, &v, &token, NULL));
        cr_assert(v.size == 1 << 20 && memcmp(v.data, text, v.size) == 0);
        if (i < 2)
            OK(broker_queue_return(q, token, 0));
    }
    OK(broker_queue_done(q, token));
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

/* ---- time ---- */

/* [2.3 lease deadline] */
Test(tokens, a_lease_ends_by_itself_when_its_time_is_over)
{
    broker_queue *q = kit_queue("q", NULL);
    int64_t start = kit_now();
    uint64_t token;

    put_numbers(q, 0, 1);
    token = lease_for(q, 0, A_MOMENT);
    cr_assert_eq(get(q), 0, "who waits gets it");
    cr_assert_geq(kit_now() - start, A_MOMENT);
    GIVES(broker_queue_done(q, token), BROKER_NOTFOUND);
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 1);
}

Test(tokens, whoever_looks_finds_a_lease_over)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token, n;
    int64_t over;

    put_numbers(q, 0, 1);
    token = lease_for(q, 0, BROKER_MILLISECOND / 2);
    over = kit_now() + BROKER_MILLISECOND / 2; /* at the latest: it began before this */
    while (kit_now() <= over)
        continue;
    GIVES(broker_queue_extend(q, token, HOUR), BROKER_NOTFOUND);
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 1);
}

Test(tokens, extend_sets_the_time_anew)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t first, second, third;

    put_numbers(q, 0, 3);
    first = lease_for(q, 0, HOUR);
    second = lease_for(q, 1, HOUR);
    third = lease(q, 2);
    OK(broker_queue_extend(q, second, A_MOMENT));
    OK(broker_queue_extend(q, third, 2 * A_MOMENT));
    cr_assert_eq(get(q), 1);
    cr_assert_eq(get(q), 2);
    OK(broker_queue_extend(q, first, BROKER_FOREVER));
    GIVES(broker_queue_extend(q, first, 0), BROKER_INVALID);
    GIVES(broker_queue_extend(q, first, -1), BROKER_INVALID);
    OK(broker_queue_done(q, first));
}

/* [2.3 return with a delay] */
Test(tokens, a_delayed_item_comes_when_its_time_has_come)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t first, second;
    int64_t start;
    broker_value v;

    put_numbers(q, 0, 2);
    first = lease(q, 0);
    second = lease_for(q, 1, HOUR);
    GIVES(broker_queue_return(q, first, -1), BROKER_INVALID);
    GIVES(broker_queue_return(q, first, BROKER_FOREVER), BROKER_INVALID);
    OK(broker_queue_return(q, first, HOUR));
    GIVES(broker_queue_return(q, first, HOUR), BROKER_NOTFOUND);
    cr_assert_eq(kit_stat(kit_name("q"), "delayed"), 1);
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
    start = kit_now();
    OK(broker_queue_return(q, second, A_MOMENT));
    cr_assert_eq(get(q), 1);
    cr_assert_geq(kit_now() - start, A_MOMENT);
    cr_assert_eq(kit_stat(kit_name("q"), "delayed"), 1);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 2);
}

/* The last of four items is delayed for a moment, those before it for one more each. False when we
 * were not fast enough to see that: then several have run out before we took the first of them. */
static bool run_out_in_order(broker_queue *q, int64_t moment)
{
    int64_t due[4], first_due = INT64_MAX;
    uint64_t tokens[4];
    bool in_time = true;

    put_numbers(q, 0, 4);
    for (int i = 0; i < 4; i++)
        tokens[i] = lease(q, i);
    for (int i = 0; i < 4; i++) {
        due[i] = kit_now() + (4 - i) * moment; /* not before that */
        OK(broker_queue_return(q, tokens[i], (4 - i) * moment));
    }
    for (int i = 3; i >= 0; i--) {
        int64_t item = get(q);

        first_due = INT64_MAX;
        for (int k = 0; k < i; k++)
            first_due = due[k] < first_due ? due[k] : first_due;
        in_time &= kit_now() < first_due;
        cr_assert(!in_time || item == i, "%lld, not %d", (long long)item, i);
    }
    return in_time;
}

Test(tokens, delays_run_out_in_order_of_time_and_items_come_in_theirs)
{
    broker_queue *q = kit_queue("q", NULL);
    int64_t moment = A_MOMENT;

    while (!run_out_in_order(q, moment))
        moment *= 2;
}

/* Somebody sleeps already when the delay begins: it must wake up for it. */
Test(tokens, a_sleeper_wakes_for_a_delay_that_begins_later)
{
    broker_queue *q = kit_queue("q", NULL);
    struct call c;
    uint64_t token;

    put_numbers(q, 5, 6);
    token = lease(q, 5);
    kit_call(&c, call_get, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_return(q, token, A_MOMENT));
    OK(kit_return(&c));
    cr_assert_eq(c.number, 5);
}

Test(tokens, a_sleeper_wakes_for_an_item_that_is_returned)
{
    broker_queue *q = kit_queue("q", NULL);
    struct call c;
    uint64_t token;

    put_numbers(q, 5, 6);
    token = lease(q, 5);
    kit_call(&c, call_get, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_return(q, token, 0));
    OK(kit_return(&c));
    cr_assert_eq(c.number, 5);
}

/* ---- the dead ---- */

/* [2.3 dead letter] */
Test(tokens, what_came_back_too_often_is_dead)
{
    broker_queue *q = kit_queue("q", &twice);
    const char *name = kit_name("q");
    broker_value v;
    uint64_t n;

    put_numbers(q, 0, 2);
    OK(broker_queue_return(q, lease(q, 0), 0));
    cr_assert_eq(kit_stat(name, "dead"), 0);
    OK(broker_queue_return(q, lease(q, 0), HOUR));
    cr_assert_eq(kit_stat(name, "dead"), 1);
    cr_assert_eq(kit_stat(name, "delayed"), 0, "death does not wait");
    cr_assert_eq(kit_stat(name, "unfinished"), 1, "a dead item is finished");
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 1);
    OK(broker_queue_take_dead(q, &kit_buffer, &v));
    cr_assert_eq(v.i, 0);
    GIVES(broker_queue_take_dead(q, &kit_buffer, &v), BROKER_EMPTY);
    cr_assert_str_eq(kit_drain(q), "[1]");
}

Test(tokens, the_dead_come_out_in_the_order_of_their_deaths)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_deliveries = 1});
    uint64_t tokens[4];
    broker_value v;

    put_numbers(q, 0, 4);
    for (int i = 0; i < 4; i++)
        tokens[i] = lease(q, i);
    for (int i = 0; i < 4; i++)
        OK(broker_queue_return(q, tokens[i ^ 2], 0));
    for (int i = 0; i < 4; i++) {
        OK(broker_queue_take_dead(q, &kit_buffer, &v));
        cr_assert_eq(v.i, i ^ 2);
    }
}

Test(tokens, the_dead_can_be_revived)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_deliveries = 1});
    const char *name = kit_name("q");
    uint64_t n, deliveries, token;
    broker_value v;

    OK(broker_queue_revive(q, 5, &n));
    cr_assert_eq(n, 0);
    put_numbers(q, 0, 4);
    for (int i = 0; i < 3; i++)
        OK(broker_queue_return(q, lease(q, i), 0));
    cr_assert_eq(kit_stat(name, "unfinished"), 1);
    OK(broker_queue_revive(q, 2, &n));
    cr_assert_eq(n, 2);
    cr_assert_eq(kit_stat(name, "dead"), 1);
    cr_assert_eq(kit_stat(name, "unfinished"), 3);
    OK(broker_queue_lease(q, 0, HOUR, &kit_buffer, &v, &token, &deliveries));
    cr_assert(v.i == 0 && deliveries == 1);
    OK(broker_queue_return(q, token, 0));
    cr_assert_eq(kit_stat(name, "dead"), 2);
    OK(broker_queue_revive(q, UINT64_MAX, &n));
    cr_assert_eq(n, 2);
    cr_assert_str_eq(kit_drain(q), "[0, 1, 2, 3]");
}

Test(tokens, large_dead_are_taken_whole)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_deliveries = 1});
    const char *text = filling(100000, 1);
    uint64_t token;
    broker_value v;

    OK(broker_queue_put(q, broker_strn(text, 100000), 0));
    OK(broker_queue_lease(q, 0, HOUR, &kit_buffer, &v, &token, NULL));
    OK(broker_queue_return(q, token, 0));
    OK(broker_queue_take_dead(q, &kit_buffer, &v));
    cr_assert(v.size == 100000 && memcmp(v.data, text, v.size) == 0);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 0);
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

static int join_soon(struct call *c)
{
    return broker_queue_join(c->object, KIT_SOON);
}

/* Its consumer never says anything: the lease ends, the item is dead, the join is over. */
Test(tokens, a_join_ends_when_the_last_item_dies_by_its_time)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_deliveries = 1});
    struct call c;
    uint64_t token;

    put_numbers(q, 0, 1);
    token = lease_for(q, 0, HOUR);
    kit_call(&c, join_soon, q, 0);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_extend(q, token, A_MOMENT));
    OK(kit_return(&c));
    cr_assert_eq(kit_stat(kit_name("q"), "dead"), 1);
}

Test(tokens, options_of_deliveries_are_checked)
{
    broker_queue *q;
    broker_queue_options options = {.max_deliveries = 65536};

    GIVES(broker_queue_open(kit_broker, kit_name("q"), &options, &q), BROKER_INVALID);
    options.max_deliveries = 65535;
    OK(broker_queue_open(kit_broker, kit_name("q"), &options, &q));
    broker_queue_close(q);
    options.max_deliveries = 3;
    GIVES(broker_queue_open(kit_broker, kit_name("q"), &options, &q), BROKER_MISMATCH);
}

/* ---- others, and the end of sessions ---- */

struct job {
    broker_queue *q;
    int leases;
    int64_t hold_ns;
};

/* Leases so many items, tells the token of the last one, and waits for its end. */
static void consume(struct line *parent, void *arg)
{
    const struct job *job = arg;
    uint64_t token = 0;
    broker_value v;

    for (int i = 0; i < job->leases; i++)
        REQUIRE(
            broker_queue_lease(job->q, KIT_SOON, job->hold_ns, &kit_buffer, &v, &token, NULL) == 0);
    kit_tell(parent, token);
    (void)kit_hear(parent);
}

/* [2.3 a token of another session] */
Test(tokens, a_token_is_good_for_its_session_alone)
{
    broker_queue *q = kit_queue("q", NULL);
    struct job job = {.q = q, .leases = 2, .hold_ns = BROKER_FOREVER};
    struct line c;
    uint64_t token;

    put_numbers(q, 0, 2);
    c = kit_fork(consume, &job);
    token = kit_hear(&c);
    GIVES(broker_queue_done(q, token), BROKER_NOTOWNER);
    GIVES(broker_queue_return(q, token, 0), BROKER_NOTOWNER);
    GIVES(broker_queue_extend(q, token, HOUR), BROKER_NOTOWNER);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 2);
    kit_tell(&c, 0);
    kit_end(&c);
    kit_await(kit_name("q"), "returned", 2);
    GIVES(broker_queue_done(q, token), BROKER_NOTFOUND);
}

/* [2.3 a dead consumer] */
Test(tokens, leases_of_the_killed_come_back_in_their_places)
{
    const broker_queue_options orders[3] = {{0}, {.lifo = true}, {.priority = true}};
    const char *const names[3] = {"fifo", "lifo", "priority"};

    for (int i = 0; i < 3; i++) {
        broker_queue *q = kit_queue(names[i], &orders[i]);
        struct job job = {.q = q, .leases = 3, .hold_ns = i == 1 ? HOUR : BROKER_FOREVER};
        struct line c;

        put_numbers(q, 0, 5);
        c = kit_fork(consume, &job);
        (void)kit_hear(&c);
        put_numbers(q, 5, 6);
        kit_kill(&c);
        kit_await(kit_name(names[i]), "returned", 3);
        cr_assert_str_eq(kit_drain(q), i == 1 ? "[5, 4, 3, 2, 1, 0]" : "[0, 1, 2, 3, 4, 5]");
    }
}

Test(tokens, who_waits_gets_what_the_killed_had)
{
    broker_queue *q = kit_queue("q", NULL);
    struct job job = {.q = q, .leases = 1, .hold_ns = HOUR};
    struct line c;
    struct call waiter;

    put_numbers(q, 3, 4);
    c = kit_fork(consume, &job);
    (void)kit_hear(&c);
    kit_call(&waiter, call_get, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 1);
    kit_kill(&c);
    OK(kit_return(&waiter));
    cr_assert_eq(waiter.number, 3);
}

/* Each consumer dies of it: after so many it is nobody's any more, and the join is over. */
Test(tokens, an_item_that_kills_its_consumers_dies_in_the_end)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_deliveries = 3});
    struct job job = {.q = q, .leases = 1, .hold_ns = BROKER_FOREVER};
    broker_value v;

    put_numbers(q, 0, 1);
    for (int i = 0; i < 3; i++) {
        struct line c = kit_fork(consume, &job);

        (void)kit_hear(&c);
        kit_kill(&c);
    }
    OK(broker_queue_join(q, KIT_SOON));
    cr_assert_eq(kit_stat(kit_name("q"), "dead"), 1);
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
    OK(broker_queue_take_dead(q, &kit_buffer, &v));
    cr_assert_eq(v.i, 0);
}

/* The sleeper that would have been first to see the end of a lease is killed: others see it too. */
Test(tokens, a_killed_sleeper_takes_no_timer_along)
{
    broker_queue *q = kit_queue("q", NULL);
    struct job job = {.q = q, .leases = 1, .hold_ns = HOUR};
    struct line c;
    struct call waiter;
    uint64_t token;

    put_numbers(q, 0, 1);
    token = lease(q, 0);
    c = kit_fork(consume, &job);
    kit_await_waiters(kit_name("q"), 1);
    kit_call(&waiter, call_get, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 2);
    OK(broker_queue_extend(q, token, 2 * A_MOMENT));
    kit_kill(&c);
    OK(kit_return(&waiter));
    cr_assert_eq(waiter.number, 0);
}

Test(tokens, closing_the_queue_gives_leases_back)
{
    broker_queue *q = kit_queue("q", NULL), *again;

    put_numbers(q, 0, 2);
    (void)lease_for(q, 0, HOUR);
    (void)lease(q, 1);
    broker_queue_close(q);
    OK(broker_queue_open(kit_broker, kit_name("q"), NULL, &again));
    cr_assert_str_eq(kit_drain(again), "[0, 1]");
    broker_queue_close(again);
}
