/*
 * test_dict.c - the dict, one key at a time
 *
 * The names in brackets are the rows of CPython's DictProxy whose rule a case shows.
 */
#include "conformance/kit.h"

TestSuite(dict, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

/* [d[k]] KeyError. Outputs are written on success only. */
Test(dict, get_of_a_key_that_is_not_there_is_notfound)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value v = broker_int(77);
    uint64_t revision = 77;

    GIVES(broker_dict_get(d, STR("a"), &kit_buffer, &v), BROKER_NOTFOUND);
    GIVES(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision), BROKER_NOTFOUND);
    GIVES(broker_dict_delete(d, STR("a")), BROKER_NOTFOUND);
    GIVES(broker_dict_pop(d, STR("a"), &kit_buffer, &v), BROKER_NOTFOUND);
    GIVES(broker_dict_compare_and_set(d, STR("a"), broker_nil(), INT(1)), BROKER_NOTFOUND);
    SAYS(v, "77");
    cr_assert_eq(revision, 77);
    cr_assert_str_eq(kit_dict_text(d), "{}");
}

/* [dict(*a, **kw)] Creating and filling are two steps, of which the second is one whatever it
 * takes. */
Test(dict, a_new_dict_is_empty_and_filled_by_one_update)
{
    const broker_dict_options new = {.mode = BROKER_CREATE};
    broker_dict *d = kit_dict("d", &new);

    cr_assert_str_eq(kit_dict_text(d), "{}");
    OK(broker_dict_update(d, value_of("{'count': 100, 3: [1, {'a': nil}], nil: true}")));
    cr_assert_str_eq(kit_dict_text(d), "{'count': 100, 3: [1, {'a': nil}], nil: true}");
}

/* [d[k]=v] insertion order is kept, assigning again keeps the position. */
Test(dict, set_appends_a_new_key_and_keeps_the_place_of_an_old_one)
{
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_set(d, STR("b"), INT(1)));
    OK(broker_dict_set(d, STR("a"), INT(2)));
    OK(broker_dict_set(d, STR("c"), INT(3)));
    OK(broker_dict_set(d, STR("a"), STR("longer than before, so that it lies elsewhere")));
    cr_assert_str_eq(
        kit_dict_text(d), "{'b': 1, 'a': 'longer than before, so that it lies elsewhere', 'c': 3}");
    OK(broker_dict_set(d, STR("b"), INT(-1)));
    OK(broker_dict_set(d, STR("a"), INT(-2)));
    cr_assert_str_eq(kit_dict_text(d), "{'b': -1, 'a': -2, 'c': 3}");
}

/* [del d[k]] and what comes again goes to the end. */
Test(dict, delete_removes_a_key_and_its_place)
{
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_update(d, value_of("{'a': 1, 'b': 2, 'c': 3}")));
    OK(broker_dict_delete(d, STR("b")));
    GIVES(broker_dict_delete(d, STR("b")), BROKER_NOTFOUND);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1, 'c': 3}");
    OK(broker_dict_set(d, STR("b"), INT(4)));
    OK(broker_dict_delete(d, STR("a")));
    OK(broker_dict_set(d, STR("a"), INT(5)));
    cr_assert_str_eq(kit_dict_text(d), "{'c': 3, 'b': 4, 'a': 5}");
}

/* [k in d, len(d), bool(d)] */
Test(dict, contains_and_len_tell_what_is_there)
{
    broker_dict *d = kit_dict("d", NULL);
    bool found = true;
    uint64_t n = 77;

    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 0);
    OK(broker_dict_contains(d, STR("a"), &found));
    cr_assert_not(found);
    OK(broker_dict_set(d, STR("a"), broker_nil()));
    OK(broker_dict_contains(d, STR("a"), &found));
    cr_assert(found, "a key whose value is nil is there");
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 1);
}

/* [pop(k[, default])] KeyError without one: NOTFOUND, and the caller has its default. */
Test(dict, pop_gives_the_value_and_removes_the_key)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value v;

    OK(broker_dict_update(d, value_of("{'a': 1, 'b': [1, {'x': nil}], 'c': 3}")));
    OK(broker_dict_pop(d, STR("b"), &kit_buffer, &v));
    SAYS(v, "[1, {'x': nil}]");
    GIVES(broker_dict_pop(d, STR("b"), &kit_buffer, &v), BROKER_NOTFOUND);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1, 'c': 3}");
}

/* [popitem] the last inserted pair; an empty dict is EMPTY. */
Test(dict, popitem_takes_the_last_inserted_pair)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value k = INT(77), v = INT(77);

    GIVES(broker_dict_popitem(d, &kit_buffer, &k, &v), BROKER_EMPTY);
    SAYS(k, "77");
    SAYS(v, "77");
    OK(broker_dict_update(d, value_of("{'a': 1, 2.5: 'b', 'c': [3]}")));
    OK(broker_dict_set(d, STR("a"), INT(4)));
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    SAYS(k, "'c'");
    SAYS(v, "[3]");
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    SAYS(k, "2.5");
    SAYS(v, "'b'");
    OK(broker_dict_set(d, STR("z"), broker_nil()));
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    SAYS(k, "'z'");
    SAYS(v, "nil");
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    SAYS(k, "'a'");
    SAYS(v, "4");
    GIVES(broker_dict_popitem(d, &kit_buffer, &k, &v), BROKER_EMPTY);
    OK(broker_dict_set(d, STR("a"), INT(5)));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 5}");
}

/* [setdefault] */
Test(dict, setdefault_sets_only_what_is_not_there)
{
    broker_dict *d = kit_dict("d", NULL);
    bool inserted = false;
    broker_value v;

    OK(broker_dict_setdefault(d, STR("a"), INT(1), &kit_buffer, &v, &inserted));
    SAYS(v, "1");
    cr_assert(inserted);
    OK(broker_dict_setdefault(d, STR("a"), STR("other"), &kit_buffer, &v, &inserted));
    SAYS(v, "1");
    cr_assert_not(inserted);
    OK(broker_dict_setdefault(d, STR("b"), broker_nil(), &kit_buffer, &v, NULL));
    SAYS(v, "nil");
    OK(broker_dict_setdefault(d, STR("b"), INT(2), &kit_buffer, &v, &inserted));
    SAYS(v, "nil");
    cr_assert_not(inserted, "nil is a value");
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1, 'b': nil}");
}

/* [C extras: add] what `d[k] += n` can't do safely. */
Test(dict, add_counts_from_zero_and_keeps_the_place)
{
    broker_dict *d = kit_dict("d", NULL);
    int64_t total = 77;

    OK(broker_dict_add(d, STR("a"), 5, &total));
    cr_assert_eq(total, 5);
    OK(broker_dict_set(d, STR("b"), INT(1)));
    OK(broker_dict_add(d, STR("a"), -7, &total));
    cr_assert_eq(total, -2);
    OK(broker_dict_add(d, STR("a"), INT64_MAX, &total));
    cr_assert_eq(total, INT64_MAX - 2);
    OK(broker_dict_add(d, STR("a"), 0, &total));
    cr_assert_eq(total, INT64_MAX - 2);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 9223372036854775805, 'b': 1}");
}

/* [C extras: add] its edges. */
Test(dict, add_refuses_a_sum_that_does_not_fit_and_changes_nothing)
{
    broker_dict *d = kit_dict("d", NULL);
    int64_t total = 77;

    OK(broker_dict_set(d, STR("high"), INT(INT64_MAX)));
    OK(broker_dict_set(d, STR("low"), INT(INT64_MIN)));
    OK(broker_dict_set(d, STR("huge"), broker_uint(UINT64_MAX)));
    GIVES(broker_dict_add(d, STR("high"), 1, &total), BROKER_OVERFLOW);
    GIVES(broker_dict_add(d, STR("low"), -1, &total), BROKER_OVERFLOW);
    GIVES(broker_dict_add(d, STR("huge"), 1, &total), BROKER_OVERFLOW);
    GIVES(broker_dict_add(d, STR("huge"), -1, &total), BROKER_OVERFLOW);
    cr_assert_eq(total, 77);
    cr_assert_str_eq(kit_dict_text(d),
        "{'high': 9223372036854775807, 'low': -9223372036854775808, 'huge': 18446744073709551615}");
    OK(broker_dict_set(d, STR("huge"), broker_uint(UINT64_C(1) << 63)));
    OK(broker_dict_add(d, STR("huge"), -1, &total));
    cr_assert_eq(total, INT64_MAX, "what fits after the sum is a number like any other");
}

Test(dict, add_refuses_what_is_no_whole_number_and_changes_nothing)
{
    static const char *const others[] = {"nil", "true", "1.0", "'1'", "b'01'", "[1]", "{}"};
    broker_dict *d = kit_dict("d", NULL);
    int64_t total = 77;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        OK(broker_dict_set(d, STR("a"), value_of(others[i])));
        GIVES(broker_dict_add(d, STR("a"), 1, &total), BROKER_WRONGVALUE);
        cr_assert_str_eq(kit_get(d, STR("a")), others[i]);
    }
    cr_assert_eq(total, 77);
}

/* [C extras: compare-and-set] by the value. */
Test(dict, compare_and_set_sets_only_what_is_as_expected)
{
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_set(d, STR("a"), STR("idle")));
    GIVES(broker_dict_compare_and_set(d, STR("a"), STR("busy"), INT(1)), BROKER_MISMATCH);
    GIVES(broker_dict_compare_and_set(d, STR("a"), broker_bin("idle", 4), INT(1)), BROKER_MISMATCH);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 'idle'}");
    OK(broker_dict_compare_and_set(d, STR("a"), STR("idle"), value_of("[1, {'x': 2, 'y': 3}]")));
    GIVES(broker_dict_compare_and_set(d, STR("a"), value_of("[1, {'x': 2}]"), INT(1)),
        BROKER_MISMATCH);
    OK(broker_dict_compare_and_set(
        d, STR("a"), value_of("[1.0, {'y': 3, 'x': 2}]"), INT(1))); /* equal as in Python */
    OK(broker_dict_compare_and_set(d, STR("a"), broker_bool(true), INT(2)));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 2}");
    OK(broker_dict_set(d, STR("a"), value_of("nan")));
    GIVES(broker_dict_compare_and_set(d, STR("a"), value_of("nan"), INT(1)), BROKER_MISMATCH);
    cr_assert_str_eq(kit_dict_text(d), "{'a': nan}");
}

Test(dict, get_and_set_gives_what_was_there)
{
    broker_dict *d = kit_dict("d", NULL);
    bool found = true;
    broker_value v;

    OK(broker_dict_get_and_set(d, STR("a"), INT(1), &kit_buffer, &v, &found));
    SAYS(v, "nil");
    cr_assert_not(found);
    OK(broker_dict_get_and_set(d, STR("a"), value_of("['x']"), &kit_buffer, &v, &found));
    SAYS(v, "1");
    cr_assert(found);
    OK(broker_dict_get_and_set(d, STR("a"), broker_nil(), &kit_buffer, &v, NULL));
    SAYS(v, "['x']");
    cr_assert_str_eq(kit_dict_text(d), "{'a': nil}");
}

/* [C extras: compare-and-set with version] each way to change a dict ends the revisions that were
 * read before it. */
Test(dict, set_if_sets_only_while_nothing_has_changed)
{
    broker_dict *d = kit_dict("d", NULL);
    uint64_t revision, later;
    broker_value v;
    int64_t total;

    OK(broker_dict_set(d, STR("a"), INT(1)));
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    SAYS(v, "1");
    OK(broker_dict_set_if(d, STR("a"), INT(2), revision));
    GIVES(broker_dict_set_if(d, STR("a"), INT(3), revision), BROKER_MISMATCH);
    GIVES(broker_dict_set_if(d, STR("new"), INT(3), revision), BROKER_MISMATCH);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 2}");
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &later));
    cr_assert_gt(later, revision);
    OK(broker_dict_set(d, STR("other"), INT(1)));
    GIVES(broker_dict_set_if(d, STR("a"), INT(3), later), BROKER_MISMATCH);
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    OK(broker_dict_add(d, STR("a"), 1, &total));
    GIVES(broker_dict_set_if(d, STR("a"), INT(4), revision), BROKER_MISMATCH);
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    OK(broker_dict_delete(d, STR("other")));
    GIVES(broker_dict_set_if(d, STR("a"), INT(4), revision), BROKER_MISMATCH);
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    OK(broker_dict_set_if(d, STR("new"), INT(4), revision));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 3, 'new': 4}");
}

Test(dict, a_revision_survives_reads_and_refused_changes)
{
    broker_dict *d = kit_dict("d", NULL);
    uint64_t revision, n;
    broker_value v;
    int64_t total;
    bool found;

    OK(broker_dict_set(d, STR("a"), STR("text")));
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    OK(broker_dict_len(d, &n));
    OK(broker_dict_contains(d, STR("b"), &found));
    OK(broker_dict_copy(d, &kit_buffer, &v));
    GIVES(broker_dict_add(d, STR("a"), 1, &total), BROKER_WRONGVALUE);
    GIVES(broker_dict_delete(d, STR("b")), BROKER_NOTFOUND);
    GIVES(broker_dict_compare_and_set(d, STR("a"), INT(1), INT(2)), BROKER_MISMATCH);
    OK(broker_dict_set_if(d, STR("a"), INT(1), revision));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
}

/* [get] [nested plain values] what was read is a copy; what was given is one too. */
Test(dict, values_are_copies_on_both_sides)
{
    broker_dict *d = kit_dict("d", NULL);
    char given[] = "\x92\x01\x02"; /* [1, 2] */
    broker_value v;

    OK(broker_dict_set(d, STR("a"), broker_packed(given, 3)));
    given[2] = 3;
    OK(broker_dict_get(d, STR("a"), &kit_buffer, &v));
    SAYS(v, "[1, 2]");
    ((char *)kit_buffer.data)[1] = 7;
    SAYS(v, "[7, 2]");
    cr_assert_str_eq(kit_get(d, STR("a")), "[1, 2]");
}

Test(dict, every_kind_of_value_comes_back_as_it_was)
{
    static const char *const texts[] = {"nil", "false", "true", "0", "-1", "-32", "-33", "127",
        "128", "-128", "-129", "65535", "-32769", "4294967296", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "18446744073709551615", "0.0", "-0.0", "1.0",
        "2.5", "1e+300", "inf", "-inf", "nan", "''", "'a'", "'31 bytes: 0123456789 0123456789'",
        "b''", "b'00ff00'", "[]", "{}", "[nil, [1, [2, [3]]], {'a': {1: 2.5}}]",
        "ext(1, '00112233445566778899aabbccddeeff')", "ext(-1, '00000000')"};
    broker_dict *d = kit_dict("d", NULL);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        OK(broker_dict_set(d, INT((int64_t)i), value_of(texts[i])));
        cr_assert_str_eq(kit_get(d, INT((int64_t)i)), texts[i]);
    }
    OK(broker_dict_set(d, STR("uint"), broker_uint(5)));
    cr_assert_str_eq(kit_get(d, STR("uint")), "5");
}

Test(dict, values_that_are_none_are_refused_and_nothing_changes)
{
    static const uint8_t cut[] = {0x92, 0x01}, long_[] = {0x01, 0x02}, never[] = {0xc1};
    broker_value bad[] = {broker_packed(cut, sizeof(cut)), broker_packed(long_, sizeof(long_)),
        broker_packed(never, sizeof(never)), broker_packed("", 0), broker_strn(NULL, 3),
        {.type = 99, .size = 0, .u = 0}};
    broker_dict *d = kit_dict("d", NULL);
    uint8_t deep[34];
    broker_value v;

    OK(broker_dict_set(d, STR("a"), INT(1)));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        GIVES(broker_dict_set(d, STR("a"), bad[i]), BROKER_INVALID);
        GIVES(broker_dict_set(d, STR("b"), bad[i]), BROKER_INVALID);
        GIVES(broker_dict_setdefault(d, STR("b"), bad[i], &kit_buffer, &v, NULL), BROKER_INVALID);
        GIVES(broker_dict_get_and_set(d, STR("a"), bad[i], &kit_buffer, &v, NULL), BROKER_INVALID);
        GIVES(broker_dict_compare_and_set(d, STR("a"), INT(1), bad[i]), BROKER_INVALID);
        GIVES(broker_dict_compare_and_set(d, STR("a"), bad[i], INT(2)), BROKER_INVALID);
        GIVES(broker_dict_set_if(d, STR("a"), bad[i], 0), BROKER_INVALID);
    }
    memset(deep, 0x91, sizeof(deep));
    deep[33] = 0xc0;
    GIVES(broker_dict_set(d, STR("a"), broker_packed(deep, sizeof(deep))), BROKER_TOODEEP);
    OK(broker_dict_set(d, STR("deep"), broker_packed(deep + 1, sizeof(deep) - 1)));
    OK(broker_dict_delete(d, STR("deep")));
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
}

/* Sizes around everything that a store may treat differently. */
static const size_t sizes[] = {
    0, 1, 100, 480, 512, 513, 600, 1900, 2048, 2049, 4096, 5000, 8192, 100000, 1 << 20};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

Test(dict, values_of_any_size_replace_each_other)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value v;
    bool found;

    OK(broker_dict_set(d, STR("first"), INT(1)));
    OK(broker_dict_set(d, STR("a"), INT(2)));
    OK(broker_dict_set(d, STR("last"), INT(3)));
    for (size_t i = 0; i < N_SIZES * N_SIZES; i++) {
        size_t from = sizes[i / N_SIZES], to = sizes[i % N_SIZES];
        const char *one = filling(from, (unsigned)i), *other = filling(to, (unsigned)i + 1);

        OK(broker_dict_set(d, STR("a"), broker_strn(one, from)));
        OK(broker_dict_get_and_set(d, STR("a"), broker_strn(other, to), &kit_buffer, &v, &found));
        cr_assert(found && v.size == from && memcmp(v.data, one, from) == 0);
        OK(broker_dict_compare_and_set(
            d, STR("a"), broker_strn(other, to), broker_strn(one, from)));
        OK(broker_dict_get(d, STR("a"), &kit_buffer, &v));
        cr_assert(v.size == from && memcmp(v.data, one, from) == 0);
        words_free();
    }
    OK(broker_dict_set(d, STR("a"), INT(4)));
    cr_assert_str_eq(kit_dict_text(d), "{'first': 1, 'a': 4, 'last': 3}");
}

/* [C extras: get into a buffer] which grows as it must. */
Test(dict, large_values_pass_through_every_operation)
{
    const size_t n = 1 << 20;
    const char *large = filling(n, 1), *other = filling(5000, 2);
    broker_dict *d = kit_dict("d", NULL);
    uint64_t before = kit_stat(kit_name("d"), "bytes"), revision;
    broker_value k, v;
    bool inserted;

    OK(broker_dict_setdefault(d, STR("a"), broker_strn(large, n), &kit_buffer, &v, &inserted));
    cr_assert(inserted && v.size == n && memcmp(v.data, large, n) == 0);
    OK(broker_dict_setdefault(d, STR("a"), broker_strn(other, 5000), &kit_buffer, &v, &inserted));
    cr_assert(!inserted && v.size == n && memcmp(v.data, large, n) == 0);
    OK(broker_dict_read(d, STR("a"), &kit_buffer, &v, &revision));
    cr_assert(v.size == n && memcmp(v.data, large, n) == 0);
    OK(broker_dict_set_if(d, STR("a"), broker_strn(other, 5000), revision));
    GIVES(broker_dict_set_if(d, STR("a"), broker_strn(large, n), revision), BROKER_MISMATCH);
    OK(broker_dict_compare_and_set(d, STR("a"), broker_strn(other, 5000), broker_strn(large, n)));
    GIVES(broker_dict_compare_and_set(d, STR("a"), broker_strn(other, 5000), broker_strn(large, n)),
        BROKER_MISMATCH);
    OK(broker_dict_pop(d, STR("a"), &kit_buffer, &v));
    cr_assert(v.size == n && memcmp(v.data, large, n) == 0);
    GIVES(broker_dict_compare_and_set(d, STR("a"), broker_nil(), broker_strn(large, n)),
        BROKER_NOTFOUND);
    OK(broker_dict_set(d, broker_strn(other, 5000), broker_strn(large, n)));
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    cr_assert(k.size == 5000 && memcmp(k.data, other, 5000) == 0);
    cr_assert(v.size == n && memcmp(v.data, large, n) == 0);
    cr_assert_str_eq(kit_dict_text(d), "{}");
    cr_assert_leq(kit_stat(kit_name("d"), "bytes"), before + 8192, "the memory was not given back");
}

/* [clear] */
Test(dict, clear_removes_everything_and_gives_the_memory_back)
{
    broker_dict *d = kit_dict("d", NULL);
    uint64_t before = kit_stat(kit_name("d"), "bytes"), n;

    OK(broker_dict_clear(d));
    for (int64_t i = 0; i < 1000; i++)
        OK(broker_dict_set(d, INT(i), broker_strn(filling(3000, 0), i % 7 == 0 ? 3000 : 20)));
    OK(broker_dict_clear(d));
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 0);
    cr_assert_str_eq(kit_dict_text(d), "{}");
    cr_assert_str_eq(kit_get(d, INT(5)), "NOTFOUND");
    cr_assert_eq(kit_stat(kit_name("d"), "bytes"), before);
    OK(broker_dict_set(d, INT(5), INT(6)));
    OK(broker_dict_set(d, INT(4), INT(7)));
    cr_assert_str_eq(kit_dict_text(d), "{5: 6, 4: 7}");
}

Test(dict, twenty_thousand_keys_keep_their_values_and_order)
{
    const int64_t n = kit_often(20000);
    broker_dict *d = kit_dict("d", NULL);
    uint64_t before = kit_stat(kit_name("d"), "bytes"), count;
    broker_value keys;

    for (int64_t i = 0; i < n; i++)
        OK(broker_dict_set(d, INT(i * 7919 % n), INT(i)));
    OK(broker_dict_len(d, &count));
    cr_assert_eq(count, (uint64_t)n);
    for (int64_t i = 0; i < n; i += 2)
        OK(broker_dict_delete(d, INT(i * 7919 % n)));
    for (int64_t i = 0; i < n; i++) {
        broker_value v;
        int r = broker_dict_get(d, INT(i * 7919 % n), &kit_buffer, &v);

        GIVES(r, i % 2 == 0 ? BROKER_NOTFOUND : 0);
        if (r == 0 && v.i != i)
            cr_assert_fail("the value of %lld is %lld", (long long)i, (long long)v.i);
    }
    OK(broker_dict_keys(d, &kit_buffer, &keys));
    cr_assert_eq(kit_count(keys), (uint32_t)n / 2);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(kit_element(keys, i).u, (uint64_t)((2 * i + 1) * 7919 % n));
    for (int64_t i = 1; i < n; i += 2)
        OK(broker_dict_delete(d, INT(i * 7919 % n)));
    cr_assert_str_eq(kit_dict_text(d), "{}");
    cr_assert_leq(
        kit_stat(kit_name("d"), "bytes"), before + 65536, "the memory was not given back");
}

Test(dict, the_quota_stops_growth_and_nothing_changes)
{
    broker_dict *d = kit_dict("d", &(broker_dict_options){.quota_bytes = 64 << 10});
    const char *large = filling(16 << 10, 0);
    broker_value pairs = value_of("{'x': 1, 'y': 2}"), v;
    uint64_t n = 0, after;
    int64_t total;
    int r;

    while ((r = broker_dict_set(d, INT((int64_t)n), broker_strn(large, 1000))) == 0)
        n++;
    GIVES(r, BROKER_QUOTA);
    cr_assert_gt(n, 20);
    OK(broker_dict_len(d, &after));
    cr_assert_eq(after, n);
    cr_assert_str_eq(kit_get(d, INT((int64_t)n)), "NOTFOUND");
    GIVES(broker_dict_set(d, INT(0), broker_strn(large, 16 << 10)), BROKER_QUOTA);
    GIVES(broker_dict_get_and_set(d, INT(0), broker_strn(large, 1500), &kit_buffer, &v, NULL),
        BROKER_QUOTA);
    OK(broker_dict_get(d, INT(0), &kit_buffer, &v));
    cr_assert(v.size == 1000 && memcmp(v.data, large, 1000) == 0);
    cr_assert_leq(kit_stat(kit_name("d"), "bytes"), (64 << 10) + 4096);
    OK(broker_dict_delete(d, INT(0)));
    OK(broker_dict_set(d, INT((int64_t)n), broker_strn(large, 1000)));
    OK(broker_dict_clear(d));
    OK(broker_dict_set(d, STR("a"), broker_strn(large, 16 << 10)));
    OK(broker_dict_update(d, pairs));
    OK(broker_dict_add(d, STR("x"), 1, &total));
    cr_assert_eq(total, 2);
}
