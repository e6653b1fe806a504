/*
 * wire.h - the messages of the ZeroMQ road, read and written; schemas/protocol.md says what they
 * mean
 *
 * What is read is input: a message is walked over once, without allocating, before anything of it
 * is looked at; what comes out points into it. Used by both sides, so that they cannot differ.
 */
#ifndef BRI_WIRE_H
#define BRI_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include <broker/errors.h>
#include <broker/value.h>

#define BRI_WIRE_VERSION 1u
#define BRI_WIRE_MAX_VALUES 16u /* arguments or results; the schema's longest row has fewer */
#define BRI_WIRE_MAX_THREAD 65535u

struct bri_wire_request {
    uint64_t id;
    const char *op; /* "dict.get"; not NUL-terminated */
    uint32_t op_size;
    uint32_t thread;     /* of the client; 0 is none in particular */
    broker_value object; /* nil, an integer, a string or a reference */
    broker_value args[BRI_WIRE_MAX_VALUES];
    uint32_t n_args;
};

struct bri_wire_answer {
    uint64_t id;
    int status;
    broker_value results[BRI_WIRE_MAX_VALUES]; /* status of 0 or more */
    uint32_t n_results;
    broker_value text; /* status below 0: a string */
};

/*
 * Reads a request. VERSION when it is of another version, PROTO when it is none: @out->id is then
 * its id as far as that could be read, else 0.
 */
int bri_wire_read_request(const void *data, size_t size, struct bri_wire_request *out);

/* Appends a request to @buffer, in its shortest form. NOMEM, INVALID and TOODEEP by its values. */
int bri_wire_write_request(broker_buffer *buffer, const struct bri_wire_request *request);

/*
 * Gives another id to a request that was written with an id of at least BRI_WIRE_FIXED_ID, to which
 * the same holds. So a request can be written before its turn to get a number.
 */
#define BRI_WIRE_FIXED_ID (UINT64_C(1) << 32) /* from here on all have the same length */
void bri_wire_set_id(void *request, uint64_t id);

/* Reads an answer. PROTO when it is none. */
int bri_wire_read_answer(const void *data, size_t size, struct bri_wire_answer *out);

/* The bytes that @answer was read from lie at @to now, and no longer at @from. */
void bri_wire_move_answer(struct bri_wire_answer *answer, const void *from, const void *to);

/* Appends an answer to @buffer. As bri_wire_write_request(). */
int bri_wire_write_answer(broker_buffer *buffer, const struct bri_wire_answer *answer);

#endif
