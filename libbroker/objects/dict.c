/*
 * dict.c - the dict type: one key at a time
 *
 * Semantics of CPython 3.11's dict, as far as methods have the same names. Reads take no lock; each
 * change is one section. A value too large for a slab is written into a reserved run outside the
 * guard and linked by a second section: killed in between, the session's end gives the run back.
 */
#include "objects/dict.h"

#include <broker.h>

#include "core/audit.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/pages.h"
#include "core/type.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/reading.h"

/* ---- keys and values on their way in ---- */

struct key {
    struct bri_key canonical;
    struct bri_table_key k;
    uint8_t given[9]; /* of a bool or a double */
};

static int key_init(struct bri_handle *h, struct key *key, broker_value v)
{
    int r = bri_key_init(&key->canonical, v);

    if (__builtin_expect(r < 0, 0))
        return r;
    key->k = (struct bri_table_key){.data = key->canonical.data, .size = key->canonical.size};
    key->k.hash = bri_hash_key(h->object.arena, key->k.data[0],
        bri_key_is_short(v) ? v.data : key->k.data + 1, key->k.size - 1);
    if (v.type == BROKER_BOOL || v.type == BROKER_DOUBLE) {
        key->k.given = key->given;
        key->k.given_size = bri_value_encode(v, key->given);
    } else if (v.type == BROKER_PACKED) {
        key->k.given = v.data;
        key->k.given_size = v.size;
    }
    if (key->k.given_size == key->k.size && memcmp(key->k.given, key->k.data, key->k.size) == 0)
        key->k.given_size = 0;
    return 0;
}

static int value_init(struct bri_dict_value *value, broker_value v, uint8_t *small)
{
    int r = bri_value_measure(v, &value->size);

    if (r < 0)
        return r;
    if (value->size > BRI_DICT_VALUE_MAX)
        return BROKER_TOOBIG;
    value->value = v;
    value->page = 0;
    value->encoded = NULL;
    value->has_refs = bri_ref_in(v);
    if (value->size <= BRI_DICT_SMALL) {
        (void)bri_value_encode(v, small);
        value->encoded = small;
    }
    return 0;
}

int bri_dict_find(struct bri_txn *t, const struct bri_table_key *key, struct bri_entry *out_entry)
{
    int r = bri_table_find(t->o, bri_dict_table(t->o), key, out_entry);

    return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
}

/* The key as it was first given stays, as in Python, whatever its value is set by. */
static struct bri_table_key first_given(
    const struct bri_table_key *key, const struct bri_entry *old)
{
    struct bri_table_key first = *key;

    if (old != NULL) {
        first.given = old->given;
        first.given_size = old->given != old->key ? old->given_size : 0;
    }
    return first;
}

static bool same_given(const struct bri_table_key *a, const struct bri_table_key *b)
{
    return a->given_size == b->given_size &&
           (a->given_size == 0 || memcmp(a->given, b->given, a->given_size) == 0);
}

/* A block of the heap with the whole entry. */
static uint64_t new_entry(
    struct bri_txn *t, const struct bri_table_key *key, const struct bri_dict_value *value)
{
    uint64_t off = bri_alloc(t, bri_entry_size(key, value->size));
    uint8_t *to;

    if (off == 0)
        return 0;
    to = bri_entry_fill(t->o->arena->base + off, key, value->size);
    if (value->encoded != NULL)
        memcpy(to, value->encoded, value->size);
    else
        (void)bri_value_encode(value->value, to);
    return off;
}

int bri_dict_put(struct bri_txn *t, const struct bri_table_key *key, const struct bri_entry *old,
    const struct bri_dict_value *value)
{
    struct bri_table_shm *table = bri_dict_table(t->o);
    struct bri_table_key first;
    uint64_t off;
    int r = __builtin_expect(value->has_refs, 0) ? bri_refs_store(t, value->value) : 0;

    if (r < 0)
        return r;
    if (old != NULL && value->encoded != NULL &&
        bri_table_overwrite(t, table, old, value->encoded, value->size))
        return t->failed;
    first = first_given(key, old);
    /* A reserved run was filled before it was known what key it would meet. */
    if (value->page != 0 && same_given(&first, key))
        off = bri_unreserve(t, value->page);
    else
        off = new_entry(t, &first, value);
    if (off == 0)
        return t->failed;
    if (old != NULL)
        bri_table_replace(t, table, old, off);
    else
        bri_table_insert(t, table, off);
    return t->failed;
}

/* ---- reading ---- */

struct get {
    const struct bri_table_key *key;
    struct bri_output out;
    uint64_t revision;
};

static inline int copy_value(const struct bri_entry *e, struct bri_output *out)
{
    if (bri_output_lacks(out, e->value_size))
        return BRI_MORE;
    bri_copy(out->buffer->data, e->value, e->value_size);
    out->buffer->size = e->value_size;
    return 0;
}

static inline int get_try(struct bri_object *o, void *arg)
{
    struct get *x = arg;
    struct bri_entry e;
    int r = bri_table_find(o, bri_dict_table(o), x->key, &e);

    x->revision = *(volatile uint64_t *)&bri_dict_table(o)->n_changes;
    return r < 0 ? r : copy_value(&e, &x->out);
}

static inline int get(struct bri_handle *h, broker_value key, broker_buffer *buffer, struct get *x)
{
    struct key k;
    int r = key_init(h, &k, key);

    if (__builtin_expect(r < 0, 0))
        return r;
    *x = (struct get){.key = &k.k, .out.buffer = buffer};
    r = bri_read_out(h, get_try, x, &x->out);
    bri_key_fini(&k.canonical);
    return r;
}

int bri_dict_get(
    struct bri_handle *h, broker_value key, broker_buffer *buffer, broker_value *out_value)
{
    struct get x;
    int r = get(h, key, buffer, &x);

    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

int bri_dict_read(struct bri_handle *h, broker_value key, broker_buffer *buffer,
    broker_value *out_value, uint64_t *out_revision)
{
    struct get x;
    int r = get(h, key, buffer, &x);

    if (r == 0)
        r = bri_value_decode(buffer->data, buffer->size, out_value);
    if (r == 0)
        *out_revision = x.revision;
    return r;
}

static int contains_try(struct bri_object *o, void *arg)
{
    struct bri_entry e;

    return bri_table_find(o, bri_dict_table(o), arg, &e);
}

int bri_dict_contains(struct bri_handle *h, broker_value key, bool *out_found)
{
    struct key k;
    int r = key_init(h, &k, key);

    if (r < 0)
        return r;
    r = bri_read(h, contains_try, &k.k);
    bri_key_fini(&k.canonical);
    if (r < 0 && r != BROKER_NOTFOUND)
        return r;
    *out_found = r == 0;
    return 0;
}

static int len_try(struct bri_object *o, void *arg)
{
    *(uint64_t *)arg = *(volatile uint64_t *)&bri_dict_table(o)->n_entries;
    return 0;
}

int bri_dict_len(struct bri_handle *h, uint64_t *out_count)
{
    uint64_t n = 0;
    int r = bri_read(h, len_try, &n);

    if (r == 0)
        *out_count = n;
    return r;
}

/* ---- changing ---- */

/* All that the operations on one key have in common. */
struct change {
    struct key key;
    struct bri_dict_value value;
    uint8_t small[BRI_DICT_SMALL];
    struct bri_output out;
    int (*step)(struct bri_txn *t, struct change *x);
    /* of some */
    const void *expected;
    size_t expected_size;
    uint64_t revision;
    int64_t delta, total;
    bool found;
};

static int change_sections(struct bri_handle *h, struct change *x)
{
    struct bri_txn t;
    int r;

    for (;;) {
        r = bri_begin(&t, &h->object, BRI_PATIENCE);
        if (r < 0)
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

    x->value.page = bri_reserve(t, bri_entry_size(&x->key.k, x->value.size));
    return t->failed;
}

static int release_try(struct bri_txn *t, void *arg)
{
    struct change *x = arg;

    bri_release_reserved(t, x->value.page);
    return t->failed;
}

/* The whole entry is written where it will stay, while others work on the dict. */
static int change_large(struct bri_handle *h, struct change *x)
{
    int r = bri_section(&h->object, reserve_try, x);
    uint8_t *to;

    if (r < 0)
        return r;
    to = bri_entry_fill(bri_page_at(h->object.arena, x->value.page), &x->key.k, x->value.size);
    (void)bri_value_encode(x->value.value, to);
    r = change_sections(h, x);
    if (bri_tag_kind(bri_page_tag(h->object.arena, x->value.page)) == BRI_PAGE_RESERVED)
        (void)bri_section(&h->object, release_try, x); /* it was not needed, or could not be used */
    return r;
}

static int change(
    struct bri_handle *h, struct change *x, broker_value key, const broker_value *value)
{
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    x->value = (struct bri_dict_value){0};
    r = value != NULL ? value_init(&x->value, *value, x->small) : 0;
    if (r == 0)
        r = key_init(h, &x->key, key);
    if (__builtin_expect(r < 0, 0))
        return r;
    if (__builtin_expect(
            bri_entry_size(&x->key.k, x->value.size) > BRI_SMALL_MAX && value != NULL, 0))
        r = change_large(h, x);
    else
        r = change_sections(h, x);
    bri_key_fini(&x->key.canonical);
    return r;
}

static int set_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    if (r < 0 && r != BROKER_NOTFOUND)
        return r;
    return bri_dict_put(t, &x->key.k, r == 0 ? &e : NULL, &x->value);
}

int bri_dict_set(struct bri_handle *h, broker_value key, broker_value value)
{
    struct change x;

    x.step = set_step;
    return change(h, &x, key, &value);
}

static int set_if_step(struct bri_txn *t, struct change *x)
{
    if (bri_dict_table(t->o)->n_changes != x->revision)
        return BROKER_MISMATCH;
    return set_step(t, x);
}

int bri_dict_set_if(struct bri_handle *h, broker_value key, broker_value value, uint64_t revision)
{
    struct change x;

    x.step = set_if_step;
    x.revision = revision;
    return change(h, &x, key, &value);
}

static int delete_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    if (r == 0)
        bri_table_remove(t, bri_dict_table(t->o), &e);
    return r < 0 ? r : t->failed;
}

int bri_dict_delete(struct bri_handle *h, broker_value key)
{
    struct change x;

    x.step = delete_step;
    return change(h, &x, key, NULL);
}

static int pop_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    if (r == 0)
        r = copy_value(&e, &x->out);
    if (r == 0)
        bri_table_remove(t, bri_dict_table(t->o), &e);
    return r != 0 ? r : t->failed;
}

int bri_dict_pop(
    struct bri_handle *h, broker_value key, broker_buffer *buffer, broker_value *out_value)
{
    struct change x;
    int r;

    x.step = pop_step;
    x.out.buffer = buffer;
    r = change(h, &x, key, NULL);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

static int setdefault_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    x->found = r == 0;
    if (r == 0)
        return copy_value(&e, &x->out);
    return r == BROKER_NOTFOUND ? bri_dict_put(t, &x->key.k, NULL, &x->value) : r;
}

int bri_dict_setdefault(struct bri_handle *h, broker_value key, broker_value value,
    broker_buffer *buffer, broker_value *out_value, bool *out_inserted)
{
    struct change x;
    size_t size;
    int r = bri_value_measure(value, &size);

    /* The output may be the value given: room for it before anything happens, so that nothing can
     * fail after. */
    if (r == 0)
        r = bri_buffer_reserve(buffer, size);
    if (r < 0)
        return r;
    x.step = setdefault_step;
    x.out.buffer = buffer;
    r = change(h, &x, key, &value);
    if (r == 0 && !x.found)
        buffer->size = bri_value_encode(value, buffer->data);
    if (r == 0)
        r = bri_value_decode(buffer->data, buffer->size, out_value);
    if (r == 0 && out_inserted != NULL)
        *out_inserted = !x.found;
    return r;
}

static int get_and_set_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    x->found = r == 0;
    if (r == 0)
        r = copy_value(&e, &x->out);
    else if (r == BROKER_NOTFOUND)
        r = 0;
    return r != 0 ? r : bri_dict_put(t, &x->key.k, x->found ? &e : NULL, &x->value);
}

int bri_dict_get_and_set(struct bri_handle *h, broker_value key, broker_value value,
    broker_buffer *buffer, broker_value *out_value, bool *out_found)
{
    broker_value old = broker_nil();
    struct change x;
    int r;

    x.step = get_and_set_step;
    x.out.buffer = buffer;
    r = change(h, &x, key, &value);
    if (r == 0 && x.found)
        r = bri_value_decode(buffer->data, buffer->size, &old);
    if (r < 0)
        return r;
    *out_value = old;
    if (out_found != NULL)
        *out_found = x.found;
    return 0;
}

static int compare_and_set_step(struct bri_txn *t, struct change *x)
{
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);

    if (r < 0)
        return r;
    if (!bri_value_equal(e.value, e.value_size, x->expected, x->expected_size))
        return BROKER_MISMATCH;
    return bri_dict_put(t, &x->key.k, &e, &x->value);
}

int bri_dict_compare_and_set(
    struct bri_handle *h, broker_value key, broker_value expected, broker_value value)
{
    broker_buffer bytes = BROKER_BUFFER_INIT;
    struct change x;
    int r = bri_value_measure(expected, &x.expected_size);

    if (r == 0)
        r = bri_buffer_reserve(&bytes, x.expected_size);
    if (r == 0) {
        (void)bri_value_encode(expected, bytes.data);
        x.step = compare_and_set_step;
        x.expected = bytes.data;
        r = change(h, &x, key, &value);
    }
    broker_buffer_free(&bytes);
    return r;
}

int bri_dict_sum(const struct bri_entry *e, int64_t delta, int64_t *out_total)
{
    broker_value v;
    int r = bri_value_decode(e->value, e->value_size, &v);

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
    struct bri_entry e;
    int r = bri_dict_find(t, &x->key.k, &e);
    bool found = r == 0;

    x->total = x->delta;
    if (found)
        r = bri_dict_sum(&e, x->delta, &x->total);
    else if (r == BROKER_NOTFOUND)
        r = 0;
    if (r < 0)
        return r;
    x->value.value = broker_int(x->total);
    x->value.size = bri_value_encode(x->value.value, x->small);
    x->value.encoded = x->small;
    return bri_dict_put(t, &x->key.k, found ? &e : NULL, &x->value);
}

int bri_dict_add(struct bri_handle *h, broker_value key, int64_t delta, int64_t *out_total)
{
    struct change x;
    int r;

    x.step = add_step;
    x.delta = delta;
    r = change(h, &x, key, NULL);
    if (r == 0)
        *out_total = x.total;
    return r;
}

/* ---- without a key ---- */

struct popitem {
    struct bri_output out;
    size_t key_size;
};

static int popitem_try(struct bri_txn *t, void *arg)
{
    struct bri_table_shm *table = bri_dict_table(t->o);
    struct popitem *x = arg;
    struct bri_entry e;

    if (table->last == 0)
        return BROKER_EMPTY;
    if (bri_entry_at(t->o, table->last, &e) < 0)
        return BRI_DAMAGED(t);
    if (bri_output_lacks(&x->out, e.given_size + e.value_size))
        return BRI_MORE;
    x->key_size = e.given_size;
    memcpy(x->out.buffer->data, e.given, e.given_size);
    memcpy((uint8_t *)x->out.buffer->data + e.given_size, e.value, e.value_size);
    x->out.buffer->size = e.given_size + e.value_size;
    bri_table_remove(t, table, &e);
    return t->failed;
}

int bri_dict_popitem(
    struct bri_handle *h, broker_buffer *buffer, broker_value *out_key, broker_value *out_value)
{
    struct popitem x = {.out.buffer = buffer};
    broker_value key;
    int r = h->object.att == NULL ? BROKER_ACCESS : 0;

    while (r == 0) {
        r = bri_section(&h->object, popitem_try, &x);
        if (r != BRI_MORE)
            break;
        r = bri_output_grow(&x.out);
    }
    if (r == 0)
        r = bri_value_decode(buffer->data, x.key_size, &key);
    if (r == 0)
        r = bri_value_decode(
            (uint8_t *)buffer->data + x.key_size, buffer->size - x.key_size, out_value);
    if (r == 0)
        *out_key = key;
    return r;
}

static int clear_try(struct bri_txn *t, void *arg)
{
    (void)arg;
    bri_table_clear(t, bri_dict_table(t->o));
    return t->failed;
}

int bri_dict_clear(struct bri_handle *h)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, clear_try, NULL);
}

/* ---- the type ---- */

int bri_dict_type_create(struct bri_object *o, const void *options)
{
    (void)o;
    (void)options;
    return 0;
}

int bri_dict_type_match(const struct bri_object *o, const void *options)
{
    const struct bri_common_options *wanted = options;

    return bri_match_quota(o, wanted->quota_bytes);
}

void bri_dict_type_audit(const struct bri_object *o, struct bri_audit *audit)
{
    bri_table_audit(o, bri_dict_table(o), audit);
}

static void look_at_entry(void *arg, const struct bri_entry *e)
{
    bri_refs_look(arg, e->value, e->value_size);
}

/* In the order of hashes, in which an entry that stays is met whatever becomes of others. */
void bri_dict_type_refs(const struct bri_object *o, struct bri_collect_look *look)
{
    bri_collect_spend(look, 0);
    bri_table_walk(o, bri_dict_table(o), &look->scan, look_at_entry, look);
}

void bri_dict_type_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_table_shm *table = bri_dict_table(o);

    bri_stat_add(stat, "entries", table->n_entries);
    bri_stat_add(stat, "payload_bytes", table->n_bytes);
    bri_stat_add(stat, "buckets", table->n_buckets);
    bri_stat_add(stat, "revision", table->n_changes);
}

const struct bri_type_ops bri_dict_type = {
    .number = BRI_TYPE_DICT,
    .name = "dict",
    .has_heap = true,
    .create = bri_dict_type_create,
    .match = bri_dict_type_match,
    .refs = bri_dict_type_refs,
    .audit = bri_dict_type_audit,
    .stat = bri_dict_type_stat,
    .save = bri_dict_type_save,
    .load = bri_dict_type_load,
};
