/*
 * refs.h - references in stored values, for the types that store values
 *
 * A type whose objects store values of any kind calls bri_refs_store() for each value with
 * references that it stores, in the section that stores it, and gives the collector its stored
 * values by a function `refs` (core/type.h), through bri_refs_look().
 */
#ifndef BRI_REFS_H
#define BRI_REFS_H

#include "core/collect.h"
#include "value/value.h"

/* Encoded bytes of a value that may have references in it: it is looked at in one piece. */
#define BRI_REFS_VALUE_MAX 65536u

/*
 * In the section that stores @v, which has references: 0, or the failure that the section has then.
 * GONE, INVALID (an object of another arena), TOOBIG if the value is too long.
 */
int bri_refs_store(struct bri_txn *t, broker_value v);

/* Gives the collector an encoded value that is stored. */
void bri_refs_look(struct bri_collect_look *look, const void *bytes, size_t size);

/* In the section that moves a stored value to where the collector may have been already. */
void bri_refs_moved(const struct bri_object *o, const void *bytes, size_t size);

#endif
