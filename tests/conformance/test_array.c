/*
 * test_array.c - the array: one element at a time
 *
 * The names in brackets are the rows of CPython's Array proxy and of array.array whose rule a case
 * shows.
 */
#include "conformance/kit.h"
#include "conformance/whole.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

TestSuite(array, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_array *typed(const char *typecode, uint64_t length)
{
    return kit_array(typecode, &(broker_array_options){.typecode = typecode, .length = length});
}

/* The element, or the name of the failure. */
static const char *at(broker_array *a, int64_t index)
{
    broker_value v;
    int r = broker_array_get(a, index, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

static const char *all(broker_array *a)
{
    broker_value v;
    int r = broker_array_read(a, &kit_buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

#define AT(array, index, text) cr_assert_str_eq(at(array, index), (text))
#define IS(array, text) cr_assert_str_eq(all(array), (text))

/* [Array(typecode, size)] zeros. [len] */
Test(array, an_array_is_as_long_as_it_was_made_and_full_of_zeros)
{
    broker_array *a = typed("i", 3), *d = typed("d", 2), *one = typed("Q", 1);
    uint64_t n;

    OK(broker_array_len(a, &n));
    cr_assert_eq(n, 3);
    IS(a, "[0, 0, 0]");
    IS(d, "[0.0, 0.0]");
    IS(one, "[0]");
    AT(a, 2, "0");
    OK(broker_array_set(a, 1, INT(7)));
    IS(a, "[0, 7, 0]");
    OK(broker_array_len(a, &n));
    cr_assert_eq(n, 3);
}

/* [index and negative index, IndexError] */
Test(array, an_index_counts_from_the_start_or_the_end)
{
    broker_array *a = typed("h", 3);
    broker_value v = INT(77);

    for (int64_t i = 0; i < 3; i++)
        OK(broker_array_set(a, i, INT(10 + i)));
    AT(a, -1, "12");
    AT(a, -3, "10");
    OK(broker_array_set(a, -2, INT(5)));
    IS(a, "[10, 5, 12]");
    static const int64_t bad[] = {3, -4, INT64_MAX, INT64_MIN, (int64_t)1 << 32};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        GIVES(broker_array_get(a, bad[i], &v), BROKER_NOTFOUND);
        GIVES(broker_array_set(a, bad[i], INT(1)), BROKER_NOTFOUND);
        GIVES(broker_array_add(a, bad[i], INT(1), NULL), BROKER_NOTFOUND);
        GIVES(broker_array_exchange(a, bad[i], INT(1), &v), BROKER_NOTFOUND);
        GIVES(broker_array_compare_and_set(a, bad[i], INT(0), INT(1)), BROKER_NOTFOUND);
    }
    cr_assert_eq(v.i, 77);
    IS(a, "[10, 5, 12]");
}

/* [typecodes] [int overflow: OverflowError] each to its ends, its neighbours untouched. */
Test(array, whole_numbers_fit_to_the_ends_of_their_type)
{
    for (const struct whole_type *t = whole_types; t < whole_types + N_WHOLE; t++) {
        broker_array *a = typed(t->typecode, 5);
        broker_value v;

        OK(broker_array_set(a, 1, broker_int(t->min)));
        OK(broker_array_set(a, 2, broker_uint(t->max)));
        OK(broker_array_set(a, 3, broker_int(t->min)));
        OK(broker_array_get(a, 1, &v));
        cr_assert(v.type == BROKER_INT && v.i == t->min, "%s", t->typecode);
        OK(broker_array_get(a, 2, &v));
        cr_assert_eq(v.u, t->max, "%s", t->typecode);
        cr_assert_eq(v.type, t->max > INT64_MAX ? BROKER_UINT : BROKER_INT);
        GIVES(broker_array_add(a, 2, INT(1), NULL), BROKER_OVERFLOW);
        GIVES(broker_array_add(a, 3, INT(-1), NULL), BROKER_OVERFLOW);
        if (t->max < UINT64_MAX)
            GIVES(broker_array_set(a, 2, broker_uint(t->max + 1)), BROKER_OVERFLOW);
        if (t->min > INT64_MIN)
            GIVES(broker_array_set(a, 3, broker_int(t->min - 1)), BROKER_OVERFLOW);
        OK(broker_array_get(a, 2, &v));
        cr_assert_eq(v.u, t->max, "%s: a failure changed it", t->typecode);
        AT(a, 0, "0");
        AT(a, 4, "0");
    }
}

/* [float into int: TypeError] */
Test(array, what_is_of_the_wrong_kind_is_refused)
{
    broker_array *a = typed("b", 2), *f = typed("f", 2);

    GIVES(broker_array_set(a, 0, broker_double(1.0)), BROKER_WRONGVALUE);
    GIVES(broker_array_set(a, 0, STR("1")), BROKER_WRONGVALUE);
    GIVES(broker_array_set(a, 0, broker_nil()), BROKER_WRONGVALUE);
    GIVES(broker_array_add(a, 0, broker_double(1.0), NULL), BROKER_WRONGVALUE);
    IS(a, "[0, 0]");
    OK(broker_array_set(a, 0, broker_bool(true)));
    IS(a, "[1, 0]");
    OK(broker_array_set(f, 0, INT(-3)));
    OK(broker_array_set(f, 1, broker_double(0.5)));
    IS(f, "[-3.0, 0.5]");
    GIVES(broker_array_set(f, 0, broker_double(1e300)), BROKER_OVERFLOW);
    GIVES(broker_array_set(f, 0, STR("1")), BROKER_WRONGVALUE);
    OK(broker_array_set(f, 0, broker_double(NAN)));
    OK(broker_array_set(f, 1, broker_double(INFINITY)));
    IS(f, "[nan, inf]");
}

Test(array, add_exchange_and_compare_and_set_are_one_step)
{
    broker_array *a = typed("i", 3), *d = typed("d", 1);
    broker_value v;

    OK(broker_array_add(a, 1, INT(5), &v));
    cr_assert_eq(v.i, 5);
    OK(broker_array_add(a, 1, INT(-8), &v));
    cr_assert_eq(v.i, -3);
    OK(broker_array_exchange(a, 1, INT(9), &v));
    cr_assert_eq(v.i, -3);
    OK(broker_array_compare_and_set(a, 1, INT(9), INT(10)));
    GIVES(broker_array_compare_and_set(a, 1, INT(9), INT(11)), BROKER_MISMATCH);
    GIVES(broker_array_compare_and_set(a, 1, STR("x"), INT(11)), BROKER_WRONGVALUE);
    GIVES(broker_array_compare_and_set(a, 1, INT(10), INT((int64_t)1 << 40)), BROKER_OVERFLOW);
    IS(a, "[0, 10, 0]");
    OK(broker_array_add(d, 0, broker_double(0.5), &v));
    OK(broker_array_add(d, 0, INT(1), &v));
    cr_assert_eq(v.d, 1.5);
}

/* A failure takes no memory: all elements still are 0 without any. */
Test(array, memory_comes_with_the_first_change)
{
    broker_array *a = typed("d", 100000);
    uint64_t before = kit_stat(kit_name("d"), "bytes");

    AT(a, 5, "0.0");
    GIVES(broker_array_compare_and_set(a, 5, INT(1), INT(2)), BROKER_MISMATCH);
    GIVES(broker_array_set(a, 5, STR("x")), BROKER_WRONGVALUE);
    cr_assert_eq(kit_stat(kit_name("d"), "bytes"), before);
    OK(broker_array_set(a, 5, INT(2)));
    cr_assert_geq(kit_stat(kit_name("d"), "bytes"), before + 800000);
    AT(a, 4, "0.0");
    AT(a, 5, "2.0");
    AT(a, -1, "0.0");
}

/* ---- options ---- */

/* [bad code fails at creation] */
Test(array, options_that_make_no_array_are_refused)
{
    static const broker_array_options bad[] = {{.typecode = "i"}, {.typecode = "x", .length = 1},
        {.typecode = "c", .length = 1}, {.typecode = "", .length = 1},
        {.typecode = "ii", .length = 1}, {.typecode = "d", .length = UINT64_MAX},
        {.typecode = "d", .length = (UINT64_MAX >> 3) + 1}};
    broker_array *a;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        GIVES(broker_array_open(kit_broker, kit_name("a"), &bad[i], &a), BROKER_INVALID);
    GIVES(broker_array_open(kit_broker, kit_name("a"), NULL, &a), BROKER_INVALID);
    GIVES(broker_array_open(
              kit_broker, kit_name("a"), &(broker_array_options){.mode = BROKER_OPEN}, &a),
        BROKER_NOTFOUND);
}

Test(array, options_must_be_those_of_the_creation)
{
    broker_array_options options = {.typecode = "i", .length = 3, .quota_bytes = 65536};
    broker_array *a = kit_array("a", &options);

    OK(broker_array_set(a, 0, INT(5)));
    IS(kit_array("a", NULL), "[5, 0, 0]");
    (void)kit_array("a", &options);
    (void)kit_array("a", &(broker_array_options){.typecode = "i"});
    (void)kit_array("a", &(broker_array_options){.length = 3});
    options.length = 4;
    GIVES(broker_array_open(kit_broker, kit_name("a"), &options, &a), BROKER_MISMATCH);
    options = (broker_array_options){.typecode = "I"};
    GIVES(broker_array_open(kit_broker, kit_name("a"), &options, &a), BROKER_MISMATCH);
    options = (broker_array_options){.quota_bytes = 131072};
    GIVES(broker_array_open(kit_broker, kit_name("a"), &options, &a), BROKER_MISMATCH);
    options = (broker_array_options){.typecode = "?"};
    GIVES(broker_array_open(kit_broker, kit_name("a"), &options, &a), BROKER_INVALID);
}

Test(array, a_quota_or_an_arena_too_small_is_told_by_the_first_change)
{
    broker_array *a = kit_array(
        "a", &(broker_array_options){.typecode = "d", .length = 10000, .quota_bytes = 65536});
    void *data;
    uint64_t n;

    GIVES(broker_array_set(a, 0, INT(1)), BROKER_QUOTA);
    GIVES(broker_array_data(a, &data, &n), BROKER_QUOTA);
    AT(a, 0, "0.0");
}

Test(array, stat_tells_type_and_length)
{
    broker_value stat;

    (void)typed("H", 17);
    OK(broker_stat(kit_broker, kit_name("H"), &kit_buffer, &stat));
    SAYS(kit_field(stat, "typecode"), "'H'");
    cr_assert_eq(kit_stat(kit_name("H"), "length"), 17);
}

/* ---- its end ---- */

Test(array, a_destroyed_array_is_gone)
{
    broker_array *a = typed("i", 3);
    broker_value v;
    uint64_t n;
    void *data;

    OK(broker_array_set(a, 0, INT(1)));
    OK(broker_destroy(kit_broker, kit_name("i")));
    GIVES(broker_array_len(a, &n), BROKER_GONE);
    GIVES(broker_array_get(a, 0, &v), BROKER_GONE);
    GIVES(broker_array_set(a, 0, INT(1)), BROKER_GONE);
    GIVES(broker_array_add(a, 0, INT(1), NULL), BROKER_GONE);
    GIVES(broker_array_exchange(a, 0, INT(1), &v), BROKER_GONE);
    GIVES(broker_array_compare_and_set(a, 0, INT(1), INT(1)), BROKER_GONE);
    GIVES(broker_array_get_slice(a, 0, 1, 1, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_array_set_slice(a, 0, 1, 1, value_of("[1]")), BROKER_GONE);
    GIVES(broker_array_read(a, &kit_buffer, &v), BROKER_GONE);
    GIVES(broker_array_write(a, value_of("[1, 2, 3]")), BROKER_GONE);
    GIVES(broker_array_data(a, &data, &n), BROKER_GONE);
}

Test(array, a_reader_may_only_look)
{
    char address[512];
    broker_array *a = typed("i", 2), *mine;
    broker *reader;
    broker_value v;
    uint64_t n;
    void *data;

    OK(broker_array_set(a, 0, INT(9)));
    (void)snprintf(address, sizeof(address), "%s%saccess=ro", kit_address(),
        strchr(kit_address(), '?') != NULL ? "&" : "?");
    OK(broker_open(address, &reader));
    OK(broker_array_open(
        reader, kit_name("i"), &(broker_array_options){.mode = BROKER_OPEN}, &mine));
    IS(mine, "[9, 0]");
    AT(mine, 0, "9");
    GIVES(broker_array_set(mine, 0, INT(1)), BROKER_ACCESS);
    GIVES(broker_array_add(mine, 0, INT(1), NULL), BROKER_ACCESS);
    GIVES(broker_array_exchange(mine, 0, INT(1), &v), BROKER_ACCESS);
    GIVES(broker_array_compare_and_set(mine, 0, INT(9), INT(1)), BROKER_ACCESS);
    GIVES(broker_array_write(mine, value_of("[1, 2]")), BROKER_ACCESS);
    GIVES(broker_array_set_slice(mine, 0, 1, 1, value_of("[1]")), BROKER_ACCESS);
    GIVES(broker_array_data(mine, &data, &n), BROKER_ACCESS);
    IS(a, "[9, 0]");
    broker_array_close(mine);
    broker_close(reader);
}
