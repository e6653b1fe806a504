/*
 * Looking into packed values: what the operations of the arena answer.
 */
#ifndef CTL_VIEW_H
#define CTL_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include <broker/value.h>

#include "value/value.h"

/* The value under @key in a packed map; false if it is no map or has no such key. */
bool ctl_map_get(broker_value map, const char *key, broker_value *out);

/* The number under @key in a packed map; 0 if there is none. */
uint64_t ctl_map_number(broker_value map, const char *key);

bool ctl_is_text(broker_value v, const char *text);

/* Copies a string with a NUL behind it; false if it is none, does not fit or has a NUL inside. */
bool ctl_copy_text(broker_value v, char *out, size_t size);

/* A walk over the elements of a packed array, or over the keys and values of a packed map in turn.
 */
bool ctl_walk_start(struct bri_iter *walk, broker_value v);
bool ctl_walk_next(struct bri_iter *walk, broker_value *out);

#endif
