/*
 * test_array_slices.c - slices of arrays, compared with Python's rules
 */
#include "conformance/kit.h"

#include <stdio.h>
#include <string.h>

#define INT(number) broker_int(number)
#define N 7

TestSuite(array_slices, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_array *counted(const char *typecode)
{
    broker_array *a =
        kit_array(typecode, &(broker_array_options){.typecode = typecode, .length = N});

    OK(broker_array_write(a, value_of("[0, 1, 2, 3, 4, 5, 6]")));
    return a;
}

static const char *slice(broker_array *a, int64_t start, int64_t stop, int64_t step)
{
    broker_value v;
    int r = broker_array_get_slice(a, start, stop, step, &kit_buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

#define IS(array, start, stop, step, text) cr_assert_str_eq(slice(array, start, stop, step), (text))
#define ALL(array, text) IS(array, 0, INT64_MAX, 1, text)

/* [slice get] */
Test(array_slices, slices_are_pythons)
{
    broker_array *a = counted("i");

    ALL(a, "[0, 1, 2, 3, 4, 5, 6]");
    IS(a, 2, 5, 1, "[2, 3, 4]");
    IS(a, -2, INT64_MAX, 1, "[5, 6]");
    IS(a, 0, -2, 1, "[0, 1, 2, 3, 4]");
    IS(a, 1, 100, 2, "[1, 3, 5]");
    IS(a, 5, 2, 1, "[]");
    IS(a, 7, 9, 1, "[]");
    IS(a, -100, 2, 1, "[0, 1]");
    IS(a, INT64_MAX, INT64_MIN, -1, "[6, 5, 4, 3, 2, 1, 0]");
    IS(a, 5, 1, -2, "[5, 3]");
    IS(a, 1, 5, -1, "[]");
    IS(a, 100, -100, -3, "[6, 3, 0]");
    IS(a, 0, INT64_MAX, INT64_MAX, "[0]");
    IS(a, INT64_MAX, INT64_MIN, INT64_MIN, "[6]");
    IS(a, INT64_MIN, INT64_MIN, 1, "[]");
    IS(a, 0, 5, 0, "INVALID");
}

/* The first element of a slice and how many there are, as one walks it by hand. */
static int walk(int64_t start, int64_t stop, int64_t step, int64_t out[N])
{
    int n = 0;

    for (int64_t i = step > 0 ? 0 : N - 1; i >= 0 && i<N; i += step> 0 ? 1 : -1) {
        int64_t from = start < 0 ? start + N : start, to = stop < 0 ? stop + N : stop;

        from = step > 0 ? (from < 0 ? 0 : from) : (from >= N ? N - 1 : from);
        if (step > 0 ? (i < from || i >= to) : (i > from || i <= (to < 0 ? -1 : to)))
            continue;
        if ((i - from) % step == 0)
            out[n++] = i;
    }
    return n;
}

/* Every start, stop and step around the array's ends: read, and written. */
Test(array_slices, every_slice_is_what_a_walk_by_hand_gives)
{
    broker_array *a = counted("h");
    uint8_t packed[16];
    int64_t places[N];

    for (int64_t start = -N - 2; start <= N + 2; start++)
        for (int64_t stop = -N - 2; stop <= N + 2; stop++)
            for (int64_t step = -4; step <= 4; step++) {
                char text[64] = "[";
                int n, used = 1;

                if (step == 0)
                    continue;
                n = walk(start, stop, step, places);
                for (int i = 0; i < n; i++)
                    used += sprintf(text + used, "%s%d", i > 0 ? ", " : "", (int)places[i]);
                (void)sprintf(text + used, "]");
                cr_assert_str_eq(slice(a, start, stop, step), text, "[%d:%d:%d] is not %s",
                    (int)start, (int)stop, (int)step, text);
                packed[0] = (uint8_t)(0x90 | n);
                for (int i = 0; i < n; i++)
                    packed[1 + i] = (uint8_t)(100 + i);
                OK(broker_array_set_slice(
                    a, start, stop, step, broker_packed(packed, 1 + (size_t)n)));
                for (int i = 0; i < n; i++) {
                    broker_value v;

                    OK(broker_array_get(a, places[i], &v));
                    cr_assert_eq(v.i, 100 + i);
                    OK(broker_array_set(a, places[i], INT(places[i])));
                }
                words_free();
            }
    ALL(a, "[0, 1, 2, 3, 4, 5, 6]");
}

/* [slice set] of fixed length, all or nothing. */
Test(array_slices, a_slice_is_set_whole_or_not_at_all)
{
    static const char *const types[] = {"b", "H", "i", "q"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        broker_array *a = counted(types[i]);

        OK(broker_array_set_slice(a, 1, 4, 1, value_of("[11, 12, 13]")));
        OK(broker_array_set_slice(a, 6, 3, -2, value_of("[16, true]")));
        ALL(a, "[0, 11, 12, 13, 1, 5, 16]");
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("[1, 2]")), BROKER_MISMATCH);
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("[1, 2, 3, 4]")), BROKER_MISMATCH);
        GIVES(broker_array_set_slice(a, 4, 1, 1, value_of("[1]")), BROKER_MISMATCH);
        OK(broker_array_set_slice(a, 4, 1, 1, value_of("[]")));
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("[1, 2, 'x']")), BROKER_WRONGVALUE);
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("[1, 2, 3.0]")), BROKER_WRONGVALUE);
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("[1, 2, 18446744073709551615]")),
            BROKER_OVERFLOW);
        GIVES(broker_array_set_slice(a, 1, 4, 0, value_of("[1, 2, 3]")), BROKER_INVALID);
        GIVES(broker_array_set_slice(a, 1, 4, 1, value_of("{1: 2}")), BROKER_INVALID);
        GIVES(broker_array_set_slice(a, 1, 4, 1, INT(1)), BROKER_INVALID);
        GIVES(broker_array_set_slice(a, 1, 4, 1, broker_packed("\x93\x01", 2)), BROKER_INVALID);
        ALL(a, "[0, 11, 12, 13, 1, 5, 16]");
    }
}

Test(array_slices, write_takes_as_many_as_there_are)
{
    broker_array *a = counted("f");

    OK(broker_array_write(a, value_of("[0.5, 1, 2, 3, 4, 5, -0.25]")));
    ALL(a, "[0.5, 1.0, 2.0, 3.0, 4.0, 5.0, -0.25]");
    GIVES(broker_array_write(a, value_of("[1]")), BROKER_MISMATCH);
    GIVES(broker_array_write(a, value_of("[]")), BROKER_MISMATCH);
    GIVES(broker_array_write(a, value_of("[1, 2, 3, 4, 5, 6, 1e300]")), BROKER_OVERFLOW);
    ALL(a, "[0.5, 1.0, 2.0, 3.0, 4.0, 5.0, -0.25]");
}

/* Longer than any one part of the journal; and what is longer than all of it. */
Test(array_slices, a_long_slice_is_one_step)
{
    enum { LONG = 1 << 20 };
    broker_array *a = kit_array("a", &(broker_array_options){.typecode = "H", .length = LONG + 1});
    uint8_t *packed = words_keep(5 + LONG + 1);
    broker_value v;

    packed[0] = 0xdd;
    packed[1] = 0;
    packed[2] = LONG >> 16;
    packed[3] = packed[4] = 0;
    for (int i = 0; i <= LONG; i++)
        packed[5 + i] = (uint8_t)(i % 100);
    OK(broker_array_set_slice(a, 0, LONG, 1, broker_packed(packed, 5 + LONG)));
    OK(broker_array_get(a, LONG - 1, &v));
    cr_assert_eq(v.i, (LONG - 1) % 100);
    OK(broker_array_get(a, LONG, &v));
    cr_assert_eq(v.i, 0);
    OK(broker_array_get_slice(a, 0, LONG, 1, &kit_buffer, &v));
    cr_assert(v.size == 5 + LONG && memcmp(v.data, packed, v.size) == 0);
    packed[4] = 1;
    GIVES(broker_array_write(a, broker_packed(packed, 5 + LONG + 1)), BROKER_TOOBIG);
}
