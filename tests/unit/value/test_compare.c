/*
 * bri_value_compare() and bri_value_equal().
 */
#include "value/value.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1
#define INT64_MIN_BYTES "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"
#define NAN_BYTES "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"

struct bytes {
    const char *data;
    size_t size;
};

/* The order both ways round, which must agree; 2 if there is none. */
static int order(struct bytes a, struct bytes b)
{
    int there = 12345;
    int back = 12345;
    int r = bri_value_compare(a.data, a.size, b.data, b.size, &there);

    cr_assert_eq(bri_value_compare(b.data, b.size, a.data, a.size, &back), r);
    if (r == BROKER_INCOMPARABLE) {
        cr_assert_eq(there, 12345);
        return 2;
    }
    cr_assert_eq(r, 0);
    cr_assert_eq((there > 0) - (there < 0), (back < 0) - (back > 0));
    return (there > 0) - (there < 0);
}

static bool equal(struct bytes a, struct bytes b)
{
    bool same = bri_value_equal(a.data, a.size, b.data, b.size);

    cr_assert_eq(bri_value_equal(b.data, b.size, a.data, a.size), same);
    return same;
}

/* Numbers in ascending order; what stands in one row is equal. */
Test(value_compare, numbers_are_ordered_exactly_whatever_their_types)
{
    static const struct {
        broker_value same[4];
        size_t n_same;
    } rows[] = {
        {{{.type = BROKER_DOUBLE, .d = -INFINITY}}, 1},
        {{{.type = BROKER_DOUBLE, .d = -0x1p63 - 2048}}, 1},
        {{{.type = BROKER_DOUBLE, .d = -0x1p63}, {.type = BROKER_INT, .i = INT64_MIN}}, 2},
        {{{.type = BROKER_INT, .i = INT64_MIN + 1}}, 1},
        {{{.type = BROKER_INT, .i = -(INT64_C(1) << 53) - 1}}, 1},
        {{{.type = BROKER_DOUBLE, .d = -0x1p53}, {.type = BROKER_INT, .i = -(INT64_C(1) << 53)}},
            2},
        {{{.type = BROKER_INT, .i = -2}, {.type = BROKER_DOUBLE, .d = -2}}, 2},
        {{{.type = BROKER_DOUBLE, .d = -1.5}}, 1},
        {{{.type = BROKER_INT, .i = -1}}, 1},
        {{{.type = BROKER_DOUBLE, .d = -0.5}}, 1},
        {{{.type = BROKER_DOUBLE, .d = -0x1p-1074}}, 1},
        {{{.type = BROKER_INT, .i = 0}, {.type = BROKER_DOUBLE, .d = 0.0},
             {.type = BROKER_DOUBLE, .d = -0.0}, {.type = BROKER_BOOL, .b = false}},
            4},
        {{{.type = BROKER_DOUBLE, .d = 0x1p-1074}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0.5}}, 1},
        {{{.type = BROKER_INT, .i = 1}, {.type = BROKER_UINT, .u = 1},
             {.type = BROKER_DOUBLE, .d = 1}, {.type = BROKER_BOOL, .b = true}},
            4},
        {{{.type = BROKER_DOUBLE, .d = 1.5}}, 1},
        {{{.type = BROKER_INT, .i = 2}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0x1p53}, {.type = BROKER_INT, .i = INT64_C(1) << 53}}, 2},
        {{{.type = BROKER_INT, .i = (INT64_C(1) << 53) + 1}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0x1p53 + 2}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0x1p63 - 1024}}, 1},
        {{{.type = BROKER_INT, .i = INT64_MAX}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0x1p63}, {.type = BROKER_UINT, .u = UINT64_C(1) << 63}}, 2},
        {{{.type = BROKER_UINT, .u = (UINT64_C(1) << 63) + 1}}, 1},
        {{{.type = BROKER_UINT, .u = UINT64_MAX}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 0x1p64}}, 1},
        {{{.type = BROKER_DOUBLE, .d = 1e300}}, 1},
        {{{.type = BROKER_DOUBLE, .d = INFINITY}}, 1},
    };
    const size_t n = sizeof(rows) / sizeof(rows[0]);

    for (size_t i = 0; i < 4 * n; i++) {
        for (size_t j = 0; j < 4 * n; j++) {
            char a[9];
            char b[9];
            struct bytes x;
            struct bytes y;
            int expected = (i / 4 > j / 4) - (i / 4 < j / 4);

            if (i % 4 >= rows[i / 4].n_same || j % 4 >= rows[j / 4].n_same)
                continue;
            x = (struct bytes){a, bri_value_encode(rows[i / 4].same[i % 4], a)};
            y = (struct bytes){b, bri_value_encode(rows[j / 4].same[j % 4], b)};
            cr_assert_eq(order(x, y), expected, "row %zu against row %zu", i / 4, j / 4);
            cr_assert_eq(equal(x, y), expected == 0, "row %zu against row %zu", i / 4, j / 4);
        }
    }
}

struct pair {
    struct bytes a;
    struct bytes b;
    int order; /* 2: none */
    bool equal;
};

#define PAIR(a, b, order, equal)                                                                   \
    {                                                                                              \
        {BYTES(a)}, {BYTES(b)}, order, equal                                                       \
    }

static void assert_pairs(const struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(order(pairs[i].a, pairs[i].b), pairs[i].order, "pair %zu", i);
        cr_assert_eq(equal(pairs[i].a, pairs[i].b), pairs[i].equal, "pair %zu", i);
    }
}

Test(value_compare, strings_bytewise_and_only_with_their_like)
{
    static const struct pair pairs[] = {
        PAIR("\xa0", "\xa0", 0, true),
        PAIR("\xa0",
            "\xa1"
            "a",
            -1, false),
        PAIR("\xa1"
             "a",
            "\xa2"
            "aa",
            -1, false),
        PAIR("\xa2"
             "aa",
            "\xa1"
            "b",
            -1, false),
        PAIR("\xa1"
             "a",
            "\xd9\x01"
            "a",
            0, true),
        PAIR("\xa1"
             "\x7f",
            "\xa1"
            "\x80",
            -1, false),
        PAIR("\xa2"
             "a\0",
            "\xa1"
            "a",
            1, false),
        PAIR("\xc4\x01"
             "a",
            "\xc5\x00\x01"
            "a",
            0, true),
        PAIR("\xc4\x01"
             "a",
            "\xc4\x01"
            "b",
            -1, false),
        PAIR("\xc4\x01"
             "a",
            "\xa1"
            "a",
            2, false),
        PAIR("\xa1"
             "1",
            "\x01", 2, false),
    };

    assert_pairs(pairs, sizeof(pairs) / sizeof(pairs[0]));
}

Test(value_compare, what_has_no_order)
{
    static const struct pair pairs[] = {
        PAIR("\xc0", "\xc0", 0, true),
        PAIR("\xc0", "\x00", 2, false),
        PAIR("\xc0", "\xc2", 2, false),
        PAIR("\xc0", "\xa0", 2, false),
        PAIR("\xc0", "\x90", 2, false),
        PAIR(NAN_BYTES, NAN_BYTES, 2, false),
        PAIR(NAN_BYTES, "\x01", 2, false),
        PAIR(NAN_BYTES, INT64_MIN_BYTES, 2, false),
        PAIR("\x80", "\x80", 2, true),
        PAIR("\x80", "\x90", 2, false),
        PAIR("\x81\x01\x02", "\x81\x01\x02", 2, true),
        PAIR("\xd4\x05"
             "x",
            "\xd4\x05"
            "x",
            2, true),
        PAIR("\xd4\x05"
             "x",
            "\xc7\x01\x05"
            "x",
            2, true),
        PAIR("\xd4\x05"
             "x",
            "\xd4\x06"
            "x",
            2, false),
        PAIR("\xd4\x05"
             "x",
            "\xd4\x05"
            "y",
            2, false),
        PAIR("\x90", "\xa0", 2, false),
        PAIR("\x91\x01", "\x01", 2, false),
    };

    assert_pairs(pairs, sizeof(pairs) / sizeof(pairs[0]));
}

Test(value_compare, arrays_by_their_first_difference)
{
    static const struct pair pairs[] = {
        PAIR("\x90", "\x90", 0, true),
        PAIR("\x90", "\xdc\x00\x00", 0, true),
        PAIR("\x90", "\x91\xc0", -1, false),
        PAIR("\x92\x01\x02", "\x92\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\x02", 0, true),
        PAIR("\x92\x01\x02", "\x92\x01\x03", -1, false),
        PAIR("\x92\x01\x02", "\x91\x01", 1, false),
        PAIR("\x92\x01\x02", "\x91\x02", -1, false),
        PAIR("\x92\x91\x01\x09", "\x92\x92\x01\x01\x01", -1, false),
        PAIR("\x92\x92\x01\x01\x01", "\x92\x92\x01\x01\x02", -1, false),
        PAIR("\x92\xc0\x01", "\x92\xc0\x02", -1, false),
        PAIR("\x92\x81\x01\x02\x01", "\x92\x81\xc3\x02\x02", -1, false),
        PAIR("\x92\x82\x01\x02\x03\x04\x01", "\x92\x82\x03\x04\x01\x02\x02", -1, false),
        PAIR("\x92\xd4\x05"
             "x\x01",
            "\x92\xd4\x05"
            "x\x02",
            -1, false),
        PAIR("\x91\x80", "\x91\x80", 0, true),
        PAIR("\x91\x80", "\x91\x81\x01\x02", 2, false),
        PAIR("\x92\xd4\x05"
             "x\x01",
            "\x92\xd4\x06"
            "x\x02",
            2, false),
        PAIR("\x92\x01\xa1"
             "a",
            "\x92\x01\x01", 2, false),
        PAIR("\x92\x01\xa1"
             "a",
            "\x92\x02\x01", -1, false),
        PAIR("\x91" NAN_BYTES, "\x91" NAN_BYTES, 2, false),
        PAIR("\x92\x01" NAN_BYTES, "\x92\x02" NAN_BYTES, -1, false),
    };

    assert_pairs(pairs, sizeof(pairs) / sizeof(pairs[0]));
}

Test(value_equal, maps_in_any_order)
{
    static const struct pair pairs[] = {
        PAIR("\x82\x01\x02\x03\x04", "\x82\x01\x02\x03\x04", 2, true),
        PAIR("\x82\x01\x02\x03\x04", "\x82\x03\x04\x01\x02", 2, true),
        PAIR("\x82\x01\x02\x03\x04", "\xde\x00\x02\x03\x04\xc3\x02", 2, true),
        PAIR("\x82\x01\x02\x03\x04", "\x82\x03\x02\x01\x04", 2, false),
        PAIR("\x82\x01\x02\x03\x04", "\x82\x01\x02\x03\x05", 2, false),
        PAIR("\x82\x01\x02\x03\x04", "\x82\x01\x02\x05\x04", 2, false),
        PAIR("\x82\x01\x02\x03\x04", "\x81\x01\x02", 2, false),
        PAIR("\x83\x01\xc0\x02\xc0\x03\xc0", "\x83\x03\xc0\x01\xc0\x02\xc0", 2, true),
        PAIR("\x82\xa1"
             "a\x81\x01\x02\xa1"
             "b\x90",
            "\x82\xa1"
            "b\x90\xa1"
            "a\x81\x01\x02",
            2, true),
        PAIR("\x82\x82\x01\x02\x03\x04\x05\x06\x07", "\x82\x06\x07\x82\x03\x04\x01\x02\x05", 2,
            true),
        PAIR("\x81\xa1"
             "a\x01",
            "\x81\xc4\x01"
            "a\x01",
            2, false),
        PAIR("\x81" NAN_BYTES "\x01", "\x81" NAN_BYTES "\x01", 2, false),
        PAIR("\x81\x01" NAN_BYTES, "\x81\x01" NAN_BYTES, 2, false),
    };

    assert_pairs(pairs, sizeof(pairs) / sizeof(pairs[0]));
}

/*
 * msgpack lets a map have a key twice. Each pair needs a partner of its own, in the order of the
 * values of a key.
 */
Test(value_equal, keys_that_come_twice)
{
    static const struct pair pairs[] = {
        PAIR("\x82\x01\x02\x01\x02", "\x82\x01\x02\x01\x02", 2, true),
        PAIR("\x82\x01\x02\x01\x03", "\x82\x01\x02\x01\x03", 2, true),
        PAIR("\x82\x01\x02\x01\x03", "\x82\x01\x03\x01\x02", 2, false),
        PAIR("\x83\x01\x02\x05\x05\x01\x03", "\x83\x05\x05\x01\x02\x01\x03", 2, true),
        PAIR("\x83\x01\x02\x05\x05\x01\x03", "\x83\x05\x05\x01\x03\x01\x02", 2, false),
        PAIR("\x83\x01\x02\x01\x02\x05\x05", "\x83\x05\x05\x01\x02\x05\x05", 2, false),
        PAIR("\x82\x01\x02\x01\x02", "\x82\x01\x02\x05\x05", 2, false),
    };

    assert_pairs(pairs, sizeof(pairs) / sizeof(pairs[0]));
}

/* A map from each of @n integers, counted from @first by @step modulo @n, to itself. */
static struct bytes make_map(uint32_t n, uint32_t first, uint32_t step)
{
    uint8_t *data = malloc(5 + 10 * (size_t)n);
    size_t size;

    cr_assert_not_null(data);
    size = bri_map_header(n, data);
    for (uint32_t i = 0, k = first; i < n; i++, k = (k + step) % n) {
        size += bri_value_encode(broker_uint(k), data + size);
        size += bri_value_encode(broker_uint(k), data + size);
    }
    return (struct bytes){(char *)data, size};
}

static bool equal_maps(uint32_t n, uint32_t first, uint32_t step)
{
    struct bytes a = make_map(n, 0, 1);
    struct bytes b = make_map(n, first, step);
    bool same = equal(a, b);

    free((void *)a.data);
    free((void *)b.data);
    return same;
}

Test(value_equal, big_maps_are_searched_within_the_budget_and_walked_without)
{
    cr_assert(equal_maps(500, 499, 499)); /* backwards */
    cr_assert(equal_maps(499, 250, 7));
    cr_assert(equal_maps(100000, 0, 1)); /* the same order costs nothing */
    cr_assert_not(equal_maps(100000, 99999, 99999));
    cr_assert_not(equal_maps(20001, 1, 2));
}

/* Two pairs change places, one of which alone has more headers than the budget. */
Test(value_equal, few_big_pairs_may_change_places)
{
    const uint32_t n = 2 * BRI_EQUAL_STEPS;
    uint8_t *a = malloc(n + 16);
    uint8_t *b = malloc(n + 16);
    size_t header;

    cr_assert(a != NULL && b != NULL);
    memcpy(a, "\x82\x01", 2);
    header = bri_array_header(n, a + 2);
    memset(a + 2 + header, 0x07, n);
    memcpy(a + 2 + header + n, "\x02\x03", 2);
    memcpy(b, "\x82\x02\x03\x01", 4);
    memcpy(b + 4, a + 2, header + n);
    cr_assert_eq(bri_value_check(a, n + header + 4), 0);
    cr_assert_eq(bri_value_check(b, n + header + 4), 0);
    cr_assert(equal(
        (struct bytes){(char *)a, n + header + 4}, (struct bytes){(char *)b, n + header + 4}));
    free(a);
    free(b);
}

/*
 * Maps within maps whose comparison would take years if each level did anything twice: 31 levels,
 * both as keys and as values, that differ at the innermost.
 */
Test(value_equal, nested_maps_do_not_multiply, .timeout = 20)
{
    static const char *const openings[] = {"\x81", "\x81\x01", "\x82\x05\x05", "\x82\x01\x02\x03"};
    uint8_t a[256];
    uint8_t b[256];

    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        size_t n = strlen(openings[i]);
        size_t na = 0;

        for (int level = 0; level < 31; level++) {
            memcpy(a + na, openings[i], n);
            na += n;
        }
        a[na++] = 0x07;
        /* Where the nested map was the key, its value follows. */
        for (int level = 0; level < 31 && (i == 0 || i == 2); level++)
            a[na++] = 0x01;
        cr_assert_eq(bri_value_check(a, na), 0);
        memcpy(b, a, na);
        cr_assert(bri_value_equal(a, na, b, na));
        b[31 * n] = 0x08;
        cr_assert_not(bri_value_equal(a, na, b, na));
        cr_assert_not(bri_value_equal(b, na, a, na));
    }
}

/* Unchecked bytes: an error, within the bytes. */
static void assert_no_value(const void *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    int got = 12345;

    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    cr_assert_eq(bri_value_compare(copy, size, copy, size, &got), BROKER_CORRUPT);
    cr_assert_eq(got, 12345);
    cr_assert_not(bri_value_equal(copy, size, copy, size));
    free(copy);
}

Test(value_compare, what_is_no_value_is_corrupt_and_equals_nothing)
{
    uint8_t deep[BRI_VALUE_DEPTH + 2];

    assert_no_value(BYTES(""));
    assert_no_value(BYTES("\xc1"));
    assert_no_value(BYTES("\xcd\x01"));
    assert_no_value(BYTES("\xa3"
                          "ab"));
    assert_no_value(BYTES("\xc4"));
    assert_no_value(BYTES("\x01\x01"));
    assert_no_value(BYTES("\x92\x01"));
    assert_no_value(BYTES("\x92\x01\xc1"));
    assert_no_value(BYTES("\x91\x81\x01"));
    assert_no_value(BYTES("\x91\x81\x01\xc1"));
    assert_no_value(BYTES("\xdd\xff\xff\xff\xff"));
    assert_no_value(BYTES("\x91\x01\x01"));
    memset(deep, 0x91, sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = 0x01;
    assert_no_value(deep, sizeof(deep));
    cr_assert_not(bri_value_equal(BYTES("\x82\x01\x02\x03\x04"), BYTES("\x82\x03\x04\x01")));
    cr_assert_not(bri_value_equal(BYTES("\x82\x01\x02\x03\xc1"), BYTES("\x82\x03\xc1\x01\x02")));
}
