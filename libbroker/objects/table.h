/*
 * table.h - a hash table that keeps insertion order, in an object's heap
 *
 * Linear hashing: the table grows and shrinks by one bucket at a time, so no insert ever waits for
 * a resize. Buckets are 32-bit references in segments of one page, found through a radix tree of
 * pages; entries are chained through the buckets and, for the order, through each other. An entry
 * is one block: head, canonical key, value, and the key as it was first given if that has other
 * bytes. Functions that take a bri_txn change the table and belong in a section; those that take a
 * bri_object only read, with everything checked and bounded, and may be used under the guard or
 * optimistically.
 */
#ifndef BRI_TABLE_H
#define BRI_TABLE_H

#include <stddef.h>

#include "core/guard.h"

struct bri_audit;

/* Lies in the slot's state. */
struct bri_table_shm {
    uint32_t top;    /* [guard] page at the top of the radix tree, 0 while there are no buckets */
    uint32_t height; /* [guard] 1: top is a segment */
    uint64_t n_buckets; /* [guard] */
    uint64_t n_entries; /* [guard] */
    uint64_t n_bytes;   /* [guard] of keys as given, and values */
    uint32_t first;     /* [guard] entry, in units */
    uint32_t last;      /* [guard] */
    uint64_t n_changes; /* [guard] of keys or values, ever */
};

/* An entry as one look at it found it; pointers into the arena. */
struct bri_entry {
    uint64_t off;
    uint32_t hash;
    uint32_t prev, next; /* units */
    const uint8_t *key;  /* canonical */
    size_t key_size;
    const uint8_t *given;
    size_t given_size;
    const uint8_t *value;
    size_t value_size;
};

/* A key to be looked for or stored. */
struct bri_table_key {
    const uint8_t *data; /* canonical */
    size_t size;
    const uint8_t *given; /* as given; the same bytes as `data` if @given_size is 0 */
    size_t given_size;
    uint32_t hash;
};

static inline uint64_t bri_unit_off(uint32_t unit)
{
    return (uint64_t)unit << BRI_UNIT_SHIFT;
}

/* The bytes of an entry. */
size_t bri_entry_size(const struct bri_table_key *key, size_t value_size);

/* Fills fresh memory of bri_entry_size() with all of an entry but its links; the value's bytes are
 * left to the caller. */
uint8_t *bri_entry_fill(void *memory, const struct bri_table_key *key, size_t value_size);

/* 0, NOTFOUND, or CORRUPT (which for an optimistic reader only means: look again). */
int bri_table_find(const struct bri_object *o, const struct bri_table_shm *table,
    const struct bri_table_key *key, struct bri_entry *out_entry);

/*
 * For one who will look for several keys: has the processor fetch what leads to the first entry of
 * the bucket of @hash, and then that entry, while others are looked at. Nothing else.
 */
void bri_table_fetch_bucket(
    const struct bri_object *o, const struct bri_table_shm *table, uint32_t hash);
void bri_table_fetch_entry(
    const struct bri_object *o, const struct bri_table_shm *table, uint32_t hash);

/* The entry at @unit; CORRUPT if there can't be one. */
int bri_entry_at(const struct bri_object *o, uint32_t unit, struct bri_entry *out_entry);

/* Links the filled entry at @off, whose key is not in the table, as the last one. May split a
 * bucket. */
void bri_table_insert(struct bri_txn *t, struct bri_table_shm *table, uint64_t off);

/* Puts the filled entry at @off, which has the same key, in the place of @old, and frees that. */
void bri_table_replace(
    struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *old, uint64_t off);

/* Writes a value of another size over an entry's, if the block is large enough and the journal
 * should bear it. */
bool bri_table_overwrite(struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *e,
    const void *value, size_t value_size);

/* Unlinks and frees. May merge two buckets. */
void bri_table_remove(struct bri_txn *t, struct bri_table_shm *table, const struct bri_entry *e);

/* Forgets all entries. */
void bri_table_clear(struct bri_txn *t, struct bri_table_shm *table);

/*
 * One step of a walk in hash order: gives the entries of one bucket at or after position *@pos,
 * which starts at 0 and is moved on; it is 2^32 at the end. An entry that is there all the time is
 * met exactly once, however the table changes. Returns how many entries of the bucket were put into
 * @entries; more than @max: -1, and *@pos has not moved.
 */
int bri_table_scan(const struct bri_object *o, const struct bri_table_shm *table, uint64_t *pos,
    struct bri_entry *entries, int max);

/*
 * One step of the same walk for the collector, in a section: calls @fn for the entries of one
 * bucket at or after *@pos, which is UINT64_MAX at the end.
 */
typedef void bri_entry_fn(void *arg, const struct bri_entry *e);
void bri_table_walk(const struct bri_object *o, const struct bri_table_shm *table, uint64_t *pos,
    bri_entry_fn *fn, void *arg);

/* Checks everything: chains, order, counts, and that every entry is a block of the heap. */
void bri_table_audit(
    const struct bri_object *o, const struct bri_table_shm *table, struct bri_audit *audit);

#endif
