/*
 * whole.h - the whole types of values and arrays, and their ends
 */
#ifndef TESTS_WHOLE_H
#define TESTS_WHOLE_H

#include <stdint.h>

#define N_WHOLE (sizeof(whole_types) / sizeof(whole_types[0]))

static const struct whole_type {
    const char *typecode;
    int64_t min;
    uint64_t max;
} whole_types[] = {
    {"b", INT8_MIN, INT8_MAX},
    {"B", 0, UINT8_MAX},
    {"h", INT16_MIN, INT16_MAX},
    {"H", 0, UINT16_MAX},
    {"i", INT32_MIN, INT32_MAX},
    {"I", 0, UINT32_MAX},
    {"l", INT64_MIN, INT64_MAX},
    {"L", 0, UINT64_MAX},
    {"q", INT64_MIN, INT64_MAX},
    {"Q", 0, UINT64_MAX},
    {"u", 0, 0x10ffff},
};

#endif
