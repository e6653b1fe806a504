/*
 * test_queue.c - the queue, one item at a time
 *
 * The names in brackets are the rows of CPython's Queue whose rule a case shows. Times are checked
 * from below only: how much later than its timeout a call returns is the machine's business.
 */
#include "conformance/calls.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(queue, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define SHORT (30 * BROKER_MILLISECOND)

static uint64_t size_of(broker_queue *q)
{
    uint64_t n;

    OK(broker_queue_qsize(q, &n));
    return n;
}

static bool is_full(broker_queue *q)
{
    bool full;

    OK(broker_queue_full(q, &full));
    return full;
}

static bool is_empty(broker_queue *q)
{
    bool empty;

    OK(broker_queue_empty(q, &empty));
    return empty;
}

static void put_numbers(broker_queue *q, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_queue_put(q, INT(i), 0));
}

/* [put, get] first in, first out; whatever a value can be. */
Test(queue, items_come_out_in_the_order_in_which_they_went_in)
{
    broker_queue *q = kit_queue("q", NULL);

    OK(broker_queue_put(q, STR("a"), BROKER_FOREVER));
    OK(broker_queue_put(q, broker_nil(), 0));
    OK(broker_queue_put(q, value_of("{'x': [1, 2.5]}"), BROKER_SECOND));
    OK(broker_queue_put(q, broker_uint(UINT64_MAX), 0));
    OK(broker_queue_put(q, broker_bin("", 0), 0));
    cr_assert_str_eq(kit_drain(q), "['a', nil, {'x': [1, 2.5]}, 18446744073709551615, b'']");
    cr_assert_str_eq(kit_drain(q), "[]");
}

/* [get_nowait] and outputs are written on success only. */
Test(queue, get_of_an_empty_queue_is_empty_at_once)
{
    broker_queue *q = kit_queue("q", NULL);
    broker_value v = INT(77);

    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
    GIVES(broker_queue_get_many(q, 5, 0, &kit_buffer, &v), BROKER_EMPTY);
    SAYS(v, "77");
    cr_assert_eq(kit_stat(kit_name("q"), "takes"), 0);
}

/* [get, put with timeout] TIMEDOUT, and not before its time. */
Test(queue, a_timeout_is_kept)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 1});
    broker_value v = INT(77);
    int64_t start = kit_now();

    GIVES(broker_queue_get(q, SHORT, &kit_buffer, &v), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    SAYS(v, "77");
    GIVES(broker_queue_get(q, 1, &kit_buffer, &v), BROKER_TIMEDOUT);
    GIVES(broker_queue_get_many(q, 5, 1000, &kit_buffer, &v), BROKER_TIMEDOUT);
    OK(broker_queue_put(q, STR("a"), 0));
    start = kit_now();
    GIVES(broker_queue_put(q, STR("b"), SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    start = kit_now();
    GIVES(broker_queue_put_many(q, value_of("[1]"), SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    start = kit_now();
    GIVES(broker_queue_join(q, SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(kit_stat(kit_name("q"), "waiters"), 0, "who gave up is still counted");
    cr_assert_str_eq(kit_drain(q), "['a']");
}

/* [timeout < 0] is refused always; CPython refuses it only where it would wait. */
Test(queue, negative_timeouts_are_invalid)
{
    broker_queue *q = kit_queue("q", NULL);
    broker_value v = INT(77);

    GIVES(broker_queue_put(q, STR("a"), -1), BROKER_INVALID);
    GIVES(broker_queue_put(q, STR("a"), INT64_MIN), BROKER_INVALID);
    GIVES(broker_queue_put_many(q, value_of("[1]"), -1), BROKER_INVALID);
    cr_assert_eq(size_of(q), 0);
    OK(broker_queue_put(q, STR("a"), 0));
    GIVES(broker_queue_get(q, -1, &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_queue_get_many(q, 5, -1, &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_queue_join(q, -1), BROKER_INVALID);
    SAYS(v, "77");
    cr_assert_eq(size_of(q), 1);
}

/* [maxsize <= 0] unbounded: full() is always False. */
Test(queue, without_limits_a_queue_is_never_full)
{
    const int64_t n = kit_often(5000);
    broker_queue *q = kit_queue("q", NULL);

    cr_assert_not(is_full(q));
    put_numbers(q, 0, n);
    cr_assert_not(is_full(q));
    cr_assert_eq(size_of(q), (uint64_t)n);
}

/* Queue(3): the fourth put_nowait raises Full at once, the fourth get_nowait Empty. [qsize, empty,
 * full] */
Test(queue, max_items_limits_what_is_in_the_queue)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 3});
    broker_value v;

    cr_assert(is_empty(q) && !is_full(q));
    for (int64_t i = 0; i < 3; i++) {
        OK(broker_queue_put(q, INT(i), 0));
        cr_assert(!is_empty(q) && is_full(q) == (i == 2));
    }
    GIVES(broker_queue_put(q, INT(3), 0), BROKER_FULL);
    GIVES(broker_queue_put(q, broker_strn(filling(5000, 0), 5000), 0), BROKER_FULL);
    cr_assert_eq(size_of(q), 3);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    cr_assert(!is_full(q));
    OK(broker_queue_put(q, INT(3), 0));
    GIVES(broker_queue_put(q, INT(4), 0), BROKER_FULL);
    cr_assert_str_eq(kit_drain(q), "[1, 2, 3]");
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
    cr_assert(is_empty(q) && !is_full(q));
}

/* A string of n letters has n + 1 packed bytes up to 31 letters. */
Test(queue, max_bytes_limits_the_packed_bytes_in_the_queue)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_bytes = 20});
    broker_value v;

    OK(broker_queue_put(q, broker_strn("0123456789", 9), 0));
    cr_assert_not(is_full(q));
    GIVES(broker_queue_put(q, broker_strn("0123456789", 10), 0), BROKER_FULL);
    OK(broker_queue_put(q, broker_strn("0123456789", 9), 0));
    cr_assert(is_full(q));
    GIVES(broker_queue_put(q, INT(1), 0), BROKER_FULL);
    GIVES(broker_queue_put(q, broker_strn("01234567890123456789", 20), 0), BROKER_TOOBIG);
    GIVES(broker_queue_put(q, broker_strn(filling(5000, 0), 5000), BROKER_FOREVER), BROKER_TOOBIG);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_put(q, broker_strn("0123456789", 8), 0));
    OK(broker_queue_put(q, INT(1), 0));
    cr_assert(is_full(q));
    cr_assert_eq(kit_stat(kit_name("q"), "payload_bytes"), 20);
    cr_assert_str_eq(kit_drain(q), "['012345678', '01234567', 1]");
    OK(broker_queue_put(q, broker_strn("01234567890123456789", 19), 0));
}

static int put_number(struct call *c)
{
    return broker_queue_put(c->object, INT(c->number), BROKER_FOREVER);
}

/* [put, timeout None] waits for ever, which ends with the first get. */
Test(queue, put_waits_for_room)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 2});
    struct call putter;
    broker_value v;

    put_numbers(q, 0, 2);
    kit_call(&putter, put_number, q, 2);
    kit_await_waiters(kit_name("q"), 1);
    cr_assert_eq(size_of(q), 2);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    SAYS(v, "0");
    OK(kit_return(&putter));
    cr_assert_str_eq(kit_drain(q), "[1, 2]");
    cr_assert_eq(kit_stat(kit_name("q"), "waiters"), 0);
}

/* [put] on success one getter is woken; each item goes to one. */
Test(queue, get_waits_for_an_item_and_each_goes_to_one)
{
    broker_queue *q = kit_queue("q", NULL);
    struct call getters[3];
    int64_t sum = 0;

    for (int i = 0; i < 3; i++)
        kit_call(&getters[i], call_get, q, BROKER_FOREVER);
    kit_await_waiters(kit_name("q"), 3);
    OK(broker_queue_put(q, INT(1), 0));
    OK(broker_queue_put(q, INT(10), 0));
    OK(broker_queue_put(q, INT(100), 0));
    for (int i = 0; i < 3; i++) {
        OK(kit_return(&getters[i]));
        sum += getters[i].number;
    }
    cr_assert_eq(sum, 111);
    cr_assert(is_empty(q));
    cr_assert_eq(kit_stat(kit_name("q"), "waiters"), 0);
}

Test(queue, an_item_that_comes_in_time_ends_a_wait_with_a_timeout)
{
    broker_queue *q = kit_queue("q", NULL);
    struct call getter;

    kit_call(&getter, call_get, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_put(q, INT(7), 0));
    OK(kit_return(&getter));
    cr_assert_eq(getter.number, 7);
}

/* [task_done] counts puts, not gets: it may be called before any get. */
Test(queue, task_done_counts_what_was_put)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true});

    put_numbers(q, 0, 2);
    OK(broker_queue_task_done(q));
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 1);
    OK(broker_queue_task_done(q));
    OK(broker_queue_join(q, 0));
    cr_assert_eq(size_of(q), 2, "the items are there still");
    cr_assert_str_eq(kit_drain(q), "[0, 1]");
}

/* [task_done] one too many is an error, and the count is unchanged. */
Test(queue, task_done_too_often_is_overdone_and_changes_nothing)
{
    static const broker_queue_options options[] = {{.joinable = true}, {.joinable = false}};
    static const char *const names[] = {"joinable", "plain"};
    broker_value v;

    for (int i = 0; i < 2; i++) {
        broker_queue *q = kit_queue(names[i], &options[i]);

        GIVES(broker_queue_task_done(q), BROKER_OVERDONE);
        OK(broker_queue_put(q, STR("a"), 0));
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        OK(broker_queue_task_done(q));
        GIVES(broker_queue_task_done(q), BROKER_OVERDONE);
        GIVES(broker_queue_task_done(q), BROKER_OVERDONE);
        cr_assert_eq(kit_stat(kit_name(names[i]), "unfinished"), 0);
        OK(broker_queue_put(q, STR("b"), 0));
        cr_assert_eq(kit_stat(kit_name(names[i]), "unfinished"), 1);
        GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        OK(broker_queue_task_done(q));
        OK(broker_queue_join(q, 0));
    }
}

static int join_queue(struct call *c)
{
    return broker_queue_join(c->object, c->number);
}

/* [join] until the last item is done, for however many wait. */
Test(queue, join_waits_for_the_last_task_done)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true});
    struct call joiners[2];
    broker_value v;

    OK(broker_queue_join(q, 0));
    put_numbers(q, 0, 2);
    kit_call(&joiners[0], join_queue, q, BROKER_FOREVER);
    kit_call(&joiners[1], join_queue, q, KIT_SOON);
    kit_await_waiters(kit_name("q"), 2);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    cr_assert(is_empty(q));
    OK(broker_queue_task_done(q));
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    kit_await_waiters(kit_name("q"), 2);
    OK(broker_queue_task_done(q));
    OK(kit_return(&joiners[0]));
    OK(kit_return(&joiners[1]));
}

/* [shutdown, CPython 3.13] puts fail at once; gets drain, then fail. */
Test(queue, a_queue_that_is_shut_down_drains_and_then_is_closed)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.joinable = true});
    broker_value v = INT(77);

    put_numbers(q, 0, 3);
    OK(broker_queue_shutdown(q));
    GIVES(broker_queue_put(q, STR("a"), 0), BROKER_CLOSED);
    GIVES(broker_queue_put(q, STR("a"), BROKER_FOREVER), BROKER_CLOSED);
    GIVES(broker_queue_put(q, broker_strn(filling(5000, 0), 5000), 0), BROKER_CLOSED);
    GIVES(broker_queue_put_many(q, value_of("[1, 2]"), 0), BROKER_CLOSED);
    cr_assert_eq(size_of(q), 3);
    OK(broker_queue_shutdown(q));
    OK(broker_queue_get(q, BROKER_FOREVER, &kit_buffer, &v));
    SAYS(v, "0");
    OK(broker_queue_get_many(q, 5, BROKER_FOREVER, &kit_buffer, &v));
    SAYS(v, "[1, 2]");
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_CLOSED);
    GIVES(broker_queue_get(q, BROKER_FOREVER, &kit_buffer, &v), BROKER_CLOSED);
    GIVES(broker_queue_get_many(q, 5, SHORT, &kit_buffer, &v), BROKER_CLOSED);
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    for (int i = 0; i < 3; i++)
        OK(broker_queue_task_done(q));
    OK(broker_queue_join(q, 0));
    cr_assert_eq(kit_stat(kit_name("q"), "closed"), 1);
}

/* [shutdown] all blocked callers wake. */
Test(queue, shutdown_wakes_whoever_waits)
{
    broker_queue *empty = kit_queue("empty", NULL);
    broker_queue *full = kit_queue("full", &(broker_queue_options){.max_items = 1});
    struct call getters[2], putters[2], bulk;

    OK(broker_queue_put(full, INT(1), 0));
    for (int i = 0; i < 2; i++) {
        kit_call(&getters[i], call_get, empty, BROKER_FOREVER);
        kit_call(&putters[i], put_number, full, i);
    }
    kit_call(&bulk, put_number, full, 9);
    kit_await_waiters(kit_name("empty"), 2);
    kit_await_waiters(kit_name("full"), 3);
    OK(broker_queue_shutdown(empty));
    OK(broker_queue_shutdown(full));
    for (int i = 0; i < 2; i++) {
        GIVES(kit_return(&getters[i]), BROKER_CLOSED);
        GIVES(kit_return(&putters[i]), BROKER_CLOSED);
    }
    GIVES(kit_return(&bulk), BROKER_CLOSED);
    cr_assert_str_eq(kit_drain(full), "[1]");
}

/* Items lie in segments of some KiB; what is taken at one end and put at the other crosses them
 * all. */
Test(queue, the_order_holds_across_segments)
{
    broker_queue *q = kit_queue("q", NULL);
    const char *text = filling(4000, 0);
    int64_t in = 0, out = 0;
    broker_value v;

    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 97 - round; i++, in++)
            OK(broker_queue_put(q, broker_strn(text + in % 7, (size_t)(in * 37 % 2600)), 0));
        for (int i = 0; i < 60 + round / 2 && out < in; i++, out++) {
            OK(broker_queue_get(q, 0, &kit_buffer, &v));
            if (v.size != (size_t)(out * 37 % 2600) || memcmp(v.data, text + out % 7, v.size) != 0)
                cr_assert_fail("item %lld is another", (long long)out);
        }
        cr_assert_eq(size_of(q), (uint64_t)(in - out));
    }
    for (; out < in; out++) {
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        if (v.size != (size_t)(out * 37 % 2600) || memcmp(v.data, text + out % 7, v.size) != 0)
            cr_assert_fail("item %lld is another", (long long)out);
    }
    cr_assert(is_empty(q));
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

Test(queue, items_of_any_size_pass)
{
    static const size_t sizes[] = {
        0, 1, 31, 32, 2040, 2045, 2046, 2047, 2048, 2049, 4096, 5000, 16384, 100000, 1 << 20};
    const size_t n = sizeof(sizes) / sizeof(sizes[0]);
    static const char *const names[] = {"plain", "joinable"};
    const char *text = filling(1 << 20, 3);
    broker_value v;

    for (int k = 0; k < 2; k++) {
        broker_queue *q = kit_queue(names[k], &(broker_queue_options){.joinable = k == 1});

        for (size_t i = 0; i < n; i++)
            OK(broker_queue_put(q, broker_strn(text, sizes[i]), 0));
        for (size_t i = 0; i < n; i++) {
            OK(broker_queue_get(q, 0, &kit_buffer, &v));
            if (v.size != sizes[i] || memcmp(v.data, text, sizes[i]) != 0)
                cr_assert_fail("an item of %zu bytes came as one of %u", sizes[i], v.size);
            if (k == 1)
                OK(broker_queue_task_done(q));
        }
        cr_assert(is_empty(q));
        cr_assert_leq(
            kit_stat(kit_name(names[k]), "bytes"), 65536, "the memory was not given back");
        cr_assert_eq(kit_stat(kit_name(names[k]), "leased"), 0);
    }
}

Test(queue, values_that_are_none_are_refused_and_nothing_is_put)
{
    static const uint8_t cut[] = {0x92, 0x01};
    broker_queue *q = kit_queue("q", NULL);
    uint8_t deep[34];

    memset(deep, 0x91, sizeof(deep));
    deep[33] = 0xc0;
    GIVES(broker_queue_put(q, broker_packed(cut, sizeof(cut)), 0), BROKER_INVALID);
    GIVES(broker_queue_put(q, broker_strn(NULL, 5), 0), BROKER_INVALID);
    GIVES(broker_queue_put(q, (broker_value){.type = 99}, 0), BROKER_INVALID);
    GIVES(broker_queue_put(q, broker_packed(deep, sizeof(deep)), 0), BROKER_TOODEEP);
    cr_assert_eq(kit_stat(kit_name("q"), "puts"), 0);
}

Test(queue, the_quota_stops_growth_and_nothing_changes)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.quota_bytes = 128 << 10});
    const char *text = filling(128 << 10, 0);
    uint64_t n = 0, bytes;
    broker_value v;
    int r;

    while ((r = broker_queue_put(q, broker_strn(text, 1000), 0)) == 0)
        n++;
    GIVES(r, BROKER_QUOTA);
    cr_assert_gt(n, 50);
    cr_assert_eq(size_of(q), n);
    bytes = kit_stat(kit_name("q"), "payload_bytes");
    GIVES(broker_queue_put(q, broker_strn(text, 1000), BROKER_FOREVER), BROKER_QUOTA);
    GIVES(broker_queue_put(q, broker_strn(text, 128 << 10), 0), BROKER_QUOTA);
    cr_assert_eq(kit_stat(kit_name("q"), "payload_bytes"), bytes);
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), (128 << 10) + 4096);
    for (uint64_t i = 0; i < n; i++) {
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert(v.size == 1000 && memcmp(v.data, text, 1000) == 0);
    }
    OK(broker_queue_put(q, broker_strn(text, 50000), 0));
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    cr_assert(v.size == 50000 && memcmp(v.data, text, 50000) == 0);
}

/* Two who keep the queue going, so that room for five never comes. */
static int keep_going(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r = 0;

    while (r == 0 && __atomic_load_n(&c->number, __ATOMIC_RELAXED) != 0) {
        r = broker_queue_put(c->object, INT(1), BROKER_FOREVER);
        if (r == 0)
            r = broker_queue_get(c->object, BROKER_FOREVER, &buffer, &v);
    }
    broker_buffer_free(&buffer);
    return r;
}

Test(queue, a_timeout_ends_a_wait_in_which_much_happens)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 5});
    struct call others[2];
    int64_t start;

    OK(broker_queue_put(q, INT(0), 0));
    for (int i = 0; i < 2; i++)
        kit_call(&others[i], keep_going, q, 1);
    for (int i = 0; i < 10; i++) {
        start = kit_now();
        GIVES(broker_queue_put_many(q, value_of("[1, 2, 3, 4, 5]"), SHORT), BROKER_TIMEDOUT);
        cr_assert_geq(kit_now() - start, SHORT);
        GIVES(broker_queue_join(q, SHORT), BROKER_TIMEDOUT);
    }
    for (int i = 0; i < 2; i++)
        __atomic_store_n(&others[i].number, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        OK(kit_return(&others[i]));
    cr_assert_eq(size_of(q), 1);
}
