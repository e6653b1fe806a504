/*
 * list_save.c - saving and loading lists: contents are an array
 */
#include "engine_ops.h"
#include "objects/list.h"
#include "objects/save.h"

int bri_list_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);
    struct bri_pack *p = &save->contents.pack;
    struct bri_run leaf = {0};
    uint64_t element;
    const uint8_t *bytes;

    if (s->n_elements == 0)
        return 0;
    if (s->n_elements > BRI_SEQUENCE_MAX)
        return BROKER_CORRUPT;
    bri_pack_array(p, (uint32_t)s->n_elements);
    for (uint64_t i = 0; i < s->n_elements && p->failed == 0; i++) {
        if (bri_list_element_at(o, &leaf, i, &element) < 0)
            return BROKER_CORRUPT;
        bytes = bri_element_bytes(o, &element);
        if (bytes == NULL)
            return BROKER_CORRUPT;
        bri_pack_value(p, broker_packed(bytes, bri_element_size(element)));
    }
    return 0;
}

static int extend(struct bri_handle *h, uint64_t at, broker_value piece)
{
    (void)at;
    return bri_list_extend(h, piece);
}

int bri_list_load(struct bri_handle *h, const struct bri_load *load)
{
    return bri_load_pieces(h, load->contents, false, extend);
}
