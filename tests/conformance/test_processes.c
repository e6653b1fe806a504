/*
 * test_processes.c - fork, exec, threads and signals; opening a broker; the sentences about
 * failures
 */
#include "conformance/calls.h"
#include "conformance/roads.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

TestSuite(processes, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

/* ---- fork ---- */

struct things {
    broker_dict *d;
    broker_queue *q;
    broker_lock *l;
};

static struct things make_things(void)
{
    return (struct things){kit_dict("d", NULL),
        kit_queue("q", &(broker_queue_options){.joinable = true}), kit_lock("l", NULL)};
}

static void use_inherited_handles(struct line *parent, void *arg)
{
    const struct things *t = arg;
    broker_value v;
    int64_t total;

    REQUIRE(broker_dict_add(t->d, STR("n"), 1, &total) == 0 && total == 2);
    REQUIRE(broker_queue_get(t->q, 0, &kit_buffer, &v) == 0 && v.i == 2);
    REQUIRE(broker_lock_release(t->l) == BROKER_NOTOWNER);
    REQUIRE(broker_lock_acquire(t->l, 0, NULL) == BROKER_TIMEDOUT);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

/* The child is a session of its own; what the parent holds stays the parent's, whatever becomes of
 * the child. */
Test(processes, a_forked_child_attaches_by_itself_and_has_nothing_of_its_parents)
{
    struct things t = make_things();
    struct line child;
    broker_value v;
    int64_t total;

    OK(broker_dict_add(t.d, STR("n"), 1, &total));
    OK(broker_queue_put_many(t.q, value_of("[1, 2, 3]"), 0));
    OK(broker_queue_get(t.q, 0, &kit_buffer, &v));
    OK(broker_lock_acquire(t.l, 0, NULL));
    child = kit_fork(use_inherited_handles, &t);
    (void)kit_hear(&child);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 2);
    kit_tell(&child, 0);
    kit_end(&child);
    kit_await(kit_name("q"), "returned", 1);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 1, "the parent's lease ended with the child");
    OK(broker_queue_task_done(t.q));
    cr_assert_str_eq(kit_drain(t.q), "[2, 3]");
    OK(broker_lock_release(t.l));
    cr_assert_str_eq(kit_dict_text(t.d), "{'n': 2}");
}

static void close_everything(struct line *parent, void *arg)
{
    const struct things *t = arg;

    (void)parent;
    broker_dict_close(t->d);
    broker_queue_close(t->q);
    broker_lock_close(t->l);
    broker_close(kit_broker);
}

static void exit_at_once(struct line *parent, void *arg)
{
    (void)parent;
    (void)arg;
}

Test(processes, a_child_that_closes_or_exits_takes_nothing_from_its_parent)
{
    struct things t = make_things();
    struct line child;
    broker_value v;

    OK(broker_queue_put(t.q, INT(1), 0));
    OK(broker_queue_get(t.q, 0, &kit_buffer, &v));
    OK(broker_lock_acquire(t.l, 0, NULL));
    child = kit_fork(close_everything, &t);
    kit_end(&child);
    child = kit_fork(exit_at_once, NULL);
    kit_end(&child);
    cr_assert_eq(kit_stat(kit_name("q"), "leased"), 1);
    OK(broker_lock_release(t.l));
    OK(broker_queue_task_done(t.q));
    OK(broker_dict_set(t.d, STR("a"), INT(1)));
}

static void fork_again(struct line *parent, void *arg)
{
    const struct things *t = arg;
    uint64_t depth = kit_hear(parent);
    struct line child;
    int64_t total;

    REQUIRE(broker_dict_add(t->d, STR("n"), 1, &total) == 0);
    if (depth > 0) {
        child = kit_fork(fork_again, arg);
        kit_tell(&child, depth - 1);
        kit_end(&child);
    }
    REQUIRE(broker_dict_add(t->d, STR("n"), 1, &total) == 0);
}

/* [fork] [trap 5] also the child of a child. */
Test(processes, children_of_children_attach_too)
{
    struct things t = make_things();
    struct line child = kit_fork(fork_again, &t);

    kit_tell(&child, 4);
    kit_end(&child);
    cr_assert_str_eq(kit_dict_text(t.d), "{'n': 10}");
}

static int work_on(struct call *c)
{
    const struct things *t = c->object;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int64_t total;
    int r = 0;

    while (r == 0 && atomic_load((_Atomic int64_t *)&c->number) != 0) {
        r = broker_dict_add(t->d, STR("threads"), 1, &total);
        if (r == 0)
            r = broker_queue_put(t->q, INT(1), 0);
        if (r == 0)
            r = broker_queue_get(t->q, 0, &buffer, &v);
        if (r == 0)
            r = broker_queue_task_done(t->q);
    }
    broker_buffer_free(&buffer);
    return r;
}

static void add_one(struct line *parent, void *arg)
{
    const struct things *t = arg;
    int64_t total;

    (void)parent;
    REQUIRE(broker_dict_add(t->d, STR("children"), 1, &total) == 0);
}

/* The child of a program whose threads are anywhere in an operation finds nothing locked. */
Test(processes, a_program_may_fork_while_its_threads_work)
{
    struct things t = make_things();
    struct call worker;
    struct line child;

    kit_call(&worker, work_on, &t, 1);
    for (int i = 0; i < 30; i++) {
        child = kit_fork(add_one, &t);
        kit_end(&child);
    }
    atomic_store((_Atomic int64_t *)&worker.number, 0);
    OK(kit_return(&worker));
    cr_assert_str_eq(kit_get(t.d, STR("children")), "30");
}

/* ---- exec ---- */

/* Becomes a program that knows nothing of brokers, and ends when its standard input does. */
static void exec_while_holding(struct line *parent, void *arg)
{
    const struct things *t = arg;
    broker_value v;

    REQUIRE(broker_lock_acquire(t->l, 0, NULL) == 0);
    REQUIRE(broker_queue_get(t->q, 0, &kit_buffer, &v) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    REQUIRE(dup2(parent->from, STDIN_FILENO) >= 0);
    (void)execlp("cat", "cat", (char *)NULL);
    REQUIRE(false);
}

/* exec ends the session: the new program can't give anything back. */
Test(processes, exec_gives_back_what_the_program_held)
{
    struct things t = make_things();
    struct line child;
    broker_value v;

    OK(broker_queue_put(t.q, INT(1), 0));
    child = kit_fork(exec_while_holding, &t);
    (void)kit_hear(&child);
    GIVES(broker_lock_acquire(t.l, 0, NULL), BROKER_TIMEDOUT);
    kit_tell(&child, 0);
    GIVES(broker_lock_acquire(t.l, 5 * BROKER_SECOND, NULL), BROKER_OWNER_DIED);
    OK(broker_queue_get(t.q, 5 * BROKER_SECOND, &kit_buffer, &v));
    cr_assert_eq(kill(child.pid, 0), 0, "the process itself goes on");
    kit_kill(&child);
}

/* ---- brokers ---- */

Test(processes, wrong_addresses_are_told)
{
    static const struct {
        const char *address;
        int code;
    } wrong[] = {{"teapot:", BROKER_ADDRESS}, {"unix:/x?teapot=1", BROKER_ADDRESS},
        {"unix:/x?access=maybe", BROKER_ADDRESS}, {"unix:/nonexistent/attach", BROKER_NODAEMON},
        {"unix:/dev/null", BROKER_NODAEMON}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        broker *b = NULL;

        GIVES(broker_open(wrong[i].address, &b), wrong[i].code);
        cr_assert_null(b);
        cr_assert_neq(broker_last_error()[0], '\0');
    }
    GIVES(broker_open("private:", NULL), BROKER_INVALID);
}

/* [reference count] an open is one, and its close takes it back. */
Test(processes, each_open_is_closed_by_itself)
{
    broker *b, *again;
    broker_dict *d;

    OK(broker_open(kit_address(), &b));
    OK(broker_open(kit_address(), &again));
    OK(broker_dict_open(again, kit_name("d"), NULL, &d));
    broker_close(b);
    OK(broker_dict_set(d, STR("a"), INT(1)));
    broker_dict_close(d);
    broker_close(again);
    cr_assert_str_eq(kit_dict_text(kit_dict("d", NULL)), "{'a': 1}");
}

static void open_by_address(struct line *parent, void *arg)
{
    broker *b;
    broker_dict *d;
    int64_t total;

    broker_close(kit_broker);
    (void)kit_hear(parent);
    REQUIRE(broker_open(arg, &b) == 0);
    REQUIRE(broker_dict_open(b, kit_name("d"), NULL, &d) == 0);
    REQUIRE(broker_dict_add(d, STR("n"), 1, &total) == 0);
    broker_close(b);
}

/* [limits] many at once are let in one after the other, none is turned away. */
Test(processes, forty_processes_may_attach_at_once)
{
    broker_dict *d = kit_dict("d", NULL);
    struct line others[40];
    char address[400];

    (void)snprintf(address, sizeof(address), "%s", kit_address());
    for (int i = 0; i < 40; i++)
        others[i] = kit_fork(open_by_address, address);
    for (int i = 0; i < 40; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < 40; i++)
        kit_end(&others[i]);
    cr_assert_str_eq(kit_dict_text(d), "{'n': 40}");
}

/* ---- failures as sentences ---- */

static int fail_elsewhere(struct call *c)
{
    if (broker_last_error()[0] != '\0')
        return BROKER_INTERNAL;
    (void)broker_lock_release(c->object);
    (void)snprintf(c->text, sizeof(c->text), "%.63s", broker_last_error());
    return 0;
}

Test(processes, the_last_error_names_operation_object_and_reason)
{
    broker_dict *d = kit_dict("d", NULL), *none;
    broker_lock *l = kit_lock("l", NULL);
    char before[512];
    broker_value v;
    struct call c;

    GIVES(broker_dict_get(d, STR("a"), &kit_buffer, &v), BROKER_NOTFOUND);
    (void)snprintf(before, sizeof(before), "%s", broker_last_error());
    cr_assert_not_null(strstr(before, kit_name("d")), "%s", before);
    cr_assert_not_null(strstr(before, "dict.get"), "%s", before);
    cr_assert_not_null(strstr(before, "NOTFOUND"), "%s", before);
    cr_assert_not_null(strstr(before, broker_error_text(BROKER_NOTFOUND)), "%s", before);
    OK(broker_dict_set(d, STR("a"), INT(1)));
    cr_assert_str_eq(broker_last_error(), before, "success does not touch it");
    kit_call(&c, fail_elsewhere, l, 0);
    OK(kit_return(&c));
    cr_assert_not_null(strstr(c.text, "lock.release"), "%s", c.text);
    cr_assert_str_eq(broker_last_error(), before, "each thread has its own");
    GIVES(broker_dict_open(kit_broker, kit_name("l"), NULL, &none), BROKER_WRONGTYPE);
    cr_assert_not_null(strstr(broker_last_error(), kit_name("l")), "%s", broker_last_error());
}

/* [errors] stable numbers, each with its text. */
Test(processes, codes_have_names_and_texts)
{
    cr_assert_str_eq(broker_error_name(0), "OK");
    cr_assert_str_eq(broker_error_name(BROKER_OWNER_DIED), "OWNER_DIED");
    cr_assert_str_eq(broker_error_name(BROKER_UNKNOWN), "UNKNOWN");
    cr_assert_str_eq(broker_error_name(-9999), "?");
    for (int i = BROKER_OWNER_DIED; i >= BROKER_UNKNOWN; i--)
        cr_assert(broker_error_text(i)[0] != '\0' && broker_error_name(i)[0] != '?');
    cr_assert_neq(broker_version()[0], '\0');
    cr_assert_str_eq(broker_address(kit_broker), kit_address());
}

/* ---- signals ---- */

static broker_dict *interrupted;
static volatile sig_atomic_t n_inside, n_busy, n_odd;

static void operate_in_handler(int number)
{
    int64_t total;
    int r = broker_dict_add(interrupted, STR("n"), 1, &total);

    (void)number;
    if (r == 0)
        n_inside++;
    else if (r == BROKER_BUSY)
        n_busy++;
    else
        n_odd++;
}

/* A handler that comes in the middle of an operation is told so; it neither waits nor breaks
 * anything. */
Test(processes, an_operation_in_a_signal_handler_is_done_or_busy)
{
    /* Rarer than an operation is long, or nothing but the handler would ever run. */
    const suseconds_t us = road_is_local() ? 50 : 2000;
    const struct itimerval often = {{0, us}, {0, us}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = operate_in_handler, .sa_flags = SA_RESTART};
    char expected[64];
    int64_t mine = 0, total;

    interrupted = kit_dict("d", NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (; mine < 2000000 && (n_busy < 20 || n_inside < 20); mine++)
        if (broker_dict_add(interrupted, STR("n"), 1, &total) != 0)
            break;
        else if (!road_is_local()) /* hardly a moment would be outside */
            for (int64_t until = kit_now() + 200 * BROKER_MICROSECOND; kit_now() < until;)
                continue;
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    cr_assert_eq(n_odd, 0);
    cr_assert(n_busy >= 20 && n_inside >= 20, "%d done, %d busy", (int)n_inside, (int)n_busy);
    (void)snprintf(expected, sizeof(expected), "%lld", (long long)(mine + n_inside));
    cr_assert_str_eq(kit_get(interrupted, STR("n")), expected);
}

static _Atomic int n_signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&n_signals, 1);
}

Test(processes, signals_do_not_end_a_wait)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct things t = make_things();
    struct call getter, locker;

    (void)sigaction(SIGUSR1, &action, NULL);
    OK(broker_lock_acquire(t.l, 0, NULL));
    kit_call(&getter, call_get, t.q, BROKER_FOREVER);
    kit_call(&locker, call_acquire, t.l, BROKER_FOREVER);
    kit_await_waiters(kit_name("q"), 1);
    kit_await_waiters(kit_name("l"), 1);
    for (int i = 1; i <= 20; i++) {
        cr_assert_eq(pthread_kill(getter.thread, SIGUSR1), 0);
        cr_assert_eq(pthread_kill(locker.thread, SIGUSR1), 0);
        while (atomic_load(&n_signals) < 2 * i)
            continue;
    }
    cr_assert_eq(kit_stat(kit_name("q"), "waiters"), 1);
    OK(broker_queue_put(t.q, INT(1), 0));
    OK(broker_lock_release(t.l));
    OK(kit_return(&getter));
    OK(kit_return(&locker));
}
