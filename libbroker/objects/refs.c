/*
 * refs.c - see refs.h
 *
 * What is kept for a section that is then undone, by a failure or a death, lives a little longer:
 * the next collection ends it.
 */
#include "objects/refs.h"

int bri_refs_store(struct bri_txn *t, broker_value v)
{
    const uint8_t *at = v.data;
    struct bri_ref ref = {.slot = v.size, .identity = v.u};
    int r = 0;

    if (v.type == BROKER_REF) {
        r = bri_collect_keep_ref(t->o->arena, ref);
    } else {
        const uint8_t *end = at + v.size;

        if (v.size > BRI_REFS_VALUE_MAX)
            r = BROKER_TOOBIG;
        while (r == 0 && bri_ref_next(&at, end, &ref))
            r = bri_collect_keep_ref(t->o->arena, ref);
    }
    if (r == 0)
        bri_collect_has_refs(t);
    else if (t->failed == 0)
        t->failed = r;
    return t->failed;
}

void bri_refs_look(struct bri_collect_look *look, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    struct bri_ref ref;

    bri_collect_spend(look, size <= BRI_REFS_VALUE_MAX ? size : 0);
    if (size < BRI_REF_BYTES || size > BRI_REFS_VALUE_MAX)
        return;
    while (bri_ref_next(&at, (const uint8_t *)bytes + size, &ref))
        bri_collect_reach(look, ref);
}

void bri_refs_moved(const struct bri_object *o, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    struct bri_ref ref;

    if (size < BRI_REF_BYTES || size > BRI_REFS_VALUE_MAX)
        return;
    while (bri_ref_next(&at, (const uint8_t *)bytes + size, &ref))
        (void)bri_collect_keep_ref(o->arena, ref); /* one that is gone already stays so */
}
