/*
 * test_dict_many.c - the dict: the values of many keys at one moment
 */
#include "conformance/kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

TestSuite(dict_many, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static const char *many(broker_dict *d, const char *keys)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value found;
    const char *text;

    OK(broker_dict_get_many(d, value_of(keys), &buffer, &found));
    text = text_of(found);
    broker_buffer_free(&buffer);
    return text;
}

Test(dict_many, those_that_are_there_come_in_the_order_asked)
{
    broker_dict *d = kit_dict("d", NULL);

    cr_assert_str_eq(many(d, "['a']"), "{}");
    OK(broker_dict_update(d, value_of("{'a': 1, 'b': [2, {'x': nil}], 3: 'three', [1, 2]: 4}")));
    cr_assert_str_eq(many(d, "[]"), "{}");
    cr_assert_str_eq(
        many(d, "['b', 'x', [1, 2], 'a']"), "{'b': [2, {'x': nil}], [1, 2]: 4, 'a': 1}");
    cr_assert_str_eq(many(d, "['no', 'none']"), "{}");
    cr_assert_str_eq(many(d, "[3.0, 3]"), "{3.0: 'three', 3: 'three'}", "as they were asked for");
    cr_assert_str_eq(many(d, "['a', 'a']"), "{'a': 1, 'a': 1}");
}

Test(dict_many, what_is_no_array_of_keys_is_refused)
{
    static const char *const others[] = {"nil", "1", "'ab'", "{}", "{'a': 1}"};
    static const uint8_t cut[] = {0x92, 0xa1, 'a'};
    broker_dict *d = kit_dict("d", NULL);
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value found;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        GIVES(broker_dict_get_many(d, value_of(others[i]), &buffer, &found), BROKER_INVALID);
    GIVES(
        broker_dict_get_many(d, broker_packed(cut, sizeof(cut)), &buffer, &found), BROKER_INVALID);
    GIVES(broker_dict_get_many(d, value_of("['a', {'b': 1}]"), &buffer, &found), BROKER_BADKEY);
    broker_buffer_free(&buffer);
}

/* An array of the numbers below @n. */
static broker_value numbers(uint32_t n)
{
    uint8_t *bytes = words_keep(5 + 5 * (size_t)n), *p = bytes;

    *p++ = 0xdd;
    for (int shift = 24; shift >= 0; shift -= 8)
        *p++ = (uint8_t)(n >> shift);
    for (uint32_t i = 0; i < n; i++) {
        *p++ = 0xce;
        for (int shift = 24; shift >= 0; shift -= 8)
            *p++ = (uint8_t)(i >> shift);
    }
    return broker_packed(bytes, (size_t)(p - bytes));
}

Test(dict_many, as_many_as_65536_and_values_of_any_size)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value found;

    for (int i = 0; i < 1000; i += 2)
        OK(broker_dict_set(d, broker_int(i), broker_bin(filling(5000, 1), 5000)));
    OK(broker_dict_get_many(d, numbers(65536), &buffer, &found));
    cr_assert_eq(kit_count(found), 500);
    cr_assert_gt(found.size, 500 * 5000);
    GIVES(broker_dict_get_many(d, numbers(65537), &buffer, &found), BROKER_TOOBIG);
    broker_buffer_free(&buffer);
}

struct writer {
    broker_dict *dict;
    _Atomic bool stop;
};

/* Both keys change in one step. */
static void *write_pairs(void *arg)
{
    struct writer *w = arg;

    for (int64_t i = 0; !atomic_load(&w->stop); i++) {
        uint8_t pair[16] = {0x82, 0xa1, 'a', 0xa1, '0', 0xa1, 'b', 0xa1, '0'};

        pair[4] = pair[8] = (uint8_t)('0' + i % 10);
        if (broker_dict_update(w->dict, broker_packed(pair, 9)) < 0)
            return w;
    }
    return NULL;
}

Test(dict_many, all_of_one_moment)
{
    struct writer w = {.dict = kit_dict("d", NULL)};
    static const uint8_t keys[] = {0x92, 0xa1, 'a', 0xa1, 'b'};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value found;
    pthread_t thread;
    void *failed;

    OK(broker_dict_update(w.dict, value_of("{'a': '0', 'b': '0'}")));
    cr_assert_eq(pthread_create(&thread, NULL, write_pairs, &w), 0);
    for (int64_t i = 0, n = kit_often(50000); i < n; i++) {
        const uint8_t *bytes;

        OK(broker_dict_get_many(w.dict, broker_packed(keys, sizeof(keys)), &buffer, &found));
        bytes = found.data;
        cr_assert_eq(found.size, 9);
        cr_assert_eq(bytes[4], bytes[8], "%c and %c", bytes[4], bytes[8]);
    }
    atomic_store(&w.stop, true);
    (void)pthread_join(thread, &failed);
    cr_assert_null(failed);
    broker_buffer_free(&buffer);
}
