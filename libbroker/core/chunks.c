/*
 * chunks.c - see chunks.h
 *
 * A chunk's word holds a count of its changes beside what is known, so that a survey which missed
 * that something became free behind it is not noted. Taking pages changes no word: it leaves one
 * that promises too much, which the next survey corrects. So each survey that finds less than was
 * promised is paid for by a claim, and a search costs what it skips: one word for each chunk.
 */
#include "core/chunks.h"

#include "core/pages.h"

#define FIELD_BITS 9u
#define FIELD_MAX ((1u << FIELD_BITS) - 1)
#define COUNT_SHIFT (4 * FIELD_BITS)

_Static_assert(BRI_CHUNK_PAGES <= FIELD_MAX, "a chunk's pages fit a field");

static uint64_t pack(struct bri_chunk k, uint64_t n_changes)
{
    return (uint64_t)k.head | (uint64_t)k.longest << FIELD_BITS |
           (uint64_t)k.tail << 2 * FIELD_BITS | (uint64_t)k.n_punched << 3 * FIELD_BITS |
           n_changes << COUNT_SHIFT;
}

static struct bri_chunk unpack(uint64_t word)
{
    return (struct bri_chunk){
        .head = (uint32_t)word & FIELD_MAX,
        .longest = (uint32_t)(word >> FIELD_BITS) & FIELD_MAX,
        .tail = (uint32_t)(word >> 2 * FIELD_BITS) & FIELD_MAX,
        .n_punched = (uint32_t)(word >> 3 * FIELD_BITS) & FIELD_MAX,
    };
}

static uint32_t min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t bri_pages_committed(const struct bri_arena *a)
{
    uint32_t n = atomic_load_explicit(&a->shm->committed, memory_order_acquire);

    return max(a->first_page, min(n, a->n_pages));
}

static uint64_t tag_of(const struct bri_arena *a, uint32_t page)
{
    return atomic_load_explicit(&a->pages[page].tag, memory_order_relaxed);
}

static uint32_t first_of(const struct bri_arena *a, uint32_t chunk)
{
    return max(chunk * BRI_CHUNK_PAGES, a->first_page);
}

/* The end of the chunk's pages that have memory. */
static uint32_t end_of(const struct bri_arena *a, uint32_t chunk)
{
    return min((chunk + 1) * BRI_CHUNK_PAGES, bri_pages_committed(a));
}

struct bri_chunk bri_chunk_known(const struct bri_arena *a, uint32_t chunk)
{
    return unpack(atomic_load_explicit(&a->chunks[chunk], memory_order_relaxed));
}

struct bri_chunk bri_chunk_survey(struct bri_arena *a, uint32_t chunk)
{
    uint64_t word = atomic_load_explicit(&a->chunks[chunk], memory_order_acquire);
    uint32_t start = chunk * BRI_CHUNK_PAGES, end = end_of(a, chunk), run = 0;
    bool trimmed = false;
    struct bri_chunk k = {0};

    for (uint32_t p = first_of(a, chunk); p < end; p++) {
        uint64_t tag = tag_of(a, p);

        run = tag == 0 ? run + 1 : 0;
        k.longest = max(k.longest, run);
        if (run == p + 1 - start)
            k.head = run;
        k.n_punched += tag == bri_tag(0, BRI_PAGE_PUNCHED, 0);
        trimmed |= tag == bri_tag(0, BRI_PAGE_TRIMMED, 0);
        k.n_free += tag == 0;
        k.n_used += tag != 0;
    }
    k.n_used -= k.n_punched;
    if (end == start + BRI_CHUNK_PAGES)
        k.tail = run;
    if (trimmed)
        k.longest = max(k.longest, 1); /* or a daemon's death would leave it out of the next trim */
    if (!a->read_only)
        (void)atomic_compare_exchange_strong(
            &a->chunks[chunk], &word, pack(k, (word >> COUNT_SHIFT) + 1));
    return k;
}

void bri_chunks_rewind(struct bri_arena *a)
{
    for (uint32_t n = 0; n < BRI_RUN_CURSORS; n++)
        atomic_store_explicit(&a->shm->runs_from[n], 0, memory_order_relaxed);
}

/* ---- something became free ---- */

static void lower_cursors(struct bri_arena *a, uint32_t page, uint32_t n)
{
    for (uint32_t i = 0; i < n && i < BRI_RUN_CURSORS; i++)
        if (atomic_load_explicit(&a->shm->runs_from[i], memory_order_relaxed) > page)
            atomic_store_explicit(&a->shm->runs_from[i], page, memory_order_relaxed);
}

/* [from, to) of the chunk became free; with free neighbours it makes a longer run. */
static void note_run(struct bri_arena *a, uint32_t chunk, uint32_t from, uint32_t to)
{
    uint64_t word = atomic_load_explicit(&a->chunks[chunk], memory_order_relaxed), changed;
    uint32_t first = first_of(a, chunk), end = end_of(a, chunk);

    while (from > first && tag_of(a, from - 1) == 0)
        from--;
    while (to < end && tag_of(a, to) == 0)
        to++;
    do {
        struct bri_chunk k = unpack(word);

        k.longest = max(k.longest, to - from);
        if (from == chunk * BRI_CHUNK_PAGES)
            k.head = max(k.head, to - from);
        if (to == (chunk + 1) * BRI_CHUNK_PAGES)
            k.tail = max(k.tail, to - from);
        changed = pack(k, (word >> COUNT_SHIFT) + 1);
    } while (!atomic_compare_exchange_weak(&a->chunks[chunk], &word, changed));
    lower_cursors(a, from, to - from);
}

void bri_chunks_note_free(struct bri_arena *a, uint32_t page, uint32_t n)
{
    for (uint32_t end = page + n; page < end;) {
        uint32_t chunk = page / BRI_CHUNK_PAGES;
        uint32_t to = min(end, (chunk + 1) * BRI_CHUNK_PAGES);

        note_run(a, chunk, page, to);
        page = to;
    }
}

/* ---- finding ---- */

/* The first run of @n free pages in [from, to), 0 if there is none. */
static uint32_t scan(const struct bri_arena *a, uint32_t from, uint32_t to, uint32_t n)
{
    uint32_t run = 0;

    for (uint32_t p = from; p < to; p++) {
        run = tag_of(a, p) == 0 ? run + 1 : 0;
        if (run == n)
            return p + 1 - n;
    }
    return 0;
}

/* A run within one chunk, from the page on below which there is none. */
static uint32_t find_within(struct bri_arena *a, uint32_t n, uint32_t end)
{
    uint32_t from =
        max(a->first_page, atomic_load_explicit(&a->shm->runs_from[n - 1], memory_order_relaxed));
    uint32_t page = 0;

    for (uint32_t chunk = from / BRI_CHUNK_PAGES; page == 0 && from < end;
         from = ++chunk * BRI_CHUNK_PAGES) {
        if (bri_chunk_known(a, chunk).longest < n)
            continue;
        page = scan(a, from, end_of(a, chunk), n);
        if (page == 0 && bri_chunk_survey(a, chunk).longest >= n)
            page = scan(a, first_of(a, chunk), end_of(a, chunk), n);
    }
    return page;
}

/* The first of the @n pages from @page that is not free; @page + @n if all are. */
static uint32_t first_taken(const struct bri_arena *a, uint32_t page, uint32_t n)
{
    uint32_t end = page + n;

    while (page < end && tag_of(a, page) == 0)
        page++;
    return page;
}

/* A run that may reach over several chunks. */
static uint32_t find_across(struct bri_arena *a, uint32_t n, uint32_t end)
{
    uint32_t from =
        max(a->first_page, atomic_load_explicit(&a->shm->runs_from[0], memory_order_relaxed));
    uint32_t chunk = from / BRI_CHUNK_PAGES, run = 0, page, taken;

    /* Each step back puts a chunk right. Who is hindered for ever, by lies, gives up. */
    for (uint32_t left = 4 * a->n_chunks; chunk * BRI_CHUNK_PAGES < end && left > 0; left--) {
        struct bri_chunk k = bri_chunk_known(a, chunk);

        if (run + k.head >= n) {
            page = chunk * BRI_CHUNK_PAGES - run;
            if (n > end - page)
                return 0;
            taken = first_taken(a, page, n);
            if (taken == page + n)
                return page;
            chunk = taken / BRI_CHUNK_PAGES;
            (void)bri_chunk_survey(a, chunk);
            run = 0;
            continue;
        }
        if (k.longest >= n && (page = scan(a, first_of(a, chunk), end_of(a, chunk), n)) != 0)
            return page;
        if (k.longest >= n)
            k = bri_chunk_survey(a, chunk);
        run = k.head == BRI_CHUNK_PAGES ? run + k.head : k.tail;
        chunk++;
    }
    return 0;
}

uint32_t bri_chunks_find(struct bri_arena *a, uint32_t n)
{
    uint32_t end = bri_pages_committed(a), page = 0;

    if (n == 0 || n > end)
        return 0;
    if (n <= BRI_RUN_CURSORS)
        page = find_within(a, n, end);
    if (page == 0)
        page = find_across(a, n, end);
    if (n <= BRI_RUN_CURSORS) {
        uint32_t from = page != 0 ? page : end;

        if (atomic_load_explicit(&a->shm->runs_from[n - 1], memory_order_relaxed) != from)
            atomic_store_explicit(&a->shm->runs_from[n - 1], from, memory_order_relaxed);
    }
    return page;
}
