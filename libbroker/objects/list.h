/*
 * list.h - what the files of the list type share
 */
#ifndef BRI_LIST_H
#define BRI_LIST_H

#include "client/handle.h"
#include "objects/reading.h"
#include "objects/refs.h"
#include "objects/sequence.h"
#include "value/value.h"

struct bri_load;
struct bri_save;

/* A value about to become an element. */
struct bri_list_value {
    broker_value value;
    size_t size;   /* encoded */
    uint32_t page; /* reserved run in which it lies already, or 0 */
    bool has_refs; /* there are references in it */
};

static inline struct bri_sequence_shm *bri_list_sequence(const struct bri_object *o)
{
    return (struct bri_sequence_shm *)o->slot->state;
}

/* Checks and measures @v: 0, INVALID, TOODEEP, TOOBIG. */
int bri_list_value_init(struct bri_list_value *value, broker_value v);

/* Makes an element of it, in the section; 0 if that failed. */
uint64_t bri_list_element(struct bri_txn *t, const struct bri_list_value *value);

/* list_save.c */
int bri_list_save(const struct bri_object *o, struct bri_save *save);
int bri_list_load(struct bri_handle *h, const struct bri_load *load);

/* A slice of a list of a certain length: @n elements, number @first and then every @step-th. */
struct bri_slice {
    uint64_t first;
    int64_t step;
    uint64_t n;
};

/* As CPython's PySlice_AdjustIndices(), but for BROKER_OMITTED. @step is not 0. */
struct bri_slice bri_list_slice(int64_t start, int64_t stop, int64_t step, uint64_t length);

/* A copy of element number @pos, by way of the leaf where the last one was, if it is there too. 0
 * or CORRUPT. */
static inline int bri_list_element_at(
    const struct bri_object *o, struct bri_run *leaf, uint64_t pos, uint64_t *out_element)
{
    if (pos - leaf->pos >= leaf->n && bri_sequence_at(o, bri_list_sequence(o), pos, leaf) == NULL)
        return BROKER_CORRUPT;
    *out_element = bri_sequence_load(&leaf->words[pos - leaf->pos]);
    return 0;
}

#endif
