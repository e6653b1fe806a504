/*
 * test_deadlock.c - who waits for whom: circles are found, told with all that is in them, and ended
 *
 * D7 is the classical program with two locks of features.md; its cure with one rlock is there too.
 */
#include "conformance/kit.h"
#include "conformance/roads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(deadlock, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_buffer found = BROKER_BUFFER_INIT;

/* The rows of the finder. */
static broker_value deadlocks(void)
{
    broker_value rows = {0};

    OK(broker_deadlocks(kit_broker, &found, &rows));
    return rows;
}

/* Waiting for the last one of a circle to be seen asleep. */
static broker_value await_deadlock(uint32_t n)
{
    broker_value rows;

    do {
        rows = deadlocks();
    } while (kit_count(rows) < n);
    cr_assert_eq(kit_count(rows), n);
    return rows;
}

static bool is_text(broker_value v, const char *text)
{
    return v.type == BROKER_STR && v.size == strlen(text) && memcmp(v.data, text, v.size) == 0;
}

static void expect_text(broker_value v, const char *text)
{
    cr_assert(is_text(v, text), "%s is not %s", text_of(v), text);
}

static void expect_row(uint32_t i, const char *base, const char *type, pid_t pid, pid_t by_pid)
{
    broker_value row = kit_element(deadlocks(), i);

    expect_text(kit_field(row, "name"), kit_name(base));
    expect_text(kit_field(row, "type"), type);
    cr_assert_eq(kit_field(row, "pid").u, (uint64_t)road_pid(pid));
    cr_assert_eq(kit_field(row, "by_pid").u, (uint64_t)road_pid(by_pid));
}

/* ---- two locks ---- */

struct two {
    broker_lock *first, *second;
    int64_t timeout_ns;
};

/* Takes the first, says so, and goes for the second when it is told to. */
static void cross(struct line *parent, void *arg)
{
    struct two *x = arg;
    int r;

    REQUIRE(broker_lock_acquire(x->first, 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    r = broker_lock_acquire(x->second, x->timeout_ns, NULL);
    kit_tell(parent, r < 0 ? (uint64_t)-r : 0);
    if (r >= 0)
        REQUIRE(broker_lock_release(x->second) == 0);
    REQUIRE(broker_lock_release(x->first) == 0);
}

struct pair {
    struct two there, back;
    struct line a, b;
};

static struct pair cross_both(const broker_lock_options *options)
{
    struct pair p = {.there = {.first = kit_lock("a", options),
                         .second = kit_lock("b", options),
                         .timeout_ns = BROKER_FOREVER}};

    p.back = (struct two){p.there.second, p.there.first, BROKER_FOREVER};
    p.a = kit_fork(cross, &p.there);
    p.b = kit_fork(cross, &p.back);
    cr_assert_eq(kit_hear(&p.a), 1);
    cr_assert_eq(kit_hear(&p.b), 1);
    kit_tell(&p.a, 1);
    kit_await_waiters(kit_name("b"), 1);
    return p;
}

/* [D7] */
Test(deadlock, two_locks_taken_crosswise_are_told_with_pid_command_and_object)
{
    struct pair p = cross_both(NULL);
    broker_value row;
    bool a_first;

    cr_assert_eq(kit_count(deadlocks()), 0, "the other one may still go on");
    kit_tell(&p.b, 1);
    row = kit_element(await_deadlock(2), 0);
    a_first = is_text(kit_field(row, "name"), kit_name("b")); /* that is what a waits for */
    expect_row(a_first ? 0 : 1, "b", "lock", p.a.pid, p.b.pid);
    expect_row(a_first ? 1 : 0, "a", "lock", p.b.pid, p.a.pid);
    row = kit_element(deadlocks(), 0);
    cr_assert_eq(kit_field(row, "command").type, BROKER_STR);
    cr_assert_eq(kit_field(row, "circle").u, 1);
    kit_kill(&p.a);
    cr_assert_eq(kit_hear(&p.b), 0, "the dead one's lock comes free");
    kit_end(&p.b);
}

/* [D7] */
Test(deadlock, the_one_that_waited_last_fails_where_the_lock_says_so)
{
    struct pair p = cross_both(&(broker_lock_options){.detect_deadlock = true});

    kit_tell(&p.b, 1);
    cr_assert_eq(kit_hear(&p.b), (uint64_t)-BROKER_DEADLOCK);
    cr_assert_eq(kit_hear(&p.a), 0, "it gets the lock that the other gave up");
    kit_end(&p.a);
    kit_end(&p.b);
    cr_assert_eq(kit_count(deadlocks()), 0);
    kit_await(kit_name("a"), "waiters", 0);
    kit_await(kit_name("b"), "waiters", 0);
}

Test(deadlock, the_option_is_one_that_opening_checks)
{
    broker_lock *l;

    (void)kit_lock("plain", NULL);
    GIVES(broker_lock_open(
              kit_broker, kit_name("plain"), &(broker_lock_options){.detect_deadlock = true}, &l),
        BROKER_MISMATCH);
    (void)kit_lock("wise", &(broker_lock_options){.detect_deadlock = true});
    cr_assert_eq(kit_stat(kit_name("wise"), "detect_deadlock"), 1);
}

/* ---- more than two, and threads ---- */

struct ring {
    broker_rlock *own, *next;
    broker_event *go;
};

static int go_round(struct call *c)
{
    struct ring *r = c->object;
    int result;

    OK(broker_rlock_acquire(r->own, BROKER_FOREVER, NULL));
    OK(broker_event_wait(r->go, BROKER_FOREVER));
    result = broker_rlock_acquire(r->next, BROKER_FOREVER, NULL);
    if (result == 0)
        OK(broker_rlock_release(r->next));
    OK(broker_rlock_release(r->own));
    return result;
}

static broker_rlock *wise_rlock(const char *base)
{
    broker_rlock *l;

    OK(broker_rlock_open(
        kit_broker, kit_name(base), &(broker_rlock_options){.detect_deadlock = true}, &l));
    return l;
}

/* Threads of one process; exactly one of each circle has to give way. */
Test(deadlock, a_ring_of_threads_is_broken_at_one_place)
{
    static const char *const names[] = {"r0", "r1", "r2"};
    broker_rlock *l[3];
    broker_event *go = kit_event("go");
    struct ring ring[3];
    struct call calls[3];
    int n_failed = 0;

    for (int i = 0; i < 3; i++)
        l[i] = wise_rlock(names[i]);
    for (int i = 0; i < 3; i++) {
        ring[i] = (struct ring){.own = l[i], .next = l[(i + 1) % 3], .go = go};
        kit_call(&calls[i], go_round, &ring[i], 0);
        kit_await(kit_name(names[i]), "locked", 1);
    }
    OK(broker_event_set(go));
    for (int i = 0; i < 3; i++)
        n_failed += kit_return(&calls[i]) == BROKER_DEADLOCK;
    cr_assert_eq(n_failed, 1);
    cr_assert_eq(kit_count(deadlocks()), 0);
    for (int i = 0; i < 3; i++)
        broker_rlock_close(l[i]);
}

static int take_vault(struct call *c)
{
    for (int i = 0; i < 100; i++) {
        OK(broker_rlock_acquire(c->object, BROKER_FOREVER, NULL));
        OK(broker_rlock_acquire(c->object, BROKER_FOREVER, NULL));
        OK(broker_rlock_release(c->object));
        OK(broker_rlock_release(c->object));
    }
    return 0;
}

/* [D7, cured] */
Test(deadlock, five_threads_with_one_rlock_need_no_order)
{
    broker_rlock *l = wise_rlock("vault");
    struct call calls[5];

    for (int i = 0; i < 5; i++)
        kit_call(&calls[i], take_vault, l, 0);
    for (int i = 0; i < 5; i++)
        OK(kit_return(&calls[i]));
    cr_assert_eq(kit_count(deadlocks()), 0);
    broker_rlock_close(l);
}

/* ---- other kinds of waiting ---- */

struct mixed {
    broker_lock *lock;
    broker_semaphore *semaphore;
    broker_queue *queue;
    broker_pipe *pipe;
};

static void lock_then_put(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_lock_acquire(m->lock, 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    (void)broker_queue_put(m->queue, broker_int(2), BROKER_FOREVER);
}

static void open_then_lock(struct line *parent, void *arg)
{
    struct mixed *m = arg;
    uint64_t n;

    REQUIRE(broker_queue_qsize(m->queue, &n) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    REQUIRE(broker_lock_acquire(m->lock, BROKER_FOREVER, NULL) >= 0);
}

/* The producer holds the lock that the consumer wants, and waits for room that only the consumer
 * could make. */
Test(deadlock, a_full_queue_and_a_lock)
{
    struct mixed m = {.lock = kit_lock("l", NULL),
        .queue = kit_queue("q", &(broker_queue_options){.max_items = 1})};
    struct line producer, consumer;

    OK(broker_queue_put(m.queue, broker_int(1), 0));
    producer = kit_fork(lock_then_put, &m);
    consumer = kit_fork(open_then_lock, &m);
    (void)kit_hear(&producer);
    (void)kit_hear(&consumer);
    kit_tell(&producer, 1);
    kit_tell(&consumer, 1);
    kit_await_waiters(kit_name("l"), 1);
    kit_await_waiters(kit_name("q"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0, "this process has the queue open, and is awake");
    broker_queue_close(m.queue);
    (void)await_deadlock(2);
    kit_kill(&producer);
    kit_end(&consumer);
}

static void lock_then_send(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_lock_acquire(m->lock, 0, NULL) == 0);
    REQUIRE(broker_pipe_send(m->pipe, 0, broker_int(1), 0) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    (void)broker_pipe_send(m->pipe, 0, broker_int(2), BROKER_FOREVER);
}

static void hold_then_lock(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    (void)kit_hear(parent);
    REQUIRE(broker_pipe_hold(m->pipe, 1) == 0);
    kit_tell(parent, 1);
    REQUIRE(broker_lock_acquire(m->lock, BROKER_FOREVER, NULL) >= 0);
}

/* The sender holds the lock that the receiver wants, and waits for room that only the receiver
 * could make. Before there is a receiver, anybody may come to be one. */
Test(deadlock, a_full_pipe_and_a_lock)
{
    struct mixed m = {
        .lock = kit_lock("l", NULL), .pipe = kit_pipe("p", &(broker_pipe_options){.max_items = 1})};
    struct line sender = kit_fork(lock_then_send, &m), receiver = kit_fork(hold_then_lock, &m);
    broker_value row;

    (void)kit_hear(&sender);
    kit_tell(&sender, 1);
    kit_await_waiters(kit_name("p"), 1);
    kit_tell(&receiver, 1);
    (void)kit_hear(&receiver);
    kit_await_waiters(kit_name("l"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0, "this process has the pipe open, and is awake");
    broker_pipe_close(m.pipe);
    row = kit_element(await_deadlock(2), 0);
    cr_assert_str_eq(text_of(kit_field(row, "type")),
        kit_field(row, "pid").u == (uint64_t)sender.pid ? "'pipe'" : "'lock'");
    kit_kill(&sender);
    kit_end(&receiver);
}

static void one_end_after_another(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_lock_acquire(m->lock, 0, NULL) == 0);
    REQUIRE(broker_pipe_send(m->pipe, 0, broker_int(1), 0) == 0);
    kit_tell(parent, 1);
    (void)broker_pipe_send(m->pipe, 0, broker_int(2), BROKER_FOREVER);
}

static void want_lock(struct line *parent, void *arg)
{
    struct mixed *m = arg;
    uint64_t n;

    REQUIRE(broker_pipe_len(m->pipe, 1, &n) == 0); /* has it open, and holds no end */
    kit_tell(parent, 1);
    REQUIRE(broker_lock_acquire(m->lock, BROKER_FOREVER, NULL) >= 0);
}

/* Whoever comes may hold the end that nobody has held yet. */
Test(deadlock, a_full_pipe_without_a_receiver_is_none)
{
    struct mixed m = {
        .lock = kit_lock("l", NULL), .pipe = kit_pipe("p", &(broker_pipe_options){.max_items = 1})};
    struct line sender = kit_fork(one_end_after_another, &m), other;

    (void)kit_hear(&sender);
    other = kit_fork(want_lock, &m);
    (void)kit_hear(&other);
    broker_pipe_close(m.pipe);
    kit_await_waiters(kit_name("p"), 1);
    kit_await_waiters(kit_name("l"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0);
    kit_kill(&sender);
    kit_end(&other);
}

static void permit_then_lock(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_semaphore_acquire(m->semaphore, 0) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    REQUIRE(broker_lock_acquire(m->lock, BROKER_FOREVER, NULL) >= 0);
}

static void lock_then_permit(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_lock_acquire(m->lock, 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    REQUIRE(broker_semaphore_acquire(m->semaphore, BROKER_FOREVER) >= 0);
}

/* Whoever has a permit and is awake may give it back. */
Test(deadlock, a_bounded_semaphore_and_a_lock)
{
    struct mixed m = {.lock = kit_lock("l", NULL),
        .semaphore = kit_semaphore("s", &(broker_semaphore_options){.value = 2, .bounded = true})};
    struct line a = kit_fork(permit_then_lock, &m), b = kit_fork(lock_then_permit, &m), c;

    (void)kit_hear(&a);
    (void)kit_hear(&b);
    c = kit_fork(permit_then_lock, &m);
    (void)kit_hear(&c);
    kit_tell(&a, 1);
    kit_tell(&b, 1);
    kit_await_waiters(kit_name("l"), 1);
    kit_await_waiters(kit_name("s"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0);
    kit_tell(&c, 1);
    kit_await_waiters(kit_name("l"), 2);
    (void)await_deadlock(2);
    kit_kill(&c);
    kit_end(&b);
    kit_end(&a);
    cr_assert_eq(kit_count(deadlocks()), 0);
}

static int acquire_semaphore(struct call *c)
{
    return broker_semaphore_acquire(c->object, BROKER_FOREVER);
}

/* Somebody who has it not open yet may come and give a permit. */
Test(deadlock, waiting_for_oneself_alone_is_none)
{
    broker_semaphore *s =
        kit_semaphore("s", &(broker_semaphore_options){.value = 1, .bounded = true});
    struct call call;

    OK(broker_semaphore_acquire(s, 0));
    kit_call(&call, acquire_semaphore, s, 0);
    kit_await_waiters(kit_name("s"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0);
    OK(broker_semaphore_release(s, 1));
    OK(kit_return(&call));
}

static void lease_then_lock(struct line *parent, void *arg)
{
    struct mixed *m = arg;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    REQUIRE(broker_queue_get(m->queue, 0, &buffer, &v) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    REQUIRE(broker_lock_acquire(m->lock, BROKER_FOREVER, NULL) >= 0);
}

static void lock_then_join(struct line *parent, void *arg)
{
    struct mixed *m = arg;

    REQUIRE(broker_lock_acquire(m->lock, 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
    (void)broker_queue_join(m->queue, BROKER_FOREVER);
}

Test(deadlock, a_join_and_a_lock)
{
    struct mixed m = {.lock = kit_lock("l", NULL),
        .queue = kit_queue("q", &(broker_queue_options){.joinable = true})};
    struct line a, b;

    OK(broker_queue_put(m.queue, broker_int(1), 0));
    a = kit_fork(lease_then_lock, &m);
    (void)kit_hear(&a);
    b = kit_fork(lock_then_join, &m);
    (void)kit_hear(&b);
    kit_tell(&a, 1);
    kit_tell(&b, 1);
    (void)await_deadlock(2);
    kit_kill(&b);
    kit_end(&a);
}

static int wait_for_event(struct call *c)
{
    return broker_event_wait(c->object, BROKER_FOREVER);
}

/* What anybody may end who comes is no deadlock. */
Test(deadlock, an_event_is_nobodys)
{
    broker_event *e = kit_event("e");
    struct call call;

    kit_call(&call, wait_for_event, e, 0);
    kit_await_waiters(kit_name("e"), 1);
    cr_assert_eq(kit_count(deadlocks()), 0);
    OK(broker_event_set(e));
    OK(kit_return(&call));
}
