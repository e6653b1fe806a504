/*
 * spin.h - busy waiting: how to pause, and whether it is allowed
 */
#ifndef BRI_SPIN_H
#define BRI_SPIN_H

#include <stdbool.h>
#include <stdint.h>

static inline void bri_pause(unsigned n)
{
    while (n-- > 0)
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("yield" ::: "memory");
#else
        __asm__ __volatile__("" ::: "memory");
#endif
}

/*
 * Processors of the machine, asked once. Not those that this process may run on: a program that is
 * bound to one of them spins well while the other side runs on another; where it does not pay,
 * bri_spin() finds out.
 */
unsigned bri_n_processors(void);

/* Spinning on one processor only keeps the other side from running. */
static inline bool bri_may_spin(void)
{
    return bri_n_processors() > 1;
}

#endif
