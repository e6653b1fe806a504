/*
 * test_list.c - the list, one element at a time
 *
 * The names in brackets are the rows of CPython's ListProxy whose rule a case shows.
 */
#include "conformance/kit.h"

TestSuite(list, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

static broker_list *list_of(const char *text)
{
    broker_list *l = kit_list("l", NULL);

    OK(broker_list_extend(l, value_of(text)));
    return l;
}

/* [L[i], L[i]=v, del L[i]] IndexError. Outputs are written on success only. */
Test(list, an_index_out_of_range_is_notfound)
{
    static const int64_t outside[] = {3, -4, 4, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    broker_list *l = list_of("['a', 'b', 'c']");
    broker_value v = INT(77);
    int64_t total = 77;

    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        GIVES(broker_list_get(l, outside[i], &kit_buffer, &v), BROKER_NOTFOUND);
        GIVES(broker_list_set(l, outside[i], INT(1)), BROKER_NOTFOUND);
        GIVES(broker_list_delete(l, outside[i]), BROKER_NOTFOUND);
        GIVES(broker_list_pop(l, outside[i], &kit_buffer, &v), BROKER_NOTFOUND);
        GIVES(broker_list_add(l, outside[i], 1, &total), BROKER_NOTFOUND);
        GIVES(broker_list_compare_and_set(l, outside[i], STR("a"), INT(1)), BROKER_NOTFOUND);
    }
    SAYS(v, "77");
    cr_assert_eq(total, 77);
    cr_assert_str_eq(kit_list_text(l), "['a', 'b', 'c']");
}

/* [L[i], L[i]=v, del L[i]] negative indexes count from the end. */
Test(list, indexes_count_from_both_ends)
{
    broker_list *l = list_of("[10, 11, 12, 13]");
    broker_value v;

    for (int64_t i = -4; i < 4; i++) {
        OK(broker_list_get(l, i, &kit_buffer, &v));
        cr_assert_eq(v.i, 10 + (i < 0 ? i + 4 : i));
    }
    OK(broker_list_set(l, -1, STR("last")));
    OK(broker_list_set(l, 0, STR("first")));
    OK(broker_list_set(l, -3, STR("a text that does not lie where the number was")));
    cr_assert_str_eq(
        kit_list_text(l), "['first', 'a text that does not lie where the number was', 12, 'last']");
    OK(broker_list_delete(l, -2));
    OK(broker_list_delete(l, 0));
    cr_assert_str_eq(kit_list_text(l), "['a text that does not lie where the number was', 'last']");
}

/* [no __iter__] who walks by index until there is none sees what is changed meanwhile, and may skip
 * or repeat an element: scan does not help, snapshots do. */
Test(list, a_walk_by_index_sees_changes)
{
    broker_list *l = list_of("[0, 1, 2, 3]");
    int64_t seen[8], n = 0;
    broker_value v;
    int r;

    for (int64_t i = 0; (r = broker_list_get(l, i, &kit_buffer, &v)) == 0; i++) {
        cr_assert_lt(n, 8);
        seen[n++] = v.i;
        if (v.i == 1)
            OK(broker_list_delete(l, 0)); /* 2 moves to where 1 was */
        if (v.i == 3 && i == 2)
            OK(broker_list_insert(l, 0, INT(9))); /* 3 comes again */
        if (n == 4)
            OK(broker_list_append(l, INT(4)));
    }
    cr_assert_eq(r, BROKER_NOTFOUND);
    cr_assert_eq(n, 5);
    cr_assert(seen[0] == 0 && seen[1] == 1 && seen[2] == 3 && seen[3] == 3 && seen[4] == 4);
}

/* [append extend insert] extend takes what there is, all in one. */
Test(list, append_and_extend_add_at_the_end)
{
    broker_list *l = kit_list("l", NULL);

    OK(broker_list_append(l, INT(1)));
    OK(broker_list_extend(l, value_of("[]")));
    OK(broker_list_extend(l, value_of("['a', [2, [3]], {'x': nil}]")));
    OK(broker_list_append(l, value_of("[4]")));
    cr_assert_str_eq(kit_list_text(l), "[1, 'a', [2, [3]], {'x': nil}, [4]]");
}

/* [append extend insert] insert clamps both ends. */
Test(list, insert_clamps_its_index)
{
    broker_list *l = kit_list("l", NULL);

    OK(broker_list_insert(l, 5, STR("b")));
    OK(broker_list_insert(l, -5, STR("a")));
    OK(broker_list_insert(l, 100, STR("e")));
    OK(broker_list_insert(l, -1, STR("d")));
    OK(broker_list_insert(l, 2, STR("c")));
    OK(broker_list_insert(l, INT64_MIN, STR("0")));
    OK(broker_list_insert(l, INT64_MAX, STR("f")));
    OK(broker_list_insert(l, -7, STR("at 0")));
    cr_assert_str_eq(kit_list_text(l), "['at 0', '0', 'a', 'b', 'c', 'd', 'e', 'f']");
}

/* [pop(i=-1)] IndexError on empty or range. */
Test(list, pop_gives_what_it_removes)
{
    broker_list *l = list_of("['a', [1, {'x': nil}], 'c', 4]");
    broker_value v = INT(77);

    OK(broker_list_pop(l, -1, &kit_buffer, &v));
    SAYS(v, "4");
    OK(broker_list_pop(l, 1, &kit_buffer, &v));
    SAYS(v, "[1, {'x': nil}]");
    OK(broker_list_pop(l, 0, &kit_buffer, &v));
    SAYS(v, "'a'");
    OK(broker_list_pop(l, -1, &kit_buffer, &v));
    SAYS(v, "'c'");
    v = INT(77);
    GIVES(broker_list_pop(l, -1, &kit_buffer, &v), BROKER_EMPTY);
    GIVES(broker_list_pop(l, 3, &kit_buffer, &v), BROKER_EMPTY);
    SAYS(v, "77");
    cr_assert_str_eq(kit_list_text(l), "[]");
}

/* [remove(v) / index(v)] ValueError if absent; remove takes the first. */
Test(list, remove_takes_the_first_that_is_equal)
{
    broker_list *l = list_of("[1, 'a', 2, true, 1.0, 'a', [1, 2]]");

    GIVES(broker_list_remove(l, STR("b")), BROKER_NOTFOUND);
    OK(broker_list_remove(l, STR("a")));
    OK(broker_list_remove(l, broker_double(1.0)));
    cr_assert_str_eq(kit_list_text(l), "[2, true, 1.0, 'a', [1, 2]]");
    OK(broker_list_remove(l, value_of("[1.0, 2]")));
    OK(broker_list_remove(l, INT(1)));
    cr_assert_str_eq(kit_list_text(l), "[2, 1.0, 'a']");
    GIVES(broker_list_remove(l, broker_nil()), BROKER_NOTFOUND);
}

/* [index(v[,start[,stop]])] bounds as those of a slice; [count(v)]; [contains] */
Test(list, index_count_and_contains_look_for_equal_values)
{
    broker_list *l = list_of("['a', 'b', 1, 'a', true, b'61', {'k': 1}, 'a']");
    uint64_t n = 77;
    bool found;

    OK(broker_list_index(l, STR("a"), 0, BROKER_OMITTED, &n));
    cr_assert_eq(n, 0);
    OK(broker_list_index(l, STR("a"), 1, BROKER_OMITTED, &n));
    cr_assert_eq(n, 3);
    OK(broker_list_index(l, STR("a"), -2, BROKER_OMITTED, &n));
    cr_assert_eq(n, 7);
    OK(broker_list_index(l, STR("b"), -100, INT64_MAX, &n));
    cr_assert_eq(n, 1);
    OK(broker_list_index(l, INT(1), BROKER_OMITTED, 3, &n));
    cr_assert_eq(n, 2);
    n = 77;
    GIVES(broker_list_index(l, STR("a"), 1, 3, &n), BROKER_NOTFOUND);
    GIVES(broker_list_index(l, STR("a"), 100, INT64_MAX, &n), BROKER_NOTFOUND);
    GIVES(broker_list_index(l, STR("a"), 4, -1, &n), BROKER_NOTFOUND);
    GIVES(broker_list_index(l, STR("a"), 5, 2, &n), BROKER_NOTFOUND);
    GIVES(broker_list_index(l, STR("c"), 0, BROKER_OMITTED, &n), BROKER_NOTFOUND);
    cr_assert_eq(n, 77);
    OK(broker_list_count(l, STR("a"), &n));
    cr_assert_eq(n, 3);
    OK(broker_list_count(l, broker_double(1.0), &n));
    cr_assert_eq(n, 2, "1, 1.0 and true are equal");
    OK(broker_list_count(l, INT(2), &n));
    cr_assert_eq(n, 0);
    OK(broker_list_contains(l, value_of("{'k': 1.0}"), &found));
    cr_assert(found);
    OK(broker_list_contains(l, STR("61"), &found));
    cr_assert_not(found, "a string is no byte string");
}

/* NaN equals nothing, not even itself. */
Test(list, nan_is_never_found)
{
    broker_list *l = list_of("[nan, 1]");
    uint64_t n;
    bool found;

    OK(broker_list_count(l, value_of("nan"), &n));
    cr_assert_eq(n, 0);
    OK(broker_list_contains(l, value_of("nan"), &found));
    cr_assert_not(found);
    GIVES(broker_list_remove(l, value_of("nan")), BROKER_NOTFOUND);
}

/* [len] and clear, which CPython's proxy lacks. */
Test(list, len_and_clear)
{
    broker_list *l = kit_list("l", NULL);
    uint64_t n = 77;

    OK(broker_list_len(l, &n));
    cr_assert_eq(n, 0);
    OK(broker_list_clear(l));
    for (int i = 0; i < 200; i++)
        OK(broker_list_append(l, STR(filling(i < 100 ? 3 : 3000, (unsigned)i))));
    OK(broker_list_len(l, &n));
    cr_assert_eq(n, 200);
    OK(broker_list_clear(l));
    OK(broker_list_len(l, &n));
    cr_assert_eq(n, 0);
    cr_assert_str_eq(kit_list_text(l), "[]");
    OK(broker_list_append(l, INT(1)));
    cr_assert_str_eq(kit_list_text(l), "[1]");
}

/* An element of every size, on its way in and out, and over each other. */
Test(list, elements_may_have_any_size)
{
    static const size_t sizes[] = {0, 5, 6, 7, 8, 30, 250, 2045, 2046, 5000, 100000, 3000000};
    broker_list *l = kit_list("l", NULL);
    size_t n = sizeof(sizes) / sizeof(sizes[0]);
    broker_value v;

    for (size_t i = 0; i < n; i++)
        OK(broker_list_append(l, broker_bin(filling(sizes[i], 1), sizes[i])));
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < n; i++) {
            size_t size = sizes[(i + k) % n];

            OK(broker_list_get(l, (int64_t)i, &kit_buffer, &v));
            cr_assert_eq(v.size, size);
            cr_assert_eq(memcmp(v.data, filling(size, (unsigned)k + 1), size), 0);
            size = sizes[(i + k + 1) % n];
            OK(broker_list_set(l, (int64_t)i, broker_bin(filling(size, (unsigned)k + 2), size)));
        }
        words_free();
    }
}

/* Atomic `L[i] += n`, which loses nothing. */
Test(list, add_changes_whole_numbers_only)
{
    broker_list *l = list_of("[1, 'a', 2.0, 9223372036854775807, 18446744073709551615, nil]");
    int64_t total = 77;

    OK(broker_list_add(l, 0, -11, &total));
    cr_assert_eq(total, -10);
    total = 77;
    GIVES(broker_list_add(l, 1, 1, &total), BROKER_WRONGVALUE);
    GIVES(broker_list_add(l, 2, 1, &total), BROKER_WRONGVALUE);
    GIVES(broker_list_add(l, 3, 1, &total), BROKER_OVERFLOW);
    GIVES(broker_list_add(l, 4, 1, &total), BROKER_OVERFLOW);
    GIVES(broker_list_add(l, -1, 1, &total), BROKER_WRONGVALUE);
    cr_assert_eq(total, 77);
    OK(broker_list_add(l, 4, INT64_MIN, &total));
    cr_assert_eq(total, INT64_MAX);
    cr_assert_str_eq(
        kit_list_text(l), "[-10, 'a', 2.0, 9223372036854775807, 9223372036854775807, nil]");
}

Test(list, compare_and_set_changes_what_is_expected_only)
{
    broker_list *l = list_of("['idle', 1, nil]");

    GIVES(broker_list_compare_and_set(l, 0, STR("busy"), STR("done")), BROKER_MISMATCH);
    OK(broker_list_compare_and_set(l, 0, STR("idle"), STR("busy, with much to do")));
    OK(broker_list_compare_and_set(l, 1, broker_bool(true), INT(2)));
    OK(broker_list_compare_and_set(l, -1, broker_nil(), value_of("[]")));
    cr_assert_str_eq(kit_list_text(l), "['busy, with much to do', 2, []]");
}

/* Arguments are checked before anything changes. */
Test(list, what_is_no_value_is_refused)
{
    static const uint8_t cut[] = {0x92, 0x01};
    uint8_t deep[40] = {[39] = 0x01};
    broker_list *l = list_of("[1]");
    broker_value bad = broker_packed(cut, sizeof(cut)), v;
    uint64_t n;

    GIVES(broker_list_append(l, bad), BROKER_INVALID);
    GIVES(broker_list_insert(l, 0, bad), BROKER_INVALID);
    GIVES(broker_list_set(l, 0, bad), BROKER_INVALID);
    GIVES(broker_list_remove(l, bad), BROKER_INVALID);
    GIVES(broker_list_count(l, bad, &n), BROKER_INVALID);
    GIVES(broker_list_extend(l, bad), BROKER_INVALID);
    GIVES(broker_list_extend(l, STR("ab")), BROKER_INVALID);
    GIVES(broker_list_extend(l, value_of("{1: 2}")), BROKER_INVALID);
    GIVES(broker_list_set_slice(l, INT(1), 0, 1, 1), BROKER_INVALID);
    GIVES(broker_list_set_slice(l, value_of("[]"), 0, 1, 0), BROKER_INVALID);
    GIVES(broker_list_get_slice(l, 0, 1, 0, &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_list_delete_slice(l, 0, 1, 0), BROKER_INVALID);
    GIVES(broker_list_concatenate(l, INT(1), &kit_buffer, &v), BROKER_INVALID);
    GIVES(broker_list_scan(l, 0, 0, &kit_buffer, &v, &n), BROKER_INVALID);
    memset(deep, 0x91, sizeof(deep) - 1); /* [[[...]]] */
    GIVES(broker_list_append(l, broker_packed(deep, sizeof(deep))), BROKER_TOODEEP);
    cr_assert_str_eq(kit_list_text(l), "[1]");
}

/* A quota is an error, and nothing changes. */
Test(list, a_full_list_stays_as_it_was)
{
    broker_list *l = kit_list("l", &(broker_list_options){.quota_bytes = 64 << 10});
    const char *big = filling(1500, 1);
    broker_value v;
    uint64_t n, after;
    int r;

    while ((r = broker_list_append(l, broker_bin(big, 1500))) == 0)
        ;
    cr_assert_eq(r, BROKER_QUOTA);
    OK(broker_list_len(l, &n));
    cr_assert_gt(n, 20);
    GIVES(broker_list_insert(l, 0, broker_bin(big, 1500)), BROKER_QUOTA);
    GIVES(broker_list_repeat(l, 2), BROKER_QUOTA);
    GIVES(broker_list_append(l, broker_bin(filling(50000, 1), 50000)), BROKER_QUOTA);
    OK(broker_list_len(l, &after));
    cr_assert_eq(n, after);
    for (uint64_t i = 0; i < n; i++) {
        OK(broker_list_pop(l, 0, &kit_buffer, &v));
        cr_assert_eq(v.size, 1500);
    }
    OK(broker_list_append(l, broker_bin(big, 1500)));
}
