/*
 * objects.h - how the objects of the stress test are made
 */
#ifndef STRESS_OBJECTS_H
#define STRESS_OBJECTS_H

#include "ledger.h"

#define STRESS_PLAIN                                                                               \
    {                                                                                              \
        .max_items = 300                                                                           \
    }
#define STRESS_TASKS                                                                               \
    {                                                                                              \
        .max_bytes = 1 << 20, .joinable = true                                                     \
    }
#define STRESS_SUMS                                                                                \
    {                                                                                              \
        .typecode = "q", .length = N_COUNTERS                                                      \
    }
#define STRIPE 6u /* elements that are always the same */
#define N_STRIPES 500u
#define STRESS_STRIPES                                                                             \
    {                                                                                              \
        .typecode = "H", .length = N_STRIPES * STRIPE                                              \
    }
#define STRESS_TALK                                                                                \
    {                                                                                              \
        .max_items = 40                                                                            \
    }
#define STRESS_ANY 6u /* objects that come and go: any-0 and so on */

#endif
