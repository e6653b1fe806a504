/*
 * test_list_sort.c - sorting lists
 *
 * The names in brackets are the rows of CPython's ListProxy whose rule a case shows.
 */
#include "conformance/kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/value/random.h"

TestSuite(list_sort, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define NO_FIELD broker_nil()

static broker_list *list_of(const char *text)
{
    broker_list *l = kit_list("l", NULL);

    OK(broker_list_clear(l));
    OK(broker_list_extend(l, value_of(text)));
    return l;
}

/* What comes out of sorting, or the name of the failure. */
static const char *sorted(const char *text, bool reverse, broker_value field)
{
    broker_list *l = list_of(text);
    int r = broker_list_sort(l, reverse, field);

    if (r < 0)
        cr_assert_str_eq(kit_list_text(l), text, "a failed sort has changed the list");
    return r < 0 ? broker_error_name(r) : kit_list_text(l);
}

#define SORTS(text, result) cr_assert_str_eq(sorted(text, false, NO_FIELD), result)

/* [sort] in place, natural order. */
Test(list_sort, values_come_in_pythons_order)
{
    SORTS("[]", "[]");
    SORTS("[nil]", "[nil]");
    SORTS("[3, 1, 2]", "[1, 2, 3]");
    SORTS("[2, 1.5, -1, true, 18446744073709551615, -9223372036854775808, 0.5]",
        "[-9223372036854775808, -1, 0.5, true, 1.5, 2, 18446744073709551615]");
    SORTS("['b', 'a', 'ab', '', 'B']", "['', 'B', 'a', 'ab', 'b']");
    SORTS("[b'02', b'', b'0100']", "[b'', b'0100', b'02']");
    SORTS("[[2], [1, 'x'], [1], [1, 'a', nil]]", "[[1], [1, 'a', nil], [1, 'x'], [2]]");
}

/* [sort] mixed types TypeError, and the list is as it was. */
Test(list_sort, values_without_an_order_are_an_error)
{
    SORTS("[1, 'a']", "INCOMPARABLE");
    SORTS("[3, 2, 1, nil]", "INCOMPARABLE");
    SORTS("[nil, nil]", "INCOMPARABLE");
    SORTS("['a', b'61']", "INCOMPARABLE");
    SORTS("[{'a': 1}, {'a': 2}]", "INCOMPARABLE");
    SORTS("[1, nan]", "INCOMPARABLE");
    SORTS("[[1, 'a'], [2, 3], [1, 2]]", "INCOMPARABLE");
    cr_assert_str_eq(sorted("[1, 2, 'a', 3]", true, NO_FIELD), "INCOMPARABLE");
}

/* [sort] stable, and so in reverse. */
Test(list_sort, equal_values_keep_their_order)
{
    SORTS("[1, true, 0, 1.0, false]", "[0, false, 1, true, 1.0]");
    cr_assert_str_eq(
        sorted("[1, true, 0, 1.0, false]", true, NO_FIELD), "[1, true, 1.0, 0, false]");
}

/* [sort] in place of key=itemgetter(n). */
Test(list_sort, by_an_index_of_arrays)
{
    const char *rows = "[['b', 2], ['a', 3], ['c', 1], ['d', 2]]";

    cr_assert_str_eq(sorted(rows, false, INT(1)), "[['c', 1], ['b', 2], ['d', 2], ['a', 3]]");
    cr_assert_str_eq(sorted(rows, true, INT(-1)), "[['a', 3], ['b', 2], ['d', 2], ['c', 1]]");
    cr_assert_str_eq(sorted(rows, false, INT(0)), "[['a', 3], ['b', 2], ['c', 1], ['d', 2]]");
    cr_assert_str_eq(sorted(rows, false, INT(2)), "NOTFOUND");
    cr_assert_str_eq(sorted(rows, false, INT(-3)), "NOTFOUND");
    cr_assert_str_eq(sorted(rows, false, STR("b")), "INCOMPARABLE");
    cr_assert_str_eq(sorted("[[1], [], [2]]", false, INT(0)), "NOTFOUND");
    cr_assert_str_eq(sorted("[[1], 5]", false, INT(0)), "INCOMPARABLE");
    cr_assert_str_eq(sorted("[[1], ['a']]", false, INT(0)), "INCOMPARABLE");
    cr_assert_str_eq(sorted("[5]", false, INT(0)), "INCOMPARABLE", "one element has a key, too");
}

/* [sort] in place of key=itemgetter('field'). */
Test(list_sort, by_a_field_of_maps)
{
    const char *rows = "[{'n': 2, 'k': 'x'}, {'k': 'y', 'n': 1}, {'n': 1.5}]";

    cr_assert_str_eq(
        sorted(rows, false, STR("n")), "[{'k': 'y', 'n': 1}, {'n': 1.5}, {'n': 2, 'k': 'x'}]");
    cr_assert_str_eq(
        sorted(rows, true, STR("n")), "[{'n': 2, 'k': 'x'}, {'n': 1.5}, {'k': 'y', 'n': 1}]");
    cr_assert_str_eq(sorted(rows, false, STR("k")), "NOTFOUND");
    cr_assert_str_eq(sorted("[{1: 2}, {1.0: 1}]", false, broker_bool(true)), "[{1.0: 1}, {1: 2}]");
}

/* ---- many ---- */

struct row {
    int key, serial;
};

static int compare_keys(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->key != y->key ? (x->key > y->key) - (x->key < y->key)
                            : (x->serial > y->serial) - (x->serial < y->serial);
}

static int compare_reversed(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->key != y->key ? compare_keys(b, a) : compare_keys(a, b);
}

/* Runs in order, runs against it and chance, with many equal keys. */
static void make_rows(struct random *rng, struct row *rows, int n)
{
    for (int i = 0; i < n; i++) {
        int kind = i / 100 % 3;

        rows[i].key = kind == 0   ? i / 2
                      : kind == 1 ? n - i
                                  : (int)random_below(rng, (size_t)n / 2 + 1);
        rows[i].serial = i;
    }
}

static const char *text_of_rows(const struct row *rows, int n)
{
    char *text = words_keep((size_t)n * 32 + 3);
    size_t used = (size_t)sprintf(text, "[");

    for (int i = 0; i < n; i++)
        used += (size_t)sprintf(
            text + used, "%s[%d, %d]", i > 0 ? ", " : "", rows[i].key, rows[i].serial);
    (void)sprintf(text + used, "]");
    return text;
}

Test(list_sort, many_elements_are_sorted_as_by_a_model)
{
    static const int lengths[] = {2, 3, 54, 55, 56, 110, 111, 1000, 3025, 3026, 7000};
    struct random rng = {random_seed()};
    static struct row rows[7000];

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int n = lengths[i];
        bool reverse = random_below(&rng, 2) == 0;
        const char *text;

        make_rows(&rng, rows, n);
        text = sorted(text_of_rows(rows, n), reverse, INT(0));
        qsort(rows, (size_t)n, sizeof(rows[0]), reverse ? compare_reversed : compare_keys);
        cr_assert_str_eq(text, text_of_rows(rows, n), "seed %llu, %d rows",
            (unsigned long long)random_seed(), n);
    }
}
