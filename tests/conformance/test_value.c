/*
 * test_value.c - the value: one number of a chosen type
 *
 * The names in brackets are the rows of CPython's Value proxy and of array.array whose rule a case
 * shows.
 */
#include "conformance/kit.h"
#include "conformance/whole.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

TestSuite(value, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_number *typed(const char *typecode)
{
    return kit_number(typecode, &(broker_number_options){.typecode = typecode});
}

/* The number, or the name of the failure. */
static const char *now(broker_number *n)
{
    broker_value v;
    int r = broker_number_get(n, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

#define IS(number, text) cr_assert_str_eq(now(number), (text))

/* [get, set, value] */
Test(value, a_value_is_what_was_set)
{
    broker_number *n = kit_number("n", NULL);

    IS(n, "0");
    OK(broker_number_set(n, INT(100)));
    IS(n, "100");
    OK(broker_number_set(n, INT(-7)));
    IS(n, "-7");
}

/* [typecodes b B u h H i I l L q Q f d] each whole type to its ends, and not a step further. */
Test(value, whole_numbers_fit_to_the_ends_of_their_type)
{
    for (const struct whole_type *t = whole_types; t < whole_types + N_WHOLE; t++) {
        broker_number *n = typed(t->typecode);
        broker_value v;

        OK(broker_number_set(n, broker_int(t->min)));
        OK(broker_number_get(n, &v));
        cr_assert(v.type == BROKER_INT && v.i == t->min, "%s", t->typecode);
        if (t->min > INT64_MIN)
            GIVES(broker_number_set(n, broker_int(t->min - 1)), BROKER_OVERFLOW);
        GIVES(broker_number_add(n, INT(-1), NULL), BROKER_OVERFLOW);
        OK(broker_number_get(n, &v));
        cr_assert_eq(v.i, t->min, "%s: a failure changed it", t->typecode);
        OK(broker_number_set(n, broker_uint(t->max)));
        OK(broker_number_get(n, &v));
        cr_assert_eq(v.u, t->max, "%s", t->typecode);
        cr_assert_eq(v.type, t->max > INT64_MAX ? BROKER_UINT : BROKER_INT);
        if (t->max < UINT64_MAX)
            GIVES(broker_number_set(n, broker_uint(t->max + 1)), BROKER_OVERFLOW);
        GIVES(broker_number_add(n, INT(1), NULL), BROKER_OVERFLOW);
        OK(broker_number_get(n, &v));
        cr_assert_eq(v.u, t->max, "%s: a failure changed it", t->typecode);
    }
}

/* [float into int: TypeError] A bool is a number, as in Python. */
Test(value, what_is_of_the_wrong_kind_is_refused)
{
    static const uint8_t packed_5[] = {5}, packed_text[] = {0xa1, 'x'};
    broker_number *n = typed("i");

    OK(broker_number_set(n, INT(42)));
    GIVES(broker_number_set(n, broker_double(1.0)), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, STR("1")), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, broker_bin("1", 1)), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, broker_nil()), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, value_of("[1]")), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, broker_packed(packed_text, 2)), BROKER_WRONGVALUE);
    GIVES(broker_number_set(n, broker_packed(NULL, 5)), BROKER_WRONGVALUE);
    GIVES(broker_number_add(n, broker_double(1.0), NULL), BROKER_WRONGVALUE);
    GIVES(broker_number_add(n, STR("1"), NULL), BROKER_WRONGVALUE);
    IS(n, "42");
    OK(broker_number_set(n, broker_bool(true)));
    IS(n, "1");
    OK(broker_number_set(n, broker_packed(packed_5, 1)));
    IS(n, "5");
    OK(broker_number_add(n, broker_bool(true), NULL));
    IS(n, "6");
}

/* [f, d] take whole numbers too, and all that C's do. */
Test(value, floating_point_takes_every_number)
{
    broker_number *d = typed("d"), *f = typed("f");
    broker_value v;

    IS(d, "0.0");
    OK(broker_number_set(d, INT(-3)));
    IS(d, "-3.0");
    OK(broker_number_set(d, broker_uint(UINT64_MAX)));
    OK(broker_number_get(d, &v));
    cr_assert_eq(v.d, 18446744073709551616.0);
    OK(broker_number_set(d, broker_double(0.1)));
    OK(broker_number_add(d, broker_double(0.2), &v));
    cr_assert_eq(v.d, 0.1 + 0.2);
    OK(broker_number_set(d, broker_double(DBL_MAX)));
    OK(broker_number_add(d, broker_double(DBL_MAX), &v));
    cr_assert(isinf(v.d));
    OK(broker_number_set(d, broker_double(NAN)));
    IS(d, "nan");

    OK(broker_number_set(f, broker_double(0.1)));
    OK(broker_number_get(f, &v));
    cr_assert_eq(v.d, (double)0.1f);
    GIVES(broker_number_set(f, broker_double(1e300)), BROKER_OVERFLOW);
    GIVES(broker_number_set(f, STR("x")), BROKER_WRONGVALUE);
    OK(broker_number_get(f, &v));
    cr_assert_eq(v.d, (double)0.1f);
    OK(broker_number_set(f, broker_double((double)FLT_MAX)));
    GIVES(broker_number_add(f, broker_double((double)FLT_MAX), NULL), BROKER_OVERFLOW);
    OK(broker_number_set(f, broker_double(-INFINITY)));
    IS(f, "-inf");
}

/* What Python's `v.value += n` is meant to be. A delta need not fit into the type, the sum must. */
Test(value, add_gives_the_new_number)
{
    broker_number *n = kit_number("n", NULL), *byte = typed("B"), *big = typed("Q");
    broker_value v = INT(77);

    OK(broker_number_add(n, INT(5), &v));
    cr_assert_eq(v.i, 5);
    OK(broker_number_add(n, INT(-8), &v));
    cr_assert_eq(v.i, -3);
    OK(broker_number_set(byte, INT(255)));
    OK(broker_number_add(byte, INT(-255), &v));
    cr_assert_eq(v.i, 0);
    v = INT(77);
    GIVES(broker_number_add(byte, INT(256), &v), BROKER_OVERFLOW);
    cr_assert_eq(v.i, 77);
    OK(broker_number_add(big, broker_uint(UINT64_MAX), &v));
    cr_assert_eq(v.u, UINT64_MAX);
    OK(broker_number_add(big, broker_int(INT64_MIN), &v));
    cr_assert_eq(v.u, INT64_MAX);
    GIVES(broker_number_add(n, broker_uint(UINT64_MAX), &v), BROKER_OVERFLOW);
    IS(n, "-3");
}

Test(value, exchange_gives_the_old_number)
{
    broker_number *n = kit_number("n", NULL);
    broker_value v = INT(77);

    OK(broker_number_exchange(n, INT(5), &v));
    cr_assert_eq(v.i, 0);
    OK(broker_number_exchange(n, INT(6), &v));
    cr_assert_eq(v.i, 5);
    GIVES(broker_number_exchange(n, STR("x"), &v), BROKER_WRONGVALUE);
    cr_assert_eq(v.i, 5);
    IS(n, "6");
}

Test(value, compare_and_set_changes_only_what_is_expected)
{
    broker_number *n = kit_number("n", NULL), *d = typed("d"), *f = typed("f");

    OK(broker_number_compare_and_set(n, INT(0), INT(1)));
    GIVES(broker_number_compare_and_set(n, INT(0), INT(2)), BROKER_MISMATCH);
    IS(n, "1");
    GIVES(broker_number_compare_and_set(n, broker_double(1.0), INT(2)), BROKER_WRONGVALUE);
    GIVES(broker_number_compare_and_set(n, broker_uint(UINT64_MAX), INT(2)), BROKER_OVERFLOW);
    GIVES(broker_number_compare_and_set(n, INT(1), STR("x")), BROKER_WRONGVALUE);
    IS(n, "1");
    OK(broker_number_set(d, broker_double(-0.0)));
    OK(broker_number_compare_and_set(d, INT(0), broker_double(NAN)));
    GIVES(broker_number_compare_and_set(d, broker_double(NAN), INT(0)), BROKER_MISMATCH);
    OK(broker_number_set(f, broker_double(0.1)));
    OK(broker_number_compare_and_set(f, broker_double(0.1), INT(2)));
    IS(f, "2.0");
}

/* ---- options ---- */

/* [bad code fails at creation] */
Test(value, a_code_that_is_none_is_refused)
{
    static const char *const codes[] = {"", "c", "x", "ii", "Z", "\xff", " "};
    broker_number *n;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        broker_number_options options = {.typecode = codes[i]};

        GIVES(broker_number_open(kit_broker, kit_name("n"), &options, &n), BROKER_INVALID);
    }
    GIVES(broker_number_open(
              kit_broker, kit_name("n"), &(broker_number_options){.mode = BROKER_OPEN}, &n),
        BROKER_NOTFOUND);
}

/* [Value(typecode, value)] */
Test(value, a_value_starts_with_its_initial_number)
{
    broker_number_options options = {.typecode = "d", .initial = INT(3)};
    broker_number *n = kit_number("n", &options);

    IS(n, "3.0");
    OK(broker_number_set(n, INT(4)));
    n = kit_number("n", &options);
    IS(n, "4.0");
    options = (broker_number_options){.typecode = "B", .initial = INT(256)};
    GIVES(broker_number_open(kit_broker, kit_name("m"), &options, &n), BROKER_INVALID);
    options.initial = STR("1");
    GIVES(broker_number_open(kit_broker, kit_name("m"), &options, &n), BROKER_INVALID);
}

Test(value, options_must_be_those_of_the_creation)
{
    broker_number_options options = {.typecode = "i", .initial = INT(3)};
    broker_number *n = kit_number("n", &options);

    (void)kit_number("n", NULL);
    (void)kit_number("n", &(broker_number_options){.typecode = "i"});
    (void)kit_number("n", &(broker_number_options){.initial = INT(3)});
    options.typecode = "l";
    GIVES(broker_number_open(kit_broker, kit_name("n"), &options, &n), BROKER_MISMATCH);
    options = (broker_number_options){.initial = INT(4)};
    GIVES(broker_number_open(kit_broker, kit_name("n"), &options, &n), BROKER_MISMATCH);
    options = (broker_number_options){.typecode = "?"};
    GIVES(broker_number_open(kit_broker, kit_name("n"), &options, &n), BROKER_INVALID);
}

/* ---- its end ---- */

static void is_gone(broker_number *n)
{
    broker_value v;

    GIVES(broker_number_get(n, &v), BROKER_GONE);
    GIVES(broker_number_set(n, INT(1)), BROKER_GONE);
    GIVES(broker_number_add(n, INT(1), NULL), BROKER_GONE);
    GIVES(broker_number_exchange(n, INT(1), &v), BROKER_GONE);
    GIVES(broker_number_compare_and_set(n, INT(0), INT(1)), BROKER_GONE);
}

/* Also when another value has come to live in its place. */
Test(value, a_destroyed_value_is_gone_and_its_successor_untouched)
{
    broker_number *old = kit_number("n", NULL), *others[8];

    OK(broker_destroy(kit_broker, kit_name("n")));
    is_gone(old);
    for (int i = 0; i < 8; i++) {
        char name[8] = {'o', (char)('0' + i)};

        others[i] = kit_number(name, NULL);
    }
    is_gone(old);
    for (int i = 0; i < 8; i++)
        IS(others[i], "0");
}

Test(value, a_reader_may_only_look)
{
    char address[512];
    broker_number *n = kit_number("n", NULL), *mine;
    broker_value v;
    broker *reader;

    OK(broker_number_set(n, INT(9)));
    (void)snprintf(address, sizeof(address), "%s%saccess=ro", kit_address(),
        strchr(kit_address(), '?') != NULL ? "&" : "?");
    OK(broker_open(address, &reader));
    OK(broker_number_open(
        reader, kit_name("n"), &(broker_number_options){.mode = BROKER_OPEN}, &mine));
    IS(mine, "9");
    GIVES(broker_number_set(mine, INT(1)), BROKER_ACCESS);
    GIVES(broker_number_add(mine, INT(1), NULL), BROKER_ACCESS);
    GIVES(broker_number_exchange(mine, INT(1), &v), BROKER_ACCESS);
    GIVES(broker_number_compare_and_set(mine, INT(9), INT(1)), BROKER_ACCESS);
    IS(n, "9");
    broker_number_close(mine);
    broker_close(reader);
}

Test(value, arguments_are_checked)
{
    broker_number *n = kit_number("n", NULL);

    GIVES(broker_number_get(NULL, &(broker_value){0}), BROKER_INVALID);
    GIVES(broker_number_get(n, NULL), BROKER_INVALID);
    GIVES(broker_number_exchange(n, INT(1), NULL), BROKER_INVALID);
    GIVES(broker_number_set((broker_number *)kit_lock("l", NULL), INT(1)), BROKER_INVALID);
    IS(n, "0");
}

Test(value, stat_tells_the_type)
{
    broker_value stat;

    (void)typed("H");
    OK(broker_stat(kit_broker, kit_name("H"), &kit_buffer, &stat));
    SAYS(kit_field(stat, "typecode"), "'H'");
}
