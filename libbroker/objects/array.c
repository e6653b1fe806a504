/*
 * array.c - the array type: numbers of a chosen type, side by side
 *
 * The elements lie in one run of pages, in the form that C has for them, from the first change (or
 * look through a pointer) on until the array ends; before that all are 0. The length never changes,
 * so neither does their place. A change of one element is one store, in a section whose journal
 * undoes nothing: killed before the store it has not happened, after it it has. A change of several
 * goes through the journal. Reads are optimistic.
 *
 * Who has a pointer to the elements has them pinned: they stay the array's until its session, or
 * its last handle, ends, even when the array is destroyed.
 */
#include <broker.h>

#include "client/handle.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/numbers.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "objects/save.h"
#include "value/value.h"

#define SET_MAX (UINT32_C(1) << 20) /* elements of one change: its journal is some 16 MiB then */

struct array_shm {
    uint64_t data_off; /* [guard] first page of the elements; 0 while all are 0 */
    uint64_t length;   /* [const] */
    uint32_t code;     /* [const] letter of the type */
    uint32_t spare;
};

_Static_assert(sizeof(struct array_shm) <= BRI_SLOT_STATE, "state size");

/* An array as one look at it found it. */
struct view {
    const struct bri_number_type *type;
    uint64_t length;
    uint8_t *data; /* NULL while all elements are 0 */
};

static inline struct array_shm *state_of(const struct bri_object *o)
{
    return (struct array_shm *)o->slot->state;
}

/* 0, or CORRUPT (which for an optimistic reader only means: look again). */
static inline int look(const struct bri_object *o, struct view *out)
{
    const struct array_shm *s = state_of(o);
    uint64_t off = *(const volatile uint64_t *)&s->data_off;

    out->type = bri_number_type(*(const volatile uint32_t *)&s->code);
    out->length = *(const volatile uint64_t *)&s->length;
    out->data = NULL;
    if (out->type == NULL || out->length > o->arena->size / out->type->size)
        return BROKER_CORRUPT;
    if (off == 0)
        return 0;
    out->data = bri_at(o->arena, off, out->length * out->type->size, BRI_PAGE_SIZE);
    return out->data != NULL ? 0 : BROKER_CORRUPT;
}

/* look() in a section: what is found may be written to. */
static int look_to_change(struct bri_txn *t, struct view *out)
{
    uint64_t off = state_of(t->o)->data_off;
    int r = look(t->o, out);

    if (r < 0 ||
        (out->data != NULL && bri_block_capacity(t->o, off) < out->length * out->type->size))
        return BRI_DAMAGED(t);
    return 0;
}

static inline uint64_t load(const struct view *v, uint64_t i)
{
    return v->data != NULL ? bri_number_load(v->type, v->data + i * v->type->size) : 0;
}

/* ---- memory ---- */

static int reserve_try(struct bri_txn *t, void *arg)
{
    uint32_t *page = arg;
    struct view v;
    int r = look_to_change(t, &v);

    *page = 0;
    if (r == 0 && v.data == NULL)
        *page = bri_reserve(t, v.length * v.type->size);
    return r < 0 ? r : t->failed;
}

static int link_try(struct bri_txn *t, void *arg)
{
    const uint32_t *page = arg;

    if (state_of(t->o)->data_off != 0)
        bri_release_reserved(t, *page); /* another was faster */
    else
        bri_set64(t, &state_of(t->o)->data_off, bri_unreserve(t, *page));
    return t->failed;
}

static int release_try(struct bri_txn *t, void *arg)
{
    const uint32_t *page = arg;

    bri_release_reserved(t, *page);
    return t->failed;
}

/* Gives the array its elements, zeroed while others work on it. */
static int make_data(struct bri_handle *h)
{
    struct bri_arena *a = h->object.arena;
    uint32_t page;
    int r = bri_section(&h->object, reserve_try, &page);

    if (r < 0 || page == 0)
        return r;
    memset(bri_page_at(a, page), 0, (size_t)bri_tag_aux(bri_page_tag(a, page)) << BRI_PAGE_SHIFT);
    r = bri_section(&h->object, link_try, &page);
    if (r < 0 && bri_tag_kind(bri_page_tag(a, page)) == BRI_PAGE_RESERVED)
        (void)bri_section(&h->object, release_try, &page);
    return r;
}

/* Sections of @try, which gives BRI_MORE where it needs the elements' memory. */
static int change_sections(struct bri_handle *h, bri_try_fn *try, void *arg)
{
    int r = h->object.att == NULL ? BROKER_ACCESS : 0;

    while (r == 0) {
        r = bri_section(&h->object, try, arg);
        if (r != BRI_MORE)
            break;
        r = make_data(h);
    }
    return r;
}

/* ---- one element ---- */

static inline int find_element(const struct view *v, int64_t index, uint64_t *out_i)
{
    uint64_t i = index < 0 ? (uint64_t)index + v->length : (uint64_t)index;

    if (i >= v->length)
        return BROKER_NOTFOUND;
    *out_i = i;
    return 0;
}

struct get {
    int64_t index;
    broker_value value;
};

static inline int get_try(struct bri_object *o, void *arg)
{
    struct get *x = arg;
    struct view v;
    uint64_t i;
    int r = look(o, &v);

    if (r == 0)
        r = find_element(&v, x->index, &i);
    if (r == 0)
        x->value = bri_number_value(v.type, load(&v, i));
    return r;
}

int bri_array_get(struct bri_handle *h, int64_t index, broker_value *out_value)
{
    struct get x = {.index = index};
    int r = bri_read(h, get_try, &x);

    if (r == 0)
        *out_value = x.value;
    return r;
}

/* What the changes of one element have in common. */
struct change {
    int64_t index;
    broker_value value;    /* given: the new number, or what to add */
    broker_value expected; /* given, of some */
    broker_value before, after;
    int (*step)(const struct bri_number_type *type, struct change *x, uint64_t old, uint64_t *new);
};

static int change_try(struct bri_txn *t, void *arg)
{
    struct change *x = arg;
    uint64_t i = 0, old, new;
    struct view v;
    int r = look_to_change(t, &v);

    if (r == 0)
        r = find_element(&v, x->index, &i);
    if (r < 0)
        return r;
    old = load(&v, i);
    r = x->step(v.type, x, old, &new);
    if (r < 0)
        return r;
    if (v.data == NULL)
        return BRI_MORE;
    /* This word stays as it is; that there is an entry sends readers to look again. */
    if (!bri_note64(t, &state_of(t->o)->data_off))
        return t->failed;
    bri_number_store(v.type, v.data + i * v.type->size, new);
    bri_order();
    x->before = bri_number_value(v.type, old);
    x->after = bri_number_value(v.type, new);
    return 0;
}

static int set_step(
    const struct bri_number_type *type, struct change *x, uint64_t old, uint64_t *new)
{
    (void)old;
    return bri_number_bits(type, x->value, new);
}

static int add_step(
    const struct bri_number_type *type, struct change *x, uint64_t old, uint64_t *new)
{
    return bri_number_sum(type, old, x->value, new);
}

static int compare_step(
    const struct bri_number_type *type, struct change *x, uint64_t old, uint64_t *new)
{
    uint64_t expected;
    int r = bri_number_bits(type, x->expected, &expected);

    if (r == 0)
        r = bri_number_bits(type, x->value, new);
    if (r < 0)
        return r;
    return bri_number_equal(type, old, expected) ? 0 : BROKER_MISMATCH;
}

int bri_array_set(struct bri_handle *h, int64_t index, broker_value value)
{
    struct change x = {.index = index, .value = value, .step = set_step};

    return change_sections(h, change_try, &x);
}

int bri_array_exchange(
    struct bri_handle *h, int64_t index, broker_value value, broker_value *out_old)
{
    struct change x = {.index = index, .value = value, .step = set_step};
    int r = change_sections(h, change_try, &x);

    if (r == 0)
        *out_old = x.before;
    return r;
}

int bri_array_add(struct bri_handle *h, int64_t index, broker_value delta, broker_value *out_total)
{
    struct change x = {.index = index, .value = delta, .step = add_step};
    int r = change_sections(h, change_try, &x);

    if (r == 0)
        *out_total = x.after;
    return r;
}

int bri_array_compare_and_set(
    struct bri_handle *h, int64_t index, broker_value expected, broker_value value)
{
    struct change x = {.index = index, .value = value, .expected = expected, .step = compare_step};

    return change_sections(h, change_try, &x);
}

/* ---- slices ---- */

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

static inline size_t element_at(const struct view *v, const struct slice *s, uint64_t i)
{
    return (size_t)(s->first + (int64_t)i * s->step) * v->type->size;
}

struct read {
    struct slice slice;
    struct view view;
    broker_buffer raw; /* the elements as they lie in the array */
    struct bri_output out;
};

static int read_try(struct bri_object *o, void *arg)
{
    struct read *x = arg;
    struct view v;
    size_t size;
    int r = look(o, &v);

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
    struct view v;
    int r = look_to_change(t, &v);

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
    return look(o, arg);
}

static int write_slice(struct bri_handle *h, const struct slice *slice, broker_value values)
{
    struct write x = {.slice = *slice, .raw = BROKER_BUFFER_INIT};
    struct view v;
    int r = h->object.att == NULL ? BROKER_ACCESS : bri_read(h, look_try, &v);

    if (r == 0)
        r = read_values(v.type, values, &x);
    if (r == 0)
        r = change_sections(h, write_try, &x);
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
    struct view v;
    int r = bri_read(h, look_try, &v);

    if (r == 0)
        *out_count = v.length;
    return r;
}

/* ---- the elements themselves ---- */

static int pin_try(struct bri_txn *t, void *arg)
{
    struct view *v = arg;
    int r = look_to_change(t, v);

    if (r < 0)
        return r;
    if (v->data == NULL)
        return BRI_MORE;
    bri_pin(t);
    return t->failed;
}

int broker_array_data(broker_array *array, void **out_data, uint64_t *out_length)
{
    struct bri_handle *h = (struct bri_handle *)array;
    struct view v;
    int r = bri_enter(h, BRI_TYPE_ARRAY);

    if (r == 0 && (out_data == NULL || out_length == NULL))
        r = BROKER_INVALID;
    if (r == 0 && h->engine != &bri_engine_shm)
        r = bri_fail_detail(
            BROKER_UNSUPPORTED, "there are pointers only into shared memory, by unix: or private:");
    if (r == 0)
        r = change_sections(h, pin_try, &v);
    if (r < 0)
        return bri_fail_function("array.data", r);
    *out_data = v.data;
    *out_length = v.length;
    return 0;
}

/* ---- the type ---- */

static int array_create(struct bri_object *o, const void *options)
{
    const broker_array_options *wanted = options;
    struct array_shm *s = state_of(o);
    int r = bri_number_code(wanted != NULL ? wanted->typecode : NULL, &s->code);

    if (r < 0)
        return r;
    if (wanted == NULL || wanted->length == 0 ||
        wanted->length > o->arena->size / bri_number_type(s->code)->size)
        return BROKER_INVALID;
    s->length = wanted->length;
    return 0;
}

static int array_match(const struct bri_object *o, const void *options)
{
    const broker_array_options *wanted = options;
    const struct array_shm *s = state_of(o);
    uint32_t code = s->code;
    int r = wanted->typecode != NULL ? bri_number_code(wanted->typecode, &code) : 0;

    if (r < 0)
        return r;
    if (code != s->code || (wanted->length != 0 && wanted->length != s->length))
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->quota_bytes);
}

static void array_audit(const struct bri_object *o, struct bri_audit *audit)
{
    uint64_t off = state_of(o)->data_off;
    struct view v;

    if (look(o, &v) < 0) {
        bri_audit_fail(audit, o, "its type, length or place is none that an array can have");
        return;
    }
    if (off == 0)
        return;
    bri_audit_block(audit, o, off);
    if (bri_block_capacity(o, off) < v.length * v.type->size)
        bri_audit_fail(audit, o, "its memory is shorter than its length");
}

static void array_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct array_shm *s = state_of(o);
    const struct bri_number_type *type = bri_number_type(s->code);

    if (type != NULL)
        bri_stat_add_text(stat, "typecode", type->code);
    bri_stat_add(stat, "length", s->length);
    bri_stat_add(stat, "pins", atomic_load(&o->slot->n_pins));
}

/* Contents are all elements, unless all are 0 and have no memory. */
static int array_save(const struct bri_object *o, struct bri_save *save)
{
    struct bri_pack *p = &save->contents.pack;
    struct view v;
    int r = look(o, &v);

    if (r < 0)
        return r;
    bri_save_option(save, "typecode", broker_str(v.type->code));
    bri_save_option(save, "length", broker_uint(v.length));
    if (v.data == NULL)
        return 0;
    if (v.length > UINT32_MAX ||
        bri_block_capacity(o, state_of(o)->data_off) < v.length * v.type->size)
        return v.length > UINT32_MAX ? BROKER_TOOBIG : BROKER_CORRUPT;
    bri_pack_array(p, (uint32_t)v.length);
    for (uint64_t i = 0; i < v.length && p->failed == 0; i++)
        bri_pack_value(p, bri_number_value(v.type, load(&v, i)));
    return 0;
}

static int fill(struct bri_handle *h, uint64_t at, broker_value piece)
{
    struct bri_iter it;
    int r = bri_iter_array(&it, piece.data, piece.size);

    return r < 0 ? r : bri_array_set_slice(h, (int64_t)at, (int64_t)(at + it.left), 1, piece);
}

static int array_load(struct bri_handle *h, const struct bri_load *load)
{
    return bri_load_pieces(h, load->contents, false, fill);
}

const struct bri_type_ops bri_array_type = {
    .number = BRI_TYPE_ARRAY,
    .name = "array",
    .has_heap = true,
    .create = array_create,
    .match = array_match,
    .audit = array_audit,
    .stat = array_stat,
    .save = array_save,
    .load = array_load,
};
