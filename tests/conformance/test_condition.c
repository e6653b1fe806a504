/*
 * test_condition.c - waiting to be notified, by those who live
 *
 * The names in brackets are the rows of CPython's Condition proxy whose rule a case shows.
 */
#include "conformance/calls.h"

#include <string.h>

TestSuite(condition, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define SHORT (30 * BROKER_MILLISECOND)
#define MAX_WAITERS 8

/* How often the owner has the condition's lock; 0 while it is free. */
static uint64_t count_of(broker_condition *c)
{
    broker_value v;

    OK(broker_condition_owner(c, &kit_buffer, &v));
    return v.type == BROKER_NIL ? 0 : kit_field(v, "count").u;
}

/* Calls of other threads, which give the lock back if they get it. */
static int acquire_elsewhere(struct call *call)
{
    int r = broker_condition_acquire(call->object, call->number, NULL);

    return r < 0 ? r : broker_condition_release(call->object);
}

static int notify_once(struct call *call)
{
    int r = broker_condition_acquire(call->object, KIT_SOON, NULL);

    if (r >= 0)
        r = broker_condition_notify(call->object, call->number);
    return r < 0 ? r : broker_condition_release(call->object);
}

static int bare_wait(struct call *call)
{
    return broker_condition_wait(call->object, 0);
}

static int bare_notify(struct call *call)
{
    return broker_condition_notify(call->object, call->number);
}

/* [wait, notify, notify_all: must own else RuntimeError] */
Test(condition, only_the_owner_of_the_lock_may_wait_and_notify)
{
    broker_condition *c = kit_condition("c", NULL);

    for (int held = 0; held < 2; held++) {
        GIVES(call_elsewhere(bare_wait, c, 0), BROKER_NOTOWNER);
        GIVES(call_elsewhere(bare_notify, c, 1), BROKER_NOTOWNER);
        GIVES(call_elsewhere(bare_notify, c, 0), BROKER_NOTOWNER);
        if (held == 0) {
            GIVES(broker_condition_wait(c, 0), BROKER_NOTOWNER);
            GIVES(broker_condition_notify(c, 1), BROKER_NOTOWNER);
            GIVES(broker_condition_notify_all(c), BROKER_NOTOWNER);
            OK(broker_condition_acquire(c, 0, NULL));
        }
    }
    OK(broker_condition_notify(c, 1));
    OK(broker_condition_notify_all(c));
    OK(broker_condition_release(c));
    cr_assert_eq(kit_stat(kit_name("c"), "waits"), 0);
}

/* [wait(timeout): False on timeout, wait(0) False] not before its time, and the lock is held again.
 */
Test(condition, a_timeout_is_kept_and_the_lock_is_held_again)
{
    broker_condition *c = kit_condition("c", NULL);
    int64_t start;

    OK(broker_condition_acquire(c, 0, NULL));
    GIVES(broker_condition_wait(c, 0), BROKER_TIMEDOUT);
    GIVES(broker_condition_wait(c, 1), BROKER_TIMEDOUT);
    start = kit_now();
    GIVES(broker_condition_wait(c, SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    GIVES(broker_condition_wait(c, -1), BROKER_INVALID);
    GIVES(call_elsewhere(acquire_elsewhere, c, 0), BROKER_TIMEDOUT);
    cr_assert_eq(count_of(c), 1);
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0, "who gave up still waits");
    cr_assert_eq(kit_stat(kit_name("c"), "waiters"), 0, "who gave up is still counted");
    OK(broker_condition_release(c));
    OK(call_elsewhere(acquire_elsewhere, c, 0));
}

/* [wait: True if notified] */
Test(condition, a_notified_waiter_goes_on_with_the_lock)
{
    broker_condition *c = kit_condition("c", NULL);
    struct call waiter;

    kit_call(&waiter, call_wait, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_condition_acquire(c, 0, NULL)); /* it was given back */
    OK(broker_condition_notify(c, 1));
    kit_await(kit_name("c"), "waiting", 0); /* it noticed, */
    cr_assert_eq(count_of(c), 1);           /* but has to wait for the lock, which is ours */
    OK(broker_condition_release(c));
    OK(kit_return(&waiter));
    cr_assert_eq(count_of(c), 0);
    cr_assert_eq(kit_stat(kit_name("c"), "notified"), 1);
}

/* [wait: frees all recursion levels, restores them] when notified and when not. */
Test(condition, all_levels_of_the_lock_are_given_back_and_restored)
{
    broker_condition *c = kit_condition("c", NULL);
    struct call notifier;

    for (uint64_t depth = 1; depth <= 3; depth++) {
        OK(broker_condition_acquire(c, 0, NULL));
        GIVES(broker_condition_wait(c, 0), BROKER_TIMEDOUT);
        cr_assert_eq(count_of(c), depth);
        kit_call(&notifier, notify_once, c, 1); /* gets the lock only while we wait */
        OK(broker_condition_wait(c, KIT_SOON));
        OK(kit_return(&notifier));
        cr_assert_eq(count_of(c), depth);
        GIVES(call_elsewhere(acquire_elsewhere, c, 0), BROKER_TIMEDOUT);
    }
    for (uint64_t depth = 3; depth > 0; depth--) {
        cr_assert_eq(count_of(c), depth);
        OK(broker_condition_release(c));
    }
    GIVES(broker_condition_release(c), BROKER_NOTLOCKED);
}

/* [notify: not remembered] */
Test(condition, what_nobody_waited_for_is_not_kept)
{
    broker_condition *c = kit_condition("c", NULL);

    OK(broker_condition_acquire(c, 0, NULL));
    OK(broker_condition_notify(c, 5));
    OK(broker_condition_notify_all(c));
    GIVES(broker_condition_wait(c, 0), BROKER_TIMEDOUT);
    cr_assert_eq(kit_stat(kit_name("c"), "notified"), 0);
}

/* ---- the line ---- */

/* Waiters that came one after another, and the order in which they went on. */
struct row {
    broker_condition *c;
    struct call calls[MAX_WAITERS];
    struct place {
        struct row *row;
        int number;
    } places[MAX_WAITERS];
    int gone[MAX_WAITERS]; /* [the condition's lock] */
    int n_gone;            /* [the condition's lock] */
};

static int wait_in_row(struct call *call)
{
    struct place *place = call->object;
    struct row *row = place->row;
    int r = broker_condition_acquire(row->c, KIT_SOON, NULL);

    if (r == 0)
        r = broker_condition_wait(row->c, BROKER_FOREVER);
    if (r == 0)
        row->gone[row->n_gone++] = place->number;
    return r < 0 ? r : broker_condition_release(row->c);
}

static void form_row(struct row *row, int n)
{
    memset(row, 0, sizeof(*row));
    row->c = kit_condition("c", NULL);
    for (int i = 0; i < n; i++) {
        row->places[i] = (struct place){row, i};
        kit_call(&row->calls[i], wait_in_row, &row->places[i], 0);
        kit_await(kit_name("c"), "waiting", (uint64_t)i + 1);
    }
}

/* Notifies @n, and returns when the waiters from @first to before @end, and no others, went on. */
static void notify_row(struct row *row, int64_t n, int first, int end)
{
    bool seen[MAX_WAITERS] = {false};
    int before;

    OK(broker_condition_acquire(row->c, KIT_SOON, NULL));
    before = row->n_gone;
    OK(n > MAX_WAITERS ? broker_condition_notify_all(row->c) : broker_condition_notify(row->c, n));
    cr_assert_eq(row->n_gone, before, "somebody went on without the lock");
    OK(broker_condition_release(row->c));
    for (int i = first; i < end; i++)
        OK(kit_return(&row->calls[i]));
    OK(broker_condition_acquire(row->c, KIT_SOON, NULL));
    cr_assert_eq(row->n_gone - before, end - first);
    for (int i = before; i < row->n_gone; i++)
        seen[row->gone[i]] = true;
    for (int i = first; i < end; i++)
        cr_assert(seen[i], "waiter %d did not go on", i);
    OK(broker_condition_release(row->c));
}

/* [notify(n=1): the oldest; n <= 0 no-op; more than waiters fine] */
Test(condition, those_who_waited_longest_are_notified_first)
{
    static struct row row;

    form_row(&row, 6);
    notify_row(&row, 0, 0, 0);
    notify_row(&row, -3, 0, 0);
    notify_row(&row, INT64_MIN, 0, 0);
    notify_row(&row, 1, 0, 1);
    notify_row(&row, 1, 1, 2);
    notify_row(&row, 3, 2, 5);
    notify_row(&row, 8, 5, 6);
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
    cr_assert_eq(kit_stat(kit_name("c"), "notified"), 6);
}

/* [notify_all] */
Test(condition, all_who_wait_are_notified_at_once)
{
    static struct row row;

    form_row(&row, MAX_WAITERS);
    notify_row(&row, MAX_WAITERS + 1, 0, MAX_WAITERS);
}

/* Notified one after another, before any of them can go on. */
Test(condition, notifications_add_up)
{
    static struct row row;

    form_row(&row, 4);
    OK(broker_condition_acquire(row.c, KIT_SOON, NULL));
    OK(broker_condition_notify(row.c, 1));
    OK(broker_condition_notify(row.c, 2));
    OK(broker_condition_release(row.c));
    for (int i = 0; i < 3; i++)
        OK(kit_return(&row.calls[i]));
    cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 1);
    notify_row(&row, 1, 3, 4);
}

/* One that gave up is passed over, wherever in the line it stood. */
Test(condition, who_gave_up_takes_no_notification)
{
    static struct row row;
    struct call other;

    for (int place = 0; place < 3; place++) {
        form_row(&row, place);
        GIVES(call_elsewhere(call_wait, row.c, SHORT), BROKER_TIMEDOUT);
        kit_await(kit_name("c"), "waiting", (uint64_t)place);
        kit_call(&other, call_wait, row.c, KIT_SOON);
        kit_await(kit_name("c"), "waiting", (uint64_t)place + 1);
        notify_row(&row, place + 1, 0, place);
        OK(kit_return(&other));
    }
}

/* A notification at the end of the time is either had, or somebody else's: none is lost. */
Test(condition, no_notification_is_lost_at_the_end_of_a_time)
{
    broker_condition *c = kit_condition("c", NULL);
    struct call patient, hasty[3];

    for (int round = 0; round < 50; round++) {
        uint64_t had = 0;

        for (int i = 0; i < 3; i++)
            kit_call(&hasty[i], call_wait, c, (round % 10 + 1) * 100 * 1000);
        kit_call(&patient, call_wait, c, KIT_SOON);
        kit_await(kit_name("c"), "waits", 4 * ((uint64_t)round + 1));
        OK(broker_condition_acquire(c, KIT_SOON, NULL));
        OK(broker_condition_notify(c, 1));
        OK(broker_condition_release(c));
        for (int i = 0; i < 3; i++)
            had += kit_return(&hasty[i]) == 0;
        cr_assert_leq(had, 1);
        if (had == 1)
            OK(call_elsewhere(notify_once, c, 1));
        OK(kit_return(&patient));
        cr_assert_eq(kit_stat(kit_name("c"), "waiting"), 0);
    }
}

/* ---- wait_for ---- */

struct goal {
    broker_condition *c;
    int now, wanted; /* [the condition's lock] */
    int looked;
};

static bool is_there(void *arg)
{
    struct goal *goal = arg;

    goal->looked++;
    return goal->now >= goal->wanted;
}

static int come_nearer(struct call *call)
{
    struct goal *goal = call->object;
    int r = 0;

    for (int64_t i = 0; i < call->number && r == 0; i++) {
        r = broker_condition_acquire(goal->c, KIT_SOON, NULL);
        goal->now++;
        if (r == 0)
            r = broker_condition_notify_all(goal->c);
        if (r == 0)
            r = broker_condition_release(goal->c);
    }
    return r;
}

/* [wait_for: returns last predicate value] */
Test(condition, wait_for_waits_until_its_predicate_is_true)
{
    struct goal goal = {.c = kit_condition("c", NULL), .wanted = 20};
    struct call other;

    OK(broker_condition_acquire(goal.c, 0, NULL));
    kit_call(&other, come_nearer, &goal, goal.wanted);
    OK(broker_condition_wait_for(goal.c, is_there, &goal, BROKER_FOREVER));
    cr_assert_eq(goal.now, goal.wanted);
    OK(kit_return(&other));
    cr_assert_eq(count_of(goal.c), 1);
    goal.looked = 0;
    OK(broker_condition_wait_for(goal.c, is_there, &goal, 0));
    cr_assert_eq(goal.looked, 1);
}

/* [wait_for: total deadline, not per wait] */
Test(condition, wait_for_has_one_deadline_for_all_its_waits)
{
    struct goal goal = {.c = kit_condition("c", NULL), .wanted = INT32_MAX};
    struct call other;
    int64_t start;

    OK(broker_condition_acquire(goal.c, 0, NULL));
    kit_call(&other, come_nearer, &goal, 200);
    start = kit_now();
    GIVES(broker_condition_wait_for(goal.c, is_there, &goal, SHORT), BROKER_TIMEDOUT);
    cr_assert_geq(kit_now() - start, SHORT);
    cr_assert_eq(count_of(goal.c), 1);
    OK(broker_condition_release(goal.c));
    OK(kit_return(&other));
    /* As Python has it, a time of 0 looks twice, and gives the lock back in between. */
    goal.looked = 0;
    OK(broker_condition_acquire(goal.c, 0, NULL));
    GIVES(broker_condition_wait_for(goal.c, is_there, &goal, 0), BROKER_TIMEDOUT);
    cr_assert_eq(goal.looked, 2);
}

Test(condition, wait_for_refuses_what_wait_refuses)
{
    struct goal goal = {.c = kit_condition("c", NULL), .wanted = 1};

    GIVES(broker_condition_wait_for(goal.c, is_there, &goal, KIT_SOON), BROKER_NOTOWNER);
    GIVES(broker_condition_wait_for(goal.c, is_there, &goal, -1), BROKER_INVALID);
    GIVES(broker_condition_wait_for(goal.c, NULL, &goal, 0), BROKER_INVALID);
    GIVES(broker_condition_wait_for(NULL, is_there, &goal, 0), BROKER_INVALID);
    goal.wanted = 0; /* as Python has it, what is true needs no lock */
    OK(broker_condition_wait_for(goal.c, is_there, &goal, 0));
}
