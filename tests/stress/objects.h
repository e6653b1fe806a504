/*
 * objects.h - how the objects of the stress test are made
 */
#ifndef STRESS_OBJECTS_H
#define STRESS_OBJECTS_H

#define STRESS_PLAIN                                                                               \
    {                                                                                              \
        .max_items = 300                                                                           \
    }
#define STRESS_TASKS                                                                               \
    {                                                                                              \
        .max_bytes = 1 << 20, .joinable = true                                                     \
    }
#define STRESS_ANY 6u /* objects that come and go: any-0 and so on */

#endif
