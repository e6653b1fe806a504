/*
 * dict_save.c - saving and loading what is a table: dict and namespace
 *
 * Contents are a map, in order of insertion. The revision is kept: who waits to change a dict that
 * has not changed since must not be fooled by one that begins anew.
 */
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/dict.h"
#include "objects/save.h"

int bri_dict_type_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_table_shm *table = bri_dict_table(o);
    struct bri_pack *p = &save->contents.pack;
    uint32_t unit = table->first;
    struct bri_entry e;

    bri_save_state(save, "revision", broker_uint(table->n_changes));
    if (table->n_entries == 0)
        return 0;
    if (table->n_entries > UINT32_MAX)
        return BROKER_CORRUPT;
    bri_pack_map(p, (uint32_t)table->n_entries);
    for (uint64_t i = 0; i < table->n_entries && p->failed == 0; i++) {
        if (bri_entry_at(o, unit, &e) < 0)
            return BROKER_CORRUPT;
        bri_pack_value(p, broker_packed(e.given, e.given_size));
        bri_pack_value(p, broker_packed(e.value, e.value_size));
        unit = e.next;
    }
    return unit == 0 || p->failed != 0 ? 0 : BROKER_CORRUPT;
}

static int revision_try(struct bri_txn *t, void *arg)
{
    bri_set64(t, &bri_dict_table(t->o)->n_changes, *(const uint64_t *)arg);
    return t->failed;
}

static int update(struct bri_handle *h, uint64_t at, broker_value piece)
{
    (void)at;
    return h->type == BRI_TYPE_NAMESPACE ? bri_namespace_update(h, piece)
                                         : bri_dict_update(h, piece);
}

int bri_dict_type_load(struct bri_handle *h, const struct bri_load *load)
{
    uint64_t revision = bri_load_u64(load, "revision");
    int r = bri_load_pieces(h, load->contents, true, update);

    return r == 0 && revision != 0 ? bri_section(&h->object, revision_try, &revision) : r;
}
