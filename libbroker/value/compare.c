/*
 * The order of encoded values. Both are walked side by side up to the first elements that differ.
 */
#include "value/head.h"
#include "value/value.h"

#include <math.h>

/* How far a walk has come. */
struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static int order_bytes(const struct bri_head *a, const struct bri_head *b)
{
    uint32_t common = a->count < b->count ? a->count : b->count;
    int order = common > 0 ? memcmp(a->body, b->body, common) : 0;

    return order != 0 ? order : (a->count > b->count) - (a->count < b->count);
}

/*
 * An integer against a double that is unified, so either lies outside every integer's range or is
 * not integral.
 */
static int order_integer_double(const struct bri_head *integer, double d)
{
    int64_t truncated;

    if (d >= 0x1p64)
        return -1;
    if (d < -0x1p63)
        return 1;
    if (integer->kind == BRI_KIND_UINT)
        return 1;
    truncated = (int64_t)d;
    if (integer->i != truncated)
        return integer->i < truncated ? -1 : 1;
    return d > 0 ? -1 : 1;
}

static bool is_integer(const struct bri_head *h)
{
    return h->kind == BRI_KIND_INT || h->kind == BRI_KIND_UINT;
}

static int order_numbers(const struct bri_head *a, const struct bri_head *b)
{
    if (a->kind == BRI_KIND_DOUBLE && b->kind == BRI_KIND_DOUBLE)
        return (a->d > b->d) - (a->d < b->d);
    if (a->kind == BRI_KIND_DOUBLE)
        return -order_integer_double(b, a->d);
    if (b->kind == BRI_KIND_DOUBLE)
        return order_integer_double(a, b->d);
    if (a->kind != b->kind)
        return a->kind == BRI_KIND_UINT ? 1 : -1;
    if (a->kind == BRI_KIND_UINT)
        return (a->u > b->u) - (a->u < b->u);
    return (a->i > b->i) - (a->i < b->i);
}

static bool is_number(const struct bri_head *h)
{
    return is_integer(h) || (h->kind == BRI_KIND_DOUBLE && !isnan(h->d));
}

/* The order of two values that are not both arrays. */
static int order_scalars(struct bri_head *a, struct bri_head *b, int *out_order)
{
    bri_head_unify(a);
    bri_head_unify(b);
    if (is_number(a) && is_number(b)) {
        *out_order = order_numbers(a, b);
        return 0;
    }
    if (a->kind != b->kind)
        return BROKER_INCOMPARABLE;
    switch (a->kind) {
    case BRI_KIND_NIL:
        *out_order = 0;
        return 0;
    case BRI_KIND_STR:
    case BRI_KIND_BIN:
        *out_order = order_bytes(a, b);
        return 0;
    default:
        return BROKER_INCOMPARABLE;
    }
}

/*
 * Maps and extensions have no order, but inside of arrays equal ones are passed over, as in Python:
 * the elements after them decide. 0 if @a and @b are at two such.
 */
static int pass_equal(struct cursor *a, struct cursor *b)
{
    const uint8_t *next_a = bri_head_skip(a->p, a->end, NULL);
    const uint8_t *next_b = bri_head_skip(b->p, b->end, NULL);

    if (next_a == NULL || next_b == NULL)
        return BROKER_CORRUPT;
    if (!bri_value_equal(a->p, (size_t)(next_a - a->p), b->p, (size_t)(next_b - b->p)))
        return BROKER_INCOMPARABLE;
    a->p = next_a;
    b->p = next_b;
    return 0;
}

static int order_values(struct cursor *a, struct cursor *b, unsigned int depth, int *out_order);

static int order_arrays(
    struct cursor *a, struct cursor *b, const uint32_t count[2], unsigned int depth, int *out_order)
{
    uint32_t common = count[0] < count[1] ? count[0] : count[1];
    int order;
    int r;

    if (depth == BRI_VALUE_DEPTH)
        return BROKER_CORRUPT;
    for (uint32_t i = 0; i < common; i++) {
        r = order_values(a, b, depth + 1, &order);
        if (r < 0)
            return r;
        if (order != 0) {
            *out_order = order;
            return 0;
        }
    }
    *out_order = (count[0] > count[1]) - (count[0] < count[1]);
    return 0;
}

/*
 * Moves both cursors behind the values if these are equal; else they may stay within. @depth counts
 * open arrays.
 */
static int order_values(struct cursor *a, struct cursor *b, unsigned int depth, int *out_order)
{
    struct bri_head ha;
    struct bri_head hb;
    const uint8_t *next_a = bri_head_read(a->p, a->end, &ha);
    const uint8_t *next_b = bri_head_read(b->p, b->end, &hb);

    if (next_a == NULL || next_b == NULL)
        return BROKER_CORRUPT;
    if (depth > 0 && ha.kind == hb.kind && (ha.kind == BRI_KIND_MAP || ha.kind == BRI_KIND_EXT)) {
        *out_order = 0;
        return pass_equal(a, b);
    }
    a->p = next_a;
    b->p = next_b;
    if (ha.kind == BRI_KIND_ARRAY && hb.kind == BRI_KIND_ARRAY)
        return order_arrays(a, b, (const uint32_t[2]){ha.count, hb.count}, depth, out_order);
    return order_scalars(&ha, &hb, out_order);
}

int bri_value_compare(const void *a, size_t na, const void *b, size_t nb, int *out_order)
{
    struct cursor ca;
    struct cursor cb;
    int order;
    int r;

    if (na == 0 || nb == 0)
        return BROKER_CORRUPT;
    ca = (struct cursor){a, (const uint8_t *)a + na};
    cb = (struct cursor){b, (const uint8_t *)b + nb};
    r = order_values(&ca, &cb, 0, &order);
    if (r < 0)
        return r;
    if (order == 0 && (ca.p != ca.end || cb.p != cb.end))
        return BROKER_CORRUPT;
    *out_order = order;
    return 0;
}
