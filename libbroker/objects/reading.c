/*
 * reading.c - see reading.h
 */
#include "objects/reading.h"

#include "value/value.h"

#define UNSTICK_TRIES 100

int bri_output_grow(struct bri_output *out)
{
    return bri_buffer_reserve(out->buffer, out->want);
}

/* A read-only client cannot lock. A living writer is soon done; from a dead one the daemon frees
 * the guard. */
static int read_stuck(struct bri_handle *h, bri_read_fn *fn, void *arg)
{
    struct bri_object *o = &h->object;
    uint64_t seq;
    int r, state;

    for (unsigned i = 0; i < UNSTICK_TRIES; i++) {
        r = bri_unstick(h->broker, o->id);
        if (r < 0)
            return r;
        for (unsigned k = 0; k < BRI_READ_TRIES; k++) {
            if (!bri_read_begin(o, &seq))
                continue;
            r = fn(o, arg);
            state = bri_read_state(o);
            if (bri_read_valid(o, seq))
                return state < 0 ? state : r;
        }
    }
    return BROKER_TIMEDOUT;
}

int bri_read_slow(struct bri_handle *h, bri_read_fn *fn, void *arg)
{
    struct bri_txn t;
    int r;

    if (h->object.arena->read_only)
        return read_stuck(h, fn, arg);
    r = bri_begin(&t, &h->object, BRI_PATIENCE);
    if (r < 0)
        return r;
    r = fn(&h->object, arg);
    if (r == BROKER_CORRUPT) /* nobody changes it now: it is damaged */
        (void)BRI_DAMAGED(&t);
    bri_abort(&t);
    return r;
}
