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

#include <broker/types.h>

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

/** A place in a packed array or map, for broker_unpack_next(). Its members are the library's. */
typedef struct broker_cursor {
    const void *next; /**< what comes next */
    const void *end;  /**< of the container */
    uint32_t left;    /**< how many come; of a map keys and values, each of them counted */
} broker_cursor;

/**
 * How many elements a packed array has, or pairs a packed map.
 *
 * Looks at the head alone.
 * @param[in]  container  a packed array or map
 * @param[out] out_count  how many
 * @retval 0               the output is set
 * @retval BROKER_INVALID  it is neither, it is cut off, or @p out_count is NULL
 *
 * - Blocks: no.
 * - Threads: any. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: nothing.
 *
 * @code{.c}
 * uint32_t n;
 * r = broker_list_copy(list, &buffer, &all);
 * if (r == 0)
 *     r = broker_unpack_count(all, &n);
 * @endcode
 */
BROKER_API int broker_unpack_count(broker_value container, uint32_t *out_count);

/**
 * Begin to walk over the elements of a packed array, or over the keys and values of a packed map.
 *
 * Nothing is allocated and nothing is to be ended: the cursor points into the container, and so do
 * the values that it gives. They are valid as long as that is.
 * @param[in]  container   a packed array or map
 * @param[out] out_cursor  before the first element
 * @retval 0               the cursor is set
 * @retval BROKER_INVALID  it is neither, it is cut off, or @p out_cursor is NULL
 *
 * - Blocks: no.
 * - Threads: any. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: nothing.
 *
 * @code{.c}
 * broker_cursor c;
 * broker_value key, value;
 * r = broker_dict_copy(dict, &buffer, &all);
 * if (r == 0)
 *     r = broker_unpack_begin(all, &c);
 * while (r == 0 && (r = broker_unpack_next(&c, &key)) == 0)
 *     r = broker_unpack_next(&c, &value);
 * @endcode
 */
BROKER_API int broker_unpack_begin(broker_value container, broker_cursor *out_cursor);

/**
 * The next element of a walk; of a map a key and its value in turn.
 *
 * An array or a map that comes is BROKER_PACKED itself, to be walked over in its turn. However deep
 * it nests, stepping over it takes no more than time proportional to its size.
 * @param[in,out] cursor     from broker_unpack_begin()
 * @param[out]    out_value  what comes; points into the container
 * @retval 0               the output is set, and the cursor behind it
 * @retval BROKER_EMPTY    all have come
 * @retval BROKER_INVALID  what comes is no value, or something follows the last one; or a pointer
 *                         is NULL
 *
 * - Blocks: no.
 * - Threads: any; one at a time per cursor. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: nothing.
 *
 * @code{.c}
 * while ((r = broker_unpack_next(&c, &value)) == 0)
 *     printf("a value of type %u\n", value.type);
 * @endcode
 */
BROKER_API int broker_unpack_next(broker_cursor *cursor, broker_value *out_value);

/**
 * An element of a packed array.
 *
 * Steps over those before it: to see all, walk.
 * @param[in]  array      a packed array
 * @param[in]  index      which, from 0
 * @param[out] out_value  the element; points into the array
 * @retval 0                the output is set
 * @retval BROKER_NOTFOUND  there are not so many
 * @retval BROKER_INVALID   it is no array, it is malformed up to there, or @p out_value is NULL
 *
 * - Blocks: no.
 * - Threads: any. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: nothing.
 *
 * @code{.c}
 * r = broker_unpack_at(pair, 1, &value);
 * @endcode
 */
BROKER_API int broker_unpack_at(broker_value array, uint32_t index, broker_value *out_value);

/**
 * The value under a key of a packed map.
 *
 * Keys are the same as in a dict: 1, 1.0 and true are one key, text and bytes are two. Steps over
 * the pairs before it; of a key that comes twice the first counts.
 * @param[in]  map        a packed map
 * @param[in]  key        any value
 * @param[out] out_value  what is under it; points into the map
 * @retval 0                the output is set
 * @retval BROKER_NOTFOUND  there is no such key
 * @retval BROKER_INVALID   it is no map, it is malformed up to there, the key is no value, or @p
 *                          out_value is NULL
 * @retval BROKER_TOODEEP   the key is nested too deeply
 * @retval BROKER_TOOBIG    the key is too large for a value
 *
 * - Blocks: no.
 * - Threads: any. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: nothing.
 *
 * @code{.c}
 * broker_value stat, waiters;
 * r = broker_stat(b, "jobs", &buffer, &stat);
 * if (r == 0)
 *     r = broker_unpack_find(stat, broker_str("waiters"), &waiters);
 * @endcode
 */
BROKER_API int broker_unpack_find(broker_value map, broker_value key, broker_value *out_value);

/**
 * Make a packed array of some values.
 *
 * To nest, make what is inside in a buffer of its own first.
 * @param[in]     values     @p n values of any type, packed ones too; NULL if there are none
 * @param[in]     n          how many
 * @param[in,out] buffer     where the array is made; none of the values may lie in it
 * @param[out]    out_array  the array; points into @p buffer
 * @retval 0               the output is set
 * @retval BROKER_INVALID  a value is none, or lies in @p buffer; or a pointer is NULL
 * @retval BROKER_TOODEEP  it would be nested too deeply
 * @retval BROKER_TOOBIG   it would have 4 GiB or more
 * @retval BROKER_NOMEM    no memory
 *
 * - Blocks: no.
 * - Threads: any; one at a time per buffer. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: the buffer is the caller's.
 *
 * @code{.c}
 * const broker_value job[] = {broker_str("resize"), broker_int(640)};
 * r = broker_pack_array(job, 2, &buffer, &value);
 * if (r == 0)
 *     r = broker_queue_put(queue, value, BROKER_FOREVER);
 * @endcode
 */
BROKER_API int broker_pack_array(
    const broker_value *values, uint32_t n, broker_buffer *buffer, broker_value *out_array);

/**
 * Make a packed map of some keys and values.
 *
 * @param[in]     pairs    2 times @p n values: a key, what is under it, the next key and so on;
 *                         NULL if there are none. Whether a key comes twice is not looked at.
 * @param[in]     n        how many pairs
 * @param[in,out] buffer   where the map is made; none of the values may lie in it
 * @param[out]    out_map  the map; points into @p buffer
 * @retval 0               the output is set
 * @retval BROKER_INVALID  a value is none, or lies in @p buffer; or a pointer is NULL
 * @retval BROKER_TOODEEP  it would be nested too deeply
 * @retval BROKER_TOOBIG   it would have 4 GiB or more
 * @retval BROKER_NOMEM    no memory
 *
 * - Blocks: no.
 * - Threads: any; one at a time per buffer. Does not change broker_last_error().
 * - Crash: nothing was changed.
 * - Owns: the buffer is the caller's.
 *
 * @code{.c}
 * const broker_value sold[] = {broker_str("tickets"), broker_int(-1), broker_str("sold"),
 * broker_int(1)}; r = broker_pack_map(sold, 2, &buffer, &value); if (r == 0) r =
 * broker_dict_add_many(dict, value, broker_nil());
 * @endcode
 */
BROKER_API int broker_pack_map(
    const broker_value *pairs, uint32_t n, broker_buffer *buffer, broker_value *out_map);

#ifdef __cplusplus
}
#endif
#endif
