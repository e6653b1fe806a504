/*
 * open.c - see open.h
 */
#include "objects/open.h"

#include <unistd.h>

#include "client/open.h"
#include "core/registry.h"
#include "engine_ops.h"

int bri_open_object(broker *b, const char *name, const struct bri_type_ops *type,
    const void *options, struct bri_handle **out_handle)
{
    const struct bri_common_options *common = options;
    struct bri_open open = {.name = name,
        .type = type,
        .options = options,
        .uid = b->on_behalf ? b->behalf_uid : geteuid()};

    if (common != NULL) {
        if ((unsigned)common->mode > BROKER_OPEN)
            return BROKER_INVALID;
        open.mode = (enum bri_open_mode)common->mode;
        open.quota_bytes = common->quota_bytes;
    }
    return name != NULL ? bri_shm_open_handle(b, &open, out_handle)
                        : bri_shm_open_anonymous(b, &open, out_handle);
}

int bri_open_ref(broker *b, uint32_t type, broker_value ref, struct bri_handle **out_handle)
{
    struct bri_ref to = {.slot = ref.size, .identity = ref.u};
    struct bri_handle *h;
    int r = bri_shm_open_ref(b, to, bri_type_ops(type), &h);

    if (r == 0 && type == BRI_TYPE_CONDITION) {
        r = bri_condition_opened(b, h);
        if (r < 0)
            bri_shm_close_handle(h);
    }
    if (r == 0)
        *out_handle = h;
    return r;
}

int bri_match_quota(const struct bri_object *o, uint64_t quota_bytes)
{
    uint64_t pages = (quota_bytes + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE;

    return quota_bytes == 0 || (o->root != NULL && o->root->heap.max_pages == pages)
               ? 0
               : BROKER_MISMATCH;
}
