/*
 * list.c - the list type: one element at a time
 *
 * Semantics of CPython 3.11's list, as far as methods have the same names. Reads take no lock; each
 * change is one section. A value too large for a slab is written into a reserved run outside the
 * guard and linked by a second section: killed in between, the session's end gives the run back.
 */
#include "objects/list.h"

#include <broker.h>

#include "core/audit.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/type.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/open.h"

/* ---- values on their way in ---- */

int bri_list_value_init(struct bri_list_value *value, broker_value v)
{
    int r = bri_value_measure(v, &value->size);

    if (r < 0)
        return r;
    if (value->size > BRI_ELEMENT_MAX)
        return BROKER_TOOBIG;
    value->value = v;
    value->page = 0;
    value->has_refs = bri_ref_in(v);
    return 0;
}

uint64_t bri_list_element(struct bri_txn *t, const struct bri_list_value *value)
{
    uint64_t off, element = 0;

    if (value->size <= BRI_ELEMENT_INLINE) {
        (void)bri_value_encode(value->value, bri_element_inline_bytes(&element));
        return element | (uint64_t)value->size << 1 | 1;
    }
    if (__builtin_expect(value->has_refs, 0) && bri_refs_store(t, value->value) < 0)
        return 0;
    if (value->page != 0) {
        off = bri_unreserve(t, value->page);
    } else {
        off = bri_alloc(t, value->size);
        if (off != 0)
            (void)bri_value_encode(value->value, t->o->arena->base + off);
    }
    return off != 0 ? bri_element_of_block(off, (uint32_t)value->size) : 0;
}

/* Where index @index is, as in Python. False if it is out of range. */
static inline bool place_of(int64_t index, uint64_t length, uint64_t *out_pos)
{
    *out_pos = (uint64_t)index + (index < 0 ? length : 0);
    return *out_pos < length;
}

/* ---- reading ---- */

static inline int copy_element(const struct bri_object *o, uint64_t element, struct bri_output *out)
{
    uint32_t size = bri_element_size(element);
    const uint8_t *bytes = bri_element_bytes(o, &element);

    if (__builtin_expect(bytes == NULL, 0))
        return BROKER_CORRUPT;
    if (bri_output_lacks(out, size))
        return BRI_MORE;
    bri_copy(out->buffer->data, bytes, size);
    out->buffer->size = size;
    return 0;
}

struct get {
    int64_t index;
    struct bri_output out;
};

static inline int get_try(struct bri_object *o, void *arg)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);
    struct get *x = arg;
    const uint64_t *word;
    struct bri_run leaf;
    uint64_t pos;

    if (!place_of(x->index, bri_sequence_count(s), &pos))
        return BROKER_NOTFOUND;
    word = bri_sequence_at(o, s, pos, &leaf);
    if (__builtin_expect(word == NULL, 0))
        return BROKER_CORRUPT;
    return copy_element(o, bri_sequence_load(word), &x->out);
}

int bri_list_get(
    struct bri_handle *h, int64_t index, broker_buffer *buffer, broker_value *out_value)
{
    struct get x = {.index = index, .out.buffer = buffer};
    int r = bri_read_out(h, get_try, &x, &x.out);

    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

static int len_try(struct bri_object *o, void *arg)
{
    *(uint64_t *)arg = bri_sequence_count(bri_list_sequence(o));
    return 0;
}

int bri_list_len(struct bri_handle *h, uint64_t *out_count)
{
    uint64_t n = 0;
    int r = bri_read(h, len_try, &n);

    if (r == 0)
        *out_count = n;
    return r;
}

/* ---- changing ---- */

/* All that the operations on one element have in common. */
struct change {
    int64_t index;
    struct bri_list_value value;
    struct bri_output out;
    int (*step)(struct bri_txn *t, struct change *x);
    /* of some */
    const void *expected;
    size_t expected_size;
    int64_t delta, total;
};

static int change_sections(struct bri_handle *h, struct change *x)
{
    struct bri_txn t;
    int r;

    for (;;) {
        r = bri_begin(&t, &h->object, BRI_PATIENCE);
        if (__builtin_expect(r < 0, 0))
            return r;
        r = bri_end(&t, x->step(&t, x));
        if (r == BRI_MORE)
            r = bri_output_grow(&x->out) < 0 ? BROKER_NOMEM : BRI_AGAIN;
        if (r != BRI_AGAIN)
            return r;
    }
}

static int reserve_try(struct bri_txn *t, void *arg)
{
    struct change *x = arg;

    x->value.page = bri_reserve(t, x->value.size);
    return t->failed;
}

static int release_try(struct bri_txn *t, void *arg)
{
    struct change *x = arg;

    bri_release_reserved(t, x->value.page);
    return t->failed;
}

/* The value is written where it will stay, while others work on the list. */
static int change_large(struct bri_handle *h, struct change *x)
{
    int r = bri_section(&h->object, reserve_try, x);

    if (r < 0)
        return r;
    (void)bri_value_encode(x->value.value, bri_page_at(h->object.arena, x->value.page));
    r = change_sections(h, x);
    if (r < 0)
        (void)bri_section(&h->object, release_try, x);
    return r;
}

static int change(struct bri_handle *h, struct change *x, const broker_value *value)
{
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    if (value == NULL)
        return change_sections(h, x);
    r = bri_list_value_init(&x->value, *value);
    if (r < 0)
        return r;
    if (__builtin_expect(x->value.size > BRI_SMALL_MAX, 0))
        return change_large(h, x);
    return change_sections(h, x);
}

/* Where the change's index is, and what is there. 0, NOTFOUND, or damage. */
static int find(struct bri_txn *t, const struct change *x, uint64_t *out_pos, uint64_t *out_element)
{
    const struct bri_sequence_shm *s = bri_list_sequence(t->o);
    const uint64_t *word;
    struct bri_run leaf;

    if (!place_of(x->index, s->n_elements, out_pos))
        return BROKER_NOTFOUND;
    word = bri_sequence_at(t->o, s, *out_pos, &leaf);
    if (word == NULL || bri_element_bytes(t->o, word) == NULL)
        return BRI_DAMAGED(t);
    *out_element = *word;
    return 0;
}

static int insert_at(struct bri_txn *t, const struct change *x, uint64_t pos)
{
    uint64_t element = bri_list_element(t, &x->value);

    if (element != 0)
        bri_sequence_insert(t, bri_list_sequence(t->o), pos, &element, 1);
    return t->failed;
}

static int append_step(struct bri_txn *t, struct change *x)
{
    return insert_at(t, x, bri_list_sequence(t->o)->n_elements);
}

int bri_list_append(struct bri_handle *h, broker_value value)
{
    struct change x;

    x.step = append_step;
    return change(h, &x, &value);
}

static int insert_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, length = bri_list_sequence(t->o)->n_elements;

    if (!place_of(x->index, length, &pos))
        pos = x->index < 0 ? 0 : length;
    return insert_at(t, x, pos);
}

int bri_list_insert(struct bri_handle *h, int64_t index, broker_value value)
{
    struct change x;

    x.step = insert_step;
    x.index = index;
    return change(h, &x, &value);
}

static int set_element(struct bri_txn *t, const struct change *x, uint64_t pos)
{
    uint64_t element = bri_list_element(t, &x->value);

    if (element != 0)
        bri_sequence_set(t, bri_list_sequence(t->o), pos, element);
    return t->failed;
}

static int set_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, old;
    int r = find(t, x, &pos, &old);

    return r < 0 ? r : set_element(t, x, pos);
}

int bri_list_set(struct bri_handle *h, int64_t index, broker_value value)
{
    struct change x;

    x.step = set_step;
    x.index = index;
    return change(h, &x, &value);
}

static int delete_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, old;
    int r = find(t, x, &pos, &old);

    if (r == 0)
        bri_sequence_remove(t, bri_list_sequence(t->o), pos, 1, 1);
    return r < 0 ? r : t->failed;
}

int bri_list_delete(struct bri_handle *h, int64_t index)
{
    struct change x;

    x.step = delete_step;
    x.index = index;
    return change(h, &x, NULL);
}

static int pop_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, old;
    int r;

    if (bri_list_sequence(t->o)->n_elements == 0)
        return BROKER_EMPTY;
    r = find(t, x, &pos, &old);
    if (r == 0)
        r = copy_element(t->o, old, &x->out);
    if (r == 0)
        bri_sequence_remove(t, bri_list_sequence(t->o), pos, 1, 1);
    return r != 0 ? r : t->failed;
}

int bri_list_pop(
    struct bri_handle *h, int64_t index, broker_buffer *buffer, broker_value *out_value)
{
    struct change x;
    int r;

    x.step = pop_step;
    x.index = index;
    x.out.buffer = buffer;
    r = change(h, &x, NULL);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

static int compare_and_set_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, old;
    int r = find(t, x, &pos, &old);

    if (r < 0)
        return r;
    if (!bri_value_equal(
            bri_element_bytes(t->o, &old), bri_element_size(old), x->expected, x->expected_size))
        return BROKER_MISMATCH;
    return set_element(t, x, pos);
}

int bri_list_compare_and_set(
    struct bri_handle *h, int64_t index, broker_value expected, broker_value value)
{
    broker_buffer bytes = BROKER_BUFFER_INIT;
    struct change x;
    int r = bri_value_measure(expected, &x.expected_size);

    if (r == 0)
        r = bri_buffer_reserve(&bytes, x.expected_size);
    if (r == 0) {
        (void)bri_value_encode(expected, bytes.data);
        x.step = compare_and_set_step;
        x.index = index;
        x.expected = bytes.data;
        r = change(h, &x, &value);
    }
    broker_buffer_free(&bytes);
    return r;
}

static int sum_of(const struct bri_object *o, uint64_t element, int64_t delta, int64_t *out_total)
{
    broker_value v;
    int r = bri_value_decode(bri_element_bytes(o, &element), bri_element_size(element), &v);

    if (r < 0)
        return r;
    if (v.type == BROKER_UINT)
        return delta >= 0 || __builtin_add_overflow(v.u, delta, out_total) ? BROKER_OVERFLOW : 0;
    if (v.type != BROKER_INT)
        return BROKER_WRONGVALUE;
    return __builtin_add_overflow(v.i, delta, out_total) ? BROKER_OVERFLOW : 0;
}

static int add_step(struct bri_txn *t, struct change *x)
{
    uint64_t pos, old;
    int r = find(t, x, &pos, &old);

    if (r == 0)
        r = sum_of(t->o, old, x->delta, &x->total);
    if (r == 0)
        r = bri_list_value_init(&x->value, broker_int(x->total));
    return r < 0 ? r : set_element(t, x, pos);
}

int bri_list_add(struct bri_handle *h, int64_t index, int64_t delta, int64_t *out_total)
{
    struct change x;
    int r;

    x.step = add_step;
    x.index = index;
    x.delta = delta;
    r = change(h, &x, NULL);
    if (r == 0)
        *out_total = x.total;
    return r;
}

static int clear_step(struct bri_txn *t, struct change *x)
{
    (void)x;
    bri_sequence_clear(t, bri_list_sequence(t->o));
    return t->failed;
}

int bri_list_clear(struct bri_handle *h)
{
    struct change x;

    x.step = clear_step;
    return change(h, &x, NULL);
}

/* ---- the type ---- */

static int list_create(struct bri_object *o, const void *options)
{
    (void)o;
    (void)options;
    return 0;
}

static int list_match(const struct bri_object *o, const void *options)
{
    const broker_list_options *wanted = options;

    return bri_match_quota(o, wanted->quota_bytes);
}

static void list_audit(const struct bri_object *o, struct bri_audit *audit)
{
    bri_sequence_audit(o, bri_list_sequence(o), audit);
}

static void list_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);

    bri_stat_add(stat, "elements", s->n_elements);
    bri_stat_add(stat, "payload_bytes", s->n_bytes);
    bri_stat_add(stat, "height", bri_sequence_height(s));
    bri_stat_add(stat, "revision", s->n_changes);
}

static void list_refs(const struct bri_object *o, struct bri_collect_look *look)
{
    bri_sequence_refs(o, bri_list_sequence(o), look);
}

const struct bri_type_ops bri_list_type = {
    .number = BRI_TYPE_LIST,
    .name = "list",
    .has_heap = true,
    .create = list_create,
    .match = list_match,
    .refs = list_refs,
    .audit = list_audit,
    .stat = list_stat,
    .save = bri_list_save,
    .load = bri_list_load,
};
