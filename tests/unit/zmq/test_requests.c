/*
 * test_requests.c - objects, handles and every form of answer
 */
#include "kit.h"

#include <string.h>

TestSuite(zmq_requests, .init = kit_start, .fini = kit_stop, .timeout = 60);

Test(zmq_requests, every_form_of_answer)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d");
    const char *const names[] = {"a"};
    const broker_value one[] = {broker_int(1)};

    cr_expect_eq(CALL(c, "dict.set", d, ARGS(broker_str("k"), packed_array(one, 1))), 0);
    cr_expect_eq(client_last(c)->n_results, 0);
    cr_expect_eq(CALL(c, "dict.get", d, ARGS(broker_str("k"))), 0);
    cr_expect_eq(client_last(c)->results[0].type, BROKER_PACKED);
    cr_expect_eq(CALL(c, "dict.read", d, ARGS(broker_str("k"))), 0);
    cr_expect_eq(client_last(c)->n_results, 2);
    cr_expect_eq(CALL(c, "dict.contains", d, ARGS(broker_int(4))), 0);
    cr_expect_eq(client_last(c)->results[0].type, BROKER_BOOL);
    cr_expect_eq(CALL(c, "dict.get", d, ARGS(broker_str("x"))), BROKER_NOTFOUND);
    cr_expect_not_null(memmem(
        client_last(c)->text.data, client_last(c)->text.size, "dict.get", strlen("dict.get")));
    cr_expect_eq(CALL(c, "dict.update", d, ARGS(packed_map(names, one, 1))), 0);
    cr_expect_eq(CALL(c, "dict.get", d, NO_ARGS), BROKER_INVALID);
    cr_expect_eq(CALL(c, "dict.get", d, ARGS(broker_int(1), broker_int(1))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "dict.add", d, ARGS(broker_str("n"), broker_str("1"))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "dict.fetch", d, ARGS(broker_str("n"))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "dict.get", broker_nil(), ARGS(broker_int(1))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "dict.get", broker_int(99), ARGS(broker_int(1))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "queue.get", d, NO_ARGS), BROKER_WRONGTYPE);
    cr_expect_eq(CALL(c, "broker.objects", d, NO_ARGS), BROKER_INVALID);
    cr_expect_eq(CALL(c, "broker.objects", broker_nil(), NO_ARGS), 0);
    client_close(c);
}

Test(zmq_requests, answers_to_many_requests_at_once)
{
    struct client *c = client_open();
    broker_value d = client_make(c, "dict", "d");
    uint64_t ids[200];

    for (unsigned i = 0; i < 200; i++)
        ids[i] = ASK(c, "dict.add", d, ARGS(broker_str("n"), broker_int(1)));
    for (unsigned i = 0; i < 200; i++) {
        cr_assert_eq(client_answer(c, ids[i]), 0);
        cr_assert_eq(client_int(c, 0), i + 1, "begun in the order in which they came");
    }
    client_close(c);
}

Test(zmq_requests, names_and_references_open_by_themselves)
{
    struct client *c = client_open(), *other = client_open();
    broker_value reference;

    cr_expect_eq(CALL(c, "dict.len", broker_str("d"), NO_ARGS), BROKER_NOTFOUND);
    cr_assert_eq(CALL(c, "dict.open", broker_str("d"), NO_ARGS), 0);
    reference = client_last(c)->results[1];
    cr_expect_eq(reference.type, BROKER_REF);
    cr_expect_eq(CALL(other, "dict.set", broker_str("d"), ARGS(broker_int(1), broker_int(2))), 0);
    cr_expect_eq(CALL(other, "dict.get", reference, ARGS(broker_int(1))), 0);
    cr_expect_eq(client_int(other, 0), 2);
    cr_expect_eq(CALL(other, "queue.get", reference, NO_ARGS), BROKER_WRONGTYPE);
    cr_expect_eq(CALL(other, "queue.get", broker_str("d"), NO_ARGS), BROKER_WRONGTYPE);
    cr_expect_eq(CALL(other, "dict.len", broker_str(""), NO_ARGS), BROKER_BADNAME);
    cr_expect_eq(CALL(other, "dict.open", reference, NO_ARGS), 0);
    cr_expect_eq(client_int(other, 0), 1);
    client_close(c);
    client_close(other);
}

Test(zmq_requests, a_name_may_become_another_objects)
{
    struct client *c = client_open(), *other = client_open();

    client_make(c, "dict", "d");
    cr_assert_eq(CALL(other, "dict.set", broker_str("d"), ARGS(broker_int(1), broker_int(2))), 0);
    cr_assert_eq(CALL(c, "broker.destroy", broker_nil(), ARGS(broker_str("d"))), 0);
    cr_expect_eq(CALL(c, "dict.len", broker_int(1), NO_ARGS), BROKER_GONE);
    cr_expect_eq(CALL(other, "dict.len", broker_str("d"), NO_ARGS), BROKER_NOTFOUND);
    client_make(c, "dict", "d");
    cr_expect_eq(CALL(other, "dict.len", broker_str("d"), NO_ARGS), 0);
    cr_expect_eq(client_int(other, 0), 0);
    client_close(c);
    client_close(other);
}

Test(zmq_requests, options_of_an_open)
{
    struct client *c = client_open();
    const char *const names[] = {"max_items", "mode"};
    const char *const wrong[] = {"max_thumbs"};
    const broker_value values[] = {broker_int(1), broker_int(BROKER_CREATE)};
    broker_value q;

    cr_assert_eq(CALL(c, "queue.open", broker_str("q"), ARGS(packed_map(names, values, 2))), 0);
    q = broker_int(client_int(c, 0));
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(1), broker_int(0))), 0);
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(1), broker_int(0))), BROKER_FULL);
    cr_expect_eq(
        CALL(c, "queue.open", broker_str("q"), ARGS(packed_map(names, values, 2))), BROKER_EXISTS);
    cr_expect_eq(
        CALL(c, "queue.open", broker_str("r"), ARGS(packed_map(wrong, values, 1))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "queue.open", broker_str("r"), ARGS(broker_int(1))), BROKER_INVALID);
    cr_expect_eq(CALL(c, "queue.open", broker_str("q"), NO_ARGS), 0);
    cr_expect_eq(client_int(c, 0), q.i, "the same handle, counted");
    cr_expect_eq(CALL(c, "queue.open", broker_nil(), NO_ARGS), 0);
    cr_expect_neq(client_int(c, 0), q.i);
    client_close(c);
}

Test(zmq_requests, the_last_close_gives_back)
{
    struct client *c = client_open(), *other = client_open();
    broker_value lock = client_make(c, "lock", "l");

    client_make(c, "lock", "l");
    cr_assert_eq(CALL(c, "lock.acquire", lock, NO_ARGS), 0);
    cr_expect_eq(CALL(c, "object.close", lock, NO_ARGS), 0);
    cr_expect_eq(
        CALL(other, "lock.acquire", broker_str("l"), ARGS(broker_int(0))), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(c, "object.close", lock, NO_ARGS), 0);
    cr_expect_geq(CALL(other, "lock.acquire", broker_str("l"), ARGS(broker_int(0))), 0);
    cr_expect_eq(CALL(c, "lock.release", lock, NO_ARGS), BROKER_INVALID);
    client_close(c);
    client_close(other);
}

Test(zmq_requests, threads_of_a_client_are_told_apart)
{
    struct client *c = client_open(), *other = client_open();
    broker_value lock = client_make(c, "rlock", "l");

    cr_assert_eq(CALL_AS(c, 1, "rlock.acquire", lock, NO_ARGS), 0);
    cr_expect_eq(CALL_AS(c, 1, "rlock.acquire", lock, NO_ARGS), 0, "again, by the same");
    cr_expect_eq(CALL_AS(c, 2, "rlock.acquire", lock, ARGS(broker_int(0))), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(c, "rlock.acquire", lock, ARGS(broker_int(0))), BROKER_TIMEDOUT);
    cr_expect_eq(
        CALL_AS(other, 1, "rlock.acquire", broker_str("l"), ARGS(broker_int(0))), BROKER_TIMEDOUT);
    cr_expect_eq(CALL_AS(c, 2, "rlock.release", lock, NO_ARGS), BROKER_NOTOWNER);
    cr_expect_eq(CALL_AS(c, 1, "rlock.release", lock, NO_ARGS), 0);
    cr_expect_eq(CALL_AS(c, 1, "rlock.release", lock, NO_ARGS), 0);
    cr_expect_eq(CALL(c, "rlock.acquire", lock, ARGS(broker_int(0))), 0, "thread 0 is one, too");
    cr_expect_eq(CALL_AS(c, 1, "rlock.release", lock, NO_ARGS), BROKER_NOTOWNER);
    cr_expect_eq(CALL(c, "rlock.release", lock, NO_ARGS), 0);
    client_close(c);
    client_close(other);
}

/* Two threads of one session in a circle: who closes it is told. */
Test(zmq_requests, a_deadlock_between_threads_of_a_client)
{
    struct client *c = client_open();
    const char *name = "detect_deadlock";
    const broker_value yes = broker_bool(true);
    uint64_t first, second;
    int a, b;

    cr_assert_eq(CALL(c, "lock.open", broker_str("a"), ARGS(packed_map(&name, &yes, 1))), 0);
    cr_assert_eq(CALL(c, "lock.open", broker_str("b"), ARGS(packed_map(&name, &yes, 1))), 0);
    cr_assert_eq(CALL_AS(c, 1, "lock.acquire", broker_str("a"), NO_ARGS), 0);
    cr_assert_eq(CALL_AS(c, 2, "lock.acquire", broker_str("b"), NO_ARGS), 0);
    first = client_ask_as(c, 1, "lock.acquire", broker_str("b"), NO_ARGS);
    second = client_ask_as(c, 2, "lock.acquire", broker_str("a"), NO_ARGS);
    b = client_answer(c, second);
    cr_expect_eq(b, BROKER_DEADLOCK);
    cr_expect_eq(CALL_AS(c, 2, "lock.release", broker_str("b"), NO_ARGS), 0);
    a = client_answer(c, first);
    cr_expect_eq(a, 0);
    client_close(c);
}
