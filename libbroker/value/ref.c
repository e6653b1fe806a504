/*
 * References in encoded values: finding them. Nearly all values have none, which is found out
 * faster than the bytes could be walked over.
 */
#include <string.h>

#include "value/head.h"
#include "value/value.h"

static const uint8_t mark[] = {BRI_REF_FIRST, BRI_REF_SECOND};

bool bri_ref_next(const uint8_t **at, const uint8_t *end, struct bri_ref *out)
{
    const uint8_t *p = *at, *found, *next;
    struct bri_head h;

    while (p < end && (found = memmem(p, (size_t)(end - p), mark, sizeof(mark))) != NULL) {
        for (; p <= found; p = next) {
            next = bri_head_read(p, end, &h);
            if (next == NULL)
                return false;
            if (h.kind == BRI_KIND_EXT && bri_ref_read(p, (size_t)(next - p), out)) {
                *at = next;
                return true;
            }
        }
    }
    return false;
}

bool bri_ref_in_packed(broker_value v)
{
    const uint8_t *at = v.data;
    struct bri_ref ref;

    return bri_ref_next(&at, at + v.size, &ref);
}
