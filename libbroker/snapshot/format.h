/*
 * format.h - what the bytes of a snapshot are
 *
 * A file is a head, records, and an end. All numbers are little-endian.
 *
 *     head    64 bytes: struct bri_snapshot_head
 *     record  16 bytes: struct bri_snapshot_record, then `size` bytes, then XXH64 of both as u64
 *     end     a record of kind BRI_SNAPSHOT_END whose bytes are struct bri_snapshot_end; nothing
 *             follows it
 *
 * The checksum is XXH64 with seed 0, as the xxHash specification fixes it for good; its name stands
 * in the head, so that another one is another name. So every byte of a file is covered twice: by
 * its record's sum, and by that of the whole, which also finds records that are missing, doubled or
 * exchanged. What is in a record is msgpack, and is told in record.h.
 */
#ifndef BRI_SNAPSHOT_FORMAT_H
#define BRI_SNAPSHOT_FORMAT_H

#include <stdint.h>

#define BRI_SNAPSHOT_MAGIC "brksnap\n"
#define BRI_SNAPSHOT_VERSION 1u
#define BRI_SNAPSHOT_CHECKSUM "XXH64"

enum bri_snapshot_kind {
    BRI_SNAPSHOT_INFO = 1,   /* a map of what is to be known of the whole; for people */
    BRI_SNAPSHOT_OBJECT = 2, /* a map: one object */
    BRI_SNAPSHOT_END = 3,
};

struct bri_snapshot_head {
    char magic[8];       /* 0: BRI_SNAPSHOT_MAGIC, without a NUL */
    uint32_t version;    /* 8: BRI_SNAPSHOT_VERSION */
    uint32_t zero;       /* 12 */
    char checksum[16];   /* 16: BRI_SNAPSHOT_CHECKSUM, filled with NULs */
    uint64_t created_ns; /* 32: CLOCK_REALTIME; 0 in a dump, which says when by nothing */
    uint64_t zeros[2];   /* 40 */
    uint64_t sum;        /* 56: of the bytes before */
};

struct bri_snapshot_record {
    uint32_t kind; /* 0: enum bri_snapshot_kind */
    uint32_t zero; /* 4 */
    uint64_t size; /* 8: of what follows, without the checksum */
};

struct bri_snapshot_end {
    uint64_t n_records; /* 0: before this one */
    uint64_t sum;       /* 8: of all bytes of the file before this record */
};

_Static_assert(sizeof(struct bri_snapshot_head) == 64, "head");
_Static_assert(sizeof(struct bri_snapshot_record) == 16, "record");
_Static_assert(sizeof(struct bri_snapshot_end) == 16, "end");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

#endif
