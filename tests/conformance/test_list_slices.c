/*
 * test_list_slices.c - slices of lists, and lists as a whole
 *
 * The names in brackets are the rows of CPython's ListProxy whose rule a case shows.
 */
#include "conformance/kit.h"

#include <stdio.h>

TestSuite(list_slices, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define ALL BROKER_OMITTED, BROKER_OMITTED

/* What CPython 3.11 makes of [0, 1, 2, 3, 4, 5]. */
static const struct slice {
    int64_t start, stop, step;
    const char *got;
    const char *deleted;  /* the list without the slice */
    const char *replaced; /* the list with -1, -2, ... in its place */
} slices[] = {
    {BROKER_OMITTED, BROKER_OMITTED, 1, "[0, 1, 2, 3, 4, 5]", "[]", "[-1, -2, -3, -4, -5, -6]"},
    {BROKER_OMITTED, BROKER_OMITTED, -1, "[5, 4, 3, 2, 1, 0]", "[]", "[-6, -5, -4, -3, -2, -1]"},
    {BROKER_OMITTED, 2, -1, "[5, 4, 3]", "[0, 1, 2]", "[0, 1, 2, -3, -2, -1]"},
    {2, BROKER_OMITTED, -1, "[2, 1, 0]", "[3, 4, 5]", "[-3, -2, -1, 3, 4, 5]"},
    {4, 1, 1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {1, 4, -1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, -7, -1, "[5, 4, 3, 2, 1, 0]", "[]", "[-6, -5, -4, -3, -2, -1]"},
    {-100, 100, 1, "[0, 1, 2, 3, 4, 5]", "[]", "[-1, -2, -3, -4, -5, -6]"},
    {100, -100, -1, "[5, 4, 3, 2, 1, 0]", "[]", "[-6, -5, -4, -3, -2, -1]"},
    {0, 0, 1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {1, -7, 1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {0, 5, 1, "[0, 1, 2, 3, 4]", "[5]", "[-1, -2, -3, -4, -5, 5]"},
    {6, 6, 1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {1, 9, 1, "[1, 2, 3, 4, 5]", "[0]", "[0, -1, -2, -3, -4, -5]"},
    {-7, 9, 1, "[0, 1, 2, 3, 4, 5]", "[]", "[-1, -2, -3, -4, -5, -6]"},
    {-6, -1, 1, "[0, 1, 2, 3, 4]", "[5]", "[-1, -2, -3, -4, -5, 5]"},
    {-7, BROKER_OMITTED, 1, "[0, 1, 2, 3, 4, 5]", "[]", "[-1, -2, -3, -4, -5, -6]"},
    {-3, 0, 1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {5, 6, 1, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {1, BROKER_OMITTED, 2, "[1, 3, 5]", "[0, 2, 4]", "[0, -1, 2, -2, 4, -3]"},
    {-7, 5, 2, "[0, 2, 4]", "[1, 3, 5]", "[-1, 1, -2, 3, -3, 5]"},
    {BROKER_OMITTED, -1, 2, "[0, 2, 4]", "[1, 3, 5]", "[-1, 1, -2, 3, -3, 5]"},
    {-3, 3, 2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-6, 1, 2, "[0]", "[1, 2, 3, 4, 5]", "[-1, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, BROKER_OMITTED, 2, "[0, 2, 4]", "[1, 3, 5]", "[-1, 1, -2, 3, -3, 5]"},
    {-6, 9, 2, "[0, 2, 4]", "[1, 3, 5]", "[-1, 1, -2, 3, -3, 5]"},
    {6, -3, 3, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {5, -7, 3, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {1, 1, 3, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {9, -6, 3, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, -1, 3, "[0, 3]", "[1, 2, 4, 5]", "[-1, 1, 2, -2, 4, 5]"},
    {BROKER_OMITTED, 6, 3, "[0, 3]", "[1, 2, 4, 5]", "[-1, 1, 2, -2, 4, 5]"},
    {BROKER_OMITTED, 9, 3, "[0, 3]", "[1, 2, 4, 5]", "[-1, 1, 2, -2, 4, 5]"},
    {-100, 9, -1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, 1, -1, "[5, 4, 3, 2]", "[0, 1]", "[0, 1, -4, -3, -2, -1]"},
    {-3, 0, -1, "[3, 2, 1]", "[0, 4, 5]", "[0, -3, -2, -1, 4, 5]"},
    {5, -1, -1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-6, BROKER_OMITTED, -1, "[0]", "[1, 2, 3, 4, 5]", "[-1, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, -1, -1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-100, 3, -1, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {5, -3, -2, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {-6, 5, -2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-7, 9, -2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-100, -6, -2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {5, -100, -2, "[5, 3, 1]", "[0, 2, 4]", "[0, -3, 2, -2, 4, -1]"},
    {-1, 5, -2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-6, -6, -2, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {9, 1, -4, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {BROKER_OMITTED, 6, -4, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-3, -7, -4, "[3]", "[0, 1, 2, 4, 5]", "[0, 1, 2, -1, 4, 5]"},
    {-100, -7, -4, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {1, 0, -4, "[1]", "[0, 2, 3, 4, 5]", "[0, -1, 2, 3, 4, 5]"},
    {3, -100, -4, "[3]", "[0, 1, 2, 4, 5]", "[0, 1, 2, -1, 4, 5]"},
    {9, 3, -4, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {1, 9, 100, "[1]", "[0, 2, 3, 4, 5]", "[0, -1, 2, 3, 4, 5]"},
    {-1, 0, 100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-7, -3, 100, "[0]", "[1, 2, 3, 4, 5]", "[-1, 1, 2, 3, 4, 5]"},
    {-6, BROKER_OMITTED, 100, "[0]", "[1, 2, 3, 4, 5]", "[-1, 1, 2, 3, 4, 5]"},
    {-7, -6, 100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {5, BROKER_OMITTED, 100, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {9, 6, 100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {9, BROKER_OMITTED, -100, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {-7, -1, -100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-7, -6, -100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {-3, 5, -100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {BROKER_OMITTED, -3, -100, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
    {-7, 1, -100, "[]", "[0, 1, 2, 3, 4, 5]", "[0, 1, 2, 3, 4, 5]"},
    {6, 1, -100, "[5]", "[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, -1]"},
};

#define N_SLICES (sizeof(slices) / sizeof(slices[0]))

static broker_list *list_of(const char *text)
{
    broker_list *l = kit_list("l", NULL);

    OK(broker_list_clear(l));
    OK(broker_list_extend(l, value_of(text)));
    return l;
}

/* The array [-1, -2, ...] of @n numbers. */
static broker_value negatives(uint32_t n)
{
    char text[64] = "[";
    int used = 1;

    for (int i = 1; i <= (int)n; i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s-%d", i > 1 ? ", " : "", i);
    (void)snprintf(text + used, sizeof(text) - (size_t)used, "]");
    return value_of(text);
}

/* [slices get] any step. */
Test(list_slices, get_slice_is_as_in_python)
{
    broker_list *l = list_of("[0, 1, 2, 3, 4, 5]");
    broker_value v;

    for (size_t i = 0; i < N_SLICES; i++) {
        const struct slice *s = &slices[i];

        OK(broker_list_get_slice(l, s->start, s->stop, s->step, &kit_buffer, &v));
        SAYS(v, s->got);
    }
}

/* [del L[a:b:c]] any step. */
Test(list_slices, delete_slice_is_as_in_python)
{
    for (size_t i = 0; i < N_SLICES; i++) {
        const struct slice *s = &slices[i];
        broker_list *l = list_of("[0, 1, 2, 3, 4, 5]");

        OK(broker_list_delete_slice(l, s->start, s->stop, s->step));
        cr_assert_str_eq(kit_list_text(l), s->deleted, "del [%lld:%lld:%lld] left %s",
            (long long)s->start, (long long)s->stop, (long long)s->step, kit_list_text(l));
    }
}

/* [slice set] extended: lengths must match else ValueError. */
Test(list_slices, set_slice_of_the_same_length_is_as_in_python)
{
    for (size_t i = 0; i < N_SLICES; i++) {
        const struct slice *s = &slices[i];
        broker_list *l = list_of("[0, 1, 2, 3, 4, 5]");
        broker_value v;
        uint32_t n;

        OK(broker_list_get_slice(l, s->start, s->stop, s->step, &kit_buffer, &v));
        n = kit_count(v);
        if (s->step != 1) {
            GIVES(broker_list_set_slice(l, negatives(n + 1), s->start, s->stop, s->step),
                BROKER_MISMATCH);
            cr_assert_str_eq(kit_list_text(l), "[0, 1, 2, 3, 4, 5]");
        }
        OK(broker_list_set_slice(l, negatives(n), s->start, s->stop, s->step));
        cr_assert_str_eq(kit_list_text(l), s->replaced);
    }
}

/* [slice set] step 1: the length may change. */
Test(list_slices, set_slice_with_step_1_may_change_the_length)
{
    broker_list *l = list_of("[0, 1, 2, 3]");

    OK(broker_list_set_slice(l, value_of("['a', 'b', 'c']"), 1, 2, 1));
    cr_assert_str_eq(kit_list_text(l), "[0, 'a', 'b', 'c', 2, 3]");
    OK(broker_list_set_slice(l, value_of("[]"), 1, -1, 1));
    cr_assert_str_eq(kit_list_text(l), "[0, 3]");
    OK(broker_list_set_slice(l, value_of("[1, 2]"), 1, 1, 1));
    cr_assert_str_eq(kit_list_text(l), "[0, 1, 2, 3]");
    OK(broker_list_set_slice(l, value_of("['x']"), 3, 1, 1));
    cr_assert_str_eq(kit_list_text(l), "[0, 1, 2, 'x', 3]", "where the slice would begin");
    OK(broker_list_set_slice(l, value_of("[9]"), 100, 200, 1));
    OK(broker_list_set_slice(l, value_of("[-9]"), -200, -100, 1));
    cr_assert_str_eq(kit_list_text(l), "[-9, 0, 1, 2, 'x', 3, 9]");
    OK(broker_list_set_slice(l, value_of("[[1], {}]"), ALL, 1));
    cr_assert_str_eq(kit_list_text(l), "[[1], {}]");
}

/* [reverse()] in place; [reversed(L)] is a slice. */
Test(list_slices, reverse_and_reversed)
{
    broker_list *l = list_of("[1, 'two', [3], 4]");
    broker_value v;

    OK(broker_list_get_slice(l, ALL, -1, &kit_buffer, &v));
    SAYS(v, "[4, [3], 'two', 1]");
    OK(broker_list_reverse(l));
    cr_assert_str_eq(kit_list_text(l), "[4, [3], 'two', 1]");
    OK(broker_list_clear(l));
    OK(broker_list_reverse(l));
    cr_assert_str_eq(kit_list_text(l), "[]");
}

/* [L + other] plain list. */
Test(list_slices, concatenate_gives_a_copy)
{
    broker_list *l = list_of("[1, 2]");
    broker_value v;

    OK(broker_list_concatenate(l, value_of("['a', [3]]"), &kit_buffer, &v));
    SAYS(v, "[1, 2, 'a', [3]]");
    OK(broker_list_concatenate(l, value_of("[]"), &kit_buffer, &v));
    SAYS(v, "[1, 2]");
    cr_assert_str_eq(kit_list_text(l), "[1, 2]");
    OK(broker_list_clear(l));
    OK(broker_list_concatenate(l, value_of("[0]"), &kit_buffer, &v));
    SAYS(v, "[0]");
}

/* [L + other] other may not be a proxy: TypeError. Nor may it lie where the result is to be. */
Test(list_slices, concatenate_takes_a_value_that_lies_elsewhere)
{
    broker_list *l = list_of("[1, 2]");
    broker_value own, sum = broker_int(77);

    GIVES(broker_list_concatenate(l, broker_ref(l), &kit_buffer, &sum), BROKER_INVALID);
    OK(broker_list_get_slice(l, 1, BROKER_OMITTED, 1, &kit_buffer, &own));
    GIVES(broker_list_concatenate(l, own, &kit_buffer, &sum), BROKER_INVALID);
    SAYS(sum, "77");
    SAYS(own, "[2]");
}

/* [L * n, n * L] plain lists; [L *= n] mutates; a count below 1 is none. */
Test(list_slices, multiply_gives_a_copy_and_repeat_changes)
{
    broker_list *l = list_of("[1, 'a longer text']");
    broker_value v;

    OK(broker_list_multiply(l, 2, &kit_buffer, &v));
    SAYS(v, "[1, 'a longer text', 1, 'a longer text']");
    OK(broker_list_multiply(l, 0, &kit_buffer, &v));
    SAYS(v, "[]");
    OK(broker_list_multiply(l, INT64_MIN, &kit_buffer, &v));
    SAYS(v, "[]");
    GIVES(broker_list_multiply(l, INT64_MAX, &kit_buffer, &v), BROKER_TOOBIG);
    GIVES(broker_list_repeat(l, INT64_MAX), BROKER_TOOBIG);
    OK(broker_list_repeat(l, 1));
    cr_assert_str_eq(kit_list_text(l), "[1, 'a longer text']");
    OK(broker_list_repeat(l, 3));
    cr_assert_str_eq(
        kit_list_text(l), "[1, 'a longer text', 1, 'a longer text', 1, 'a longer text']");
    OK(broker_list_set(l, 0, INT(2)));
    cr_assert_str_eq(
        kit_list_text(l), "[2, 'a longer text', 1, 'a longer text', 1, 'a longer text']");
    OK(broker_list_repeat(l, -1));
    cr_assert_str_eq(kit_list_text(l), "[]");
    OK(broker_list_repeat(l, INT64_MAX));
    OK(broker_list_multiply(l, INT64_MAX, &kit_buffer, &v));
    SAYS(v, "[]");
}

/* A walk in parts; in Python a loop over a proxy is one element after another. */
Test(list_slices, scan_gives_the_list_in_parts)
{
    broker_list *l = list_of("[0, 1, 2, 3, 4, 5, 6]");
    uint64_t next = 77;
    broker_value v;

    OK(broker_list_scan(l, 0, 3, &kit_buffer, &v, &next));
    SAYS(v, "[0, 1, 2]");
    cr_assert_eq(next, 3);
    OK(broker_list_scan(l, next, 4, &kit_buffer, &v, &next));
    SAYS(v, "[3, 4, 5, 6]");
    cr_assert_eq(next, 0);
    OK(broker_list_scan(l, 0, UINT64_MAX, &kit_buffer, &v, &next));
    SAYS(v, "[0, 1, 2, 3, 4, 5, 6]");
    cr_assert_eq(next, 0);
    OK(broker_list_scan(l, UINT64_MAX, 1, &kit_buffer, &v, &next));
    SAYS(v, "[]");
    cr_assert_eq(next, 0);
}
