/*
 * A private copy of an arena, to be looked at without a daemon: nothing done to it reaches the
 * arena.
 */
#ifndef CTL_IMAGE_H
#define CTL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/handle.h"

struct ctl_image {
    struct bri_arena *arena;
    struct broker broker; /* to look at it as at a live one; only to read */
    void *memory;
    size_t size;
    bool in_use; /* somebody is attached: the copy may not be of one moment */
};

/*
 * Copies the arena in the file @path. VERSION with what it is in @out_found (layout, then abi);
 * CORRUPT when its header is damaged or the file cut short; NOTFOUND, ACCESS, NOMEM, SYSTEM.
 */
int ctl_image_open(const char *path, struct ctl_image *out_image, uint32_t out_found[2]);

void ctl_image_close(struct ctl_image *image);

#endif
