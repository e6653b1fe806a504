/*
 * store.h - the folder in which an arena's snapshots are kept
 *
 * A snapshot is PREFIX.NUMBER.snapshot; the highest number is the newest. It is written under
 * another name, PREFIX.new, brought to the disk, and only then given its own: so a file with such a
 * name is whole, whenever the machine stopped. There always is the old one or the new one.
 */
#ifndef BRI_SNAPSHOT_STORE_H
#define BRI_SNAPSHOT_STORE_H

#include <stddef.h>
#include <stdint.h>

#define BRI_STORE_PATH_MAX 512

struct bri_store {
    const char *dir;
    const char *prefix;
    unsigned keep; /* so many are kept, at least 1 */
};

/* Writes a snapshot to a file. 0 or a failure, which is the whole's then. */
typedef int bri_store_fill_fn(int fd, void *arg);

/*
 * Has @fill write a new snapshot, makes it last, and removes those that are too many. Its path
 * comes into @out_path. NOMEM when the disk is full, ACCESS, SYSTEM, and what @fill says: what was
 * there is there still. One at a time in a folder and prefix.
 */
int bri_store_save(const struct bri_store *store, bri_store_fill_fn *fill, void *arg,
    char out_path[BRI_STORE_PATH_MAX]);

/* The snapshots that are there, newest first. */
struct bri_store_list {
    uint64_t *numbers;
    size_t n;
};

/* No folder is no snapshots. NOMEM, ACCESS, SYSTEM. */
int bri_store_list(const struct bri_store *store, struct bri_store_list *out_list);
void bri_store_list_free(struct bri_store_list *list);

/* Where the snapshot of this number is. */
int bri_store_path(const struct bri_store *store, uint64_t number, char out[BRI_STORE_PATH_MAX]);

#endif
