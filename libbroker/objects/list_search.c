/*
 * list_search.c - the list type: looking for an element by its value
 *
 * A search is one optimistic read. What is to be removed is looked for in this way, too: the
 * section then needs to look again only if the list has changed meanwhile.
 */
#include <broker.h>

#include "core/wait.h"
#include "engine_ops.h"
#include "objects/list.h"

struct search {
    broker_buffer bytes; /* the value looked for, encoded */
    int64_t start, stop;
    bool all; /* count them all */
    /* results */
    uint64_t pos; /* of the first */
    uint64_t n;
    uint64_t revision;
};

static int search_init(struct search *x, broker_value value)
{
    size_t size;
    int r = bri_value_measure(value, &size);

    if (r == 0)
        r = bri_buffer_reserve(&x->bytes, size);
    if (r == 0)
        x->bytes.size = bri_value_encode(value, x->bytes.data);
    return r;
}

static int search_try(struct bri_object *o, void *arg)
{
    const struct bri_sequence_shm *s = bri_list_sequence(o);
    struct search *x = arg;
    uint64_t length = bri_sequence_count(s), element;
    struct bri_run leaf = {0};
    struct bri_slice slice;
    const uint8_t *bytes;

    if (length > BRI_SEQUENCE_MAX)
        return BROKER_CORRUPT;
    slice = bri_list_slice(x->start, x->stop, 1, length);
    x->revision = *(const volatile uint64_t *)&s->n_changes;
    x->n = 0;
    for (uint64_t i = 0; i < slice.n && (x->n == 0 || x->all); i++) {
        if (bri_list_element_at(o, &leaf, slice.first + i, &element) < 0)
            return BROKER_CORRUPT;
        bytes = bri_element_bytes(o, &element);
        if (bytes == NULL)
            return BROKER_CORRUPT;
        if (!bri_value_equal(bytes, bri_element_size(element), x->bytes.data, x->bytes.size))
            continue;
        x->pos = slice.first + i;
        x->n++;
    }
    return 0;
}

static int search(struct bri_handle *h, struct search *x, broker_value value)
{
    int r = search_init(x, value);

    if (r == 0)
        r = bri_read(h, search_try, x);
    broker_buffer_free(&x->bytes);
    return r;
}

int bri_list_index(
    struct bri_handle *h, broker_value value, int64_t start, int64_t stop, uint64_t *out_index)
{
    struct search x = {.start = start, .stop = stop};
    int r = search(h, &x, value);

    if (r == 0 && x.n == 0)
        return BROKER_NOTFOUND;
    if (r == 0)
        *out_index = x.pos;
    return r;
}

int bri_list_count(struct bri_handle *h, broker_value value, uint64_t *out_count)
{
    struct search x = {.start = BROKER_OMITTED, .stop = BROKER_OMITTED, .all = true};
    int r = search(h, &x, value);

    if (r == 0)
        *out_count = x.n;
    return r;
}

int bri_list_contains(struct bri_handle *h, broker_value value, bool *out_found)
{
    struct search x = {.start = BROKER_OMITTED, .stop = BROKER_OMITTED};
    int r = search(h, &x, value);

    if (r == 0)
        *out_found = x.n > 0;
    return r;
}

static int remove_try(struct bri_txn *t, void *arg)
{
    struct bri_sequence_shm *s = bri_list_sequence(t->o);
    struct search *x = arg;

    if (s->n_changes != x->revision && search_try(t->o, x) < 0)
        return BRI_DAMAGED(t);
    if (x->n == 0)
        return BROKER_NOTFOUND;
    bri_sequence_remove(t, s, x->pos, 1, 1);
    return t->failed;
}

int bri_list_remove(struct bri_handle *h, broker_value value)
{
    struct search x = {.start = BROKER_OMITTED, .stop = BROKER_OMITTED};
    int r = h->object.att == NULL ? BROKER_ACCESS : search_init(&x, value);

    if (r == 0)
        r = bri_read(h, search_try, &x);
    if (r == 0 && x.n == 0)
        r = BROKER_NOTFOUND;
    if (r == 0)
        r = bri_section(&h->object, remove_try, &x);
    broker_buffer_free(&x.bytes);
    return r;
}
