/*
 * record.h - the answers that a session keeps, for requests that are repeated
 */
#ifndef ZMQD_RECORD_H
#define ZMQD_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct zmqd_record {
    uint64_t id;
    size_t size;
    void *bytes;
};

/* The newest few, in the order in which they were given. Starts from zeros. */
struct zmqd_records {
    struct zmqd_record *all; /* a ring */
    uint32_t max, n, first;
    size_t n_bytes;
    uint64_t floor; /* greatest id whose answer was let go of */
};

/* Keeps a copy of an answer instead of the oldest, within @max answers and @max_bytes; without
 * memory it is let go of at once. */
void zmqd_record_keep(
    struct zmqd_records *r, uint32_t max, size_t max_bytes, const struct zmqd_record *answer);

/* NULL if it is not there. */
const struct zmqd_record *zmqd_record_find(const struct zmqd_records *r, uint64_t id);

/* Lets go of the oldest until no more than @max_bytes are kept. */
void zmqd_record_shrink(struct zmqd_records *r, size_t max_bytes);

void zmqd_record_free(struct zmqd_records *r);

#endif
