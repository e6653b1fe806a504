/*
 * test_guard.c - sections: all or nothing, and what readers may see of them
 *
 * Deaths inside are test_recovery.c; every machine instruction as a place to die is tests/crash.
 */
#include "lab.h"

#include <pthread.h>
#include <stdlib.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/heap.h"
#include "core/lock.h"
#include "core/pages.h"
#include "engine_ops.h"

/* Words outside every journal: a block of the object's heap. */
#define N_WORDS 40000u

static struct bri_arena *arena;
static struct bri_object object;
static uint64_t *words;

static uint64_t *make_words(struct bri_object *o)
{
    struct bri_txn t;
    uint64_t off;
    int r;

    do {
        cr_assert_eq(bri_begin(&t, o, BRI_PATIENCE), 0);
        off = bri_alloc(&t, N_WORDS * 8);
        r = bri_end(&t, t.failed);
    } while (r == BRI_AGAIN);
    cr_assert_eq(r, 0);
    return bri_at(o->arena, off, N_WORDS * 8, 8);
}

static void start(void)
{
    arena = lab_arena(64 * MIB);
    object = lab_object(arena, "object", BRI_TYPE_DICT, 0);
    words = make_words(&object);
    for (uint32_t i = 0; i < N_WORDS; i++)
        words[i] = i;
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(guard, .init = start, .fini = stop, .timeout = 60);

static uint64_t seq(void)
{
    return atomic_load(&object.slot->seq);
}

static struct bri_txn begin(void)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    return t;
}

static bool words_are(uint64_t added)
{
    for (uint32_t i = 0; i < N_WORDS; i++)
        if (words[i] != i + added)
            return false;
    return true;
}

Test(guard, what_is_committed_stays)
{
    struct bri_txn t = begin();
    uint64_t before = seq();

    bri_set64(&t, &words[0], 100);
    bri_set32(&t, (uint32_t *)&words[1], 7);
    bri_set32(&t, (uint32_t *)&words[2] + 1, 8);
    bri_set_atomic64(&t, (_Atomic uint64_t *)&words[3], 9);
    bri_set_bytes(&t, (char *)&words[4] + 3, "0123456789", 10);
    cr_assert_eq(bri_end(&t, 0), 0);
    cr_assert_eq(words[0], 100);
    cr_assert_eq(words[1], 7, "the other half stays: it was 0");
    cr_assert_eq(words[2], UINT64_C(8) << 32 | 2);
    cr_assert_eq(words[3], 9);
    cr_assert_eq(memcmp((char *)&words[4] + 3, "0123456789", 10), 0);
    cr_assert_eq(((uint8_t *)&words[4])[0], 4, "bytes before those that were set");
    cr_assert_eq(words[6], 6);
    cr_assert_eq(seq(), before + 2);
    cr_assert_eq(atomic_load(&object.slot->n_journal), 0);
}

/* A section's own record lies on the stack: what was there before must not silence it. */
Test(guard, a_section_wakes_those_who_wait_for_changes)
{
    uint32_t before = atomic_load(&object.slot->wait_word[BRI_CHANGES]);
    struct bri_txn t;

    memset(&t, 0xff, sizeof(t));
    object.slot->n_waiters[BRI_CHANGES] = 1;
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_set64(&t, &words[0], 100);
    cr_assert_eq(bri_end(&t, 0), 0);
    object.slot->n_waiters[BRI_CHANGES] = 0;
    cr_assert_neq(atomic_load(&object.slot->wait_word[BRI_CHANGES]), before);
}

Test(guard, what_fails_is_undone_to_the_last_word)
{
    struct bri_txn t = begin();
    uint64_t before = seq();

    for (uint64_t i = 0; i < 1000; i++)
        bri_set64(&t, &words[(i * 7919) % N_WORDS], UINT64_MAX - i);
    bri_set32(&t, (uint32_t *)&words[1], 7);
    bri_set_bytes(&t, (char *)&words[100] + 5, "0123456789abcdef0123456789abcdef", 32);
    bri_set64(&t, &words[1], 1); /* several times the same word */
    bri_set64(&t, &words[1], 2);
    cr_assert_not(words_are(0));
    cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
    cr_assert(words_are(0));
    cr_assert_gt(seq(), before);
    cr_assert_eq(seq() % 2, 0);
    cr_assert_eq(atomic_load(&object.slot->n_journal), 0);
}

/* Whatever its size: slot, root, and each extent of the journal, one entry before their ends and
 * one after. */
Test(guard, a_section_of_any_size_is_undone_or_happens)
{
    static const uint32_t sizes[] = {1, 12, 13, 76, 77, 76 + 4096, 77 + 4096, 76 + 4096 + 16384,
        77 + 4096 + 16384, 76 + 4096 + 16384 + 65536, 77 + 4096 + 16384 + 65536, 200000};
    uint32_t used = lab_used(arena);
    uint64_t added = 0;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int commit = 0; commit < 2; commit++) {
            int r;

            do {
                struct bri_txn t = begin();

                for (uint32_t k = 0; k < N_WORDS; k++)
                    if (k < sizes[i])
                        bri_set64(&t, &words[k], k + added + 1);
                for (uint32_t k = N_WORDS; k < sizes[i]; k++)
                    bri_set64(&t, &words[k % N_WORDS], k % N_WORDS + added + 1);
                r = bri_end(&t, commit ? 0 : BROKER_FULL);
            } while (r == BRI_AGAIN || (r == BROKER_NOMEM && bri_pages_grow(arena, 1024) == 0));
            cr_assert_eq(
                r, commit ? 0 : BROKER_FULL, "%u entries: %s", sizes[i], broker_error_name(r));
            for (uint32_t k = 0; k < N_WORDS; k++)
                if (words[k] != k + added + (commit && k < sizes[i] ? 1 : 0))
                    cr_assert_fail(
                        "%u entries: word %u is %llu", sizes[i], k, (unsigned long long)words[k]);
            for (uint32_t k = 0; k < N_WORDS; k++)
                words[k] = k + added;
            cr_assert_eq(lab_used(arena), used, "the journal's pages were not given back");
        }
}

/* More than the journal can ever bear. */
Test(guard, too_many_changes_are_toobig_and_undone)
{
    uint32_t used = lab_used(arena);
    int r;

    do {
        struct bri_txn t = begin();

        for (uint32_t k = 0; k < 3000000 && t.failed == 0; k++)
            bri_set64(&t, &words[k % N_WORDS], ~words[k % N_WORDS]);
        cr_assert_neq(t.failed, 0);
        r = bri_end(&t, 0);
    } while (r == BRI_AGAIN);
    cr_assert(r == BROKER_TOOBIG || r == BROKER_NOMEM, "%s", broker_error_name(r));
    cr_assert(words_are(0));
    cr_assert_eq(lab_used(arena), used);
}

/* An object that is a slot and nothing more has a short journal. */
Test(guard, a_small_object_bears_twelve_changes)
{
    struct bri_object lock = lab_object(arena, "lock", BRI_TYPE_LOCK, 0);
    struct bri_txn t;

    for (uint32_t n = 12; n <= 13; n++) {
        cr_assert_eq(bri_begin(&t, &lock, BRI_PATIENCE), 0);
        for (uint64_t i = 0; i < n; i++)
            bri_set64(&t, &lock.slot->state[15], i + 1);
        cr_assert_eq(bri_end(&t, 0), n == 12 ? 0 : BROKER_TOOBIG);
        cr_assert_eq(lock.slot->state[15], 12);
    }
}

/* The journal's own pages may be missing: the section is undone, the arena grows, and it is tried
 * again. */
Test(guard, a_journal_without_memory_is_tried_again)
{
    struct bri_arena *small = lab_arena(4 * MIB);
    struct bri_object o = lab_object(small, "object", BRI_TYPE_DICT, 0);
    uint64_t *w = make_words(&o);
    uint32_t page;
    int r, tries = 0;

    while (bri_pages_find(small, 1, &page) == 0)
        cr_assert(bri_pages_take(small, page, 1, small->first_slot + 1, BRI_PAGE_RUN));
    w[0] = 5;
    do {
        struct bri_txn t;

        cr_assert_eq(bri_begin(&t, &o, BRI_PATIENCE), 0);
        for (uint64_t i = 0; i < 2000; i++)
            bri_set64(&t, &w[0], i);
        r = bri_end(&t, 0);
        cr_assert(r != BRI_AGAIN || w[0] == 5, "undone before it is tried again");
        tries++;
    } while (r == BRI_AGAIN);
    cr_assert_eq(r, 0);
    cr_assert_gt(tries, 1);
    cr_assert_eq(w[0], 1999);
    bri_arena_unmap(small);
}

/* Wherever in the journal a claim falls, also where the journal has to claim pages itself first. */
Test(guard, a_claim_and_a_growing_journal_get_pages_of_their_own)
{
    uint32_t used = lab_used(arena);
    struct bri_txn t;

    for (int i = 0; i < 4; i++)
        cr_assert_eq(bri_pages_grow(arena, 200), 0);
    for (uint32_t n = 0; n < 200; n++) {
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        for (uint32_t i = 0; i < n; i++)
            bri_set64(&t, &words[i], i + 1);
        cr_assert_neq(bri_claim(&t, 2, object.id, BRI_PAGE_RUN), 0, "after %u entries", n);
        cr_assert_eq(bri_end(&t, BROKER_FULL), BROKER_FULL);
        for (uint32_t i = 0; i < n; i++)
            cr_assert_eq(words[i], i, "undone");
        cr_assert_eq(lab_used(arena), used);
    }
}

/* ---- the sequence ---- */

Test(guard, a_section_that_changes_nothing_does_not_move_the_sequence)
{
    uint64_t before = seq();
    struct bri_txn t = begin();

    cr_assert_eq(bri_end(&t, 0), 0);
    t = begin();
    cr_assert_eq(bri_end(&t, BROKER_EMPTY), BROKER_EMPTY);
    t = begin();
    bri_abort(&t);
    cr_assert_eq(seq(), before);
}

Test(guard, the_sequence_is_odd_while_a_change_is_under_way)
{
    uint64_t before = seq(), seen;
    struct bri_txn t = begin();

    cr_assert(bri_read_begin(&object, &seen));
    cr_assert_eq(seen, before);
    bri_set64(&t, &words[0], 1);
    cr_assert_eq(seq(), before + 1);
    cr_assert_not(bri_read_valid(&object, seen));
    cr_assert_not(bri_read_begin(&object, &seen));
    bri_set64(&t, &words[1], 1);
    cr_assert_eq(seq(), before + 1);
    bri_commit(&t);
    cr_assert(bri_read_begin(&object, &seen));
    cr_assert_eq(seen, before + 2);
    cr_assert(bri_read_valid(&object, seen));
}

/* What a reader has seen half done was never there: an undone section ends with a new number. */
Test(guard, an_undone_section_never_shows_an_old_sequence_again)
{
    uint64_t before = seq();
    struct bri_txn t = begin();

    bri_set64(&t, &words[0], 1);
    bri_abort(&t);
    cr_assert_gt(seq(), before);
    cr_assert_eq(seq() % 2, 0);
    cr_assert_eq(words[0], 0);
}

Test(guard, a_step_happens_and_the_rest_can_still_be_undone)
{
    struct bri_txn t = begin();

    bri_set64(&t, &words[0], 100);
    bri_commit_step(&t);
    bri_set64(&t, &words[0], 200);
    bri_set64(&t, &words[1], 200);
    bri_abort(&t);
    cr_assert_eq(words[0], 100);
    cr_assert_eq(words[1], 1);
    t = begin();
    bri_commit_step(&t); /* of nothing */
    bri_set64(&t, &words[0], 0);
    bri_commit(&t);
    cr_assert(words_are(0));
}

/* ---- who may enter ---- */

Test(guard, a_second_section_in_the_same_thread_is_busy)
{
    struct bri_object lock = lab_object(arena, "lock", BRI_TYPE_LOCK, 0);
    struct bri_txn t = begin(), other;

    cr_assert(bri_lock_inside());
    cr_assert_eq(bri_begin(&other, &object, BRI_PATIENCE), BROKER_BUSY);
    cr_assert_eq(bri_begin(&other, &lock, BRI_PATIENCE), BROKER_BUSY);
    bri_set64(&t, &words[0], 1);
    bri_commit(&t);
    cr_assert_not(bri_lock_inside());
    cr_assert_eq(bri_begin(&other, &lock, BRI_PATIENCE), 0);
    bri_abort(&other);
    cr_assert_eq(words[0], 1);
}

struct tried {
    int64_t deadline, took;
    int r;
};

static void *try_to_begin(void *arg)
{
    struct tried *x = arg;
    int64_t before = bri_now();
    struct bri_txn t;

    x->r = bri_begin(&t, &object, x->deadline);
    x->took = bri_now() - before;
    if (x->r == 0)
        bri_abort(&t);
    return NULL;
}

Test(guard, a_guard_that_is_held_is_timedout_and_not_before_its_time)
{
    struct tried x[2] = {
        {.deadline = -20 * BRI_MILLISECOND}, {.deadline = bri_deadline(20 * BRI_MILLISECOND)}};
    struct bri_txn t = begin();
    pthread_t thread;

    bri_set64(&t, &words[0], 7);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, try_to_begin, &x[i]), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_eq(x[i].r, BROKER_TIMEDOUT);
    }
    cr_assert_geq(x[0].took, 20 * BRI_MILLISECOND);
    cr_assert_geq(bri_now(), x[1].deadline);
    cr_assert_eq(words[0], 7, "the holder was not disturbed");
    bri_commit(&t);
    cr_assert_eq(pthread_create(&thread, NULL, try_to_begin, &x[0]), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(x[0].r, 0);
}

Test(guard, an_object_that_is_another_by_now_is_gone)
{
    struct bri_object old = object;
    struct bri_txn t;
    uint64_t before;

    old.generation--;
    before = seq();
    cr_assert_eq(bri_begin(&t, &old, BRI_PATIENCE), BROKER_GONE);
    cr_assert_eq(bri_read_state(&old), BROKER_GONE);
    cr_assert_eq(seq(), before);
    t = begin(); /* the guard is free */
    bri_abort(&t);
}

/* After a failure, changes may be missing that the section itself relies on. */
Test(guard, what_a_failed_section_finds_is_no_damage)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    t.failed = BROKER_NOMEM;
    cr_assert_eq(BRI_DAMAGED(&t), BROKER_NOMEM);
    cr_assert_eq(bri_end(&t, t.failed), BROKER_NOMEM);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    cr_assert_eq(bri_end(&t, 0), 0);
}

Test(guard, damage_is_remembered_by_its_line_and_refuses_everybody)
{
    struct bri_txn t = begin();
    uint32_t line;

    bri_set64(&t, &words[0], 7);
    line = __LINE__ + 1;
    cr_assert_eq(BRI_DAMAGED(&t), BROKER_CORRUPT);
    cr_assert_eq(bri_end(&t, 0), BROKER_CORRUPT);
    cr_assert(words_are(0), "the section was undone");
    cr_assert_eq(atomic_load(&object.slot->damaged), line);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), BROKER_CORRUPT);
    cr_assert_eq(bri_read_state(&object), BROKER_CORRUPT);
    /* Others go on, and it can be removed. */
    (void)lab_object(arena, "other", BRI_TYPE_DICT, 0);
    cr_assert_eq(bri_registry_destroy(arena, "object"), 0);
    lab_audit(arena);
}

/* ---- waking ---- */

Test(guard, a_wake_moves_the_words_of_its_channels_only_when_it_commits)
{
    uint32_t before[BRI_N_CHANNELS];
    struct bri_txn t = begin();

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        before[i] = atomic_load(&object.slot->wait_word[i]);
    bri_wake(&t, 1, 1);
    bri_wake(&t, 3, BRI_WAKE_ALL);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        cr_assert_eq(atomic_load(&object.slot->wait_word[i]), before[i]);
    cr_assert_eq(bri_end(&t, 0), 0);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        cr_assert_eq(
            atomic_load(&object.slot->wait_word[i]), before[i] + (i == 1 || i == 3 ? 1 : 0));
    t = begin();
    bri_wake(&t, 0, 1);
    bri_abort(&t);
    cr_assert_eq(atomic_load(&object.slot->wait_word[0]), before[0]);
}
