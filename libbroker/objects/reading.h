/*
 * reading.h - reads that take no lock unless a writer is in their way
 */
#ifndef BRI_READING_H
#define BRI_READING_H

#include "client/handle.h"
#include "core/spin.h"

#define BRI_MORE 1002 /* internal: the caller's buffer is too small; see struct bri_output */
#define BRI_READ_TRIES 8
#define BRI_COPY_AT_ONCE 1024

/*
 * Reads what it needs of an object whose words may change meanwhile: copies with everything
 * checked, no pointer kept. What it returns counts only if nothing changed.
 */
typedef int bri_read_fn(struct bri_object *o, void *arg);

/* Where a read puts bytes: the caller's buffer, and how much of it is missing after BRI_MORE. */
struct bri_output {
    broker_buffer *buffer;
    size_t want;
};

/* The way out of the fast path: under the guard, or with the daemon's help. */
int bri_read_slow(struct bri_handle *h, bri_read_fn *fn, void *arg);

/* Grows the output's buffer to what was missing. 0 or NOMEM. */
int bri_output_grow(struct bri_output *out);

/* True, and noted, if @size bytes do not fit into the buffer. */
static inline bool bri_output_lacks(struct bri_output *out, size_t size)
{
    if (__builtin_expect(size <= out->buffer->capacity, 1))
        return false;
    out->want = size;
    return true;
}

/*
 * Copies out of the arena. Short ones, which are most, by two overlapping pieces instead of a call.
 * Long ones a kilobyte at a time: some processors copy them fifteen times slower where source and
 * destination lie a few bytes apart in their pages.
 */
static inline void bri_copy(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if (n >= 64 && n <= 128) {
        memcpy(t, f, 64);
        memcpy(t + n - 64, f + n - 64, 64);
        return;
    }
    for (; n > BRI_COPY_AT_ONCE; n -= BRI_COPY_AT_ONCE) {
        memcpy(t, f, BRI_COPY_AT_ONCE);
        t += BRI_COPY_AT_ONCE;
        f += BRI_COPY_AT_ONCE;
    }
    memcpy(t, f, n);
}

/* One optimistic read; inlined with a constant @fn. All that @fn returns; GONE, CORRUPT, and what
 * bri_begin() says. */
static inline __attribute__((always_inline)) int bri_read(
    struct bri_handle *h, bri_read_fn *fn, void *arg)
{
    struct bri_object *o = &h->object;
    uint64_t seq;
    int r, state;

    for (unsigned i = 0; i < BRI_READ_TRIES; i++) {
        if (__builtin_expect(!bri_read_begin(o, &seq), 0)) {
            bri_pause(1 + i);
            continue;
        }
        r = fn(o, arg);
        state = bri_read_state(o);
        if (__builtin_expect(bri_read_valid(o, seq), 1))
            return state < 0 ? state : r;
    }
    return bri_read_slow(h, fn, arg);
}

/* bri_read() of something that fills an output. */
static inline __attribute__((always_inline)) int bri_read_out(
    struct bri_handle *h, bri_read_fn *fn, void *arg, struct bri_output *out)
{
    int r;

    for (;;) {
        r = bri_read(h, fn, arg);
        if (__builtin_expect(r != BRI_MORE, 1))
            return r;
        r = bri_output_grow(out);
        if (r < 0)
            return r;
    }
}

#endif
