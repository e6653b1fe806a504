/*
 * test_wait_any.c - waiting for several objects, and descriptors for event loops
 */
#include "conformance/calls.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <systemd/sd-event.h>

TestSuite(wait_any, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);
TestSuite(descriptor, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define N_QUEUES 3

struct several {
    void *objects[N_QUEUES + 1]; /* the queues, and a lock at the end */
    size_t index;
};

static broker_queue *queue_at(const struct several *s, size_t i)
{
    return s->objects[i];
}

static const char *const names[N_QUEUES] = {"q0", "q1", "q2"};

static struct several open_several(void)
{
    struct several s = {.index = 99};

    for (size_t i = 0; i < N_QUEUES; i++)
        s.objects[i] = kit_queue(names[i], NULL);
    s.objects[N_QUEUES] = kit_lock("l", NULL);
    return s;
}

static int wait_for_queues(struct call *c)
{
    struct several *s = c->object;

    return broker_wait_any(s->objects, N_QUEUES, c->number, &s->index);
}

static void wait_for_all(struct line *parent, void *arg)
{
    struct several *s = arg;

    REQUIRE(broker_wait_any(s->objects, N_QUEUES + 1, BROKER_FOREVER, &s->index) == 0);
    kit_tell(parent, s->index);
}

static void put(broker_queue *q, int64_t number)
{
    OK(broker_queue_put(q, broker_int(number), 0));
}

/* Takes what is there, which must be @number. */
static void take(broker_queue *q, int64_t number)
{
    broker_value v;

    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    cr_assert_eq(v.i, number);
}

Test(wait_any, the_first_ready_one_of_the_list_is_told_and_nothing_is_taken)
{
    struct several s = open_several();

    GIVES(broker_wait_any(s.objects, N_QUEUES, 0, &s.index), BROKER_TIMEDOUT);
    cr_assert_eq(s.index, 99, "only written on success");
    put(queue_at(&s, 2), 7);
    OK(broker_wait_any(s.objects, N_QUEUES, 0, &s.index));
    cr_assert_eq(s.index, 2);
    put(queue_at(&s, 1), 6);
    OK(broker_wait_any(s.objects, N_QUEUES, BROKER_FOREVER, &s.index));
    cr_assert_eq(s.index, 1);
    take(queue_at(&s, 1), 6);
    take(queue_at(&s, 2), 7);
    GIVES(broker_wait_any(s.objects, N_QUEUES, 20 * BROKER_MILLISECOND, &s.index), BROKER_TIMEDOUT);
}

Test(wait_any, wrong_arguments_are_said)
{
    struct several s = open_several();
    void *hole[2] = {s.objects[0], NULL};
    void *dict[1] = {kit_dict("d", NULL)};
    void *barrier[1] = {kit_barrier("b", &(broker_barrier_options){.parties = 2})};
    void *condition[1] = {kit_condition("c", NULL)};
    void *many[128];

    for (size_t i = 0; i < 128; i++)
        many[i] = s.objects[0];
    GIVES(broker_wait_any(NULL, 1, 0, &s.index), BROKER_INVALID);
    GIVES(broker_wait_any(s.objects, 0, 0, &s.index), BROKER_INVALID);
    GIVES(broker_wait_any(s.objects, 1, -1, &s.index), BROKER_INVALID);
    GIVES(broker_wait_any(s.objects, 1, 0, NULL), BROKER_INVALID);
    GIVES(broker_wait_any(hole, 2, 0, &s.index), BROKER_INVALID);
    GIVES(broker_wait_any(dict, 1, 0, &s.index), BROKER_UNSUPPORTED);
    GIVES(broker_wait_any(barrier, 1, 0, &s.index), BROKER_UNSUPPORTED);
    GIVES(broker_wait_any(condition, 1, 0, &s.index), BROKER_UNSUPPORTED);
    GIVES(broker_wait_any(many, 128, 0, &s.index), BROKER_INVALID);
    GIVES(broker_wait_any(many, 127, 0, &s.index), BROKER_TIMEDOUT);
    cr_assert_eq(s.index, 99);
}

Test(wait_any, any_of_them_ends_the_wait)
{
    for (size_t i = 0; i < N_QUEUES; i++) {
        struct several s = open_several();
        struct call call;

        kit_call(&call, wait_for_queues, &s, BROKER_FOREVER);
        for (size_t k = 0; k < N_QUEUES; k++)
            kit_await_waiters(kit_name(names[k]), 1);
        put(queue_at(&s, i), 1);
        OK(kit_return(&call));
        cr_assert_eq(s.index, i);
        take(queue_at(&s, i), 1);
        for (size_t k = 0; k < N_QUEUES; k++)
            kit_await(kit_name(names[k]), "waiters", 0);
    }
}

Test(wait_any, a_lock_is_ready_when_it_is_free)
{
    struct several s = open_several();
    struct line child;

    OK(broker_lock_acquire(s.objects[N_QUEUES], 0, NULL));
    GIVES(broker_wait_any(s.objects, N_QUEUES + 1, 0, &s.index), BROKER_TIMEDOUT);
    child = kit_fork(wait_for_all, &s);
    kit_await_waiters(kit_name("q0"), 1);
    OK(broker_lock_release(s.objects[N_QUEUES]));
    cr_assert_eq(kit_hear(&child), N_QUEUES);
    kit_end(&child);
    OK(broker_wait_any(s.objects, N_QUEUES + 1, 0, &s.index));
    cr_assert_eq(s.index, N_QUEUES);
}

static void hold(struct line *parent, void *arg)
{
    REQUIRE(broker_lock_acquire(arg, 0, NULL) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

Test(wait_any, the_death_of_a_lock_s_owner_makes_it_ready)
{
    struct several s = open_several();
    struct line holder = kit_fork(hold, s.objects[N_QUEUES]), waiter;

    cr_assert_eq(kit_hear(&holder), 1);
    waiter = kit_fork(wait_for_all, &s);
    kit_await_waiters(kit_name("q2"), 1);
    kit_kill(&holder);
    cr_assert_eq(kit_hear(&waiter), N_QUEUES);
    kit_end(&waiter);
}

Test(wait_any, the_end_of_an_object_and_its_shutdown_are_ready)
{
    struct several s = open_several();
    struct call call;

    kit_call(&call, wait_for_queues, &s, BROKER_FOREVER);
    kit_await_waiters(kit_name("q2"), 1);
    OK(broker_queue_shutdown(queue_at(&s, 2)));
    OK(kit_return(&call));
    cr_assert_eq(s.index, 2);

    kit_call(&call, wait_for_queues, &s, BROKER_FOREVER);
    OK(kit_return(&call));
    OK(broker_destroy(kit_broker, kit_name("q0")));
    OK(broker_wait_any(s.objects, N_QUEUES, 0, &s.index));
    cr_assert_eq(s.index, 0);
    GIVES(broker_queue_get(queue_at(&s, 0), 0, &kit_buffer, &(broker_value){0}), BROKER_GONE);
}

Test(wait_any, the_end_of_an_object_ends_the_wait)
{
    struct several s = open_several();
    struct call call;

    kit_call(&call, wait_for_queues, &s, BROKER_FOREVER);
    kit_await_waiters(kit_name("q2"), 1);
    OK(broker_destroy(kit_broker, kit_name("q1")));
    OK(kit_return(&call));
    cr_assert_eq(s.index, 1);
}

/* How long an item lies there for one who sleeps behind one who only looks. */
static int64_t pass_over(struct several *s)
{
    struct call looker, taker;
    int64_t start;

    kit_call(&looker, wait_for_queues, s, BROKER_FOREVER);
    kit_await_waiters(kit_name("q2"), 1);
    kit_call(&taker, call_get, s->objects[2], BROKER_FOREVER);
    kit_await_waiters(kit_name("q2"), 2);
    start = kit_now();
    put(queue_at(s, 2), 5);
    OK(kit_return(&taker));
    cr_assert_eq(taker.number, 5);
    put(queue_at(s, 0), 6);
    OK(kit_return(&looker));
    take(queue_at(s, 0), 6);
    return kit_now() - start;
}

/* One item wakes one sleeper. If that is one who takes nothing, it wakes another, or else that one
 * looks by itself after a second: a busy machine may be as slow once, but not each time. */
Test(wait_any, a_wake_up_that_is_not_used_goes_to_the_next)
{
    struct several s = open_several();
    int n_tries = 0;

    while (pass_over(&s) > BROKER_SECOND / 2)
        cr_assert_lt(++n_tries, 10);
}

Test(wait_any, a_killed_waiter_is_counted_off_everywhere)
{
    struct several s = open_several();
    struct line child;

    OK(broker_lock_acquire(s.objects[N_QUEUES], 0, NULL));
    child = kit_fork(wait_for_all, &s);
    for (size_t k = 0; k < N_QUEUES; k++)
        kit_await_waiters(kit_name(names[k]), 1);
    kit_kill(&child);
    for (size_t k = 0; k < N_QUEUES; k++)
        kit_await(kit_name(names[k]), "waiters", 0);
}

/* ---- descriptors ---- */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

static int fd_of(void *object)
{
    int fd = -1, again = -1;

    OK(broker_fd(object, &fd));
    OK(broker_fd(object, &again));
    cr_assert_eq(fd, again, "one object has one descriptor");
    return fd;
}

#define SOON_MS 20000

Test(descriptor, it_is_readable_when_the_object_is_ready_until_it_is_cleared)
{
    struct several s = open_several();
    int fd = fd_of(s.objects[0]);

    cr_assert_not(is_readable(fd, 0));
    put(queue_at(&s, 0), 1);
    cr_assert(is_readable(fd, SOON_MS));
    OK(broker_fd_clear(s.objects[0]));
    cr_assert(is_readable(fd, SOON_MS), "the item is still there");
    take(queue_at(&s, 0), 1);
    OK(broker_fd_clear(s.objects[0]));
    kit_await_waiters(kit_name("q0"), 1);
    cr_assert_not(is_readable(fd, 0));
    put(queue_at(&s, 0), 2);
    cr_assert(is_readable(fd, SOON_MS));
}

Test(descriptor, wrong_arguments_are_said)
{
    struct several s = open_several();
    int fd = 77;

    GIVES(broker_fd(NULL, &fd), BROKER_INVALID);
    GIVES(broker_fd(s.objects[0], NULL), BROKER_INVALID);
    GIVES(broker_fd(kit_dict("d", NULL), &fd), BROKER_UNSUPPORTED);
    GIVES(broker_fd(kit_condition("c", NULL), &fd), BROKER_UNSUPPORTED);
    GIVES(broker_fd_clear(NULL), BROKER_INVALID);
    GIVES(broker_fd_clear(s.objects[0]), BROKER_INVALID);
    cr_assert_eq(fd, 77);
}

Test(descriptor, at_most_127_objects_of_a_broker_are_watched)
{
    char base[16];
    int fd = 77;

    for (int i = 0; i < 127; i++) {
        (void)snprintf(base, sizeof(base), "l%d", i);
        OK(broker_fd(kit_lock(base, NULL), &fd));
    }
    fd = 77;
    GIVES(broker_fd(kit_lock("one_more", NULL), &fd), BROKER_LIMIT);
    cr_assert_eq(fd, 77);
}

Test(descriptor, it_works_in_epoll_for_several_objects)
{
    struct several s = open_several();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e;

    for (size_t i = 0; i < N_QUEUES; i++) {
        e = (struct epoll_event){.events = EPOLLIN, .data.u64 = i};
        cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(s.objects[i]), &e), 0);
    }
    for (size_t i = N_QUEUES; i-- > 0;) {
        put(queue_at(&s, i), (int64_t)i);
        cr_assert_eq(epoll_wait(epoll, &e, 1, SOON_MS), 1);
        cr_assert_eq(e.data.u64, i);
        OK(broker_fd_clear(s.objects[i]));
        take(queue_at(&s, i), (int64_t)i);
        /* It may have become readable between the two. */
        while (epoll_wait(epoll, &e, 1, 0) == 1)
            OK(broker_fd_clear(s.objects[e.data.u64]));
    }
    (void)close(epoll);
}

struct loop {
    broker_queue *queue;
    int n_taken;
};

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct loop *loop = arg;
    broker_value v;

    (void)fd;
    (void)events;
    OK(broker_fd_clear(loop->queue));
    while (broker_queue_get(loop->queue, 0, &kit_buffer, &v) == 0)
        loop->n_taken++;
    return loop->n_taken < 100 ? 0 : sd_event_exit(sd_event_source_get_event(source), 0);
}

static void put_hundred(struct line *parent, void *arg)
{
    (void)parent;
    for (int i = 0; i < 100; i++)
        REQUIRE(broker_queue_put(arg, broker_int(i), BROKER_FOREVER) == 0);
}

Test(descriptor, it_works_in_sd_event_with_another_process)
{
    struct loop loop = {.queue = kit_queue("q", NULL)};
    sd_event_source *source = NULL;
    sd_event *event = NULL;
    struct line child;

    cr_assert_geq(sd_event_new(&event), 0);
    cr_assert_geq(sd_event_add_io(event, &source, fd_of(loop.queue), EPOLLIN, on_ready, &loop), 0);
    child = kit_fork(put_hundred, loop.queue);
    cr_assert_eq(sd_event_loop(event), 0);
    kit_end(&child);
    cr_assert_eq(loop.n_taken, 100);
    (void)sd_event_source_unref(source);
    (void)sd_event_unref(event);
}

Test(descriptor, a_lock_and_a_destroyed_object_are_ready)
{
    struct several s = open_several();
    int lock = fd_of(s.objects[N_QUEUES]), queue = fd_of(s.objects[0]);

    cr_assert(is_readable(lock, SOON_MS));
    cr_assert_not(is_readable(queue, 0));
    OK(broker_destroy(kit_broker, kit_name("q0")));
    cr_assert(is_readable(queue, SOON_MS));
}

Test(descriptor, the_last_close_of_the_object_closes_it)
{
    broker_queue *q, *again;
    int fd;

    OK(broker_queue_open(kit_broker, kit_name("q"), NULL, &q));
    OK(broker_queue_open(kit_broker, kit_name("q"), NULL, &again));
    fd = fd_of(q);
    broker_queue_close(again);
    put(q, 1);
    cr_assert(is_readable(fd, SOON_MS), "another handle is open");
    broker_queue_close(q);
    cr_assert_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

/* The thread that watches may be between two looks then, and about to sleep. */
Test(descriptor, closing_an_object_that_has_just_become_ready_ends)
{
    int fd = fd_of(kit_queue("other", NULL));

    for (int i = 0; i < 2000; i++) {
        broker_queue *q;

        OK(broker_queue_open(kit_broker, kit_name("q"), NULL, &q));
        put(q, i);
        cr_assert(is_readable(fd_of(q), SOON_MS));
        take(q, i);
        broker_queue_close(q);
    }
    cr_assert_not(is_readable(fd, 0));
}

static void watch_too(struct line *parent, void *arg)
{
    int fd;

    REQUIRE(broker_fd_clear(arg) == BROKER_INVALID); /* the parent's */
    REQUIRE(broker_fd(arg, &fd) == 0);
    kit_tell(parent, 1);
    REQUIRE(is_readable(fd, SOON_MS));
}

Test(descriptor, a_child_after_fork_has_one_of_its_own)
{
    broker_queue *q = kit_queue("q", NULL);
    int fd = fd_of(q);
    struct line child = kit_fork(watch_too, q);

    cr_assert_eq(kit_hear(&child), 1);
    put(q, 1);
    kit_end(&child);
    cr_assert(is_readable(fd, SOON_MS));
}
