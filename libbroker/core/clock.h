/*
 * clock.h - time in the library: absolute CLOCK_MONOTONIC nanoseconds, BRI_NEVER for no deadline
 */
#ifndef BRI_CLOCK_H
#define BRI_CLOCK_H

#include <stdint.h>
#include <time.h>

#define BRI_NEVER INT64_MAX
#define BRI_SECOND INT64_C(1000000000)
#define BRI_MILLISECOND INT64_C(1000000)

static inline int64_t bri_clock(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * BRI_SECOND + ts.tv_nsec;
}

static inline int64_t bri_now(void)
{
    return bri_clock(CLOCK_MONOTONIC);
}

/* Ticks of some milliseconds, a quarter of the cost: for the age of things, not for deadlines. */
static inline int64_t bri_now_coarse(void)
{
    return bri_clock(CLOCK_MONOTONIC_COARSE);
}

/* The deadline that lies @timeout_ns (0 or more) from now. */
static inline int64_t bri_deadline(int64_t timeout_ns)
{
    int64_t now;

    if (timeout_ns == BRI_NEVER)
        return BRI_NEVER;
    now = bri_now();
    return timeout_ns > BRI_NEVER - now ? BRI_NEVER : now + timeout_ns;
}

#endif
