/*
 * dict.h - what dict.c, dict_bulk.c and namespace.c share
 */
#ifndef BRI_DICT_H
#define BRI_DICT_H

#include "client/handle.h"
#include "core/type.h"
#include "objects/refs.h"
#include "objects/table.h"
#include "value/value.h"

#define BRI_DICT_VALUE_MAX (UINT32_C(1) << 30) /* bytes of one encoded value */
#define BRI_DICT_SMALL                                                                             \
    512u /* values up to here are encoded before the section, so that they can be written over */

/* A value about to be stored. */
struct bri_dict_value {
    broker_value value;
    size_t size;            /* encoded */
    const uint8_t *encoded; /* NULL if it is to be encoded into its block */
    uint32_t page;          /* reserved run in which the whole entry lies already, or 0 */
    bool has_refs;          /* there are references in it */
};

static inline struct bri_table_shm *bri_dict_table(const struct bri_object *o)
{
    return (struct bri_table_shm *)o->slot->state;
}

/*
 * Stores a value under a key in the section: over the entry @old if that is not NULL, else as a new
 * one. 0 or the section's failure.
 */
int bri_dict_put(struct bri_txn *t, const struct bri_table_key *key, const struct bri_entry *old,
    const struct bri_dict_value *value);

/* bri_table_find() in a section: CORRUPT is damage then. */
int bri_dict_find(struct bri_txn *t, const struct bri_table_key *key, struct bri_entry *out_entry);

/* *@total += @delta where @e's value is a whole number: 0, WRONGVALUE, OVERFLOW. */
int bri_dict_sum(const struct bri_entry *e, int64_t delta, int64_t *out_total);

/*
 * The parts of a type whose objects are a table and nothing else: the dict, and what is a dict
 * under another name. The operations bri_dict_*() work on all of these.
 */
int bri_dict_type_create(struct bri_object *o, const void *options);
int bri_dict_type_match(const struct bri_object *o, const void *options);
void bri_dict_type_audit(const struct bri_object *o, struct bri_audit *audit);
void bri_dict_type_refs(const struct bri_object *o, struct bri_collect_look *look);
void bri_dict_type_stat(const struct bri_object *o, struct bri_stat *stat);
int bri_dict_type_save(const struct bri_object *o, struct bri_save *save);
int bri_dict_type_load(struct bri_handle *h, const struct bri_load *load);

#endif
