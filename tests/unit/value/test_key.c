/*
 * Canonical keys: the same bytes for what Python holds to be the same key, other bytes for all
 * else.
 */
#include "failing.h"
#include "random.h"
#include "value/value.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1
#define PACKED(literal) broker_packed(BYTES(literal))

static void assert_key(broker_value v, const char *expected, size_t n_expected)
{
    struct bri_key k;

    cr_assert_eq(bri_key_init(&k, v), 0);
    cr_assert_eq(k.size, n_expected);
    cr_assert_eq(memcmp(k.data, expected, n_expected), 0);
    cr_assert_eq(k.heap != NULL, n_expected > BRI_KEY_INLINE);
    bri_key_fini(&k);
}

static void assert_refused(broker_value v, int expected)
{
    struct bri_key k;

    cr_assert_eq(bri_key_init(&k, v), expected);
    bri_key_fini(&k); /* allowed after a failure too */
}

Test(value_key, equal_numbers_are_one_key)
{
    assert_key(broker_int(1), BYTES("\x01"));
    assert_key(broker_uint(1), BYTES("\x01"));
    assert_key(broker_bool(true), BYTES("\x01"));
    assert_key(broker_double(1.0), BYTES("\x01"));
    assert_key(PACKED("\xd3\x00\x00\x00\x00\x00\x00\x00\x01"), BYTES("\x01"));
    assert_key(PACKED("\xca\x3f\x80\x00\x00"), BYTES("\x01"));
    assert_key(PACKED("\xc3"), BYTES("\x01"));
    assert_key(broker_int(0), BYTES("\x00"));
    assert_key(broker_bool(false), BYTES("\x00"));
    assert_key(broker_double(0.0), BYTES("\x00"));
    assert_key(broker_double(-0.0), BYTES("\x00"));
    assert_key(broker_double(-1.0), BYTES("\xff"));
}

Test(value_key, integral_doubles_become_integers_where_these_end)
{
    assert_key(broker_double(-0x1p63), BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_double(0x1p63 - 1024), BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xfc\x00"));
    assert_key(broker_double(0x1p63), BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_double(0x1p64 - 2048), BYTES("\xcf\xff\xff\xff\xff\xff\xff\xf8\x00"));
    assert_key(broker_double(0x1p64), BYTES("\xcb\x43\xf0\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_double(-0x1p63 - 2048), BYTES("\xcb\xc3\xe0\x00\x00\x00\x00\x00\x01"));
    assert_key(broker_double(0.5), BYTES("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_double(INFINITY), BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_double(-INFINITY), BYTES("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"));
    assert_key(PACKED("\xca\x3f\x00\x00\x00"), BYTES("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00"));
    assert_key(broker_uint(UINT64_MAX), BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
}

Test(value_key, nil_strings_and_byte_strings)
{
    assert_key(broker_nil(), BYTES("\xc0"));
    assert_key(broker_str(""), BYTES("\xa0"));
    assert_key(broker_str("key"), BYTES("\xa3key"));
    assert_key(broker_strn(NULL, 0), BYTES("\xa0"));
    assert_key(broker_bin("key", 3), BYTES("\xc4\x03key"));
    assert_key(broker_bin(NULL, 0), BYTES("\xc4\x00"));
    assert_key(PACKED("\xd9\x03key"), BYTES("\xa3key"));
    assert_key(PACKED("\xdb\x00\x00\x00\x03key"), BYTES("\xa3key"));
    assert_key(PACKED("\xc6\x00\x00\x00\x03key"), BYTES("\xc4\x03key"));
    assert_key(PACKED("\xc0"), BYTES("\xc0"));
}

Test(value_key, arrays_are_canonical_inside)
{
    assert_key(PACKED("\x90"), BYTES("\x90"));
    assert_key(PACKED("\xdc\x00\x00"), BYTES("\x90"));
    assert_key(PACKED("\x94\xc3\xc0\xca\x40\x00\x00\x00\xd9\x01x"), BYTES("\x94\x01\xc0\x02\xa1x"));
    assert_key(PACKED("\xdd\x00\x00\x00\x02\xdc\x00\x02\xc2\xc4\x00\x91\x90"),
        BYTES("\x92\x92\x00\xc4\x00\x91\x90"));
    assert_key(PACKED("\x91\x91\x91\x91\x91\x91\x91\x91\xc3"),
        BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x01"));
    assert_key(
        PACKED("\x91\x91\x91\x91\x91\x91\x91\x90"), BYTES("\x91\x91\x91\x91\x91\x91\x91\x90"));
}

Test(value_key, what_cannot_be_a_key)
{
    broker_value unknown = broker_nil();

    assert_refused(broker_double((double)NAN), BROKER_BADKEY);
    assert_refused(PACKED("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), BROKER_BADKEY);
    assert_refused(PACKED("\xca\x7f\xc0\x00\x00"), BROKER_BADKEY);
    assert_refused(PACKED("\x91\xcb\xff\xf8\x00\x00\x00\x00\x00\x00"), BROKER_BADKEY);
    assert_refused(PACKED("\x80"), BROKER_BADKEY);
    assert_refused(PACKED("\x92\x01\x81\x01\x02"), BROKER_BADKEY);
    assert_refused(PACKED("\xd4\x05x"), BROKER_BADKEY);
    assert_refused(PACKED("\xd8\x01"
                          "0123456789abcdef"),
        BROKER_BADKEY);
    assert_refused(PACKED("\x91\xd6\xff"
                          "1234"),
        BROKER_BADKEY);
    assert_refused(PACKED("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"), BROKER_BADKEY);
    assert_refused(PACKED("\x91\x91\x91\x91\x91\x91\x91\x91\x90"), BROKER_BADKEY);
    unknown.type = BROKER_REF + 1;
    assert_refused(unknown, BROKER_INVALID);
    assert_refused(broker_strn(NULL, 3), BROKER_INVALID);
    assert_refused(broker_bin(NULL, 3), BROKER_INVALID);
    assert_refused(PACKED("\x92\x01"), BROKER_INVALID);
    assert_refused(PACKED(""), BROKER_INVALID);
    assert_refused(PACKED("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
                          "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"),
        BROKER_TOODEEP);
    bri_key_fini(NULL);
}

/*
 * @n bytes as a string, a byte string, or an array of one string: @header is what comes before them
 * in the key.
 */
static void assert_long_key(char kind, size_t n, const char *header, size_t n_header)
{
    char *bytes = malloc(n + 8);
    broker_value v;
    struct bri_key k;

    cr_assert_not_null(bytes);
    memset(bytes, 'k', n + 8);
    if (kind == 's')
        v = broker_strn(bytes, n);
    else if (kind == 'b')
        v = broker_bin(bytes, n);
    else
        v = broker_packed(memcpy(bytes, header, n_header), n_header + n);
    if (n_header + n > BRI_KEY_MAX) {
        assert_refused(v, BROKER_TOOBIG);
        free(bytes);
        return;
    }
    cr_assert_eq(bri_key_init(&k, v), 0);
    memset(bytes, 'x', n + 8); /* the key is independent of the value's memory */
    cr_assert_eq(k.size, n_header + n);
    cr_assert_eq(k.heap != NULL, k.size > BRI_KEY_INLINE);
    cr_assert_eq(memcmp(k.data, header, n_header), 0);
    for (size_t i = n_header; i < k.size; i++)
        cr_assert_eq(k.data[i], 'k');
    bri_key_fini(&k);
    cr_assert_null(k.heap);
    free(bytes);
}

Test(value_key, long_keys_up_to_the_limit)
{
    assert_long_key('s', 31, BYTES("\xbf"));
    assert_long_key('s', 32, BYTES("\xd9\x20"));
    assert_long_key('s', 126, BYTES("\xd9\x7e"));
    assert_long_key('s', 127, BYTES("\xd9\x7f"));
    assert_long_key('s', 255, BYTES("\xd9\xff"));
    assert_long_key('s', 256, BYTES("\xda\x01\x00"));
    assert_long_key('s', 65533, BYTES("\xda\xff\xfd"));
    assert_long_key('s', 65534, BYTES("\xda\xff\xfe"));
    assert_long_key('b', 126, BYTES("\xc4\x7e"));
    assert_long_key('b', 127, BYTES("\xc4\x7f"));
    assert_long_key('b', 65533, BYTES("\xc5\xff\xfd"));
    assert_long_key('b', 65534, BYTES("\xc5\xff\xfe"));
    assert_long_key('a', 125, BYTES("\x91\xd9\x7d"));
    assert_long_key('a', 126, BYTES("\x91\xd9\x7e"));
    assert_long_key('a', 65532, BYTES("\x91\xda\xff\xfc"));
    assert_long_key('a', 65533, BYTES("\x91\xda\xff\xfd"));
    assert_refused(broker_strn("", UINT32_MAX), BROKER_TOOBIG);
}

Test(value_key, no_memory_for_a_long_key)
{
    uint8_t packed[400];
    char text[200];

    memset(text, 'k', sizeof(text));
    memset(packed, 0x01, sizeof(packed));
    memcpy(packed, "\xdc\x01\x8d", 3);
    failing_after(0);
    assert_refused(broker_strn(text, sizeof(text)), BROKER_NOMEM);
    cr_assert(failing_end());
    failing_after(0);
    assert_refused(broker_packed(packed, sizeof(packed)), BROKER_NOMEM);
    cr_assert(failing_end());
    failing_after(0);
    assert_key(broker_str("short"), BYTES("\xa5short"));
    cr_assert_not(failing_end(), "short keys allocate nothing");
}

/* A key may be longer than the value: each float32 here becomes a double. */
Test(value_key, keys_that_grow)
{
    static uint8_t data[3 + 14000 * 5];
    struct bri_key k;
    broker_value v;

    for (unsigned int n = 10; n <= 14000; n += n < 20 ? 1 : 1998) {
        data[0] = 0xdc;
        data[1] = (uint8_t)(n >> 8);
        data[2] = (uint8_t)n;
        for (unsigned int i = 0; i < n; i++)
            memcpy(data + 3 + 5 * i, "\xca\x3f\x00\x00\x00", 5);
        v = broker_packed(data, 3 + 5 * (size_t)n);
        if (9 * n + 3 > BRI_KEY_MAX) {
            assert_refused(v, BROKER_TOOBIG);
            continue;
        }
        cr_assert_eq(bri_key_init(&k, v), 0);
        cr_assert_eq(k.size, 9 * n + (n < 16 ? 1 : 3));
        for (unsigned int i = 0; i < n; i++)
            cr_assert_eq(memcmp(k.data + (n < 16 ? 1 : 3) + 9 * i,
                             "\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", 9),
                0);
        bri_key_fini(&k);
    }
}

/* Two values have the same key if and only if they are equal; and a key is its own key. */
Test(value_key, same_key_if_and_only_if_equal)
{
    const uint64_t seed = random_seed();
    struct random r = {seed};
    unsigned int n_same = 0;

    for (unsigned int i = 0; i < 200000; i++) {
        uint8_t data[2][40];
        size_t size[2];
        struct bri_key k[2];
        bool keys = true;
        bool same;

        for (int j = 0; j < 2; j++) {
            size[j] = random_value(&r, data[j], 1 + random_below(&r, sizeof(data[j])), 2);
            keys &= bri_key_init(&k[j], broker_packed(data[j], size[j])) == 0;
        }
        if (keys) {
            same = k[0].size == k[1].size && memcmp(k[0].data, k[1].data, k[0].size) == 0;
            n_same += same;
            cr_assert_eq(same, bri_value_equal(data[0], size[0], data[1], size[1]),
                "seed %#llx, input %u", (unsigned long long)seed, i);
            cr_assert(bri_value_equal(data[0], size[0], k[0].data, k[0].size),
                "seed %#llx, input %u", (unsigned long long)seed, i);
            assert_key(broker_packed(k[0].data, k[0].size), (const char *)k[0].data, k[0].size);
        }
        bri_key_fini(&k[0]);
        bri_key_fini(&k[1]);
    }
    cr_assert_gt(n_same, 100, "too few keys were the same to compare");
}
