/*
 * test_heap.c - an object's memory: blocks, slabs, runs, and how they come and go
 */
#include "lab.h"

#include <stdlib.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/heap.h"
#include "core/pages.h"
#include "engine_ops.h"
#include "unit/value/random.h"

static struct bri_arena *arena;
static struct bri_object object;

static void start(void)
{
    arena = lab_arena(64 * MIB);
    object = lab_object(arena, "object", BRI_TYPE_DICT, 0);
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(heap, .init = start, .fini = stop, .timeout = 60);

/* A block in a section of its own; 0 and *@out_r if there is none. */
static uint64_t try_alloc(struct bri_object *o, uint64_t size, int *out_r)
{
    struct bri_txn t;
    uint64_t off;

    do {
        cr_assert_eq(bri_begin(&t, o, BRI_PATIENCE), 0);
        off = bri_alloc(&t, size);
        *out_r = bri_end(&t, t.failed);
    } while (*out_r == BRI_AGAIN);
    return *out_r == 0 ? off : 0;
}

static uint64_t alloc(struct bri_object *o, uint64_t size)
{
    int r;
    uint64_t off = try_alloc(o, size, &r);

    if (r != 0)
        cr_assert_fail("%llu bytes: %s", (unsigned long long)size, broker_error_name(r));
    return off;
}

static int try_release(struct bri_object *o, uint64_t off)
{
    struct bri_txn t;
    int r;

    do {
        cr_assert_eq(bri_begin(&t, o, BRI_PATIENCE), 0);
        bri_free(&t, off);
        r = bri_end(&t, 0);
    } while (r == BRI_AGAIN);
    return r;
}

static void release(struct bri_object *o, uint64_t off)
{
    int r = try_release(o, off);

    if (r != 0)
        cr_assert_fail("free: %s", broker_error_name(r));
}

/* Blocks are large enough, aligned, and at most a fifth of those above 16 bytes is waste. */
Test(heap, sizes_are_rounded_up_by_at_most_a_fifth)
{
    uint64_t last = 0;

    for (uint64_t size = 1; size <= 3 * BRI_PAGE_SIZE; size++) {
        uint64_t block = bri_block_size(size);

        cr_assert(block >= size && block % 16 == 0 && block >= last);
        if (size > 16 && size <= BRI_SMALL_MAX)
            cr_assert(block - size < 16 || (block - size) * 5 <= block, "%llu in %llu",
                (unsigned long long)size, (unsigned long long)block);
        if (size > BRI_SMALL_MAX)
            cr_assert(block % BRI_PAGE_SIZE == 0 && block - size < BRI_PAGE_SIZE);
        last = block;
    }
    for (unsigned c = 0; c < BRI_N_CLASSES; c++)
        cr_assert_eq(bri_block_size(bri_class_size(c)), bri_class_size(c));
}

/* Each class: several slabs full, blocks apart from each other, and all pages but one slab's back
 * in the end. */
Test(heap, slabs_of_every_class_fill_and_empty)
{
    static uint64_t blocks[1200];

    for (unsigned c = 0; c < BRI_N_CLASSES; c++) {
        struct bri_object o = lab_object(arena, "one", BRI_TYPE_DICT, 0);
        uint32_t size = bri_class_size(c), n = size > 512 ? 100 : 1200;
        uint64_t n_pages;

        for (uint32_t i = 0; i < n; i++) {
            blocks[i] = alloc(&o, size);
            cr_assert_eq(blocks[i] % 16, 0);
            cr_assert_eq(bri_block_capacity(&o, blocks[i]), size);
            memset(bri_at(arena, blocks[i], size, 16), (int)(i % 251), size);
        }
        n_pages = o.root->heap.n_pages;
        cr_assert_geq(n_pages * BRI_PAGE_SIZE, (uint64_t)n * size);
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t *bytes = bri_at(arena, blocks[i], size, 16);

            for (uint32_t k = 0; k < size; k += 15)
                if (bytes[k] != i % 251)
                    cr_assert_fail("block %u of %u bytes was written over", i, size);
        }
        for (uint32_t i = 0; i < n; i++)
            release(&o, blocks[(i * 7) % n]);
        cr_assert_eq(bri_heap_finish_chores(&o, BRI_PATIENCE), 0);
        cr_assert_leq(o.root->heap.n_pages, 1 + (size > 512 ? 4 : 1), "one slab stays");
        cr_assert_eq(bri_registry_destroy(arena, "one"), 0);
    }
    lab_audit(arena);
}

Test(heap, freed_blocks_are_used_again)
{
    uint64_t blocks[100], n_pages;

    for (int i = 0; i < 100; i++)
        blocks[i] = alloc(&object, 200);
    n_pages = object.root->heap.n_pages;
    for (int round = 0; round < 10; round++)
        for (int i = round % 2; i < 100; i += 2) {
            release(&object, blocks[i]);
            blocks[i] = alloc(&object, 200);
        }
    cr_assert_eq(object.root->heap.n_pages, n_pages);
}

Test(heap, large_blocks_are_whole_pages)
{
    static const uint64_t sizes[] = {
        BRI_SMALL_MAX + 1, BRI_PAGE_SIZE, BRI_PAGE_SIZE + 1, 100000, 5 * MIB};
    uint64_t n_pages = object.root->heap.n_pages, blocks[5];
    uint32_t used = lab_used(arena);

    for (int i = 0; i < 5; i++) {
        uint64_t pages = (sizes[i] + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE;

        blocks[i] = alloc(&object, sizes[i]);
        cr_assert_eq(blocks[i] % BRI_PAGE_SIZE, 0);
        cr_assert_eq(bri_block_capacity(&object, blocks[i]), pages * BRI_PAGE_SIZE);
        n_pages += pages;
        cr_assert_eq(object.root->heap.n_pages, n_pages);
        memset(bri_at(arena, blocks[i], sizes[i], 16), 0xaa, sizes[i]);
    }
    for (int i = 0; i < 5; i++)
        release(&object, blocks[i]);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(object.root->heap.n_pages, 1);
    cr_assert_eq(lab_used(arena), used);
    lab_audit(arena);
}

Test(heap, a_failed_section_gives_back_what_it_allocated)
{
    uint64_t n_pages, kept = alloc(&object, 100);
    struct bri_txn t;
    uint32_t used;

    cr_assert_eq(bri_pages_grow(arena, 600), 0);
    n_pages = object.root->heap.n_pages;
    used = lab_used(arena);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    for (uint64_t i = 0; i < 300; i++)
        cr_assert_neq(bri_alloc(&t, 1 + i * 20), 0);
    bri_free(&t, kept);
    cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
    cr_assert_eq(object.root->heap.n_pages, n_pages);
    cr_assert_eq(lab_used(arena), used);
    cr_assert_eq(bri_block_capacity(&object, kept), 112, "what it freed is there still");
    cr_assert_eq(try_release(&object, kept), 0);
    lab_audit(arena);
}

/* A rollback must find it untouched, so nobody may have it before the commit. */
Test(heap, memory_freed_in_a_section_is_not_used_again_in_it)
{
    uint64_t small = alloc(&object, 64), large = alloc(&object, 20000), off;
    struct bri_txn t;

    memset(bri_at(arena, small, 64, 16), 0x5a, 64);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_free(&t, small);
    bri_free(&t, large);
    for (int i = 0; i < 10; i++) {
        off = bri_alloc(&t, 64);
        cr_assert(off != 0 && off != small);
    }
    off = bri_alloc(&t, 20000);
    cr_assert(off != 0 && off != large);
    cr_assert_eq(*(uint8_t *)bri_at(arena, small, 1, 1), 0x5a);
    cr_assert_eq(bri_end(&t, 0), 0);
    cr_assert_eq(bri_block_capacity(&object, small), 0);
    cr_assert_eq(bri_block_capacity(&object, large), 0);
}

Test(heap, a_section_may_free_thousands_of_blocks)
{
    static uint64_t blocks[5000];
    struct bri_txn t;
    int r;

    for (int i = 0; i < 5000; i++)
        blocks[i] = alloc(&object, i % 100 == 0 ? 3000 : 48);
    for (int fails = 1; fails >= 0; fails--) {
        do {
            cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
            for (int i = 0; i < 5000; i++)
                bri_free(&t, blocks[i]);
            r = bri_end(&t, fails && t.missing == 0 ? BROKER_FULL : 0);
        } while (r == BRI_AGAIN);
        cr_assert_eq(r, fails ? BROKER_FULL : 0);
        cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
        for (int i = 0; i < 5000; i++)
            cr_assert_eq(bri_block_capacity(&object, blocks[i]) != 0, fails == 1);
    }
    cr_assert_leq(object.root->heap.n_pages, 3);
    lab_audit(arena);
}

/* ---- limits ---- */

Test(heap, the_quota_is_kept_to_the_page)
{
    struct bri_object o = lab_object(arena, "small", BRI_TYPE_DICT, 10 * BRI_PAGE_SIZE);
    uint64_t off = alloc(&o, 8 * BRI_PAGE_SIZE);
    int r;

    cr_assert_eq(o.root->heap.max_pages, 10);
    (void)alloc(&o, 100);
    cr_assert_eq(o.root->heap.n_pages, 10);
    cr_assert_eq(try_alloc(&o, 3000, &r), 0);
    cr_assert_eq(r, BROKER_QUOTA);
    cr_assert_eq(try_alloc(&o, 300, &r), 0, "another class needs another page");
    cr_assert_eq(r, BROKER_QUOTA);
    (void)alloc(&o, 100);
    cr_assert_eq(o.root->heap.n_pages, 10);
    release(&o, off);
    (void)alloc(&o, 8 * BRI_PAGE_SIZE);
    cr_assert_eq(try_alloc(&o, UINT64_MAX, &r), 0);
    cr_assert_eq(r, BROKER_NOMEM, "more than the arena can have is no question of quota");
}

Test(heap, a_full_arena_is_nomem_and_usable_again_after_a_free)
{
    struct bri_arena *small = lab_arena(MIB);
    struct bri_object o = lab_object(small, "one", BRI_TYPE_DICT, 0);
    struct bri_object other = lab_object(small, "other", BRI_TYPE_DICT, 0);
    uint64_t off = alloc(&o, 300000), n_pages, small_block = alloc(&other, 16);
    uint32_t used;
    int r;

    do
        (void)try_alloc(&other, BRI_PAGE_SIZE, &r);
    while (r == 0);
    cr_assert_eq(r, BROKER_NOMEM);
    n_pages = o.root->heap.n_pages;
    used = lab_used(small);
    cr_assert_eq(try_alloc(&o, 5000, &r), 0);
    cr_assert_eq(r, BROKER_NOMEM);
    cr_assert_eq(o.root->heap.n_pages, n_pages);
    cr_assert_eq(lab_used(small), used);
    (void)alloc(&other, 16); /* there is room in its slab */
    release(&o, off);
    (void)alloc(&other, 300000);
    release(&other, small_block);
    bri_arena_unmap(small);
}

/* ---- clearing ---- */

Test(heap, clear_forgets_every_block_and_gives_the_pages_back_in_steps)
{
    uint32_t used = lab_used(arena);
    uint64_t epoch = object.root->heap.epoch;
    struct bri_txn t;
    int steps = 0;

    for (int i = 0; i < 300; i++)
        (void)alloc(&object, i % 3 == 0 ? 5000 : 1000);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_heap_clear(&t);
    bri_commit(&t); /* bri_end() would go on to the end */
    cr_assert_eq(object.root->heap.epoch, epoch + 1);
    cr_assert_gt(object.root->heap.n_pages, 200, "not all at once");
    (void)alloc(&object, 64); /* usable meanwhile; each section does some */
    while (atomic_load(&object.slot->chores) != 0) {
        uint64_t before = object.root->heap.n_pages;

        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        bri_abort(&t);
        cr_assert(object.root->heap.n_pages < before || atomic_load(&object.slot->chores) == 0);
        cr_assert_leq(before - object.root->heap.n_pages, 64, "a step is bounded");
        steps++;
    }
    cr_assert_gt(steps, 5);
    cr_assert_eq(object.root->heap.n_pages, 2);
    cr_assert_eq(lab_used(arena), used + 1);
}

Test(heap, a_clear_that_fails_changes_nothing)
{
    uint64_t blocks[50];
    struct bri_txn t;

    for (int i = 0; i < 50; i++)
        blocks[i] = alloc(&object, (uint64_t)i * 100 + 1);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_heap_clear(&t);
    cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
    for (int i = 0; i < 50; i++)
        cr_assert_geq(bri_block_capacity(&object, blocks[i]), (uint64_t)i * 100 + 1);
    for (int i = 0; i < 50; i++)
        release(&object, blocks[i]);
    lab_audit(arena);
}

Test(heap, a_second_clear_before_the_first_is_done_loses_nothing)
{
    uint32_t used = lab_used(arena);
    struct bri_txn t;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 60; i++)
            (void)alloc(&object, 5000);
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        bri_heap_clear(&t);
        bri_commit(&t);
        cr_assert_neq(atomic_load(&object.slot->chores), 0);
    }
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_eq(object.root->heap.n_pages, 1);
    cr_assert_eq(lab_used(arena), used);
    lab_audit(arena);
}

/* ---- what is no block ---- */

static void quarantined(struct bri_object *o, uint64_t off)
{
    struct bri_txn t;

    cr_assert_eq(try_release(o, off), BROKER_CORRUPT, "offset %llx", (unsigned long long)off);
    cr_assert_neq(atomic_load(&o->slot->damaged), 0);
    cr_assert_eq(bri_begin(&t, o, BRI_PATIENCE), BROKER_CORRUPT);
    atomic_store(&o->slot->damaged, 0);
}

Test(heap, freeing_what_is_no_block_damages_the_object_and_frees_nothing)
{
    struct bri_object other = lab_object(arena, "other", BRI_TYPE_DICT, 0);
    uint64_t small = alloc(&object, 64), large = alloc(&object, 20000), others = alloc(&other, 64);
    uint64_t slab = small / BRI_PAGE_SIZE * BRI_PAGE_SIZE;
    uint32_t used = lab_used(arena);
    uint64_t wrong[] = {0, 16, small + 16, small + 64, slab, slab + 16, large + 16,
        large + BRI_PAGE_SIZE, others, bri_off(arena, object.root), bri_off(arena, object.slot),
        arena->size, UINT64_MAX};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        quarantined(&object, wrong[i]);
        cr_assert_eq(bri_block_capacity(&object, wrong[i]), 0);
    }
    release(&object, small);
    quarantined(&object, small); /* twice */
    cr_assert_eq(bri_block_capacity(&other, others), 64);
    cr_assert_eq(lab_used(arena), used);
    release(&object, large);
    release(&other, others);
}

/* A bitmap that says that a block beyond the slab's end is free: nothing outside the slab may be
 * given out. */
Test(heap, a_damaged_bitmap_gives_out_nothing_beyond_its_slab)
{
    uint64_t block = alloc(&object, 2000), off;
    struct bri_slab_shm *slab = bri_page_at(arena, (uint32_t)(block >> BRI_PAGE_SHIFT));
    int r;

    for (int bit = 8; bit < 256; bit += 31) {
        slab->used[0] = slab->used[1] = slab->used[2] = slab->used[3] = UINT64_MAX;
        slab->used[bit / 64] &= ~(UINT64_C(1) << bit % 64);
        off = try_alloc(&object, 2000, &r);
        cr_assert_eq(off, 0, "bit %d led to a block at %llx", bit, (unsigned long long)off);
        cr_assert_eq(r, BROKER_CORRUPT);
        atomic_store(&object.slot->damaged, 0);
    }
}

/* ---- at random ---- */

#define N_BLOCKS 300

Test(heap, random_blocks_never_touch_each_other)
{
    static struct {
        uint64_t off;
        uint32_t size;
        uint8_t sign;
    } blocks[N_BLOCKS];
    struct random rng = {random_seed()};
    uint32_t used = lab_used(arena);

    cr_log_info("seed %llu", (unsigned long long)rng.state);
    for (int i = 0; i < 20000; i++) {
        size_t k = random_below(&rng, N_BLOCKS);

        if (blocks[k].size != 0) {
            const uint8_t *bytes = bri_at(arena, blocks[k].off, blocks[k].size, 16);

            for (uint32_t at = 0; at < blocks[k].size; at += 16)
                if (bytes[at] != blocks[k].sign)
                    cr_assert_fail("a block of %u bytes was written over", blocks[k].size);
            release(&object, blocks[k].off);
            blocks[k].size = 0;
            continue;
        }
        blocks[k].size =
            1 + (uint32_t)random_below(&rng, random_below(&rng, 10) == 0 ? 30000 : 2500);
        blocks[k].sign = (uint8_t)random_next(&rng);
        blocks[k].off = alloc(&object, blocks[k].size);
        memset(bri_at(arena, blocks[k].off, blocks[k].size, 16), blocks[k].sign, blocks[k].size);
    }
    for (size_t k = 0; k < N_BLOCKS; k++)
        if (blocks[k].size != 0)
            release(&object, blocks[k].off);
    cr_assert_eq(bri_heap_finish_chores(&object, BRI_PATIENCE), 0);
    cr_assert_leq(lab_used(arena), used + BRI_N_CLASSES * 4);
    cr_assert_eq(bri_registry_destroy(arena, "object"), 0);
    cr_assert_eq(lab_used(arena), used - 1);
    lab_audit(arena);
}
