/*
 * array.h - what the files of the array type share
 */
#ifndef BRI_ARRAY_H
#define BRI_ARRAY_H

#include "client/handle.h"
#include "core/wait.h"
#include "objects/numbers.h"

struct bri_array_shm {
    uint64_t data_off; /* [guard] first page of the elements; 0 while all are 0 */
    uint64_t length;   /* [const] */
    uint32_t code;     /* [const] letter of the type */
    uint32_t spare;
};

_Static_assert(sizeof(struct bri_array_shm) <= BRI_SLOT_STATE, "state size");

/* An array as one look at it found it. */
struct bri_array_view {
    const struct bri_number_type *type;
    uint64_t length;
    uint8_t *data; /* NULL while all elements are 0 */
};

static inline struct bri_array_shm *bri_array_of(const struct bri_object *o)
{
    return (struct bri_array_shm *)o->slot->state;
}

/* 0, or CORRUPT (which for an optimistic reader only means: look again). */
static inline int bri_array_look(const struct bri_object *o, struct bri_array_view *out)
{
    const struct bri_array_shm *s = bri_array_of(o);
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

static inline uint64_t bri_array_load_one(const struct bri_array_view *v, uint64_t i)
{
    return v->data != NULL ? bri_number_load(v->type, v->data + i * v->type->size) : 0;
}

/* bri_array_look() in a section: what is found may be written to. */
int bri_array_look_to_change(struct bri_txn *t, struct bri_array_view *out);

/* Sections of @try, which gives BRI_MORE where it needs the elements' memory. ACCESS for readers.
 */
int bri_array_change(struct bri_handle *h, bri_try_fn *try, void *arg);

#endif
