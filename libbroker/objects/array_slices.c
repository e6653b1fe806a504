/*
 * array_slices.c - several elements of an array at once, and how many there are
 */
#include <broker.h>

#include "core/heap.h"
#include "engine_ops.h"
#include "objects/array.h"
#include "objects/reading.h"
#include "value/value.h"

#define SET_MAX (UINT32_C(1) << 20) /* elements of one change: its journal is some 16 MiB then */

struct slice {
    int64_t start, stop, step; /* as given */
    int64_t first;             /* in a certain array: its first element, if there is one, */
    uint64_t n;                /* and how many there are */
};

static const struct slice whole = {.stop = INT64_MAX, .step = 1};

static int64_t clamped(int64_t i, int64_t length, bool backwards)
{
    if (i < 0)
        i += length;
    if (i < 0)
        return backwards ? -1 : 0;
    return i < length ? i : backwards ? length - 1 : length;
}

/* As CPython 3.11's PySlice_AdjustIndices(). INVALID if the step is 0. */
static int find_slice(uint64_t length, struct slice *s)
{
    int64_t step = s->step < -INT64_MAX ? -INT64_MAX : s->step;
    int64_t start = clamped(s->start, (int64_t)length, step < 0);
    int64_t stop = clamped(s->stop, (int64_t)length, step < 0);

    if (step == 0)
        return BROKER_INVALID;
    s->step = step;
    s->first = start;
    s->n = 0;
    if (step < 0 && stop < start)
        s->n = (uint64_t)((start - stop - 1) / -step) + 1;
    else if (step > 0 && start < stop)
        s->n = (uint64_t)((stop - start - 1) / step) + 1;
    return 0;
}

static inline size_t element_at(const struct bri_array_view *v, const struct slice *s, uint64_t i)
{
    return (size_t)(s->first + (int64_t)i * s->step) * v->type->size;
}

struct read {
    struct slice slice;
    struct bri_array_view view;
    broker_buffer raw; /* the elements as they lie in the array */
    struct bri_output out;
};

static int read_try(struct bri_object *o, void *arg)
{
    struct read *x = arg;
    struct bri_array_view v;
    size_t size;
    int r = bri_array_look(o, &v);

    if (r == 0)
        r = find_slice(v.length, &x->slice);
    if (r < 0)
        return r;
    size = v.type->size;
    if (x->slice.n > UINT32_MAX)
        return BROKER_TOOBIG;
    if (bri_output_lacks(&x->out, x->slice.n * size))
        return BRI_MORE;
    x->view = v;
    if (v.data == NULL)
        memset(x->raw.data, 0, x->slice.n * size);
    else if (x->slice.step == 1)
        bri_copy(x->raw.data, v.data + element_at(&v, &x->slice, 0), x->slice.n * size);
    else
        for (uint64_t i = 0; i < x->slice.n; i++)
            memcpy((uint8_t *)x->raw.data + i * size, v.data + element_at(&v, &x->slice, i), size);
    return 0;
}

/* The elements that were read, packed. */
static int pack(const struct read *x, broker_buffer *buffer, broker_value *out_values)
{
    const struct bri_number_type *type = x->view.type;
    const uint8_t *from = x->raw.data;
    uint32_t n = (uint32_t)x->slice.n;
    uint8_t header[5];
    size_t size = bri_array_header(n, header), one;
    uint8_t *to;
    int r;

    for (uint32_t i = 0; i < n; i++) {
        (void)bri_value_measure(
            bri_number_value(type, bri_number_load(type, from + (size_t)i * type->size)), &one);
        size += one;
    }
    r = size > UINT32_MAX ? BROKER_TOOBIG : bri_buffer_reserve(buffer, size);
    if (r < 0)
        return r;
    to = (uint8_t *)buffer->data + bri_array_header(n, buffer->data);
    for (uint32_t i = 0; i < n; i++)
        to += bri_value_encode(
            bri_number_value(type, bri_number_load(type, from + (size_t)i * type->size)), to);
    buffer->size = size;
    *out_values = broker_packed(buffer->data, size);
    return 0;
}

static int read_slice(struct bri_handle *h, const struct slice *slice, broker_buffer *buffer,
    broker_value *out_values)
{
    struct read x = {.slice = *slice, .raw = BROKER_BUFFER_INIT};
    int r;

    x.out.buffer = &x.raw;
    /* Room for one, so that there always is memory to copy to. */
    r = bri_buffer_reserve(&x.raw, sizeof(uint64_t));
    if (r == 0)
        r = bri_read_out(h, read_try, &x, &x.out);
    if (r == 0)
        r = pack(&x, buffer, out_values);
    broker_buffer_free(&x.raw);
    return r;
}

int bri_array_get_slice(struct bri_handle *h, int64_t start, int64_t stop, int64_t step,
    broker_buffer *buffer, broker_value *out_values)
{
    const struct slice slice = {.start = start, .stop = stop, .step = step};

    return read_slice(h, &slice, buffer, out_values);
}

int bri_array_read(struct bri_handle *h, broker_buffer *buffer, broker_value *out_values)
{
    return read_slice(h, &whole, buffer, out_values);
}

struct write {
    struct slice slice;
    broker_buffer raw; /* 64-bit forms of the new elements */
    uint64_t n;
};

static int write_try(struct bri_txn *t, void *arg)
{
    struct write *x = arg;
    const uint64_t *bits = x->raw.data;
    uint64_t *word, *noted = NULL;
    struct bri_array_view v;
    int r = bri_array_look_to_change(t, &v);

    if (r == 0)
        r = find_slice(v.length, &x->slice);
    if (r < 0)
        return r;
    if (x->slice.n != x->n)
        return BROKER_MISMATCH;
    if (v.data == NULL && x->n > 0)
        return BRI_MORE;
    /* Neighbours in a word are written by nobody but a recovery. */
    for (uint64_t i = 0; i < x->n; i++) {
        uint8_t *to = v.data + element_at(&v, &x->slice, i);

        word = (uint64_t *)((uintptr_t)to & ~(uintptr_t)7);
        if (word != noted && !bri_note64(t, word))
            return t->failed;
        noted = word;
        bri_number_store(v.type, to, bits[i]);
        bri_order();
    }
    return t->failed;
}

/* The 64-bit forms of all numbers of a packed array. */
static int read_values(const struct bri_number_type *type, broker_value values, struct write *x)
{
    struct bri_iter it;
    const void *data;
    broker_value v;
    size_t size;
    int r = bri_value_measure(values, &size);

    if (r == 0)
        r = values.type == BROKER_PACKED ? bri_iter_array(&it, values.data, values.size)
                                         : BROKER_INVALID;
    if (r < 0)
        return r;
    if (it.left > SET_MAX)
        return BROKER_TOOBIG;
    r = bri_buffer_reserve(&x->raw, (it.left + 1) * sizeof(uint64_t));
    for (x->n = 0; r == 0; x->n++) {
        r = bri_iter_next(&it, &data, &size);
        if (r == BROKER_EMPTY)
            return 0;
        if (r == 0)
            r = bri_value_decode(data, size, &v);
        if (r == 0)
            r = bri_number_bits(type, v, (uint64_t *)x->raw.data + x->n);
    }
    return r;
}

static int look_try(struct bri_object *o, void *arg)
{
    return bri_array_look(o, arg);
}

static int write_slice(struct bri_handle *h, const struct slice *slice, broker_value values)
{
    struct write x = {.slice = *slice, .raw = BROKER_BUFFER_INIT};
    struct bri_array_view v;
    int r = h->object.att == NULL ? BROKER_ACCESS : bri_read(h, look_try, &v);

    if (r == 0)
        r = read_values(v.type, values, &x);
    if (r == 0)
        r = bri_array_change(h, write_try, &x);
    broker_buffer_free(&x.raw);
    return r;
}

int bri_array_set_slice(
    struct bri_handle *h, int64_t start, int64_t stop, int64_t step, broker_value values)
{
    const struct slice slice = {.start = start, .stop = stop, .step = step};

    return write_slice(h, &slice, values);
}

int bri_array_write(struct bri_handle *h, broker_value values)
{
    return write_slice(h, &whole, values);
}

int bri_array_len(struct bri_handle *h, uint64_t *out_count)
{
    struct bri_array_view v;
    int r = bri_read(h, look_try, &v);

    if (r == 0)
        *out_count = v.length;
    return r;
}
