/*
 * test_queue_bulk.c - the queue, many items at a time
 */
#include "conformance/kit.h"

#include <msgpack.h>

TestSuite(queue_bulk, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define BULK_MAX 65536

/* The array [0, 1, ... n - 1]. */
static broker_value numbers(size_t n)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    (void)msgpack_pack_array(&packer, n);
    for (size_t i = 0; i < n; i++)
        (void)msgpack_pack_uint64(&packer, i);
    return words_packed(&buffer);
}

static uint64_t size_of(broker_queue *q)
{
    uint64_t n;

    OK(broker_queue_qsize(q, &n));
    return n;
}

Test(queue_bulk, put_many_appends_all_items_in_order)
{
    broker_queue *q = kit_queue("q", NULL);

    OK(broker_queue_put(q, STR("first"), 0));
    OK(broker_queue_put_many(q, value_of("[1, 'b', [nil], {'x': 2}]"), 0));
    OK(broker_queue_put_many(q, value_of("[]"), 0));
    OK(broker_queue_put(q, STR("last"), 0));
    cr_assert_eq(kit_stat(kit_name("q"), "unfinished"), 6);
    cr_assert_str_eq(kit_drain(q), "['first', 1, 'b', [nil], {'x': 2}, 'last']");
}

Test(queue_bulk, put_many_is_all_or_none)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 5});
    broker_queue *bytes = kit_queue("bytes", &(broker_queue_options){.max_bytes = 10});

    OK(broker_queue_put_many(q, value_of("[1, 2, 3]"), 0));
    GIVES(broker_queue_put_many(q, value_of("[4, 5, 6]"), 0), BROKER_FULL);
    GIVES(broker_queue_put_many(q, value_of("[4, 5, 6]"), BROKER_MILLISECOND), BROKER_TIMEDOUT);
    GIVES(broker_queue_put_many(q, value_of("[1, 2, 3, 4, 5, 6]"), BROKER_FOREVER), BROKER_TOOBIG);
    cr_assert_eq(kit_stat(kit_name("q"), "puts"), 3);
    OK(broker_queue_put_many(q, value_of("[4, 5]"), 0));
    cr_assert_str_eq(kit_drain(q), "[1, 2, 3, 4, 5]");
    OK(broker_queue_put_many(bytes, value_of("['abcd', 'abc']"), 0));
    GIVES(broker_queue_put_many(bytes, value_of("[1, 2]"), 0), BROKER_FULL);
    GIVES(broker_queue_put_many(bytes, value_of("['abcdefg', 'abc']"), 0), BROKER_TOOBIG);
    OK(broker_queue_put_many(bytes, value_of("[1]"), 0));
    cr_assert_str_eq(kit_drain(bytes), "['abcd', 'abc', 1]");
}

Test(queue_bulk, put_many_refuses_what_is_no_array)
{
    static const char *const others[] = {"nil", "1", "'ab'", "{}", "{1: 2}"};
    static const uint8_t cut[] = {0x93, 0x01, 0x02};
    broker_queue *q = kit_queue("q", NULL);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        GIVES(broker_queue_put_many(q, value_of(others[i]), 0), BROKER_INVALID);
    GIVES(broker_queue_put_many(q, broker_packed(cut, sizeof(cut)), 0), BROKER_INVALID);
    cr_assert_eq(kit_stat(kit_name("q"), "puts"), 0);
}

Test(queue_bulk, put_many_takes_65536_items_at_once_and_no_more)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t next = 0;
    broker_value v;

    GIVES(broker_queue_put_many(q, numbers(BULK_MAX + 1), 0), BROKER_TOOBIG);
    cr_assert_eq(size_of(q), 0);
    OK(broker_queue_put_many(q, numbers(BULK_MAX), 0));
    cr_assert_eq(size_of(q), BULK_MAX);
    while (next < BULK_MAX) {
        OK(broker_queue_get_many(q, UINT64_MAX, 0, &kit_buffer, &v));
        cr_assert_eq(kit_element(v, 0).u, next);
        next += kit_count(v);
        cr_assert_eq(kit_element(v, kit_count(v) - 1).u, next - 1);
    }
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

Test(queue_bulk, get_many_takes_what_is_there_up_to_the_limit)
{
    broker_queue *q = kit_queue("q", NULL);
    broker_value v = INT(77);

    GIVES(broker_queue_get_many(q, 0, 0, &kit_buffer, &v), BROKER_INVALID);
    SAYS(v, "77");
    OK(broker_queue_put_many(q, value_of("[1, 'b', [nil], {'x': 2}, 5]"), 0));
    OK(broker_queue_get_many(q, 3, 0, &kit_buffer, &v));
    SAYS(v, "[1, 'b', [nil]]");
    cr_assert_eq(size_of(q), 2);
    OK(broker_queue_get_many(q, 1, BROKER_FOREVER, &kit_buffer, &v));
    SAYS(v, "[{'x': 2}]");
    OK(broker_queue_get_many(q, 100, 0, &kit_buffer, &v));
    SAYS(v, "[5]");
    GIVES(broker_queue_get_many(q, 100, 0, &kit_buffer, &v), BROKER_EMPTY);
}

Test(queue_bulk, get_many_makes_room)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 4});
    broker_value v;

    OK(broker_queue_put_many(q, numbers(4), 0));
    OK(broker_queue_get_many(q, 3, 0, &kit_buffer, &v));
    OK(broker_queue_put_many(q, value_of("['a', 'b', 'c']"), 0));
    GIVES(broker_queue_put(q, STR("d"), 0), BROKER_FULL);
    cr_assert_str_eq(kit_drain(q), "[3, 'a', 'b', 'c']");
}

/* Large items come alone or last, so that a batch stays bounded; all come, in order. */
Test(queue_bulk, get_many_brings_large_and_small_items_in_order)
{
    static const char *const names[] = {"plain", "joinable"};
    const char *text = filling(300000, 1);

    for (int k = 0; k < 2; k++) {
        broker_queue *q = kit_queue(names[k], &(broker_queue_options){.joinable = k == 1});
        uint64_t n = 0;
        broker_value v;

        for (size_t i = 0; i < 30; i++)
            OK(broker_queue_put(q, broker_strn(text, i % 5 == 4 ? 10000 * i : 10 * i), 0));
        while (n < 30) {
            OK(broker_queue_get_many(q, 7, 0, &kit_buffer, &v));
            cr_assert_leq(kit_count(v), 7);
            for (uint32_t i = 0; i < kit_count(v); i++, n++) {
                broker_value item = kit_element(v, i);

                cr_assert_eq(item.size, n % 5 == 4 ? 10000 * n : 10 * n);
                cr_assert_eq(memcmp(item.data, text, item.size), 0);
            }
        }
        GIVES(broker_queue_get_many(q, 7, 0, &kit_buffer, &v), BROKER_EMPTY);
        if (k == 1)
            for (int i = 0; i < 30; i++)
                OK(broker_queue_task_done(q));
        cr_assert_eq(kit_stat(kit_name(names[k]), "leased"), 0);
        cr_assert_leq(
            kit_stat(kit_name(names[k]), "bytes"), 65536, "the memory was not given back");
    }
}

static int put_three(struct call *c)
{
    static const uint8_t three[] = {0x93, 0xa1, 'a', 0xa1, 'b', 0xa1, 'c'};

    return broker_queue_put_many(c->object, broker_packed(three, sizeof(three)), BROKER_FOREVER);
}

/* Room for one is not room for three; and nobody's items come between them. */
Test(queue_bulk, put_many_waits_for_room_for_all)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.max_items = 4});
    struct call putter;
    broker_value v;

    OK(broker_queue_put_many(q, numbers(4), 0));
    kit_call(&putter, put_three, q, 0);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    kit_await_waiters(kit_name("q"), 1);
    cr_assert_eq(size_of(q), 2);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(kit_return(&putter));
    cr_assert_str_eq(kit_drain(q), "[3, 'a', 'b', 'c']");
}

static int get_up_to(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r = broker_queue_get_many(c->object, (uint64_t)c->number, BROKER_FOREVER, &buffer, &v);

    if (r == 0)
        c->number = ((const uint8_t *)v.data)[0] & 0xf; /* of a short array */
    broker_buffer_free(&buffer);
    return r;
}

Test(queue_bulk, get_many_waits_for_the_first_item_only)
{
    broker_queue *q = kit_queue("q", NULL);
    struct call getters[2];

    for (int i = 0; i < 2; i++)
        kit_call(&getters[i], get_up_to, q, 3);
    kit_await_waiters(kit_name("q"), 2);
    OK(broker_queue_put_many(q, numbers(5), 0));
    for (int i = 0; i < 2; i++)
        OK(kit_return(&getters[i]));
    cr_assert_eq(getters[0].number + getters[1].number, 5);
}

Test(queue_bulk, put_many_beyond_the_quota_puts_nothing)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.quota_bytes = 128 << 10});
    uint64_t bytes;

    OK(broker_queue_put_many(q, numbers(10), 0));
    bytes = kit_stat(kit_name("q"), "bytes");
    GIVES(broker_queue_put_many(q, numbers(10000), 0), BROKER_QUOTA);
    cr_assert_eq(kit_stat(kit_name("q"), "bytes"), bytes);
    cr_assert_str_eq(kit_drain(q), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
    OK(broker_queue_put_many(q, numbers(100), 0));
    cr_assert_eq(size_of(q), 100);
}

/* [2.3 shutdown, immediate] What is there goes, in every order, and a join ends. */
Test(queue_bulk, clear_drops_what_could_be_taken)
{
    static const broker_queue_options orders[] = {{.joinable = true, .max_items = 1000},
        {.joinable = true, .lifo = true}, {.joinable = true, .priority = true}};
    static const uint8_t large[5000];

    for (size_t order = 0; order < 3; order++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + order), 0}, &orders[order]);
        uint64_t token, n = 7;
        broker_value v;

        for (int i = 0; i < 500; i++)
            OK(i % 100 == 50 && order < 2 ? broker_queue_put(q, broker_bin(large, 5000), 0)
                                          : broker_queue_put(q, broker_int(i), 0));
        OK(broker_queue_lease(q, 0, BROKER_FOREVER, &kit_buffer, &v, &token, NULL));
        OK(broker_queue_shutdown(q));
        OK(broker_queue_clear(q, &n));
        cr_assert_eq(n, 499);
        GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_CLOSED);
        GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
        OK(broker_queue_done(q, token));
        OK(broker_queue_join(q, 0));
        OK(broker_queue_clear(q, &n));
        cr_assert_eq(n, 0);
        GIVES(broker_queue_clear(q, NULL), BROKER_INVALID);
    }
}
