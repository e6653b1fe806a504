/**
 * @file
 * Values: what a program puts into shared objects and gets out of them.
 *
 * A value is msgpack in shared memory and a small struct in C. Scalars are carried in the struct
 * itself, strings and byte strings as a pointer and a length, arrays and maps (and any other
 * msgpack, timestamps included) as packed bytes. A struct broker_value never owns memory: as an
 * input it borrows the caller's until the call returns, as an output it points into the
 * broker_buffer that was given with the call.
 */
#ifndef BROKER_VALUE_H
#define BROKER_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The kinds of value. The numbers are stable. */
typedef enum broker_type {
    BROKER_NIL = 0,
    BROKER_BOOL = 1,
    BROKER_INT = 2,  /**< signed, in `.i` */
    BROKER_UINT = 3, /**< only above INT64_MAX when it is an output; any number as input; in `.u` */
    BROKER_DOUBLE = 4, /**< in `.d` */
    BROKER_STR = 5,    /**< UTF-8 text, `size` bytes at `.data`, not NUL-terminated */
    BROKER_BIN = 6,    /**< `size` bytes at `.data` */
    BROKER_PACKED =
        7, /**< one msgpack value (an array, a map, an extension) of `size` bytes at `.data` */
    BROKER_REF = 8, /**< a reference to an object; from broker_ref(), or read; for comparing: two of
                         the same object have the same `size` and the same `.u` */
} broker_type;

/** One value. Make it with the functions below; read it through `type`. Sixteen bytes, passed by
 * value. */
typedef struct broker_value {
    uint32_t type; /**< a broker_type */
    uint32_t size; /**< bytes at `.data`, for BROKER_STR, BROKER_BIN and BROKER_PACKED; of a
                        BROKER_REF a part of its name; else 0 */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double d;
        const void *data;
    };
} broker_value;

/** @return the value nil. */
static inline broker_value broker_nil(void)
{
    broker_value v;

    v.type = BROKER_NIL;
    v.size = 0;
    v.u = 0;
    return v;
}

/** @return @p b as a value. */
static inline broker_value broker_bool(bool b)
{
    broker_value v = broker_nil();

    v.type = BROKER_BOOL;
    v.b = b;
    return v;
}

/** @return @p i as a value. */
static inline broker_value broker_int(int64_t i)
{
    broker_value v = broker_nil();

    v.type = BROKER_INT;
    v.i = i;
    return v;
}

/** @return @p u as a value. */
static inline broker_value broker_uint(uint64_t u)
{
    broker_value v = broker_nil();

    v.type = BROKER_UINT;
    v.u = u;
    return v;
}

/** @return @p d as a value. */
static inline broker_value broker_double(double d)
{
    broker_value v = broker_nil();

    v.type = BROKER_DOUBLE;
    v.d = d;
    return v;
}

/** @return the @p size bytes of UTF-8 at @p text (not NULL unless @p size is 0) as a value;
 * borrowed, not copied. */
static inline broker_value broker_strn(const char *text, size_t size)
{
    broker_value v;

    v.type = BROKER_STR;
    v.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    v.data = text;
    return v;
}

/** @return the NUL-terminated @p text (not NULL) as a value, without its NUL; borrowed, not copied.
 */
static inline broker_value broker_str(const char *text)
{
    return broker_strn(text, strlen(text));
}

/** @return the @p size bytes at @p data (not NULL unless @p size is 0) as a byte string; borrowed,
 * not copied. */
static inline broker_value broker_bin(const void *data, size_t size)
{
    broker_value v;

    v.type = BROKER_BIN;
    v.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    v.data = data;
    return v;
}

/** @return the msgpack value of @p size bytes at @p data; checked by the call that takes it,
 * borrowed, not copied. */
static inline broker_value broker_packed(const void *data, size_t size)
{
    broker_value v = broker_bin(data, size);

    v.type = BROKER_PACKED;
    return v;
}

/**
 * Memory that outputs are written into, owned by the caller and reused from call to call.
 * Start with BROKER_BUFFER_INIT, end with broker_buffer_free(). One buffer serves one thread at a
 * time. An output value that points into it is valid until the buffer is used for another call or
 * freed: a call whose input lies in the buffer that it is to fill is refused (BROKER_INVALID), so
 * what one call gave and another takes needs two buffers.
 */
typedef struct broker_buffer {
    void *data;      /**< NULL until something was written */
    size_t size;     /**< bytes used by the last output */
    size_t capacity; /**< bytes allocated */
} broker_buffer;

/** An empty buffer. */
#define BROKER_BUFFER_INIT                                                                         \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

#ifdef __cplusplus
}
#endif
#endif
