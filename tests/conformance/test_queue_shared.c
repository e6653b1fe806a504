/*
 * test_queue_shared.c - producers and consumers in several processes
 */
#include "conformance/kit.h"

TestSuite(queue_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)

static void produce_in_order(struct line *parent, void *arg)
{
    (void)parent;
    for (int64_t i = 0, n = kit_often(20000); i < n; i++)
        REQUIRE(broker_queue_put(arg, INT(i), BROKER_FOREVER) == 0);
}

/* Two processes, one queue: nothing lost, nothing twice, in order. */
Test(queue_shared, one_producer_and_one_consumer_keep_the_order)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 100});
    struct line producer = kit_fork(produce_in_order, q);
    broker_value v;

    for (int64_t i = 0, n = kit_often(20000); i < n; i++) {
        OK(broker_queue_get(q, KIT_SOON, &kit_buffer, &v));
        if (v.i != i)
            cr_assert_fail("%lld came in the place of %lld", (long long)v.i, (long long)i);
    }
    kit_end(&producer);
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
}

/* A conversation: each answer is waited for before the next question. */
static void answer(struct line *parent, void *arg)
{
    broker_queue *const *q = arg;
    broker_value v;

    (void)parent;
    while (broker_queue_get(q[0], KIT_SOON, &kit_buffer, &v) == 0)
        REQUIRE(broker_queue_put(q[1], INT(v.i + 1), BROKER_FOREVER) == 0);
}

Test(queue_shared, two_processes_converse)
{
    broker_queue *q[2] = {kit_queue("there", NULL), kit_queue("back", NULL)};
    struct line other = kit_fork(answer, q);
    const int64_t n = kit_often(2000);
    broker_value v = INT(0);

    for (int64_t i = 0; i < n; i++) {
        OK(broker_queue_put(q[0], v, BROKER_FOREVER));
        OK(broker_queue_get(q[1], KIT_SOON, &kit_buffer, &v));
    }
    cr_assert_eq(v.i, n);
    OK(broker_queue_shutdown(q[0]));
    kit_end(&other);
}

struct part {
    broker_queue *q;
    int64_t from, n;
};

static void produce_part(struct line *parent, void *arg)
{
    const struct part *part = arg;

    (void)parent;
    for (int64_t i = 0; i < part->n; i++)
        REQUIRE(broker_queue_put(part->q, INT(part->from + i), BROKER_FOREVER) == 0);
}

#define N_PRODUCERS 3
#define PER_PRODUCER 1000

/* Says which items it got, as one sum, and that those of each producer came in order. */
static void consume_parts(struct line *parent, void *arg)
{
    int64_t last[N_PRODUCERS] = {-1, -1, -1};
    uint64_t n = 0, sum = 0;
    broker_value v;
    int r;

    while ((r = broker_queue_get(arg, BROKER_FOREVER, &kit_buffer, &v)) == 0) {
        int64_t producer = v.i / 100000, number = v.i % 100000;

        REQUIRE(producer < N_PRODUCERS && number > last[producer]);
        last[producer] = number;
        sum += (uint64_t)v.i;
        n++;
    }
    REQUIRE(r == BROKER_CLOSED);
    kit_tell(parent, n);
    kit_tell(parent, sum);
}

/* 3 producers, 2 consumers; no sentinels: the queue is shut down when the producers are done. */
Test(queue_shared, every_item_goes_to_one_consumer_and_producers_keep_their_order)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 10});
    struct line producers[N_PRODUCERS], consumers[2];
    struct part parts[N_PRODUCERS];
    uint64_t n = 0, sum = 0, expected = 0;

    for (int i = 0; i < 2; i++)
        consumers[i] = kit_fork(consume_parts, q);
    for (int i = 0; i < N_PRODUCERS; i++) {
        parts[i] = (struct part){q, i * 100000, PER_PRODUCER};
        expected +=
            (uint64_t)(parts[i].from * PER_PRODUCER + PER_PRODUCER * (PER_PRODUCER - 1) / 2);
        producers[i] = kit_fork(produce_part, &parts[i]);
    }
    for (int i = 0; i < N_PRODUCERS; i++)
        kit_end(&producers[i]);
    OK(broker_queue_shutdown(q));
    for (int i = 0; i < 2; i++) {
        n += kit_hear(&consumers[i]);
        sum += kit_hear(&consumers[i]);
        kit_end(&consumers[i]);
    }
    cr_assert_eq(n, N_PRODUCERS * PER_PRODUCER);
    cr_assert_eq(sum, expected);
}

static int put_many_in_thread(struct call *c)
{
    static const uint8_t three[] = {0x93, 0x01, 0x02, 0x03};
    int r = 0;

    for (int i = 0; i < 300 && r == 0; i++)
        r = broker_queue_put_many(c->object, broker_packed(three, sizeof(three)), BROKER_FOREVER);
    return r;
}

static int get_in_thread(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r;

    while ((r = broker_queue_get(c->object, BROKER_FOREVER, &buffer, &v)) == 0)
        c->number += v.i;
    broker_buffer_free(&buffer);
    return r == BROKER_CLOSED ? 0 : r;
}

/* Threads on one handle, bulk putters that wait for room among single getters. */
Test(queue_shared, threads_share_a_handle)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 4});
    struct call putters[3], getters[2];

    for (int i = 0; i < 2; i++)
        kit_call(&getters[i], get_in_thread, q, 0);
    for (int i = 0; i < 3; i++)
        kit_call(&putters[i], put_many_in_thread, q, 0);
    for (int i = 0; i < 3; i++)
        OK(kit_return(&putters[i]));
    OK(broker_queue_shutdown(q));
    for (int i = 0; i < 2; i++)
        OK(kit_return(&getters[i]));
    cr_assert_eq(getters[0].number + getters[1].number, 3 * 300 * 6);
}

static void work(struct line *parent, void *arg)
{
    broker_value v;

    (void)parent;
    for (;;) {
        int r = broker_queue_get(arg, BROKER_FOREVER, &kit_buffer, &v);

        if (r < 0)
            break;
        REQUIRE(broker_queue_task_done(arg) == 0);
    }
}

/* JoinableQueue(5) with daemon consumers: join returns only after the last task_done; killing them
 * then costs nothing. */
Test(queue_shared, consumers_that_are_killed_after_join_cost_nothing)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true, .max_items = 5});
    struct line workers[2];

    for (int i = 0; i < 2; i++)
        workers[i] = kit_fork(work, q);
    for (int64_t i = 0; i < 500; i++)
        OK(broker_queue_put(q, INT(i), BROKER_FOREVER));
    OK(broker_queue_join(q, BROKER_FOREVER));
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 0);
    for (int i = 0; i < 2; i++)
        kit_kill(&workers[i]);
    kit_await(kit_name("q"), "waiters", 0);
    cr_assert_eq(kit_stat(kit_name("q"), "returned"), 0);
    OK(broker_queue_put(q, INT(1), 0));
    cr_assert_str_eq(kit_drain(q), "[1]");
}
