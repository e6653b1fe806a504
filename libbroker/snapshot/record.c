/*
 * record.c - see record.h
 *
 * Values are not counted in bytes by what is around them, so one may take the place of another of
 * another size.
 */
#include "snapshot/record.h"

#include <string.h>

#include "value/value.h"

static int append(broker_buffer *out, const void *bytes, size_t n)
{
    int r = bri_buffer_reserve(out, out->size + n);

    if (r < 0)
        return r;
    memcpy((uint8_t *)out->data + out->size, bytes, n);
    out->size += n;
    return 0;
}

static int append_ref(broker_buffer *out, struct bri_ref ref)
{
    static const uint8_t nil = 0xc0;
    uint8_t bytes[BRI_REF_BYTES];

    if (ref.identity == 0)
        return append(out, &nil, 1);
    (void)bri_ref_write(bytes, ref);
    return append(out, bytes, sizeof(bytes));
}

int bri_record_copy(broker_value v, bri_ref_map_fn *map, void *arg, broker_buffer *out)
{
    const uint8_t *from = v.data, *at = from, *end = from + v.size;
    struct bri_ref ref;
    int r = 0;

    while (r == 0 && bri_ref_next(&at, end, &ref)) {
        r = append(out, from, (size_t)(at - from) - BRI_REF_BYTES);
        from = at;
        if (r == 0)
            r = map(arg, ref, &ref);
        if (r == 0)
            r = append_ref(out, ref);
    }
    return r == 0 ? append(out, from, (size_t)(end - from)) : r;
}
