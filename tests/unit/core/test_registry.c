/*
 * test_registry.c - names: made, found, listed, removed
 */
#include "lab.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/bury.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/pages.h"
#include "core/session.h"
#include "engine_ops.h"

static struct bri_arena *arena;

static void start(void)
{
    arena = lab_arena(16 * MIB);
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(registry, .init = start, .fini = stop, .timeout = 60);

static int open_as(const char *name, uint32_t type, enum bri_open_mode mode, struct bri_object *out)
{
    struct bri_open open = {.name = name, .type = bri_type_ops(type), .mode = mode, .uid = 42};

    return bri_registry_open(arena, &open, out);
}

static uint64_t n_objects(void)
{
    const struct bri_slot_shm *s = bri_slot_at(arena, arena->first_slot);

    return ((const struct bri_registry_shm *)s->state)->n_objects;
}

Test(registry, an_object_is_made_once_and_found_again)
{
    struct bri_object made, found, other;

    cr_assert_eq(open_as("a", BRI_TYPE_DICT, BRI_OPEN_EXISTING, &found), BROKER_NOTFOUND);
    cr_assert_eq(open_as("a", BRI_TYPE_DICT, BRI_OPEN_OR_CREATE, &made), 0);
    cr_assert_eq(open_as("a", BRI_TYPE_DICT, BRI_OPEN_CREATE, &found), BROKER_EXISTS);
    cr_assert_eq(open_as("a", BRI_TYPE_LOCK, BRI_OPEN_OR_CREATE, &found), BROKER_WRONGTYPE);
    cr_assert_eq(open_as("a", BRI_TYPE_DICT, BRI_OPEN_EXISTING, &found), 0);
    cr_assert_eq(found.id, made.id);
    cr_assert_eq(found.generation, made.generation);
    cr_assert_eq(found.root, made.root);
    cr_assert_eq(open_as("b", BRI_TYPE_LOCK, BRI_OPEN_CREATE, &other), 0);
    cr_assert_neq(other.id, made.id);
    cr_assert_neq(other.generation, made.generation);
    cr_assert_null(other.root);
    cr_assert_eq(made.slot->creator_uid, 42);
    cr_assert_eq(n_objects(), 2);
    lab_audit(arena);
}

Test(registry, a_name_that_is_none_makes_nothing)
{
    char long_name[257];
    struct bri_object o;

    memset(long_name, 'x', 256);
    long_name[256] = '\0';
    cr_assert_eq(open_as(NULL, BRI_TYPE_DICT, BRI_OPEN_EXISTING, &o), BROKER_INVALID);
    cr_assert_eq(open_as("", BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), BROKER_BADNAME);
    cr_assert_eq(open_as(long_name, BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), BROKER_BADNAME);
    cr_assert_eq(open_as("a\x01", BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), BROKER_BADNAME);
    cr_assert_eq(open_as("\xe2\x82", BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), BROKER_BADNAME);
    long_name[255] = '\0';
    cr_assert_eq(open_as(long_name, BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), 0);
    cr_assert_eq(n_objects(), 1);
}

Test(registry, the_name_of_an_object_can_be_asked)
{
    struct bri_object o = lab_object(arena, "its name", BRI_TYPE_LOCK, 0);
    char name[BRI_NAME_MAX + 1] = "?";

    bri_registry_name(&o, name);
    cr_assert_str_eq(name, "its name");
    cr_assert_eq(bri_registry_destroy(arena, "its name"), 0);
    bri_registry_name(&o, name);
    cr_assert_str_eq(name, "");
}

/* ---- another name ---- */

/* All in few buckets, so that names share them. */
Test(registry, every_name_of_a_bucket_can_be_another)
{
    char name[32], new_name[32];
    struct bri_object o, same;

    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "old %d", i);
        (void)lab_object(arena, name, BRI_TYPE_LOCK, 0);
    }
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "old %d", i);
        (void)snprintf(new_name, sizeof(new_name), "new %d", i);
        cr_assert_eq(open_as(name, BRI_TYPE_LOCK, BRI_OPEN_EXISTING, &o), 0);
        cr_assert_eq(bri_registry_rename(arena, name, new_name), 0);
        cr_assert_eq(bri_registry_rename(arena, name, new_name), BROKER_NOTFOUND);
        cr_assert_eq(open_as(name, BRI_TYPE_LOCK, BRI_OPEN_EXISTING, &same), BROKER_NOTFOUND);
        cr_assert_eq(open_as(new_name, BRI_TYPE_LOCK, BRI_OPEN_EXISTING, &same), 0);
        cr_assert_eq(same.id, o.id);
        cr_assert_eq(same.generation, o.generation);
    }
    cr_assert_eq(n_objects(), 200);
    lab_audit(arena);
}

Test(registry, a_refused_name_changes_nothing)
{
    char long_name[BRI_NAME_MAX + 2];
    struct bri_object o, same;

    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    o = lab_object(arena, "a", BRI_TYPE_LOCK, 0);
    (void)lab_object(arena, "b", BRI_TYPE_DICT, 0);
    cr_assert_eq(bri_registry_rename(arena, "a", "b"), BROKER_EXISTS);
    cr_assert_eq(bri_registry_rename(arena, "a", "a"), BROKER_EXISTS);
    cr_assert_eq(bri_registry_rename(arena, "c", "b"), BROKER_NOTFOUND);
    cr_assert_eq(bri_registry_rename(arena, "a", ""), BROKER_BADNAME);
    cr_assert_eq(bri_registry_rename(arena, "a", NULL), BROKER_BADNAME);
    cr_assert_eq(bri_registry_rename(arena, "", "c"), BROKER_BADNAME);
    cr_assert_eq(bri_registry_rename(arena, "a", "\xe2\x82"), BROKER_BADNAME);
    cr_assert_eq(bri_registry_rename(arena, "a", long_name), BROKER_BADNAME);
    cr_assert_eq(open_as("a", BRI_TYPE_LOCK, BRI_OPEN_EXISTING, &same), 0);
    cr_assert_eq(same.id, o.id);
    long_name[BRI_NAME_MAX] = '\0';
    cr_assert_eq(bri_registry_rename(arena, "a", long_name), 0);
    cr_assert_eq(bri_registry_rename(arena, long_name, "a"), 0);
    cr_assert_eq(n_objects(), 2);
    lab_audit(arena);
}

/* ---- removing ---- */

Test(registry, destroy_frees_the_name_the_memory_and_the_slot)
{
    struct bri_object old, o;
    struct bri_txn t;
    uint32_t used;

    (void)lab_object(arena, "first", BRI_TYPE_LOCK, 0); /* makes the first page of slots */
    used = lab_used(arena);
    old = lab_object(arena, "a", BRI_TYPE_DICT, 0);
    cr_assert_eq(bri_begin(&t, &old, BRI_PATIENCE), 0);
    for (int i = 0; i < 20; i++)
        (void)bri_alloc(&t, 10000);
    (void)bri_end(&t, t.failed);
    cr_assert_eq(bri_registry_destroy(arena, "a"), 0);
    cr_assert_eq(bri_registry_destroy(arena, "a"), BROKER_NOTFOUND);
    cr_assert_eq(lab_used(arena), used);
    cr_assert_eq(bri_begin(&t, &old, BRI_PATIENCE), BROKER_GONE);
    o = lab_object(arena, "b", BRI_TYPE_QUEUE, 0);
    cr_assert_eq(o.id, old.id, "the slot is used again");
    cr_assert_gt(o.generation, old.generation);
    cr_assert_eq(bri_begin(&t, &old, BRI_PATIENCE), BROKER_GONE);
    cr_assert_eq(bri_read_state(&old), BROKER_GONE);
    cr_assert_eq(bri_begin(&t, &o, BRI_PATIENCE), 0);
    bri_abort(&t);
    lab_audit(arena);
}

/* Somebody stopped in the middle: the name goes all the same, the rest when it is possible. */
Test(registry, a_removal_that_is_stuck_is_completed_later)
{
    struct lab_holder h = {.o = lab_object(arena, "a", BRI_TYPE_DICT, 0)};
    const struct bri_slot_shm *s = h.o.slot;
    struct bri_object o;

    lab_hold(&h);
    cr_assert_eq(bri_registry_destroy(arena, "a"), 0);
    cr_assert_eq(bri_bury(arena), BROKER_TIMEDOUT);
    cr_assert_eq(atomic_load(&s->status), BRI_SLOT_DYING);
    o = lab_object(arena, "a", BRI_TYPE_DICT, 0);
    cr_assert_neq(o.id, h.o.id);
    lab_let_go(&h);
    cr_assert_eq(bri_bury(arena), 0);
    cr_assert_eq(atomic_load(&s->status), BRI_SLOT_FREE);
    cr_assert_eq(bri_bury(arena), 0);
    lab_audit(arena);
}

static int die_inside(void *arg)
{
    struct bri_arena *a = lab_map(arena);
    struct bri_object o;
    struct bri_txn t;

    if (bri_object_bind(a, *(uint32_t *)arg, &o) < 0 || bri_begin(&t, &o, BRI_PATIENCE) < 0 ||
        bri_alloc(&t, 100) == 0)
        return 1;
    (void)kill(getpid(), SIGKILL);
    return 2;
}

Test(registry, an_object_whose_user_died_inside_can_be_removed)
{
    struct bri_object o = lab_object(arena, "a", BRI_TYPE_DICT, 0);

    cr_assert_eq(lab_child(die_inside, &o.id), -SIGKILL);
    cr_assert_eq(bri_registry_destroy(arena, "a"), 0);
    cr_assert_eq(atomic_load(&o.slot->status), BRI_SLOT_FREE);
    lab_audit(arena);
}

/* ---- many ---- */

static void name_of(char out[32], unsigned i)
{
    (void)snprintf(out, 32, "lock number %u", i);
}

/* All names, each once; how many. */
static unsigned list_all(uint8_t *seen, unsigned n, uint32_t at_once)
{
    struct bri_listing *entries = calloc(at_once, sizeof(*entries));
    uint32_t cursor = 0;
    unsigned total = 0, i;
    int got;

    cr_assert_not_null(entries);
    do {
        got = bri_registry_list(arena, &cursor, entries, at_once);
        if (got < 0)
            cr_assert_fail("%s", broker_error_name(got));
        for (int k = 0; k < got; k++) {
            if (sscanf(entries[k].name, "lock number %u", &i) != 1 || i >= n || seen[i]++ != 0)
                cr_assert_fail("%s is none of the names, or came twice", entries[k].name);
            total++;
        }
    } while (cursor != 0);
    free(entries);
    return total;
}

/* The design's number: 100,000 small objects in 64 MiB, with their names. */
static void make_a_hundred_thousand(uint32_t type)
{
    const unsigned n = 100000;
    uint8_t *seen = calloc(n, 1);
    struct bri_object o;
    struct stat st;
    char name[32];

    bri_arena_unmap(arena);
    arena = lab_arena(64 * MIB);
    for (unsigned i = 0; i < n; i++) {
        int r;

        name_of(name, i);
        r = open_as(name, type, BRI_OPEN_CREATE, &o);
        if (r != 0)
            cr_assert_fail("object %u: %s", i, broker_error_name(r));
    }
    cr_assert_eq(n_objects(), n);
    cr_assert_eq(fstat(arena->fd, &st), 0);
    cr_assert_leq((uint64_t)st.st_blocks * 512, 64 * MIB);
    cr_assert_leq((uint64_t)lab_used(arena) * BRI_PAGE_SIZE, n * UINT64_C(600), "slot and name");
    cr_assert_eq(list_all(seen, n, 1000), n);
    for (unsigned i = 0; i < n; i += 1000) {
        name_of(name, i);
        cr_assert_eq(open_as(name, type, BRI_OPEN_EXISTING, &o), 0);
        cr_assert_eq(bri_registry_destroy(arena, name), 0);
        cr_assert_eq(open_as(name, type, BRI_OPEN_EXISTING, &o), BROKER_NOTFOUND);
    }
    memset(seen, 0, n);
    cr_assert_eq(list_all(seen, n, 1000), n - n / 1000);
    lab_audit(arena);
    free(seen);
}

Test(registry, a_hundred_thousand_locks_fit_into_64_mib)
{
    make_a_hundred_thousand(BRI_TYPE_LOCK);
}

Test(registry, a_hundred_thousand_events_fit_into_64_mib)
{
    make_a_hundred_thousand(BRI_TYPE_EVENT);
}

Test(registry, a_full_arena_makes_no_half_object)
{
    struct bri_object o;
    unsigned n = 0, m;
    uint32_t used;
    char name[32];
    int r;

    bri_arena_unmap(arena);
    arena = lab_arena(MIB);
    do {
        name_of(name, n++);
        r = open_as(name, BRI_TYPE_DICT, BRI_OPEN_CREATE, &o);
    } while (r == 0);
    cr_assert_eq(r, BROKER_NOMEM);
    n--;
    cr_assert_gt(n, 100);
    cr_assert_eq(n_objects(), n);
    used = lab_used(arena);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(open_as("one more", BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), BROKER_NOMEM);
    cr_assert_eq(open_as("one more", BRI_TYPE_DICT, BRI_OPEN_EXISTING, &o), BROKER_NOTFOUND);
    cr_assert_eq(lab_used(arena), used);
    lab_audit(arena);
    for (m = 0; m < n; m++) {
        name_of(name, m);
        cr_assert_eq(bri_registry_destroy(arena, name), 0);
    }
    cr_assert_eq(n_objects(), 0);
    lab_audit(arena);
    cr_assert_eq(open_as("one more", BRI_TYPE_DICT, BRI_OPEN_CREATE, &o), 0);
}

Test(registry, whole_buckets_that_do_not_fit_are_toobig)
{
    struct bri_listing entry;
    uint32_t cursor = 0;
    char name[32];

    cr_assert_eq(bri_registry_list(arena, &cursor, &entry, 1), 0);
    cr_assert_eq(cursor, 0);
    for (unsigned i = 0; i < 3000; i++) { /* more than there are buckets */
        name_of(name, i);
        (void)lab_object(arena, name, BRI_TYPE_LOCK, 0);
    }
    while (bri_registry_list(arena, &cursor, &entry, 1) > 0)
        cr_assert_neq(cursor, 0, "a bucket of several was given as one of one");
    cr_assert_eq(bri_registry_list(arena, &cursor, &entry, 1), BROKER_TOOBIG);
}

/* ---- at once ---- */

struct worker {
    pthread_t thread;
    unsigned number;
    int failed;
};

static void *make_and_remove(void *arg)
{
    struct worker *w = arg;
    struct bri_object o;
    char name[32];

    for (unsigned i = 0; i < 500; i++) {
        int r;

        name_of(name, i % 7);
        r = open_as(name, i % 2 == 0 ? BRI_TYPE_DICT : BRI_TYPE_LOCK, BRI_OPEN_OR_CREATE, &o);
        if (r != 0 && r != BROKER_WRONGTYPE)
            w->failed = r;
        r = bri_registry_destroy(arena, name);
        if (r != 0 && r != BROKER_NOTFOUND)
            w->failed = r;
    }
    return NULL;
}

Test(registry, threads_make_and_remove_the_same_names)
{
    struct worker workers[4] = {0};

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, make_and_remove, &workers[i]), 0);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(workers[i].thread, NULL), 0);
        cr_assert_eq(workers[i].failed, 0, "%s", broker_error_name(workers[i].failed));
    }
    cr_assert_eq(bri_bury(arena), 0);
    cr_assert_eq(n_objects(), 0);
    lab_audit(arena);
}
