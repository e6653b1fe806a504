/*
 * list_sort.c - the list type: sorting and reversing
 *
 * Both are one section that puts the same elements into new nodes in another order. What a sort
 * compares is read and put in order before, without the guard, which takes long for many elements;
 * if the list has changed meanwhile, that is done again, in the end under the guard. Nothing is
 * allocated there: memory that turns out to be missing ends the section, and comes before the next
 * try.
 */
#include <stdlib.h>

#include <broker.h>

#include "core/wait.h"
#include "engine_ops.h"
#include "objects/list.h"

#define FREE_TRIES 3 /* without the guard */
#define NIL_BYTE 0xc0

/* One element: what it is compared by, and where it was. */
struct item {
    const uint8_t *key; /* in `bytes` */
    size_t size;
    uint32_t was_at;
};

struct sort {
    bool reverse;
    broker_value field; /* nil: none */
    broker_buffer field_bytes;
    broker_buffer bytes; /* all values, one after another */
    size_t want_bytes;
    struct item *items, *spare;
    uint64_t *words; /* elements as they were, and in their new order */
    uint64_t room;   /* elements that there is memory for; of words twice as many */
    uint64_t n;
    uint64_t revision;
    unsigned tries;
    int outcome; /* of the comparing */
};

/* ---- memory ---- */

static int make_room(struct sort *x, uint64_t n)
{
    struct item *items = realloc(x->items, n * sizeof(*items));
    struct item *spare = items != NULL ? realloc(x->spare, n * sizeof(*spare)) : NULL;
    uint64_t *words = spare != NULL ? realloc(x->words, 2 * n * sizeof(*words)) : NULL;

    if (items != NULL)
        x->items = items;
    if (spare != NULL)
        x->spare = spare;
    if (words == NULL)
        return BROKER_NOMEM;
    x->words = words;
    x->room = n;
    return 0;
}

static int grow(struct sort *x)
{
    if (x->n > x->room && make_room(x, x->n + x->n / 8 + 16) < 0)
        return BROKER_NOMEM;
    return bri_buffer_reserve(&x->bytes, x->want_bytes + 1); /* never NULL */
}

static void sort_fini(struct sort *x)
{
    free(x->items);
    free(x->spare);
    free(x->words);
    broker_buffer_free(&x->bytes);
    broker_buffer_free(&x->field_bytes);
}

/* ---- what is compared ---- */

/* BRI_MORE if there is not memory for all. */
static int load_try(struct bri_object *o, void *arg)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);
    struct sort *x = arg;
    uint8_t *to = x->bytes.data, *end = to + x->bytes.capacity;
    struct bri_run leaf = {0};
    const uint8_t *bytes;
    uint64_t element;
    size_t size;

    x->n = bri_sequence_count(s);
    x->want_bytes = *(const volatile uint64_t *)&s->n_bytes;
    if (x->n > x->room || x->want_bytes > x->bytes.capacity)
        return BRI_MORE;
    for (uint64_t i = 0; i < x->n; i++) {
        if (bri_list_element_at(o, &leaf, i, &element) < 0)
            return BROKER_CORRUPT;
        size = bri_element_size(element);
        bytes = bri_element_bytes(o, &element);
        if (bytes == NULL || size > (size_t)(end - to))
            return BROKER_CORRUPT;
        memcpy(to, bytes, size);
        x->items[i] = (struct item){.key = to, .size = size, .was_at = (uint32_t)i};
        to += size;
    }
    x->revision = *(const volatile uint64_t *)&s->n_changes;
    return 0;
}

/* The element of an array that an integer says. */
static int field_of_array(const struct sort *x, struct bri_iter *it, struct item *item)
{
    int64_t at = x->field.i;
    const void *bytes;
    int r;

    if (x->field.type == BROKER_BOOL)
        at = x->field.b;
    else if (x->field.type == BROKER_UINT)
        return BROKER_NOTFOUND;
    else if (x->field.type != BROKER_INT)
        return BROKER_INCOMPARABLE;
    if (at < 0)
        at += it->left;
    if (at < 0 || at >= it->left)
        return BROKER_NOTFOUND;
    do
        r = bri_iter_next(it, &bytes, &item->size);
    while (r == 0 && at-- > 0);
    item->key = bytes;
    return r == 0 ? 0 : BROKER_CORRUPT;
}

/* The value of a map under a key. */
static int field_of_map(const struct sort *x, struct bri_iter *it, struct item *item)
{
    const void *key, *value;
    size_t key_size;

    while (it->left > 0) {
        if (bri_iter_next(it, &key, &key_size) < 0 || bri_iter_next(it, &value, &item->size) < 0)
            return BROKER_CORRUPT;
        if (bri_value_equal(key, key_size, x->field_bytes.data, x->field_bytes.size)) {
            item->key = value;
            return 0;
        }
    }
    return BROKER_NOTFOUND;
}

static int take_fields(struct sort *x)
{
    struct bri_iter it;
    int r = 0;

    if (x->field.type == BROKER_NIL)
        return 0;
    for (uint64_t i = 0; i < x->n && r == 0; i++) {
        struct item *item = &x->items[i];

        if (bri_iter_array(&it, item->key, item->size) == 0)
            r = field_of_array(x, &it, item);
        else if (bri_iter_map(&it, item->key, item->size) == 0)
            r = field_of_map(x, &it, item);
        else
            r = BROKER_INCOMPARABLE;
    }
    return r;
}

/* ---- sorting ---- */

/* Whether @b must come before @a. As in Python, two nils have no order. */
static int comes_first(struct sort *x, const struct item *b, const struct item *a, bool *out_first)
{
    int order = 0;
    int r = bri_value_compare(b->key, b->size, a->key, a->size, &order);

    if (r == 0 && a->size == 1 && a->key[0] == NIL_BYTE)
        r = BROKER_INCOMPARABLE;
    *out_first = x->reverse ? order > 0 : order < 0;
    return r;
}

/* Merges the sorted @from[0, middle) and @from[middle, n) into @to. Equal ones stay in order. */
static int merge(
    struct sort *x, const struct item *from, uint64_t middle, uint64_t n, struct item *to)
{
    uint64_t a = 0, b = middle;
    bool first;
    int r;

    for (uint64_t i = 0; i < n; i++) {
        if (a < middle && b < n) {
            r = comes_first(x, &from[b], &from[a], &first);
            if (r < 0)
                return r;
        } else {
            first = a == middle;
        }
        to[i] = from[first ? b++ : a++];
    }
    return 0;
}

/* One round: pairs of sorted runs of @run items become one each. */
static int merge_runs(struct sort *x, uint64_t run)
{
    struct item *from = x->items, *to = x->spare;
    bool unordered;
    int r;

    for (uint64_t at = 0; at < x->n; at += 2 * run) {
        uint64_t n = x->n - at < 2 * run ? x->n - at : 2 * run;

        if (n <= run) {
            memcpy(to + at, from + at, n * sizeof(*to));
            continue;
        }
        r = comes_first(x, &from[at + run], &from[at + run - 1], &unordered);
        if (r == 0 && unordered)
            r = merge(x, from + at, run, n, to + at);
        else if (r == 0) /* in order already */
            memcpy(to + at, from + at, n * sizeof(*to));
        if (r < 0)
            return r;
    }
    x->items = to;
    x->spare = from;
    return 0;
}

static int put_in_order(struct sort *x)
{
    int r = take_fields(x);

    for (uint64_t run = 1; run < x->n && r == 0; run *= 2)
        r = merge_runs(x, run);
    return r;
}

/* ---- the section ---- */

/* The elements as they are, in order of their places, into the first half of `words`. */
static int load_words(struct bri_txn *t, struct sort *x)
{
    struct bri_run leaf = {0};

    for (uint64_t i = 0; i < x->n; i++)
        if (bri_list_element_at(t->o, &leaf, i, &x->words[i]) < 0)
            return BRI_DAMAGED(t);
    return 0;
}

static int sort_try(struct bri_txn *t, void *arg)
{
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    struct sort *x = arg;
    int r = 0;

    if (s->n_changes != x->revision) {
        if (x->tries < FREE_TRIES)
            return BRI_MORE;
        r = load_try(t->o, x);
        if (r == BROKER_CORRUPT)
            return BRI_DAMAGED(t);
        if (r == 0)
            r = put_in_order(x);
    }
    if (r != 0 || x->n < 2)
        return r;
    r = load_words(t, x);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < x->n; i++)
        x->words[x->n + i] = x->words[x->items[i].was_at];
    bri_sequence_rearrange(t, s, x->words + x->n);
    return t->failed;
}

/* Reads and puts in order, without the guard. */
static int prepare(struct bri_handle *h, struct sort *x)
{
    int r;

    do {
        r = grow(x);
        if (r == 0)
            r = bri_read(h, load_try, x);
    } while (r == BRI_MORE);
    return r == 0 ? put_in_order(x) : r;
}

static int sort(struct bri_handle *h, struct sort *x)
{
    int r;

    do {
        r = x->tries < FREE_TRIES ? prepare(h, x) : grow(x);
        x->tries++;
        if (r == 0)
            r = bri_section(&h->object, sort_try, x);
    } while (r == BRI_MORE);
    return r;
}

int bri_list_sort(struct bri_handle *h, bool reverse, broker_value field)
{
    struct sort x = {.reverse = reverse, .field = field};
    size_t size;
    int r = h->object.att == NULL ? BROKER_ACCESS : bri_value_measure(field, &size);

    if (r == 0)
        r = bri_buffer_reserve(&x.field_bytes, size);
    if (r == 0) {
        x.field_bytes.size = bri_value_encode(field, x.field_bytes.data);
        r = bri_value_decode(x.field_bytes.data, x.field_bytes.size, &x.field);
    }
    if (r == 0)
        r = sort(h, &x);
    sort_fini(&x);
    return r;
}

/* ---- reverse ---- */

static int reverse_try(struct bri_txn *t, void *arg)
{
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    struct sort *x = arg;
    int r;

    x->n = s->n_elements;
    if (x->n < 2)
        return 0;
    if (x->n > x->room)
        return BRI_MORE;
    r = load_words(t, x);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < x->n; i++)
        x->words[x->n + i] = x->words[x->n - 1 - i];
    bri_sequence_rearrange(t, s, x->words + x->n);
    return t->failed;
}

int bri_list_reverse(struct bri_handle *h)
{
    struct sort x = {0};
    int r = h->object.att == NULL ? BROKER_ACCESS : bri_list_len(h, &x.n);

    while (r == 0) {
        r = grow(&x);
        if (r == 0)
            r = bri_section(&h->object, reverse_try, &x);
        if (r != BRI_MORE)
            break;
        r = 0;
    }
    sort_fini(&x);
    return r;
}
