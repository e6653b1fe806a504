/*
 * numbers.h - numbers of a chosen type: what value and array are made of
 *
 * A type is named by one letter, as in CPython's array module. Between memory and values a number
 * has a form of 64 bits: a whole number extended to 64 bits, or the bits of a double. What goes in
 * is checked against the type; what is in always fits.
 */
#ifndef BRI_NUMBERS_H
#define BRI_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <broker/errors.h>
#include <broker/value.h>

enum bri_number_class { BRI_NOT_A_TYPE, BRI_SIGNED, BRI_UNSIGNED, BRI_FLOATING };

struct bri_number_type {
    char code[2];     /* the letter, as text */
    uint8_t class_no; /* enum bri_number_class */
    uint8_t size;     /* bytes in an array: 1, 2, 4 or 8 */
    uint64_t max;     /* of whole numbers; the smallest signed one is -max - 1 */
};

#define BRI_N_NUMBER_CODES 128u
extern const struct bri_number_type bri_number_types[BRI_N_NUMBER_CODES];

/* The type with this letter, which may come from shared memory; NULL if there is none. */
static inline const struct bri_number_type *bri_number_type(uint32_t code)
{
    const struct bri_number_type *type = &bri_number_types[code % BRI_N_NUMBER_CODES];

    return code < BRI_N_NUMBER_CODES && type->class_no != BRI_NOT_A_TYPE ? type : NULL;
}

/* The bits of a double from those of a float, and back. */
static inline uint64_t bri_number_widen(uint32_t narrow)
{
    uint64_t bits;
    double d;
    float f;

    memcpy(&f, &narrow, sizeof(f));
    d = (double)f;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static inline uint32_t bri_number_narrow(uint64_t bits)
{
    uint32_t narrow;
    double d;
    float f;

    memcpy(&d, &bits, sizeof(d));
    f = (float)d;
    memcpy(&narrow, &f, sizeof(narrow));
    return narrow;
}

/* The 64-bit form of the element at @p, which is aligned as its type is in C; one load. */
static inline uint64_t bri_number_load(const struct bri_number_type *type, const void *p)
{
    uint64_t bits = 0;

    switch (type->size) {
    case 1:
        bits = __atomic_load_n((const uint8_t *)p, __ATOMIC_RELAXED);
        return type->class_no == BRI_SIGNED ? (uint64_t)(int64_t)(int8_t)bits : bits;
    case 2:
        bits = __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
        return type->class_no == BRI_SIGNED ? (uint64_t)(int64_t)(int16_t)bits : bits;
    case 4:
        bits = __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
        if (type->class_no == BRI_FLOATING)
            return bri_number_widen((uint32_t)bits);
        return type->class_no == BRI_SIGNED ? (uint64_t)(int64_t)(int32_t)bits : bits;
    default:
        return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

/* Makes the element at @p the number with these bits; one store. */
static inline void bri_number_store(const struct bri_number_type *type, void *p, uint64_t bits)
{
    switch (type->size) {
    case 1:
        __atomic_store_n((uint8_t *)p, (uint8_t)bits, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)p, (uint16_t)bits, __ATOMIC_RELAXED);
        break;
    case 4:
        if (type->class_no == BRI_FLOATING)
            bits = bri_number_narrow(bits);
        __atomic_store_n((uint32_t *)p, (uint32_t)bits, __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((uint64_t *)p, bits, __ATOMIC_RELAXED);
        break;
    }
}

/* The letter that an option asks for; NULL asks for none and gets 'q'. INVALID if it is no type. */
int bri_number_code(const char *text, uint32_t *out_code);

/* The 64-bit form of @v in the type. WRONGVALUE if it is no number, or a double for whole numbers;
 * OVERFLOW if it does not fit. */
int bri_number_bits_any(const struct bri_number_type *type, broker_value v, uint64_t *out_bits);

static inline int bri_number_bits(
    const struct bri_number_type *type, broker_value v, uint64_t *out_bits)
{
    if (v.type != BROKER_INT || type->class_no == BRI_FLOATING || v.i < 0 || v.u > type->max)
        return bri_number_bits_any(type, v, out_bits);
    *out_bits = v.u;
    return 0;
}

/* A number as a value: an int if it fits into one, else a uint; or a double. */
static inline broker_value bri_number_value(const struct bri_number_type *type, uint64_t bits)
{
    broker_value v = broker_uint(bits);

    if (type->class_no == BRI_FLOATING)
        v.type = BROKER_DOUBLE;
    else if (type->class_no == BRI_SIGNED || bits <= INT64_MAX)
        v.type = BROKER_INT;
    return v;
}

/*
 * The sum of a number and @delta, which for whole numbers need not fit into the type itself. Errors
 * as of bri_number_bits().
 */
int bri_number_sum(
    const struct bri_number_type *type, uint64_t bits, broker_value delta, uint64_t *out_bits);

/* Whether two numbers of the type are equal, as numbers. */
bool bri_number_equal(const struct bri_number_type *type, uint64_t a, uint64_t b);

/* Whether these bits are the 64-bit form of a number of the type. */
bool bri_number_fits(const struct bri_number_type *type, uint64_t bits);

#endif
