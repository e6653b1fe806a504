/*
 * test_pages.c - claiming pages, growing, and giving memory back
 */
#include "lab.h"

#include <pthread.h>
#include <sys/stat.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/pages.h"

TestSuite(pages, .timeout = 60);

#define OWNER 77u

/* Bytes of memory behind the arena. */
static uint64_t memory_of(const struct bri_arena *a)
{
    struct stat st;

    cr_assert_eq(fstat(a->fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* A run of @n pages for @owner, growing as needed; 0 if there is none to be had. */
static uint32_t claim(struct bri_arena *a, uint32_t n, uint32_t owner)
{
    uint32_t page;

    for (;;) {
        if (bri_pages_find(a, n, &page) == 0) {
            if (bri_pages_take(a, page, n, owner, BRI_PAGE_RUN))
                return page;
        } else if (bri_pages_grow(a, n) < 0) {
            return 0;
        }
    }
}

Test(pages, a_claimed_run_is_tagged_page_by_page)
{
    struct bri_arena *a = lab_arena(MIB);
    uint32_t page = claim(a, 3, OWNER), used = lab_used(a);

    cr_assert_gt(page, a->first_page);
    cr_assert_eq(bri_page_tag(a, page), bri_tag(OWNER, BRI_PAGE_RUN, 3));
    cr_assert_eq(bri_page_tag(a, page + 1), bri_tag(OWNER, BRI_PAGE_TAIL, 1));
    cr_assert_eq(bri_page_tag(a, page + 2), bri_tag(OWNER, BRI_PAGE_TAIL, 2));
    cr_assert_eq(bri_page_tag(a, page + 3), 0);
    cr_assert_eq(bri_tag_owner(bri_page_tag(a, page)), OWNER);
    cr_assert_eq(bri_tag_kind(bri_page_tag(a, page)), BRI_PAGE_RUN);
    cr_assert_eq(bri_tag_aux(bri_page_tag(a, page)), 3);
    bri_pages_give(a, page, 3, OWNER);
    cr_assert_eq(lab_used(a), used - 3);
    cr_assert_eq(bri_page_tag(a, page), 0);
    /* The fixed tables and what lies outside belong to nobody who may be asked. */
    cr_assert_eq(bri_page_tag(a, 0), 0);
    cr_assert_eq(bri_page_tag(a, a->first_page - 1), 0);
    cr_assert_eq(bri_page_tag(a, a->n_pages), 0);
    cr_assert_eq(bri_page_tag(a, UINT32_MAX), 0);
    bri_arena_unmap(a);
}

Test(pages, a_claim_that_meets_anothers_page_takes_nothing)
{
    struct bri_arena *a = lab_arena(MIB);
    uint32_t page = claim(a, 8, OWNER);

    bri_pages_give(a, page, 8, OWNER);
    cr_assert(bri_pages_take(a, page + 5, 1, OWNER + 1, BRI_PAGE_ROOT));
    cr_assert_not(bri_pages_take(a, page, 8, OWNER, BRI_PAGE_RUN));
    for (uint32_t i = 0; i < 8; i++)
        cr_assert_eq(bri_page_tag(a, page + i), i == 5 ? bri_tag(OWNER + 1, BRI_PAGE_ROOT, 1) : 0);
    cr_assert_not(bri_pages_take(a, page + 5, 1, OWNER + 1, BRI_PAGE_ROOT), "not even one's own");
    bri_arena_unmap(a);
}

Test(pages, only_ones_own_pages_are_given_back)
{
    struct bri_arena *a = lab_arena(MIB);
    uint32_t mine = claim(a, 2, OWNER), others = claim(a, 2, OWNER + 1), used = lab_used(a);

    bri_pages_give(a, others, 2, OWNER);
    cr_assert_eq(lab_used(a), used);
    bri_pages_give(a, a->first_page, a->n_pages - a->first_page, OWNER);
    cr_assert_eq(lab_used(a), used - 2);
    bri_pages_give(a, mine, 2, OWNER); /* a repetition does nothing */
    cr_assert_eq(lab_used(a), used - 2);
    /* Out of range: nothing happens. */
    bri_pages_give(a, 0, 5, OWNER + 1);
    bri_pages_give(a, a->n_pages, 1, OWNER + 1);
    bri_pages_give(a, others, UINT32_MAX, OWNER + 1);
    bri_pages_give(a, UINT32_MAX, UINT32_MAX, OWNER + 1);
    cr_assert_eq(bri_page_tag(a, others), bri_tag(OWNER + 1, BRI_PAGE_RUN, 2));
    bri_arena_unmap(a);
}

/* Memory comes in steps, behind what is claimed, up to the maximum. */
Test(pages, the_arena_grows_to_its_maximum_and_then_is_nomem)
{
    struct bri_arena *a = lab_arena(4 * MIB);
    uint64_t before = memory_of(a);
    uint32_t n = 0, page, last = 0;

    cr_assert_leq(before, 64 * BRI_PAGE_SIZE, "an empty arena costs next to nothing");
    while ((page = claim(a, 1, OWNER)) != 0) {
        cr_assert_gt(page, last, "the lowest free page comes first");
        last = page;
        n++;
    }
    cr_assert_eq(n, a->n_pages - a->first_page - 1);
    cr_assert_eq(bri_pages_grow(a, 1), BROKER_NOMEM);
    cr_assert_eq(memory_of(a), 4 * MIB);
    bri_pages_give(a, 600, 1, OWNER);
    cr_assert_eq(bri_pages_grow(a, 1), 0, "who was beaten to a page finds another");
    cr_assert_eq(claim(a, 1, OWNER), 600);
    cr_assert_eq(claim(a, 1, OWNER), 0);
    bri_arena_unmap(a);
}

Test(pages, a_run_longer_than_any_hole_is_nomem)
{
    struct bri_arena *a = lab_arena(MIB);
    uint32_t first = claim(a, 1, OWNER), n = a->n_pages - first, page;

    cr_assert_eq(claim(a, n, OWNER), 0);
    page = claim(a, n - 1, OWNER);
    cr_assert_eq(page, first + 1);
    for (uint32_t i = 0; i < n - 1; i += 2)
        bri_pages_give(a, page + i, 1, OWNER);
    cr_assert_eq(bri_pages_find(a, 2, &page), BROKER_NOMEM);
    cr_assert_eq(claim(a, 1, OWNER), first + 1);
    bri_arena_unmap(a);
}

Test(pages, memory_of_free_pages_goes_back_to_the_system_and_comes_again)
{
    struct bri_arena *a = lab_arena(4 * MIB);
    uint32_t page = claim(a, 500, OWNER), n_free;
    uint64_t before = memory_of(a);

    memset(bri_page_at(a, page), 0xaa, 500 * BRI_PAGE_SIZE);
    bri_pages_give(a, page, 500, OWNER);
    cr_assert_eq(bri_pages_trim(a, 100), 100);
    cr_assert_eq(memory_of(a), before - 100 * BRI_PAGE_SIZE);
    n_free = lab_free(a);
    cr_assert_eq(bri_pages_trim(a, UINT32_MAX), n_free);
    cr_assert_eq(bri_pages_trim(a, UINT32_MAX), 0);
    cr_assert_leq(memory_of(a), before - 500 * BRI_PAGE_SIZE);
    /* First what was never touched, then what was punched; every page with memory again. */
    page = 0;
    for (uint32_t i = 0; i < a->n_pages - a->first_page - 1; i++) {
        page = claim(a, 1, OWNER);
        cr_assert_neq(page, 0);
        memset(bri_page_at(a, page), 0xbb, BRI_PAGE_SIZE);
    }
    cr_assert_eq(claim(a, 1, OWNER), 0);
    cr_assert_eq(memory_of(a), 4 * MIB);
    bri_arena_unmap(a);
}

/* A count that deaths have left wrong is put right by counting. */
Test(pages, counting_repairs_the_hints)
{
    struct bri_arena *a = lab_arena(MIB);
    uint32_t page = claim(a, 10, OWNER), n_free;

    bri_pages_give(a, page, 5, OWNER);
    n_free = lab_free(a);
    atomic_store(&a->shm->n_free, 0);
    for (uint32_t i = 0; i < BRI_RUN_CURSORS; i++)
        atomic_store(&a->shm->runs_from[i], UINT32_MAX);
    for (uint32_t i = 0; i < a->n_chunks; i++)
        atomic_store(&a->chunks[i], 0);
    cr_assert_eq(bri_pages_find(a, 1, &page), BROKER_NOMEM);
    cr_assert_eq(lab_free(a), n_free);
    cr_assert_eq(atomic_load(&a->shm->n_free), n_free);
    cr_assert_neq(claim(a, 1, OWNER), 0);
    cr_assert_eq(lab_free(a), n_free - 1);
    bri_arena_unmap(a);
}

static void lie(struct bri_arena *a, uint32_t number)
{
    for (uint32_t i = 0; i < BRI_RUN_CURSORS; i++)
        atomic_store(&a->shm->runs_from[i], number);
    for (uint32_t i = 0; i < a->n_chunks; i++)
        atomic_store(&a->chunks[i], number * UINT64_C(0x8040201));
}

/* Numbers that lie are only slow, or NOMEM: no page is given out that has no memory. */
Test(pages, hints_that_lie_do_no_harm)
{
    static const uint32_t lies[] = {0, 1, 100, 255, 256, 257, UINT32_MAX};
    struct bri_arena *a = lab_arena(MIB);
    uint32_t end = atomic_load(&a->shm->committed), page;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        lie(a, lies[i]);
        atomic_store(&a->shm->n_free, lies[sizeof(lies) / sizeof(lies[0]) - 1 - i]);
        if (bri_pages_find(a, 1, &page) == 0) {
            cr_assert(page >= a->first_page && page < atomic_load(&a->shm->committed));
            cr_assert(bri_pages_take(a, page, 1, OWNER, BRI_PAGE_RUN));
        } else {
            cr_assert_eq(bri_pages_grow(a, 1), 0);
        }
    }
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        atomic_store(&a->shm->committed, lies[i]);
        (void)bri_pages_find(a, 1, &page);
        (void)bri_pages_grow(a, 1);
        (void)lab_free(a);
        atomic_store(&a->shm->committed, end);
    }
    bri_arena_unmap(a);
}

/* ---- several at once ---- */

struct worker {
    pthread_t thread;
    struct bri_arena *a;
    uint32_t owner;
    const char *failed;
};

/* Claims runs of one to four pages, signs them, and gives them back when it has some. */
static void *claim_and_give(void *arg)
{
    struct worker *w = arg;
    uint32_t runs[16], sizes[16];

    for (uint32_t i = 0; i < 4000 && w->failed == NULL; i++) {
        uint32_t k = i % 16, n = 1 + (i * w->owner) % 4;
        uint32_t *words;

        if (i >= 16) {
            words = bri_page_at(w->a, runs[k]);
            for (uint32_t at = 0; at < sizes[k] * 1024; at += 1024)
                if (words[at] != w->owner + i - 16)
                    w->failed = "somebody else wrote into a claimed page";
            bri_pages_give(w->a, runs[k], sizes[k], w->owner);
        }
        runs[k] = claim(w->a, n, w->owner);
        if (runs[k] == 0) {
            w->failed = "no page was left";
            break;
        }
        sizes[k] = n;
        words = bri_page_at(w->a, runs[k]);
        for (uint32_t at = 0; at < n * 1024; at += 1024)
            words[at] = w->owner + i;
    }
    for (uint32_t k = 0; k < 16; k++)
        bri_pages_give(w->a, runs[k], sizes[k], w->owner);
    return NULL;
}

Test(pages, no_page_has_two_owners)
{
    struct bri_arena *a = lab_arena(2 * MIB);
    uint32_t used = lab_used(a);
    struct worker workers[4];

    for (uint32_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){.a = a, .owner = 1000000 * (i + 1) + 1};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, claim_and_give, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(workers[i].thread, NULL), 0);
        cr_assert_null(workers[i].failed, "%s", workers[i].failed);
    }
    cr_assert_eq(lab_used(a), used);
    bri_arena_unmap(a);
}
