/*
 * test_queue_browse.c - looking at items where they are: peek and browse
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance/kit.h"
#include "conformance/roads.h"

TestSuite(browse, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define HOUR (3600 * BROKER_SECOND)
#define PAGE 1024

static const broker_queue_options joinable = {.joinable = true};
static const broker_queue_options lifo = {.lifo = true};
static const broker_queue_options priority = {.priority = true};
static const broker_queue_options once = {.max_deliveries = 1};
static const broker_queue_options *const orders[] = {NULL, &lifo, &priority};

static void put_numbers(broker_queue *q, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_queue_put(q, INT(i), 0));
}

static uint64_t lease(broker_queue *q)
{
    uint64_t token;
    broker_value v;

    OK(broker_queue_lease(q, 0, BROKER_FOREVER, &kit_buffer, &v, &token, NULL));
    return token;
}

/* What a walk in pages of @limit met: "value state deliveries", joined by "; ". */
static const char *walk(broker_queue *q, uint64_t limit)
{
    static char text[4096];
    uint64_t cursor = 0;
    size_t n = 0;

    text[0] = '\0';
    do {
        broker_value items;

        OK(broker_queue_browse(q, cursor, limit, &kit_buffer, &items, &cursor));
        cr_assert_leq(kit_count(items), limit);
        for (uint32_t i = 0; i < kit_count(items); i++) {
            broker_value item = kit_element(items, i), state = kit_field(item, "state");

            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %.*s %llu", n > 0 ? "; " : "",
                text_of(kit_field(item, "value")), (int)state.size, (const char *)state.data,
                (unsigned long long)kit_field(item, "deliveries").u);
        }
    } while (cursor != 0);
    return text;
}

/* ---- peek ---- */

/* [2.3 C extras: peek] */
Test(browse, peek_gives_what_a_get_would_take)
{
    static const int64_t first[] = {3, 2, 1};

    for (size_t i = 0; i < 3; i++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + i), 0}, orders[i]);
        broker_value v;

        put_numbers(q, 3, 4);
        put_numbers(q, 1, 3);
        for (int again = 0; again < 2; again++) {
            OK(broker_queue_peek(q, &kit_buffer, &v));
            cr_assert_eq(v.i, first[i]);
        }
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert_eq(v.i, first[i]);
    }
}

Test(browse, peek_sees_what_came_back_and_not_what_is_away)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token;
    broker_value v;

    put_numbers(q, 0, 2);
    token = lease(q);
    OK(broker_queue_peek(q, &kit_buffer, &v));
    cr_assert_eq(v.i, 1);
    OK(broker_queue_return(q, token, 0));
    OK(broker_queue_peek(q, &kit_buffer, &v));
    cr_assert_eq(v.i, 0);
}

Test(browse, peek_at_nothing_fails_as_get_does)
{
    broker_queue *q = kit_queue("q", &joinable);
    broker_value v = INT(7);

    GIVES(broker_queue_peek(q, &kit_buffer, &v), BROKER_EMPTY);
    put_numbers(q, 0, 1);
    OK(broker_queue_shutdown(q));
    OK(broker_queue_peek(q, &kit_buffer, &v));
    (void)lease(q);
    v = INT(7);
    GIVES(broker_queue_peek(q, &kit_buffer, &v), BROKER_CLOSED);
    GIVES(broker_queue_peek(q, NULL, &v), BROKER_INVALID);
    GIVES(broker_queue_peek(q, &kit_buffer, NULL), BROKER_INVALID);
    cr_assert_eq(v.i, 7, "an output was written");
}

Test(browse, peek_copies_large_items)
{
    broker_queue *q = kit_queue("q", NULL);
    size_t size = 3 << 20;
    uint8_t *bytes = malloc(size);
    broker_value v;

    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7);
    OK(broker_queue_put(q, broker_bin(bytes, size), 0));
    OK(broker_queue_peek(q, &kit_buffer, &v));
    cr_assert(v.size == size && memcmp(v.data, bytes, size) == 0);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 0);
    free(bytes);
}

/* ---- browse ---- */

/* [2.3 C extras: browse] */
Test(browse, browse_shows_every_state_and_changes_nothing)
{
    broker_queue *q = kit_queue("q", &once);
    uint64_t tokens[4], before, after;

    put_numbers(q, 0, 5);
    for (int i = 0; i < 2; i++)
        tokens[i] = lease(q);
    OK(broker_queue_return(q, tokens[0], 0));
    OK(broker_wait_change(kit_broker, kit_name("q"), 0, 0, &before));
    cr_assert_str_eq(walk(q, 100), "0 dead 1; 1 leased 1; 2 ready 0; 3 ready 0; 4 ready 0");
    OK(broker_wait_change(kit_broker, kit_name("q"), 0, 0, &after));
    cr_assert_eq(before, after, "it changed something");
    OK(broker_queue_done(q, tokens[1]));
    cr_assert_str_eq(walk(q, 100), "0 dead 1; 2 ready 0; 3 ready 0; 4 ready 0");
}

Test(browse, in_other_orders_what_can_be_taken_comes_first)
{
    static const char *const shown[] = {"0 leased 1; 1 delayed 1; 2 ready 0; 3 ready 0",
        "1 ready 0; 0 ready 0; 3 leased 1; 2 delayed 1",
        "2 ready 0; 3 ready 0; 0 leased 1; 1 delayed 1"};

    for (size_t i = 0; i < 3; i++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + i), 0}, orders[i]);

        put_numbers(q, 0, 4);
        (void)lease(q);
        OK(broker_queue_return(q, lease(q), HOUR));
        cr_assert_str_eq(walk(q, 100), shown[i], "%s", walk(q, 100));
        for (uint64_t limit = 1; limit < 5; limit++)
            cr_assert_str_eq(walk(q, limit), shown[i], "in pages of %llu: %s",
                (unsigned long long)limit, walk(q, limit));
    }
}

Test(browse, browse_tells_who_has_an_item_and_how_long)
{
    broker_queue *q = kit_queue("q", NULL);
    broker_value items, item;
    uint64_t next, token;

    OK(broker_queue_put(q, broker_str("one"), 0));
    put_numbers(q, 0, 1);
    OK(broker_queue_lease(q, 0, HOUR, &kit_buffer, &items, &token, NULL));
    OK(broker_queue_browse(q, 0, 10, &kit_buffer, &items, &next));
    cr_assert_eq(next, 0);
    item = kit_element(items, 0);
    cr_assert_eq(kit_field(item, "number").u, 0);
    cr_assert_eq(kit_field(item, "pid").u, (uint64_t)road_pid(getpid()));
    cr_assert_neq(kit_field(item, "session").type, BROKER_NIL);
    cr_assert_leq(kit_field(item, "left_ns").i, HOUR);
    cr_assert_gt(kit_field(item, "left_ns").i, HOUR / 2);
    cr_assert_eq(kit_field(item, "size_bytes").u, 4);
    item = kit_element(items, 1);
    cr_assert_eq(kit_field(item, "number").u, 1);
    cr_assert_eq(kit_field(item, "pid").type, BROKER_NIL);
    cr_assert_eq(kit_field(item, "session").type, BROKER_NIL);
    cr_assert_eq(kit_field(item, "left_ns").type, BROKER_NIL);
    cr_assert_lt(kit_field(item, "age_ns").i, KIT_TIMEOUT * BROKER_SECOND);
}

Test(browse, the_value_of_a_large_item_is_not_shown)
{
    static const uint8_t bytes[5000];
    broker_queue *q = kit_queue("q", NULL);
    broker_value items;
    uint64_t next;

    OK(broker_queue_put(q, broker_bin(bytes, 254), 0)); /* 256 with its head */
    OK(broker_queue_put(q, broker_bin(bytes, 255), 0));
    OK(broker_queue_put(q, broker_bin(bytes, 5000), 0));
    OK(broker_queue_browse(q, 0, 10, &kit_buffer, &items, &next));
    cr_assert_neq(kit_field(kit_element(items, 0), "value").type, BROKER_NIL);
    cr_assert_eq(kit_field(kit_element(items, 1), "value").type, BROKER_NIL);
    cr_assert_eq(kit_field(kit_element(items, 1), "size_bytes").u, 257);
    cr_assert_eq(kit_field(kit_element(items, 2), "value").type, BROKER_NIL);
    cr_assert_eq(kit_field(kit_element(items, 2), "size_bytes").u, 5003);
}

Test(browse, an_empty_queue_has_an_empty_page)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t next = 7;
    broker_value items;

    cr_assert_str_eq(walk(q, 1), "");
    put_numbers(q, 0, 1);
    OK(broker_queue_get(q, 0, &kit_buffer, &items));
    cr_assert_str_eq(walk(q, 1), "");
    GIVES(broker_queue_browse(q, 0, 0, &kit_buffer, &items, &next), BROKER_INVALID);
    cr_assert_eq(next, 7);
}

/* Thousands, over many segments, in pages of the largest size and of an odd one. */
Test(browse, all_items_of_a_long_queue_come_once_and_in_order)
{
    const int64_t n = kit_often(5000);

    for (size_t order = 0; order < 3; order++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + order), 0}, orders[order]);

        put_numbers(q, 0, n);
        for (uint64_t limit = 137; limit < 1000000; limit = limit * 10000) {
            uint64_t cursor = 0;
            int64_t expected = 0;

            do {
                broker_value items;

                OK(broker_queue_browse(q, cursor, limit, &kit_buffer, &items, &cursor));
                cr_assert_leq(kit_count(items), PAGE);
                for (uint32_t i = 0; i < kit_count(items); i++, expected++)
                    cr_assert_eq(kit_field(kit_element(items, i), "number").i,
                        orders[order] == &lifo ? n - 1 - expected : expected);
            } while (cursor != 0);
            cr_assert_eq(expected, n);
        }
    }
}

/* [2.3 browse, a cursor whose item is gone] What was seen does not come again in a FIFO, and what
 * is still there comes. */
Test(browse, a_walk_goes_on_when_the_item_at_its_cursor_is_gone)
{
    enum { N = 2000 };
    broker_queue *q = kit_queue("q", NULL);
    uint64_t cursor = 0, token;
    broker_value items;

    put_numbers(q, 0, N);
    token = lease(q);
    OK(broker_queue_browse(q, 0, 10, &kit_buffer, &items, &cursor));
    for (int i = 1; i < N / 2; i++) /* the segment of the cursor's item is given back, too */
        OK(broker_queue_get(q, 0, &kit_buffer, &items));
    OK(broker_queue_browse(q, cursor, 10, &kit_buffer, &items, &cursor));
    cr_assert_eq(kit_field(kit_element(items, 0), "number").u, N / 2);
    OK(broker_queue_return(q, token, 0));
    OK(broker_queue_browse(q, cursor, 10, &kit_buffer, &items, &cursor));
    cr_assert_eq(kit_field(kit_element(items, 0), "number").u, N / 2 + 10);
}

Test(browse, a_walk_by_value_goes_on_with_what_comes_first_now)
{
    for (size_t order = 1; order < 3; order++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + order), 0}, orders[order]);
        uint64_t cursor;
        broker_value items;

        put_numbers(q, 0, 10);
        OK(broker_queue_browse(q, 0, 4, &kit_buffer, &items, &cursor));
        for (int i = 0; i < 6; i++)
            OK(broker_queue_get(q, 0, &kit_buffer, &items));
        OK(broker_queue_browse(q, cursor, 10, &kit_buffer, &items, &cursor));
        cr_assert_eq(kit_count(items), 4);
        cr_assert_eq(kit_field(kit_element(items, 0), "value").i, orders[order] == &lifo ? 3 : 6);
        cr_assert_eq(cursor, 0);
    }
}

/* A cursor comes from outside. */
Test(browse, a_cursor_of_nobody_harms_nothing)
{
    for (size_t order = 0; order < 3; order++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + order), 0}, orders[order]);
        uint64_t next;
        broker_value items;

        put_numbers(q, 0, 20);
        for (uint64_t i = 0, n = (uint64_t)kit_often(4096); i < n; i++) {
            OK(broker_queue_browse(q, i * UINT64_C(0x100000081), 5, &kit_buffer, &items, &next));
            cr_assert_leq(kit_count(items), 5);
        }
        OK(broker_queue_browse(q, UINT64_MAX, 5, &kit_buffer, &items, &next));
        cr_assert_eq(kit_drain(q)[0], '[');
    }
}

/* ---- others at the same time ---- */

static void churn(struct line *parent, void *arg)
{
    const char *name = arg;
    broker_queue *q;
    broker *b;
    broker_value v;

    REQUIRE(broker_open(kit_address(), &b) == 0);
    REQUIRE(broker_queue_open(b, name, NULL, &q) == 0);
    kit_tell(parent, 1);
    for (int64_t i = 0, n = kit_often(20000); i < n; i++) {
        REQUIRE(broker_queue_put(q, INT(i), 0) == 0);
        REQUIRE(broker_queue_get(q, 0, &kit_buffer, &v) == 0);
    }
    kit_tell(parent, 2);
    (void)kit_hear(parent);
}

Test(browse, what_stays_comes_once_while_others_put_and_get)
{
    const char *name = kit_name("q");
    broker_queue *q = kit_queue("q", NULL);
    struct line line;
    uint64_t token;

    put_numbers(q, -1, 0);
    token = lease(q);
    put_numbers(q, -3, -1);
    line = kit_fork(churn, (void *)name);
    (void)kit_hear(&line);
    for (int i = 0; i < 200; i++) {
        uint64_t cursor = 0, seen = 0;

        do {
            broker_value items, v;

            OK(broker_queue_browse(q, cursor, 1, &kit_buffer, &items, &cursor));
            for (uint32_t k = 0; k < kit_count(items); k++) {
                v = kit_field(kit_element(items, k), "state");
                seen += v.size == 6; /* leased */
            }
        } while (cursor != 0);
        cr_assert_eq(seen, 1);
        OK(broker_queue_peek(q, &kit_buffer, &(broker_value){0}));
    }
    kit_tell(&line, 3);
    kit_end(&line);
    OK(broker_queue_done(q, token));
}
