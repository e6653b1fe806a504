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
#include "objects/array.h"
#include "objects/numbers.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "objects/save.h"
#include "value/value.h"

int bri_array_look_to_change(struct bri_txn *t, struct bri_array_view *out)
{
    uint64_t off = bri_array_of(t->o)->data_off;
    int r = bri_array_look(t->o, out);

    if (r < 0 ||
        (out->data != NULL && bri_block_capacity(t->o, off) < out->length * out->type->size))
        return BRI_DAMAGED(t);
    return 0;
}

/* ---- memory ---- */

static int reserve_try(struct bri_txn *t, void *arg)
{
    uint32_t *page = arg;
    struct bri_array_view v;
    int r = bri_array_look_to_change(t, &v);

    *page = 0;
    if (r == 0 && v.data == NULL)
        *page = bri_reserve(t, v.length * v.type->size);
    return r < 0 ? r : t->failed;
}

static int link_try(struct bri_txn *t, void *arg)
{
    const uint32_t *page = arg;

    if (bri_array_of(t->o)->data_off != 0)
        bri_release_reserved(t, *page); /* another was faster */
    else
        bri_set64(t, &bri_array_of(t->o)->data_off, bri_unreserve(t, *page));
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

int bri_array_change(struct bri_handle *h, bri_try_fn *try, void *arg)
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

static inline int find_element(const struct bri_array_view *v, int64_t index, uint64_t *out_i)
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
    struct bri_array_view v;
    uint64_t i;
    int r = bri_array_look(o, &v);

    if (r == 0)
        r = find_element(&v, x->index, &i);
    if (r == 0)
        x->value = bri_number_value(v.type, bri_array_load_one(&v, i));
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
    struct bri_array_view v;
    int r = bri_array_look_to_change(t, &v);

    if (r == 0)
        r = find_element(&v, x->index, &i);
    if (r < 0)
        return r;
    old = bri_array_load_one(&v, i);
    r = x->step(v.type, x, old, &new);
    if (r < 0)
        return r;
    if (v.data == NULL)
        return BRI_MORE;
    /* This word stays as it is; that there is an entry sends readers to look again. */
    if (!bri_note64(t, &bri_array_of(t->o)->data_off))
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

    return bri_array_change(h, change_try, &x);
}

int bri_array_exchange(
    struct bri_handle *h, int64_t index, broker_value value, broker_value *out_old)
{
    struct change x = {.index = index, .value = value, .step = set_step};
    int r = bri_array_change(h, change_try, &x);

    if (r == 0)
        *out_old = x.before;
    return r;
}

int bri_array_add(struct bri_handle *h, int64_t index, broker_value delta, broker_value *out_total)
{
    struct change x = {.index = index, .value = delta, .step = add_step};
    int r = bri_array_change(h, change_try, &x);

    if (r == 0)
        *out_total = x.after;
    return r;
}

int bri_array_compare_and_set(
    struct bri_handle *h, int64_t index, broker_value expected, broker_value value)
{
    struct change x = {.index = index, .value = value, .expected = expected, .step = compare_step};

    return bri_array_change(h, change_try, &x);
}

/* ---- the elements themselves ---- */

static int pin_try(struct bri_txn *t, void *arg)
{
    struct bri_array_view *v = arg;
    int r = bri_array_look_to_change(t, v);

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
    struct bri_array_view v;
    int r = bri_enter(h, BRI_TYPE_ARRAY);

    if (r == 0 && (out_data == NULL || out_length == NULL))
        r = BROKER_INVALID;
    if (r == 0 && h->engine != &bri_engine_shm)
        r = bri_fail_detail(
            BROKER_UNSUPPORTED, "there are pointers only into shared memory, by unix: or private:");
    if (r == 0)
        r = bri_array_change(h, pin_try, &v);
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
    struct bri_array_shm *s = bri_array_of(o);
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
    const struct bri_array_shm *s = bri_array_of(o);
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
    uint64_t off = bri_array_of(o)->data_off;
    struct bri_array_view v;

    if (bri_array_look(o, &v) < 0) {
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
    const struct bri_array_shm *s = bri_array_of(o);
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
    struct bri_array_view v;
    int r = bri_array_look(o, &v);

    if (r < 0)
        return r;
    bri_save_option(save, "typecode", broker_str(v.type->code));
    bri_save_option(save, "length", broker_uint(v.length));
    if (v.data == NULL)
        return 0;
    if (v.length > UINT32_MAX ||
        bri_block_capacity(o, bri_array_of(o)->data_off) < v.length * v.type->size)
        return v.length > UINT32_MAX ? BROKER_TOOBIG : BROKER_CORRUPT;
    bri_pack_array(p, (uint32_t)v.length);
    for (uint64_t i = 0; i < v.length && p->failed == 0; i++)
        bri_pack_value(p, bri_number_value(v.type, bri_array_load_one(&v, i)));
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
