/*
 * pages.c - see pages.h
 */
#include "core/pages.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <broker/errors.h>

#include "core/errno.h"
#include "core/room.h"

#define GROW_PAGES 64u /* 256 KiB a step: some 60 us in the kernel */

static uint32_t committed(const struct bri_arena *a)
{
    uint32_t n = atomic_load_explicit(&a->shm->committed, memory_order_acquire);

    return n < a->first_page ? a->first_page : n > a->n_pages ? a->n_pages : n;
}

static bool is_free(const struct bri_arena *a, uint32_t page)
{
    return atomic_load_explicit(&a->pages[page].tag, memory_order_relaxed) == 0;
}

/* First run of @n free pages in [from, to), 0 if there is none. */
static uint32_t scan(const struct bri_arena *a, uint32_t from, uint32_t to, uint32_t n)
{
    uint32_t run = 0;

    for (uint32_t p = from; p < to; p++) {
        run = is_free(a, p) ? run + 1 : 0;
        if (run == n)
            return p + 1 - n;
    }
    return 0;
}

int bri_pages_find(struct bri_arena *a, uint32_t n, uint32_t *out_page)
{
    uint32_t end = committed(a);
    uint32_t hint = atomic_load_explicit(&a->shm->hint, memory_order_relaxed);
    uint32_t page;

    if (hint < a->first_page || hint > end)
        hint = a->first_page;
    page = scan(a, hint, end, n);
    /*
     * Below the hint only if something is known to be free there, or nothing more can be had above.
     */
    if (page == 0 &&
        (atomic_load_explicit(&a->shm->n_free, memory_order_relaxed) >= n || end == a->n_pages))
        page = scan(a, a->first_page, hint + n < end ? hint + n : end, n);
    if (page == 0)
        return BROKER_NOMEM;
    if (n == 1)
        atomic_store_explicit(&a->shm->hint, page, memory_order_relaxed);
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
    (void)atomic_fetch_add_explicit(&a->shm->n_free, freed, memory_order_relaxed);
    if (page < atomic_load_explicit(&a->shm->hint, memory_order_relaxed))
        atomic_store_explicit(&a->shm->hint, page, memory_order_relaxed);
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

/* At the maximum: pages whose memory went back to the system can have it again. */
static int reclaim_punched(struct bri_arena *a, uint32_t n)
{
    uint64_t punched = bri_tag(0, BRI_PAGE_PUNCHED, 0);
    uint32_t found = 0;
    int r;

    for (uint32_t p = a->first_page; p < a->n_pages && found < n; p++) {
        uint64_t tag = punched;

        if (atomic_load_explicit(&a->pages[p].tag, memory_order_relaxed) != punched)
            continue;
        r = commit_range(a, p, 1);
        if (r < 0)
            return r;
        if (!atomic_compare_exchange_strong(&a->pages[p].tag, &tag, 0))
            continue;
        (void)atomic_fetch_add_explicit(&a->shm->n_free, 1, memory_order_relaxed);
        if (p < atomic_load_explicit(&a->shm->hint, memory_order_relaxed))
            atomic_store_explicit(&a->shm->hint, p, memory_order_relaxed);
        found++;
    }
    return found > 0 ? 0 : BROKER_NOMEM;
}

int bri_pages_grow(struct bri_arena *a, uint32_t n)
{
    uint32_t from = committed(a);
    uint32_t step = n > GROW_PAGES ? n : GROW_PAGES;
    uint32_t seen = from;
    int r;

    if (!has_room(a, step)) {
        if (!has_room(a, n))
            return BROKER_NOMEM;
        step = n;
    }
    if (step > a->n_pages - from)
        step = a->n_pages - from;
    if (step == 0)
        return reclaim_punched(a, n);
    r = commit_range(a, from, step);
    if (r < 0 && n < step) { /* little room is left: try for what is needed */
        step = n;
        r = commit_range(a, from, step);
    }
    if (r < 0)
        return reclaim_punched(a, n) == 0 ? 0 : r;
    /* Whoever is faster has committed the same range; both are content. */
    if (atomic_compare_exchange_strong(&a->shm->committed, &seen, from + step))
        (void)atomic_fetch_add_explicit(&a->shm->n_free, step, memory_order_relaxed);
    return 0;
}

uint32_t bri_pages_trim(struct bri_arena *a, uint32_t max)
{
    uint64_t trimmed = bri_tag(0, BRI_PAGE_TRIMMED, 0);
    uint32_t end = committed(a), n = 0;

    for (uint32_t p = end; p-- > a->first_page && n < max;) {
        uint64_t tag = 0;

        if (atomic_load_explicit(&a->pages[p].tag, memory_order_relaxed) == trimmed)
            tag = trimmed; /* a daemon died here */
        else if (!atomic_compare_exchange_strong(&a->pages[p].tag, &tag, trimmed))
            continue;
        else
            (void)atomic_fetch_sub_explicit(&a->shm->n_free, 1, memory_order_relaxed);
        if (madvise(bri_page_at(a, p), BRI_PAGE_SIZE, MADV_REMOVE) != 0) {
            bri_pages_give(a, p, 1, 0);
            break;
        }
        atomic_store(&a->pages[p].tag, bri_tag(0, BRI_PAGE_PUNCHED, 0));
        n++;
    }
    return n;
}

uint32_t bri_pages_count(struct bri_arena *a, uint32_t *out_used)
{
    uint32_t end = committed(a), n_free = 0, used = 0;
    uint64_t punched = bri_tag(0, BRI_PAGE_PUNCHED, 0);

    for (uint32_t p = a->first_page; p < end; p++) {
        uint64_t tag = atomic_load_explicit(&a->pages[p].tag, memory_order_relaxed);

        n_free += tag == 0;
        used += tag != 0 && tag != punched;
    }
    if (!a->read_only)
        atomic_store_explicit(&a->shm->n_free, n_free, memory_order_relaxed);
    *out_used = used;
    return n_free;
}
