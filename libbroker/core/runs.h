/*
 * runs.h - runs of whole pages in an object's heap
 *
 * Slabs and large blocks are runs; so is what a session fills or looks at outside the guard. As in
 * heap.h, all functions belong inside a section.
 */
#ifndef BRI_RUNS_H
#define BRI_RUNS_H

#include "core/guard.h"

static inline struct bri_heap_shm *bri_heap_of(struct bri_txn *t)
{
    return &t->o->root->heap;
}

/* Notes why the section has failed, if nothing was noted before. Gives 0. */
static inline uint32_t bri_fail_zero(struct bri_txn *t, int code)
{
    if (t->failed == 0)
        t->failed = code;
    return 0;
}

/* A run of @n pages of @kind (BRI_PAGE_RUN, BRI_PAGE_SLOTS), linked into the heap: first page, 0 on
 * failure. */
uint32_t bri_alloc_pages(struct bri_txn *t, uint32_t n, unsigned kind);

/* Takes a run out of the list that begins at @from: out of use now, and given back after the
 * commit. */
void bri_run_release(struct bri_txn *t, uint32_t *from, uint32_t page);

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
