/*
 * test_limits.c - what a client may take, and what happens to one who takes more
 */
#include "kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start(void)
{
    kit_start_with((const char *const[]){"--max-pending", "4", "--session-memory", "200000",
        "--max-message", "65536", "--max-sessions", "3", "--max-queued", "8", NULL});
}

TestSuite(zmq_limits, .init = start, .fini = kit_stop, .timeout = 60);

Test(zmq_limits, requests_under_way)
{
    struct client *c = client_open(), *other = client_open();
    broker_value q = client_make(c, "queue", "q");
    uint64_t ids[5];

    for (unsigned i = 0; i < 5; i++)
        ids[i] = ASK(c, "queue.get", q, NO_ARGS);
    cr_expect_eq(client_answer(c, ids[4]), BROKER_LIMIT);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(CALL(other, "queue.put", broker_str("q"), ARGS(broker_int(i))), 0);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(client_answer(c, ids[i]), 0);
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(1))), 0);
    client_close(c);
    client_close(other);
}

/* However many requests are under way, those that end them get through, and keep the session. */
Test(zmq_limits, what_ends_requests_is_not_counted)
{
    struct client *c = client_open();
    broker_value q = client_make(c, "queue", "q"), d = client_make(c, "dict", "d");
    uint64_t ids[4];

    for (unsigned i = 0; i < 4; i++)
        ids[i] = ASK(c, "queue.get", q, NO_ARGS);
    cr_expect_eq(CALL(c, "dict.clear", d, NO_ARGS), BROKER_LIMIT);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
    cr_expect_eq(CALL(c, "object.close", d, NO_ARGS), 0);
    cr_expect_eq(CALL(c, "session.cancel", broker_nil(), ARGS(broker_uint(ids[2]))), 0);
    cr_expect_eq(client_answer(c, ids[2]), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(c, "session.end", broker_nil(), NO_ARGS), 0);
    for (unsigned i = 0; i < 4; i++)
        if (i != 2)
            cr_expect_eq(client_answer(c, ids[i]), BROKER_LOST);
    client_close(c);
}

Test(zmq_limits, memory_of_requests_under_way)
{
    struct client *c = client_open(), *other = client_open();
    const char *name = "max_items";
    const broker_value one = broker_int(1);
    static char big[50000];
    uint64_t ids[4];

    cr_assert_eq(CALL(c, "queue.open", broker_str("q"), ARGS(packed_map(&name, &one, 1))), 0);
    cr_assert_eq(CALL(c, "queue.put", broker_str("q"), ARGS(broker_int(1))), 0);
    for (unsigned i = 0; i < 4; i++)
        ids[i] = ASK(c, "queue.put", broker_str("q"), ARGS(broker_bin(big, sizeof(big))));
    cr_expect_eq(client_answer(c, ids[3]), BROKER_LIMIT);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(CALL(other, "queue.get", broker_str("q"), NO_ARGS), 0);
        cr_expect_eq(client_answer(c, ids[i]), 0);
    }
    client_close(c);
    client_close(other);
}

/* Kept answers make room: the oldest are not known any more, the newest are. */
Test(zmq_limits, memory_of_kept_answers)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d");
    static char big[60000];
    uint64_t ids[4];

    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(CALL(c, "dict.set", d, ARGS(broker_int(i), broker_bin(big, sizeof(big)))), 0);
        ids[i] = ASK(c, "dict.pop", d, ARGS(broker_int(i)));
        cr_assert_eq(client_answer(c, ids[i]), 0);
    }
    client_next_id(c, ids[0]);
    cr_expect_eq(CALL(c, "dict.pop", d, ARGS(broker_int(0))), BROKER_UNKNOWN);
    client_next_id(c, ids[3]);
    cr_expect_eq(CALL(c, "dict.pop", d, ARGS(broker_int(3))), 0);
    cr_expect_eq(client_last(c)->results[0].size, sizeof(big));
    client_close(c);
}

Test(zmq_limits, sessions)
{
    struct client *all[3], *more = client_open_silent();

    for (unsigned i = 0; i < 3; i++)
        all[i] = client_open();
    cr_expect_eq(client_hello(more, broker_nil()), BROKER_LIMIT);
    cr_assert_eq(CALL(all[0], "session.end", broker_nil(), NO_ARGS), 0);
    cr_expect_eq(CALL(all[1], "session.ping", broker_nil(), NO_ARGS), 0);
    cr_expect_eq(client_hello(more, broker_nil()), 0);
    for (unsigned i = 0; i < 3; i++)
        client_close(all[i]);
    client_close(more);
}

/* The connection is closed; libzmq makes another one, which has no session. */
Test(zmq_limits, a_message_that_is_too_large)
{
    struct client *c = client_open();
    static char big[70000];

    client_make(c, "dict", "d");
    ASK(c, "dict.set", broker_str("d"), ARGS(broker_int(1), broker_bin(big, sizeof(big))));
    client_await_loss(c);
    cr_expect_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), BROKER_PROTO);
    cr_expect_eq(client_resume(c, client_key(c)), 0);
    cr_expect_eq(CALL(c, "dict.len", broker_str("d"), NO_ARGS), 0);
    cr_expect_eq(client_int(c, 0), 0);
    client_close(c);
}

static unsigned n_descriptors(void)
{
    char path[64];
    unsigned n = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)kit_endpoint_pid());
    dir = opendir(path);
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* Answers are not kept for ever for one who does not take them. */
static void expect_that_reading_is_needed(unsigned n_requests)
{
    struct client *c = client_open_narrow(), *other = client_open();
    static char big[60000];
    unsigned before;

    client_make(other, "dict", "d");
    cr_assert_eq(
        CALL(other, "dict.set", broker_str("d"), ARGS(broker_int(1), broker_bin(big, sizeof(big)))),
        0);
    before = n_descriptors();
    for (unsigned i = 0; i < n_requests; i++)
        ASK(c, "dict.get", broker_str("d"), ARGS(broker_int(1)));
    while (n_descriptors() >= before) /* until its connection is closed; or the suite's timeout */
        cr_assert_eq(CALL(other, "dict.len", broker_str("d"), NO_ARGS), 0, "others go on");
    client_reconnect(c);
    cr_expect_eq(client_resume(c, client_key(c)), 0, "the session is there until its timeout");
    cr_expect_eq(CALL(c, "dict.len", broker_str("d"), NO_ARGS), 0);
    client_close(c);
    client_close(other);
}

Test(zmq_limits, a_client_that_does_not_read)
{
    expect_that_reading_is_needed(200);
}

static void start_with_few_bytes(void)
{
    kit_start_with((const char *const[]){
        "--max-unread", "1000000", "--max-queued", "1000000", "--max-pending", "1000", NULL});
}

TestSuite(zmq_unread, .init = start_with_few_bytes, .fini = kit_stop, .timeout = 60);

Test(zmq_unread, a_client_that_does_not_read_much)
{
    expect_that_reading_is_needed(200);
}

/* What is in the way of others is what was not read, not what is large. */
Test(zmq_unread, answers_larger_than_may_be_unread)
{
    struct client *c = client_open();
    static char big[700000];

    client_make(c, "list", "l");
    for (int i = 0; i < 4; i++)
        cr_assert_eq(
            CALL(c, "list.append", broker_str("l"), ARGS(broker_bin(big, sizeof(big)))), 0);
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(CALL(c, "list.get_slice", broker_str("l"), NO_ARGS), 0);
        cr_expect_gt(client_last(c)->results[0].size, 4 * sizeof(big));
    }
    client_close(c);
}
