/*
 * walk.h - going through an array or a map that came over the wire, value by value
 */
#ifndef ZMQD_WALK_H
#define ZMQD_WALK_H

#include <stdbool.h>

#include "value/head.h"
#include "value/value.h"

struct zmqd_walk {
    const uint8_t *p, *end;
    uint32_t left; /* values; of a map keys and values */
};

/* False if @v is no array, or no map. */
static inline bool zmqd_walk_begin(struct zmqd_walk *w, broker_value v, enum bri_kind kind)
{
    struct bri_head head;

    if (v.type != BROKER_PACKED)
        return false;
    w->end = (const uint8_t *)v.data + v.size;
    w->p = bri_head_read(v.data, w->end, &head);
    if (w->p == NULL || head.kind != kind)
        return false;
    w->left = kind == BRI_KIND_MAP ? 2 * head.count : head.count;
    return true;
}

/* False at the end. */
static inline bool zmqd_walk_next(struct zmqd_walk *w, broker_value *out)
{
    size_t used;

    if (w->left == 0 || bri_value_check_first(w->p, (size_t)(w->end - w->p), &used) < 0 ||
        bri_value_decode(w->p, used, out) < 0)
        return false;
    w->p += used;
    w->left--;
    return true;
}

/* A number of 0 or more. */
static inline bool zmqd_is_unsigned(broker_value v)
{
    return v.type == BROKER_UINT || (v.type == BROKER_INT && v.i >= 0);
}

#endif
