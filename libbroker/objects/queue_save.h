/*
 * queue_save.h - saving and loading queues; see queue_save.c for what their contents are
 */
#ifndef BRI_QUEUE_SAVE_H
#define BRI_QUEUE_SAVE_H

struct bri_handle;
struct bri_load;
struct bri_object;
struct bri_save;

int bri_queue_save(const struct bri_object *o, struct bri_save *save);
int bri_queue_load(struct bri_handle *h, const struct bri_load *load);

#endif
