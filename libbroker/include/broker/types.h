/**
 * @file
 * The few words that every public header needs: the connection, linkage, and units of time.
 */
#ifndef BROKER_TYPES_H
#define BROKER_TYPES_H

#include <stdint.h>

/** Marks what the shared library exports; everything else in it is hidden. */
#if defined(__GNUC__)
#define BROKER_API __attribute__((visibility("default")))
#else
#define BROKER_API
#endif

/** Durations are nanoseconds in an int64_t: write `3 * BROKER_SECOND`. Zero means "do not wait". */
#define BROKER_MICROSECOND INT64_C(1000)
#define BROKER_MILLISECOND INT64_C(1000000)
#define BROKER_SECOND INT64_C(1000000000)

/** The duration that never ends. */
#define BROKER_FOREVER INT64_MAX

/** A bound of a slice that is left out, as in Python's `[:stop]`, `[start:]` and `[::-1]`. */
#define BROKER_OMITTED INT64_MIN

/** One connection to a broker: what broker_open() gives, and what objects are opened through. */
typedef struct broker broker;

#endif
