/*
 * watch.h - objects in event loops: a descriptor that becomes readable when an object is ready
 */
#ifndef BRI_WATCH_H
#define BRI_WATCH_H

#include "client/handle.h"

/* Ends the watching of one handle, and closes its descriptor. For the last close of the handle. */
void bri_watch_end(struct bri_handle *h);

/* Ends the watching thread, before the arena is unmapped. */
void bri_watch_stop(broker *b);

#endif
