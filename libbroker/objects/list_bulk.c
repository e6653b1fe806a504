/*
 * list_bulk.c - the list type: many elements at a time
 *
 * A bulk change is one section: the journal grows as needed, so that it happens wholly or not at
 * all. What gives many elements is one optimistic read, into a buffer that is made larger until all
 * fits.
 */
#include <broker.h>

#include "core/heap.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/list.h"

#define OUTPUT_MAX UINT32_MAX

struct bri_slice bri_list_slice(int64_t start, int64_t stop, int64_t step, uint64_t length)
{
    int64_t n = (int64_t)length, lowest = step < 0 ? -1 : 0, highest = step < 0 ? n - 1 : n;
    struct bri_slice slice = {.step = step == INT64_MIN ? -INT64_MAX : step};

    if (start == BROKER_OMITTED)
        start = step < 0 ? highest : lowest;
    else if (start < 0)
        start = start + n < lowest ? lowest : start + n;
    else if (start > highest)
        start = highest;
    if (stop == BROKER_OMITTED)
        stop = step < 0 ? lowest : highest;
    else if (stop < 0)
        stop = stop + n < lowest ? lowest : stop + n;
    else if (stop > highest)
        stop = highest;
    slice.first = (uint64_t)start;
    if (step < 0 ? stop < start : start < stop)
        slice.n = step < 0 ? (uint64_t)((start - stop - 1) / -slice.step) + 1
                           : (uint64_t)((stop - start - 1) / slice.step) + 1;
    return slice;
}

/* ---- arrays on their way in ---- */

/* Starts a walk over a caller's array: 0, INVALID, TOODEEP. */
static int values_init(struct bri_iter *it, broker_value values)
{
    size_t size;
    int r = values.type == BROKER_PACKED ? bri_value_measure(values, &size) : BROKER_INVALID;

    return r < 0 ? r : bri_iter_array(it, values.data, values.size);
}

/* The next value of the walk as an element; 0 if the section failed. */
static uint64_t next_element(struct bri_txn *t, struct bri_iter *it)
{
    struct bri_list_value value = {0};
    const void *bytes;
    int r = bri_iter_next(it, &bytes, &value.size);

    if (r == 0 && value.size > BRI_ELEMENT_MAX)
        r = BROKER_TOOBIG;
    if (r < 0) {
        t->failed = r;
        return 0;
    }
    value.value = broker_packed(bytes, value.size);
    value.has_refs = bri_ref_in(value.value);
    return bri_list_element(t, &value);
}

/* Puts all values of the walk in before number @pos. */
static void insert_values(struct bri_txn *t, uint64_t pos, struct bri_iter it)
{
    uint64_t words[BRI_SEQUENCE_WORDS];
    uint32_t n;

    while (it.left > 0 && t->failed == 0) {
        for (n = 0; n < BRI_SEQUENCE_WORDS && it.left > 0 && t->failed == 0; n++)
            words[n] = next_element(t, &it);
        if (t->failed == 0)
            bri_sequence_insert(t, bri_list_sequence(t->o), pos, words, n);
        pos += n;
    }
}

/* ---- changing ---- */

struct bulk {
    struct bri_iter values;
    int64_t start, stop, step;
    int64_t count;
};

static int extend_try(struct bri_txn *t, void *arg)
{
    const struct bulk *x = arg;

    insert_values(t, bri_list_sequence(t->o)->n_elements, x->values);
    return t->failed;
}

int bri_list_extend(struct bri_handle *h, broker_value values)
{
    struct bulk x;
    int r = h->object.att == NULL ? BROKER_ACCESS : values_init(&x.values, values);

    return r < 0 ? r : bri_section(&h->object, extend_try, &x);
}

/* All of them are forgotten at once, however many there are. */
static void remove_slice(struct bri_txn *t, struct bri_slice slice)
{
    struct bri_sequence_shm *s = bri_list_sequence(t->o);

    if (slice.n == 0)
        return;
    if (slice.step < 0) {
        slice.first -= (slice.n - 1) * (uint64_t)-slice.step;
        slice.step = -slice.step;
    }
    if (slice.n == s->n_elements)
        bri_sequence_clear(t, s);
    else
        bri_sequence_remove(t, s, slice.first, (uint64_t)slice.step, slice.n);
}

static int delete_slice_try(struct bri_txn *t, void *arg)
{
    const struct bulk *x = arg;

    remove_slice(
        t, bri_list_slice(x->start, x->stop, x->step, bri_list_sequence(t->o)->n_elements));
    return t->failed;
}

int bri_list_delete_slice(struct bri_handle *h, int64_t start, int64_t stop, int64_t step)
{
    struct bulk x = {.start = start, .stop = stop, .step = step};

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return step == 0 ? BROKER_INVALID : bri_section(&h->object, delete_slice_try, &x);
}

static int set_slice_try(struct bri_txn *t, void *arg)
{
    const struct bulk *x = arg;
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    struct bri_slice slice = bri_list_slice(x->start, x->stop, x->step, s->n_elements);
    struct bri_iter values = x->values;
    uint64_t element, pos = slice.first;

    if (x->step == 1) {
        remove_slice(t, slice);
        insert_values(t, slice.first, values);
        return t->failed;
    }
    if (values.left != slice.n)
        return BROKER_MISMATCH;
    for (; values.left > 0 && t->failed == 0; pos += (uint64_t)slice.step) {
        element = next_element(t, &values);
        if (element != 0)
            bri_sequence_set(t, s, pos, element);
    }
    return t->failed;
}

int bri_list_set_slice(
    struct bri_handle *h, broker_value values, int64_t start, int64_t stop, int64_t step)
{
    struct bulk x = {.start = start, .stop = stop, .step = step};
    int r = h->object.att == NULL ? BROKER_ACCESS : values_init(&x.values, values);

    if (r == 0 && step == 0)
        r = BROKER_INVALID;
    return r < 0 ? r : bri_section(&h->object, set_slice_try, &x);
}

/* The element once more, with a value of its own; 0 if the section failed. */
static uint64_t duplicate(struct bri_txn *t, uint64_t element)
{
    uint32_t size = bri_element_size(element);
    const uint8_t *bytes = bri_element_bytes(t->o, &element);
    uint64_t off;

    if (bri_element_is_inline(element))
        return element;
    if (bytes == NULL)
        return (void)BRI_DAMAGED(t), 0;
    off = bri_alloc(t, size);
    if (off == 0)
        return 0;
    memcpy(t->o->arena->base + off, bytes, size);
    return bri_element_of_block(off, size);
}

/* Puts the first @n elements once more at the end. */
static void repeat_once(struct bri_txn *t, uint64_t n)
{
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    uint64_t copies[BRI_SEQUENCE_WORDS];
    struct bri_run leaf;
    uint32_t now;

    for (uint64_t pos = 0; pos < n && t->failed == 0; pos += now) {
        const uint64_t *words = bri_sequence_at(t->o, s, pos, &leaf);

        if (words == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        now = (uint32_t)((leaf.pos + leaf.n < n ? leaf.pos + leaf.n : n) - pos);
        for (uint32_t i = 0; i < now && t->failed == 0; i++)
            copies[i] = duplicate(t, words[i]);
        if (t->failed == 0)
            bri_sequence_insert(t, s, s->n_elements, copies, now);
    }
}

static int repeat_try(struct bri_txn *t, void *arg)
{
    const struct bulk *x = arg;
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    uint64_t n = s->n_elements;

    if (n == 0)
        return 0;
    if (x->count < 1)
        bri_sequence_clear(t, s);
    else if ((uint64_t)x->count > BRI_SEQUENCE_MAX / n)
        return BROKER_TOOBIG;
    for (int64_t i = 1; i < x->count && t->failed == 0; i++)
        repeat_once(t, n);
    return t->failed;
}

int bri_list_repeat(struct bri_handle *h, int64_t count)
{
    struct bulk x = {.count = count};

    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, repeat_try, &x);
}

/* ---- arrays on their way out ---- */

/* The array of a slice, times @times, and the elements of another array behind it. */
struct gather {
    struct bri_output out;
    int64_t start, stop, step;
    uint64_t times;
    const uint8_t *tail;
    size_t tail_size;
    uint32_t n_tail;
    /* results */
    size_t size;     /* that it has, or would have if there were room */
    uint64_t length; /* of the list */
};

static void append(struct gather *x, const void *bytes, size_t n)
{
    if (n > 0 && x->size <= x->out.buffer->capacity && n <= x->out.buffer->capacity - x->size)
        memcpy((uint8_t *)x->out.buffer->data + x->size, bytes, n);
    x->size += n;
}

static int append_slice(const struct bri_object *o, struct gather *x, struct bri_slice slice)
{
    struct bri_run leaf = {0};
    const uint8_t *bytes;
    uint64_t element, pos = slice.first;

    for (uint64_t i = 0; i < slice.n; i++, pos += (uint64_t)slice.step) {
        if (bri_list_element_at(o, &leaf, pos, &element) < 0)
            return BROKER_CORRUPT;
        bytes = bri_element_bytes(o, &element);
        if (bytes == NULL)
            return BROKER_CORRUPT;
        append(x, bytes, bri_element_size(element));
    }
    return 0;
}

static int gather_try(struct bri_object *o, void *arg)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);
    struct gather *x = arg;
    uint64_t n_bytes = *(const volatile uint64_t *)&s->n_bytes, times;
    struct bri_slice slice;
    uint8_t head[5];
    size_t start, once;

    x->length = bri_sequence_count(s);
    if (x->length > BRI_SEQUENCE_MAX)
        return BROKER_CORRUPT;
    slice = bri_list_slice(x->start, x->stop, x->step, x->length);
    slice.n = x->times > 0 ? slice.n : 0;
    times = slice.n > 0 ? x->times : 0;
    if (times > 0 && times > (BRI_SEQUENCE_MAX - x->n_tail) / slice.n)
        return BROKER_TOOBIG;
    if (slice.n == x->length && n_bytes > OUTPUT_MAX)
        return BROKER_TOOBIG;
    if (slice.n == x->length && bri_output_lacks(&x->out, sizeof(head) + n_bytes))
        return BRI_MORE; /* no need to walk through all to know */
    x->size = 0;
    append(x, head, bri_array_header((uint32_t)(slice.n * times) + x->n_tail, head));
    start = x->size;
    if (append_slice(o, x, slice) < 0)
        return BROKER_CORRUPT;
    once = x->size - start;
    if (once > OUTPUT_MAX || (times > 0 && times > OUTPUT_MAX / (once + 1)) ||
        start + once * times + x->tail_size > OUTPUT_MAX)
        return BROKER_TOOBIG;
    if (bri_output_lacks(&x->out, start + once * times + x->tail_size))
        return BRI_MORE;
    x->size = start + once;
    for (uint64_t i = 1; i < times; i++)
        append(x, (uint8_t *)x->out.buffer->data + start, once);
    append(x, x->tail, x->tail_size);
    x->out.buffer->size = x->size;
    return 0;
}

static int gather(struct bri_handle *h, struct gather *x, broker_value *out)
{
    int r = bri_read_out(h, gather_try, x, &x->out);

    return r < 0 ? r : bri_value_decode(x->out.buffer->data, x->out.buffer->size, out);
}

static struct gather gather_all(broker_buffer *buffer)
{
    return (struct gather){.out.buffer = buffer,
        .start = BROKER_OMITTED,
        .stop = BROKER_OMITTED,
        .step = 1,
        .times = 1};
}

int bri_list_copy(struct bri_handle *h, broker_buffer *buffer, broker_value *out_values)
{
    struct gather x = gather_all(buffer);

    return gather(h, &x, out_values);
}

int bri_list_get_slice(struct bri_handle *h, int64_t start, int64_t stop, int64_t step,
    broker_buffer *buffer, broker_value *out_values)
{
    struct gather x = gather_all(buffer);

    x.start = start;
    x.stop = stop;
    x.step = step;
    return step == 0 ? BROKER_INVALID : gather(h, &x, out_values);
}

int bri_list_multiply(
    struct bri_handle *h, int64_t count, broker_buffer *buffer, broker_value *out_result)
{
    struct gather x = gather_all(buffer);

    x.times = count > 0 ? (uint64_t)count : 0;
    return gather(h, &x, out_result);
}

int bri_list_concatenate(
    struct bri_handle *h, broker_value values, broker_buffer *buffer, broker_value *out_result)
{
    struct gather x = gather_all(buffer);
    struct bri_iter it;
    int r = values_init(&it, values);

    if (r < 0)
        return r;
    x.tail = it.p;
    x.tail_size = (size_t)(it.end - it.p);
    x.n_tail = it.left;
    return gather(h, &x, out_result);
}

int bri_list_scan(struct bri_handle *h, uint64_t cursor, uint64_t limit, broker_buffer *buffer,
    broker_value *out_values, uint64_t *out_next)
{
    struct gather x = gather_all(buffer);
    int r;

    if (limit == 0)
        return BROKER_INVALID;
    x.start = cursor < BRI_SEQUENCE_MAX ? (int64_t)cursor : BRI_SEQUENCE_MAX;
    x.stop = x.start + (limit < BRI_SEQUENCE_MAX ? (int64_t)limit : BRI_SEQUENCE_MAX);
    r = gather(h, &x, out_values);
    if (r == 0)
        *out_next = (uint64_t)x.stop < x.length ? (uint64_t)x.stop : 0;
    return r;
}
