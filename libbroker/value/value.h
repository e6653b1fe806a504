/*
 * Values inside the library: checking, encoding and decoding msgpack, canonical keys, order and
 * equality.
 *
 * What a caller gives is checked once, by bri_value_measure(), and then encoded. What comes out of
 * shared memory was checked when it went in, but is input all the same: everything here that reads
 * msgpack stays inside the bytes it was given and ends after a number of steps that those bytes
 * bound. Nothing here allocates, except bri_key_init() for a long key and the buffer functions. The
 * functions know nothing of shared memory: a crash inside one leaves nothing.
 *
 * The cases of which hot paths consist (short strings, numbers) are inline.
 */
#ifndef BRI_VALUE_VALUE_H
#define BRI_VALUE_VALUE_H

#include <broker/errors.h>
#include <broker/value.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/ref.h"

/* Containers nest so deep at most. */
#define BRI_VALUE_DEPTH 32

/* The next reference in the encoded value (or values) from *@at on, which is moved behind it; false
 * when there is none any more. */
bool bri_ref_next(const uint8_t **at, const uint8_t *end, struct bri_ref *out);

/* Whether there is a reference in @v, which was measured before. */
bool bri_ref_in_packed(broker_value v);
static inline bool bri_ref_in(broker_value v)
{
    return __builtin_expect(v.type >= BROKER_PACKED, 0) &&
           (v.type == BROKER_REF || bri_ref_in_packed(v));
}

static inline broker_value bri_ref_value(struct bri_ref ref)
{
    broker_value v = broker_nil();

    v.type = BROKER_REF;
    v.size = ref.slot;
    v.u = ref.identity;
    return v;
}

/*
 * Walk over the bytes: they must be exactly one msgpack value, with nothing after it.
 * BROKER_TOODEEP if containers nest deeper than BRI_VALUE_DEPTH, BROKER_INVALID for everything else
 * that is wrong. Strings are not checked for UTF-8.
 */
int bri_value_check(const void *data, size_t size);

/* The same for the first of several values: how many bytes it has. */
int bri_value_check_first(const void *data, size_t size, size_t *out_used);

/* The cases of the inline functions below that are not worth having inline. */
int bri_value_measure_packed(broker_value v, size_t *out_size);
int bri_value_decode_any(const void *data, size_t size, broker_value *out);

static inline size_t bri_uint_size(uint64_t u)
{
    if (u <= INT8_MAX)
        return 1;
    if (u <= UINT8_MAX)
        return 2;
    if (u <= UINT16_MAX)
        return 3;
    return u <= UINT32_MAX ? 5 : 9;
}

static inline size_t bri_int_size(int64_t i)
{
    if (i >= 0)
        return bri_uint_size((uint64_t)i);
    if (i >= -32)
        return 1;
    if (i >= INT8_MIN)
        return 2;
    if (i >= INT16_MIN)
        return 3;
    return i >= INT32_MIN ? 5 : 9;
}

/* The header of a string or byte string of @size bytes; only strings have one of a single byte. */
static inline size_t bri_bytes_header_size(uint32_t type, uint32_t size)
{
    if (type == BROKER_STR && size < 32)
        return 1;
    if (size <= UINT8_MAX)
        return 2;
    return size <= UINT16_MAX ? 3 : 5;
}

/*
 * Check @v (a known type, bytes where there must be some, BROKER_PACKED by bri_value_check()) and
 * give the size it has encoded in the shortest form; packed bytes stay as they are. BROKER_INVALID
 * or BROKER_TOODEEP; BROKER_TOOBIG if broker_strn() and the like were given more than they can
 * carry.
 */
static inline int bri_value_measure(broker_value v, size_t *out_size)
{
    switch (v.type) {
    case BROKER_NIL:
    case BROKER_BOOL:
        *out_size = 1;
        return 0;
    case BROKER_INT:
        *out_size = bri_int_size(v.i);
        return 0;
    case BROKER_UINT:
        *out_size = bri_uint_size(v.u);
        return 0;
    case BROKER_DOUBLE:
        *out_size = 9;
        return 0;
    case BROKER_STR:
    case BROKER_BIN:
        if (v.size == UINT32_MAX)
            return BROKER_TOOBIG;
        if (v.data == NULL && v.size > 0)
            return BROKER_INVALID;
        *out_size = bri_bytes_header_size(v.type, v.size) + v.size;
        return 0;
    case BROKER_PACKED:
        return bri_value_measure_packed(v, out_size);
    case BROKER_REF:
        *out_size = BRI_REF_BYTES;
        return v.u != 0 ? 0 : BROKER_INVALID; /* broker_ref() of what is no handle */
    default:
        return BROKER_INVALID;
    }
}

/* Write @v, which was measured before, to @out: exactly the measured size, which is returned. */
size_t bri_value_encode(broker_value v, void *out);

/*
 * The value that the @size bytes at @data are: scalars in the struct, strings and byte strings as a
 * pointer into these bytes; arrays, maps and extensions as BROKER_PACKED of all of them, but for
 * references, which are BROKER_REF. Integers are BROKER_INT if they fit, else BROKER_UINT. The
 * inside of arrays and maps is not walked. BROKER_CORRUPT if the header does not agree with @size.
 */
static inline int bri_value_decode(const void *data, size_t size, broker_value *out)
{
    const uint8_t *p = data;
    uint8_t first;

    if (size == 0)
        return BROKER_CORRUPT;
    first = p[0];
    if ((first & 0xe0) == 0xa0 && size - 1 == (first & 0x1f)) {
        *out = broker_strn((const char *)p + 1, size - 1);
        return 0;
    }
    if ((first == 0xd9 || first == 0xc4) && size >= 2 && size - 2 == p[1]) {
        *out = broker_bin(p + 2, size - 2);
        out->type = first == 0xd9 ? BROKER_STR : BROKER_BIN;
        return 0;
    }
    if (first <= INT8_MAX && size == 1) {
        *out = broker_int(first);
        return 0;
    }
    return bri_value_decode_any(data, size, out);
}

/*
 * Canonical keys: two values are the same key, as Python sees it, if and only if their canonical
 * bytes are the same. A canonical key is itself msgpack in the shortest form: bools are 0 and 1, a
 * double with an integral value that an integer can hold is that integer.
 */
#define BRI_KEY_INLINE 128
#define BRI_KEY_MAX 65536 /* longest canonical key in bytes */
#define BRI_KEY_DEPTH 8   /* arrays in a key nest so deep at most */

/* @data may point into the struct itself: it must not be copied or moved. */
struct bri_key {
    const uint8_t *data;
    size_t size;
    uint8_t *heap; /* NULL, or what bri_key_fini() frees */
    uint8_t inline_bytes[BRI_KEY_INLINE];
};

int bri_key_init_any(struct bri_key *k, broker_value v);

/* A string whose canonical key is one byte and its own. */
static inline bool bri_key_is_short(broker_value v)
{
    return v.type == BROKER_STR && v.size <= 31 && v.data != NULL;
}

/* At most 32 bytes, by two overlapping pieces where it goes: a call costs more than the copy. */
static inline void bri_copy_short(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/*
 * Make @k the canonical key of @v, independent of @v's memory. After any outcome bri_key_fini() may
 * be called. BROKER_BADKEY for NaN, maps, extensions, and arrays that hold one of these or nest
 * deeper than BRI_KEY_DEPTH; BROKER_TOOBIG above BRI_KEY_MAX; BROKER_INVALID and BROKER_TOODEEP as
 * for bri_value_measure(); BROKER_NOMEM.
 */
static inline int bri_key_init(struct bri_key *k, broker_value v)
{
    if (!bri_key_is_short(v))
        return bri_key_init_any(k, v);
    k->inline_bytes[0] = (uint8_t)(0xa0 | v.size);
    bri_copy_short(k->inline_bytes + 1, v.data, v.size);
    k->data = k->inline_bytes;
    k->size = v.size + 1;
    k->heap = NULL;
    return 0;
}

void bri_key_free(struct bri_key *k);

static inline void bri_key_fini(struct bri_key *k)
{
    if (k != NULL && k->heap != NULL)
        bri_key_free(k);
}

/*
 * The order of two encoded values: *out_order is below, equal to or above 0. Numbers (bools too)
 * are compared exactly, whatever their types; strings with strings and byte strings with byte
 * strings, bytewise; arrays by their first unequal elements, else the shorter one first; nil equals
 * nil. BROKER_INCOMPARABLE for every other pair and for NaN; BROKER_CORRUPT if the bytes are not
 * msgpack.
 */
int bri_value_compare(const void *a, size_t na, const void *b, size_t nb, int *out_order);

/*
 * Whether two encoded values are equal as in Python: 1, 1.0 and true are, a string and a byte
 * string never, NaN not even to itself, maps in whatever order their pairs are. (Where a map has a
 * key twice, the values of that key must come in the same order.) Bytes that are not msgpack equal
 * nothing.
 *
 * Comparing costs time proportional to the size, except for maps whose pairs come in different
 * orders: there each pair is looked up by walking over the other map. What one call spends on that
 * is bounded, by BRI_EQUAL_STEPS headers (a few milliseconds; enough for two maps of 500 pairs in
 * any order) and some for each byte: what is not found to be equal by then counts as unequal.
 */
#define BRI_EQUAL_STEPS (UINT32_C(1) << 20)
bool bri_value_equal(const void *a, size_t na, const void *b, size_t nb);

/* Whether what @v points to lies in @buffer, which is about to be filled. */
static inline bool bri_borrows(broker_value v, const broker_buffer *buffer)
{
    return v.type >= BROKER_STR && v.type <= BROKER_PACKED && v.size > 0 &&
           (uintptr_t)v.data - (uintptr_t)buffer->data < buffer->capacity;
}

/*
 * Make room for @capacity bytes in all, keeping the contents; grows by doubling. BROKER_NOMEM
 * leaves the buffer as it was.
 */
int bri_buffer_reserve(broker_buffer *b, size_t capacity);

/* Write the shortest header of an array of @n elements or a map of @n pairs; return its size. */
size_t bri_array_header(uint32_t n, uint8_t out[5]);
size_t bri_map_header(uint32_t n, uint8_t out[5]);

/* A walk over the elements of an encoded array, or over a map's keys and values in turn. */
struct bri_iter {
    const uint8_t *p;
    const uint8_t *end;
    uint32_t left; /* elements to come; for a map two for each pair */
};

/*
 * Start a walk. BROKER_INVALID if the bytes do not begin with an array (a map) that fits into them.
 */
int bri_iter_array(struct bri_iter *it, const void *data, size_t size);
int bri_iter_map(struct bri_iter *it, const void *data, size_t size);

/*
 * The next element's bytes. BROKER_EMPTY when all were given; BROKER_INVALID if what comes is not
 * msgpack, or something comes after the last element.
 */
int bri_iter_next(struct bri_iter *it, const void **out_data, size_t *out_size);

#endif
