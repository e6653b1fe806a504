/*
 * Single msgpack headers, read and written: what decoding, walking, keys and comparisons are made
 * of. For the files of this folder and for brokerctl's JSON.
 */
#ifndef BRI_VALUE_HEAD_H
#define BRI_VALUE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bri_kind {
    BRI_KIND_NIL,
    BRI_KIND_BOOL,
    BRI_KIND_INT,    /* in `i` */
    BRI_KIND_UINT,   /* in `u`, always above INT64_MAX */
    BRI_KIND_DOUBLE, /* in `d` */
    BRI_KIND_STR,
    BRI_KIND_BIN,
    BRI_KIND_EXT,
    BRI_KIND_ARRAY,
    BRI_KIND_MAP,
};

struct bri_head {
    enum bri_kind kind;
    uint32_t count;      /* bytes at `body`, or elements of an array, or pairs of a map */
    const uint8_t *body; /* of a string, byte string or extension */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        int8_t ext_type;
    };
};

/*
 * Read the header at @p, and step over it and over the body of a string, byte string or extension.
 * Returns where the next header is, or NULL if there is no msgpack at @p, if it would reach beyond
 * @end, or if a container announces more elements than there are bytes left.
 */
const uint8_t *bri_head_read(const uint8_t *p, const uint8_t *end, struct bri_head *out);

/*
 * Step over one whole value. Returns where it ends, or NULL as bri_head_read() does; nesting does
 * not matter. Adds the number of headers it read to *n_steps if that is not NULL.
 */
const uint8_t *bri_head_skip(const uint8_t *p, const uint8_t *end, uint64_t *n_steps);

/*
 * Bring numbers that are equal to one form: bools and integral doubles become integers if they fit.
 */
void bri_head_unify(struct bri_head *h);

/* Write a header in its shortest form and return its size. */
size_t bri_str_header(uint32_t size, uint8_t out[5]);
size_t bri_bin_header(uint32_t size, uint8_t out[5]);
size_t bri_ext_header(uint32_t size, int8_t type, uint8_t out[6]);

#endif
