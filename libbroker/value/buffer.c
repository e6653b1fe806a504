/*
 * The caller's memory for outputs. Always private to one thread, never shared memory.
 */
#include "value/value.h"

#include <broker.h>
#include <stdlib.h>

/* Large enough that most buffers are allocated once. */
#define FIRST_CAPACITY 64

int bri_buffer_reserve(broker_buffer *b, size_t capacity)
{
    size_t grown = b->capacity > SIZE_MAX / 2 ? SIZE_MAX : 2 * b->capacity;
    void *data;

    if (capacity <= b->capacity)
        return 0;
    if (grown < FIRST_CAPACITY)
        grown = FIRST_CAPACITY;
    if (grown < capacity)
        grown = capacity;
    data = realloc(b->data, grown);
    if (data == NULL)
        return BROKER_NOMEM;
    b->data = data;
    b->capacity = grown;
    return 0;
}

void broker_buffer_free(broker_buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->data);
    *buffer = (broker_buffer)BROKER_BUFFER_INIT;
}
