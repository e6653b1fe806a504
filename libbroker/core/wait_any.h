/*
 * wait_any.h - waiting until one of several objects is ready
 *
 * An object is ready when its type's waiting operation would not have to wait now, whoever calls
 * it: a queue has an item or was shut down, a lock is free, a semaphore has a permit, an event is
 * set. Nothing is taken: whoever is told may find that another was faster.
 */
#ifndef BRI_WAIT_ANY_H
#define BRI_WAIT_ANY_H

#include <stddef.h>

#include "core/clock.h"
#include "core/guard.h"

/* As many words as the kernel waits for at once, but the one for the caller's own use. */
#define BRI_WAIT_ANY_MAX 127u

/* A word that moves when an object may have become ready, and what it was. */
struct bri_wait_word {
    _Atomic uint32_t *word;
    uint32_t seen;
    unsigned channel;      /* where its sleepers are counted */
    int64_t look_again_ns; /* when to look again, whatever comes; BRI_NEVER */
};

/* A word of this process for bri_wait_any(), to be called back by. */
struct bri_call {
    _Atomic uint32_t *word;
    uint32_t seen;
};

/* True if @o is ready; else @out is what to sleep on. GONE and CORRUPT count as ready: the
 * operation says so. */
bool bri_is_ready(struct bri_object *o, struct bri_wait_word *out);

/* The event count of a channel, for types that sleep on theirs; before looking whether it is ready.
 */
static inline void bri_wait_word_of(
    const struct bri_object *o, unsigned channel, struct bri_wait_word *out)
{
    out->channel = channel;
    out->look_again_ns = BRI_NEVER;
    out->word = &o->slot->wait_word[channel];
    out->seen = atomic_load_explicit(out->word, memory_order_acquire);
}

/* 0 if there is such a thing as being ready for the object's type; UNSUPPORTED. ACCESS for readers,
 * whom nobody wakes. */
int bri_can_wait_any(const struct bri_object *o);

/*
 * Waits until one of @objects (at most BRI_WAIT_ANY_MAX, all of one arena or not) is ready, and
 * gives the first that is. 0, or TIMEDOUT; BRI_WAIT when @call (may be NULL) has moved. Killed
 * inside, the sleepers are counted off with the session; a wake-up that was meant for another is
 * made good after a second at most.
 */
int bri_wait_any(struct bri_object *const objects[], size_t n, int64_t deadline_ns,
    const struct bri_call *call, size_t *out_index);

#endif
