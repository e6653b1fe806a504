/*
 * test_dict_bulk.c - the dict, many keys at a time
 */
#include "conformance/kit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <msgpack.h>

TestSuite(dict_bulk, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BULK_MAX 65536

/* The map {0: value, 1: value, ...} of @n keys, of which number @bad is NaN (-1: none). */
static broker_value numbered(size_t n, int64_t value, int64_t bad)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    (void)msgpack_pack_map(&packer, n);
    for (size_t i = 0; i < n; i++) {
        if ((int64_t)i == bad)
            (void)msgpack_pack_double(&packer, strtod("nan", NULL));
        else
            (void)msgpack_pack_int64(&packer, (int64_t)i);
        (void)msgpack_pack_int64(&packer, value);
    }
    return words_packed(&buffer);
}

/* [update] old keys keep their place, new ones go to the end; of equal keys in one map the last
 * counts. */
Test(dict_bulk, update_sets_every_key_in_order)
{
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_update(d, value_of("{}")));
    OK(broker_dict_update(d, value_of("{'b': 1, 'a': 2}")));
    OK(broker_dict_update(d, value_of("{'c': [3], 'b': {'x': 1}, 'd': 4, 'c': 5}")));
    cr_assert_str_eq(kit_dict_text(d), "{'b': {'x': 1}, 'a': 2, 'c': 5, 'd': 4}");
}

/* [update] of what is no mapping. */
Test(dict_bulk, bulk_operations_refuse_what_is_no_map)
{
    static const char *const others[] = {"nil", "1", "'ab'", "[]", "[['a', 1]]"};
    static const uint8_t cut[] = {0x82, 0xa1, 'a', 0x01, 0xa1};
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_set(d, STR("a"), INT(1)));
    for (size_t i = 0; i < COUNT(others); i++) {
        GIVES(broker_dict_update(d, value_of(others[i])), BROKER_INVALID);
        GIVES(broker_dict_add_many(d, value_of(others[i]), broker_nil()), BROKER_INVALID);
    }
    GIVES(broker_dict_update(d, broker_packed(cut, sizeof(cut))), BROKER_INVALID);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
}

Test(dict_bulk, update_takes_65536_keys_at_once_and_no_more)
{
    broker_dict *d = kit_dict("d", NULL);
    uint64_t n;

    OK(broker_dict_set(d, STR("a"), INT(1)));
    GIVES(broker_dict_update(d, numbered(BULK_MAX + 1, 5, -1)), BROKER_TOOBIG);
    GIVES(broker_dict_update(d, numbered(BULK_MAX, 5, BULK_MAX - 1)), BROKER_BADKEY);
    cr_assert_str_eq(kit_dict_text(d), "{'a': 1}");
    OK(broker_dict_update(d, numbered(BULK_MAX, 5, -1)));
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, BULK_MAX + 1);
    cr_assert_str_eq(kit_get(d, INT(0)), "5");
    cr_assert_str_eq(kit_get(d, INT(BULK_MAX - 1)), "5");
    OK(broker_dict_add_many(d, numbered(BULK_MAX, 2, -1), broker_nil()));
    cr_assert_str_eq(kit_get(d, INT(BULK_MAX / 2)), "7");
    OK(broker_dict_clear(d));
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 0);
}

Test(dict_bulk, update_beyond_the_quota_changes_nothing)
{
    broker_dict *d = kit_dict("d", &(broker_dict_options){.quota_bytes = 128 << 10});
    uint64_t bytes, n;

    OK(broker_dict_update(d, numbered(100, 1, -1)));
    bytes = kit_stat(kit_name("d"), "bytes");
    GIVES(broker_dict_update(d, numbered(20000, 2, -1)), BROKER_QUOTA);
    GIVES(broker_dict_add_many(d, numbered(20000, 2, -1), STR("once")), BROKER_QUOTA);
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 100);
    cr_assert_str_eq(kit_get(d, INT(0)), "1");
    cr_assert_eq(kit_stat(kit_name("d"), "bytes"), bytes);
    OK(broker_dict_update(d, numbered(200, 3, -1)));
    cr_assert_str_eq(kit_get(d, INT(199)), "3");
}

/* [C extras: bulk] */
Test(dict_bulk, add_many_adds_all_or_none)
{
    broker_dict *d = kit_dict("d", NULL);
    const char *before = "{'a': 1, 'text': 'x', 'high': 9223372036854775807}";

    OK(broker_dict_update(d, value_of(before)));
    GIVES(broker_dict_add_many(d, value_of("{'a': 1, 'b': 2, 'text': 1}"), broker_nil()),
        BROKER_WRONGVALUE);
    GIVES(broker_dict_add_many(d, value_of("{'a': 1, 'b': 2, 'high': 1}"), broker_nil()),
        BROKER_OVERFLOW);
    GIVES(broker_dict_add_many(d, value_of("{'a': 1, 'b': 2.5}"), broker_nil()), BROKER_WRONGVALUE);
    GIVES(broker_dict_add_many(d, value_of("{'a': 1, 'high': 1}"), STR("once")), BROKER_OVERFLOW);
    cr_assert_str_eq(kit_dict_text(d), before);
    OK(broker_dict_add_many(d, value_of("{'a': 1, 'b': 2, 'high': -7, 'a': 10}"), broker_nil()));
    cr_assert_str_eq(
        kit_dict_text(d), "{'a': 12, 'text': 'x', 'high': 9223372036854775800, 'b': 2}");
    OK(broker_dict_add_many(d, value_of("{}"), broker_nil()));
}

/* With an item's id as `once`, what is delivered twice is counted once. */
Test(dict_bulk, add_many_with_once_adds_once)
{
    broker_dict *d = kit_dict("d", NULL);

    OK(broker_dict_add_many(d, value_of("{'a': 2, 'b': 1}"), INT(17)));
    GIVES(broker_dict_add_many(d, value_of("{'a': 2, 'b': 1}"), INT(17)), BROKER_EXISTS);
    GIVES(broker_dict_add_many(d, value_of("{'c': 2}"), broker_double(17.0)), BROKER_EXISTS);
    OK(broker_dict_add_many(d, value_of("{'a': 1}"), value_of("['item', 18]")));
    GIVES(broker_dict_add_many(d, value_of("{'a': 1}"), value_of("['item', 18]")), BROKER_EXISTS);
    OK(broker_dict_add_many(d, value_of("{}"), INT(19)));
    GIVES(broker_dict_add_many(d, value_of("{}"), INT(19)), BROKER_EXISTS);
    OK(broker_dict_delete(d, INT(17)));
    OK(broker_dict_add_many(d, value_of("{'b': 1}"), INT(17)));
    cr_assert_str_eq(kit_get(d, STR("a")), "3");
    cr_assert_str_eq(kit_get(d, STR("b")), "2");
    cr_assert_str_eq(kit_get(d, STR("c")), "NOTFOUND");
    cr_assert_str_eq(kit_get(d, INT(17)), "true");
}

/* [keys() values() items() copy()] lists, in order of insertion. */
Test(dict_bulk, snapshots_are_in_order_of_insertion)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value v;

    OK(broker_dict_keys(d, &kit_buffer, &v));
    SAYS(v, "[]");
    OK(broker_dict_values(d, &kit_buffer, &v));
    SAYS(v, "[]");
    OK(broker_dict_items(d, &kit_buffer, &v));
    SAYS(v, "[]");
    OK(broker_dict_copy(d, &kit_buffer, &v));
    SAYS(v, "{}");
    OK(broker_dict_update(
        d, value_of("{'z': 1, 2.0: [2], nil: nil, [1, 'x']: {'y': 3}, b'00': true}")));
    OK(broker_dict_keys(d, &kit_buffer, &v));
    SAYS(v, "['z', 2.0, nil, [1, 'x'], b'00']");
    OK(broker_dict_values(d, &kit_buffer, &v));
    SAYS(v, "[1, [2], nil, {'y': 3}, true]");
    OK(broker_dict_items(d, &kit_buffer, &v));
    SAYS(v, "[['z', 1], [2.0, [2]], [nil, nil], [[1, 'x'], {'y': 3}], [b'00', true]]");
    OK(broker_dict_copy(d, &kit_buffer, &v));
    SAYS(v, "{'z': 1, 2.0: [2], nil: nil, [1, 'x']: {'y': 3}, b'00': true}");
}

/* A snapshot may be kept as one value. */
Test(dict_bulk, a_copy_can_be_put_into_another_dict)
{
    broker_dict *d = kit_dict("d", NULL), *other = kit_dict("other", NULL);
    broker_value v;

    OK(broker_dict_update(d, value_of("{'a': 1, 'b': [2]}")));
    OK(broker_dict_copy(d, &kit_buffer, &v));
    OK(broker_dict_update(other, v));
    OK(broker_dict_set(other, STR("whole"), v));
    cr_assert_str_eq(kit_dict_text(other), "{'a': 1, 'b': [2], 'whole': {'a': 1, 'b': [2]}}");
}

/* Sets x and y to the same number, again and again, and takes them away, all in one step each. */
static int change_both(struct call *c)
{
    static const uint8_t pairs[] = {0x82, 0xa1, 'x', 0, 0xa1, 'y', 0};
    uint8_t map[sizeof(pairs)];

    memcpy(map, pairs, sizeof(map));
    while (atomic_load((_Atomic int64_t *)&c->number) != 0) {
        int r;

        map[3] = map[6] = (uint8_t)((map[3] + 1) % 128);
        r = broker_dict_update(c->object, broker_packed(map, sizeof(map)));
        if (r == 0 && map[3] % 16 == 0)
            r = broker_dict_clear(c->object);
        if (r < 0)
            return r;
    }
    return 0;
}

/* [update, copy] atomic as a whole. */
Test(dict_bulk, nobody_sees_half_an_update)
{
    broker_dict *d = kit_dict("d", NULL);
    struct call writer;
    broker_value v;
    uint64_t n;

    kit_call(&writer, change_both, d, 1);
    for (int64_t i = 0, often = kit_often(5000); i < often; i++) {
        OK(broker_dict_copy(d, &kit_buffer, &v));
        n = kit_count(v);
        if (n != 0 && (n != 2 || kit_field(v, "x").u != kit_field(v, "y").u))
            cr_assert_fail("half an update was seen: %s", text_of(v));
        OK(broker_dict_len(d, &n));
        if (n != 0 && n != 2)
            cr_assert_fail("half an update was counted: %llu", (unsigned long long)n);
    }
    atomic_store((_Atomic int64_t *)&writer.number, 0);
    OK(kit_return(&writer));
}
