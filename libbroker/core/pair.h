/*
 * pair.h - two words of shared memory that change as one
 *
 * A compare-and-swap of 16 bytes, by one instruction (or one exclusive pair of them): killed
 * anywhere, a thread has either changed both words or none. With the object's generation in one of
 * them, a word that lies in a slot can be changed without the guard, and a late change by somebody
 * whose object was destroyed meanwhile matches nothing.
 */
#ifndef BRI_PAIR_H
#define BRI_PAIR_H

#include <stdbool.h>
#include <stdint.h>

struct bri_pair {
    _Alignas(16) uint64_t low;
    uint64_t high;
};

_Static_assert(sizeof(struct bri_pair) == 16, "pair size");

/*
 * Makes *@p @desired if it is *@expected, else *@expected what it is. A full barrier. Always writes
 * to the memory, if only what is there.
 */
#if defined(__x86_64__)
static inline bool bri_pair_swap(
    struct bri_pair *p, struct bri_pair *expected, struct bri_pair desired)
{
    bool done;

    __asm__ __volatile__("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*p), "+a"(expected->low), "+d"(expected->high)
                         : "b"(desired.low), "c"(desired.high)
                         : "memory");
    return done;
}
#elif defined(__aarch64__)
static inline bool bri_pair_swap(
    struct bri_pair *p, struct bri_pair *expected, struct bri_pair desired)
{
    uint64_t low, high, new_low, new_high;
    uint32_t failed;

    /* What differs is stored back: only a pair that could be stored whole was read whole. */
    __asm__ __volatile__("1: ldaxp %[low], %[high], %[p]\n"
                         "   cmp %[low], %[was_low]\n"
                         "   ccmp %[high], %[was_high], #0, eq\n"
                         "   csel %[new_low], %[want_low], %[low], eq\n"
                         "   csel %[new_high], %[want_high], %[high], eq\n"
                         "   stlxp %w[failed], %[new_low], %[new_high], %[p]\n"
                         "   cbnz %w[failed], 1b\n"
                         "   dmb ish\n"
                         : [low] "=&r"(low), [high] "=&r"(high), [new_low] "=&r"(new_low),
                         [new_high] "=&r"(new_high), [failed] "=&r"(failed), [p] "+Q"(*p)
                         : [was_low] "r"(expected->low), [was_high] "r"(expected->high),
                         [want_low] "r"(desired.low), [want_high] "r"(desired.high)
                         : "cc", "memory");
    if (low == expected->low && high == expected->high)
        return true;
    *expected = (struct bri_pair){low, high};
    return false;
}
#else
#error "this processor needs its own bri_pair_swap()"
#endif

#endif
