/*
 * test_open.c - how objects come, are found, and go
 */
#include "conformance/calls.h"

#include <stdio.h>
#include <string.h>

TestSuite(open, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

Test(open, opening_creates_what_is_not_there_and_finds_what_is)
{
    broker_dict *d = kit_dict("d", NULL), *again = kit_dict("d", NULL);

    OK(broker_dict_set(d, STR("a"), INT(1)));
    cr_assert_str_eq(kit_dict_text(again), "{'a': 1}");
    broker_dict_close(d);
    OK(broker_dict_set(again, STR("b"), INT(2)));
    broker_dict_close(again);
    d = kit_dict("d", NULL);
    cr_assert_str_eq(
        kit_dict_text(d), "{'a': 1, 'b': 2}", "an object stays when nobody has it open");
}

/* [life cycle: create or open by name] */
Test(open, modes_say_what_must_be_there)
{
    const char *name = kit_name("d");
    broker_dict *d = NULL;

    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_OPEN}, &d),
        BROKER_NOTFOUND);
    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_OPEN}, &d),
        BROKER_NOTFOUND);
    OK(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_CREATE}, &d));
    OK(broker_dict_set(d, STR("a"), INT(1)));
    broker_dict_close(d);
    d = NULL;
    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_CREATE}, &d),
        BROKER_EXISTS);
    cr_assert_null(d);
    OK(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_OPEN}, &d));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
    d = NULL;
    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = (broker_mode)3}, &d),
        BROKER_INVALID);
    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = (broker_mode)-1}, &d),
        BROKER_INVALID);
    cr_assert_null(d);
}

Test(open, an_object_of_another_type_is_wrongtype)
{
    broker_queue *q = NULL;
    broker_dict *d = NULL;
    broker_lock *l = NULL;

    d = kit_dict("dict", NULL);
    q = kit_queue("queue", NULL);
    l = kit_lock("lock", NULL);
    cr_assert(d != NULL && q != NULL && l != NULL);
    d = NULL;
    q = NULL;
    l = NULL;
    GIVES(broker_queue_open(kit_broker, kit_name("dict"), NULL, &q), BROKER_WRONGTYPE);
    GIVES(broker_lock_open(kit_broker, kit_name("dict"), NULL, &l), BROKER_WRONGTYPE);
    GIVES(broker_dict_open(kit_broker, kit_name("queue"), NULL, &d), BROKER_WRONGTYPE);
    GIVES(broker_lock_open(
              kit_broker, kit_name("queue"), &(broker_lock_options){.mode = BROKER_OPEN}, &l),
        BROKER_WRONGTYPE);
    GIVES(broker_dict_open(kit_broker, kit_name("lock"), NULL, &d), BROKER_WRONGTYPE);
    GIVES(broker_queue_open(kit_broker, kit_name("lock"), NULL, &q), BROKER_WRONGTYPE);
    cr_assert(d == NULL && q == NULL && l == NULL);
}

Test(open, options_that_are_not_zero_must_be_the_objects)
{
    static const broker_queue_options made = {
        .quota_bytes = 1 << 20, .max_items = 5, .max_bytes = 1000, .joinable = true};
    static const broker_queue_options others[] = {{.quota_bytes = 2 << 20}, {.max_items = 6},
        {.max_bytes = 1001}, {.max_items = 5, .max_bytes = 999}};
    broker_queue *q = kit_queue("q", &made), *again = NULL, *plain = kit_queue("plain", NULL);
    broker_dict *d = kit_dict("d", NULL), *other = NULL;
    broker_lock *l = kit_lock("l", NULL), *option = NULL;

    cr_assert(q != NULL && plain != NULL && d != NULL && l != NULL);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        GIVES(broker_queue_open(kit_broker, kit_name("q"), &others[i], &again), BROKER_MISMATCH);
    GIVES(broker_queue_open(
              kit_broker, kit_name("plain"), &(broker_queue_options){.joinable = true}, &again),
        BROKER_MISMATCH);
    GIVES(broker_queue_open(
              kit_broker, kit_name("plain"), &(broker_queue_options){.max_items = 5}, &again),
        BROKER_MISMATCH);
    GIVES(broker_dict_open(
              kit_broker, kit_name("d"), &(broker_dict_options){.quota_bytes = 1 << 20}, &other),
        BROKER_MISMATCH);
    GIVES(broker_lock_open(
              kit_broker, kit_name("l"), &(broker_lock_options){.handover = true}, &option),
        BROKER_MISMATCH);
    GIVES(broker_lock_open(
              kit_broker, kit_name("l"), &(broker_lock_options){.keep_on_death = true}, &option),
        BROKER_MISMATCH);
    cr_assert(again == NULL && other == NULL && option == NULL);
    OK(broker_queue_open(kit_broker, kit_name("q"), &made, &again));
    OK(broker_queue_open(
        kit_broker, kit_name("q"), &(broker_queue_options){.max_items = 5}, &again));
    OK(broker_queue_open(kit_broker, kit_name("q"), &(broker_queue_options){0}, &again));
    cr_assert_eq(kit_stat(kit_name("q"), "max_items"), 5);
}

/* [errors] those of creating are those of using: a number and a sentence; and nothing is made. */
Test(open, what_cannot_be_made_is_told_by_the_creation)
{
    const char *name = kit_name("o");
    broker_value objects;
    broker_barrier *b;
    broker_number *n;
    broker_array *a;

    GIVES(broker_barrier_open(kit_broker, name, NULL, &b), BROKER_INVALID);
    cr_assert_not_null(strstr(broker_last_error(), "barrier.open"), "%s", broker_last_error());
    cr_assert_not_null(strstr(broker_last_error(), name), "%s", broker_last_error());
    GIVES(broker_array_open(
              kit_broker, name, &(broker_array_options){.typecode = "c", .length = 1}, &a),
        BROKER_INVALID);
    GIVES(broker_number_open(kit_broker, name, &(broker_number_options){.typecode = "zz"}, &n),
        BROKER_INVALID);
    OK(broker_objects(kit_broker, NULL, name, &kit_buffer, &objects));
    cr_assert_eq(kit_count(objects), 0);
}

/* Names: 1 to 255 bytes of UTF-8 without control characters. */
Test(open, what_can_be_no_name_is_badname)
{
    static const char *const bad[] = {"", "a\nb", "tab\t", "\x7f", "\x1f", "\xff", "cut \xc3",
        "\xc0\xaf overlong", "\xed\xa0\x80 surrogate", "\x80 alone"};
    char long_name[257];
    broker_dict *d = NULL;
    broker_value v;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        GIVES(broker_dict_open(kit_broker, bad[i], NULL, &d), BROKER_BADNAME);
        GIVES(broker_stat(kit_broker, bad[i], &kit_buffer, &v), BROKER_BADNAME);
        GIVES(broker_destroy(kit_broker, bad[i]), BROKER_BADNAME);
    }
    memset(long_name, 'x', sizeof(long_name));
    long_name[256] = '\0';
    GIVES(broker_dict_open(kit_broker, long_name, NULL, &d), BROKER_BADNAME);
    GIVES(broker_stat(kit_broker, long_name, &kit_buffer, &v), BROKER_BADNAME);
    GIVES(broker_destroy(kit_broker, long_name), BROKER_BADNAME);
    cr_assert_null(d);
}

Test(open, names_of_255_bytes_and_of_any_script_work)
{
    char names[2][256];
    broker_dict *d;

    (void)snprintf(names[0], sizeof(names[0]), "%s %s", kit_name("a"),
        "gr\xc3\xbc\xc3\x9f' \"/\\ \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\x8d");
    memset(names[1], 'x', 255);
    names[1][255] = '\0';
    memcpy(names[1], kit_name("b"), strlen(kit_name("b")));
    for (int i = 0; i < 2; i++) {
        broker_value stat;

        OK(broker_dict_open(kit_broker, names[i], NULL, &d));
        OK(broker_stat(kit_broker, names[i], &kit_buffer, &stat));
        stat = kit_field(stat, "name");
        cr_assert(stat.size == strlen(names[i]) && memcmp(stat.data, names[i], stat.size) == 0);
        broker_dict_close(d);
        OK(broker_destroy(kit_broker, names[i]));
    }
}

/* [life cycle: destroy] */
Test(open, destroy_of_what_is_not_there_is_notfound)
{
    GIVES(broker_destroy(kit_broker, kit_name("none")), BROKER_NOTFOUND);
    (void)kit_lock("l", NULL);
    OK(broker_destroy(kit_broker, kit_name("l")));
    GIVES(broker_destroy(kit_broker, kit_name("l")), BROKER_NOTFOUND);
}

static void dict_is_gone(broker_dict *d)
{
    broker_value k, v;
    uint64_t n;
    int64_t total;
    bool flag;

    GIVES(broker_dict_get(d, STR("a"), &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_read(d, STR("a"), &kit_buffer, &v, &n), BROKER_GONE);
    GIVES(broker_dict_set(d, STR("a"), INT(2)), BROKER_GONE);
    GIVES(broker_dict_set(d, STR("a"), broker_strn(filling(5000, 0), 5000)), BROKER_GONE);
    GIVES(broker_dict_set_if(d, STR("a"), INT(2), 0), BROKER_GONE);
    GIVES(broker_dict_delete(d, STR("a")), BROKER_GONE);
    GIVES(broker_dict_contains(d, STR("a"), &flag), BROKER_GONE);
    GIVES(broker_dict_len(d, &n), BROKER_GONE);
    GIVES(broker_dict_pop(d, STR("a"), &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_popitem(d, &kit_buffer, &k, &v), BROKER_GONE);
    GIVES(broker_dict_setdefault(d, STR("a"), INT(2), &kit_buffer, &v, NULL), BROKER_GONE);
    GIVES(broker_dict_update(d, value_of("{'a': 2}")), BROKER_GONE);
    GIVES(broker_dict_clear(d), BROKER_GONE);
    GIVES(broker_dict_keys(d, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_values(d, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_items(d, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_copy(d, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_dict_scan(d, 0, 10, &kit_buffer, &v, &n), BROKER_GONE);
    GIVES(broker_dict_add(d, STR("a"), 1, &total), BROKER_GONE);
    GIVES(broker_dict_add_many(d, value_of("{'a': 2}"), broker_nil()), BROKER_GONE);
    GIVES(broker_dict_compare_and_set(d, STR("a"), INT(1), INT(2)), BROKER_GONE);
    GIVES(broker_dict_get_and_set(d, STR("a"), INT(2), &kit_buffer, &v, NULL), BROKER_GONE);
}

static void queue_is_gone(broker_queue *q)
{
    broker_value v;
    uint64_t n;
    bool flag;

    GIVES(broker_queue_put(q, INT(1), BROKER_FOREVER), BROKER_GONE);
    GIVES(broker_queue_put(q, broker_strn(filling(5000, 0), 5000), 0), BROKER_GONE);
    GIVES(broker_queue_get(q, BROKER_FOREVER, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_queue_put_many(q, value_of("[1]"), 0), BROKER_GONE);
    GIVES(broker_queue_get_many(q, 5, 0, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_queue_qsize(q, &n), BROKER_GONE);
    GIVES(broker_queue_empty(q, &flag), BROKER_GONE);
    GIVES(broker_queue_full(q, &flag), BROKER_GONE);
    GIVES(broker_queue_task_done(q), BROKER_GONE);
    GIVES(broker_queue_join(q, BROKER_FOREVER), BROKER_GONE);
    GIVES(broker_queue_shutdown(q), BROKER_GONE);
}

static void lock_is_gone(broker_lock *l)
{
    broker_value v;
    bool flag;

    GIVES(broker_lock_acquire(l, 0, NULL), BROKER_GONE);
    GIVES(broker_lock_acquire(l, BROKER_FOREVER, NULL), BROKER_GONE);
    GIVES(broker_lock_release(l), BROKER_GONE);
    GIVES(broker_lock_locked(l, &flag), BROKER_GONE);
    GIVES(broker_lock_owner(l, &kit_buffer, &v), BROKER_GONE);
}

/* Also when the name, and the memory, have a new owner. */
Test(open, old_handles_of_a_destroyed_object_are_gone_in_every_operation)
{
    static const broker_queue_options joinable = {.joinable = true};
    broker_dict *d = kit_dict("d", NULL);
    broker_queue *q = kit_queue("q", &joinable);
    broker_lock *l = kit_lock("l", NULL);

    OK(broker_dict_set(d, STR("a"), INT(1)));
    OK(broker_queue_put(q, INT(1), 0));
    for (int i = 0; i < 2; i++) {
        OK(broker_destroy(kit_broker, kit_name("d")));
        OK(broker_destroy(kit_broker, kit_name("q")));
        OK(broker_destroy(kit_broker, kit_name("l")));
        dict_is_gone(d);
        queue_is_gone(q);
        lock_is_gone(l);
        cr_assert_str_eq(kit_dict_text(kit_dict("d", NULL)), "{}");
        cr_assert_str_eq(kit_drain(kit_queue("q", &joinable)), "[]");
        OK(broker_lock_acquire(kit_lock("l", NULL), 0, NULL));
        dict_is_gone(d);
        queue_is_gone(q);
        lock_is_gone(l);
    }
    broker_dict_close(d);
    broker_queue_close(q);
    broker_lock_close(l);
}

Test(open, a_name_can_be_used_for_another_type_at_once)
{
    for (int i = 0; i < 20; i++) {
        broker_dict *d = kit_dict("x", NULL);
        broker_queue *q;
        broker_lock *l;

        OK(broker_dict_set(d, STR("a"), INT(1)));
        OK(broker_destroy(kit_broker, kit_name("x")));
        q = kit_queue("x", NULL);
        OK(broker_queue_put(q, INT(1), 0));
        OK(broker_destroy(kit_broker, kit_name("x")));
        l = kit_lock("x", NULL);
        OK(broker_lock_acquire(l, 0, NULL));
        OK(broker_destroy(kit_broker, kit_name("x")));
        GIVES(broker_lock_release(l), BROKER_GONE);
        broker_dict_close(d);
        broker_queue_close(q);
        broker_lock_close(l);
    }
}

/* ---- destroying what somebody waits for ---- */

static int put_one(struct call *c)
{
    return broker_queue_put(c->object, INT(1), BROKER_FOREVER);
}

static int join_queue(struct call *c)
{
    return broker_queue_join(c->object, BROKER_FOREVER);
}

Test(open, destroy_wakes_whoever_waits)
{
    broker_queue *empty = kit_queue("empty", NULL);
    broker_queue *full = kit_queue("full", &(broker_queue_options){.max_items = 1});
    broker_lock *l = kit_lock("l", NULL);
    struct call waiters[5];

    OK(broker_queue_put(full, INT(1), 0));
    OK(broker_lock_acquire(l, 0, NULL));
    kit_call(&waiters[0], call_get, empty, BROKER_FOREVER);
    kit_call(&waiters[1], put_one, full, 0);
    kit_call(&waiters[2], join_queue, full, 0);
    kit_call(&waiters[3], call_acquire, l, BROKER_FOREVER);
    kit_call(&waiters[4], call_acquire, l, BROKER_FOREVER);
    kit_await_waiters(kit_name("empty"), 1);
    kit_await_waiters(kit_name("full"), 2);
    kit_await_waiters(kit_name("l"), 2);
    OK(broker_destroy(kit_broker, kit_name("empty")));
    OK(broker_destroy(kit_broker, kit_name("full")));
    OK(broker_destroy(kit_broker, kit_name("l")));
    for (int i = 0; i < 5; i++)
        GIVES(kit_return(&waiters[i]), BROKER_GONE);
}

static void hold_things(struct line *parent, void *arg)
{
    broker_queue *q = arg;
    broker_lock *l;
    broker_value v;

    REQUIRE(broker_lock_open(kit_broker, kit_name("l"), NULL, &l) == 0);
    REQUIRE(broker_lock_acquire(l, 0, NULL) == 0);
    REQUIRE(broker_queue_get(q, 0, &kit_buffer, &v) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    REQUIRE(broker_lock_release(l) == BROKER_GONE);
    REQUIRE(broker_queue_task_done(q) == BROKER_GONE);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

/* What others hold of it is no obstacle; its memory comes back, and their deaths do no harm to what
 * comes after. */
Test(open, an_object_that_others_hold_can_be_destroyed)
{
    static const broker_queue_options joinable = {.joinable = true};
    broker_queue *q = kit_queue("q", &joinable);
    broker_lock *l = kit_lock("l", NULL);
    struct line other;

    for (int64_t i = 0; i < 3; i++)
        OK(broker_queue_put(q, INT(i), 0));
    other = kit_fork(hold_things, q);
    (void)kit_hear(&other);
    GIVES(broker_lock_acquire(l, 0, NULL), BROKER_TIMEDOUT);
    OK(broker_destroy(kit_broker, kit_name("q")));
    OK(broker_destroy(kit_broker, kit_name("l")));
    broker_queue_close(q);
    broker_lock_close(l);
    q = kit_queue("q", &joinable);
    l = kit_lock("l", NULL);
    OK(broker_lock_acquire(l, 0, NULL));
    kit_tell(&other, 0);
    (void)kit_hear(&other);
    kit_kill(&other);
    OK(broker_queue_put(q, INT(7), 0));
    cr_assert_str_eq(kit_drain(q), "[7]");
    OK(broker_lock_release(l));
}

/* ---- handles ---- */

Test(open, wrong_handles_are_invalid)
{
    broker_dict *d = kit_dict("d", NULL), *none;
    broker_lock *l = kit_lock("l", NULL);
    broker_value v = INT(77);
    bool flag;

    GIVES(broker_dict_set(NULL, STR("a"), INT(1)), BROKER_INVALID);
    GIVES(broker_dict_set((broker_dict *)l, STR("a"), INT(1)), BROKER_INVALID);
    GIVES(broker_lock_locked((broker_lock *)d, &flag), BROKER_INVALID);
    GIVES(broker_queue_put((broker_queue *)d, INT(1), 0), BROKER_INVALID);
    GIVES(broker_dict_get(d, STR("a"), NULL, &v), BROKER_INVALID);
    GIVES(broker_dict_get(d, STR("a"), &kit_buffer, NULL), BROKER_INVALID);
    GIVES(broker_dict_open(NULL, kit_name("x"), NULL, &none), BROKER_INVALID);
    GIVES(broker_dict_open(kit_broker, kit_name("x"), NULL, NULL), BROKER_INVALID);
    GIVES(broker_stat(kit_broker, kit_name("x"), &kit_buffer, &v), BROKER_NOTFOUND);
    SAYS(v, "77");
    broker_dict_close(NULL);
    broker_queue_close(NULL);
    broker_lock_close(NULL);
    broker_close(NULL);
    cr_assert_str_eq(kit_dict_text(d), "{}");
}

static int open_and_close(struct call *c)
{
    char name[160];
    int r = 0;

    for (int i = 0; i < 300 && r == 0; i++) {
        broker_dict *d;
        int64_t total;

        (void)snprintf(name, sizeof(name), "%s.%d", (const char *)c->object, i % 3);
        r = broker_dict_open(kit_broker, name, NULL, &d);
        if (r == 0)
            r = broker_dict_add(d, STR("n"), 1, &total);
        if (r == 0)
            broker_dict_close(d);
    }
    return r;
}

Test(open, threads_open_and_close_the_same_objects)
{
    struct call others[4];
    char name[160];
    broker_dict *d;

    for (int i = 0; i < 4; i++)
        kit_call(&others[i], open_and_close, (void *)(uintptr_t)kit_name("d"), 0);
    for (int i = 0; i < 4; i++)
        OK(kit_return(&others[i]));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "%s.%d", kit_name("d"), i);
        OK(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_OPEN}, &d));
        cr_assert_str_eq(kit_dict_text(d), "{'n': 400}");
        OK(broker_destroy(kit_broker, name));
    }
}

static int create_and_destroy(struct call *c)
{
    broker_queue *q;
    int r = 0;

    for (int i = 0; i < 200 && r == 0; i++) {
        r = broker_queue_open(kit_broker, c->object, NULL, &q);
        if (r < 0)
            break;
        r = broker_queue_put(q, INT(1), 0);
        if (r == BROKER_GONE)
            r = 0;
        broker_queue_close(q);
        if (r == 0)
            r = broker_destroy(kit_broker, c->object);
        if (r == BROKER_NOTFOUND)
            r = 0;
    }
    return r;
}

/* One creates what another destroys: each call has its effect or says why not, and nothing is left.
 */
Test(open, threads_create_and_destroy_the_same_object)
{
    struct call others[4];
    broker_value v;

    for (int i = 0; i < 4; i++)
        kit_call(&others[i], create_and_destroy, (void *)(uintptr_t)kit_name("q"), 0);
    for (int i = 0; i < 4; i++)
        OK(kit_return(&others[i]));
    OK(broker_objects(kit_broker, NULL, kit_name("q"), &kit_buffer, &v));
    SAYS(v, "[]");
}

/* ---- another name ---- */

Test(open, renamed_it_is_the_same_object_for_those_who_have_it)
{
    const char *name = kit_name("old"), *new_name = kit_name("new");
    broker_dict *d = kit_dict("old", NULL), *found;
    uint64_t before, after;
    broker_value v;

    OK(broker_dict_set(d, STR("a"), INT(1)));
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &before));
    OK(broker_rename(kit_broker, name, new_name));
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &after));
    cr_assert_eq(before, after, "the revision counts changes of contents");
    GIVES(broker_dict_open(kit_broker, name, &(broker_dict_options){.mode = BROKER_OPEN}, &found),
        BROKER_NOTFOUND);
    found = kit_dict("new", &(broker_dict_options){.mode = BROKER_OPEN});
    OK(broker_dict_set(found, STR("b"), INT(2)));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1, 'b': 2}");
    OK(broker_stat(kit_broker, new_name, &kit_buffer, &v));
    cr_assert_eq(kit_field(v, "entries").u, 2);
    broker_dict_close(found);
    found = kit_dict("old", &(broker_dict_options){.mode = BROKER_CREATE});
    cr_assert_str_eq(kit_dict_text(found), "{}", "the old name is free for another");
}

Test(open, a_rename_that_is_refused_changes_nothing)
{
    const char *name = kit_name("d"), *other = kit_name("l");
    broker_dict *d = kit_dict("d", NULL), *found;

    (void)kit_lock("l", NULL);
    GIVES(broker_rename(kit_broker, name, other), BROKER_EXISTS);
    cr_assert_not_null(strstr(broker_last_error(), name));
    GIVES(broker_rename(kit_broker, name, name), BROKER_EXISTS);
    GIVES(broker_rename(kit_broker, kit_name("none"), other), BROKER_NOTFOUND);
    GIVES(broker_rename(kit_broker, kit_name("none"), kit_name("none")), BROKER_NOTFOUND);
    GIVES(broker_rename(kit_broker, name, ""), BROKER_BADNAME);
    GIVES(broker_rename(kit_broker, "\n", other), BROKER_BADNAME);
    OK(broker_dict_set(d, STR("a"), INT(1)));
    found = kit_dict("d", &(broker_dict_options){.mode = BROKER_OPEN});
    cr_assert_str_eq(kit_dict_text(found), "{'a': 1}");
}

Test(open, who_waits_for_an_object_waits_on_under_its_new_name)
{
    broker_queue *q = kit_queue("old", NULL), *found;
    struct call getter;

    kit_call(&getter, call_get, q, BROKER_FOREVER);
    kit_await_waiters(kit_name("old"), 1);
    OK(broker_rename(kit_broker, kit_name("old"), kit_name("new")));
    cr_assert_eq(kit_stat(kit_name("new"), "waiters"), 1);
    found = kit_queue("new", &(broker_queue_options){.mode = BROKER_OPEN});
    OK(broker_queue_put(found, INT(7), 0));
    OK(kit_return(&getter));
    cr_assert_eq(getter.number, 7);
}

Test(open, a_destroyed_object_has_no_name_to_change)
{
    (void)kit_lock("l", NULL);
    OK(broker_destroy(kit_broker, kit_name("l")));
    GIVES(broker_rename(kit_broker, kit_name("l"), kit_name("m")), BROKER_NOTFOUND);
}
