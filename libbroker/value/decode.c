/*
 * Reading encoded values: whole ones into struct broker_value, and containers element by element.
 * The bytes come out of shared memory or from the caller: nothing is believed that they do not bear
 * out.
 */
#include "value/head.h"
#include "value/value.h"

int bri_value_decode_any(const void *data, size_t size, broker_value *out)
{
    const uint8_t *p = data;
    const uint8_t *end;
    const uint8_t *next;
    struct bri_head h;
    struct bri_ref ref;

    if (size == 0 || size >= UINT32_MAX) /* no value that was let in is so long */
        return BROKER_CORRUPT;
    end = p + size;
    next = bri_head_read(p, end, &h);
    if (next == NULL)
        return BROKER_CORRUPT;
    if ((h.kind == BRI_KIND_ARRAY || h.kind == BRI_KIND_MAP) && h.count > 0) {
        *out = broker_packed(data, size);
        return 0;
    }
    if (next != end)
        return BROKER_CORRUPT;
    switch (h.kind) {
    case BRI_KIND_NIL:
        *out = broker_nil();
        return 0;
    case BRI_KIND_BOOL:
        *out = broker_bool(h.b);
        return 0;
    case BRI_KIND_INT:
        *out = broker_int(h.i);
        return 0;
    case BRI_KIND_UINT:
        *out = broker_uint(h.u);
        return 0;
    case BRI_KIND_DOUBLE:
        *out = broker_double(h.d);
        return 0;
    case BRI_KIND_STR:
        *out = broker_strn((const char *)h.body, h.count);
        return 0;
    case BRI_KIND_BIN:
        *out = broker_bin(h.body, h.count);
        return 0;
    default:
        *out = bri_ref_read(data, size, &ref) ? bri_ref_value(ref) : broker_packed(data, size);
        return 0;
    }
}

/* Start a walk over what must be a container of kind @kind. */
static int start(struct bri_iter *it, const void *data, size_t size, enum bri_kind kind)
{
    const uint8_t *p = data;
    const uint8_t *end;
    struct bri_head h;
    uint64_t left;

    if (size == 0)
        return BROKER_INVALID;
    end = p + size;
    p = bri_head_read(p, end, &h);
    if (p == NULL || h.kind != kind)
        return BROKER_INVALID;
    left = kind == BRI_KIND_MAP ? 2 * (uint64_t)h.count : h.count;
    if (left > UINT32_MAX)
        return BROKER_INVALID;
    it->p = p;
    it->end = end;
    it->left = (uint32_t)left;
    return 0;
}

int bri_iter_array(struct bri_iter *it, const void *data, size_t size)
{
    return start(it, data, size, BRI_KIND_ARRAY);
}

int bri_iter_map(struct bri_iter *it, const void *data, size_t size)
{
    return start(it, data, size, BRI_KIND_MAP);
}

int bri_iter_next(struct bri_iter *it, const void **out_data, size_t *out_size)
{
    const uint8_t *next;

    if (it->left == 0)
        return it->p == it->end ? BROKER_EMPTY : BROKER_INVALID;
    next = bri_head_skip(it->p, it->end, NULL);
    if (next == NULL)
        return BROKER_INVALID;
    *out_data = it->p;
    *out_size = (size_t)(next - it->p);
    it->p = next;
    it->left--;
    return 0;
}
