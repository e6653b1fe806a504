/*
 * vectors.h - reading schemas/vectors, as its README.md describes them
 *
 * What cannot be read ends the test with a message.
 */
#ifndef TESTS_UNIT_WIRE_VECTORS_H
#define TESTS_UNIT_WIRE_VECTORS_H

#include <broker/value.h>
#include <json-c/json.h>
#include <stdint.h>

/* The rows of a file in $VECTORS; json_object_put() frees them. */
json_object *vectors_load(const char *file);

/* A row's field, which must be there. */
json_object *vectors_field(json_object *row, const char *name);
const char *vectors_text(json_object *row, const char *name);

/* Bytes that are exactly as long as they say, so that a sanitizer sees each one read too many. */
struct bytes {
    uint8_t *data;
    size_t size;
};

struct bytes bytes_of(const void *data, size_t size);
struct bytes bytes_of_hex(const char *hex);
void bytes_free(struct bytes *bytes);

/* The value that a piece of JSON stands for; it points into @buffer. */
broker_value vectors_value(json_object *json, broker_buffer *buffer);

#endif
