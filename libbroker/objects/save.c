/*
 * save.c - see save.h
 */
#include "objects/save.h"

#include <broker.h>

#include "core/type.h"

/* ---- saying ---- */

static void start_part(struct bri_save_part *part)
{
    bri_pack_start(&part->pack, &part->buffer);
    part->n = 0;
}

void bri_save_start(struct bri_save *save)
{
    start_part(&save->options);
    start_part(&save->state);
    start_part(&save->contents);
}

void bri_save_fini(struct bri_save *save)
{
    broker_buffer_free(&save->options.buffer);
    broker_buffer_free(&save->state.buffer);
    broker_buffer_free(&save->contents.buffer);
}

int bri_save_failure(const struct bri_save *save)
{
    const struct bri_save_part *parts[] = {&save->options, &save->state, &save->contents};

    for (unsigned i = 0; i < 3; i++)
        if (parts[i]->pack.failed != 0)
            return parts[i]->pack.failed;
    return save->contents.buffer.size <= UINT32_MAX ? 0 : BROKER_TOOBIG;
}

static bool is_fresh(broker_value v)
{
    switch (v.type) {
    case BROKER_NIL:
        return true;
    case BROKER_BOOL:
        return !v.b;
    case BROKER_INT:
    case BROKER_UINT:
        return v.u == 0;
    default:
        return false;
    }
}

static void add(struct bri_save_part *part, const char *name, broker_value v)
{
    if (is_fresh(v))
        return;
    bri_pack_entry(&part->pack, name, v);
    part->n++;
}

void bri_save_option(struct bri_save *save, const char *name, broker_value v)
{
    add(&save->options, name, v);
}

void bri_save_state(struct bri_save *save, const char *name, broker_value v)
{
    add(&save->state, name, v);
}

int bri_object_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_type_ops *ops = bri_type_ops(o->type);
    int r;

    if (ops == NULL || (o->root != NULL) != ops->has_heap)
        return BROKER_CORRUPT;
    bri_save_start(save);
    if (o->root != NULL)
        bri_save_option(save, "quota_bytes", broker_uint(o->root->heap.max_pages * BRI_PAGE_SIZE));
    r = ops->save(o, save);
    if (r == 0)
        r = bri_save_failure(save);
    return r == BROKER_INVALID || r == BROKER_TOODEEP ? BROKER_CORRUPT : r; /* no values */
}

/* ---- making ---- */

broker_value bri_load_get(broker_value map, const char *key)
{
    struct bri_iter it;
    broker_value k, v;
    const void *data;
    size_t size, n = strlen(key);

    if (map.type != BROKER_PACKED || bri_iter_map(&it, map.data, map.size) < 0)
        return broker_nil();
    while (bri_iter_next(&it, &data, &size) == 0) {
        if (bri_value_decode(data, size, &k) < 0 || bri_iter_next(&it, &data, &size) < 0)
            break;
        if (k.type == BROKER_STR && k.size == n && memcmp(k.data, key, n) == 0)
            return bri_value_decode(data, size, &v) == 0 ? v : broker_nil();
    }
    return broker_nil();
}

uint64_t bri_load_u64(const struct bri_load *load, const char *name)
{
    broker_value v = bri_load_get(load->state, name);

    return v.type == BROKER_UINT || (v.type == BROKER_INT && v.i >= 0) ? v.u : 0;
}

bool bri_load_bool(const struct bri_load *load, const char *name)
{
    broker_value v = bri_load_get(load->state, name);

    return v.type == BROKER_BOOL && v.b;
}

bool bri_load_is(const struct bri_load *load, const char *name, const char *word)
{
    broker_value v = bri_load_get(load->state, name);

    return v.type == BROKER_STR && v.size == strlen(word) && memcmp(v.data, word, v.size) == 0;
}

int bri_object_load(struct bri_handle *h, const struct bri_load *load)
{
    const struct bri_type_ops *ops = bri_type_ops(h->object.type);
    size_t size;
    int r = bri_value_measure(load->contents, &size);

    return r < 0 ? BROKER_INVALID : ops->load(h, load);
}

/* One piece: the elements from the walk's place on, behind a head of their own. */
static int next_piece(struct bri_iter *it, bool is_map, broker_buffer *buffer)
{
    const void *data;
    uint32_t n = 0;
    size_t size;
    int r = bri_buffer_reserve(buffer, 5);

    buffer->size = 5;
    while (r == 0 && it->left > 0 && (n < BRI_LOAD_ELEMENTS || n % 2 != 0) &&
           (buffer->size < BRI_LOAD_BYTES || (is_map && n % 2 != 0))) {
        r = bri_iter_next(it, &data, &size);
        if (r == 0)
            r = bri_buffer_reserve(buffer, buffer->size + size);
        if (r == 0) {
            memcpy((uint8_t *)buffer->data + buffer->size, data, size);
            buffer->size += size;
            n++;
        }
    }
    if (r < 0)
        return r;
    return (int)n;
}

/* The piece in the buffer, with its head. */
static broker_value whole_piece(broker_buffer *buffer, uint32_t n, bool is_map)
{
    uint8_t head[5];
    size_t size = is_map ? bri_map_header(n / 2, head) : bri_array_header(n, head);
    uint8_t *start = (uint8_t *)buffer->data + 5 - size;

    memcpy(start, head, size);
    return broker_packed(start, buffer->size - 5 + size);
}

int bri_load_pieces(struct bri_handle *h, broker_value contents, bool is_map, bri_load_piece_fn *fn)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter it;
    uint64_t at = 0;
    int r, n;

    if (contents.type == BROKER_NIL)
        return 0;
    if (contents.type != BROKER_PACKED)
        return BROKER_INVALID;
    r = is_map ? bri_iter_map(&it, contents.data, contents.size)
               : bri_iter_array(&it, contents.data, contents.size);
    while (r == 0 && it.left > 0) {
        n = next_piece(&it, is_map, &buffer);
        r = n < 0 ? n : fn(h, at, whole_piece(&buffer, (uint32_t)n, is_map));
        at += n > 0 ? (uint64_t)n : 0;
    }
    broker_buffer_free(&buffer);
    return r;
}
