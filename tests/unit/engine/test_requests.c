/*
 * test_requests.c - what the remote engine asks for
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fake.h"
#include "value/value.h"

TestSuite(requests, .init = fake_start, .fini = fake_stop, .timeout = 60);

Test(requests, hello_says_who_comes_and_what_for)
{
    broker *b = fake_open();
    char client[32];

    (void)snprintf(client, sizeof(client), "client %.15s ", program_invocation_short_name);
    cr_assert_eq(fake.n_hellos, 1);
    cr_assert_str_eq(broker_address(b), fake.address);
    cr_assert_not_null(strstr(fake.hello, "arena default "));
    cr_assert_not_null(strstr(fake.hello, "access rw "));
    cr_assert_not_null(strstr(fake.hello, client), "%s", fake.hello);
    cr_assert_not(fake.resumed);
    fake_close(b);
    cr_assert_eq(fake.n_ends, 1, "the session was not ended");
}

Test(requests, same_address_is_the_same_session)
{
    broker *b = fake_open(), *again;

    cr_assert_eq(broker_open(fake.address, &again), 0);
    cr_assert_eq(again, b);
    broker_close(again);
    cr_assert_eq(fake.n_ends, 0);
    fake_close(b);
    cr_assert_eq(fake.n_ends, 1);
}

static int put(struct calling *c)
{
    return broker_queue_put(c->object, broker_int(c->number), BROKER_FOREVER);
}

static int put_soon(struct calling *c)
{
    return broker_queue_put(c->object, broker_int(c->number), 5 * BROKER_SECOND);
}

Test(requests, arguments_travel_and_defaults_stay_at_home)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 5);
    struct calling c;
    struct asked a;

    call(&c, put, q, -3);
    fake_expect(&a, "queue.put");
    cr_assert_eq(a.request.object.i, 5);
    cr_assert_neq(a.request.thread, 0);
    cr_assert_eq(a.request.n_args, 1, "waiting for ever is the default");
    cr_assert_eq(a.request.args[0].i, -3);
    fake_answer(&a, NULL, 0);
    cr_assert_eq(called(&c), 0);
    call(&c, put_soon, q, 1);
    fake_expect(&a, "queue.put");
    cr_assert_eq(a.request.n_args, 2);
    cr_assert_eq(a.request.args[1].i, 5 * BROKER_SECOND);
    fake_answer(&a, NULL, 0);
    cr_assert_eq(called(&c), 0);
    fake_close(b);
}

static int open_with_options(struct calling *c)
{
    broker_queue_options options = {.mode = BROKER_CREATE, .max_items = 5, .lifo = true};
    broker_queue *q;

    return broker_queue_open(c->object, "jobs", &options, &q);
}

Test(requests, options_that_are_not_zero_are_given)
{
    static const uint8_t wanted[] = "\x83\xa4mode\x01\xa9max_items\x05\xa4lifo\xc3";
    broker *b = fake_open();
    struct calling c;
    struct asked a;

    call(&c, open_with_options, b, 0);
    fake_expect(&a, "queue.open");
    cr_assert_eq(a.request.n_args, 1);
    cr_assert_eq(a.request.args[0].size, sizeof(wanted) - 1);
    cr_assert_eq(memcmp(a.request.args[0].data, wanted, sizeof(wanted) - 1), 0);
    fake_refuse(&a, BROKER_EXISTS, "there is one");
    cr_assert_eq(called(&c), BROKER_EXISTS);
    fake_close(b);
}

static int acquire(struct calling *c)
{
    return broker_lock_acquire(c->object, BROKER_FOREVER, NULL);
}

static int acquire_and_release(struct calling *c)
{
    int r = acquire(c);

    return r < 0 ? r : broker_lock_release(c->object);
}

Test(requests, threads_are_told_apart)
{
    broker *b = fake_open();
    broker_lock *l = fake_lock(b, "till", 2);
    struct calling first, second;
    struct asked a, other;

    call(&first, acquire_and_release, l, 0);
    fake_expect(&a, "lock.acquire");
    call(&second, acquire, l, 0);
    fake_expect(&other, "lock.acquire");
    cr_assert_neq(a.request.thread, other.request.thread);
    fake_give(&other, broker_int(2));
    cr_assert_eq(called(&second), 0);
    fake_give(&a, broker_int(1));
    fake_expect(&other, "lock.release");
    cr_assert_eq(other.request.thread, a.request.thread, "the same thread is the same owner");
    fake_answer(&other, NULL, 0);
    cr_assert_eq(called(&first), 0);
    fake_close(b);
}

static int close_dict(struct calling *c)
{
    broker_dict_close(c->object);
    return 0;
}

Test(requests, last_close_gives_back_every_open)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a;

    cr_assert_eq(fake_dict(b, "stock", 4), d, "one handle for one object");
    broker_dict_close(d);
    call(&c, close_dict, d, 0);
    for (int i = 0; i < 2; i++) {
        fake_expect(&a, "object.close");
        cr_assert_eq(a.request.object.i, 4);
        fake_answer(&a, NULL, 0);
    }
    cr_assert_eq(called(&c), 0);
    fake_close(b);
}

Test(requests, references_are_those_of_the_session)
{
    broker *b = fake_open();
    broker_value ref = broker_ref(fake_dict(b, "stock", 4));

    cr_assert_eq(ref.type, BROKER_REF);
    cr_assert_eq(ref.size, 4);
    cr_assert_eq(ref.u, 77);
    fake_close(b);
}

static int wait_any(struct calling *c)
{
    size_t index = 99;
    int r = broker_wait_any(c->object, (size_t)c->number, BROKER_SECOND, &index);

    c->value = broker_uint(index);
    return r;
}

Test(requests, several_objects_are_waited_for_by_their_handles)
{
    broker *b = fake_open();
    void *objects[] = {fake_queue(b, "jobs", 300), fake_lock(b, "till", 2)};
    struct calling c;
    struct asked a;

    call(&c, wait_any, objects, 2);
    fake_expect(&a, "object.wait_any");
    cr_assert_eq(a.request.args[0].size, 5);
    cr_assert_eq(memcmp(a.request.args[0].data, "\x92\xcd\x01\x2c\x02", 5), 0);
    cr_assert_eq(a.request.args[1].i, BROKER_SECOND);
    fake_give(&a, broker_int(1));
    cr_assert_eq(called(&c), 0);
    cr_assert_eq(c.value.u, 1);
    call(&c, wait_any, objects, 2);
    fake_expect(&a, "object.wait_any");
    fake_give(&a, broker_int(2));
    cr_assert_eq(called(&c), BROKER_PROTO, "there is no such index");
    cr_assert_eq(c.value.u, 99);
    fake_close(b);
}

Test(requests, what_needs_shared_memory_says_so)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 1);
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    uint64_t token;
    void *memory;
    int fd;

    cr_assert_eq(broker_fd(q, &fd), BROKER_UNSUPPORTED);
    cr_assert_not_null(strstr(broker_last_error(), "ipc://"), "%s", broker_last_error());
    cr_assert_eq(broker_queue_reserve(q, 10, &memory), BROKER_UNSUPPORTED);
    cr_assert_not_null(strstr(broker_last_error(), "shared memory"), "%s", broker_last_error());
    cr_assert_eq(
        broker_queue_lease_in_place(q, 0, 1, &buffer, &item, &token, NULL), BROKER_UNSUPPORTED);
    fake_close(b);
}

static int set_large(struct calling *c)
{
    static char large[5000];

    return broker_dict_set(c->object, broker_int(1), broker_bin(large, (size_t)c->number));
}

Test(requests, larger_than_a_message_may_be_is_not_sent)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a;

    call(&c, set_large, d, 4096);
    cr_assert_eq(called(&c), BROKER_TOOBIG);
    cr_assert_not_null(strstr(c.error, "one message"), "%s", c.error);
    call(&c, set_large, d, 4000);
    fake_expect(&a, "dict.set");
    cr_assert_leq(a.size, 4096);
    fake_answer(&a, NULL, 0);
    cr_assert_eq(called(&c), 0);
    fake_close(b);
}

static int get(struct calling *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    int r = broker_queue_get(c->object, c->number, &buffer, &c->value);

    broker_buffer_free(&buffer);
    return r;
}

Test(requests, no_more_are_under_way_than_agreed)
{
    struct calling calls[12], one_more;
    struct asked asked[12];
    broker_queue *q;
    broker *b;

    fake.terms.max_pending = 16;
    b = fake_open();
    q = fake_queue(b, "jobs", 1);
    for (int i = 0; i < 12; i++) {
        call(&calls[i], get, q, BROKER_FOREVER);
        fake_expect(&asked[i], "queue.get");
    }
    call(&one_more, get, q, BROKER_FOREVER);
    cr_assert_eq(called(&one_more), BROKER_LIMIT);
    for (int i = 12; i-- > 0;) /* in any order */
        fake_give(&asked[i], broker_int(i));
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(called(&calls[i]), 0);
        cr_assert_eq(calls[i].value.i, i, "it got another's answer");
    }
    fake_close(b);
}
