/*
 * Writing msgpack: msgpack-c's own packing template with an append that is inline, so that
 * constants fold. It chooses the shortest form of everything, and the unsigned form for numbers
 * that are not negative. Callers provide the room: the largest header is 6 bytes, the largest
 * scalar 9.
 */
#include "value/head.h"
#include "value/value.h"

#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>
#include <string.h>

static inline void append(uint8_t **out, const void *bytes, size_t size)
{
    memcpy(*out, bytes, size);
    *out += size;
}

/* The names must stay msgpack_pack_*: one function of the template calls another by its name. */
#define msgpack_pack_inline_func(name) static inline void msgpack_pack##name
#define msgpack_pack_user uint8_t **
#define msgpack_pack_append_buffer(user, bytes, size) append(user, bytes, size)

#include <msgpack/pack_template.h>

int bri_value_measure_packed(broker_value v, size_t *out_size)
{
    int r;

    if (v.size == UINT32_MAX)
        return BROKER_TOOBIG;
    if (v.data == NULL)
        return BROKER_INVALID;
    r = bri_value_check(v.data, v.size);
    if (r == 0)
        *out_size = v.size;
    return r;
}

/* NULL may come with a size of 0, which memcpy() does not allow. */
static inline void append_body(uint8_t **out, broker_value v)
{
    if (v.size > 0)
        append(out, v.data, v.size);
}

size_t bri_value_encode(broker_value v, void *out)
{
    uint8_t *p = out;

    switch (v.type) {
    case BROKER_BOOL:
        if (v.b)
            msgpack_pack_true(&p);
        else
            msgpack_pack_false(&p);
        break;
    case BROKER_INT:
        msgpack_pack_int64(&p, v.i);
        break;
    case BROKER_UINT:
        msgpack_pack_uint64(&p, v.u);
        break;
    case BROKER_DOUBLE:
        msgpack_pack_double(&p, v.d);
        break;
    case BROKER_STR:
        msgpack_pack_str(&p, v.size);
        append_body(&p, v);
        break;
    case BROKER_BIN:
        msgpack_pack_bin(&p, v.size);
        append_body(&p, v);
        break;
    case BROKER_PACKED:
        append_body(&p, v);
        break;
    case BROKER_REF:
        p = bri_ref_write(p, (struct bri_ref){.slot = v.size, .identity = v.u});
        break;
    default:
        msgpack_pack_nil(&p);
        break;
    }
    return (size_t)(p - (uint8_t *)out);
}

size_t bri_array_header(uint32_t n, uint8_t out[5])
{
    uint8_t *p = out;

    msgpack_pack_array(&p, n);
    return (size_t)(p - out);
}

size_t bri_map_header(uint32_t n, uint8_t out[5])
{
    uint8_t *p = out;

    msgpack_pack_map(&p, n);
    return (size_t)(p - out);
}

size_t bri_str_header(uint32_t size, uint8_t out[5])
{
    uint8_t *p = out;

    msgpack_pack_str(&p, size);
    return (size_t)(p - out);
}

size_t bri_bin_header(uint32_t size, uint8_t out[5])
{
    uint8_t *p = out;

    msgpack_pack_bin(&p, size);
    return (size_t)(p - out);
}

size_t bri_ext_header(uint32_t size, int8_t type, uint8_t out[6])
{
    uint8_t *p = out;

    msgpack_pack_ext(&p, size, type);
    return (size_t)(p - out);
}
