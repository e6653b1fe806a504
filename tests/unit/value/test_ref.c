/*
 * References in values: their bytes, and finding them in other values.
 */
#include "value/value.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define REF(slot, identity) bri_ref_value((struct bri_ref){(slot), (identity)})

/* As many references as bri_ref_next() finds; the last one's slot. */
static unsigned count(const uint8_t *bytes, size_t size, uint32_t *out_slot)
{
    const uint8_t *at = bytes;
    struct bri_ref ref;
    unsigned n = 0;

    for (; bri_ref_next(&at, bytes + size, &ref); n++)
        *out_slot = ref.slot;
    return n;
}

Test(value_ref, comes_back_as_it_was)
{
    uint8_t bytes[BRI_REF_BYTES];
    broker_value v = REF(4711, UINT64_C(0xbeef000000000102)), back;
    size_t size;

    cr_assert_eq(bri_value_measure(v, &size), 0);
    cr_assert_eq(size, BRI_REF_BYTES);
    cr_assert_eq(bri_value_encode(v, bytes), size);
    cr_assert_eq(memcmp(bytes, "\xd8\x01\0\0\0\0\0\0\x12\x67\xbe\xef\0\0\0\0\x01\x02", 18), 0);
    cr_assert_eq(bri_value_check(bytes, size), 0);
    cr_assert_eq(bri_value_decode(bytes, size, &back), 0);
    cr_assert_eq(back.type, BROKER_REF);
    cr_assert_eq(back.size, v.size);
    cr_assert_eq(back.u, v.u);
}

Test(value_ref, other_extensions_stay_packed)
{
    static const struct {
        const char *bytes;
        size_t size;
    } others[] = {
        {"\xd8\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01", 18},     /* of another type */
        {"\xc7\x10\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01", 19}, /* in another form */
        {"\xd8\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01", 18},   /* a slot beyond all */
        {"\xd8\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0", 18},       /* of nothing */
        {"\xd7\x01\0\0\0\0\0\0\0\x01", 10},                       /* half of one */
    };
    uint32_t slot;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        broker_value v;

        cr_assert_eq(bri_value_decode(others[i].bytes, others[i].size, &v), 0, "%zu", i);
        cr_assert_eq(v.type, BROKER_PACKED, "%zu", i);
        cr_assert_not(bri_ref_in(v), "%zu", i);
        cr_assert_eq(count((const uint8_t *)others[i].bytes, others[i].size, &slot), 0, "%zu", i);
    }
}

Test(value_ref, is_found_wherever_it_is)
{
    uint8_t bytes[256], *p = bytes;
    uint32_t slot = 0;

    *p++ = 0x93; /* [{"k": ref 7}, bytes that look like one, [ref 9]] */
    *p++ = 0x81;
    p += bri_value_encode(broker_str("k"), p);
    p += bri_value_encode(REF(7, 1), p);
    {
        uint8_t fake[BRI_REF_BYTES];

        (void)bri_ref_write(fake, (struct bri_ref){8, 1});
        p += bri_value_encode(broker_bin(fake, sizeof(fake)), p);
    }
    *p++ = 0x91;
    p += bri_value_encode(REF(9, 1), p);
    cr_assert_eq(bri_value_check(bytes, (size_t)(p - bytes)), 0);
    cr_assert(bri_ref_in(broker_packed(bytes, (size_t)(p - bytes))));
    cr_assert_eq(count(bytes, (size_t)(p - bytes), &slot), 2);
    cr_assert_eq(slot, 9);
    /* Cut off in the middle of the last one: that is none. */
    cr_assert_eq(count(bytes, (size_t)(p - bytes) - 1, &slot), 1);
    cr_assert_eq(slot, 7);
}

Test(value_ref, is_neither_key_nor_comparable_but_equal_to_itself)
{
    uint8_t a[BRI_REF_BYTES], b[BRI_REF_BYTES];
    struct bri_key key;
    int order;

    (void)bri_value_encode(REF(1, 5), a);
    (void)bri_value_encode(REF(1, 6), b);
    cr_assert_eq(bri_key_init(&key, REF(1, 5)), BROKER_BADKEY);
    bri_key_fini(&key);
    cr_assert_eq(bri_value_compare(a, sizeof(a), b, sizeof(b), &order), BROKER_INCOMPARABLE);
    cr_assert(bri_value_equal(a, sizeof(a), a, sizeof(a)));
    cr_assert_not(bri_value_equal(a, sizeof(a), b, sizeof(b)));
}

/* Values without a reference must cost no walk: a megabyte of them is looked at in one piece. */
Test(value_ref, marks_inside_of_texts_are_passed_over)
{
    size_t n = 1 << 20;
    uint8_t *bytes = malloc(n);
    uint32_t slot = 0;

    cr_assert_not_null(bytes);
    bytes[0] = 0xdd; /* an array of byte strings with the mark in each */
    memcpy(bytes + 1, "\0\x02\0\0", 4);
    for (size_t i = 5; i + 8 <= n; i += 8)
        memcpy(bytes + i, "\xc4\x06\xd8\x01\xd8\x01\xd8\x01", 8);
    cr_assert_eq(count(bytes, 5 + 0x1ffff * 8, &slot), 0);
    free(bytes);
}
