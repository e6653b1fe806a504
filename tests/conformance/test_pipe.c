/*
 * test_pipe.c - the pipe: messages, limits and ends, in one session
 *
 * The names in brackets are those of CPython's multiprocessing.connection whose rule a case shows.
 */
#include "conformance/kit.h"

#include <stdio.h>
#include <string.h>

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define SHORT BROKER_MILLISECOND

TestSuite(pipe, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

/* The next message, or the name of the failure. */
static const char *next(broker_pipe *p, uint64_t end)
{
    broker_value v;
    int r = broker_pipe_recv(p, end, 0, &kit_buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

#define NEXT(pipe, end, text) cr_assert_str_eq(next(pipe, end), (text))

static uint64_t count(broker_pipe *p, uint64_t end)
{
    uint64_t n;

    OK(broker_pipe_len(p, end, &n));
    return n;
}

/* [Pipe(duplex=True), send, recv] */
Test(pipe, messages_go_both_ways_each_in_order)
{
    broker_pipe *p = kit_pipe("p", NULL);

    OK(broker_pipe_send(p, 0, STR("a"), 0));
    OK(broker_pipe_send(p, 0, value_of("[1, {2: 3}]"), 0));
    OK(broker_pipe_send(p, 1, INT(-5), 0));
    cr_assert_eq(count(p, 0), 1);
    cr_assert_eq(count(p, 1), 2);
    NEXT(p, 1, "'a'");
    NEXT(p, 0, "-5");
    OK(broker_pipe_send(p, 0, broker_double(0.5), 0));
    NEXT(p, 1, "[1, {2: 3}]");
    NEXT(p, 1, "0.5");
    NEXT(p, 1, "EMPTY");
    NEXT(p, 0, "EMPTY");
}

/* [Pipe(duplex=False)] the first connection receives, the second sends. */
Test(pipe, a_one_way_pipe_has_one_end_for_each)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.one_way = true});

    OK(broker_pipe_send(p, 1, INT(1), 0));
    NEXT(p, 0, "1");
    GIVES(broker_pipe_send(p, 0, INT(1), 0), BROKER_INVALID);
    NEXT(p, 1, "INVALID");
    GIVES(broker_pipe_poll(p, 1, 0), BROKER_INVALID);
    OK(broker_pipe_hold(p, 0));
    OK(broker_pipe_hold(p, 1));
    cr_assert_eq(kit_stat(kit_name("p"), "one_way"), 1);
}

/* [poll(timeout)] */
Test(pipe, waiting_ends_in_time)
{
    broker_pipe *p = kit_pipe("p", NULL);
    broker_value v = INT(7);

    GIVES(broker_pipe_recv(p, 0, 0, &kit_buffer, &v), BROKER_EMPTY);
    GIVES(broker_pipe_recv(p, 0, SHORT, &kit_buffer, &v), BROKER_TIMEDOUT);
    GIVES(broker_pipe_poll(p, 0, 0), BROKER_EMPTY);
    GIVES(broker_pipe_poll(p, 0, SHORT), BROKER_TIMEDOUT);
    cr_assert_eq(v.i, 7);
    OK(broker_pipe_send(p, 1, INT(1), BROKER_FOREVER));
    OK(broker_pipe_poll(p, 0, 0));
    OK(broker_pipe_poll(p, 0, BROKER_FOREVER));
    OK(broker_pipe_recv(p, 0, SHORT, &kit_buffer, &v));
    cr_assert_eq(v.i, 1);
    GIVES(broker_pipe_poll(p, 0, 0), BROKER_EMPTY);
}

Test(pipe, arguments_are_checked_and_nothing_is_held_by_mistake)
{
    broker_pipe *p = kit_pipe("p", NULL);
    broker_value v;
    uint64_t n;

    GIVES(broker_pipe_hold(p, 2), BROKER_INVALID);
    GIVES(broker_pipe_release(p, 2), BROKER_INVALID);
    GIVES(broker_pipe_send(p, UINT64_C(1) << 32, INT(1), 0), BROKER_INVALID);
    GIVES(broker_pipe_recv(p, 2, 0, &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_pipe_poll(p, 2, 0), BROKER_INVALID);
    GIVES(broker_pipe_len(p, 2, &n), BROKER_INVALID);
    GIVES(broker_pipe_send(p, 0, INT(1), -1), BROKER_INVALID);
    GIVES(broker_pipe_recv(p, 0, -1, &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_pipe_poll(p, 0, -1), BROKER_INVALID);
    GIVES(broker_pipe_send(p, 0, broker_packed("\x92", 1), 0), BROKER_INVALID);
    GIVES(broker_pipe_release(p, 0), BROKER_NOTOWNER);
    cr_assert_eq(kit_stat(kit_name("p"), "holders_0"), 0);
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 0);
    OK(broker_pipe_len(p, 0, &n));
    cr_assert_eq(kit_stat(kit_name("p"), "holders_0"), 0);
}

/* ---- limits ---- */

Test(pipe, max_items_counts_each_direction_alone)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 2});

    OK(broker_pipe_send(p, 0, INT(1), 0));
    OK(broker_pipe_send(p, 0, INT(2), 0));
    GIVES(broker_pipe_send(p, 0, INT(3), 0), BROKER_FULL);
    GIVES(broker_pipe_send(p, 0, INT(3), SHORT), BROKER_TIMEDOUT);
    OK(broker_pipe_send(p, 1, INT(4), 0));
    NEXT(p, 1, "1");
    OK(broker_pipe_send(p, 0, INT(5), 0));
    NEXT(p, 1, "2");
    NEXT(p, 1, "5");
    NEXT(p, 0, "4");
}

Test(pipe, max_bytes_counts_packed_bytes)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_bytes = 10});

    GIVES(broker_pipe_send(p, 0, STR("ten bytes!"), BROKER_FOREVER), BROKER_TOOBIG);
    OK(broker_pipe_send(p, 0, STR("8 bytes"), 0));
    OK(broker_pipe_send(p, 0, INT(1), 0));
    OK(broker_pipe_send(p, 0, INT(1), 0));
    GIVES(broker_pipe_send(p, 0, INT(1), 0), BROKER_FULL);
    NEXT(p, 1, "'8 bytes'");
    OK(broker_pipe_send(p, 0, STR("8 bytes"), 0));
    GIVES(broker_pipe_send(p, 0, INT(1), 0), BROKER_FULL);
}

/* Larger than a block; in lists with small ones. */
Test(pipe, messages_may_be_large)
{
    enum { LARGE = 5 << 20 };
    static const size_t sizes[] = {1, 2000, 2026, 2027, 2028, 2029, 2040, 2048, 5000, LARGE};
    broker_pipe *p = kit_pipe("p", NULL);
    uint8_t *bytes = words_keep(LARGE);
    broker_value v;

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        OK(broker_pipe_send(p, 1, broker_bin(bytes, sizes[i]), 0));
        OK(broker_pipe_send(p, 1, INT((int64_t)i), 0));
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
        cr_assert(
            v.type == BROKER_BIN && v.size == sizes[i] && memcmp(v.data, bytes, sizes[i]) == 0,
            "%zu bytes", sizes[i]);
        OK(broker_pipe_recv(p, 0, 0, &kit_buffer, &v));
        cr_assert_eq(v.i, (int64_t)i);
    }
    NEXT(p, 0, "EMPTY");
    cr_assert_eq(kit_stat(kit_name("p"), "payload_bytes_0"), 0);
    cr_assert_eq(kit_stat(kit_name("p"), "reading_0"), 0);
}

Test(pipe, a_quota_holds_and_room_comes_back)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.quota_bytes = 65536});
    static uint8_t bytes[20000];
    unsigned n = 0;
    int r;

    while ((r = broker_pipe_send(p, 0, broker_bin(bytes, sizeof(bytes)), 0)) == 0)
        n++;
    GIVES(r, BROKER_QUOTA);
    cr_assert(n > 0 && n < 4);
    for (int round = 0; round < 20; round++) {
        broker_value v;

        OK(broker_pipe_recv(p, 1, 0, &kit_buffer, &v));
        OK(broker_pipe_send(p, 0, broker_bin(bytes, sizeof(bytes)), 0));
    }
    cr_assert_eq(count(p, 1), n);
}

/* ---- ends ---- */

/* [close] [EOFError when nothing is left to receive and the other end was closed] */
Test(pipe, the_end_of_the_file_comes_after_the_last_message)
{
    broker_pipe *p = kit_pipe("p", NULL);

    OK(broker_pipe_send(p, 1, INT(1), 0));
    OK(broker_pipe_send(p, 1, INT(2), 0));
    OK(broker_pipe_release(p, 1));
    GIVES(broker_pipe_release(p, 1), BROKER_NOTOWNER);
    OK(broker_pipe_poll(p, 0, 0));
    NEXT(p, 0, "1");
    NEXT(p, 0, "2");
    NEXT(p, 0, "CLOSED");
    GIVES(broker_pipe_recv(p, 0, BROKER_FOREVER, &kit_buffer, &(broker_value){0}), BROKER_CLOSED);
    OK(broker_pipe_poll(p, 0, 0));
    GIVES(broker_pipe_send(p, 0, INT(3), BROKER_FOREVER), BROKER_CLOSED);
    cr_assert_eq(count(p, 1), 0);
}

Test(pipe, an_end_that_nobody_has_held_yet_is_waited_for)
{
    broker_pipe *p = kit_pipe("p", NULL);

    NEXT(p, 0, "EMPTY");
    OK(broker_pipe_send(p, 0, INT(1), 0));
    cr_assert_eq(kit_stat(kit_name("p"), "holders_0"), 1);
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 0);
    NEXT(p, 1, "1");
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 1);
}

/* What was not received stays for whoever holds the end next. */
Test(pipe, an_end_that_is_held_again_goes_on)
{
    broker_pipe *p = kit_pipe("p", NULL);

    OK(broker_pipe_send(p, 0, INT(1), 0));
    OK(broker_pipe_hold(p, 1));
    OK(broker_pipe_hold(p, 1));
    cr_assert_eq(kit_stat(kit_name("p"), "holders_1"), 1);
    OK(broker_pipe_release(p, 1));
    GIVES(broker_pipe_send(p, 0, INT(2), 0), BROKER_CLOSED);
    OK(broker_pipe_hold(p, 1));
    OK(broker_pipe_send(p, 0, INT(3), 0));
    NEXT(p, 1, "1");
    NEXT(p, 1, "3");
    NEXT(p, 0, "EMPTY");
}

/* ---- waiting ---- */

static int recv_in_thread(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r = broker_pipe_recv(c->object, (uint64_t)c->number, KIT_SOON, &buffer, &v);

    if (r == 0)
        (void)snprintf(c->text, sizeof(c->text), "%s", text_of(v));
    broker_buffer_free(&buffer);
    return r;
}

static int poll_in_thread(struct call *c)
{
    return broker_pipe_poll(c->object, (uint64_t)c->number, KIT_SOON);
}

static int send_in_thread(struct call *c)
{
    return broker_pipe_send(c->object, (uint64_t)c->number, STR("late"), KIT_SOON);
}

Test(pipe, who_waits_is_woken_by_a_message)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct call receiver, poller;

    kit_call(&poller, poll_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 1);
    kit_call(&receiver, recv_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 2);
    OK(broker_pipe_send(p, 1, INT(1), 0));
    OK(kit_return(&receiver));
    cr_assert_str_eq(receiver.text, "1");
    OK(broker_pipe_send(p, 1, INT(2), 0));
    OK(kit_return(&poller));
    NEXT(p, 0, "2");
}

Test(pipe, who_waits_is_woken_by_room)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 1});
    struct call sender;

    OK(broker_pipe_send(p, 0, INT(1), 0));
    kit_call(&sender, send_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 1);
    NEXT(p, 1, "1");
    OK(kit_return(&sender));
    NEXT(p, 1, "'late'");
}

Test(pipe, who_waits_is_woken_by_the_end_of_the_file)
{
    broker_pipe *p = kit_pipe("p", &(broker_pipe_options){.max_items = 1});
    struct call receiver, poller, sender;

    OK(broker_pipe_hold(p, 1));
    OK(broker_pipe_send(p, 0, INT(1), 0));
    kit_call(&receiver, recv_in_thread, p, 0);
    kit_call(&poller, poll_in_thread, p, 0);
    kit_call(&sender, send_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 3);
    OK(broker_pipe_release(p, 1));
    GIVES(kit_return(&receiver), BROKER_CLOSED);
    OK(kit_return(&poller));
    GIVES(kit_return(&sender), BROKER_CLOSED);
}

Test(pipe, who_waits_at_an_end_that_is_released_is_told)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct call receiver, poller;

    kit_call(&receiver, recv_in_thread, p, 0);
    kit_call(&poller, poll_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 2);
    OK(broker_pipe_release(p, 0));
    GIVES(kit_return(&receiver), BROKER_CLOSED);
    GIVES(kit_return(&poller), BROKER_CLOSED);
}

/* [wait(object_list)] */
Test(pipe, it_is_ready_when_its_end_can_receive)
{
    broker_pipe *p = kit_pipe("p", NULL);
    broker_queue *q = kit_queue("q", NULL);
    void *both[] = {q, p};
    size_t which = 9;

    OK(broker_pipe_hold(p, 1));
    GIVES(broker_wait_any(both, 2, 0, &which), BROKER_TIMEDOUT);
    OK(broker_pipe_send(p, 0, INT(1), 0));
    OK(broker_pipe_release(p, 0));
    OK(broker_wait_any(both, 2, 0, &which));
    cr_assert_eq(which, 1);
    NEXT(p, 1, "1");
    which = 9;
    OK(broker_wait_any(both, 2, 0, &which));
    cr_assert_eq(which, 1);
    NEXT(p, 1, "CLOSED");
}

/* ---- the object ---- */

Test(pipe, options_must_be_those_of_the_creation)
{
    broker_pipe_options options = {
        .max_items = 3, .max_bytes = 100, .one_way = true, .quota_bytes = 65536};
    broker_pipe *p = kit_pipe("p", &options), *other;

    OK(broker_pipe_send(p, 1, INT(5), 0));
    NEXT(kit_pipe("p", NULL), 0, "5");
    (void)kit_pipe("p", &options);
    (void)kit_pipe("p", &(broker_pipe_options){.one_way = true});
    options = (broker_pipe_options){.max_items = 4};
    GIVES(broker_pipe_open(kit_broker, kit_name("p"), &options, &other), BROKER_MISMATCH);
    options = (broker_pipe_options){.max_bytes = 101};
    GIVES(broker_pipe_open(kit_broker, kit_name("p"), &options, &other), BROKER_MISMATCH);
    options = (broker_pipe_options){.quota_bytes = 131072};
    GIVES(broker_pipe_open(kit_broker, kit_name("p"), &options, &other), BROKER_MISMATCH);
    options = (broker_pipe_options){.one_way = true};
    (void)kit_pipe("two ways", NULL);
    GIVES(broker_pipe_open(kit_broker, kit_name("two ways"), &options, &other), BROKER_MISMATCH);
}

Test(pipe, a_destroyed_pipe_is_gone)
{
    broker_pipe *p = kit_pipe("p", NULL);
    struct call receiver;
    broker_value v;
    uint64_t n;

    kit_call(&receiver, recv_in_thread, p, 0);
    kit_await_waiters(kit_name("p"), 1);
    OK(broker_destroy(kit_broker, kit_name("p")));
    GIVES(kit_return(&receiver), BROKER_GONE);
    GIVES(broker_pipe_hold(p, 1), BROKER_GONE);
    GIVES(broker_pipe_release(p, 0), BROKER_GONE);
    GIVES(broker_pipe_send(p, 0, INT(1), 0), BROKER_GONE);
    GIVES(broker_pipe_recv(p, 0, 0, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_pipe_poll(p, 0, 0), BROKER_GONE);
    GIVES(broker_pipe_len(p, 0, &n), BROKER_GONE);
}

Test(pipe, a_reader_may_only_look)
{
    char address[512];
    broker_pipe *p = kit_pipe("p", NULL), *mine;
    broker *reader;
    broker_value v;

    OK(broker_pipe_send(p, 0, INT(9), 0));
    (void)snprintf(address, sizeof(address), "%s%saccess=ro", kit_address(),
        strchr(kit_address(), '?') != NULL ? "&" : "?");
    OK(broker_open(address, &reader));
    OK(broker_pipe_open(reader, kit_name("p"), &(broker_pipe_options){.mode = BROKER_OPEN}, &mine));
    cr_assert_eq(count(mine, 1), 1);
    GIVES(broker_pipe_hold(mine, 0), BROKER_ACCESS);
    GIVES(broker_pipe_release(mine, 0), BROKER_ACCESS);
    GIVES(broker_pipe_send(mine, 0, INT(1), 0), BROKER_ACCESS);
    GIVES(broker_pipe_recv(mine, 1, 0, &kit_buffer, &v), BROKER_ACCESS);
    GIVES(broker_pipe_poll(mine, 1, 0), BROKER_ACCESS);
    broker_pipe_close(mine);
    broker_close(reader);
    NEXT(p, 1, "9");
}
