/*
 * names.h - the table of names
 *
 * A fixed number of buckets, each a list of slots; the names lie in the registry's heap, with their
 * length in front. All of it is changed in sections of the registry, in which the name goes with
 * the slot.
 */
#ifndef BRI_NAMES_H
#define BRI_NAMES_H

#include "core/guard.h"

/* Names in one bucket, or slots in one list: the bound of a walk. */
#define BRI_REGISTRY_MAX_CHAIN 100000u

/* 0 if @name may name an object; BADNAME. */
int bri_name_check(const char *name);

/* The name of a slot: its bytes and their number, without a NUL; NULL if it is damaged. */
const char *bri_name_of(
    const struct bri_object *registry, const struct bri_slot_shm *s, uint16_t *out_n);

/* Walks a bucket for @name: its slot, and where the link to it is. NOTFOUND, CORRUPT. */
int bri_name_find(
    const struct bri_object *registry, const char *name, uint32_t **out_link, uint32_t *out_slot);

/* Gives a new object its name, by which it is found from the commit on. */
int bri_name_give(struct bri_txn *t, const char *name, uint32_t slot, struct bri_slot_shm *s);

/* Takes the name from the slot to which @link leads. */
void bri_name_take(struct bri_txn *t, uint32_t *link, struct bri_slot_shm *s);

/* Another name. Nothing but the registry's part of the slot changes: whoever has the object open
 * does not notice. NOTFOUND, EXISTS, NOMEM. */
int bri_name_change(struct bri_txn *t, const char *name, const char *new_name);

#endif
