/*
 * wire.c - see wire.h
 */
#include "wire/wire.h"

#include <stdbool.h>
#include <string.h>

#include "objects/pack.h"
#include "value/head.h"
#include "value/value.h"

/* ---- reading ---- */

/* What is left of a message, element by element. */
struct cursor {
    const uint8_t *p, *end;
    uint32_t left; /* elements */
};

/* Goes into the array that must come next. */
static bool enter(struct cursor *c, const uint8_t *p, const uint8_t *end)
{
    struct bri_head head;

    p = bri_head_read(p, end, &head);
    if (p == NULL || head.kind != BRI_KIND_ARRAY)
        return false;
    *c = (struct cursor){.p = p, .end = end, .left = head.count};
    return true;
}

static bool next(struct cursor *c, broker_value *out)
{
    size_t used;

    if (c->left == 0 || bri_value_check_first(c->p, (size_t)(c->end - c->p), &used) < 0 ||
        bri_value_decode(c->p, used, out) < 0)
        return false;
    c->p += used;
    c->left--;
    return true;
}

static bool is_at_end(const struct cursor *c)
{
    return c->left == 0 && c->p == c->end;
}

/* All that is left, and nothing may be behind it. */
static bool rest(struct cursor *c, broker_value *values, uint32_t *out_n)
{
    uint32_t n = c->left;

    if (n > BRI_WIRE_MAX_VALUES)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!next(c, &values[i]))
            return false;
    *out_n = n;
    return is_at_end(c);
}

static bool is_unsigned(const broker_value *v)
{
    return v->type == BROKER_UINT || (v->type == BROKER_INT && v->i >= 0);
}

static bool names_object(const broker_value *v)
{
    return v->type == BROKER_NIL || v->type == BROKER_STR || v->type == BROKER_REF ||
           is_unsigned(v);
}

/* The object, or an array of the object and a thread. */
static bool read_object(const broker_value *v, struct bri_wire_request *out)
{
    struct cursor c;
    broker_value thread;

    out->object = *v;
    if (v->type != BROKER_PACKED)
        return names_object(v);
    if (!enter(&c, v->data, (const uint8_t *)v->data + v->size) || !next(&c, &out->object) ||
        !next(&c, &thread) || !is_at_end(&c))
        return false;
    if (!is_unsigned(&thread) || thread.u == 0 || thread.u > BRI_WIRE_MAX_THREAD)
        return false;
    out->thread = (uint32_t)thread.u;
    return names_object(&out->object);
}

int bri_wire_read_request(const void *data, size_t size, struct bri_wire_request *out)
{
    broker_value v;
    struct cursor c;

    out->id = 0;
    out->thread = 0;
    if (!enter(&c, data, (const uint8_t *)data + size) || !next(&c, &v) || !is_unsigned(&v))
        return BROKER_PROTO;
    if (v.u != BRI_WIRE_VERSION)
        return BROKER_VERSION;
    if (!next(&c, &v) || !is_unsigned(&v))
        return BROKER_PROTO;
    out->id = v.u;
    if (v.u == 0 || !next(&c, &v) || v.type != BROKER_STR)
        return BROKER_PROTO;
    out->op = v.data;
    out->op_size = v.size;
    if (!next(&c, &v) || !read_object(&v, out))
        return BROKER_PROTO;
    return rest(&c, out->args, &out->n_args) ? 0 : BROKER_PROTO;
}

int bri_wire_read_answer(const void *data, size_t size, struct bri_wire_answer *out)
{
    broker_value id, status, result;
    struct cursor c;

    if (!enter(&c, data, (const uint8_t *)data + size) || !next(&c, &id) || !is_unsigned(&id) ||
        !next(&c, &status) || status.type != BROKER_INT || status.i < INT32_MIN ||
        status.i > INT32_MAX)
        return BROKER_PROTO;
    *out = (struct bri_wire_answer){.id = id.u, .status = (int)status.i};
    if (out->status >= 0) /* walked over once, so entered in place */
        return c.left == 1 && enter(&c, c.p, c.end) && rest(&c, out->results, &out->n_results)
                   ? 0
                   : BROKER_PROTO;
    if (!next(&c, &result) || result.type != BROKER_STR || !is_at_end(&c))
        return BROKER_PROTO;
    out->text = result;
    return 0;
}

static void move_value(broker_value *v, const void *from, const void *to)
{
    if (v->type == BROKER_STR || v->type == BROKER_BIN || v->type == BROKER_PACKED)
        v->data = (const uint8_t *)to + ((uintptr_t)v->data - (uintptr_t)from);
}

void bri_wire_move_answer(struct bri_wire_answer *answer, const void *from, const void *to)
{
    move_value(&answer->text, from, to);
    for (uint32_t i = 0; i < answer->n_results; i++)
        move_value(&answer->results[i], from, to);
}

/* ---- writing ---- */

int bri_wire_write_request(broker_buffer *buffer, const struct bri_wire_request *request)
{
    struct bri_pack p = {.buffer = buffer};

    bri_pack_array(&p, 4 + request->n_args);
    bri_pack_value(&p, broker_int(BRI_WIRE_VERSION));
    bri_pack_value(&p, broker_uint(request->id));
    bri_pack_value(&p, broker_strn(request->op, request->op_size));
    if (request->thread != 0)
        bri_pack_array(&p, 2);
    bri_pack_value(&p, request->object);
    if (request->thread != 0)
        bri_pack_value(&p, broker_uint(request->thread));
    for (uint32_t i = 0; i < request->n_args; i++)
        bri_pack_value(&p, request->args[i]);
    return p.failed;
}

/* Behind the header of the array, the version, and the head of the number itself. */
void bri_wire_set_id(void *request, uint64_t id)
{
    uint8_t *bytes = request;
    size_t header = (bytes[0] & 0xf0) == 0x90 ? 1 : 3;
    uint64_t big_endian = __builtin_bswap64(id);

    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are turned around");
    _Static_assert(BRI_WIRE_VERSION < 128, "it has one byte");
    memcpy(bytes + header + 2, &big_endian, sizeof(big_endian));
}

int bri_wire_write_answer(broker_buffer *buffer, const struct bri_wire_answer *answer)
{
    struct bri_pack p = {.buffer = buffer};

    bri_pack_array(&p, 3);
    bri_pack_value(&p, broker_uint(answer->id));
    bri_pack_value(&p, broker_int(answer->status));
    if (answer->status < 0) {
        bri_pack_value(&p, answer->text);
        return p.failed;
    }
    bri_pack_array(&p, answer->n_results);
    for (uint32_t i = 0; i < answer->n_results; i++)
        bri_pack_value(&p, answer->results[i]);
    return p.failed;
}
