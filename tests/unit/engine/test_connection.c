/*
 * test_connection.c - connections that are lost, answers that do not come, and processes that fork
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "fake.h"
#include "support/child.h"

TestSuite(connection, .init = fake_start, .fini = fake_stop, .timeout = 60);

static int contains(struct calling *c)
{
    bool found = false;
    int r = broker_dict_contains(c->object, broker_int(c->number), &found);

    c->value = broker_bool(found);
    return r;
}

static int add(struct calling *c)
{
    return broker_dict_add(c->object, broker_int(1), c->number, &c->number);
}

static int get(struct calling *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    int r = broker_queue_get(c->object, c->number, &buffer, &c->value);

    broker_buffer_free(&buffer);
    return r;
}

static int open_it(struct calling *c)
{
    return broker_open(fake.address, (broker **)&c->object);
}

Test(connection, where_nobody_answers_is_no_broker)
{
    struct calling c;
    int64_t began = bri_now();

    fake_down();
    call(&c, open_it, NULL, 0);
    cr_assert_eq(called(&c), BROKER_NODAEMON);
    cr_assert_not_null(strstr(c.error, fake.address), "%s", c.error);
    cr_assert_geq(bri_now() - began, 4 * BRI_SECOND);
    cr_assert_lt(bri_now() - began, 15 * BRI_SECOND);
}

Test(connection, a_broker_that_comes_late_is_found)
{
    struct calling c;

    fake_down();
    call(&c, open_it, NULL, 0);
    fake_up();
    fake_serve_until(is_over, &c);
    cr_assert_eq(called(&c), 0, "%s", c.error);
    fake_close(c.object);
}

Test(connection, lost_one_is_made_again_and_the_session_goes_on)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling first, second;
    struct asked a, again;
    uint64_t ids[2];

    call(&first, contains, d, 1);
    fake_expect(&a, "dict.contains");
    ids[0] = a.request.id;
    call(&second, add, d, 2);
    fake_expect(&a, "dict.add");
    ids[1] = a.request.id;
    cr_assert_gt(ids[1], ids[0]);
    fake_down();
    fake_up();
    fake_expect(&again, "dict.contains");
    cr_assert_eq(fake.n_hellos, 2);
    cr_assert(fake.resumed, "it began anew");
    cr_assert_eq(again.request.id, ids[0]);
    cr_assert_eq(again.request.object.i, 4, "the session's handles are still good");
    fake_give(&again, broker_bool(true));
    fake_expect(&again, "dict.add");
    cr_assert_eq(again.request.id, ids[1]);
    fake_give(&again, broker_int(9));
    cr_assert_eq(called(&first), 0);
    cr_assert(first.value.b);
    cr_assert_eq(called(&second), 0);
    cr_assert_eq(second.number, 9);
    fake_close(b);
}

/* Both when the broker says that it has ended the session and when it has begun another one. */
Test(connection, lost_session_leaves_changes_unknown_and_everything_else_lost)
{
    for (int i = 0; i < 2; i++) {
        struct calling reads, changes, before;
        broker_dict *d;
        struct asked a;
        broker *b, *other;

        fake.terms.status = 0;
        fake.terms.no_resume = false;
        b = fake_open();
        d = fake_dict(b, "stock", 4);
        call(&reads, contains, d, 1);
        fake_expect(&a, "dict.contains");
        call(&changes, add, d, 2);
        fake_expect(&a, "dict.add");
        fake_down();
        fake_up();
        fake.terms.status = i == 0 ? BROKER_LOST : 0;
        fake.terms.text = "it was too late";
        fake.terms.no_resume = true;
        fake_serve_until(is_over, &reads);
        cr_assert_eq(called(&reads), BROKER_LOST);
        cr_assert_eq(called(&changes), BROKER_UNKNOWN);
        call(&before, add, d, 2);
        cr_assert_eq(called(&before), BROKER_LOST, "it was never sent");
        fake.terms.status = 0;
        other = fake_open();
        cr_assert_neq(other, b, "a session that is over was opened again");
        fake_close(other);
        broker_close(b);
    }
}

Test(connection, broker_that_stays_away_has_ended_the_session)
{
    struct calling changes;
    broker_dict *d;
    struct asked a;
    broker *b;

    fake.terms.timeout_ns = 500 * BRI_MILLISECOND;
    b = fake_open();
    d = fake_dict(b, "stock", 4);
    call(&changes, add, d, 2);
    fake_expect(&a, "dict.add");
    fake_down();
    cr_assert_eq(called(&changes), BROKER_UNKNOWN);
    call(&changes, add, d, 2);
    cr_assert_eq(called(&changes), BROKER_LOST);
    cr_assert_not_null(strstr(changes.error, "reached"), "%s", changes.error);
    broker_close(b);
}

Test(connection, answer_that_says_lost_ends_the_session)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct calling c;
    struct asked a;

    call(&c, contains, d, 1);
    fake_expect(&a, "dict.contains");
    fake_refuse(&a, BROKER_LOST, "it was too late");
    cr_assert_eq(called(&c), BROKER_LOST);
    cr_assert_eq(contains(&c), BROKER_LOST, "it was asked again");
    broker_close(b);
}

static bool has_pinged(void *arg)
{
    return fake.n_pings >= *(unsigned *)arg;
}

Test(connection, who_says_nothing_is_heard_of)
{
    unsigned enough = 3;
    struct calling c;
    broker_queue *q;
    struct asked a;
    broker *b;

    fake.terms.timeout_ns = 300 * BRI_MILLISECOND;
    b = fake_open();
    fake_serve_until(has_pinged, &enough);
    q = fake_queue(b, "jobs", 1);
    call(&c, get, q, BROKER_FOREVER);
    fake_expect(&a, "queue.get");
    enough = fake.n_pings + 3;
    fake_serve_until(has_pinged, &enough);
    fake_give(&a, broker_int(5));
    cr_assert_eq(called(&c), 0);
    cr_assert_eq(fake.n_hellos, 1, "it took the connection for dead");
    fake_close(b);
}

static bool has_said_hello_again(void *arg)
{
    (void)arg;
    return fake.n_hellos >= 2;
}

Test(connection, broker_that_answers_nothing_is_connected_to_again)
{
    broker *b;

    fake.terms.timeout_ns = 600 * BRI_MILLISECOND;
    b = fake_open();
    fake.terms.silent = true;
    fake_serve_until(has_said_hello_again, NULL);
    cr_assert(fake.resumed);
    fake.terms.silent = false;
    fake_close(b);
}

/* The item is not lost, whichever comes first. */
Test(connection, overdue_answer_is_asked_for_and_waited_for)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 1);
    struct calling c;
    struct asked a, cancel;

    for (int i = 0; i < 2; i++) {
        call(&c, get, q, 50 * BRI_MILLISECOND);
        fake_expect(&a, "queue.get");
        fake_expect(&cancel, "session.cancel");
        cr_assert_eq(cancel.request.args[0].u, a.request.id);
        if (i == 0)
            fake_give(&a, broker_int(7));
        else
            fake_refuse(&a, BROKER_EMPTY, "there is nothing");
        fake_give(&cancel, broker_bool(true));
        cr_assert_eq(called(&c), i == 0 ? 0 : BROKER_EMPTY);
        cr_assert(i == 1 || c.value.i == 7);
    }
    fake_close(b);
}

Test(connection, follower_asks_for_its_own_overdue_answer)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 1);
    struct calling leader, follower;
    struct asked a, other, cancel;

    call(&leader, get, q, BROKER_FOREVER);
    fake_expect(&a, "queue.get");
    call(&follower, get, q, 50 * BRI_MILLISECOND);
    fake_expect(&other, "queue.get");
    fake_expect(&cancel, "session.cancel");
    cr_assert_eq(cancel.request.args[0].u, other.request.id);
    fake_refuse(&other, BROKER_EMPTY, "");
    cr_assert_eq(called(&follower), BROKER_EMPTY);
    fake_give(&a, broker_int(7));
    cr_assert_eq(called(&leader), 0);
    fake_give(&cancel, broker_bool(false));
    fake_close(b);
}

Test(connection, whoever_leaves_hands_the_socket_on)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 1);
    struct calling calls[6];
    struct asked asked[6];

    for (int i = 0; i < 6; i++) {
        call(&calls[i], get, q, BROKER_FOREVER);
        fake_expect(&asked[i], "queue.get");
    }
    for (int i = 0; i < 6; i++) { /* the leader first, again and again */
        fake_give(&asked[i], broker_int(i));
        cr_assert_eq(called(&calls[i]), 0);
        cr_assert_eq(calls[i].value.i, i);
    }
    fake_close(b);
}

Test(connection, what_was_never_sent_can_time_out_here)
{
    broker *b = fake_open();
    broker_queue *q = fake_queue(b, "jobs", 1);
    struct calling sent, unsent;
    struct asked a, hello;

    call(&sent, get, q, BROKER_FOREVER);
    fake_expect(&a, "queue.get");
    fake_down();
    fake_up();
    fake_expect(&hello, "session.hello"); /* which stays without an answer */
    call(&unsent, get, q, BRI_MILLISECOND);
    cr_assert_eq(called(&unsent), BROKER_TIMEDOUT);
    cr_assert_not(sent.is_over);
    fake_expect(&a, "queue.get"); /* on the next connection */
    fake_give(&a, broker_int(1));
    cr_assert_eq(called(&sent), 0);
    fake_close(b);
}

/* What the child does: its answers come from the parent, which drives the fake. */
static int child_contains(broker_dict *d)
{
    bool found = false;

    return broker_dict_contains(d, broker_int(1), &found) == 0 && found ? 0 : 1;
}

Test(connection, child_is_a_session_of_its_own)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    broker_value results[2] = {broker_int(50), broker_ref(d)};
    struct calling c;
    struct asked a;
    pid_t pid;

    call(&c, contains, d, 1); /* a thread that the child does not have */
    fake_expect(&a, "dict.contains");
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(child_contains(d));
    {
        struct asked reopen, asks;

        fake_expect(&reopen, "dict.open");
        cr_assert_eq(fake.n_hellos, 2);
        cr_assert_not(fake.resumed, "it took its parent's session");
        cr_assert_eq(reopen.request.object.type, BROKER_REF);
        cr_assert_eq(reopen.request.object.size, 4);
        fake_answer(&reopen, results, 2);
        fake_expect(&asks, "dict.contains");
        cr_assert_eq(asks.request.object.i, 50);
        fake_give(&asks, broker_bool(true));
    }
    child_expect_success(pid);
    fake_give(&a, broker_bool(true));
    cr_assert_eq(called(&c), 0, "the parent's session goes on");
    fake_close(b);
    cr_assert_eq(fake.n_ends, 1, "the child ended a session");
}

Test(connection, child_of_another_arena_says_so)
{
    broker *b = fake_open();
    broker_dict *d = fake_dict(b, "stock", 4);
    struct asked a;
    pid_t pid;

    fake.terms.arena = 10;
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(broker_dict_clear(d) == BROKER_GONE ? 0 : 1);
    fake_expect(&a, "session.end"); /* of the one that the child has no use for */
    fake_answer(&a, NULL, 0);
    child_expect_success(pid);
    fake_close(b);
}
