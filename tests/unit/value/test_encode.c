/*
 * bri_value_measure(), bri_value_encode(), bri_value_decode(): values in and out of msgpack.
 */
#include "value/value.h"

#include <criterion/criterion.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1
#define PACKED(literal) broker_packed(BYTES(literal))

/* Encode @v into memory of exactly the measured size, and compare with @expected. */
static void assert_encodes(broker_value v, const char *expected, size_t n_expected)
{
    size_t measured = 0;
    uint8_t *out;

    cr_assert_eq(bri_value_measure(v, &measured), 0);
    cr_assert_eq(measured, n_expected);
    out = malloc(measured);
    cr_assert_not_null(out);
    cr_assert_eq(bri_value_encode(v, out), n_expected);
    cr_assert_eq(memcmp(out, expected, n_expected), 0);
    cr_assert_eq(bri_value_check(out, measured), 0);
    free(out);
}

Test(value_encode, scalars_take_their_shortest_form)
{
    assert_encodes(broker_nil(), BYTES("\xc0"));
    assert_encodes(broker_bool(false), BYTES("\xc2"));
    assert_encodes(broker_bool(true), BYTES("\xc3"));
    assert_encodes(broker_double(1.5), BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"));
    assert_encodes(broker_double(-0.0), BYTES("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_encodes(broker_int(0), BYTES("\x00"));
    assert_encodes(broker_int(127), BYTES("\x7f"));
    assert_encodes(broker_int(128), BYTES("\xcc\x80"));
    assert_encodes(broker_int(255), BYTES("\xcc\xff"));
    assert_encodes(broker_int(256), BYTES("\xcd\x01\x00"));
    assert_encodes(broker_int(65535), BYTES("\xcd\xff\xff"));
    assert_encodes(broker_int(65536), BYTES("\xce\x00\x01\x00\x00"));
    assert_encodes(broker_int(UINT32_MAX), BYTES("\xce\xff\xff\xff\xff"));
    assert_encodes(broker_int(INT64_C(1) << 32), BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"));
    assert_encodes(broker_int(INT64_MAX), BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"));
    assert_encodes(broker_uint(127), BYTES("\x7f"));
    assert_encodes(broker_uint(65536), BYTES("\xce\x00\x01\x00\x00"));
    assert_encodes(broker_uint(UINT64_MAX), BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_encodes(broker_int(-1), BYTES("\xff"));
    assert_encodes(broker_int(-32), BYTES("\xe0"));
    assert_encodes(broker_int(-33), BYTES("\xd0\xdf"));
    assert_encodes(broker_int(-128), BYTES("\xd0\x80"));
    assert_encodes(broker_int(-129), BYTES("\xd1\xff\x7f"));
    assert_encodes(broker_int(-32768), BYTES("\xd1\x80\x00"));
    assert_encodes(broker_int(-32769), BYTES("\xd2\xff\xff\x7f\xff"));
    assert_encodes(broker_int(INT32_MIN), BYTES("\xd2\x80\x00\x00\x00"));
    assert_encodes(
        broker_int(INT32_MIN - INT64_C(1)), BYTES("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"));
    assert_encodes(broker_int(INT64_MIN), BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"));
}

Test(value_encode, packed_bytes_stay_as_they_are)
{
    assert_encodes(PACKED("\xdc\x00\x01\xcd\x00\x05"), BYTES("\xdc\x00\x01\xcd\x00\x05"));
    assert_encodes(PACKED("\xd9\x01x"), BYTES("\xd9\x01x"));
}

/* Every header's size, both ways, for strings and byte strings. */
Test(value_encode, strings_at_the_bounds_of_their_formats)
{
    static const struct {
        size_t size;
        size_t str_header;
        size_t bin_header;
    } sizes[] = {{0, 1, 2}, {1, 1, 2}, {31, 1, 2}, {32, 2, 2}, {255, 2, 2}, {256, 3, 3},
        {65535, 3, 3}, {65536, 5, 5}};
    char *text = malloc(65536);
    char *out = malloc(65536 + 5);

    cr_assert(text != NULL && out != NULL);
    memset(text, 't', 65536);
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i / 2].size;
        broker_value v = i % 2 == 0 ? broker_strn(text, n) : broker_bin(n > 0 ? text : NULL, n);
        size_t header = i % 2 == 0 ? sizes[i / 2].str_header : sizes[i / 2].bin_header;
        broker_value back;
        size_t size;

        cr_assert_eq(bri_value_measure(v, &size), 0);
        cr_assert_eq(size, n + header);
        cr_assert_eq(bri_value_encode(v, out), size);
        cr_assert_eq(bri_value_check(out, size), 0);
        cr_assert_eq(bri_value_decode(out, size, &back), 0);
        cr_assert_eq(back.type, v.type);
        cr_assert_eq(back.size, n);
        cr_assert_eq(back.data, out + header);
        cr_assert_eq(memcmp(back.data, text, n), 0);
    }
    free(text);
    free(out);
}

Test(value_measure, refuses_what_is_no_value_and_leaves_the_output)
{
    broker_value unknown = broker_nil();
    size_t size = 12345;

    unknown.type = BROKER_REF + 1;
    cr_assert_eq(bri_value_measure(unknown, &size), BROKER_INVALID);
    unknown.type = UINT32_MAX;
    cr_assert_eq(bri_value_measure(unknown, &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(broker_strn(NULL, 1), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(broker_bin(NULL, 1), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(broker_packed(NULL, 1), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(broker_packed(NULL, 0), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(broker_packed("", 0), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(PACKED("\xc1"), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(PACKED("\x01\x01"), &size), BROKER_INVALID);
    cr_assert_eq(bri_value_measure(
                     PACKED("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
                            "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"),
                     &size),
        BROKER_TOODEEP);
    cr_assert_eq(size, 12345);
}

/* What does not fit into the struct's 32 bits was cut there; it must not pass as what is left of
 * it. */
Test(value_measure, refuses_more_than_a_value_can_carry)
{
    size_t size;

    cr_assert_eq(bri_value_measure(broker_strn("", SIZE_MAX), &size), BROKER_TOOBIG);
    cr_assert_eq(bri_value_measure(broker_bin("", UINT32_MAX), &size), BROKER_TOOBIG);
    cr_assert_eq(bri_value_measure(broker_packed("", SIZE_MAX / 2), &size), BROKER_TOOBIG);
    cr_assert_eq(bri_value_measure(broker_strn("", UINT32_MAX - 1), &size), 0);
    cr_assert_eq(size, (size_t)UINT32_MAX + 4);
}

static broker_value decode(const char *data, size_t size)
{
    broker_value v = broker_nil();

    cr_assert_eq(bri_value_check(data, size), 0);
    cr_assert_eq(bri_value_decode(data, size, &v), 0);
    return v;
}

static void assert_int(const char *data, size_t size, int64_t expected)
{
    broker_value v = decode(data, size);

    cr_assert_eq(v.type, BROKER_INT);
    cr_assert_eq(v.size, 0);
    cr_assert_eq(v.i, expected);
}

Test(value_decode, integers_of_every_format)
{
    broker_value v;

    assert_int(BYTES("\x00"), 0);
    assert_int(BYTES("\x7f"), 127);
    assert_int(BYTES("\xff"), -1);
    assert_int(BYTES("\xe0"), -32);
    assert_int(BYTES("\xcc\x00"), 0);
    assert_int(BYTES("\xcc\xff"), 255);
    assert_int(BYTES("\xcd\xff\xff"), 65535);
    assert_int(BYTES("\xce\xff\xff\xff\xff"), UINT32_MAX);
    assert_int(BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX);
    assert_int(BYTES("\xd0\x7f"), 127);
    assert_int(BYTES("\xd0\x80"), -128);
    assert_int(BYTES("\xd1\x7f\xff"), INT16_MAX);
    assert_int(BYTES("\xd1\x80\x00"), INT16_MIN);
    assert_int(BYTES("\xd2\x7f\xff\xff\xff"), INT32_MAX);
    assert_int(BYTES("\xd2\x80\x00\x00\x00"), INT32_MIN);
    assert_int(BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX);
    assert_int(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN);
    v = decode(BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
    cr_assert_eq(v.type, BROKER_UINT);
    cr_assert_eq(v.u, UINT64_C(1) << 63);
    v = decode(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    cr_assert_eq(v.type, BROKER_UINT);
    cr_assert_eq(v.u, UINT64_MAX);
}

Test(value_decode, other_scalars)
{
    broker_value v = decode(BYTES("\xc0"));

    cr_assert_eq(v.type, BROKER_NIL);
    v = decode(BYTES("\xc2"));
    cr_assert_eq(v.type, BROKER_BOOL);
    cr_assert_eq(v.b, false);
    v = decode(BYTES("\xc3"));
    cr_assert_eq(v.type, BROKER_BOOL);
    cr_assert_eq(v.b, true);
    v = decode(BYTES("\xca\x3f\xc0\x00\x00"));
    cr_assert_eq(v.type, BROKER_DOUBLE);
    cr_assert_eq(v.d, 1.5);
    v = decode(BYTES("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00"));
    cr_assert_eq(v.type, BROKER_DOUBLE);
    cr_assert_eq(v.d, -1.5);
    v = decode(BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"));
    cr_assert_eq(v.type, BROKER_DOUBLE);
    cr_assert(isnan(v.d));
}

static void assert_bytes(const char *data, size_t size, uint32_t type, const char *expected)
{
    broker_value v = decode(data, size);

    cr_assert_eq(v.type, type);
    cr_assert_eq(v.size, strlen(expected));
    cr_assert_eq(v.data, data + size - v.size);
    cr_assert_eq(memcmp(v.data, expected, v.size), 0);
}

Test(value_decode, strings_point_into_the_bytes_whatever_their_header)
{
    assert_bytes(BYTES("\xa0"), BROKER_STR, "");
    assert_bytes(BYTES("\xa3"
                       "abc"),
        BROKER_STR, "abc");
    assert_bytes(BYTES("\xd9\x03"
                       "abc"),
        BROKER_STR, "abc");
    assert_bytes(BYTES("\xd9\x00"), BROKER_STR, "");
    assert_bytes(BYTES("\xda\x00\x03"
                       "abc"),
        BROKER_STR, "abc");
    assert_bytes(BYTES("\xdb\x00\x00\x00\x03"
                       "abc"),
        BROKER_STR, "abc");
    assert_bytes(BYTES("\xc4\x03"
                       "abc"),
        BROKER_BIN, "abc");
    assert_bytes(BYTES("\xc5\x00\x03"
                       "abc"),
        BROKER_BIN, "abc");
    assert_bytes(BYTES("\xc6\x00\x00\x00\x03"
                       "abc"),
        BROKER_BIN, "abc");
}

static void assert_packed(const char *data, size_t size)
{
    broker_value v = decode(data, size);

    cr_assert_eq(v.type, BROKER_PACKED);
    cr_assert_eq(v.size, size);
    cr_assert_eq(v.data, data);
}

Test(value_decode, containers_and_extensions_stay_packed)
{
    assert_packed(BYTES("\x90"));
    assert_packed(BYTES("\x92\x01\x02"));
    assert_packed(BYTES("\xdc\x00\x01\xc0"));
    assert_packed(BYTES("\xdd\x00\x00\x00\x01\xc0"));
    assert_packed(BYTES("\x80"));
    assert_packed(BYTES("\x81\x01\x02"));
    assert_packed(BYTES("\xde\x00\x01\xc0\xc0"));
    assert_packed(BYTES("\xdf\x00\x00\x00\x01\xc0\xc0"));
    assert_packed(BYTES("\xd4\x05x"));
    assert_packed(BYTES("\xd8\x01"
                        "0123456789abcdef"));
    assert_packed(BYTES("\xc7\x00\x05"));
    assert_packed(BYTES("\xc9\x00\x00\x00\x01\x05x"));
}

/* Bytes of which nothing is known, in memory of exactly their size. */
static int decode_raw(const void *data, size_t size, broker_value *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    int r;

    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    r = bri_value_decode(copy, size, out);
    free(copy);
    return r;
}

Test(value_decode, headers_that_disagree_with_the_size_are_corrupt)
{
    static const struct {
        const char *data;
        size_t size;
    } values[] = {
        {BYTES("\xc0")},
        {BYTES("\xc3")},
        {BYTES("\x05")},
        {BYTES("\xcd\x01\x00")},
        {BYTES("\xd3\xff\xff\xff\xff\xff\xff\xff\xff")},
        {BYTES("\xca\x00\x00\x00\x00")},
        {BYTES("\xcb\x00\x00\x00\x00\x00\x00\x00\x00")},
        {BYTES("\xa5"
               "01234")},
        {BYTES("\xd9\x05"
               "01234")},
        {BYTES("\xda\x00\x05"
               "01234")},
        {BYTES("\xdb\x00\x00\x00\x05"
               "01234")},
        {BYTES("\xc4\x05"
               "01234")},
        {BYTES("\xc5\x00\x05"
               "01234")},
        {BYTES("\xc6\x00\x00\x00\x05"
               "01234")},
        {BYTES("\xc7\x05\x01"
               "01234")},
        {BYTES("\xc8\x00\x05\x01"
               "01234")},
        {BYTES("\xc9\x00\x00\x00\x05\x01"
               "01234")},
        {BYTES("\xd6\x01"
               "0123")},
        {BYTES("\xd8\x01"
               "0123456789abcdef")},
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char longer[32] = {0};
        broker_value v = broker_int(12345);

        memcpy(longer, values[i].data, values[i].size);
        for (size_t size = 0; size <= values[i].size + 2; size++)
            cr_assert_eq(decode_raw(longer, size, &v), size == values[i].size ? 0 : BROKER_CORRUPT,
                "value %zu in %zu bytes", i, size);
    }
}

Test(value_decode, what_cannot_be_a_value_is_corrupt_and_leaves_the_output)
{
    broker_value v = broker_int(12345);

    cr_assert_eq(bri_value_decode(NULL, 0, &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xc1"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\x93\x01\x02"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\x82\x01\x02\x03"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xdc\x00"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xdc\x00\x05\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xdd\xff\xff\xff\xff\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xdf\xff\xff\xff\xff\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xdf\x80\x00\x00\x00\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\x90\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\x80\xc0"), &v), BROKER_CORRUPT);
    cr_assert_eq(decode_raw(BYTES("\xc9\xff\xff\xff\xff\x05"), &v), BROKER_CORRUPT);
    cr_assert_eq(bri_value_decode("\x90", (size_t)UINT32_MAX + 2, &v), BROKER_CORRUPT);
    cr_assert_eq(v.type, BROKER_INT);
    cr_assert_eq(v.i, 12345);
}

/* What is written is what msgpack-c reads. */
Test(value_encode, msgpack_c_reads_the_same)
{
    msgpack_unpacked result;
    uint8_t out[16];
    size_t used = 0;

    msgpack_unpacked_init(&result);
    for (unsigned int shift = 0; shift < 64; shift++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t u = (UINT64_C(1) << shift) + (uint64_t)(int64_t)delta;
            size_t size = bri_value_encode(broker_uint(u), out);

            used = 0;
            cr_assert_eq(msgpack_unpack_next(&result, (const char *)out, size, &used),
                MSGPACK_UNPACK_SUCCESS);
            cr_assert_eq(result.data.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
            cr_assert_eq(result.data.via.u64, u);
            if (u == 0 || u > (uint64_t)INT64_MAX + 1)
                continue;
            size = bri_value_encode(broker_int((int64_t)-u), out);
            used = 0;
            cr_assert_eq(msgpack_unpack_next(&result, (const char *)out, size, &used),
                MSGPACK_UNPACK_SUCCESS);
            cr_assert_eq(result.data.type, MSGPACK_OBJECT_NEGATIVE_INTEGER);
            cr_assert_eq(result.data.via.i64, (int64_t)-u);
        }
    }
    msgpack_unpacked_destroy(&result);
}
