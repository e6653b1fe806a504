/*
 * test_sync.c - what semaphores, events, barriers, rlocks and conditions have in common
 */
#include "conformance/kit.h"

#include <signal.h>
#include <sys/wait.h>

TestSuite(sync, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static int acquire_permit(struct call *c)
{
    return broker_semaphore_acquire(c->object, c->number);
}

static int wait_for_set(struct call *c)
{
    return broker_event_wait(c->object, c->number);
}

static int arrive(struct call *c)
{
    uint64_t index;
    int r = broker_barrier_wait(c->object, c->number, &index);

    c->number = (int64_t)index;
    return r;
}

static int acquire_twice(struct call *c)
{
    REQUIRE(broker_rlock_acquire(c->object, c->number, NULL) == 0);
    REQUIRE(broker_rlock_acquire(c->object, c->number, NULL) == 0);
    REQUIRE(broker_rlock_release(c->object) == 0);
    return broker_rlock_release(c->object);
}

static int wait_for_notice(struct call *c)
{
    int r;

    REQUIRE(broker_condition_acquire(c->object, BROKER_FOREVER, NULL) == 0);
    r = broker_condition_wait(c->object, c->number);
    REQUIRE(broker_condition_release(c->object) == 0);
    return r;
}

static void notify(broker_condition *c, int64_t n)
{
    OK(broker_condition_acquire(c, BROKER_FOREVER, NULL));
    OK(broker_condition_notify(c, n));
    OK(broker_condition_release(c));
}

/* ---- the longest times ---- */

/* Starts the call with the longest time that is not for ever, and returns when it sleeps. */
static void sleep_long(
    struct call *call, int (*run)(struct call *c), void *object, const char *name)
{
    kit_call(call, run, object, BROKER_FOREVER - 1);
    kit_await_waiters(kit_name(name), 1);
}

/* [acquire, wait: 1e30 OverflowError] The longest time that there is does not wrap around. */
Test(sync, the_longest_timeouts_are_not_over_at_once)
{
    const broker_barrier_options two = {.parties = 2};
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    broker_condition *c = kit_condition("c", NULL);
    broker_barrier *b = kit_barrier("b", &two);
    broker_rlock *l = kit_rlock("l");
    broker_event *e = kit_event("e");
    struct call calls[5];

    OK(broker_rlock_acquire(l, BROKER_FOREVER - 1, NULL));
    sleep_long(&calls[0], acquire_permit, s, "s");
    sleep_long(&calls[1], wait_for_set, e, "e");
    sleep_long(&calls[2], arrive, b, "b");
    sleep_long(&calls[3], acquire_twice, l, "l");
    sleep_long(&calls[4], wait_for_notice, c, "c");
    OK(broker_semaphore_release(s, 1));
    OK(broker_event_set(e));
    OK(broker_barrier_wait(b, BROKER_FOREVER - 1, &(uint64_t){0}));
    OK(broker_rlock_release(l));
    notify(c, 1);
    for (int i = 0; i < 5; i++)
        OK(kit_return(&calls[i]));
}

/* ---- many who wait ---- */

#define N_HERD 1000

static struct call herd[N_HERD];

static void start_herd(int (*run)(struct call *c), void *object)
{
    for (int i = 0; i < N_HERD; i++)
        kit_call(&herd[i], run, object, BROKER_FOREVER);
}

static void end_herd(void)
{
    for (int i = 0; i < N_HERD; i++)
        OK(kit_return(&herd[i]));
}

/* [wake exactly one] One permit is for one, the others sleep on. */
Test(sync, of_a_thousand_as_many_go_on_as_there_are_permits)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});

    start_herd(acquire_permit, s);
    kit_await_waiters(kit_name("s"), N_HERD);
    OK(broker_semaphore_release(s, 1));
    kit_await(kit_name("s"), "waiters", N_HERD - 1);
    cr_assert_eq(kit_stat(kit_name("s"), "acquired"), 1);
    OK(broker_semaphore_release(s, N_HERD - 1));
    end_herd();
    cr_assert_eq(kit_stat(kit_name("s"), "value"), 0);
}

Test(sync, a_set_frees_a_thousand)
{
    broker_event *e = kit_event("e");

    start_herd(wait_for_set, e);
    kit_await_waiters(kit_name("e"), N_HERD);
    OK(broker_event_set(e));
    end_herd();
    kit_await(kit_name("e"), "waiters", 0);
}

Test(sync, a_thousand_pass_a_barrier_and_each_is_another_one)
{
    const broker_barrier_options options = {.parties = N_HERD + 1};
    broker_barrier *b = kit_barrier("b", &options);
    bool came[N_HERD] = {false};
    uint64_t index;

    start_herd(arrive, b);
    kit_await(kit_name("b"), "n_waiting", N_HERD);
    OK(broker_barrier_wait(b, BROKER_FOREVER, &index));
    cr_assert_eq(index, N_HERD);
    end_herd();
    for (int i = 0; i < N_HERD; i++)
        came[herd[i].number] = true;
    for (int i = 0; i < N_HERD; i++)
        cr_assert(came[i], "nobody was number %d", i);
}

Test(sync, a_thousand_have_an_rlock_one_after_another)
{
    broker_rlock *l = kit_rlock("l");

    OK(broker_rlock_acquire(l, 0, NULL));
    start_herd(acquire_twice, l);
    kit_await_waiters(kit_name("l"), N_HERD);
    OK(broker_rlock_release(l));
    end_herd();
    cr_assert_eq(kit_stat(kit_name("l"), "acquired"), N_HERD + 1);
}

/* [notify(n)] as many as said, and no other. */
Test(sync, of_a_thousand_as_many_are_notified_as_said)
{
    broker_condition *c = kit_condition("c", NULL);

    start_herd(wait_for_notice, c);
    kit_await(kit_name("c"), "waiting", N_HERD);
    notify(c, 10);
    kit_await(kit_name("c"), "waiting", N_HERD - 10);
    cr_assert_eq(kit_stat(kit_name("c"), "notified"), 10);
    notify(c, INT64_MAX);
    end_herd();
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
}

/* ---- who has what ---- */

/* [handle usable from any thread] A permit is the session's: any thread of it may give it back. */
Test(sync, a_permit_is_given_back_by_another_thread)
{
    const broker_semaphore_options one = {.value = 1, .bounded = true};
    broker_semaphore *s = kit_semaphore("s", &one);
    struct call call;

    kit_call(&call, acquire_permit, s, 0);
    OK(kit_return(&call));
    OK(broker_semaphore_release(s, 1));
    cr_assert_eq(kit_stat(kit_name("s"), "foreign"), 0);
}

struct held {
    broker_semaphore *semaphore;
    broker_rlock *lock;
    broker_condition *condition;
};

static struct held open_held(void)
{
    const broker_semaphore_options one = {.value = 1, .bounded = true};

    return (struct held){.semaphore = kit_semaphore("s", &one),
        .lock = kit_rlock("l"),
        .condition = kit_condition("c", NULL)};
}

static void take_all(const struct held *h)
{
    REQUIRE(broker_semaphore_acquire(h->semaphore, BROKER_FOREVER) == 0);
    REQUIRE(broker_rlock_acquire(h->lock, BROKER_FOREVER, NULL) == 0);
    REQUIRE(broker_condition_acquire(h->condition, BROKER_FOREVER, NULL) == 0);
}

static void give_all(const struct held *h)
{
    OK(broker_semaphore_release(h->semaphore, 1));
    OK(broker_rlock_release(h->lock));
    OK(broker_condition_release(h->condition));
}

static void cannot_take_any(const struct held *h)
{
    REQUIRE(broker_semaphore_acquire(h->semaphore, 0) == BROKER_TIMEDOUT);
    REQUIRE(broker_rlock_acquire(h->lock, 0, NULL) == BROKER_TIMEDOUT);
    REQUIRE(broker_condition_acquire(h->condition, 0, NULL) == BROKER_TIMEDOUT);
}

static void find_all_taken(struct line *parent, void *arg)
{
    const struct held *h = arg;

    (void)parent;
    cannot_take_any(h);
    REQUIRE(broker_condition_notify_all(h->condition) == BROKER_NOTOWNER);
}

/* [a fork child inherits no ownership] and its end gives nothing of its parent's back. */
Test(sync, a_child_has_nothing_of_what_its_parent_has)
{
    struct held h = open_held();
    struct line child;

    take_all(&h);
    child = kit_fork(find_all_taken, &h);
    kit_end(&child);
    kit_await(kit_name("s"), "waiters", 0);
    cr_assert_eq(kit_stat(kit_name("s"), "value"), 0);
    cr_assert_eq(kit_stat(kit_name("s"), "owner_deaths"), 0);
    give_all(&h);
}

static void take_all_and_hear(struct line *parent, void *arg)
{
    take_all(arg);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

/* [owner stopped] It is not dead: what it has, it keeps. */
Test(sync, who_is_stopped_keeps_what_it_has)
{
    struct held h = open_held();
    struct line holder = kit_fork(take_all_and_hear, &h);
    int status;

    cr_assert_eq(kit_hear(&holder), 1);
    cr_assert_eq(kill(holder.pid, SIGSTOP), 0);
    cr_assert_eq(waitpid(holder.pid, &status, WUNTRACED), holder.pid);
    cr_assert(WIFSTOPPED(status));
    cannot_take_any(&h);
    GIVES(broker_semaphore_acquire(h.semaphore, 20 * BROKER_MILLISECOND), BROKER_TIMEDOUT);
    GIVES(broker_rlock_acquire(h.lock, 20 * BROKER_MILLISECOND, NULL), BROKER_TIMEDOUT);
    kit_kill(&holder);
    GIVES(broker_semaphore_acquire(h.semaphore, BROKER_FOREVER), BROKER_OWNER_DIED);
    GIVES(broker_rlock_acquire(h.lock, BROKER_FOREVER, NULL), BROKER_OWNER_DIED);
    GIVES(broker_condition_acquire(h.condition, BROKER_FOREVER, NULL), BROKER_OWNER_DIED);
    give_all(&h);
}

struct kept {
    broker_lock *lock;
    broker_condition *condition;
};

static void notify_and_die(struct line *parent, void *arg)
{
    struct kept *k = arg;

    REQUIRE(broker_condition_acquire(k->condition, BROKER_FOREVER, NULL) == 0);
    REQUIRE(broker_condition_notify(k->condition, 1) == 0);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

/* [owner killed: a policy] Who was notified waits for a lock that stays locked until somebody
 * releases it. */
Test(sync, with_keep_on_death_the_lock_of_a_condition_stays_locked)
{
    struct kept k = {.lock = kit_lock("l", &(broker_lock_options){.keep_on_death = true})};
    struct line owner;
    struct call waiter;

    k.condition = kit_condition("c", &(broker_condition_options){.lock = kit_name("l")});
    kit_call(&waiter, wait_for_notice, k.condition, BROKER_FOREVER);
    kit_await(kit_name("c"), "waiting", 1);
    owner = kit_fork(notify_and_die, &k);
    cr_assert_eq(kit_hear(&owner), 1);
    kit_await(kit_name("c"), "waiting", 0);
    kit_kill(&owner);
    kit_await(kit_name("l"), "owner_deaths", 1);
    GIVES(broker_lock_acquire(k.lock, 0, NULL), BROKER_TIMEDOUT);
    OK(broker_lock_release(k.lock));
    OK(kit_return(&waiter));
}
