/*
 * dict_many.c - the dict type: the values of many keys in one read
 *
 * All keys are made canonical first, so that what has to be looked at in one moment is short. The
 * read is an optimistic one, like that of a single key; nothing is left by a crash.
 */
#include <stdlib.h>

#include <broker.h>

#include "core/hash.h"
#include "engine_ops.h"
#include "objects/dict.h"
#include "objects/reading.h"

#define KEYS_MAX 65536u
#define FEW 64u     /* keys that need no memory */
#define AT_ONCE 16u /* keys whose entries are on their way into the processor at a time */
#define HEAD_MAX 5u /* bytes of the head of a map */

struct wanted {
    struct bri_table_key key; /* `data` is NULL until all lie where they stay */
    size_t key_at;            /* in `keys` */
    const uint8_t *given;
    size_t given_size;
};

struct many {
    struct bri_output out;
    struct wanted *wanted;
    uint32_t n, n_found;
    size_t size;        /* of what was found */
    broker_buffer keys; /* canonical, one after another, of those given in another form */
};

static int add_other_key(struct many *x, struct wanted *w)
{
    struct bri_key key;
    broker_value v;
    int r = bri_value_decode(w->given, w->given_size, &v);

    if (r < 0)
        return BROKER_INVALID;
    r = bri_key_init(&key, v);
    if (r < 0)
        return r;
    r = bri_buffer_reserve(&x->keys, x->keys.size + key.size);
    if (r == 0) {
        memcpy((uint8_t *)x->keys.data + x->keys.size, key.data, key.size);
        w->key = (struct bri_table_key){.size = key.size};
        w->key_at = x->keys.size;
        x->keys.size += key.size;
    }
    bri_key_fini(&key);
    return r;
}

/* One key, as it was given and made canonical. A short string is canonical as it is. */
static int add_key(struct many *x, struct bri_iter *it, struct wanted *w)
{
    const void *given;
    int r = bri_iter_next(it, &given, &w->given_size);

    if (r != 0)
        return BROKER_INVALID;
    w->given = given;
    if ((w->given[0] & 0xe0) != 0xa0)
        return add_other_key(x, w);
    w->key = (struct bri_table_key){.data = w->given, .size = w->given_size};
    return 0;
}

/* @few: room for FEW keys. */
static int take_keys(
    struct many *x, const struct bri_arena *arena, broker_value keys, struct wanted *few)
{
    const void *none;
    struct bri_iter it;
    size_t size;
    int r = keys.type == BROKER_PACKED && keys.data != NULL
                ? bri_iter_array(&it, keys.data, keys.size)
                : BROKER_INVALID;

    if (r < 0)
        return r;
    if (it.left > KEYS_MAX)
        return BROKER_TOOBIG;
    x->wanted = it.left <= FEW ? few : malloc(it.left * sizeof(*x->wanted));
    if (x->wanted == NULL)
        return BROKER_NOMEM;
    for (; it.left > 0 && r == 0; x->n++)
        r = add_key(x, &it, &x->wanted[x->n]); /* the walk checks the array itself */
    if (r == 0 && bri_iter_next(&it, &none, &size) != BROKER_EMPTY)
        r = BROKER_INVALID;
    for (uint32_t i = 0; i < x->n && r == 0; i++) {
        struct bri_table_key *key = &x->wanted[i].key;

        if (key->data == NULL)
            key->data = (const uint8_t *)x->keys.data + x->wanted[i].key_at;
        key->hash = bri_hash_key(arena, key->data[0], key->data + 1, key->size - 1);
    }
    return r;
}

/* What is needed first is asked for first, and used last. */
static void fetch(const struct bri_object *o, const struct wanted *w, uint32_t n)
{
    const struct bri_table_shm *table = bri_dict_table(o);

    for (uint32_t i = 0; i < n; i++)
        bri_table_fetch_bucket(o, table, w[i].key.hash);
    for (uint32_t i = 0; i < n; i++)
        bri_table_fetch_entry(o, table, w[i].key.hash);
}

static int add_entry(struct many *x, const struct wanted *w, const struct bri_entry *e)
{
    uint8_t *to;

    if (x->size + w->given_size + e->value_size > UINT32_MAX)
        return BROKER_TOOBIG;
    if (bri_output_lacks(&x->out, x->size + w->given_size + e->value_size))
        return BRI_MORE;
    to = (uint8_t *)x->out.buffer->data + x->size;
    bri_copy(to, w->given, w->given_size);
    bri_copy(to + w->given_size, e->value, e->value_size);
    x->size += w->given_size + e->value_size;
    x->n_found++;
    return 0;
}

/* The head comes last, when the number is known, right before the entries. */
static int many_try(struct bri_object *o, void *arg)
{
    struct many *x = arg;
    struct bri_entry e;

    x->size = HEAD_MAX;
    x->n_found = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        const struct wanted *w = &x->wanted[i];
        int r;

        if (i % AT_ONCE == 0)
            fetch(o, w, x->n - i < AT_ONCE ? x->n - i : AT_ONCE);
        r = bri_table_find(o, bri_dict_table(o), &w->key, &e);
        if (r == 0)
            r = add_entry(x, w, &e);
        if (r != 0 && r != BROKER_NOTFOUND)
            return r;
    }
    return 0;
}

int bri_dict_get_many(
    struct bri_handle *h, broker_value keys, broker_buffer *buffer, broker_value *out_found)
{
    struct many x = {.out.buffer = buffer};
    struct wanted few[FEW];
    uint8_t head[HEAD_MAX], *map;
    size_t head_size;
    int r = take_keys(&x, h->object.arena, keys, few);

    if (r == 0)
        r = bri_buffer_reserve(buffer, HEAD_MAX + 2 * keys.size);
    if (r == 0)
        r = bri_read_out(h, many_try, &x, &x.out);
    if (x.wanted != few)
        free(x.wanted);
    broker_buffer_free(&x.keys);
    if (r < 0)
        return r;
    head_size = bri_map_header(x.n_found, head);
    map = (uint8_t *)buffer->data + HEAD_MAX - head_size;
    memcpy(map, head, head_size);
    buffer->size = x.size;
    return bri_value_decode(map, x.size - HEAD_MAX + head_size, out_found);
}
