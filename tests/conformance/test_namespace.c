/*
 * test_namespace.c - the namespace: attributes under names
 *
 * The names in brackets are the rows of CPython's Namespace proxy whose rule a case shows. What a
 * namespace has in common with a dict is shown there.
 */
#include "conformance/kit.h"

#include <stdatomic.h>
#include <string.h>

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

TestSuite(namespace, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

/* All of it as a map, or the name of the failure. */
static const char *all(broker_namespace *n)
{
    broker_value v;
    int r = broker_namespace_copy(n, &kit_buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

#define IS(space, text) cr_assert_str_eq(all(space), (text))

/* [__getattribute__, __setattr__, __delattr__] */
Test(namespace, an_attribute_is_what_was_set)
{
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v;

    OK(broker_namespace_set(n, "name", STR("Bob")));
    OK(broker_namespace_set(n, "age", INT(7)));
    OK(broker_namespace_get(n, "name", &kit_buffer, &v));
    SAYS(v, "'Bob'");
    OK(broker_namespace_set(n, "name", value_of("[1, {'a': nil}]")));
    IS(n, "{'name': [1, {'a': nil}], 'age': 7}");
    OK(broker_namespace_delete(n, "name"));
    IS(n, "{'age': 7}");
}

/* [mutating a stored list is lost] What was read is a copy. */
Test(namespace, an_attribute_that_was_read_is_a_copy)
{
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v;

    OK(broker_namespace_set(n, "a", value_of("[1, 2]")));
    OK(broker_namespace_get(n, "a", &kit_buffer, &v));
    ((uint8_t *)kit_buffer.data)[1] = 7;
    SAYS(v, "[7, 2]");
    IS(n, "{'a': [1, 2]}");
}

/* [missing: AttributeError, get and del] */
Test(namespace, a_missing_attribute_is_notfound)
{
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v = INT(77);

    GIVES(broker_namespace_get(n, "a", &kit_buffer, &v), BROKER_NOTFOUND);
    GIVES(broker_namespace_delete(n, "a"), BROKER_NOTFOUND);
    GIVES(broker_namespace_compare_and_set(n, "a", broker_nil(), INT(1)), BROKER_NOTFOUND);
    cr_assert_eq(v.i, 77);
    IS(n, "{}");
}

/* [names beginning with _ are not shared] Refused, rather than kept where nobody sees them. */
Test(namespace, what_is_no_name_is_refused_everywhere)
{
    static const char *const names[] = {"", "_", "_private", "__class__", "1a", "a b", "a-b", "a.b",
        "a\n", "\xff", "a\xe2\x82", " a"};
    broker_namespace *n = kit_namespace("n", NULL);
    char name[300];
    broker_value v;
    int64_t total;
    bool found;

    OK(broker_namespace_set(n, "a", INT(1)));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        GIVES(broker_namespace_set(n, names[i], INT(1)), BROKER_BADNAME);
        GIVES(broker_namespace_get(n, names[i], &kit_buffer, &v), BROKER_BADNAME);
        GIVES(broker_namespace_delete(n, names[i]), BROKER_BADNAME);
        GIVES(broker_namespace_contains(n, names[i], &found), BROKER_BADNAME);
        GIVES(broker_namespace_add(n, names[i], 1, &total), BROKER_BADNAME);
        GIVES(broker_namespace_compare_and_set(n, names[i], INT(1), INT(2)), BROKER_BADNAME);
    }
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    GIVES(broker_namespace_set(n, name, INT(1)), BROKER_BADNAME);
    GIVES(broker_namespace_set(n, NULL, INT(1)), BROKER_INVALID);
    IS(n, "{'a': 1}");
    name[255] = '\0';
    OK(broker_namespace_set(n, name, INT(2)));
    OK(broker_namespace_get(n, name, &kit_buffer, &v));
    SAYS(v, "2");
}

Test(namespace, names_are_letters_digits_and_underscores)
{
    static const char *const names[] = {"a", "Z", "a_", "a1_b",
        ("stra\xc3\x9f"
         "e"),
        "\xe5\x90\x8d"};
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v;
    bool found;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        OK(broker_namespace_set(n, names[i], INT((int64_t)i)));
        OK(broker_namespace_contains(n, names[i], &found));
        cr_assert(found);
    }
    OK(broker_namespace_contains(n, "b", &found));
    cr_assert_not(found);
    OK(broker_namespace_keys(n, &kit_buffer, &v));
    cr_assert_eq(kit_count(v), sizeof(names) / sizeof(names[0]));
    SAYS(kit_element(v, 2), "'a_'");
}

/* [Namespace(**kw)] all or nothing. */
Test(namespace, update_sets_all_or_none)
{
    broker_namespace *n = kit_namespace("n", NULL);
    static const char *const bad[] = {
        "{'a': 1, '_b': 2}", "{'a': 1, 2: 3}", "{'a': 1, nil: 3}", "{'a': 1, b'61': 3}"};

    OK(broker_namespace_update(n, value_of("{}")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        GIVES(broker_namespace_update(n, value_of(bad[i])), BROKER_BADNAME);
    GIVES(broker_namespace_update(n, value_of("['a', 1]")), BROKER_INVALID);
    GIVES(broker_namespace_update(n, INT(1)), BROKER_INVALID);
    IS(n, "{}");
    OK(broker_namespace_update(n, value_of("{'b': 1, 'a': 'x'}")));
    OK(broker_namespace_update(n, value_of("{'c': nil, 'b': 2}")));
    IS(n, "{'b': 2, 'a': 'x', 'c': nil}");
}

Test(namespace, keys_and_items_come_in_the_order_of_making)
{
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v;

    OK(broker_namespace_update(n, value_of("{'z': 1, 'a': 2}")));
    OK(broker_namespace_set(n, "z", INT(3)));
    OK(broker_namespace_keys(n, &kit_buffer, &v));
    SAYS(v, "['z', 'a']");
    OK(broker_namespace_items(n, &kit_buffer, &v));
    SAYS(v, "[['z', 3], ['a', 2]]");
}

/* What Python's `n.a += 1` is meant to be. */
Test(namespace, add_and_compare_and_set_are_one_step)
{
    broker_namespace *n = kit_namespace("n", NULL);
    int64_t total = 77;

    OK(broker_namespace_add(n, "runs", 5, &total));
    cr_assert_eq(total, 5);
    OK(broker_namespace_add(n, "runs", -7, &total));
    cr_assert_eq(total, -2);
    OK(broker_namespace_set(n, "name", STR("Bob")));
    GIVES(broker_namespace_add(n, "name", 1, &total), BROKER_WRONGVALUE);
    OK(broker_namespace_set(n, "most", INT(INT64_MAX)));
    GIVES(broker_namespace_add(n, "most", 1, &total), BROKER_OVERFLOW);
    cr_assert_eq(total, -2);
    OK(broker_namespace_compare_and_set(n, "name", STR("Bob"), STR("Eve")));
    GIVES(broker_namespace_compare_and_set(n, "name", STR("Bob"), STR("Ann")), BROKER_MISMATCH);
    IS(n, "{'runs': -2, 'name': 'Eve', 'most': 9223372036854775807}");
}

#define N_OTHERS 3
#define TIMES 1000

static void count_in_process(struct line *parent, void *arg)
{
    int64_t total;

    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++)
        REQUIRE(broker_namespace_add(arg, "runs", 1, &total) == 0);
}

Test(namespace, processes_share_it)
{
    broker_namespace *n = kit_namespace("n", NULL);
    struct line others[N_OTHERS];
    broker_value v;

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(count_in_process, n);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    OK(broker_namespace_get(n, "runs", &kit_buffer, &v));
    cr_assert_eq(v.i, N_OTHERS * TIMES);
}

static void set_until_killed(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    for (int64_t i = 1;; i++) {
        static const char *const names[] = {"a", "b", "a_longer_name"};

        REQUIRE(broker_namespace_set(arg, names[i % 3], INT(i)) == 0);
        REQUIRE(broker_namespace_update(arg, value_of("{'x': 1, 'y': 2}")) == 0);
        REQUIRE(broker_namespace_delete(arg, "x") == 0);
        words_free();
    }
}

/* Sets both attributes to the same number, in one step, until it is told to stop. */
static int update_both(struct call *c)
{
    uint8_t map[] = {0x82, 0xa1, 'x', 0, 0xa1, 'y', 0};
    int r = 0;

    while (atomic_load((_Atomic int64_t *)&c->number) != 0 && r == 0) {
        map[3] = map[6] = (uint8_t)((map[3] + 1) % 128);
        r = broker_namespace_update(c->object, broker_packed(map, sizeof(map)));
    }
    return r;
}

/* [deepcopy / _getvalue] a snapshot is of one moment. */
Test(namespace, a_copy_is_of_one_moment)
{
    broker_namespace *n = kit_namespace("n", NULL);
    struct call writer;
    broker_value v;

    OK(broker_namespace_update(n, value_of("{'x': 0, 'y': 0}")));
    kit_call(&writer, update_both, n, 1);
    for (int i = 0; i < 5000; i++) {
        OK(broker_namespace_copy(n, &kit_buffer, &v));
        if (kit_field(v, "x").i != kit_field(v, "y").i)
            cr_assert_fail("half an update was seen: %s", text_of(v));
    }
    atomic_store((_Atomic int64_t *)&writer.number, 0);
    OK(kit_return(&writer));
}

/* Killed anywhere, everybody goes on with a namespace that is sound. */
Test(namespace, a_killed_writer_is_in_nobodys_way)
{
    broker_namespace *n = kit_namespace("n", NULL);
    bool found;

    for (int i = 0; i < 10; i++) {
        struct line other = kit_fork(set_until_killed, n);

        (void)kit_hear(&other);
        do
            OK(broker_namespace_contains(n, "y", &found));
        while (!found);
        kit_kill(&other);
        OK(broker_namespace_set(n, "y", INT(i)));
        OK(broker_namespace_delete(n, "y"));
    }
    cr_assert_eq(kit_stat(kit_name("n"), "quarantined"), 0);
}

/* ---- its end, and its limits ---- */

Test(namespace, a_destroyed_namespace_is_gone)
{
    broker_namespace *n = kit_namespace("n", NULL);
    broker_value v;
    int64_t total;
    bool found;

    OK(broker_namespace_set(n, "a", INT(1)));
    OK(broker_destroy(kit_broker, kit_name("n")));
    GIVES(broker_namespace_get(n, "a", &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_namespace_set(n, "a", INT(1)), BROKER_GONE);
    GIVES(broker_namespace_delete(n, "a"), BROKER_GONE);
    GIVES(broker_namespace_contains(n, "a", &found), BROKER_GONE);
    GIVES(broker_namespace_update(n, value_of("{'a': 1}")), BROKER_GONE);
    GIVES(broker_namespace_add(n, "a", 1, &total), BROKER_GONE);
    GIVES(broker_namespace_compare_and_set(n, "a", INT(1), INT(2)), BROKER_GONE);
    GIVES(broker_namespace_keys(n, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_namespace_items(n, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_namespace_copy(n, &kit_buffer, &v), BROKER_GONE);
}

Test(namespace, a_dict_is_no_namespace)
{
    broker_namespace *n;

    (void)kit_dict("d", NULL);
    GIVES(broker_namespace_open(kit_broker, kit_name("d"), NULL, &n), BROKER_WRONGTYPE);
    GIVES(
        broker_namespace_set((broker_namespace *)kit_dict("d", NULL), "a", INT(1)), BROKER_INVALID);
}

Test(namespace, a_quota_is_kept)
{
    broker_namespace_options options = {.quota_bytes = 65536};
    broker_namespace *n = kit_namespace("n", &options), *other;

    OK(broker_namespace_set(n, "a", INT(1)));
    GIVES(broker_namespace_set(n, "b", broker_strn(filling(100000, 1), 100000)), BROKER_QUOTA);
    IS(n, "{'a': 1}");
    options.quota_bytes = 131072;
    GIVES(broker_namespace_open(kit_broker, kit_name("n"), &options, &other), BROKER_MISMATCH);
}
