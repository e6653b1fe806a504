/*
 * Packed arrays and maps, taken apart for programs. The bytes may come from anywhere: each step
 * checks what it steps over, and nothing else is believed of them.
 */
#include "value/value.h"

#include <broker.h>

/* A value that a walk has stepped over: its bounds are right, or it would not have. */
static int decode(const void *bytes, size_t size, broker_value *out)
{
    return bri_value_decode(bytes, size, out) == 0 ? 0 : BROKER_INVALID;
}

static bool is_container(broker_value v)
{
    return v.type == BROKER_PACKED && v.data != NULL;
}

static int begin(broker_value container, struct bri_iter *it, bool *out_is_map)
{
    if (!is_container(container))
        return BROKER_INVALID;
    *out_is_map = bri_iter_map(it, container.data, container.size) == 0;
    return *out_is_map ? 0 : bri_iter_array(it, container.data, container.size);
}

int broker_unpack_count(broker_value container, uint32_t *out_count)
{
    struct bri_iter it;
    bool is_map;
    int r = out_count != NULL ? begin(container, &it, &is_map) : BROKER_INVALID;

    if (r == 0)
        *out_count = is_map ? it.left / 2 : it.left;
    return r;
}

int broker_unpack_begin(broker_value container, broker_cursor *out_cursor)
{
    struct bri_iter it;
    bool is_map;
    int r = out_cursor != NULL ? begin(container, &it, &is_map) : BROKER_INVALID;

    if (r == 0)
        *out_cursor = (broker_cursor){it.p, it.end, it.left};
    return r;
}

int broker_unpack_next(broker_cursor *cursor, broker_value *out_value)
{
    struct bri_iter it;
    const void *bytes;
    broker_value v;
    size_t size;
    int r;

    if (cursor == NULL || out_value == NULL || cursor->next == NULL)
        return BROKER_INVALID;
    it = (struct bri_iter){cursor->next, cursor->end, cursor->left};
    r = bri_iter_next(&it, &bytes, &size);
    if (r == 0)
        r = decode(bytes, size, &v);
    if (r < 0)
        return r;
    *cursor = (broker_cursor){it.p, it.end, it.left};
    *out_value = v;
    return 0;
}

int broker_unpack_at(broker_value array, uint32_t index, broker_value *out_value)
{
    const void *bytes;
    struct bri_iter it;
    size_t size;
    int r;

    if (out_value == NULL || !is_container(array))
        return BROKER_INVALID;
    r = bri_iter_array(&it, array.data, array.size);
    if (r == 0 && index >= it.left)
        return BROKER_NOTFOUND;
    for (uint64_t i = 0; i <= index && r == 0; i++)
        r = bri_iter_next(&it, &bytes, &size);
    return r < 0 ? r : decode(bytes, size, out_value);
}

/* ---- by key ---- */

/* A key that is looked for: encoded, but for the body of a string, which stays where it is. */
struct wanted {
    broker_value key;
    const void *bytes; /* NULL for strings */
    size_t size;
    uint8_t scalar[32];
};

_Static_assert(BRI_REF_BYTES <= sizeof(((struct wanted *)0)->scalar), "a reference is a scalar");

static int want(struct wanted *w, broker_value key)
{
    int r = bri_value_measure(key, &w->size);

    w->key = key;
    w->bytes = NULL;
    if (r < 0 || key.type == BROKER_STR || key.type == BROKER_BIN)
        return r;
    w->bytes = key.type == BROKER_PACKED ? key.data : w->scalar;
    if (key.type != BROKER_PACKED)
        (void)bri_value_encode(key, w->scalar);
    return 0;
}

static bool is_wanted(const struct wanted *w, const void *bytes, size_t size)
{
    broker_value v;

    if (w->bytes != NULL)
        return bri_value_equal(bytes, size, w->bytes, w->size);
    return decode(bytes, size, &v) == 0 && v.type == w->key.type && v.size == w->key.size &&
           (v.size == 0 || memcmp(v.data, w->key.data, v.size) == 0);
}

int broker_unpack_find(broker_value map, broker_value key, broker_value *out_value)
{
    const void *bytes;
    struct wanted w;
    struct bri_iter it;
    bool found = false;
    size_t size;
    int r;

    if (out_value == NULL || !is_container(map))
        return BROKER_INVALID;
    r = want(&w, key);
    if (r == 0)
        r = bri_iter_map(&it, map.data, map.size);
    while (r == 0 && !found && (r = bri_iter_next(&it, &bytes, &size)) == 0) {
        found = is_wanted(&w, bytes, size);
        r = bri_iter_next(&it, &bytes, &size);
    }
    if (r < 0)
        return r == BROKER_EMPTY ? BROKER_NOTFOUND : r;
    return decode(bytes, size, out_value);
}
