/*
 * test_waiting.c - operations that wait: what wakes them, and what ends them
 */
#include "kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define MANY 10000

TestSuite(zmq_waiting, .init = kit_start, .fini = kit_stop, .timeout = 60);

/* When it has come back, all that was asked before has been begun. */
static void settle(struct client *c)
{
    cr_assert_eq(CALL(c, "session.ping", broker_nil(), NO_ARGS), 0);
}

Test(zmq_waiting, two_wait_for_items)
{
    struct client *a = client_open(), *b = client_open();
    broker_value q = client_make(a, "queue", "q");
    uint64_t first, second;

    client_make(b, "queue", "q");
    first = ASK(a, "queue.get", q, NO_ARGS);
    settle(a);
    second = ASK(b, "queue.get", broker_str("q"), NO_ARGS);
    settle(b);
    cr_expect_not(client_has_answer(a, first));
    cr_expect_not(client_has_answer(b, second));
    cr_expect_eq(CALL(a, "queue.put", q, ARGS(broker_int(1))), 0);
    cr_expect_eq(CALL(a, "queue.put", q, ARGS(broker_int(2))), 0);
    cr_expect_eq(client_answer(a, first), 0);
    cr_expect_eq(client_answer(b, second), 0);
    cr_expect_eq(client_int(a, 0) + client_int(b, 0), 3);
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, for_room_and_for_all_to_be_done)
{
    struct client *a = client_open(), *b = client_open();
    const char *const names[] = {"max_items", "joinable"};
    const broker_value values[] = {broker_int(1), broker_bool(true)};
    uint64_t put, join;
    broker_value q;

    cr_assert_eq(CALL(a, "queue.open", broker_str("q"), ARGS(packed_map(names, values, 2))), 0);
    q = broker_int(client_int(a, 0));
    cr_assert_eq(CALL(a, "queue.put", q, ARGS(broker_int(1))), 0);
    put = ASK(a, "queue.put", q, ARGS(broker_int(2)));
    join = ASK(a, "queue.join", q, NO_ARGS);
    settle(a);
    cr_expect_not(client_has_answer(a, put));
    cr_expect_eq(CALL(b, "queue.get", broker_str("q"), NO_ARGS), 0);
    cr_expect_eq(client_answer(a, put), 0);
    cr_expect_eq(CALL(b, "queue.get", broker_str("q"), NO_ARGS), 0);
    cr_expect_eq(CALL(b, "queue.task_done", broker_str("q"), NO_ARGS), 0);
    cr_expect_not(client_has_answer(a, join));
    cr_expect_eq(CALL(b, "queue.task_done", broker_str("q"), NO_ARGS), 0);
    cr_expect_eq(client_answer(a, join), 0);
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, for_a_lock_one_after_the_other)
{
    struct client *a = client_open(), *b = client_open();
    broker_value l = client_make(a, "lock", "l");
    uint64_t ids[20];

    cr_assert_eq(CALL(a, "lock.acquire", l, NO_ARGS), 0);
    cr_assert_eq(CALL(b, "lock.locked", broker_str("l"), NO_ARGS), 0);
    for (uint32_t i = 0; i < 20; i++)
        ids[i] = client_ask_as(b, i + 1, "lock.acquire", broker_str("l"), NO_ARGS);
    settle(b);
    cr_expect_eq(CALL(a, "lock.release", l, NO_ARGS), 0);
    for (unsigned n = 0; n < 20;) {
        for (uint32_t i = 0; i < 20; i++) {
            if (ids[i] == 0 || !client_has_answer(b, ids[i]))
                continue;
            cr_expect_eq(client_answer(b, ids[i]), 0);
            ids[i] = 0;
            n++;
            cr_expect_eq(CALL_AS(b, i + 1, "lock.release", broker_str("l"), NO_ARGS), 0);
        }
    }
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, for_a_condition)
{
    struct client *a = client_open(), *b = client_open();
    broker_value c = client_make(a, "condition", "c");
    uint64_t first, second;

    client_make(b, "condition", "c");
    cr_assert_eq(CALL_AS(a, 1, "condition.acquire", c, NO_ARGS), 0);
    first = client_ask_as(a, 1, "condition.wait", c, NO_ARGS);
    cr_assert_eq(CALL(b, "condition.acquire", broker_str("c"), NO_ARGS), 0);
    second = ASK(b, "condition.wait", broker_str("c"), NO_ARGS);
    settle(b);
    cr_assert_eq(CALL_AS(a, 2, "condition.acquire", c, NO_ARGS), 0);
    cr_assert_eq(CALL_AS(a, 2, "condition.notify", c, ARGS(broker_int(1))), 0);
    settle(a);
    cr_expect_not(client_has_answer(a, first), "the lock is not free yet");
    cr_assert_eq(CALL_AS(a, 2, "condition.release", c, NO_ARGS), 0);
    cr_expect_eq(client_answer(a, first), 0);
    cr_expect_not(client_has_answer(b, second));
    cr_assert_eq(CALL_AS(a, 1, "condition.notify_all", c, NO_ARGS), 0);
    cr_assert_eq(CALL_AS(a, 1, "condition.release", c, NO_ARGS), 0);
    cr_expect_eq(client_answer(b, second), 0);
    cr_expect_eq(CALL(b, "condition.release", broker_str("c"), NO_ARGS), 0);
    client_close(a);
    client_close(b);
}

/* A wait that is cancelled has the lock back all the same, when it can be had. */
Test(zmq_waiting, a_condition_cancelled)
{
    struct client *a = client_open(), *b = client_open();
    broker_value c = client_make(a, "condition", "c");
    uint64_t wait;

    client_make(b, "condition", "c");
    cr_assert_eq(CALL(a, "condition.acquire", c, NO_ARGS), 0);
    wait = ASK(a, "condition.wait", c, NO_ARGS);
    cr_assert_eq(CALL(b, "condition.acquire", broker_str("c"), NO_ARGS), 0);
    cr_assert_eq(CALL(a, "session.cancel", broker_nil(), ARGS(broker_uint(wait))), 0);
    settle(a);
    cr_expect_not(client_has_answer(a, wait));
    cr_assert_eq(CALL(b, "condition.release", broker_str("c"), NO_ARGS), 0);
    cr_expect_eq(client_answer(a, wait), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(a, "condition.release", c, NO_ARGS), 0);
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, at_a_barrier)
{
    struct client *a = client_open(), *b = client_open();
    const char *name = "parties";
    const broker_value two = broker_int(2);
    uint64_t first, second;

    cr_assert_eq(CALL(a, "barrier.open", broker_str("b"), ARGS(packed_map(&name, &two, 1))), 0);
    first = ASK(a, "barrier.wait", broker_str("b"), NO_ARGS);
    settle(a);
    cr_expect_not(client_has_answer(a, first));
    second = ASK(b, "barrier.wait", broker_str("b"), NO_ARGS);
    cr_expect_eq(client_answer(a, first), 0);
    cr_expect_eq(client_answer(b, second), 0);
    cr_expect_eq(client_int(a, 0) + client_int(b, 0), 1);
    first = ASK(a, "barrier.wait", broker_str("b"), NO_ARGS);
    settle(a);
    cr_expect_eq(CALL(b, "session.end", broker_nil(), NO_ARGS), 0);
    settle(a);
    cr_expect_eq(CALL(a, "session.cancel", broker_nil(), ARGS(broker_uint(first))), 0);
    cr_expect_eq(client_answer(a, first), BROKER_BROKEN);
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, for_one_of_several)
{
    struct client *a = client_open(), *b = client_open();
    const broker_value three[] = {
        client_make(a, "queue", "q"), client_make(a, "event", "e"), client_make(a, "lock", "l")};
    const broker_value wrong[] = {broker_int(1), broker_int(77)};
    uint64_t id;

    cr_assert_eq(CALL_AS(a, 9, "lock.acquire", three[2], NO_ARGS), 0);
    id = ASK(a, "object.wait_any", broker_nil(), ARGS(packed_array(three, 3)));
    settle(a);
    cr_expect_not(client_has_answer(a, id));
    cr_assert_eq(CALL(b, "event.set", broker_str("e"), NO_ARGS), 0);
    cr_expect_eq(client_answer(a, id), 0);
    cr_expect_eq(client_int(a, 0), 1);
    cr_assert_eq(CALL(b, "event.clear", broker_str("e"), NO_ARGS), 0);
    cr_expect_eq(
        CALL(a, "object.wait_any", broker_nil(), ARGS(packed_array(three, 3), broker_int(20 * MS))),
        BROKER_TIMEDOUT);
    id = ASK(a, "object.wait_any", broker_nil(), ARGS(packed_array(three, 3)));
    cr_assert_eq(CALL(a, "session.cancel", broker_nil(), ARGS(broker_uint(id))), 0);
    cr_expect_eq(client_answer(a, id), BROKER_TIMEDOUT);
    cr_expect_eq(
        CALL(a, "object.wait_any", broker_nil(), ARGS(packed_array(wrong, 2))), BROKER_INVALID);
    cr_expect_eq(CALL(a, "object.wait_any", broker_nil(), ARGS(broker_int(1))), BROKER_INVALID);
    client_close(a);
    client_close(b);
}

Test(zmq_waiting, no_longer_than_asked_for)
{
    struct client *c = client_open();
    broker_value q = client_make(c, "queue", "q");
    uint64_t late = ASK(c, "queue.get", q, ARGS(broker_int(300 * MS)));
    uint64_t soon = ASK(c, "queue.get", q, ARGS(broker_int(30 * MS)));

    cr_expect_eq(client_answer(c, soon), BROKER_TIMEDOUT);
    cr_expect_not(client_has_answer(c, late));
    cr_expect_eq(client_answer(c, late), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(c, "queue.get", q, ARGS(broker_int(0))), BROKER_EMPTY);
    client_close(c);
}

Test(zmq_waiting, cancelling)
{
    struct client *c = client_open(), *other = client_open();
    broker_value q = client_make(c, "queue", "q");
    uint64_t get = ASK(c, "queue.get", q, NO_ARGS);

    cr_expect_eq(CALL(other, "session.cancel", broker_nil(), ARGS(broker_uint(get))), 0);
    cr_expect_not(client_last(other)->results[0].b, "it is another session's");
    cr_expect_eq(CALL(c, "session.cancel", broker_nil(), ARGS(broker_uint(get))), 0);
    cr_expect(client_last(c)->results[0].b);
    cr_expect_eq(client_answer(c, get), BROKER_TIMEDOUT);
    cr_expect_eq(CALL(c, "session.cancel", broker_nil(), ARGS(broker_uint(get))), 0);
    cr_expect_not(client_last(c)->results[0].b);
    cr_expect_eq(CALL(c, "session.cancel", broker_nil(), NO_ARGS), BROKER_INVALID);
    cr_expect_eq(CALL(c, "queue.put", q, ARGS(broker_int(4))), 0);
    cr_expect_eq(CALL(c, "queue.qsize", q, NO_ARGS), 0);
    cr_expect_eq(client_int(c, 0), 1, "the cancelled get took nothing");
    client_close(c);
    client_close(other);
}

/* Items and cancellations race; each item is taken once, by somebody who is told so. */
Test(zmq_waiting, cancelling_against_an_item)
{
    enum { ROUNDS = 2000 };
    struct client *c = client_open();
    static bool got[ROUNDS];
    unsigned n_got = 0, n_cancelled = 0;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    broker_queue *queue;
    broker *b;
    int r;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(broker_queue_open(b, "q", NULL, &queue), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t get = ASK(c, "queue.get", broker_str("q"), NO_ARGS), cancel;

        if (i % 2 == 0)
            settle(c);
        cancel = ASK(c, "session.cancel", broker_nil(), ARGS(broker_uint(get)));
        cr_assert_eq(broker_queue_put(queue, broker_int(i), 0), 0);
        r = client_answer(c, get);
        if (r == 0) {
            cr_assert_not(got[client_int(c, 0)]);
            got[client_int(c, 0)] = true;
            n_got++;
        } else {
            cr_assert_eq(r, BROKER_TIMEDOUT);
            n_cancelled++;
        }
        cr_assert_eq(client_answer(c, cancel), 0);
    }
    while (broker_queue_get(queue, 0, &buffer, &item) == 0) {
        cr_assert_not(got[item.i]);
        got[item.i] = true;
        n_got++;
    }
    cr_expect_eq(n_got, (unsigned)ROUNDS, "%u of %u", n_got, (unsigned)ROUNDS);
    cr_expect_gt(n_cancelled, 0);
    broker_buffer_free(&buffer);
    broker_close(b);
    client_close(c);
}

/* ---- many ---- */

static void start_for_many(void)
{
    kit_start_with((const char *const[]){"--max-pending", "20000", "--session-memory", "1000000000",
        "--max-waiting", "11000", NULL});
}

TestSuite(zmq_many, .init = start_for_many, .fini = kit_stop, .timeout = 120);

/* What a process has in memory, in KiB, and how many threads. */
static long read_status(const char *name)
{
    char path[64], line[256];
    long value = -1;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)kit_endpoint_pid());
    f = fopen(path, "re");
    cr_assert_not_null(f);
    while (value < 0 && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name) + 1, NULL, 10);
    (void)fclose(f);
    return value;
}

Test(zmq_many, ten_thousand_wait_at_once)
{
    struct client *c = client_open(), *other = client_open();
    static uint64_t ids[MANY];
    static bool got[MANY];
    long before, used;

    client_make(c, "queue", "q");
    client_make(other, "queue", "q");
    before = read_status("VmRSS");
    for (int i = 0; i < MANY; i++)
        ids[i] = ASK(c, "queue.get", broker_str("q"), NO_ARGS);
    settle(c);
    used = read_status("VmRSS") - before;
    cr_expect_leq(read_status("Threads"), 8, "they cost no threads");
    cr_expect_lt(used, (IS_SANITIZED ? 200L : 20L) * MANY, "%ld KiB for %d", used, MANY);
    cr_expect_eq(CALL(other, "queue.qsize", broker_str("q"), NO_ARGS), 0, "nobody is held up");
    for (int i = 0; i < MANY; i++)
        ASK(other, "queue.put", broker_str("q"), ARGS(broker_int(i)));
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(client_answer(c, ids[i]), 0);
        cr_assert_not(got[client_int(c, 0)]);
        got[client_int(c, 0)] = true;
    }
    client_close(c);
    client_close(other);
}

/* More words than one thread can sleep for. */
Test(zmq_many, a_thousand_words)
{
    enum { N = 1000 };
    struct client *c = client_open(), *other = client_open();
    static uint64_t ids[N];
    broker_event *event;
    char name[16];
    broker *b;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "e%d", i);
        client_make(c, "event", name);
        ids[i] = ASK(c, "event.wait", broker_str(name), NO_ARGS);
    }
    settle(c);
    for (int i = N; i-- > 0;) {
        (void)snprintf(name, sizeof(name), "e%d", i);
        if (i % 2 == 0) {
            cr_assert_eq(CALL(other, "event.set", broker_str(name), NO_ARGS), 0);
        } else {
            cr_assert_eq(broker_event_open(b, name, NULL, &event), 0);
            cr_assert_eq(broker_event_set(event), 0);
            broker_event_close(event);
        }
        cr_assert_eq(client_answer(c, ids[i]), 0);
    }
    broker_close(b);
    client_close(c);
    client_close(other);
}

Test(zmq_many, more_than_may_wait)
{
    struct client *c = client_open();
    uint64_t ids[11100];
    unsigned n_limit = 0;

    client_make(c, "event", "e");
    for (int i = 0; i < 11100; i++)
        ids[i] = ASK(c, "event.wait", broker_str("e"), NO_ARGS);
    settle(c);
    cr_assert_eq(CALL(c, "event.set", broker_str("e"), NO_ARGS), 0, "what need not wait goes on");
    for (int i = 0; i < 11100; i++) {
        int r = client_answer(c, ids[i]);

        cr_assert(r == 0 || r == BROKER_LIMIT);
        n_limit += r == BROKER_LIMIT;
    }
    cr_expect_gt(n_limit, 0);
    cr_expect_leq(n_limit, 101);
    client_close(c);
}

struct taker {
    broker_queue *queue;
    int64_t sum;
    int n;
};

static void *take(void *arg)
{
    struct taker *t = arg;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;

    for (int i = 0; i < t->n; i++)
        if (broker_queue_get(t->queue, 20 * BROKER_SECOND, &buffer, &item) == 0)
            t->sum += item.i;
    broker_buffer_free(&buffer);
    return NULL;
}

/* Both roads wait for the same queue: no wake-up is lost between them. */
Test(zmq_many, beside_a_client_in_shared_memory)
{
    enum { N = 2000 };
    struct client *c = client_open(), *giver = client_open();
    struct taker t = {.n = N};
    static uint64_t ids[N];
    int64_t sum = 0;
    pthread_t thread;
    broker *b;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(broker_queue_open(b, "q", NULL, &t.queue), 0);
    cr_assert_eq(pthread_create(&thread, NULL, take, &t), 0);
    for (int i = 0; i < N; i++) {
        ids[i] = ASK(c, "queue.get", broker_str("q"), NO_ARGS);
        if (i % 2 == 0) {
            cr_assert_eq(broker_queue_put(t.queue, broker_int(2 * i), 0), 0);
            cr_assert_eq(CALL(giver, "queue.put", broker_str("q"), ARGS(broker_int(2 * i + 1))), 0);
        } else {
            cr_assert_eq(CALL(giver, "queue.put", broker_str("q"), ARGS(broker_int(2 * i + 1))), 0);
            cr_assert_eq(broker_queue_put(t.queue, broker_int(2 * i), 0), 0);
        }
    }
    for (int i = 0; i < N; i++) {
        cr_assert_eq(client_answer(c, ids[i]), 0);
        sum += client_int(c, 0);
    }
    (void)pthread_join(thread, NULL);
    cr_expect_eq(sum + t.sum, (int64_t)N * (2 * N - 1));
    broker_close(b);
    client_close(c);
    client_close(giver);
}
