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

/* Of a canonical key, 1 byte or more. @rest are the bytes after the first, wherever they are: a
 * string's own are there before its canonical key is. */
static inline uint32_t bri_hash_key(
    const struct bri_arena *a, uint8_t first, const void *rest, size_t n_rest)
{
    return (uint32_t)(bri_hash(a, rest, n_rest) + first * UINT64_C(0x9e3779b1));
}

#endif
