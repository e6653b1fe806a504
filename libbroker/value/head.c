/*
 * Reading single msgpack headers. Each byte of the input is loaded once and checked before it is
 * used, since the input may lie in memory that others write.
 */
#include "value/head.h"

#include "value/value.h"

#include <endian.h>
#include <string.h>

/*
 * The helpers are inlined into one switch over the formats, where the sizes are constants: this is
 * what comparing and walking spend their time on.
 */
#define HELPER static inline __attribute__((always_inline))

/* The big-endian number of 1, 2, 4 or 8 bytes at @p. */
HELPER uint64_t load(const uint8_t *p, unsigned int n_bytes)
{
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;

    switch (n_bytes) {
    case 1:
        return *p;
    case 2:
        memcpy(&u16, p, sizeof(u16));
        return be16toh(u16);
    case 4:
        memcpy(&u32, p, sizeof(u32));
        return be32toh(u32);
    default:
        memcpy(&u64, p, sizeof(u64));
        return be64toh(u64);
    }
}

HELPER const uint8_t *read_uint(
    const uint8_t *p, const uint8_t *end, unsigned int n_bytes, struct bri_head *out)
{
    if (n_bytes > (size_t)(end - p))
        return NULL;
    out->u = load(p, n_bytes);
    out->kind = out->u > INT64_MAX ? BRI_KIND_UINT : BRI_KIND_INT;
    return p + n_bytes;
}

HELPER const uint8_t *read_int(
    const uint8_t *p, const uint8_t *end, unsigned int n_bytes, struct bri_head *out)
{
    unsigned int shift = 64 - 8 * n_bytes;

    if (n_bytes > (size_t)(end - p))
        return NULL;
    out->kind = BRI_KIND_INT;
    out->i = (int64_t)(load(p, n_bytes) << shift) >> shift;
    return p + n_bytes;
}

HELPER const uint8_t *read_float(const uint8_t *p, const uint8_t *end, struct bri_head *out)
{
    uint32_t bits;
    float f;

    if (sizeof(bits) > (size_t)(end - p))
        return NULL;
    bits = (uint32_t)load(p, sizeof(bits));
    memcpy(&f, &bits, sizeof(f));
    out->kind = BRI_KIND_DOUBLE;
    out->d = (double)f;
    return p + sizeof(bits);
}

HELPER const uint8_t *read_double(const uint8_t *p, const uint8_t *end, struct bri_head *out)
{
    if (sizeof(out->d) > (size_t)(end - p))
        return NULL;
    out->kind = BRI_KIND_DOUBLE;
    out->u = load(p, sizeof(out->d)); /* the bits of the double that it shares its place with */
    return p + sizeof(out->d);
}

HELPER const uint8_t *take_body(
    const uint8_t *p, const uint8_t *end, size_t size, struct bri_head *out)
{
    if (size > (size_t)(end - p))
        return NULL;
    out->body = p;
    out->count = (uint32_t)size;
    return p + size;
}

HELPER const uint8_t *take_ext(
    const uint8_t *p, const uint8_t *end, size_t size, struct bri_head *out)
{
    if (p == end)
        return NULL;
    out->kind = BRI_KIND_EXT;
    out->ext_type = (int8_t)*p;
    return take_body(p + 1, end, size, out);
}

HELPER const uint8_t *take_elements(
    const uint8_t *p, const uint8_t *end, size_t n, struct bri_head *out)
{
    size_t least_bytes = out->kind == BRI_KIND_MAP ? 2 * n : n;

    if (least_bytes > (size_t)(end - p))
        return NULL;
    out->count = (uint32_t)n;
    return p;
}

/* What begins with a length of @n_bytes. */
HELPER const uint8_t *read_sized(enum bri_kind kind, const uint8_t *p, const uint8_t *end,
    unsigned int n_bytes, struct bri_head *out)
{
    size_t size;

    if (n_bytes > (size_t)(end - p))
        return NULL;
    size = load(p, n_bytes);
    p += n_bytes;
    out->kind = kind;
    if (kind == BRI_KIND_EXT)
        return take_ext(p, end, size, out);
    if (kind == BRI_KIND_ARRAY || kind == BRI_KIND_MAP)
        return take_elements(p, end, size, out);
    return take_body(p, end, size, out);
}

/* The formats 0xc0 to 0xdf; @p is behind the first byte. */
HELPER const uint8_t *read_wide(
    uint8_t first, const uint8_t *p, const uint8_t *end, struct bri_head *out)
{
    switch (first) {
    case 0xc0:
        out->kind = BRI_KIND_NIL;
        return p;
    case 0xc2:
    case 0xc3:
        out->kind = BRI_KIND_BOOL;
        out->b = first == 0xc3;
        return p;
    case 0xc4:
        return read_sized(BRI_KIND_BIN, p, end, 1, out);
    case 0xc5:
        return read_sized(BRI_KIND_BIN, p, end, 2, out);
    case 0xc6:
        return read_sized(BRI_KIND_BIN, p, end, 4, out);
    case 0xc7:
        return read_sized(BRI_KIND_EXT, p, end, 1, out);
    case 0xc8:
        return read_sized(BRI_KIND_EXT, p, end, 2, out);
    case 0xc9:
        return read_sized(BRI_KIND_EXT, p, end, 4, out);
    case 0xca:
        return read_float(p, end, out);
    case 0xcb:
        return read_double(p, end, out);
    case 0xcc:
        return read_uint(p, end, 1, out);
    case 0xcd:
        return read_uint(p, end, 2, out);
    case 0xce:
        return read_uint(p, end, 4, out);
    case 0xcf:
        return read_uint(p, end, 8, out);
    case 0xd0:
        return read_int(p, end, 1, out);
    case 0xd1:
        return read_int(p, end, 2, out);
    case 0xd2:
        return read_int(p, end, 4, out);
    case 0xd3:
        return read_int(p, end, 8, out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(p, end, (size_t)1 << (first - 0xd4), out);
    case 0xd9:
        return read_sized(BRI_KIND_STR, p, end, 1, out);
    case 0xda:
        return read_sized(BRI_KIND_STR, p, end, 2, out);
    case 0xdb:
        return read_sized(BRI_KIND_STR, p, end, 4, out);
    case 0xdc:
        return read_sized(BRI_KIND_ARRAY, p, end, 2, out);
    case 0xdd:
        return read_sized(BRI_KIND_ARRAY, p, end, 4, out);
    case 0xde:
        return read_sized(BRI_KIND_MAP, p, end, 2, out);
    case 0xdf:
        return read_sized(BRI_KIND_MAP, p, end, 4, out);
    default: /* 0xc1 */
        return NULL;
    }
}

HELPER const uint8_t *read_head(const uint8_t *p, const uint8_t *end, struct bri_head *out)
{
    uint8_t first;

    if (p == end)
        return NULL;
    first = *p++;
    out->count = 0;
    out->body = NULL;
    if (first <= 0x7f || first >= 0xe0) {
        out->kind = BRI_KIND_INT;
        out->i = first <= 0x7f ? first : (int64_t)first - 0x100;
        return p;
    }
    if (first >= 0xc0)
        return read_wide(first, p, end, out);
    if (first >= 0xa0) {
        out->kind = BRI_KIND_STR;
        return take_body(p, end, first & 0x1f, out);
    }
    out->kind = first >= 0x90 ? BRI_KIND_ARRAY : BRI_KIND_MAP;
    return take_elements(p, end, first & 0x0f, out);
}

const uint8_t *bri_head_read(const uint8_t *p, const uint8_t *end, struct bri_head *out)
{
    return read_head(p, end, out);
}

const uint8_t *bri_head_skip(const uint8_t *p, const uint8_t *end, uint64_t *n_steps)
{
    uint64_t left = 1; /* values to come; cannot wrap: no header adds more than there are bytes */
    uint64_t n_read = 0;
    struct bri_head h;

    while (left > 0) {
        p = read_head(p, end, &h);
        if (p == NULL)
            return NULL;
        left--;
        n_read++;
        if (h.kind == BRI_KIND_ARRAY)
            left += h.count;
        else if (h.kind == BRI_KIND_MAP)
            left += 2 * (uint64_t)h.count;
    }
    if (n_steps != NULL)
        *n_steps += n_read;
    return p;
}

void bri_head_unify(struct bri_head *h)
{
    const double two_63 = 0x1p63;
    double d = h->d;

    if (h->kind == BRI_KIND_BOOL) {
        h->kind = BRI_KIND_INT;
        h->i = h->b ? 1 : 0;
        return;
    }
    if (h->kind != BRI_KIND_DOUBLE)
        return;
    /* The ranges are tested first, NaN failing both: converting what does not fit is undefined. */
    if (d >= -two_63 && d < two_63) {
        int64_t i = (int64_t)d;

        if ((double)i == d) {
            h->kind = BRI_KIND_INT;
            h->i = i;
        }
    } else if (d >= two_63 && d < 2 * two_63) { /* doubles so large are integral */
        h->kind = BRI_KIND_UINT;
        h->u = (uint64_t)d;
    }
}
