/*
 * test_reserve.c - runs of pages that a session fills outside the guard
 */
#include "lab.h"

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/attachment.h"
#include "core/bury.h"
#include "core/heap.h"
#include "core/pages.h"
#include "engine_ops.h"

static struct bri_arena *arena;
static struct bri_object object, session;
static uint32_t number;

static void start(void)
{
    arena = lab_arena(16 * MIB);
    object = lab_object(arena, "object", BRI_TYPE_DICT, 0);
    session = lab_session(arena, &number);
    cr_assert_eq(bri_attach(&session, &object, &object.att), 0);
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(reserve, .init = start, .fini = stop, .timeout = 60);

static uint32_t reserve(uint64_t bytes, int *out_r)
{
    struct bri_txn t;
    uint32_t page;

    do {
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        page = bri_reserve(&t, bytes);
        *out_r = bri_end(&t, t.failed);
    } while (*out_r == BRI_AGAIN);
    return *out_r == 0 ? page : 0;
}

static uint32_t reserved(uint64_t bytes)
{
    int r;
    uint32_t page = reserve(bytes, &r);

    cr_assert_eq(r, 0);
    return page;
}

static uint64_t unreserve(uint32_t page, int *out_r)
{
    struct bri_txn t;
    uint64_t off;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    off = bri_unreserve(&t, page);
    *out_r = bri_end(&t, t.failed);
    return off;
}

static int release(uint32_t page)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_release_reserved(&t, page);
    return bri_end(&t, t.failed);
}

Test(reserve, a_reserved_run_is_tagged_and_listed)
{
    uint32_t one = reserved(10000), other = reserved(1);

    cr_assert_eq(bri_page_tag(arena, one), bri_tag(object.id, BRI_PAGE_RESERVED, 3));
    cr_assert_eq(bri_page_tag(arena, other), bri_tag(object.id, BRI_PAGE_RESERVED, 1));
    cr_assert_eq(object.att->n_reserved, 4);
    cr_assert_eq(object.root->heap.n_pages, 5, "they count against the quota");
    cr_assert_eq(bri_block_capacity(&object, (uint64_t)one << BRI_PAGE_SHIFT), 0, "no block yet");
    lab_audit(arena);
}

Test(reserve, an_unreserved_run_is_a_block_like_any_other)
{
    uint32_t page = reserved(10000), other = reserved(5000);
    struct bri_txn t;
    uint64_t off;
    int r;

    memset(bri_page_at(arena, page), 0x5a, 10000);
    off = unreserve(page, &r);
    cr_assert_eq(r, 0);
    cr_assert_eq(off, (uint64_t)page << BRI_PAGE_SHIFT);
    cr_assert_eq(bri_block_capacity(&object, off), 3 * BRI_PAGE_SIZE);
    cr_assert_eq(*(uint8_t *)bri_at(arena, off + 9999, 1, 1), 0x5a);
    cr_assert_eq(object.att->n_reserved, 2);
    cr_assert_eq(object.att->reserved, other);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_free(&t, off);
    cr_assert_eq(bri_end(&t, 0), 0);
    cr_assert_eq(release(other), 0);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(object.root->heap.n_pages, 1);
    lab_audit(arena);
}

Test(reserve, a_released_run_is_free_again)
{
    uint32_t used = lab_used(arena), pages[3];

    for (int i = 0; i < 3; i++)
        pages[i] = reserved(20000);
    cr_assert_eq(release(pages[1]), 0);
    cr_assert_eq(release(pages[0]), 0);
    cr_assert_eq(release(pages[2]), 0);
    cr_assert_eq(object.att->reserved, 0);
    cr_assert_eq(object.att->n_reserved, 0);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(lab_used(arena), used);
    lab_audit(arena);
}

Test(reserve, what_fails_leaves_the_run_reserved)
{
    uint32_t page = reserved(10000);
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    cr_assert_neq(bri_unreserve(&t, page), 0);
    cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_release_reserved(&t, page);
    cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
    cr_assert_eq(bri_page_tag(arena, page), bri_tag(object.id, BRI_PAGE_RESERVED, 3));
    cr_assert_eq(object.att->n_reserved, 3);
    lab_audit(arena);
    cr_assert_eq(release(page), 0);
}

Test(reserve, more_than_there_is_is_nomem)
{
    uint32_t used = lab_used(arena);
    int r;

    cr_assert_eq(reserve(20 * MIB, &r), 0);
    cr_assert_eq(r, BROKER_NOMEM);
    cr_assert_eq(reserve(UINT64_MAX, &r), 0);
    cr_assert_eq(r, BROKER_NOMEM);
    cr_assert_eq(reserve(UINT64_C(1) << 45, &r), 0);
    cr_assert_eq(r, BROKER_NOMEM);
    cr_assert_eq(object.att->n_reserved, 0);
    cr_assert_eq(lab_used(arena), used);
}

Test(reserve, what_was_not_reserved_damages_the_object)
{
    uint32_t root = atomic_load(&object.slot->root_page);
    struct bri_object other = lab_object(arena, "other", BRI_TYPE_DICT, 0);
    uint32_t wrong[] = {0, root, atomic_load(&other.slot->root_page), arena->n_pages, UINT32_MAX};
    int r;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(unreserve(wrong[i], &r), 0);
        cr_assert_eq(r, BROKER_CORRUPT);
        atomic_store(&object.slot->damaged, 0);
        cr_assert_eq(release(wrong[i]), BROKER_CORRUPT);
        atomic_store(&object.slot->damaged, 0);
    }
    lab_audit(arena);
}

/* The session's end gives them back, of objects that live and of objects that were destroyed
 * meanwhile. */
Test(reserve, the_end_of_the_session_gives_everything_back)
{
    struct bri_object other = lab_object(arena, "other", BRI_TYPE_QUEUE, 0);
    struct bri_txn t;

    cr_assert_eq(bri_attach(&session, &other, &other.att), 0);
    for (int i = 0; i < 5; i++)
        (void)reserved(10000);
    cr_assert_eq(bri_begin(&t, &other, BRI_PATIENCE), 0);
    cr_assert_neq(bri_reserve(&t, 5000), 0);
    cr_assert_eq(bri_end(&t, t.failed), 0);
    cr_assert_eq(bri_registry_destroy(arena, "other"), 0);
    cr_assert_eq(bri_session_reap(arena, number, true, BRI_PATIENCE), 0);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(object.root->heap.n_pages, 1);
    cr_assert_eq(bri_registry_destroy(arena, "object"), 0);
    lab_audit(arena);
}

/* ---- lending ---- */

static uint32_t block(void)
{
    int r;
    uint64_t off = unreserve(reserved(10000), &r);

    cr_assert_eq(r, 0);
    return (uint32_t)(off >> BRI_PAGE_SHIFT);
}

static int lend(uint32_t page, int r)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_lend(&t, page);
    return bri_end(&t, r);
}

static uint64_t size_of_reserved(uint32_t page)
{
    struct bri_txn t;
    uint64_t size;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    size = bri_reserved_size(&t, page);
    bri_abort(&t);
    return size;
}

Test(reserve, what_was_lent_can_be_taken_back)
{
    uint32_t page = block(), other = reserved(1);
    struct bri_txn t;

    cr_assert_eq(lend(page, BROKER_FULL), BROKER_FULL);
    cr_assert_eq(size_of_reserved(page), 0, "a section that failed has lent nothing");
    cr_assert_eq(lend(page, 0), 0);
    cr_assert_eq(bri_page_tag(arena, page), bri_tag(object.id, BRI_PAGE_LENT, 3));
    cr_assert_eq(size_of_reserved(page), 0, "it is not there to be filled");
    cr_assert_eq(size_of_reserved(other), BRI_PAGE_SIZE);
    cr_assert_eq(size_of_reserved(other + 1), 0);
    cr_assert_eq(size_of_reserved(0), 0);
    cr_assert_eq(object.att->n_reserved, 4);
    cr_assert_eq(object.root->heap.n_pages, 5);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    cr_assert_eq(bri_take_back(&t, object.att, page), (uint64_t)page << BRI_PAGE_SHIFT);
    bri_free(&t, (uint64_t)page << BRI_PAGE_SHIFT);
    cr_assert_eq(bri_end(&t, 0), 0);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(object.root->heap.n_pages, 2);
    lab_audit(arena);
}

Test(reserve, only_a_block_can_be_lent)
{
    uint32_t root = atomic_load(&object.slot->root_page), wrong[] = {0, root, reserved(1)};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(lend(wrong[i], 0), BROKER_CORRUPT);
        atomic_store(&object.slot->damaged, 0);
    }
    lab_audit(arena);
}

Test(reserve, what_is_lent_outlives_the_object)
{
    uint32_t page = block();

    memset(bri_page_at(arena, page), 0x5a, 10000);
    cr_assert_eq(lend(page, 0), 0);
    cr_assert_eq(bri_registry_destroy(arena, "object"), 0);
    cr_assert_eq(bri_bury(arena), 0);
    cr_assert_eq(bri_page_tag(arena, page), bri_tag(object.id, BRI_PAGE_LENT, 3));
    cr_assert_eq(*(uint8_t *)bri_page_at(arena, page), 0x5a);
    cr_assert_eq(bri_session_reap(arena, number, true, BRI_PATIENCE), 0);
    cr_assert_eq(bri_tag_owner(bri_page_tag(arena, page)), 0);
    lab_audit(arena);
}
