/*
 * record.h - what the record of an object is
 *
 * A map with these entries, of which those that say nothing are left out:
 *
 *     id        number of the object in its file, from 1 on
 *     name      none: it is anonymous
 *     type      as in the schema
 *     uid       who made it; not in dumps
 *     options   map: how it was created, by the schema's names
 *     state     map: what else is to be known of it, by names of the type's own
 *     contents  what is stored in it, in a form of the type's own (objects/ *_save.c)
 *     outside   true: it is no part of this file, and told only because others refer to it
 *
 * A reference in it is the library's extension, with the id of the object as its slot and 1 as its
 * identity. A reference to an object that was gone is nil.
 */
#ifndef BRI_SNAPSHOT_RECORD_H
#define BRI_SNAPSHOT_RECORD_H

#include <broker/value.h>

#include "core/ref.h"

#define BRI_RECORD_IDENTITY 1u

/* Gives the reference that is to stand in the place of @ref; an identity of 0 makes it nil. 0, or a
 * failure. */
typedef int bri_ref_map_fn(void *arg, struct bri_ref ref, struct bri_ref *out_ref);

/* Copies the encoded value @v to the end of @out, with its references exchanged. NOMEM, and what
 * @map says. */
int bri_record_copy(broker_value v, bri_ref_map_fn *map, void *arg, broker_buffer *out);

#endif
