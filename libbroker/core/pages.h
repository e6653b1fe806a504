/*
 * pages.h - the page table: who has which pages
 *
 * Pages are claimed by compare-and-swap, without a lock, each tagged with the slot that claims it,
 * so that an object can claim while its guard is held and recovery can tell what a dead operation
 * had claimed. Memory is put behind pages (bri_pages_grow) by a system call, never inside a
 * section: a claim that finds none free fails, the operation is undone, and is tried again after
 * growing.
 */
#ifndef BRI_PAGES_H
#define BRI_PAGES_H

#include "core/arena.h"

enum bri_page_kind {
    BRI_PAGE_TAIL = 1, /* not the first of its run; aux: distance to the first */
    BRI_PAGE_SLAB,     /* first page of a slab; aux: pages */
    BRI_PAGE_RUN,      /* first page of a block of whole pages; aux: pages */
    BRI_PAGE_ROOT,     /* an object's root page */
    BRI_PAGE_SLOTS,    /* a page of slots */
    BRI_PAGE_RESERVED, /* a run that a session fills outside the guard; aux: pages */
    BRI_PAGE_JOURNAL,  /* first page of a journal extent; aux: pages */
    BRI_PAGE_PUNCHED,  /* free, but its memory went back to the system; owner 0 */
    BRI_PAGE_TRIMMED,  /* the daemon is giving its memory back; owner 0 */
    BRI_PAGE_LENT,     /* a block that a session looks at outside the guard; aux: pages */
};

#define BRI_PAGE_AUX_MAX ((1u << 24) - 1)

static inline uint64_t bri_tag(uint32_t owner, enum bri_page_kind kind, uint32_t aux)
{
    return (uint64_t)owner << 32 | (uint64_t)kind << 24 | aux;
}

static inline uint32_t bri_tag_owner(uint64_t tag)
{
    return (uint32_t)(tag >> 32);
}

static inline enum bri_page_kind bri_tag_kind(uint64_t tag)
{
    return (enum bri_page_kind)(tag >> 24 & 0xff);
}

static inline uint32_t bri_tag_aux(uint64_t tag)
{
    return (uint32_t)tag & BRI_PAGE_AUX_MAX;
}

/* The tag of @page, 0 for one outside the arena's pages. */
static inline uint64_t bri_page_tag(const struct bri_arena *a, uint32_t page)
{
    if (page < a->first_page || page >= a->n_pages)
        return 0;
    return atomic_load_explicit(&a->pages[page].tag, memory_order_relaxed);
}

/*
 * Finds a run of @n free pages that have memory. 0, or BROKER_NOMEM. The run is not claimed:
 * bri_pages_take may fail.
 */
int bri_pages_find(struct bri_arena *a, uint32_t n, uint32_t *out_page);

/* Claims the run for @owner. False if somebody was faster; what had been claimed is free again. */
bool bri_pages_take(
    struct bri_arena *a, uint32_t page, uint32_t n, uint32_t owner, enum bri_page_kind kind);

/*
 * Frees those of the @n pages from @page that @owner has, the first one last, so that a repetition
 * after a death finds the run still marked.
 */
void bri_pages_give(struct bri_arena *a, uint32_t page, uint32_t n, uint32_t owner);

/*
 * Puts memory behind pages until a run of @n free ones can be expected. Not inside a section: makes
 * system calls. 0, or BROKER_NOMEM when the arena is at its maximum, the file system is full, or
 * this process's control group has no room for it.
 */
int bri_pages_grow(struct bri_arena *a, uint32_t n);

/* Gives the memory of at most @max free pages back to the system; the daemon alone may. Returns how
 * many. */
uint32_t bri_pages_trim(struct bri_arena *a, uint32_t max);

/* A count of the pages that have memory, and how far it has come. It begins with 0. */
struct bri_page_count {
    uint32_t chunk; /* the next one */
    uint32_t n_free, n_used;
};

/*
 * Counts the pages of the next @n_chunks chunks. True when that was the last of them: then the
 * hints about free pages, which deaths may have left wrong, are right again, and the next call
 * begins anew.
 */
bool bri_pages_count_on(struct bri_arena *a, struct bri_page_count *count, uint32_t n_chunks);

/* No slots lie behind. */
static inline uint32_t bri_slots_end(const struct bri_arena *a)
{
    uint32_t n = atomic_load_explicit(&a->shm->committed, memory_order_relaxed);

    return n < a->first_page ? a->first_page : n < a->n_pages ? n : a->n_pages;
}

#endif
