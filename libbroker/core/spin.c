/*
 * spin.c - see spin.h
 */
#include "core/spin.h"

#include <sched.h>
#include <stdatomic.h>

unsigned bri_n_processors(void)
{
    static _Atomic unsigned known;
    unsigned n = atomic_load_explicit(&known, memory_order_relaxed);
    cpu_set_t set;

    if (n != 0)
        return n;
    CPU_ZERO(&set);
    n = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        n = (unsigned)CPU_COUNT(&set);
    atomic_store_explicit(&known, n, memory_order_relaxed);
    return n;
}
