/*
 * test_chunks.c - free runs are found where they are, and only there
 */
#include "lab.h"

#include <stdlib.h>
#include <time.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/chunks.h"
#include "core/pages.h"

TestSuite(chunks, .timeout = 60);

#define OWNER 77u

static unsigned seed;

static uint32_t below(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* An arena of which every page has memory and OWNER has every page. */
static struct bri_arena *full_arena(uint64_t size)
{
    struct bri_arena *a = lab_arena(size);

    cr_assert_eq(bri_pages_grow(a, a->n_pages - a->first_page - 1), 0);
    cr_assert(
        bri_pages_take(a, a->first_page + 1, a->n_pages - a->first_page - 1, OWNER, BRI_PAGE_RUN));
    return a;
}

/* The lowest run, found by looking at every page. */
static uint32_t look(const struct bri_arena *a, uint32_t n)
{
    uint32_t run = 0;

    for (uint32_t p = a->first_page; p < bri_pages_committed(a); p++) {
        run = atomic_load(&a->pages[p].tag) == 0 ? run + 1 : 0;
        if (run == n)
            return p + 1 - n;
    }
    return 0;
}

Test(chunks, a_run_is_found_wherever_it_lies)
{
    static const uint32_t lengths[] = {1, 2, 15, 16, 17, 100, 255, 256, 257, 511, 512, 513, 700};
    struct bri_arena *a = full_arena(8 * MIB);
    uint32_t found;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint32_t n = lengths[i];

        for (uint32_t page = a->first_page + 1; page + n <= a->n_pages; page += 37) {
            cr_assert_eq(bri_pages_find(a, 1, &found), BROKER_NOMEM);
            bri_pages_give(a, page, n, OWNER);
            cr_assert_eq(bri_pages_find(a, n, &found), 0, "%u pages from %u", n, page);
            cr_assert_eq(found, page);
            cr_assert_eq(bri_pages_find(a, n + 1, &found), BROKER_NOMEM);
            cr_assert(bri_pages_take(a, page, n, OWNER, BRI_PAGE_RUN));
        }
    }
    bri_arena_unmap(a);
}

/* Whatever was claimed, given, trimmed and had back before: a run is found if and only if there is
 * one. */
Test(chunks, nothing_that_is_free_is_overlooked)
{
    struct bri_arena *a = full_arena(8 * MIB);
    uint32_t page;

    seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t n = 1 + below(below(8) == 0 ? 600 : 20), at = a->first_page + 1;

        at += below(a->n_pages - at - (n < a->n_pages - at ? n : 0));
        if (at + n <= a->n_pages && below(2) == 0)
            bri_pages_give(a, at, n, OWNER);
        if (below(500) == 0)
            (void)bri_pages_trim(a, 1 + below(300));
        if (below(500) == 0)
            (void)bri_pages_grow(a, 1 + below(300));
        if (below(5000) == 0)
            (void)lab_free(a);
        page = 0;
        if (bri_pages_find(a, n, &page) < 0)
            cr_assert_eq(look(a, n), 0, "%u pages are free at %u (seed %u)", n, look(a, n), seed);
        else
            cr_assert(bri_pages_take(a, page, n, OWNER, BRI_PAGE_RUN), "at %u", page);
    }
    bri_arena_unmap(a);
}

/* What a search has to skip is known from its chunks: their pages are not looked at again. */
Test(chunks, what_a_search_has_seen_is_noted)
{
    struct bri_arena *a = full_arena(8 * MIB);
    uint32_t between = a->first_page + 1002, page; /* its neighbours are free */

    for (uint32_t p = a->first_page + 1; p < a->n_pages; p += 2)
        bri_pages_give(a, p, 1, OWNER);
    cr_assert_eq(bri_pages_find(a, 2, &page), BROKER_NOMEM);
    for (uint32_t chunk = 0; chunk < a->n_chunks; chunk++)
        cr_assert_eq(bri_chunk_known(a, chunk).longest, 1);
    cr_assert_eq(atomic_load(&a->shm->runs_from[1]), a->n_pages);
    bri_pages_give(a, between, 1, OWNER);
    cr_assert_geq(bri_chunk_known(a, between / BRI_CHUNK_PAGES).longest, 2);
    cr_assert_eq(bri_pages_find(a, 3, &page), 0);
    cr_assert(bri_pages_take(a, page, 3, OWNER, BRI_PAGE_RUN));
    cr_assert_eq(bri_pages_find(a, 2, &page), BROKER_NOMEM);
    cr_assert_eq(bri_chunk_known(a, between / BRI_CHUNK_PAGES).longest, 1, "put right");
    bri_arena_unmap(a);
}

/* A giver that dies between freeing and noting: the one who repeats it, or counts, notes it. */
Test(chunks, a_run_whose_giver_died_is_found_after_a_count)
{
    struct bri_arena *a = full_arena(MIB);
    uint32_t page, at = a->n_pages - 20;

    cr_assert_eq(bri_pages_find(a, 1, &page), BROKER_NOMEM);
    for (uint32_t i = 0; i < 10; i++)
        atomic_store(&a->pages[at + i].tag, 0);
    cr_assert_eq(bri_pages_find(a, 1, &page), BROKER_NOMEM);
    (void)lab_free(a);
    cr_assert_eq(bri_pages_find(a, 10, &page), 0);
    cr_assert_eq(page, at);
    bri_arena_unmap(a);
}
