/*
 * dict_bulk.c - the dict type: many keys at a time
 *
 * A bulk change is one section: all keys are made canonical before it begins, and the journal grows
 * as needed, so that it happens wholly or not at all. A snapshot is one optimistic read into a
 * buffer that was made large enough before.
 */
#include <stdlib.h>

#include <broker.h>

#include "core/hash.h"
#include "core/heap.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/dict.h"
#include "objects/pack.h"
#include "objects/reading.h"

#define BULK_MAX 65536u /* keys of one bulk change */
#define SCAN_BUCKET 256 /* entries of one bucket that a scan can give at once */
#define SNAPSHOT_MAX UINT32_MAX

/* ---- update, add_many ---- */

struct item {
    size_t key_at; /* in `keys` */
    size_t key_size;
    const uint8_t *given;
    size_t given_size;
    const uint8_t *value;
    size_t value_size;
    int64_t delta;
};

struct bulk {
    struct bri_arena *arena;
    struct item *items;
    uint32_t n;
    broker_buffer keys; /* canonical, one after another */
    bool add;
    struct item *once; /* NULL if there is none; the last of `items` */
};

static int add_key(struct bulk *x, broker_value v, struct item *item)
{
    struct bri_key key;
    int r = bri_key_init(&key, v);

    if (r < 0)
        return r;
    r = bri_buffer_reserve(&x->keys, x->keys.size + key.size);
    if (r == 0) {
        memcpy((uint8_t *)x->keys.data + x->keys.size, key.data, key.size);
        item->key_at = x->keys.size;
        item->key_size = key.size;
        x->keys.size += key.size;
    }
    bri_key_fini(&key);
    return r;
}

/* One pair of the map: its key made canonical, its value noted where it lies. */
static int add_pair(struct bulk *x, struct bri_iter *it, struct item *item)
{
    const void *key, *value;
    size_t key_size, value_size;
    broker_value v;
    int r = bri_iter_next(it, &key, &key_size);

    if (r < 0)
        return r;
    r = bri_iter_next(it, &value, &value_size);
    if (r == 0)
        r = bri_value_decode(key, key_size, &v);
    if (r < 0)
        return BROKER_INVALID;
    if (value_size > BRI_DICT_VALUE_MAX)
        return BROKER_TOOBIG;
    r = add_key(x, v, item);
    if (r < 0)
        return r;
    item->given = key;
    item->given_size = key_size;
    item->value = value;
    item->value_size = value_size;
    if (!x->add)
        return 0;
    r = bri_value_decode(value, value_size, &v);
    if (r < 0 || v.type != BROKER_INT)
        return r < 0 ? BROKER_INVALID : BROKER_WRONGVALUE;
    item->delta = v.i;
    return 0;
}

static int add_once(struct bulk *x, broker_value once)
{
    static const uint8_t true_bytes[] = {0xc3};
    struct item *item = &x->items[x->n];
    size_t size;
    int r = bri_value_measure(once, &size);

    if (r == 0)
        r = add_key(x, once, item);
    if (r < 0)
        return r;
    item->value = true_bytes;
    item->value_size = sizeof(true_bytes);
    x->once = item;
    x->n++;
    return 0;
}

static int bulk_init(struct bulk *x, broker_value map, const broker_value *once)
{
    struct bri_iter it;
    size_t size;
    int r = map.type == BROKER_PACKED ? bri_value_measure(map, &size) : BROKER_INVALID;

    if (r == 0)
        r = bri_iter_map(&it, map.data, map.size);
    if (r < 0)
        return r;
    if (it.left / 2 > BULK_MAX)
        return BROKER_TOOBIG;
    x->items = calloc(it.left / 2 + 1, sizeof(*x->items));
    if (x->items == NULL)
        return BROKER_NOMEM;
    for (r = 0; it.left > 0 && r == 0; x->n++)
        r = add_pair(x, &it, &x->items[x->n]);
    if (r == 0 && once != NULL && once->type != BROKER_NIL)
        r = add_once(x, *once);
    return r;
}

static void bulk_fini(struct bulk *x)
{
    free(x->items);
    broker_buffer_free(&x->keys);
}

static struct bri_table_key key_of(const struct bulk *x, const struct item *item)
{
    struct bri_table_key key = {
        .data = (const uint8_t *)x->keys.data + item->key_at, .size = item->key_size};

    key.hash = bri_hash_key(x->arena, key.data[0], key.data + 1, key.size - 1);
    if (item->given != NULL &&
        (item->given_size != key.size || memcmp(item->given, key.data, key.size) != 0)) {
        key.given = item->given;
        key.given_size = item->given_size;
    }
    return key;
}

static int store_item(struct bri_txn *t, const struct bulk *x, const struct item *item)
{
    struct bri_table_key key = key_of(x, item);
    struct bri_dict_value value = {
        .value = broker_packed(item->value, item->value_size), .size = item->value_size};
    uint8_t small[9];
    struct bri_entry e;
    int64_t total = item->delta;
    int r = bri_dict_find(t, &key, &e);
    bool found = r == 0;

    if (r < 0 && r != BROKER_NOTFOUND)
        return r;
    if (item == x->once) {
        if (found)
            return BROKER_EXISTS;
    } else if (x->add) {
        r = found ? bri_dict_sum(&e, item->delta, &total) : 0;
        if (r < 0)
            return r;
        value.value = broker_int(total);
        value.size = bri_value_encode(value.value, small);
        value.encoded = small;
    }
    value.has_refs = item != x->once && !x->add && bri_ref_in(value.value);
    if (value.encoded == NULL && value.size <= BRI_DICT_SMALL)
        value.encoded = item->value;
    return bri_dict_put(t, &key, found ? &e : NULL, &value);
}

static int bulk_try(struct bri_txn *t, void *arg)
{
    const struct bulk *x = arg;
    int r = x->once != NULL ? store_item(t, x, x->once) : 0;

    for (uint32_t i = 0; i < x->n && r == 0; i++)
        if (&x->items[i] != x->once)
            r = store_item(t, x, &x->items[i]);
    return r < 0 ? r : t->failed;
}

static int bulk(struct bri_handle *h, struct bulk *x, broker_value map, const broker_value *once)
{
    int r = h->object.att == NULL ? BROKER_ACCESS : bulk_init(x, map, once);

    if (r == 0)
        r = bri_section(&h->object, bulk_try, x);
    bulk_fini(x);
    return r;
}

int bri_dict_update(struct bri_handle *h, broker_value pairs)
{
    struct bulk x = {.arena = h->object.arena};

    return bulk(h, &x, pairs, NULL);
}

int bri_dict_add_many(struct bri_handle *h, broker_value deltas, broker_value once)
{
    struct bulk x = {.arena = h->object.arena, .add = true};

    return bulk(h, &x, deltas, &once);
}

/* ---- snapshots ---- */

enum what { KEYS, VALUES, ITEMS, MAP };

struct snapshot {
    struct bri_output out;
    enum what what;
    size_t size;
};

/* Appends bytes that lie in the arena; false if the entries do not agree with the counts, or the
 * buffer is too small. */
static bool append(struct snapshot *x, const void *bytes, size_t n)
{
    if (n > x->out.buffer->capacity - x->size)
        return false;
    memcpy((uint8_t *)x->out.buffer->data + x->size, bytes, n);
    x->size += n;
    return true;
}

static bool append_entry(struct snapshot *x, const struct bri_entry *e)
{
    static const uint8_t pair = 0x92;

    if (x->what == ITEMS && !append(x, &pair, 1))
        return false;
    if (x->what != VALUES && !append(x, e->given, e->given_size))
        return false;
    return x->what == KEYS || append(x, e->value, e->value_size);
}

static int snapshot_try(struct bri_object *o, void *arg)
{
    const volatile struct bri_table_shm *table = bri_dict_table(o);
    struct snapshot *x = arg;
    uint64_t n = table->n_entries, bytes = table->n_bytes;
    uint32_t unit = table->first;
    uint8_t head[5];
    struct bri_entry e;

    if (n > UINT32_MAX || bytes > SNAPSHOT_MAX || bytes + 2 * n + 5 > SNAPSHOT_MAX)
        return BROKER_TOOBIG;
    if (bri_output_lacks(&x->out, bytes + n + 5))
        return BRI_MORE;
    x->size = 0;
    (void)append(x, head,
        x->what == MAP ? bri_map_header((uint32_t)n, head) : bri_array_header((uint32_t)n, head));
    for (uint64_t i = 0; i < n; i++) {
        if (bri_entry_at(o, unit, &e) < 0 || !append_entry(x, &e))
            return BROKER_CORRUPT;
        unit = e.next;
    }
    x->out.buffer->size = x->size;
    return unit == 0 ? 0 : BROKER_CORRUPT;
}

static int snapshot(struct bri_handle *h, enum what what, broker_buffer *buffer, broker_value *out)
{
    struct snapshot x = {.what = what, .out.buffer = buffer};
    int r = bri_read_out(h, snapshot_try, &x, &x.out);

    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out);
}

int bri_dict_keys(struct bri_handle *h, broker_buffer *buffer, broker_value *out_keys)
{
    return snapshot(h, KEYS, buffer, out_keys);
}

int bri_dict_values(struct bri_handle *h, broker_buffer *buffer, broker_value *out_values)
{
    return snapshot(h, VALUES, buffer, out_values);
}

int bri_dict_items(struct bri_handle *h, broker_buffer *buffer, broker_value *out_items)
{
    return snapshot(h, ITEMS, buffer, out_items);
}

int bri_dict_copy(struct bri_handle *h, broker_buffer *buffer, broker_value *out_map)
{
    return snapshot(h, MAP, buffer, out_map);
}

/* ---- scan ---- */

struct scan {
    struct bri_output out;
    uint64_t pos; /* before, and after a bucket was read */
    uint64_t next;
    int n;       /* entries of the bucket */
    size_t size; /* of the output, the bucket included */
    size_t start;
    struct bri_entry entries[SCAN_BUCKET];
};

/* One bucket, appended to what there is already. */
static int scan_try(struct bri_object *o, void *arg)
{
    struct scan *x = arg;
    uint8_t *to;
    size_t n = 0;

    x->next = x->pos;
    x->n = bri_table_scan(o, bri_dict_table(o), &x->next, x->entries, SCAN_BUCKET);
    if (x->n < 0)
        return x->n == -1 ? BROKER_LIMIT : BROKER_CORRUPT;
    for (int i = 0; i < x->n; i++)
        n += x->entries[i].given_size + x->entries[i].value_size;
    if (bri_output_lacks(&x->out, x->start + n))
        return BRI_MORE;
    to = (uint8_t *)x->out.buffer->data + x->start;
    for (int i = 0; i < x->n; i++) {
        memcpy(to, x->entries[i].given, x->entries[i].given_size);
        to += x->entries[i].given_size;
        memcpy(to, x->entries[i].value, x->entries[i].value_size);
        to += x->entries[i].value_size;
    }
    x->size = x->start + n;
    return 0;
}

/* The head of the map comes last, when the number is known, right before the entries. */
int bri_dict_scan(struct bri_handle *h, uint64_t cursor, uint64_t limit, broker_buffer *buffer,
    broker_value *out_map, uint64_t *out_next)
{
    struct scan x = {.out.buffer = buffer, .pos = cursor, .start = 5};
    uint64_t n = 0, end = UINT64_C(1) << 32;
    uint8_t head[5], *map;
    size_t head_size;
    int r = limit == 0 || cursor >= end ? BROKER_INVALID : bri_buffer_reserve(buffer, x.start);

    while (r == 0 && x.pos < end && n < limit) {
        r = bri_read_out(h, scan_try, &x, &x.out);
        if (r < 0)
            break;
        n += (uint64_t)x.n;
        x.pos = x.next;
        x.start = x.size;
    }
    if (r < 0)
        return r;
    head_size = bri_map_header((uint32_t)n, head);
    map = (uint8_t *)buffer->data + 5 - head_size;
    memcpy(map, head, head_size);
    buffer->size = x.start;
    r = bri_value_decode(map, x.start - 5 + head_size, out_map);
    if (r == 0)
        *out_next = x.pos < end ? x.pos : 0;
    return r;
}
