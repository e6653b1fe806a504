/*
 * spin.c - see spin.h
 */
#include "core/spin.h"

#include <stdatomic.h>
#include <unistd.h>

unsigned bri_n_processors(void)
{
    static _Atomic unsigned known;
    unsigned n = atomic_load_explicit(&known, memory_order_relaxed);
    long online;

    if (n != 0)
        return n;
    online = sysconf(_SC_NPROCESSORS_ONLN);
    n = online > 0 ? (unsigned)online : 1;
    atomic_store_explicit(&known, n, memory_order_relaxed);
    return n;
}
