/*
 * save.h - what is to be known of an object to make it again, and making it
 *
 * Each type says it in three parts: the options with which it would be created, by their names in
 * the schema; its state, numbers and words by name; and its contents, one value of a form of its
 * own. What is as it is in a fresh object is left out. Sessions and what they have are no part of
 * it: told is what would be if they all ended at that moment.
 *
 * A type's `save` reads a picture (picture.h), so it need not hurry; its `load` fills an object
 * that was just created with the options and that nobody else knows.
 */
#ifndef BRI_SAVE_H
#define BRI_SAVE_H

#include "client/handle.h"
#include "objects/pack.h"
#include "value/value.h"

/* So much of a value or so many elements of it are loaded at a time. */
#define BRI_LOAD_BYTES (UINT32_C(1) << 20)
#define BRI_LOAD_ELEMENTS 4096u

struct bri_save_part {
    broker_buffer buffer;
    struct bri_pack pack; /* of entries, without the head of a map; or of one value */
    uint32_t n;           /* entries */
};

struct bri_save {
    struct bri_save_part options, state;
    struct bri_save_part contents; /* empty: there are none */
};

/* Starts over; all zero before the first time. */
void bri_save_start(struct bri_save *save);
void bri_save_fini(struct bri_save *save);

/* 0, or the first failure of all that was added. */
int bri_save_failure(const struct bri_save *save);

/* Adds one, unless it is what a fresh object has: nil, false or 0. */
void bri_save_option(struct bri_save *save, const char *name, broker_value v);
void bri_save_state(struct bri_save *save, const char *name, broker_value v);

/* Says what the object in the picture @o is: 0, CORRUPT, NOMEM, TOOBIG. */
int bri_object_save(const struct bri_object *o, struct bri_save *save);

/* ---- making it again ---- */

struct bri_load {
    broker_value state;    /* packed map, or nil */
    broker_value contents; /* or nil */
};

/* The value under @key in a packed map; nil if there is none. */
broker_value bri_load_get(broker_value map, const char *key);

/* The state's number or word of this name: what it is if it is not there is 0, false, NULL. */
uint64_t bri_load_u64(const struct bri_load *load, const char *name);
bool bri_load_bool(const struct bri_load *load, const char *name);
bool bri_load_is(const struct bri_load *load, const char *name, const char *word);

/* Makes what was saved of the fresh object @h: INVALID if it is none of its type, NOMEM, QUOTA, and
 * what the type's operations say. */
int bri_object_load(struct bri_handle *h, const struct bri_load *load);

/*
 * Goes through a packed array or, two by two, a map: calls @fn with pieces, which are arrays and
 * maps themselves, and where they begin. INVALID if it is none.
 */
typedef int bri_load_piece_fn(struct bri_handle *h, uint64_t at, broker_value piece);
int bri_load_pieces(
    struct bri_handle *h, broker_value contents, bool is_map, bri_load_piece_fn *fn);

#endif
