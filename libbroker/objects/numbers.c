/*
 * numbers.c - see numbers.h
 */
#include "objects/numbers.h"

#include <math.h>
#include <string.h>

#include "value/value.h"

#define MAX_CODE_POINT 0x10ffff

#define SIGNED(letter, size_)                                                                      \
    [letter] = {{letter, '\0'}, BRI_SIGNED, size_, UINT64_MAX >> (65 - 8 * (size_))}
#define UNSIGNED(letter, size_)                                                                    \
    [letter] = {{letter, '\0'}, BRI_UNSIGNED, size_, UINT64_MAX >> (64 - 8 * (size_))}
#define FLOATING(letter, size_) [letter] = {{letter, '\0'}, BRI_FLOATING, size_, 0}

const struct bri_number_type bri_number_types[BRI_N_NUMBER_CODES] = {
    SIGNED('b', 1),
    UNSIGNED('B', 1),
    SIGNED('h', 2),
    UNSIGNED('H', 2),
    SIGNED('i', 4),
    UNSIGNED('I', 4),
    SIGNED('l', 8),
    UNSIGNED('L', 8),
    SIGNED('q', 8),
    UNSIGNED('Q', 8),
    FLOATING('f', 4),
    FLOATING('d', 8),
    ['u'] = {{'u', '\0'}, BRI_UNSIGNED, 4, MAX_CODE_POINT},
};

int bri_number_code(const char *text, uint32_t *out_code)
{
    uint32_t code = text != NULL ? (unsigned char)text[0] : 'q';

    if (bri_number_type(code) == NULL || (text != NULL && text[1] != '\0'))
        return BROKER_INVALID;
    *out_code = code;
    return 0;
}

/* ---- 64-bit forms ---- */

static double double_of(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

static int float_bits(const struct bri_number_type *type, double d, uint64_t *out_bits)
{
    if (type->size == sizeof(float)) {
        float narrow = (float)d;

        if (isinf(narrow) && !isinf(d))
            return BROKER_OVERFLOW;
        d = (double)narrow;
    }
    memcpy(out_bits, &d, sizeof(d));
    return 0;
}

static int whole_bits(const struct bri_number_type *type, __int128 n, uint64_t *out_bits)
{
    __int128 max = (__int128)type->max;

    if (n > max || n < (type->class_no == BRI_SIGNED ? -max - 1 : 0))
        return BROKER_OVERFLOW;
    *out_bits = (uint64_t)n;
    return 0;
}

static __int128 whole_of(const struct bri_number_type *type, uint64_t bits)
{
    return type->class_no == BRI_SIGNED ? (__int128)(int64_t)bits : (__int128)bits;
}

/* ---- values ---- */

/* A whole number, or with *@out_is_whole false a double. WRONGVALUE if it is none. */
static int read_number(broker_value v, bool *out_is_whole, __int128 *out_whole, double *out_double)
{
    if (v.type == BROKER_PACKED && bri_value_measure(v, &(size_t){0}) == 0)
        (void)bri_value_decode(v.data, v.size, &v);
    *out_is_whole = v.type != BROKER_DOUBLE;
    switch (v.type) {
    case BROKER_BOOL:
        *out_whole = v.b;
        return 0;
    case BROKER_INT:
        *out_whole = v.i;
        return 0;
    case BROKER_UINT:
        *out_whole = v.u;
        return 0;
    case BROKER_DOUBLE:
        *out_double = v.d;
        return 0;
    default:
        return BROKER_WRONGVALUE;
    }
}

int bri_number_bits_any(const struct bri_number_type *type, broker_value v, uint64_t *out_bits)
{
    __int128 whole = 0;
    double d = 0;
    bool is_whole;
    int r = read_number(v, &is_whole, &whole, &d);

    if (r < 0)
        return r;
    if (type->class_no == BRI_FLOATING)
        return float_bits(type, is_whole ? (double)whole : d, out_bits);
    return is_whole ? whole_bits(type, whole, out_bits) : BROKER_WRONGVALUE;
}

int bri_number_sum(
    const struct bri_number_type *type, uint64_t bits, broker_value delta, uint64_t *out_bits)
{
    __int128 whole = 0;
    double d = 0;
    bool is_whole;
    int r = read_number(delta, &is_whole, &whole, &d);

    if (r < 0)
        return r;
    if (type->class_no == BRI_FLOATING)
        return float_bits(type, double_of(bits) + (is_whole ? (double)whole : d), out_bits);
    return is_whole ? whole_bits(type, whole_of(type, bits) + whole, out_bits) : BROKER_WRONGVALUE;
}

bool bri_number_equal(const struct bri_number_type *type, uint64_t a, uint64_t b)
{
    return type->class_no == BRI_FLOATING ? double_of(a) == double_of(b) : a == b;
}

bool bri_number_fits(const struct bri_number_type *type, uint64_t bits)
{
    uint64_t again = 0;

    if (type->class_no != BRI_FLOATING)
        return whole_bits(type, whole_of(type, bits), &again) == 0;
    return isnan(double_of(bits)) ||
           (float_bits(type, double_of(bits), &again) == 0 && again == bits);
}
