/*
 * file.h - writing and reading the bytes of a snapshot, checksums and all
 */
#ifndef BRI_SNAPSHOT_FILE_H
#define BRI_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <broker/value.h>

#include "snapshot/format.h"

/* One record: its kind, and its bytes. */
struct bri_snapshot_part {
    enum bri_snapshot_kind kind;
    const void *data;
    size_t size;
};

/* ---- writing ---- */

struct bri_snapshot_writer;

/* Begins a file at @fd, which stays the caller's, with its head. NOMEM, SYSTEM. */
int bri_snapshot_write_begin(int fd, uint64_t created_ns, struct bri_snapshot_writer **out_writer);

/* Adds a record. What fails once fails from then on. NOMEM (no room left), SYSTEM. */
int bri_snapshot_write(struct bri_snapshot_writer *w, const struct bri_snapshot_part *part);

/* Writes the end, and what is still to be written. */
int bri_snapshot_write_end(struct bri_snapshot_writer *w);

/* Records written so far, without the end. */
uint64_t bri_snapshot_written(const struct bri_snapshot_writer *w);

/* NULL is allowed. */
void bri_snapshot_writer_free(struct bri_snapshot_writer *w);

/* ---- reading ---- */

/* What has been read of a file. What is not what bri_snapshot_write_end() leaves is CORRUPT, at
 * whatever byte. */
struct bri_snapshot_reader;

/*
 * Begins to read @fd, which stays the caller's, from its first byte: checks the head. CORRUPT;
 * VERSION if another version made it; NOMEM, SYSTEM.
 */
int bri_snapshot_read_begin(int fd, struct bri_snapshot_reader **out_reader);

uint64_t bri_snapshot_created_ns(const struct bri_snapshot_reader *r);

/*
 * The next record; its bytes are valid until the next call. EMPTY after the last one, if the end
 * agrees with all that came before.
 */
int bri_snapshot_read(struct bri_snapshot_reader *r, struct bri_snapshot_part *out_part);

/* NULL is allowed. */
void bri_snapshot_reader_free(struct bri_snapshot_reader *r);

/* Reads all of @fd and gives the number of its records: 0 if every byte is as it was written. */
int bri_snapshot_verify(int fd, uint64_t *out_records);

#endif
