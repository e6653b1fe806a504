/*
 * bri_value_check(): exactly one msgpack value, and nothing that costs more than its bytes.
 */
#include "random.h"
#include "value/value.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <msgpack.h>
#include <stdlib.h>

#define BYTES(literal) (literal), sizeof(literal) - 1

/* ASan must not end the process where msgpack-c asks for more memory than there is. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/*
 * Check a copy that ends where the value does, so that a sanitizer sees every byte read too many.
 */
static int check(const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    int r;

    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    r = bri_value_check(copy, size);
    free(copy);
    return r;
}

Test(value_check, one_byte_is_a_value_if_its_format_has_no_more)
{
    for (unsigned int first = 0; first <= UINT8_MAX; first++) {
        uint8_t byte = (uint8_t)first;
        bool alone = first <= 0x80 || first == 0x90 || first == 0xa0 || first == 0xc0 ||
                     first == 0xc2 || first == 0xc3 || first >= 0xe0;

        cr_assert_eq(check(&byte, 1), alone ? 0 : BROKER_INVALID, "first byte 0x%02x", first);
    }
    cr_assert_eq(bri_value_check(NULL, 0), BROKER_INVALID);
}

/* The number formats: each needs exactly so many bytes more. */
Test(value_check, numbers_need_all_their_bytes)
{
    static const struct {
        uint8_t format;
        size_t n_bytes;
    } numbers[] = {{0xca, 4}, {0xcb, 8}, {0xcc, 1}, {0xcd, 2}, {0xce, 4}, {0xcf, 8}, {0xd0, 1},
        {0xd1, 2}, {0xd2, 4}, {0xd3, 8}, {0xd4, 2}, {0xd5, 3}, {0xd6, 5}, {0xd7, 9}, {0xd8, 17}};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint8_t data[20];

        memset(data, 0xff, sizeof(data));
        data[0] = numbers[i].format;
        for (size_t size = 1; size <= sizeof(data); size++)
            cr_assert_eq(check(data, size), size == 1 + numbers[i].n_bytes ? 0 : BROKER_INVALID,
                "0x%02x with %zu bytes", numbers[i].format, size);
    }
}

/*
 * The formats that announce a size, with the bytes that come before the body and the bytes that
 * each unit takes.
 */
static const struct {
    uint8_t format;
    size_t n_length;
    size_t n_extra; /* the type of an extension */
    size_t n_each;  /* bytes of the shortest element */
} sized[] = {
    {0xc4, 1, 0, 1},
    {0xc5, 2, 0, 1},
    {0xc6, 4, 0, 1},
    {0xc7, 1, 1, 1},
    {0xc8, 2, 1, 1},
    {0xc9, 4, 1, 1},
    {0xd9, 1, 0, 1},
    {0xda, 2, 0, 1},
    {0xdb, 4, 0, 1},
    {0xdc, 2, 0, 1},
    {0xdd, 4, 0, 1},
    {0xde, 2, 0, 2},
    {0xdf, 4, 0, 2},
};

/* A header that announces @n, and a body of nils behind it. */
static size_t announce(uint8_t *out, size_t which, uint64_t n, size_t n_body)
{
    uint64_t big = htobe64(n);
    size_t n_length = sized[which].n_length;

    out[0] = sized[which].format;
    memcpy(out + 1, (const uint8_t *)&big + 8 - n_length, n_length);
    memset(out + 1 + n_length, 0xc0, sized[which].n_extra + n_body);
    return 1 + n_length + sized[which].n_extra + n_body;
}

Test(value_check, sizes_at_the_bounds_of_their_formats)
{
    static const size_t sizes[] = {0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65535, 65536};
    uint8_t *data = malloc(3 * 65536);

    cr_assert_not_null(data);
    for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            size_t n_body = sizes[j] * sized[i].n_each;
            size_t size = announce(data, i, sizes[j], n_body);

            if (sizes[j] >> 8 * sized[i].n_length != 0)
                continue;
            cr_assert_eq(check(data, size), 0, "0x%02x of %zu", sized[i].format, sizes[j]);
            data[size] = 0xc0;
            cr_assert_eq(check(data, size + 1), BROKER_INVALID, "trailing byte");
            for (size_t cut = 1; cut < 8 && cut < size; cut++)
                cr_assert_eq(check(data, size - cut), BROKER_INVALID, "0x%02x of %zu without %zu",
                    sized[i].format, sizes[j], cut);
        }
    }
    free(data);
}

Test(value_check, sizes_beyond_the_bytes_are_refused)
{
    for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
        uint64_t most = (UINT64_C(1) << 8 * sized[i].n_length) - 1;

        for (uint64_t n = most; n > 20; n = n / 2 + 1 < n ? n / 2 + 1 : 0) {
            uint8_t data[64];
            size_t size = announce(data, i, n, 20);

            cr_assert_eq(check(data, size), BROKER_INVALID, "0x%02x of %llu", sized[i].format,
                (unsigned long long)n);
        }
    }
    /* The template's length of an ext 32 wraps around to 0 here. */
    cr_assert_eq(check(BYTES("\xc9\xff\xff\xff\xff\x05")), BROKER_INVALID);
    cr_assert_eq(check(BYTES("\xc9\xff\xff\xff\xff")), BROKER_INVALID);
}

/* @n containers of the kind of @opening, one inside the other, around @core. */
static int check_nested(
    const void *opening, size_t n_opening, unsigned int n, const void *core, size_t n_core)
{
    uint8_t data[1024];
    size_t size = 0;

    for (unsigned int i = 0; i < n; i++) {
        memcpy(data + size, opening, n_opening);
        size += n_opening;
    }
    memcpy(data + size, core, n_core);
    return check(data, size + n_core);
}

Test(value_check, nesting_ends_at_the_limit)
{
    static const struct {
        const char *bytes;
        size_t size;
    } openings[] = {
        {BYTES("\x91")},
        {BYTES("\xdc\x00\x01")},
        {BYTES("\xdd\x00\x00\x00\x01")},
        {BYTES("\x81\xc0")},
        {BYTES("\xde\x00\x01\xc0")},
        {BYTES("\xdf\x00\x00\x00\x01\xc0")},
    };

    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        const char *bytes = openings[i].bytes;
        size_t size = openings[i].size;

        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH, BYTES("\x01")), 0);
        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH - 1, BYTES("\x90")), 0);
        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH, BYTES("\x90")), BROKER_TOODEEP);
        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH, BYTES("\x80")), BROKER_TOODEEP);
        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH + 1, BYTES("\x01")), BROKER_TOODEEP);
        cr_assert_eq(check_nested(bytes, size, BRI_VALUE_DEPTH, BYTES("")), BROKER_INVALID);
    }
}

/* Few bytes that announce very much. */
Test(value_check, bombs_are_refused)
{
    cr_assert_eq(check(BYTES("\xdd\xff\x00\x00\x00")), BROKER_INVALID);
    cr_assert_eq(check(BYTES("\xdf\xff\xff\xff\xff")), BROKER_INVALID);
    cr_assert_eq(check(BYTES("\xdf\x80\x00\x00\x00\xc0\xc0")), BROKER_INVALID);
    cr_assert_eq(check(BYTES("\x92\x91\xc0")), BROKER_INVALID);
    cr_assert_eq(check_nested(BYTES("\xdc\xff\xff"), 31, BYTES("\xc0")), BROKER_INVALID);
    cr_assert_eq(check_nested(BYTES("\xdd\xff\xff\xff\xff"), 31, BYTES("\xc0")), BROKER_INVALID);
}

/*
 * It is the announcement that is refused, before what lies behind it is looked at: an array or map
 * announces @n values, of which the first nests too deeply. All announcements together cannot be
 * more than there are bytes.
 */
static int check_announced(uint8_t format, unsigned int n)
{
    uint8_t data[100];

    memset(data, 0x91, sizeof(data));
    data[0] = format;
    data[1] = 0;
    data[2] = (uint8_t)n;
    return check(data, sizeof(data));
}

Test(value_check, counts_are_held_against_the_bytes_that_are_left)
{
    const unsigned int n_others = BRI_VALUE_DEPTH - 1; /* announced by what nests, one by each */
    const unsigned int most = 100 - 1 - n_others;

    cr_assert_eq(check_announced(0xdc, most), BROKER_TOODEEP);
    cr_assert_eq(check_announced(0xdc, most + 1), BROKER_INVALID);
    cr_assert_eq(check_announced(0xde, most / 2), BROKER_TOODEEP);
    cr_assert_eq(check_announced(0xde, most / 2 + 1), BROKER_INVALID);
}

/* Something of everything, cut at every byte and followed by every byte. */
Test(value_check, a_value_cut_short_or_followed_by_something_is_refused)
{
    static const char rich[] =
        "\x9e\xc0\xc2\xc3\x05\xe0\xcd\x01\x00\xd3\xff\xff\xff\xff\xff\xff\xff\x00"
        "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xca\x3f\xc0\x00\x00\xa3"
        "abc\xc4\x02xy\xd6\x01wxyz\x82\xa1k\x91\x01\x02\x80\x93\x90\x91\xa0\xd9\x01z";
    size_t size = sizeof(rich) - 1;
    uint8_t longer[sizeof(rich)];

    cr_assert_eq(check(rich, size), 0);
    for (size_t n = 0; n < size; n++)
        cr_assert_eq(check(rich, n), BROKER_INVALID, "cut to %zu", n);
    memcpy(longer, rich, size);
    for (unsigned int last = 0; last <= UINT8_MAX; last++) {
        longer[size] = (uint8_t)last;
        cr_assert_eq(check(longer, size + 1), BROKER_INVALID, "followed by 0x%02x", last);
    }
}

static bool msgpack_accepts(const void *data, size_t size)
{
    msgpack_unpacked result;
    size_t used = 0;
    msgpack_unpack_return r;

    msgpack_unpacked_init(&result);
    r = msgpack_unpack_next(&result, data, size, &used);
    msgpack_unpacked_destroy(&result);
    return r == MSGPACK_UNPACK_SUCCESS && used == size;
}

Test(value_check, accepts_what_msgpack_c_accepts_and_nothing_else)
{
    const uint64_t seed = random_seed();
    struct random r = {seed};
    unsigned int n_accepted = 0;

    for (unsigned int i = 0; i < 50000; i++) {
        uint8_t data[600];
        size_t size = random_value(&r, data, 300, 6);
        int checked;

        cr_assert_eq(check(data, size), 0, "seed %#llx, input %u", (unsigned long long)seed, i);
        cr_assert(msgpack_accepts(data, size), "seed %#llx, input %u", (unsigned long long)seed, i);
        size = random_damage(&r, data, size, sizeof(data));
        checked = check(data, size);
        if (checked == 0)
            n_accepted++;
        /*
         * msgpack-c allocates what 32-bit counts announce, before it looks for it: not asked about
         * those we refuse.
         */
        if (checked == 0 || (memchr(data, 0xdd, size) == NULL && memchr(data, 0xdf, size) == NULL))
            cr_assert_eq(checked == 0, msgpack_accepts(data, size), "seed %#llx, damaged input %u",
                (unsigned long long)seed, i);
    }
    cr_assert_gt(n_accepted, 1000, "the damage leaves too little to compare");
    cr_assert_lt(n_accepted, 49000, "the damage does too little");
}
