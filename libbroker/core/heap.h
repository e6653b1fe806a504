/*
 * heap.h - an object's own memory, under its own guard and journal
 *
 * Blocks of up to BRI_SMALL_MAX bytes come from slabs of one of 24 size classes (at most a fifth of
 * a block is waste, a slab's bitmap says which blocks are used); larger ones are runs of whole
 * pages, page-aligned. All functions belong inside a section; a failed section gives back what it
 * allocated. Memory freed in a section is free only after its commit.
 */
#ifndef BRI_HEAP_H
#define BRI_HEAP_H

#include "core/guard.h"
#include "core/runs.h"

#define BRI_SMALL_MAX 2048u

/* Makes @root the root page of a fresh object with a quota of @quota_bytes (0: none). Fresh memory:
 * not journaled. */
void bri_heap_init(struct bri_root_shm *root, uint64_t quota_bytes);

/*
 * A block of at least @size bytes, not zeroed, aligned to 16; its offset, 0 on failure (then the
 * section has failed: NOMEM, QUOTA, CORRUPT). @size 1 or more.
 */
uint64_t bri_alloc(struct bri_txn *t, uint64_t size);

/* Frees the block at @off when the section commits. An offset that is no block of this heap damages
 * the object. */
void bri_free(struct bri_txn *t, uint64_t off);

/* What a block of @size bytes really has. */
uint64_t bri_block_size(uint64_t size);

/* The block size of a class, and the blocks of one of its slabs. */
uint32_t bri_class_size(unsigned class_no);
uint32_t bri_class_blocks(unsigned class_no);

/*
 * The usable bytes of the block at @off; 0 if it is none of @o's. Inside a section or in an audit.
 */
uint64_t bri_block_capacity(const struct bri_object *o, uint64_t off);

/* Carries out the section's frees. Called by bri_end(). */
void bri_heap_free_now(struct bri_txn *t);
static inline void bri_heap_apply_frees(struct bri_txn *t)
{
    if (__builtin_expect((t->n_frees | t->more_frees) != 0, 0))
        bri_heap_free_now(t);
}

#endif
