/*
 * test_pipe_shared.c - a pipe between processes, and what is left of it when they die
 */
#include "conformance/kit.h"
#include "conformance/roads.h"

#include <string.h>

#define INT(number) broker_int(number)

TestSuite(pipe_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define N_MESSAGES 2000
#define LARGE 100000u

static void answer(struct line *parent, void *arg)
{
    broker_value v;
    int r;

    (void)parent;
    while ((r = broker_pipe_recv(arg, 1, KIT_SOON, &kit_buffer, &v)) == 0)
        REQUIRE(broker_pipe_send(arg, 1, INT(v.i + 1), BROKER_FOREVER) == 0);
    REQUIRE(r == BROKER_CLOSED);
}

/* The child ends by the end of the file. */
Test(pipe_shared, two_processes_converse)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct line other = kit_fork(answer, p);
    broker_value v = INT(0);

    for (int i = 0; i < N_MESSAGES; i++) {
        OK(broker_pipe_send(p, 0, v, BROKER_FOREVER));
        OK(broker_pipe_recv(p, 0, KIT_SOON, &kit_buffer, &v));
    }
    cr_assert_eq(v.i, N_MESSAGES);
    OK(broker_pipe_release(p, 0));
    kit_end(&other);
}

/* ---- the ways an end is over ---- */

static void hold_and_stay(struct line *parent, void *arg)
{
    REQUIRE(broker_pipe_send(arg, 1, INT(1), 0) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

static void hold_and_close(struct line *parent, void *arg)
{
    REQUIRE(broker_pipe_send(arg, 1, INT(1), 0) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    broker_pipe_close(arg);
    (void)kit_hear(parent);
}

/* Goes on until the end of the file; how many messages there were. */
static int recv_until_end(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r;

    while ((r = broker_pipe_recv(c->object, 0, KIT_SOON, &buffer, &v)) == 0)
        c->number++;
    broker_buffer_free(&buffer);
    return r;
}

/* A receiver that waits when the other end's holder is ended by @end. */
static struct line expect_end(
    void (*run)(struct line *parent, void *arg), void (*end)(struct line *line))
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct line other = kit_fork(run, p);
    struct call receiver;

    (void)kit_hear(&other);
    kit_call(&receiver, recv_until_end, p, 0);
    kit_await_waiters(kit_name("p"), 1);
    end(&other);
    GIVES(kit_return(&receiver), BROKER_CLOSED);
    cr_assert_eq(receiver.number, 1);
    GIVES(broker_pipe_send(p, 0, INT(1), BROKER_FOREVER), BROKER_CLOSED);
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 0);
    return other;
}

static void let_go_on(struct line *line)
{
    kit_tell(line, 0);
}

Test(pipe_shared, the_end_of_a_process_is_the_end_of_the_file)
{
    struct line other = expect_end(hold_and_stay, let_go_on);

    kit_end(&other);
}

Test(pipe_shared, closing_the_last_handle_is_the_end_of_the_file)
{
    struct line other = expect_end(hold_and_close, let_go_on);

    kit_kill(&other); /* it was alive */
}

Test(pipe_shared, the_death_of_the_last_holder_is_the_end_of_the_file)
{
    (void)expect_end(hold_and_stay, kit_kill);
}

/* [EOF after the last writer closes] one of two is not the last. */
Test(pipe_shared, the_end_of_the_file_is_the_end_of_all_holders)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct line first = kit_fork(hold_and_stay, p), second = kit_fork(hold_and_stay, p);
    broker_value v;

    (void)kit_hear(&first);
    (void)kit_hear(&second);
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 2);
    kit_kill(&first);
    kit_await(kit_name("p"), "holders_1", 1);
    OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
    OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
    GIVES(broker_pipe_recv(p, 0, 0, &kit_buffer, &v), BROKER_EMPTY);
    kit_kill(&second);
    GIVES(broker_pipe_recv(p, 0, KIT_SOON, &kit_buffer, &v), BROKER_CLOSED);
}

static void send_while_full(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    (void)broker_pipe_send(arg, 1, INT(2), BROKER_FOREVER);
}

/* The receiver dies while senders wait for it to make room. */
Test(pipe_shared, the_death_of_the_receiver_wakes_senders)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 1});
    struct line other = kit_fork(hold_and_stay, p);

    (void)kit_hear(&other);
    OK(broker_pipe_send(p, 0, INT(1), 0));
    struct line sender = kit_fork(send_while_full, p);
    (void)kit_hear(&sender);
    kit_await_waiters(kit_name("p"), 1);
    kit_kill(&other);
    kit_kill(&sender);
    kit_await(kit_name("p"), "holders_1", 0);
    GIVES(broker_pipe_send(p, 0, INT(1), BROKER_FOREVER), BROKER_CLOSED);
}

/* ---- deaths in the middle ---- */

static void wait_for_message(struct line *parent, void *arg)
{
    broker_value v;

    (void)parent;
    (void)broker_pipe_recv(arg, 0, BROKER_FOREVER, &kit_buffer, &v);
}

/* A killed waiter takes nothing with it. */
Test(pipe_shared, the_death_of_a_waiter_costs_no_message)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct line waiter = kit_fork(wait_for_message, p);
    struct call receiver;

    kit_await_waiters(kit_name("p"), 1);
    kit_call(&receiver, recv_until_end, p, 0);
    kit_await_waiters(kit_name("p"), 2);
    kit_bury(&waiter);
    for (int i = 0; i < 10; i++)
        OK(broker_pipe_send(p, 1, INT(i), 0));
    OK(broker_pipe_release(p, 1));
    GIVES(kit_return(&receiver), BROKER_CLOSED);
    cr_assert_eq(receiver.number, 10);
}

static void send_until_killed(struct line *parent, void *arg)
{
    REQUIRE(broker_pipe_hold(arg, 1) == 0);
    kit_tell(parent, 0);
    for (int64_t i = 0;; i++)
        REQUIRE(broker_pipe_send(arg, 1, INT(i), BROKER_FOREVER) == 0);
}

/* A killed sender leaves whole messages in order, and a receiver that does not hang. */
Test(pipe_shared, the_death_of_a_sender_is_the_end_after_its_last_message)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 3});
    int n_rounds = road_is_local() ? 20 : 6; /* by ZeroMQ each waits for a session to end */
    broker_value v;

    for (int round = 0; round < n_rounds; round++) {
        struct line sender = kit_fork(send_until_killed, p);
        int64_t n = 0;
        int r;

        (void)kit_hear(&sender);
        for (; n < 10 * round; n++) {
            OK(broker_pipe_recv(p, 0, KIT_SOON, &kit_buffer, &v));
            cr_assert_eq(v.i, n);
        }
        kit_kill(&sender);
        while ((r = broker_pipe_recv(p, 0, KIT_SOON, &kit_buffer, &v)) == 0)
            cr_assert_eq(v.i, n++);
        GIVES(r, BROKER_CLOSED);
    }
}

static void receive_until_killed(struct line *parent, void *arg)
{
    broker_value v;

    while (broker_pipe_recv(arg, 0, KIT_SOON, &kit_buffer, &v) == 0) {
        kit_tell(parent, ((const uint8_t *)v.data)[0]);
        (void)kit_hear(parent);
    }
}

/*
 * Killed anywhere, also while it copies a large message, a receiver costs at most the one that it
 * had taken and could not tell of; none comes twice.
 */
Test(pipe_shared, the_death_of_a_receiver_loses_nothing_that_it_had_not_taken)
{
    broker_pipe *p = kit_pipe("p", NULL);
    uint8_t *bytes = words_keep(LARGE);
    broker_value v;

    for (int round = 0; round < 20; round++) {
        struct line receiver;
        uint64_t last = 0, first;

        for (uint8_t i = 1; i <= 40; i++) {
            memset(bytes, i, LARGE);
            OK(broker_pipe_send(p, 1, broker_bin(bytes, LARGE), 0));
        }
        receiver = kit_fork(receive_until_killed, p);
        for (int i = 0; i <= round; i++) {
            last = kit_hear(&receiver);
            kit_tell(&receiver, 0);
        }
        cr_assert_eq(last, (uint64_t)round + 1);
        kit_kill(&receiver);
        kit_await(kit_name("p"), "reading_0", 0);
        OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
        first = ((const uint8_t *)v.data)[0];
        cr_assert(first == last + 1 || first == last + 2);
        for (uint64_t i = first + 1; i <= 40; i++) {
            OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
            cr_assert_eq(((const uint8_t *)v.data)[LARGE - 1], i);
        }
        GIVES(broker_pipe_recv(p, 0, 0, &kit_buffer, &v), BROKER_EMPTY);
    }
    cr_assert_eq(kit_stat(kit_name("p"), "quarantined"), 0);
}

#define N_RECEIVERS 3

static void sum_messages(struct line *parent, void *arg)
{
    uint64_t sum = 0, n = 0;
    broker_value v;
    int r;

    while ((r = broker_pipe_recv(arg, 1, KIT_SOON, &kit_buffer, &v)) == 0) {
        sum += (uint64_t)v.i;
        n++;
    }
    REQUIRE(r == BROKER_CLOSED);
    kit_tell(parent, n);
    kit_tell(parent, sum);
}

Test(pipe_shared, each_message_goes_to_one_of_several_holders)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 5});
    struct line receivers[N_RECEIVERS];
    uint64_t n = 0, sum = 0;

    for (int i = 0; i < N_RECEIVERS; i++)
        receivers[i] = kit_fork(sum_messages, p);
    for (int64_t i = 0; i < N_MESSAGES; i++)
        OK(broker_pipe_send(p, 0, INT(i), BROKER_FOREVER));
    OK(broker_pipe_release(p, 0));
    for (int i = 0; i < N_RECEIVERS; i++) {
        n += kit_hear(&receivers[i]);
        sum += kit_hear(&receivers[i]);
        kit_end(&receivers[i]);
    }
    cr_assert_eq(n, N_MESSAGES);
    cr_assert_eq(sum, (uint64_t)N_MESSAGES * (N_MESSAGES - 1) / 2);
}
