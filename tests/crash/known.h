/*
 * known.h - images that were judged before
 *
 * A repair makes the same of most states of an operation: what came of one is what comes of all
 * that are the same then, byte by byte where a byte counts.
 */
#ifndef TESTS_CRASH_KNOWN_H
#define TESTS_CRASH_KNOWN_H

#include <stdint.h>

#include "world.h"

#define MAX_KNOWN 4096u

/* A hash table; those for which there is no place are not known. */
struct known {
    struct known_image {
        uint64_t hash; /* 0: a free place */
        unsigned fits; /* as the judge's */
    } images[MAX_KNOWN];
};

void known_forget(struct known *k);

/* Of all that what comes now depends on; not 0. Nobody may be under way or sleep in @w. */
uint64_t known_hash(const struct world *w);

/* Where the image is, or may be noted; NULL if all places are taken. */
struct known_image *known_find(struct known *k, uint64_t hash);

#endif
