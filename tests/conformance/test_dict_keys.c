/*
 * test_dict_keys.c - what is a key, and which keys are one
 */
#include "conformance/kit.h"

#include <stdio.h>

TestSuite(dict_keys, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* [key equality] 1, 1.0 and True are one key; the first key object and the last value survive. */
Test(dict_keys, equal_numbers_are_one_key_and_the_first_one_stays)
{
    static const char *const groups[][4] = {{"1", "1.0", "true", NULL},
        {"0", "0.0", "false", "-0.0"}, {"-5", "-5.0", NULL, NULL},
        {"9007199254740992", "9007199254740992.0", NULL, NULL},
        {"9223372036854775808", "9223372036854775808.0", NULL, NULL},
        {"[1, [0]]", "[1.0, [false]]", "[true, [-0.0]]", NULL}};
    broker_dict *d = kit_dict("d", NULL);
    char expected[128];

    for (size_t g = 0; g < COUNT(groups); g++)
        for (size_t first = 0; first < 4 && groups[g][first] != NULL; first++) {
            OK(broker_dict_clear(d));
            OK(broker_dict_set(d, value_of(groups[g][first]), STR("first")));
            for (size_t i = 0; i < 4 && groups[g][i] != NULL; i++) {
                broker_value key = value_of(groups[g][i]);
                bool found = false;

                cr_assert_str_eq(kit_get(d, key), "'first'");
                OK(broker_dict_set(d, key, STR("a value that is longer than the first one was")));
                OK(broker_dict_set(d, key, STR("first")));
                OK(broker_dict_contains(d, key, &found));
                cr_assert(found, "%s is not found under %s", groups[g][first], groups[g][i]);
            }
            (void)snprintf(
                expected, sizeof(expected), "{%s: 'first'}", text_of(value_of(groups[g][first])));
            cr_assert_str_eq(kit_dict_text(d), expected);
            for (size_t i = 0; i < 4 && groups[g][i] != NULL; i++) {
                OK(broker_dict_delete(d, value_of(groups[g][i])));
                OK(broker_dict_set(d, value_of(groups[g][first]), STR("first")));
            }
        }
}

Test(dict_keys, keys_of_bulk_operations_are_the_same_keys)
{
    broker_dict *d = kit_dict("d", NULL);
    int64_t total;

    OK(broker_dict_update(d, value_of("{1.0: 'a', true: 'b', 1: 'c', 2: 'd', 2.0: 'e'}")));
    cr_assert_str_eq(kit_dict_text(d), "{1.0: 'c', 2: 'e'}");
    OK(broker_dict_update(d, value_of("{1.0: 0, 2: 0}")));
    OK(broker_dict_add_many(d, value_of("{1: 1, true: 10, 2.0: 100}"), broker_nil()));
    OK(broker_dict_add(d, broker_double(2.0), 1, &total));
    cr_assert_str_eq(kit_dict_text(d), "{1.0: 11, 2: 101}");
}

/* Numbers in msgpack forms longer than they must be are the same numbers. */
Test(dict_keys, packed_forms_of_a_key_do_not_matter)
{
    static const uint8_t one64[] = {0xd3, 0, 0, 0, 0, 0, 0, 0, 1}, one16[] = {0xcd, 0, 1};
    static const uint8_t str8[] = {0xd9, 1, 'a'}, array16[] = {0xdc, 0, 1, 0xda, 0, 1, 'a'};
    static const uint8_t single[] = {0xca, 0x3f, 0x80, 0, 0};
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_set(d, broker_packed(one64, sizeof(one64)), INT(1)));
    cr_assert_str_eq(kit_get(d, INT(1)), "1");
    cr_assert_str_eq(kit_get(d, broker_packed(one16, sizeof(one16))), "1");
    cr_assert_str_eq(kit_get(d, broker_packed(single, sizeof(single))), "1");
    OK(broker_dict_set(d, STR("a"), INT(2)));
    cr_assert_str_eq(kit_get(d, broker_packed(str8, sizeof(str8))), "2");
    OK(broker_dict_set(d, broker_packed(array16, sizeof(array16)), INT(3)));
    cr_assert_str_eq(kit_get(d, value_of("['a']")), "3");
    cr_assert_str_eq(kit_dict_text(d), "{1: 1, 'a': 2, ['a']: 3}");
}

/* [key equality] [trap 11] text is no byte string. */
Test(dict_keys, unequal_keys_are_apart)
{
    static const char *const keys[] = {"nil", "0", "1", "-1", "0.5", "'1'", "''", "b''", "b'31'",
        "'a'", "'A'", "[]", "[nil]", "[[]]", "[1]", "['1']", "[1, 2]", "9007199254740993",
        "9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551615",
        "1e+300", "inf", "-inf", "'\xc3\xa9'"};
    broker_dict *d = kit_dict("d", NULL);
    uint64_t n;

    for (size_t i = 0; i < COUNT(keys); i++)
        OK(broker_dict_set(d, value_of(keys[i]), INT((int64_t)i)));
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        char expected[8];

        (void)snprintf(expected, sizeof(expected), "%zu", i);
        cr_assert_str_eq(kit_get(d, value_of(keys[i])), expected);
    }
}

/* [unhashable key] Every operation refuses it, and nothing changes. */
Test(dict_keys, what_can_be_no_key_is_badkey_everywhere)
{
    static const char *const bad[] = {
        "nan", "{}", "{1: 2}", "[nan]", "[1, {}]", "ext(1, '00')", "[[[[[[[[[1]]]]]]]]]"};
    broker_dict *d = kit_dict("d", NULL);
    broker_value v = INT(77);
    uint64_t revision = 77;
    int64_t total = 77;
    bool flag = true;

    OK(broker_dict_set(d, STR("a"), INT(1)));
    for (size_t i = 0; i < COUNT(bad); i++) {
        broker_value k = value_of(bad[i]);
        char map[80];

        GIVES(broker_dict_get(d, k, &kit_buffer, &v), BROKER_BADKEY);
        GIVES(broker_dict_read(d, k, &kit_buffer, &v, &revision), BROKER_BADKEY);
        GIVES(broker_dict_set(d, k, INT(1)), BROKER_BADKEY);
        GIVES(broker_dict_set_if(d, k, INT(1), 0), BROKER_BADKEY);
        GIVES(broker_dict_delete(d, k), BROKER_BADKEY);
        GIVES(broker_dict_contains(d, k, &flag), BROKER_BADKEY);
        GIVES(broker_dict_pop(d, k, &kit_buffer, &v), BROKER_BADKEY);
        GIVES(broker_dict_setdefault(d, k, INT(1), &kit_buffer, &v, &flag), BROKER_BADKEY);
        GIVES(broker_dict_add(d, k, 1, &total), BROKER_BADKEY);
        GIVES(broker_dict_compare_and_set(d, k, INT(1), INT(2)), BROKER_BADKEY);
        GIVES(broker_dict_get_and_set(d, k, INT(1), &kit_buffer, &v, &flag), BROKER_BADKEY);
        (void)snprintf(map, sizeof(map), "{'b': 1, %s: 2, 'c': 3}", bad[i]);
        GIVES(broker_dict_update(d, value_of(map)), BROKER_BADKEY);
        GIVES(broker_dict_add_many(d, value_of(map), broker_nil()), BROKER_BADKEY);
        GIVES(broker_dict_add_many(d, value_of("{'b': 1}"), k), BROKER_BADKEY);
    }
    SAYS(v, "77");
    cr_assert(revision == 77 && total == 77 && flag);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
}

/* A key may have 65536 packed bytes. */
Test(dict_keys, the_longest_key_fits_and_a_longer_one_is_toobig)
{
    const char *text = filling(65536, 0);
    broker_dict *d = kit_dict("d", NULL);
    broker_value k, v;

    OK(broker_dict_set(d, broker_strn(text, 65536 - 3 - 2), INT(1)));
    GIVES(broker_dict_set(d, broker_strn(text, 65536), INT(2)), BROKER_TOOBIG);
    GIVES(broker_dict_get(d, broker_strn(text, 65536), &kit_buffer, &v), BROKER_TOOBIG);
    GIVES(broker_dict_delete(d, broker_strn(text, 65536)), BROKER_TOOBIG);
    cr_assert_str_eq(kit_get(d, broker_strn(text, 65536 - 5)), "1");
    cr_assert_str_eq(kit_get(d, broker_strn(text, 65536 - 6)), "NOTFOUND");
    OK(broker_dict_popitem(d, &kit_buffer, &k, &v));
    cr_assert(k.size == 65531 && memcmp(k.data, text, 65531) == 0);
    cr_assert_str_eq(kit_dict_text(d), "{}");
}
