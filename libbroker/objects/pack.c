/*
 * pack.c - see pack.h
 */
#include "objects/pack.h"

#include "value/value.h"

void bri_pack_start(struct bri_pack *p, broker_buffer *buffer)
{
    *p = (struct bri_pack){.buffer = buffer};
    buffer->size = 0;
}

static uint8_t *room(struct bri_pack *p, size_t n)
{
    if (p->failed == 0)
        p->failed = bri_buffer_reserve(p->buffer, p->buffer->size + n);
    return p->failed == 0 ? (uint8_t *)p->buffer->data + p->buffer->size : NULL;
}

void bri_pack_value(struct bri_pack *p, broker_value v)
{
    size_t size;
    uint8_t *to;

    if (p->failed == 0)
        p->failed = bri_value_measure(v, &size);
    to = p->failed == 0 ? room(p, size) : NULL;
    if (to != NULL)
        p->buffer->size += bri_value_encode(v, to);
}

void bri_pack_array(struct bri_pack *p, uint32_t n)
{
    uint8_t *to = room(p, 5);

    if (to != NULL)
        p->buffer->size += bri_array_header(n, to);
}

void bri_pack_map(struct bri_pack *p, uint32_t n)
{
    uint8_t *to = room(p, 5);

    if (to != NULL)
        p->buffer->size += bri_map_header(n, to);
}

void bri_pack_entry(struct bri_pack *p, const char *key, broker_value v)
{
    bri_pack_value(p, broker_str(key));
    bri_pack_value(p, v);
}

int bri_pack_end(struct bri_pack *p, broker_value *out_value)
{
    if (p->failed == 0)
        p->failed = bri_value_decode(p->buffer->data, p->buffer->size, out_value);
    return p->failed;
}
