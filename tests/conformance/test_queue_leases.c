/*
 * test_queue_leases.c - what becomes of items whose consumer dies
 *
 * On a joinable queue a get is a lease until task_done. What a dead session had leased goes back to
 * its place, as redelivered; on a plain queue a get is the end.
 */
#include "conformance/calls.h"

TestSuite(leases, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)

static const broker_queue_options joinable = {.joinable = true};

/* What a consumer is to do. */
struct job {
    broker_queue *q;
    int gets, dones;  /* so many, in this order */
    uint64_t at_once; /* not 0: by get_many of so many */
};

/* Takes and finishes, says so, and waits for its end. */
static void consume(struct line *parent, void *arg)
{
    const struct job *job = arg;
    broker_value v;

    for (int i = 0; i < job->gets; i++)
        if (job->at_once != 0)
            REQUIRE(broker_queue_get_many(job->q, job->at_once, KIT_SOON, &kit_buffer, &v) == 0);
        else
            REQUIRE(broker_queue_get(job->q, KIT_SOON, &kit_buffer, &v) == 0);
    for (int i = 0; i < job->dones; i++)
        REQUIRE(broker_queue_task_done(job->q) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

/* A consumer that has done its gets and dones, and lives. */
static struct line consumer(struct job *job)
{
    struct line line = kit_fork(consume, job);

    (void)kit_hear(&line);
    return line;
}

static void put_numbers(broker_queue *q, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_queue_put(q, INT(i), 0));
}

/* The dead are taken away by somebody else, soon: what comes of it is waited for by the statistic.
 */
static void await_returned(const char *base, uint64_t n)
{
    kit_await(kit_name(base), "returned", n);
}

Test(leases, items_of_a_killed_consumer_come_back_in_their_place_and_order)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c;

    put_numbers(q, 0, 6);
    c = consumer(&(struct job){.q = q, .gets = 4});
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 4);
    cr_assert_eq(kit_stat(kit_name("q"), "items"), 2);
    kit_kill(&c);
    await_returned("q", 4);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 6);
    put_numbers(q, 6, 8);
    cr_assert_str_eq(kit_drain(q), "[0, 1, 2, 3, 4, 5, 6, 7]");
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 4, "each came back once");
}

Test(leases, what_was_done_before_the_death_does_not_come_back)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c;

    put_numbers(q, 0, 6);
    c = consumer(&(struct job){.q = q, .gets = 4, .dones = 3});
    kit_kill(&c);
    await_returned("q", 1);
    cr_assert_str_eq(kit_drain(q), "[3, 4, 5]");
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 3);
}

Test(leases, on_a_plain_queue_a_get_is_the_end)
{
    broker_queue *q = kit_queue("q", NULL);
    const char *large = filling(100000, 0);
    struct line c;

    put_numbers(q, 0, 3);
    OK(broker_queue_put(q, broker_strn(large, 100000), 0));
    put_numbers(q, 4, 6);
    c = consumer(&(struct job){.q = q, .gets = 4});
    kit_kill(&c);
    cr_assert_str_eq(kit_drain(q), "[4, 5]");
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 0);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
}

/* get_many takes leases too, each its own. */
Test(leases, a_batch_comes_back_in_order)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c;

    put_numbers(q, 0, 100);
    c = consumer(&(struct job){.q = q, .gets = 1, .at_once = 50, .dones = 20});
    kit_kill(&c);
    await_returned("q", 30);
    cr_assert_eq(kit_stat(kit_name("q"), "items"), 80);
    for (int64_t i = 20; i < 100; i++) {
        broker_value v;

        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert_eq(v.i, i);
        OK(broker_queue_task_done(q));
    }
    OK(broker_queue_join(q, 0));
}

Test(leases, large_items_come_back_whole)
{
    broker_queue *q = kit_queue("q", &joinable);
    const char *text = filling(1 << 20, 1);
    struct line c;
    broker_value v;

    for (size_t i = 0; i < 4; i++)
        OK(broker_queue_put(q, broker_strn(text + i, (1 << 20) - 10 * i), 0));
    c = consumer(&(struct job){.q = q, .gets = 3, .dones = 1});
    kit_kill(&c);
    await_returned("q", 2);
    for (size_t i = 1; i < 4; i++) {
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert(v.size == (1 << 20) - 10 * i && memcmp(v.data, text + i, v.size) == 0);
        OK(broker_queue_task_done(q));
    }
    OK(broker_queue_join(q, 0));
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

/* Three consumers hold every third item and die one after the other. */
Test(leases, items_of_several_dead_find_their_places)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c[3];
    struct job job = {.q = q, .gets = 2};

    put_numbers(q, 0, 8);
    for (int i = 0; i < 3; i++)
        c[i] = consumer(&job);
    kit_kill(&c[1]);
    await_returned("q", 2);
    kit_kill(&c[2]);
    await_returned("q", 4);
    kit_kill(&c[0]);
    await_returned("q", 6);
    cr_assert_str_eq(kit_drain(q), "[0, 1, 2, 3, 4, 5, 6, 7]");
}

/* Over segments: those that were passed must stay as long as something in them is held. */
Test(leases, items_come_back_over_many_segments)
{
    broker_queue *q = kit_queue("q", &joinable);
    const char *text = filling(2000, 0);
    struct line c;
    broker_value v;

    for (int64_t i = 0; i < 100; i++)
        OK(broker_queue_put(q, broker_strn(text, 1000 + (size_t)i), 0));
    c = consumer(&(struct job){.q = q, .gets = 70, .dones = 25});
    kit_kill(&c);
    await_returned("q", 45);
    for (uint32_t i = 25; i < 100; i++) {
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert_eq(v.size, 1000 + i);
        OK(broker_queue_task_done(q));
    }
    OK(broker_queue_join(q, 0));
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

Test(leases, an_item_can_come_back_again_and_again)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct job job = {.q = q, .gets = 1};

    put_numbers(q, 0, 2);
    for (uint64_t i = 1; i <= 5; i++) {
        struct line c = consumer(&job);

        kit_kill(&c);
        await_returned("q", i);
    }
    cr_assert_str_eq(kit_drain(q), "[0, 1]");
}

/* Takes an item, and leaves it: by closing the queue, then by closing the broker. */
static void leave_twice(struct line *parent, void *arg)
{
    broker_queue *q = arg;
    broker_value v;

    REQUIRE(broker_queue_get(q, 0, &kit_buffer, &v) == 0);
    broker_queue_close(q);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    REQUIRE(broker_queue_open(kit_broker, kit_name("q"), NULL, &q) == 0);
    REQUIRE(broker_queue_get(q, 0, &kit_buffer, &v) == 0);
    broker_close(kit_broker);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

Test(leases, items_of_who_leaves_in_good_order_come_back_at_once)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c;

    put_numbers(q, 0, 2);
    c = kit_fork(leave_twice, q);
    (void)kit_hear(&c);
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 1);
    cr_assert_eq(kit_stat(kit_name("q"), "items"), 2);
    kit_tell(&c, 0);
    (void)kit_hear(&c);
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 2);
    kit_tell(&c, 0);
    kit_end(&c);
    cr_assert_str_eq(kit_drain(q), "[0, 1]");
}

/* Handles are counted: the first close of two gives nothing back. */
Test(leases, only_the_last_close_gives_items_back)
{
    broker_queue *q = kit_queue("q", &joinable), *again = kit_queue("q", NULL);
    broker_value v;

    put_numbers(q, 0, 2);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    broker_queue_close(again);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 1);
    broker_queue_close(q);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
    q = kit_queue("q", NULL);
    cr_assert_str_eq(kit_drain(q), "[0, 1]");
}

/* P2, P3: a death wakes who waits for what the dead had. */
Test(leases, a_waiting_consumer_gets_the_item_of_a_dead_one)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct call getter;
    struct line c;

    put_numbers(q, 7, 8);
    c = consumer(&(struct job){.q = q, .gets = 1});
    kit_call(&getter, call_get, q, BROKER_FOREVER);
    kit_await_waiters(kit_name("q"), 1);
    kit_kill(&c);
    OK(kit_return(&getter));
    cr_assert_eq(getter.number, 7);
}

static void finish_all(struct line *parent, void *arg)
{
    broker_value v;

    (void)parent;
    while (broker_queue_get(arg, KIT_SOON, &kit_buffer, &v) == 0)
        REQUIRE(broker_queue_task_done(arg) == 0);
}

/* JoinableQueue(5): join ends although a consumer was killed with an item, because another gets
 * that item. */
Test(leases, join_ends_although_a_consumer_died)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true, .max_items = 5});
    struct line dying, other;

    put_numbers(q, 0, 5);
    dying = consumer(&(struct job){.q = q, .gets = 2});
    kit_kill(&dying);
    other = kit_fork(finish_all, q);
    for (int64_t i = 5; i < 20; i++)
        OK(broker_queue_put(q, INT(i), BROKER_FOREVER));
    OK(broker_queue_join(q, BROKER_FOREVER));
    cr_assert_eq(kit_stat(kit_name("q"), "puts"), 20);
    OK(broker_queue_shutdown(q));
    kit_end(&other);
}

/* What comes back may be more than max_items: nothing new goes in until there is room again. */
Test(leases, items_that_come_back_are_not_refused_by_a_full_queue)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true, .max_items = 2});
    struct line c;
    broker_value v;
    bool full;

    put_numbers(q, 0, 2);
    c = consumer(&(struct job){.q = q, .gets = 2});
    put_numbers(q, 2, 4);
    kit_kill(&c);
    await_returned("q", 2);
    cr_assert_eq(kit_stat(kit_name("q"), "items"), 4);
    OK(broker_queue_full(q, &full));
    cr_assert(full);
    for (int64_t i = 0; i < 3; i++) {
        GIVES(broker_queue_put(q, INT(9), 0), BROKER_FULL);
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert_eq(v.i, i);
    }
    OK(broker_queue_put(q, INT(4), 0));
    cr_assert_str_eq(kit_drain(q), "[3, 4]");
}

/* A closed queue still gives what comes back; CLOSED comes when nothing is left. */
Test(leases, items_come_back_into_a_closed_queue)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c;
    broker_value v;

    put_numbers(q, 0, 1);
    c = consumer(&(struct job){.q = q, .gets = 1});
    OK(broker_queue_shutdown(q));
    kit_kill(&c);
    await_returned("q", 1);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    SAYS(v, "0");
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_CLOSED);
}

/* task_done of one session does not end another's lease. */
Test(leases, task_done_ends_the_callers_own_oldest_lease)
{
    broker_queue *q = kit_queue("q", &joinable);
    broker_value v;
    struct line c;

    put_numbers(q, 0, 4);
    c = consumer(&(struct job){.q = q, .gets = 2});
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_task_done(q));
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 3);
    kit_kill(&c);
    await_returned("q", 2);
    cr_assert_str_eq(kit_drain(q), "[0, 1]");
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 3);
    broker_queue_close(q);
    q = kit_queue("q", NULL);
    cr_assert_str_eq(kit_drain(q), "[0, 1, 3]", "2 was done, 3 was not");
}

static void wait_for_ever(struct line *parent, void *arg)
{
    broker_value v;

    kit_tell(parent, 0);
    (void)broker_queue_get(arg, BROKER_FOREVER, &kit_buffer, &v);
}

/* A killed sleeper leaves no ghost that eats an item, and is counted off. */
Test(leases, a_killed_sleeper_leaves_no_ghost)
{
    broker_queue *q = kit_queue("q", &joinable);
    struct line c = kit_fork(wait_for_ever, q);
    broker_value v;

    (void)kit_hear(&c);
    kit_await_waiters(kit_name("q"), 1);
    kit_kill(&c);
    kit_await(kit_name("q"), "waiters", 0);
    put_numbers(q, 0, 1);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    SAYS(v, "0");
}

/* So many that one section cannot give them back. */
Test(leases, many_leases_come_back_each_to_its_place)
{
    enum { N = 300 };
    static const broker_queue_options orders[] = {
        {.joinable = true}, {.joinable = true, .lifo = true}, {.joinable = true, .priority = true}};

    for (size_t order = 0; order < 3; order++) {
        char base[2] = {(char)('a' + order), 0};
        broker_queue *q = kit_queue(base, &orders[order]);
        struct line c;
        broker_value v;

        put_numbers(q, 0, N);
        c = consumer(&(struct job){.q = q, .gets = N});
        kit_kill(&c);
        await_returned(base, N);
        for (int64_t i = 0; i < N; i++) {
            OK(broker_queue_get(q, 0, &kit_buffer, &v));
            cr_assert_eq(v.i, orders[order].lifo ? N - 1 - i : i);
        }
    }
}
