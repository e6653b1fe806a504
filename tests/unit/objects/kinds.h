/*
 * kinds.h - an object of each type, with something in it and something of it held, and all that can
 * be done with it when it is damaged
 *
 * Those that are waited for have somebody who waits: a thread of the test, from kinds_make() to
 * kinds_free().
 */
#ifndef TESTS_KINDS_H
#define TESTS_KINDS_H

#include "victim.h"

struct kind {
    const char *name; /* of the object */
    void (*make)(broker *b);
    victim_use_fn *use; /* nothing in it waits */
};

extern const struct kind kinds[];
extern const unsigned n_kinds;

/* victim_make(), and one of each kind by the same session; and back. */
void kinds_make(void);
void kinds_free(void);

/* Tries all that can be done with an object of this kind, looks around before and after, ends the
 * session that made it, and destroys it. */
void kinds_use(const struct kind *kind, broker *b, broker_buffer *buffer);

#endif
