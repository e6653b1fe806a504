/*
 * test_recovery.c - deaths inside a section, and who comes next
 *
 * Each death is a child process that is killed by itself at a chosen place between two calls.
 */
#include "lab.h"

#include <signal.h>
#include <unistd.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/heap.h"
#include "core/pages.h"
#include "engine_ops.h"

#define N_WORDS 8192u

static struct bri_arena *arena;
static struct bri_object object;
static uint64_t words_off;

static void start(void)
{
    struct bri_txn t;
    uint64_t *words;
    int r;

    arena = lab_arena(64 * MIB);
    object = lab_object(arena, "object", BRI_TYPE_DICT, 0);
    do {
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        words_off = bri_alloc(&t, N_WORDS * 8);
        r = bri_end(&t, t.failed);
    } while (r == BRI_AGAIN);
    words = bri_at(arena, words_off, N_WORDS * 8, 8);
    for (uint32_t i = 0; i < N_WORDS; i++)
        words[i] = i;
    cr_assert_eq(bri_pages_grow(arena, 2000), 0);
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(recovery, .init = start, .fini = stop, .timeout = 60);

/* In the child: the arena, the object and its words once more. */
struct view {
    struct bri_arena *a;
    struct bri_object o;
    uint64_t *words;
    struct bri_txn t;
};

static void enter(struct view *v)
{
    v->a = lab_map(arena);
    if (bri_object_bind(v->a, object.id, &v->o) < 0 || bri_begin(&v->t, &v->o, BRI_PATIENCE) < 0)
        _exit(2);
    v->words = bri_at(v->a, words_off, N_WORDS * 8, 8);
}

static _Noreturn void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* Changes so many words, and dies. */
static int die_after_changes(void *arg)
{
    struct view v;

    enter(&v);
    for (uint32_t i = 0; i < *(uint32_t *)arg; i++)
        bri_set64(&v.t, &v.words[i % N_WORDS], UINT64_MAX);
    die();
}

static void words_are_as_before(void)
{
    const uint64_t *words = bri_at(arena, words_off, N_WORDS * 8, 8);

    for (uint32_t i = 0; i < N_WORDS; i++)
        if (words[i] != i)
            cr_assert_fail("word %u is %llx", i, (unsigned long long)words[i]);
}

/* The next one in finds everything as it was. */
static void recovered(uint64_t times)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    cr_assert_eq(object.slot->n_recovered, times);
    cr_assert_eq(atomic_load(&object.slot->seq) % 2, 0);
    cr_assert_eq(atomic_load(&object.slot->n_journal), 0);
    bri_abort(&t);
    words_are_as_before();
}

Test(recovery, what_a_dead_section_changed_is_written_back)
{
    static uint32_t sizes[] = {0, 1, 12, 13, 77, 5000, 30000};
    uint32_t used = lab_used(arena);
    uint64_t before;

    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        before = atomic_load(&object.slot->seq);
        cr_assert_eq(lab_child(die_after_changes, &sizes[i]), -SIGKILL);
        recovered(i + 1);
        cr_assert_gt(atomic_load(&object.slot->seq), before, "a sequence number came again");
        cr_assert_eq(lab_used(arena), used, "the dead one's journal was not given back");
    }
}

static int die_with_new_blocks(void *arg)
{
    struct view v;

    (void)arg;
    enter(&v);
    for (uint32_t i = 0; i < 40; i++)
        if (bri_alloc(&v.t, 100 * i * i + 1) == 0)
            return 3;
    die();
}

Test(recovery, what_a_dead_section_allocated_is_free_again)
{
    uint64_t n_pages = object.root->heap.n_pages;
    uint32_t used = lab_used(arena);

    cr_assert_eq(lab_child(die_with_new_blocks, NULL), -SIGKILL);
    recovered(1);
    cr_assert_eq(object.root->heap.n_pages, n_pages);
    cr_assert_eq(lab_used(arena), used);
}

static int die_after_commit(void *arg)
{
    struct view v;

    (void)arg;
    enter(&v);
    bri_set64(&v.t, &v.words[0], 7);
    bri_commit_step(&v.t);
    bri_set64(&v.t, &v.words[1], 7);
    die();
}

Test(recovery, what_was_committed_before_the_death_stays)
{
    uint64_t *words = bri_at(arena, words_off, N_WORDS * 8, 8);

    cr_assert_eq(lab_child(die_after_commit, NULL), -SIGKILL);
    cr_assert_eq(words[1], 7);
    words[0] = words[0] == 7 ? 0 : 1;
    recovered(1);
}

/* Who recovers may die too: a journal is written back as often as need be. */
Test(recovery, recovery_can_be_repeated)
{
    uint64_t *words = bri_at(arena, words_off, N_WORDS * 8, 8);
    struct bri_slot_shm *s = object.slot;
    uint32_t n = 9;

    cr_assert_eq(lab_child(die_after_changes, &n), -SIGKILL);
    cr_assert_eq(atomic_load(&s->n_journal), 9);
    /* A first recovery got as far as the last three entries. */
    words[8] = 8;
    words[7] = 7;
    words[6] = 6;
    recovered(1);
}

/* A journal is shared memory: an entry that no section can have written does no harm, and is told.
 */
Test(recovery, a_damaged_journal_quarantines_the_object_and_nothing_else)
{
    static const uint64_t places[] = {0, 8, 4096 + 4, UINT64_MAX - 7, UINT64_C(64) << 20};
    struct bri_object other = lab_object(arena, "other", BRI_TYPE_DICT, 0);
    uint32_t n = 3;
    struct bri_txn t;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        cr_assert_eq(lab_child(die_after_changes, &n), -SIGKILL);
        object.slot->journal[1].where = places[i];
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), BROKER_CORRUPT, "place %llx",
            (unsigned long long)places[i]);
        cr_assert_neq(atomic_load(&object.slot->damaged), 0);
        cr_assert_eq(bri_begin(&t, &other, BRI_PATIENCE), 0);
        bri_abort(&t);
        /* As if it had been repaired by hand. */
        atomic_store(&object.slot->damaged, 0);
        ((uint64_t *)bri_at(arena, words_off, 16, 8))[1] = 1;
    }
    /* More entries than any journal has. */
    cr_assert_eq(lab_child(die_after_changes, &n), -SIGKILL);
    atomic_store(&object.slot->n_journal, UINT32_MAX / 4);
    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), BROKER_CORRUPT);
}
