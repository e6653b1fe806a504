/*
 * Canonical keys. What the caller did not pack itself is canonical as soon as it is encoded, bools
 * and doubles apart. Packed values are walked and written anew header by header, since any of them
 * may not be in the form that all equal keys share; what is too long for the struct is walked
 * twice, first to learn the size.
 */
#include "value/head.h"
#include "value/value.h"

#include <math.h>
#include <stdlib.h>

/* Where the key is written. What no longer fits is only counted. */
struct sink {
    uint8_t *out;
    size_t room;
    size_t size;
};

static void put(struct sink *sink, const void *bytes, size_t size)
{
    if (size > 0 && sink->size <= sink->room && size <= sink->room - sink->size)
        memcpy(sink->out + sink->size, bytes, size);
    sink->size += size;
}

static void put_scalar(struct sink *sink, broker_value v)
{
    uint8_t bytes[9];

    put(sink, bytes, bri_value_encode(v, bytes));
}

static void put_bytes(struct sink *sink, const struct bri_head *h)
{
    uint8_t bytes[5];

    if (h->kind == BRI_KIND_STR)
        put(sink, bytes, bri_str_header(h->count, bytes));
    else
        put(sink, bytes, bri_bin_header(h->count, bytes));
    put(sink, h->body, h->count);
}

static int put_head(struct sink *sink, struct bri_head *h)
{
    uint8_t bytes[5];

    bri_head_unify(h);
    switch (h->kind) {
    case BRI_KIND_NIL:
        put_scalar(sink, broker_nil());
        return 0;
    case BRI_KIND_INT:
        put_scalar(sink, broker_int(h->i));
        return 0;
    case BRI_KIND_UINT:
        put_scalar(sink, broker_uint(h->u));
        return 0;
    case BRI_KIND_DOUBLE:
        put_scalar(sink, broker_double(h->d));
        return isnan(h->d) ? BROKER_BADKEY : 0;
    case BRI_KIND_STR:
    case BRI_KIND_BIN:
        put_bytes(sink, h);
        return 0;
    case BRI_KIND_ARRAY:
        put(sink, bytes, bri_array_header(h->count, bytes));
        return 0;
    default:
        return BROKER_BADKEY;
    }
}

/* The packed value of @size bytes at @data, which was checked. */
static int put_packed(struct sink *sink, const uint8_t *data, size_t size)
{
    uint32_t left[BRI_KEY_DEPTH + 1]; /* elements to come, of each array that is open */
    const uint8_t *end = data + size;
    const uint8_t *p = data;
    unsigned int depth = 0;
    struct bri_head h;
    int r;

    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0)
                return 0;
            depth--;
        }
        left[depth]--;
        p = bri_head_read(p, end, &h);
        if (p == NULL)
            return BROKER_INVALID;
        r = put_head(sink, &h);
        if (r < 0)
            return r;
        if (h.kind != BRI_KIND_ARRAY)
            continue;
        if (depth == BRI_KEY_DEPTH)
            return BROKER_BADKEY;
        left[++depth] = h.count;
    }
}

/* Where to write a key of @size bytes. */
static int make_room(struct bri_key *k, size_t size, uint8_t **out)
{
    if (size > BRI_KEY_MAX)
        return BROKER_TOOBIG;
    if (size > sizeof(k->inline_bytes)) {
        k->heap = malloc(size);
        if (k->heap == NULL)
            return BROKER_NOMEM;
    }
    *out = k->heap != NULL ? k->heap : k->inline_bytes;
    k->data = *out;
    k->size = size;
    return 0;
}

static int init_packed(struct bri_key *k, broker_value v)
{
    struct sink sink = {k->inline_bytes, sizeof(k->inline_bytes), 0};
    uint8_t *out;
    int r = put_packed(&sink, v.data, v.size);

    if (r < 0)
        return r;
    r = make_room(k, sink.size, &out);
    if (r < 0 || sink.size <= sink.room)
        return r;
    sink = (struct sink){out, sink.size, 0};
    return put_packed(&sink, v.data, v.size);
}

/* The form of a bool or double that it shares with the numbers that equal it. */
static int unify(broker_value *v)
{
    struct bri_head h = {.kind = BRI_KIND_DOUBLE, .d = v->d};

    if (v->type == BROKER_BOOL) {
        *v = broker_int(v->b ? 1 : 0);
        return 0;
    }
    if (isnan(v->d))
        return BROKER_BADKEY;
    bri_head_unify(&h);
    if (h.kind == BRI_KIND_INT)
        *v = broker_int(h.i);
    else if (h.kind == BRI_KIND_UINT)
        *v = broker_uint(h.u);
    return 0;
}

int bri_key_init_any(struct bri_key *k, broker_value v)
{
    uint8_t *out;
    size_t size;
    int r;

    k->heap = NULL;
    r = bri_value_measure(v, &size);
    if (r == 0 && v.type == BROKER_REF)
        r = BROKER_BADKEY;
    if (r < 0)
        return r;
    if (v.type == BROKER_PACKED)
        return init_packed(k, v);
    if (v.type == BROKER_BOOL || v.type == BROKER_DOUBLE) {
        r = unify(&v);
        if (r < 0)
            return r;
        (void)bri_value_measure(v, &size); /* numbers pass */
    }
    r = make_room(k, size, &out);
    if (r == 0)
        (void)bri_value_encode(v, out);
    return r;
}

void bri_key_free(struct bri_key *k)
{
    free(k->heap);
    k->heap = NULL;
}
