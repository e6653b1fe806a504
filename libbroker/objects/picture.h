/*
 * picture.h - an object as it was at one moment: a private copy of its memory
 *
 * The copy lies at the same offsets of a mapping of the arena's size, of which only what was copied
 * has memory. So whatever reads objects reads pictures, and takes as long as it likes. Taking one
 * is reading: no guard, unless writers are in the way again and again, and then for no longer than
 * the copying of the object's pages takes. What pictures show was copied from shared memory and is
 * no better than that.
 */
#ifndef BRI_PICTURE_H
#define BRI_PICTURE_H

#include <broker/value.h>

#include "client/handle.h"

struct bri_picture {
    struct bri_arena view;
    broker_buffer runs; /* of struct bri_picture_run: what was copied */
};

/* For objects of @a, one after another. NOMEM. */
int bri_picture_open(const struct bri_arena *a, struct bri_picture *out_picture);
void bri_picture_close(struct bri_picture *picture);

/*
 * Takes the picture of the object that is bound in @h, of which broker and object are all that is
 * needed; the one before is gone. *@out_object is the object in it, without an attachment;
 * *@out_version what bri_version() was at that moment. What bri_read() says.
 */
int bri_picture_take(struct bri_picture *picture, struct bri_handle *h,
    struct bri_object *out_object, uint64_t *out_version);

#endif
