/*
 * ref.h - what a reference to an object is, and how it lies in stored values
 *
 * A reference names an object by its slot and by what no other object ever has: its generation, and
 * 16 bits that tell the arena. In a value it is the extension type 1 in the one form that has a
 * byte for type and size together: so references are found by their first two bytes.
 */
#ifndef BRI_REF_H
#define BRI_REF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BRI_REF_FIRST 0xd8 /* msgpack: an extension of 16 bytes, */
#define BRI_REF_SECOND 1   /* of this type */
#define BRI_REF_BYTES 18u

#define BRI_GENERATION_BITS 48
#define BRI_GENERATION_MAX ((UINT64_C(1) << BRI_GENERATION_BITS) - 1)

struct bri_ref {
    uint32_t slot;
    uint64_t identity; /* arena, then generation; never 0 */
};

static inline uint64_t bri_ref_generation(struct bri_ref ref)
{
    return ref.identity & BRI_GENERATION_MAX;
}

/* Both numbers as big-endian u64. */
static inline uint8_t *bri_ref_write(uint8_t *to, struct bri_ref ref)
{
    uint64_t numbers[] = {
        __builtin_bswap64(ref.slot),
        __builtin_bswap64(ref.identity),
    };

    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are turned around");
    to[0] = BRI_REF_FIRST;
    to[1] = BRI_REF_SECOND;
    memcpy(to + 2, numbers, sizeof(numbers));
    return to + BRI_REF_BYTES;
}

/* False if the @size bytes are no reference. */
static inline bool bri_ref_read(const uint8_t *bytes, size_t size, struct bri_ref *out)
{
    uint64_t numbers[2];

    if (size != BRI_REF_BYTES || bytes[0] != BRI_REF_FIRST || bytes[1] != BRI_REF_SECOND)
        return false;
    memcpy(numbers, bytes + 2, sizeof(numbers));
    numbers[0] = __builtin_bswap64(numbers[0]);
    numbers[1] = __builtin_bswap64(numbers[1]);
    if (numbers[0] > UINT32_MAX || numbers[1] == 0)
        return false;
    *out = (struct bri_ref){.slot = (uint32_t)numbers[0], .identity = numbers[1]};
    return true;
}

#endif
