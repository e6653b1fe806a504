/*
 * pack.h - building a packed answer piece by piece
 */
#ifndef BRI_PACK_H
#define BRI_PACK_H

#include <broker/errors.h>
#include <broker/value.h>

#include "core/type.h"

/* An answer under way in a buffer. The first failure sticks. */
struct bri_pack {
    broker_buffer *buffer;
    int failed;
};

/* Starts over in @buffer. */
void bri_pack_start(struct bri_pack *p, broker_buffer *buffer);

void bri_pack_value(struct bri_pack *p, broker_value v);
void bri_pack_array(struct bri_pack *p, uint32_t n);
void bri_pack_map(struct bri_pack *p, uint32_t n);

/* One entry of a map. */
void bri_pack_entry(struct bri_pack *p, const char *key, broker_value v);

/* The whole as a value: 0, NOMEM, or what failed before. */
int bri_pack_end(struct bri_pack *p, broker_value *out_value);

#endif
