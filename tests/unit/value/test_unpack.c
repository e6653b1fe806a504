/*
 * test_unpack.c - the public functions that take packed values apart and make them
 */
#include "failing.h"
#include "random.h"
#include "value/value.h"

#include <broker.h>
#include <criterion/criterion.h>
#include <stdlib.h>

#define PACKED(literal) broker_packed((literal), sizeof(literal) - 1)
#define N_RANDOM 3000u

static broker_value unpacked_at(broker_value array, uint32_t i)
{
    broker_value v = broker_nil();

    cr_assert_eq(broker_unpack_at(array, i, &v), 0);
    return v;
}

/* ---- taking apart ---- */

Test(unpack, an_array_is_walked_element_by_element)
{
    broker_value array = PACKED("\x95\x07\xa2xy\xc4\x01z\xcb\x3f\xe0\0\0\0\0\0\0\x92\x01\x02"), v;
    broker_cursor c;
    uint32_t n;

    cr_assert_eq(broker_unpack_count(array, &n), 0);
    cr_assert_eq(n, 5);
    cr_assert_eq(broker_unpack_begin(array, &c), 0);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert(v.type == BROKER_INT && v.i == 7);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert(v.type == BROKER_STR && v.size == 2 && memcmp(v.data, "xy", 2) == 0);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert(v.type == BROKER_BIN && v.size == 1);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert(v.type == BROKER_DOUBLE && v.d == 0.5);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert_eq(v.type, BROKER_PACKED);
    cr_assert_eq(unpacked_at(v, 1).i, 2);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(broker_unpack_next(&c, &v), BROKER_EMPTY);
    cr_assert_eq(v.type, BROKER_PACKED, "outputs are written on success only");
}

Test(unpack, a_map_is_walked_key_and_value_in_turn)
{
    broker_value map = PACKED("\x82\xa1k\x01\xc0\x91\x05"), v;
    broker_cursor c;
    uint32_t n;

    cr_assert_eq(broker_unpack_count(map, &n), 0);
    cr_assert_eq(n, 2);
    cr_assert_eq(broker_unpack_begin(map, &c), 0);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert_eq(v.type, BROKER_STR);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert_eq(v.i, 1);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert_eq(v.type, BROKER_NIL);
    cr_assert_eq(broker_unpack_next(&c, &v), 0);
    cr_assert_eq(v.type, BROKER_PACKED);
    cr_assert_eq(broker_unpack_next(&c, &v), BROKER_EMPTY);
}

Test(unpack, elements_are_found_by_their_place)
{
    broker_value array = PACKED("\x93\x0a\x92\x01\x02\x0c"), v = broker_int(77);

    cr_assert_eq(unpacked_at(array, 0).i, 10);
    cr_assert_eq(unpacked_at(array, 2).i, 12);
    cr_assert_eq(broker_unpack_at(array, 3, &v), BROKER_NOTFOUND);
    cr_assert_eq(broker_unpack_at(array, UINT32_MAX, &v), BROKER_NOTFOUND);
    cr_assert_eq(broker_unpack_at(PACKED("\x90"), 0, &v), BROKER_NOTFOUND);
    cr_assert_eq(broker_unpack_at(PACKED("\x81\x01\x02"), 0, &v), BROKER_INVALID, "a map");
    cr_assert_eq(v.i, 77);
}

/* What is under @key, which must be a whole number; INT64_MIN if there is none. */
static int64_t under(broker_value map, broker_value key)
{
    broker_value v = broker_int(77);
    int r = broker_unpack_find(map, key, &v);

    cr_assert(r == 0 || (r == BROKER_NOTFOUND && v.i == 77));
    return r == 0 ? v.i : INT64_MIN;
}

Test(unpack, values_are_found_by_their_key)
{
    broker_value map = PACKED("\x88\xa1k\x01\xc4\x01k\x02\xc0\x03\xcb\x3f\xf0\0\0\0\0\0\0\x04"
                              "\x92\x01\xa1x\x05\xa0\x06\xff\x07\xd9\x01z\x08");

    cr_assert_eq(under(map, broker_str("k")), 1);
    cr_assert_eq(under(map, broker_bin("k", 1)), 2);
    cr_assert_eq(under(map, broker_nil()), 3);
    cr_assert_eq(under(map, broker_int(1)), 4);
    cr_assert_eq(under(map, broker_uint(1)), 4);
    cr_assert_eq(under(map, broker_bool(true)), 4);
    cr_assert_eq(under(map, broker_double(1)), 4);
    cr_assert_eq(under(map, PACKED("\x92\xcb\x3f\xf0\0\0\0\0\0\0\xd9\x01x")), 5);
    cr_assert_eq(under(map, broker_str("")), 6);
    cr_assert_eq(under(map, broker_int(-1)), 7);
    cr_assert_eq(under(map, broker_str("z")), 8);
    cr_assert_eq(under(map, PACKED("\xda\0\1z")), 8);
    cr_assert_eq(under(map, broker_str("kk")), INT64_MIN);
    cr_assert_eq(under(map, broker_str("K")), INT64_MIN);
    cr_assert_eq(under(map, broker_int(2)), INT64_MIN);
    cr_assert_eq(under(map, broker_double(strtod("nan", NULL))), INT64_MIN);
    cr_assert_eq(under(PACKED("\x80"), broker_nil()), INT64_MIN);
    cr_assert_eq(under(PACKED("\x82\x01\x05\x01\x06"), broker_int(1)), 5, "the first counts");
}

Test(unpack, references_are_values_and_keys)
{
    const broker_value one = {.type = BROKER_REF, .size = 5, .u = 7};
    const broker_value other = {.type = BROKER_REF, .size = 5, .u = 8};
    const broker_value pairs[] = {one, broker_int(1), broker_str("k"), one};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value map, v;

    cr_assert_eq(broker_pack_map(pairs, 2, &buffer, &map), 0);
    cr_assert_eq(under(map, one), 1);
    cr_assert_eq(under(map, other), INT64_MIN);
    cr_assert_eq(broker_unpack_find(map, broker_str("k"), &v), 0);
    cr_assert(v.type == BROKER_REF && v.size == one.size && v.u == one.u);
    broker_buffer_free(&buffer);
}

/* ---- what is none ---- */

Test(unpack, what_is_no_container_is_invalid)
{
    const broker_value bad[] = {broker_nil(), broker_int(1), broker_str("\x91\x01"),
        broker_bin("\x91\x01", 2), broker_packed(NULL, 5), broker_packed("", 0), PACKED("\x01"),
        PACKED("\xa1x"), PACKED("\xc1"), PACKED("\x92\x01"), PACKED("\xdc\x00"),
        PACKED("\xdd\xff\xff\xff\xff\x01"), PACKED("\x81\x01"), PACKED("\xdf\xff\xff\xff\xff\x01"),
        PACKED("\xd6\x05wxyz"), {.type = 99}};
    broker_value v = broker_int(77);
    broker_cursor c = {NULL, NULL, 77};
    uint32_t n = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(broker_unpack_count(bad[i], &n), BROKER_INVALID, "%zu", i);
        cr_assert_eq(broker_unpack_begin(bad[i], &c), BROKER_INVALID, "%zu", i);
        cr_assert_eq(broker_unpack_at(bad[i], 0, &v), BROKER_INVALID, "%zu", i);
        cr_assert_eq(broker_unpack_find(bad[i], broker_int(1), &v), BROKER_INVALID, "%zu", i);
    }
    cr_assert_eq(broker_unpack_next(&c, &v), BROKER_INVALID, "it was never begun");
    cr_assert(n == 77 && c.left == 77 && v.i == 77);
}

Test(unpack, a_walk_ends_at_what_is_no_value)
{
    const struct {
        broker_value container;
        unsigned n_before;
    } bad[] = {{PACKED("\x92\x01\xc1"), 1}, {PACKED("\x92\x01\xa5x"), 1},
        {PACKED("\x92\x92\x01\x02\xcd\x01"), 1}, {PACKED("\x91\x01\x02"), 1},
        {PACKED("\x90\x01"), 0}, {PACKED("\x81\x01\xdd\xff\xff\xff\xff"), 1},
        {PACKED("\x81\x91\x01\xc1"), 1}};
    broker_value v;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        broker_cursor c;

        cr_assert_eq(broker_unpack_begin(bad[i].container, &c), 0);
        for (unsigned k = 0; k < bad[i].n_before; k++)
            cr_assert_eq(broker_unpack_next(&c, &v), 0);
        for (unsigned k = 0; k < 2; k++)
            cr_assert_eq(broker_unpack_next(&c, &v), BROKER_INVALID, "%zu", i);
    }
    cr_assert_eq(broker_unpack_at(PACKED("\x92\x01\xc1"), 1, &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_at(PACKED("\x92\x01\xc1"), 0, &v), 0, "up to there it is right");
    cr_assert_eq(broker_unpack_find(PACKED("\x81\x01\xc1"), broker_int(1), &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(PACKED("\x80\x01"), broker_int(1), &v), BROKER_INVALID);
}

Test(unpack, null_and_keys_that_are_none_are_invalid)
{
    broker_value array = PACKED("\x91\x01"), map = PACKED("\x81\x01\x02"), v;
    static uint8_t deep[64];
    broker_cursor c;

    cr_assert_eq(broker_unpack_begin(array, &c), 0);
    cr_assert_eq(broker_unpack_count(array, NULL), BROKER_INVALID);
    cr_assert_eq(broker_unpack_begin(array, NULL), BROKER_INVALID);
    cr_assert_eq(broker_unpack_next(NULL, &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_next(&c, NULL), BROKER_INVALID);
    cr_assert_eq(broker_unpack_at(array, 0, NULL), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(map, broker_int(1), NULL), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(map, PACKED("\x92\x01"), &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(map, broker_strn(NULL, 3), &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(map, (broker_value){.type = 99}, &v), BROKER_INVALID);
    cr_assert_eq(broker_unpack_find(map, broker_strn("", SIZE_MAX), &v), BROKER_TOOBIG);
    memset(deep, 0x91, sizeof(deep));
    deep[sizeof(deep) - 1] = 0x01;
    cr_assert_eq(broker_unpack_find(map, broker_packed(deep, sizeof(deep)), &v), BROKER_TOODEEP);
}

/* A hundred thousand levels: no value that the broker takes, but it may come from elsewhere. */
Test(unpack, nesting_costs_no_stack)
{
    const size_t n = 100000;
    uint8_t *bytes = malloc(n + 1);
    broker_value v, inner;
    broker_cursor c;

    cr_assert_not_null(bytes);
    memset(bytes, 0x91, n);
    bytes[n] = 0x01;
    v = broker_packed(bytes, n + 1);
    cr_assert_eq(broker_unpack_at(v, 0, &inner), 0);
    cr_assert_eq(inner.size, n);
    cr_assert_eq(broker_unpack_begin(v, &c), 0);
    cr_assert_eq(broker_unpack_next(&c, &inner), 0);
    cr_assert_eq(broker_unpack_next(&c, &inner), BROKER_EMPTY);
    bytes[n] = 0xc1;
    cr_assert_eq(broker_unpack_at(v, 0, &inner), BROKER_INVALID);
    free(bytes);
}

/* An array or a map, and not an extension, which is packed as well. */
static bool is_container(broker_value v)
{
    uint8_t first = v.type == BROKER_PACKED && v.size > 0 ? *(const uint8_t *)v.data : 0;

    return (first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf);
}

/* Sees all of it, level by level; true if all of it was right. */
static bool take_apart(broker_value v, unsigned depth)
{
    broker_value inner, same;
    broker_cursor c;
    uint32_t i = 0;
    int r;

    if (!is_container(v) || depth == 0)
        return true;
    if (broker_unpack_begin(v, &c) < 0)
        return false;
    while ((r = broker_unpack_next(&c, &inner)) == 0) {
        if (broker_unpack_at(v, i++, &same) == 0)
            cr_assert(same.type == inner.type && same.size == inner.size && same.u == inner.u);
        (void)broker_unpack_find(v, inner, &same);
        if (!take_apart(inner, depth - 1))
            return false;
    }
    return r == BROKER_EMPTY;
}

/* Right ones to their end, damaged ones wherever they come, without a step outside: each lies
 * right before memory that must not be touched. */
Test(unpack, random_values_and_what_damage_makes_of_them)
{
    struct random rng = {random_seed()};
    unsigned n_containers = 0;

    for (unsigned i = 0; i < N_RANDOM; i++) {
        uint8_t bytes[300];
        size_t size = random_value(&rng, bytes, sizeof(bytes), 6);
        uint8_t *copy = malloc(size), *damaged;
        broker_value v;

        cr_assert_not_null(copy);
        memcpy(copy, bytes, size); /* its end is that of the block */
        cr_assert_eq(bri_value_decode(copy, size, &v), 0);
        if (is_container(v)) {
            cr_assert(take_apart(v, 8), "seed %llu", (unsigned long long)random_seed());
            n_containers++;
        }
        free(copy);
        size = random_damage(&rng, bytes, size, sizeof(bytes));
        damaged = malloc(size > 0 ? size : 1);
        cr_assert_not_null(damaged);
        memcpy(damaged, bytes, size);
        (void)take_apart(broker_packed(damaged, size), 8);
        free(damaged);
    }
    cr_assert_gt(n_containers, N_RANDOM / 50);
}

/* ---- making ---- */

Test(pack, arrays_and_maps_are_what_was_given)
{
    const broker_value inner[] = {broker_int(1), broker_int(-2)};
    broker_buffer first = BROKER_BUFFER_INIT, second = BROKER_BUFFER_INIT;
    broker_value pairs[] = {broker_str("a"), broker_nil(), broker_int(300), broker_double(0.5),
        broker_bool(true), broker_nil()};
    broker_value v;

    cr_assert_eq(broker_pack_array(inner, 2, &first, &v), 0);
    cr_assert(v.type == BROKER_PACKED && v.size == 3 && memcmp(v.data, "\x92\x01\xfe", 3) == 0);
    cr_assert_eq(v.data, first.data);
    pairs[1] = v;
    pairs[5] = broker_bin("\0", 1);
    cr_assert_eq(broker_pack_map(pairs, 3, &second, &v), 0);
    cr_assert_eq(v.size, 22);
    cr_assert_eq(memcmp(v.data,
                     "\x83\xa1"
                     "a\x92\x01\xfe\xcd\x01\x2c\xcb\x3f\xe0\0\0\0\0\0\0\xc3\xc4\x01\0",
                     22),
        0);
    cr_assert_eq(bri_value_check(v.data, v.size), 0);
    cr_assert_eq(broker_pack_array(NULL, 0, &first, &v), 0);
    cr_assert(v.size == 1 && *(const uint8_t *)v.data == 0x90);
    cr_assert_eq(broker_pack_map(NULL, 0, &first, &v), 0);
    cr_assert(v.size == 1 && *(const uint8_t *)v.data == 0x80);
    broker_buffer_free(&first);
    broker_buffer_free(&second);
}

Test(pack, long_ones_have_longer_heads)
{
    static broker_value values[140000];
    static const uint32_t counts[] = {15, 16, 65535, 65536, 70000};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint32_t n;
    broker_value v;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        values[i] = broker_int((int64_t)i);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        cr_assert_eq(broker_pack_array(values, counts[i], &buffer, &v), 0);
        cr_assert_eq(broker_unpack_count(v, &n), 0);
        cr_assert_eq(n, counts[i]);
        cr_assert_eq(unpacked_at(v, n - 1).i, n - 1);
        cr_assert_eq(broker_pack_map(values, counts[i], &buffer, &v), 0);
        cr_assert_eq(broker_unpack_count(v, &n), 0);
        cr_assert_eq(n, counts[i]);
        cr_assert_eq(under(v, broker_int(2 * (int64_t)n - 2)), 2 * (int64_t)n - 1);
    }
    broker_buffer_free(&buffer);
}

Test(pack, what_is_refused_changes_nothing)
{
    broker_value values[] = {broker_int(1), broker_str("x")}, v = broker_int(77);
    static const char huge[] = "";
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value whole;

    cr_assert_eq(broker_pack_array(values, 2, &buffer, &whole), 0);
    cr_assert_eq(broker_pack_array(NULL, 1, &buffer, &v), BROKER_INVALID);
    cr_assert_eq(broker_pack_map(NULL, 1, &buffer, &v), BROKER_INVALID);
    cr_assert_eq(broker_pack_array(values, 2, NULL, &v), BROKER_INVALID);
    cr_assert_eq(broker_pack_map(values, 1, &buffer, NULL), BROKER_INVALID);
    values[1] = whole;
    cr_assert_eq(broker_pack_array(values, 2, &buffer, &v), BROKER_INVALID, "it lies there");
    values[1] = broker_packed("\x92\x01", 2);
    cr_assert_eq(broker_pack_map(values, 1, &buffer, &v), BROKER_INVALID);
    values[1] = broker_strn(huge, SIZE_MAX);
    cr_assert_eq(broker_pack_array(values, 2, &buffer, &v), BROKER_TOOBIG);
    values[0] = values[1] = broker_strn(huge, (size_t)3 << 30);
    cr_assert_eq(broker_pack_array(values, 2, &buffer, &v), BROKER_TOOBIG, "both together");
    cr_assert_eq(v.i, 77);
    cr_assert(whole.size == 4 && memcmp(whole.data, "\x92\x01\xa1x", 4) == 0);
    broker_buffer_free(&buffer);
}

Test(pack, a_level_too_many_and_no_memory_are_told)
{
    broker_buffer buffers[2] = {BROKER_BUFFER_INIT, BROKER_BUFFER_INIT};
    broker_value v = broker_int(1), next;
    unsigned depth = 0;
    int r;

    failing_after(0);
    cr_assert_eq(broker_pack_array(&v, 1, &buffers[0], &next), BROKER_NOMEM);
    cr_assert(failing_end());
    while ((r = broker_pack_array(&v, 1, &buffers[depth % 2], &next)) == 0) {
        v = next;
        depth++;
    }
    cr_assert_eq(r, BROKER_TOODEEP);
    cr_assert_eq(depth, BRI_VALUE_DEPTH);
    broker_buffer_free(&buffers[0]);
    broker_buffer_free(&buffers[1]);
}
