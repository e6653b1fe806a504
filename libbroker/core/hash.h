/*
 * hash.h - the hash of names and keys: XXH3, keyed by the arena's random secret
 *
 * No proof against a determined flooder, who in any case may write the arena: walks are bounded.
 */
#ifndef BRI_HASH_H
#define BRI_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/arena.h"

static inline uint64_t bri_hash(const struct bri_arena *a, const void *data, size_t size)
{
    return XXH3_64bits_withSecret(data, size, a->secret, BRI_SECRET_SIZE);
}

#endif
