/*
 * view.c - see view.h
 */
#include "view.h"

#include <string.h>

bool ctl_walk_start(struct bri_iter *walk, broker_value v)
{
    return v.type == BROKER_PACKED &&
           (bri_iter_array(walk, v.data, v.size) == 0 || bri_iter_map(walk, v.data, v.size) == 0);
}

bool ctl_walk_next(struct bri_iter *walk, broker_value *out)
{
    const void *data;
    size_t size;

    return bri_iter_next(walk, &data, &size) == 0 && bri_value_decode(data, size, out) == 0;
}

bool ctl_map_get(broker_value map, const char *key, broker_value *out)
{
    struct bri_iter walk;
    broker_value k, v;

    if (map.type != BROKER_PACKED || bri_iter_map(&walk, map.data, map.size) < 0)
        return false;
    while (ctl_walk_next(&walk, &k) && ctl_walk_next(&walk, &v))
        if (ctl_is_text(k, key)) {
            *out = v;
            return true;
        }
    return false;
}

uint64_t ctl_map_number(broker_value map, const char *key)
{
    broker_value v;

    return ctl_map_get(map, key, &v) && (v.type == BROKER_UINT || (v.type == BROKER_INT && v.i > 0))
               ? v.u
               : 0;
}

bool ctl_is_text(broker_value v, const char *text)
{
    return v.type == BROKER_STR && v.size == strlen(text) && memcmp(v.data, text, v.size) == 0;
}

bool ctl_copy_text(broker_value v, char *out, size_t size)
{
    if (v.type != BROKER_STR || v.size >= size || memchr(v.data, '\0', v.size) != NULL)
        return false;
    memcpy(out, v.data, v.size);
    out[v.size] = '\0';
    return true;
}
