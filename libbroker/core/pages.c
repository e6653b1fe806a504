/*
 * pages.c - see pages.h
 */
#include "core/pages.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <broker/errors.h>

#include "core/chunks.h"
#include "core/errno.h"
#include "core/room.h"

#define GROW_PAGES 64u /* 256 KiB a step: some 60 us in the kernel */

int bri_pages_find(struct bri_arena *a, uint32_t n, uint32_t *out_page)
{
    uint32_t page = bri_chunks_find(a, n);

    if (page == 0)
        return BROKER_NOMEM;
    *out_page = page;
    return 0;
}

bool bri_pages_take(
    struct bri_arena *a, uint32_t page, uint32_t n, uint32_t owner, enum bri_page_kind kind)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t free_tag = 0;
        uint64_t tag = i == 0 ? bri_tag(owner, kind, n) : bri_tag(owner, BRI_PAGE_TAIL, i);

        if (atomic_compare_exchange_strong(&a->pages[page + i].tag, &free_tag, tag))
            continue;
        bri_pages_give(a, page, i, owner);
        return false;
    }
    (void)atomic_fetch_sub_explicit(&a->shm->n_free, n, memory_order_relaxed);
    return true;
}

static void note_free(struct bri_arena *a, uint32_t page, uint32_t n, uint32_t n_freed)
{
    (void)atomic_fetch_add_explicit(&a->shm->n_free, n_freed, memory_order_relaxed);
    bri_chunks_note_free(a, page, n);
}

void bri_pages_give(struct bri_arena *a, uint32_t page, uint32_t n, uint32_t owner)
{
    uint32_t freed = 0;

    if (page < a->first_page || page >= a->n_pages || n > a->n_pages - page)
        return;
    for (uint32_t i = n; i-- > 0;) {
        uint64_t tag = atomic_load_explicit(&a->pages[page + i].tag, memory_order_relaxed);

        if (tag != 0 && bri_tag_owner(tag) == owner &&
            atomic_compare_exchange_strong(&a->pages[page + i].tag, &tag, 0))
            freed++;
    }
    if (freed != 0)
        note_free(a, page, n, freed);
}

static int commit_range(const struct bri_arena *a, uint32_t page, uint32_t n)
{
    int r;

    if (a->fd < 0)
        return 0; /* private memory has its pages */
    do
        r = posix_fallocate(a->fd, (off_t)page << BRI_PAGE_SHIFT, (off_t)n << BRI_PAGE_SHIFT);
    while (r == EINTR);
    return r == 0 ? 0 : bri_from_errno(r);
}

/* Private memory is there already. */
static bool has_room(const struct bri_arena *a, uint32_t n)
{
    return a->fd < 0 || bri_room_for((uint64_t)n << BRI_PAGE_SHIFT);
}

/* Puts memory behind what was punched in [from, to), @max pages at most. How many, or an error. */
static int reclaim_run(struct bri_arena *a, uint32_t from, uint32_t to, uint32_t max)
{
    const uint64_t punched = bri_tag(0, BRI_PAGE_PUNCHED, 0);
    uint32_t n = 0, freed = 0;
    int r;

    while (from < to && bri_page_tag(a, from) != punched)
        from++;
    while (n < max && from + n < to && bri_page_tag(a, from + n) == punched)
        n++;
    r = n > 0 ? commit_range(a, from, n) : 0;
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t tag = punched;

        freed += atomic_compare_exchange_strong(&a->pages[from + i].tag, &tag, 0);
    }
    if (freed > 0)
        note_free(a, from, n, freed);
    return (int)n;
}

/* At the maximum: pages whose memory went back to the system can have it again. */
static int reclaim_punched(struct bri_arena *a, uint32_t n)
{
    uint32_t found = 0;

    for (uint32_t chunk = 0; chunk < a->n_chunks && found < n;) {
        uint32_t start = chunk * BRI_CHUNK_PAGES;
        int r = bri_chunk_known(a, chunk).n_punched == 0
                    ? 0
                    : reclaim_run(a, start, start + BRI_CHUNK_PAGES, n - found);

        if (r < 0)
            return r;
        found += (uint32_t)r;
        if (r == 0 || bri_chunk_survey(a, chunk).n_punched == 0)
            chunk++;
    }
    return found > 0 ? 0 : BROKER_NOMEM;
}

int bri_pages_grow(struct bri_arena *a, uint32_t n)
{
    uint32_t from = bri_pages_committed(a);
    uint32_t step = n > GROW_PAGES ? n : GROW_PAGES;
    uint32_t seen = from, page;
    int r;

    if (bri_pages_find(a, n, &page) == 0)
        return 0; /* it was there, but another was faster */
    if (!has_room(a, step)) {
        if (!has_room(a, n))
            return BROKER_NOMEM;
        step = n;
    }
    if (from == a->n_pages)
        return reclaim_punched(a, step);
    if (step > a->n_pages - from)
        step = a->n_pages - from;
    r = commit_range(a, from, step);
    if (r < 0 && n < step) { /* little room is left: try for what is needed */
        step = n;
        r = commit_range(a, from, step);
    }
    if (r < 0)
        return reclaim_punched(a, n) == 0 ? 0 : r;
    /* Whoever is faster has committed the same range; both are content. */
    if (atomic_compare_exchange_strong(&a->shm->committed, &seen, from + step))
        note_free(a, from, step, step);
    return 0;
}

/* False when the system does not take it. */
static bool trim_page(struct bri_arena *a, uint32_t page)
{
    if (madvise(bri_page_at(a, page), BRI_PAGE_SIZE, MADV_REMOVE) != 0) {
        bri_pages_give(a, page, 1, 0);
        return false;
    }
    atomic_store(&a->pages[page].tag, bri_tag(0, BRI_PAGE_PUNCHED, 0));
    return true;
}

/* From the end of [from, to) down. How many pages; @out_failed if the system does not take one. */
static uint32_t trim_run(
    struct bri_arena *a, uint32_t from, uint32_t to, uint32_t max, bool *out_failed)
{
    const uint64_t trimmed = bri_tag(0, BRI_PAGE_TRIMMED, 0);
    uint32_t n = 0;

    for (uint32_t p = to; p-- > from && n < max && !*out_failed;) {
        uint64_t tag = 0;

        if (atomic_compare_exchange_strong(&a->pages[p].tag, &tag, trimmed))
            (void)atomic_fetch_sub_explicit(&a->shm->n_free, 1, memory_order_relaxed);
        else if (tag != trimmed) /* or a daemon died here */
            continue;
        *out_failed = !trim_page(a, p);
        n += !*out_failed;
    }
    return n;
}

uint32_t bri_pages_trim(struct bri_arena *a, uint32_t max)
{
    uint32_t end = bri_pages_committed(a), n = 0;
    bool failed = false;

    for (uint32_t chunk = a->n_chunks; chunk-- > 0 && n < max && !failed;) {
        uint32_t from = chunk * BRI_CHUNK_PAGES, to = from + BRI_CHUNK_PAGES;

        if (from >= end || bri_chunk_known(a, chunk).longest == 0)
            continue;
        n += trim_run(
            a, from < a->first_page ? a->first_page : from, to < end ? to : end, max - n, &failed);
        (void)bri_chunk_survey(a, chunk);
    }
    return n;
}

bool bri_pages_count_on(struct bri_arena *a, struct bri_page_count *count, uint32_t n_chunks)
{
    if (count->chunk >= a->n_chunks)
        *count = (struct bri_page_count){0};
    for (; n_chunks > 0 && count->chunk < a->n_chunks; n_chunks--) {
        struct bri_chunk k = bri_chunk_survey(a, count->chunk++);

        count->n_free += k.n_free;
        count->n_used += k.n_used;
    }
    if (count->chunk < a->n_chunks)
        return false;
    if (!a->read_only) {
        atomic_store_explicit(&a->shm->n_free, count->n_free, memory_order_relaxed);
        bri_chunks_rewind(a);
    }
    return true;
}
