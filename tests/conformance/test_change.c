/*
 * test_change.c - waiting for an object to change
 */
#include "conformance/kit.h"

#include <stdio.h>

TestSuite(change, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static uint64_t version_of(const char *base)
{
    uint64_t version;

    OK(broker_wait_change(kit_broker, kit_name(base), 0, 0, &version));
    return version;
}

struct wait {
    char name[128];
    uint64_t seen, version;
};

static struct wait wait_for(const char *base)
{
    struct wait w = {.seen = version_of(base)};

    (void)snprintf(w.name, sizeof(w.name), "%s", kit_name(base));
    return w;
}

static int wait_in_thread(struct call *c)
{
    struct wait *w = c->object;

    return broker_wait_change(kit_broker, w->name, w->seen, c->number, &w->version);
}

static void wait_in_process(struct line *parent, void *arg)
{
    struct wait *w = arg;

    REQUIRE(broker_wait_change(kit_broker, w->name, w->seen, BROKER_FOREVER, &w->version) == 0);
    kit_tell(parent, w->version);
}

Test(change, each_change_gives_a_new_version_and_reading_gives_none)
{
    broker_dict *d = kit_dict("d", NULL);
    uint64_t before = version_of("d"), after;

    cr_assert_neq(before, 0);
    GIVES(broker_dict_get(d, broker_str("k"), &kit_buffer, &(broker_value){0}), BROKER_NOTFOUND);
    cr_assert_eq(version_of("d"), before);
    OK(broker_dict_set(d, broker_str("k"), broker_int(1)));
    after = version_of("d");
    cr_assert_neq(after, before);
    OK(broker_dict_set(d, broker_str("k"), broker_int(1)));
    cr_assert_neq(version_of("d"), after, "a change to the same is one too");
}

Test(change, an_object_that_comes_under_the_same_name_has_another_version)
{
    uint64_t before;

    (void)kit_dict("d", NULL);
    before = version_of("d");
    OK(broker_destroy(kit_broker, kit_name("d")));
    (void)kit_dict("d", NULL);
    cr_assert_neq(version_of("d"), before);
}

Test(change, what_cannot_be_waited_for_is_said)
{
    uint64_t version = 77;

    (void)kit_lock("l", NULL);
    (void)kit_dict("d", NULL);
    GIVES(broker_wait_change(kit_broker, kit_name("l"), 0, 0, &version), BROKER_UNSUPPORTED);
    GIVES(broker_wait_change(kit_broker, kit_name("none"), 0, 0, &version), BROKER_NOTFOUND);
    GIVES(broker_wait_change(kit_broker, "", 0, 0, &version), BROKER_BADNAME);
    GIVES(broker_wait_change(kit_broker, kit_name("d"), 0, -2, &version), BROKER_INVALID);
    GIVES(broker_wait_change(kit_broker, kit_name("d"), version_of("d"), 0, &version),
        BROKER_TIMEDOUT);
    GIVES(broker_wait_change(
              kit_broker, kit_name("d"), version_of("d"), 20 * BROKER_MILLISECOND, &version),
        BROKER_TIMEDOUT);
    cr_assert_eq(version, 77);
}

/* [C extras: wait for change] */
Test(change, a_change_by_another_process_ends_the_wait)
{
    broker_dict *d = kit_dict("d", NULL);
    struct wait w = wait_for("d");
    struct line child = kit_fork(wait_in_process, &w);

    kit_await_waiters(w.name, 1);
    OK(broker_dict_set(d, broker_str("k"), broker_int(1)));
    cr_assert_eq(kit_hear(&child), version_of("d"));
    kit_end(&child);
}

/* Each sleeper is noted in the object: were that a change, two would wake each other for ever. */
Test(change, those_who_wait_do_not_wake_each_other)
{
    struct call calls[3];
    struct wait w[3];
    broker_dict *d = kit_dict("d", NULL);

    for (int i = 0; i < 3; i++) {
        w[i] = wait_for("d");
        kit_call(&calls[i], wait_in_thread, &w[i], BROKER_FOREVER);
    }
    kit_await_waiters(w[0].name, 3);
    cr_assert_eq(version_of("d"), w[0].seen);
    OK(broker_dict_set(d, broker_str("k"), broker_int(1)));
    for (int i = 0; i < 3; i++) {
        OK(kit_return(&calls[i]));
        cr_assert_neq(w[i].version, w[i].seen);
    }
    kit_await(w[0].name, "waiters", 0);
}

Test(change, a_killed_waiter_is_counted_off)
{
    struct wait w;
    struct line child;

    (void)kit_dict("d", NULL);
    w = wait_for("d");
    child = kit_fork(wait_in_process, &w);
    kit_await_waiters(w.name, 1);
    kit_kill(&child);
    kit_await(w.name, "waiters", 0);
}

Test(change, the_end_of_the_object_ends_the_wait)
{
    struct call call;
    struct wait w;

    (void)kit_dict("d", NULL);
    w = wait_for("d");
    kit_call(&call, wait_in_thread, &w, BROKER_FOREVER);
    kit_await_waiters(w.name, 1);
    OK(broker_destroy(kit_broker, w.name));
    GIVES(kit_return(&call), BROKER_GONE);
}
