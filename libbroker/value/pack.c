/*
 * Packed arrays and maps, made for programs. All is measured before anything is written.
 */
#include "value/value.h"

#include <broker.h>

#define HEAD_MAX 5

/* Checks the values, and gives the bytes that they need. */
static int measure(
    const broker_value *values, uint64_t n, const broker_buffer *buffer, size_t *out_size)
{
    size_t total = 0, size;
    int r;

    for (uint64_t i = 0; i < n; i++) {
        r = bri_borrows(values[i], buffer) ? BROKER_INVALID : bri_value_measure(values[i], &size);
        if (r < 0)
            return r;
        total += size;
        if (total >= UINT32_MAX - HEAD_MAX) /* that, as a size, says that it is too large */
            return BROKER_TOOBIG;
    }
    *out_size = total;
    return 0;
}

/* The @n values as they are, behind the head of @head_size bytes. */
static int pack(const broker_value *values, uint64_t n, const uint8_t *head, size_t head_size,
    broker_buffer *buffer, broker_value *out)
{
    size_t size, ignored;
    broker_value whole;
    uint8_t *to;
    int r = measure(values, n, buffer, &size);

    if (r == 0)
        r = bri_buffer_reserve(buffer, head_size + size);
    if (r < 0)
        return r;
    to = buffer->data;
    memcpy(to, head, head_size);
    to += head_size;
    for (uint64_t i = 0; i < n; i++)
        to += bri_value_encode(values[i], to);
    buffer->size = head_size + size;
    whole = broker_packed(buffer->data, buffer->size);
    r = bri_value_measure(whole, &ignored); /* one level deeper than what is in it */
    if (r == 0)
        *out = whole;
    return r;
}

int broker_pack_array(
    const broker_value *values, uint32_t n, broker_buffer *buffer, broker_value *out_array)
{
    uint8_t head[HEAD_MAX];

    if ((values == NULL && n > 0) || buffer == NULL || out_array == NULL)
        return BROKER_INVALID;
    return pack(values, n, head, bri_array_header(n, head), buffer, out_array);
}

int broker_pack_map(
    const broker_value *pairs, uint32_t n, broker_buffer *buffer, broker_value *out_map)
{
    uint8_t head[HEAD_MAX];

    if ((pairs == NULL && n > 0) || buffer == NULL || out_map == NULL)
        return BROKER_INVALID;
    return pack(pairs, 2 * (uint64_t)n, head, bri_map_header(n, head), buffer, out_map);
}
