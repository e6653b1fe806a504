/*
 * test_inspect.c - what the broker tells of its objects and clients
 */
#include "conformance/calls.h"
#include "conformance/roads.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(inspect, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

/* The element of an array of maps whose @field is @number; nil if there is none. */
static broker_value find_number(broker_value array, const char *field, uint64_t number)
{
    for (uint32_t i = 0; i < kit_count(array); i++) {
        broker_value element = kit_element(array, i), v = kit_field(element, field);

        if (v.type == BROKER_UINT && v.u == number)
            return element;
    }
    return broker_nil();
}

/* This process among the clients, or another. */
static broker_value client(pid_t pid)
{
    broker_value clients;

    OK(broker_clients(kit_broker, &kit_buffer, &clients));
    return find_number(clients, "pid", (uint64_t)pid);
}

Test(inspect, objects_lists_names_in_order_by_type_and_prefix)
{
    char prefix[128], expected[512], name[140];
    const char *base = kit_name("x");
    broker_value v;

    (void)snprintf(prefix, sizeof(prefix), "%s.", base);
    for (int i = 3; i > 0; i--) {
        broker_dict *d;

        (void)snprintf(name, sizeof(name), "%s%d", prefix, i);
        OK(broker_dict_open(kit_broker, name, NULL, &d));
        broker_dict_close(d);
    }
    (void)kit_lock("x", NULL);
    OK(broker_objects(kit_broker, NULL, prefix, &kit_buffer, &v));
    cr_assert_eq(kit_count(v), 3);
    for (uint32_t i = 0; i < 3; i++) {
        broker_value one = kit_element(v, i);

        (void)snprintf(expected, sizeof(expected), "'%s%u'", prefix, i + 1);
        SAYS(kit_field(one, "name"), expected);
        SAYS(kit_field(one, "type"), "'dict'");
        cr_assert_gt(kit_field(one, "bytes").u, 0);
    }
    OK(broker_objects(kit_broker, "lock", base, &kit_buffer, &v));
    cr_assert_eq(kit_count(v), 1);
    SAYS(kit_field(kit_element(v, 0), "type"), "'lock'");
    OK(broker_objects(kit_broker, "queue", base, &kit_buffer, &v));
    SAYS(v, "[]");
    GIVES(broker_objects(kit_broker, "teapot", NULL, &kit_buffer, &v), BROKER_WRONGTYPE);
    GIVES(broker_objects(kit_broker, "", NULL, &kit_buffer, &v), BROKER_WRONGTYPE);
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(name, sizeof(name), "%s%d", prefix, i);
        OK(broker_destroy(kit_broker, name));
    }
}

/* [life cycle: list] [_number_of_objects()] */
Test(inspect, objects_lists_thousands)
{
    char name[160];
    broker_value v;

    for (int i = 0; i < 3000; i++) {
        broker_lock *l;

        (void)snprintf(name, sizeof(name), "%s.%04d", kit_name("l"), i);
        OK(broker_lock_open(kit_broker, name, NULL, &l));
        broker_lock_close(l);
    }
    OK(broker_objects(kit_broker, "lock", kit_name("l"), &kit_buffer, &v));
    cr_assert_eq(kit_count(v), 3000);
    (void)snprintf(name, sizeof(name), "'%s.2999'", kit_name("l"));
    SAYS(kit_field(kit_element(v, 2999), "name"), name);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "%s.%04d", kit_name("l"), i);
        OK(broker_destroy(kit_broker, name));
    }
    OK(broker_objects(kit_broker, NULL, kit_name("l"), &kit_buffer, &v));
    SAYS(v, "[]");
}

/* [_debug_info()] [life cycle: describe] */
Test(inspect, stat_tells_a_dicts_numbers)
{
    broker_dict *d = kit_dict("d", &(broker_dict_options){.quota_bytes = 1 << 20});
    const char *name = kit_name("d");
    uint64_t revision;
    broker_value v;

    OK(broker_stat(kit_broker, name, &kit_buffer, &v));
    SAYS(kit_field(v, "type"), "'dict'");
    cr_assert_eq(kit_field(v, "entries").u, 0);
    cr_assert_eq(kit_field(v, "quota_bytes").u, 1 << 20);
    cr_assert_eq(kit_field(v, "creator_uid").u, geteuid());
    cr_assert_eq(kit_field(v, "quarantined").u, 0);
    cr_assert_eq(kit_field(v, "recoveries").u, 0);
    cr_assert_gt(kit_field(v, "created_ns").u, 0);
    OK(broker_dict_set(d, STR("a"), INT(1)));
    OK(broker_dict_set(d, STR("b"), STR("x")));
    cr_assert_eq(kit_stat(name, "entries"), 2);
    cr_assert_eq(kit_stat(name, "payload_bytes"), 2 + 1 + 2 + 2);
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    cr_assert_eq(kit_stat(name, "revision"), revision);
    GIVES(broker_stat(kit_broker, kit_name("none"), &kit_buffer, &v), BROKER_NOTFOUND);
}

Test(inspect, stat_tells_a_queues_numbers)
{
    broker_queue *q = kit_queue(
        "q", &(broker_queue_options){.max_items = 10, .max_bytes = 1000, .joinable = true});
    const char *name = kit_name("q");
    broker_value v;

    OK(broker_queue_put_many(q, value_of("['a', 'bc', 3]"), 0));
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_stat(kit_broker, name, &kit_buffer, &v));
    SAYS(kit_field(v, "type"), "'queue'");
    cr_assert_eq(kit_field(v, "items").u, 2);
    cr_assert_eq(kit_field(v, "payload_bytes").u, 4);
    cr_assert_eq(kit_field(v, "leased").u, 1);
    cr_assert_eq(kit_field(v, "unfinished").u, 3);
    cr_assert_eq(kit_field(v, "puts").u, 3);
    cr_assert_eq(kit_field(v, "takes").u, 1);
    cr_assert_eq(kit_field(v, "returned").u, 0);
    cr_assert_eq(kit_field(v, "max_items").u, 10);
    cr_assert_eq(kit_field(v, "max_bytes").u, 1000);
    cr_assert_eq(kit_field(v, "joinable").u, 1);
    cr_assert_eq(kit_field(v, "closed").u, 0);
}

Test(inspect, stat_tells_a_locks_numbers)
{
    broker_lock *l = kit_lock("l", &(broker_lock_options){.keep_on_death = true});
    broker_value v;

    OK(broker_lock_acquire(l, 0, NULL));
    OK(broker_stat(kit_broker, kit_name("l"), &kit_buffer, &v));
    SAYS(kit_field(v, "type"), "'lock'");
    cr_assert_eq(kit_field(v, "locked").u, 1);
    cr_assert_eq(kit_field(v, "acquired").u, 1);
    cr_assert_eq(kit_field(v, "contended").u, 0);
    cr_assert_eq(kit_field(v, "owner_deaths").u, 0);
    cr_assert_eq(kit_field(v, "keep_on_death").u, 1);
    cr_assert_eq(kit_field(v, "handover").u, 0);
}

struct held {
    broker_queue *q;
    broker_lock *l;
};

/* Holds two leases and a lock, and tells. */
static void hold_things(struct line *parent, void *arg)
{
    const struct held *held = arg;
    broker_value v;

    REQUIRE(broker_lock_acquire(held->l, 0, NULL) == 0);
    REQUIRE(broker_queue_get_many(held->q, 2, 0, &kit_buffer, &v) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

Test(inspect, clients_tells_who_is_there_and_what_they_hold)
{
    struct held held = {
        kit_queue("q", &(broker_queue_options){.joinable = true}), kit_lock("l", NULL)};
    struct call getter;
    struct line other;
    broker_value me, it;

    OK(broker_queue_put_many(held.q, value_of("[1, 2]"), 0));
    me = client(getpid());
    cr_assert_eq(kit_field(me, "uid").u, geteuid());
    cr_assert_eq(kit_field(me, "gid").u, getegid());
    cr_assert_eq(kit_field(me, "objects").u, 2);
    cr_assert_eq(kit_field(me, "leases").u, 0);
    SAYS(kit_field(me, "alive"), "true");
    cr_assert_gt(kit_field(me, "command").size, 0);
    other = kit_fork(hold_things, &held);
    (void)kit_hear(&other);
    kit_call(&getter, call_get, held.q, BROKER_FOREVER);
    kit_await_waiters(kit_name("q"), 1);
    it = client(other.pid);
    cr_assert_eq(kit_field(it, "leases").u, 2);
    cr_assert_eq(kit_field(it, "locks").u, 1);
    cr_assert_eq(kit_field(it, "waiting").u, 0);
    cr_assert_eq(kit_field(client(getpid()), "waiting").u, 1);
    cr_assert_neq(kit_field(it, "session").u, kit_field(me, "session").u);
    kit_kill(&other);
    OK(kit_return(&getter));
    while (client(other.pid).type != BROKER_NIL)
        continue;
    cr_assert_eq(kit_field(client(getpid()), "leases").u, 1);
}

/* Asleep for it since before @start; then what the statistic says of that. */
static void check_sleep(const char *name, uint64_t n, int64_t longest)
{
    broker_value v;

    OK(broker_stat(kit_broker, name, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "sleeps").u, n);
    cr_assert_gt(kit_field(v, "wait_ns").u, 0);
    cr_assert_leq(kit_field(v, "wait_ns").u, n * (uint64_t)longest);
    cr_assert_leq(kit_field(v, "longest_wait_ns").u, kit_field(v, "wait_ns").u);
    cr_assert_geq(kit_field(v, "longest_wait_ns").u * n, kit_field(v, "wait_ns").u);
}

Test(inspect, stat_tells_how_long_operations_slept)
{
    broker_queue *q = kit_queue("q", NULL);
    int64_t start = kit_now();
    struct call getter;

    OK(broker_queue_put(q, INT(1), 0));
    OK(broker_queue_get(q, BROKER_FOREVER, &kit_buffer, &(broker_value){0}));
    cr_assert_eq(kit_stat(kit_name("q"), "sleeps"), 0, "it need not wait");
    cr_assert_eq(kit_stat(kit_name("q"), "wait_ns"), 0);
    kit_call(&getter, call_get, q, BROKER_FOREVER);
    kit_await_waiters(kit_name("q"), 1);
    OK(broker_queue_put(q, INT(2), 0));
    OK(kit_return(&getter));
    check_sleep(kit_name("q"), 1, kit_now() - start);
    GIVES(broker_queue_get(q, 1000000, &kit_buffer, &(broker_value){0}), BROKER_TIMEDOUT);
    check_sleep(kit_name("q"), 2, kit_now() - start);
}

static int acquire_and_release(struct call *c)
{
    int r = broker_lock_acquire(c->object, BROKER_FOREVER, NULL);

    return r < 0 ? r : broker_lock_release(c->object);
}

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
    return broker_barrier_wait(c->object, c->number, NULL);
}

static int wait_to_be_notified(struct call *c)
{
    int r = broker_condition_acquire(c->object, BROKER_FOREVER, NULL);

    if (r == 0)
        r = broker_condition_wait(c->object, c->number);
    return r == 0 ? broker_condition_release(c->object) : r;
}

/* Also of those that have no memory but their slot. */
Test(inspect, stat_tells_how_long_was_waited_for_others)
{
    broker_semaphore *s = kit_semaphore("s", &(broker_semaphore_options){.empty = true});
    broker_barrier *b = kit_barrier("b", &(broker_barrier_options){.parties = 2});
    broker_condition *c = kit_condition("c", NULL);
    broker_event *e = kit_event("e");
    struct call calls[4];
    int64_t start = kit_now();

    GIVES(broker_semaphore_acquire(s, 0), BROKER_TIMEDOUT);
    cr_assert_eq(kit_stat(kit_name("s"), "sleeps"), 0, "it did not wait");
    kit_call(&calls[0], acquire_permit, s, BROKER_FOREVER);
    kit_call(&calls[1], wait_for_set, e, BROKER_FOREVER);
    kit_call(&calls[2], arrive, b, BROKER_FOREVER);
    kit_call(&calls[3], wait_to_be_notified, c, BROKER_FOREVER);
    kit_await_waiters(kit_name("s"), 1);
    kit_await_waiters(kit_name("e"), 1);
    kit_await_waiters(kit_name("b"), 1);
    kit_await_waiters(kit_name("c"), 1);
    OK(broker_semaphore_release(s, 1));
    OK(broker_event_set(e));
    OK(broker_barrier_wait(b, BROKER_FOREVER, NULL));
    OK(broker_condition_acquire(c, BROKER_FOREVER, NULL));
    OK(broker_condition_notify(c, 1));
    OK(broker_condition_release(c));
    for (int i = 0; i < 4; i++)
        OK(kit_return(&calls[i]));
    check_sleep(kit_name("s"), 1, kit_now() - start);
    check_sleep(kit_name("e"), 1, kit_now() - start);
    check_sleep(kit_name("b"), 1, kit_now() - start);
    check_sleep(kit_name("c"), 1, kit_now() - start);
    GIVES(broker_semaphore_acquire(s, BROKER_MILLISECOND), BROKER_TIMEDOUT);
    GIVES(broker_barrier_wait(b, BROKER_MILLISECOND, NULL), BROKER_BROKEN);
    check_sleep(kit_name("s"), 2, kit_now() - start);
    check_sleep(kit_name("b"), 2, kit_now() - start);
}

Test(inspect, stat_tells_how_long_a_contended_lock_was_held)
{
    broker_lock *l = kit_lock("l", NULL);
    const char *name = kit_name("l");
    int64_t start = kit_now();
    struct call first, second;
    uint64_t held;

    OK(broker_lock_acquire(l, 0, NULL));
    OK(broker_lock_release(l));
    cr_assert_eq(kit_stat(name, "holds"), 0, "nobody waited");
    OK(broker_lock_acquire(l, 0, NULL));
    kit_call(&first, acquire_and_release, l, 0);
    kit_call(&second, acquire_and_release, l, 0);
    kit_await_waiters(name, 2);
    OK(broker_lock_release(l));
    OK(kit_return(&first));
    OK(kit_return(&second));
    check_sleep(name, 2, kit_now() - start);
    held = kit_stat(name, "hold_ns");
    cr_assert_geq(kit_stat(name, "holds"), 1, "one of the two had slept, and the other slept");
    cr_assert_leq(held, (uint64_t)(kit_now() - start));
    cr_assert_leq(kit_stat(name, "longest_hold_ns"), held);
    OK(broker_lock_acquire(l, 0, NULL));
    OK(broker_lock_release(l));
    cr_assert_eq(kit_stat(name, "hold_ns"), held);
}

Test(inspect, stat_tells_who_uses_and_who_holds)
{
    struct held held = {
        kit_queue("q", &(broker_queue_options){.joinable = true}), kit_lock("held", NULL)};
    struct line other;

    OK(broker_queue_put_many(held.q, value_of("[1, 2, 3]"), 0));
    cr_assert_eq(kit_stat(kit_name("q"), "sessions"), 1);
    cr_assert_eq(kit_stat(kit_name("q"), "holders"), 0);
    other = kit_fork(hold_things, &held);
    (void)kit_hear(&other);
    cr_assert_eq(kit_stat(kit_name("q"), "sessions"), 2);
    cr_assert_eq(kit_stat(kit_name("q"), "holders"), 1);
    cr_assert_eq(kit_stat(kit_name("held"), "holders"), 1);
    OK(broker_queue_get(held.q, 0, &kit_buffer, &(broker_value){0}));
    cr_assert_eq(kit_stat(kit_name("q"), "holders"), 2);
    kit_tell(&other, 0);
    kit_end(&other);
    kit_await(kit_name("q"), "sessions", 1);
    cr_assert_eq(kit_stat(kit_name("held"), "holders"), 0);
}

/* Who else uses the broker may make and remove objects of this user meanwhile. */
static broker_value quotas_of_this_user(void)
{
    broker_value quotas;

    OK(broker_quotas(kit_broker, &kit_buffer, &quotas));
    return find_number(quotas, "uid", geteuid());
}

Test(inspect, quotas_tells_what_a_user_has)
{
    uint64_t objects, bytes;
    broker_value v;
    broker_dict *d;

    (void)kit_lock("first", NULL);
    v = quotas_of_this_user();
    objects = kit_field(v, "objects").u;
    bytes = kit_field(v, "bytes").u;
    cr_assert_geq(objects, 1);
    cr_assert_geq(kit_field(v, "sessions").u, 1);
    (void)kit_field(v, "max_objects");
    (void)kit_field(v, "max_bytes");
    (void)kit_field(v, "max_sessions");
    d = kit_dict("d", NULL);
    OK(broker_dict_set(d, STR("a"), broker_bin("", 0)));
    v = quotas_of_this_user();
    if (getenv("BROKER_TEST_ADDRESS") != NULL)
        return;
    cr_assert_eq(kit_field(v, "objects").u, objects + 1);
    cr_assert_eq(kit_field(v, "bytes").u - bytes + 512, kit_stat(kit_name("d"), "bytes"));
    OK(broker_destroy(kit_broker, kit_name("d")));
    v = quotas_of_this_user();
    cr_assert_eq(kit_field(v, "objects").u, objects);
    cr_assert_eq(kit_field(v, "bytes").u, bytes);
}

Test(inspect, locks_tells_which_are_held_and_by_whom)
{
    struct held held = {
        kit_queue("q", &(broker_queue_options){.joinable = true}), kit_lock("held", NULL)};
    struct line other;
    broker_value locks, mine = broker_nil(), its = broker_nil();
    uint64_t token;

    (void)kit_lock("free", NULL);
    OK(broker_queue_put_many(held.q, value_of("[1, 2]"), 0));
    OK(broker_lock_acquire(kit_lock("mine", NULL), 0, &token));
    other = kit_fork(hold_things, &held);
    (void)kit_hear(&other);
    OK(broker_locks(kit_broker, &kit_buffer, &locks));
    for (uint32_t i = 0; i < kit_count(locks); i++) {
        broker_value name = kit_field(kit_element(locks, i), "name");
        char text[160];

        (void)snprintf(text, sizeof(text), "%.*s", (int)name.size, (const char *)name.data);
        cr_assert_str_neq(text, kit_name("free"));
        if (strcmp(text, kit_name("mine")) == 0)
            mine = kit_element(locks, i);
        if (strcmp(text, kit_name("held")) == 0)
            its = kit_element(locks, i);
    }
    cr_assert_eq(kit_field(mine, "pid").u, (uint64_t)road_pid(getpid()));
    cr_assert(!road_is_local() || kit_field(mine, "thread").u == (uint64_t)gettid());
    cr_assert_eq(kit_field(mine, "token").u, token);
    cr_assert_eq(kit_field(mine, "waiters").u, 0);
    SAYS(kit_field(mine, "alive"), "true");
    cr_assert_eq(kit_field(its, "pid").u, (uint64_t)road_pid(other.pid));
    kit_tell(&other, 0);
    kit_end(&other);
}
