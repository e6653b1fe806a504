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

#define BRI_SMALL_MAX 2048u

/* Makes @root the root page of a fresh object with a quota of @quota_bytes (0: none). Fresh memory:
 * not journaled. */
void bri_heap_init(struct bri_root_shm *root, uint64_t quota_bytes);

/*
 * A block of at least @size bytes, not zeroed, aligned to 16; its offset, 0 on failure (then the
 * section has failed: NOMEM, QUOTA, CORRUPT). @size 1 or more.
 */
uint64_t bri_alloc(struct bri_txn *t, uint64_t size);

/* A run of @n pages of @kind (BRI_PAGE_RUN, BRI_PAGE_SLOTS), linked into the heap: first page, 0 on
 * failure. */
uint32_t bri_alloc_pages(struct bri_txn *t, uint32_t n, unsigned kind);

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

/* Forgets every block at once; the pages go back in bounded steps (bri_heap_chores). Small journal,
 * any size. */
void bri_heap_clear(struct bri_txn *t);

/*
 * Gives back some runs that were freed or cleared away. With the guard held and an empty journal.
 */
void bri_heap_chores(struct bri_txn *t);

/*
 * Runs the chores to their end, a bounded section at a time, each waiting for the guard at most
 * @deadline_ns as in bri_lock(). 0, or what bri_begin() says.
 */
int bri_heap_finish_chores(struct bri_object *o, int64_t deadline_ns);

/*
 * A run of pages for @bytes that this session fills outside the guard: tagged, and listed in the
 * attachment, so that the death of the session gives it back. First page, 0 on failure.
 */
uint32_t bri_reserve(struct bri_txn *t, uint64_t bytes);

/* Makes a reserved run a block of the heap: takes it out of the list. Its offset, 0 if it was not
 * reserved. */
uint64_t bri_unreserve(struct bri_txn *t, uint32_t page);

/* The bytes of a run that this session has reserved; 0 if it has not. */
uint64_t bri_reserved_size(const struct bri_txn *t, uint32_t page);

/*
 * Lends a block that is a run to this session, which may look at it outside the guard: listed like
 * a reserved one, so that it stays even if the object is destroyed, until the session has let go of
 * the object.
 */
void bri_lend(struct bri_txn *t, uint32_t page);

/* Makes a run that @att was lent a block of the heap again. Its offset, 0 if it was not lent. */
uint64_t bri_take_back(struct bri_txn *t, struct bri_attachment_shm *att, uint32_t page);

/* Gives a reserved run back. */
void bri_release_reserved(struct bri_txn *t, uint32_t page);

/* Gives back everything that @att has reserved; for the end of a session. */
void bri_release_all_reserved(struct bri_txn *t, struct bri_attachment_shm *att);

#endif
