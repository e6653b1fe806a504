/*
 * test_quota.c - what users may have: exact to the object and the page, whoever else is at it
 */
#include "lab.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/heap.h"
#include "core/quota.h"
#include "core/session.h"
#include "engine_ops.h"

#define UID 1000u
#define OTHER_UID 1064u /* in the same chain of accounts */

static struct bri_arena *arena;

static void start(void)
{
    arena = lab_arena(64 * MIB);
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(quota, .init = start, .fini = stop, .timeout = 60);

static int open_of(uint32_t uid, const char *name, uint32_t type, struct bri_object *out)
{
    struct bri_open open = {
        .name = name, .type = bri_type_ops(type), .mode = BRI_OPEN_CREATE, .uid = uid};

    return bri_registry_open(arena, &open, out);
}

static struct bri_object dict_of(uint32_t uid, const char *name)
{
    struct bri_object o = {0};

    cr_assert_eq(open_of(uid, name, BRI_TYPE_DICT, &o), 0);
    return o;
}

/* Has @o claim a run of @n pages; where they begin is in @out_off. */
static int claim(struct bri_object *o, uint32_t n, uint64_t *out_off)
{
    struct bri_txn t;
    int r;

    do {
        r = bri_begin(&t, o, BRI_PATIENCE);
        if (r < 0)
            return r;
        *out_off = bri_alloc(&t, (uint64_t)n * BRI_PAGE_SIZE);
        r = bri_end(&t, t.failed);
    } while (r == BRI_AGAIN);
    return r;
}

static void give(struct bri_object *o, uint64_t off)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, o, BRI_PATIENCE), 0);
    bri_free(&t, off);
    cr_assert_eq(bri_end(&t, 0), 0);
}

static uint64_t pages_of(const struct bri_object *o)
{
    return o->root->heap.n_pages;
}

static void limit_pages(uint64_t n)
{
    bri_set_limits(arena, &(struct bri_limits){.user_bytes = n * BRI_PAGE_SIZE});
}

/* Counts problems, but for runs that a dict knows nothing of: those are the test's. */
static void report(void *arg, const char *object, const char *problem)
{
    unsigned *n = arg;

    if (strncmp(problem, "the run at page", strlen("the run at page")) == 0)
        return;
    cr_log_error("%s: %s", object, problem);
    ++*n;
}

static void audit_accounts(void)
{
    unsigned n = 0;
    struct bri_audit audit = {.report = report, .arg = &n, .quiet_arena = true};

    cr_assert_eq(bri_audit_arena(arena, &audit), 0);
    cr_assert_eq(n, 0, "the audit found something");
}

/* The refusal names this, and nothing else. */
static void refused(enum bri_limit limit, uint32_t who, uint64_t allowed, uint64_t used)
{
    struct bri_refusal x = bri_refusal_take();

    cr_assert_eq(x.limit, limit);
    cr_assert_eq(x.who, who);
    cr_assert_eq(x.allowed, allowed);
    cr_assert_eq(x.used, used, "%llu are used", (unsigned long long)x.used);
    cr_assert_eq(bri_refusal_take().limit, BRI_LIMIT_NONE);
}

/* ---- objects ---- */

Test(quota, objects_are_counted_for_who_made_them)
{
    struct bri_object o;

    atomic_store(&arena->shm->max_user_objects, 2);
    cr_assert_eq(open_of(UID, "a", BRI_TYPE_LOCK, &o), 0);
    cr_assert_eq(open_of(UID, "b", BRI_TYPE_DICT, &o), 0);
    cr_assert_eq(open_of(UID, "c", BRI_TYPE_LOCK, &o), BROKER_QUOTA);
    refused(BRI_LIMIT_USER_OBJECTS, UID, 2, 2);
    cr_assert_eq(open_of(OTHER_UID, "c", BRI_TYPE_LOCK, &o), 0);
    cr_assert_eq(bri_registry_destroy(arena, "a"), 0);
    cr_assert_eq(open_of(UID, "d", BRI_TYPE_LOCK, &o), 0);
    cr_assert_eq(open_of(UID, "a", BRI_TYPE_LOCK, &o), BROKER_QUOTA);
    cr_assert_eq(bri_registry_rename(arena, "b", "a"), 0, "no object more");
    atomic_store(&arena->shm->max_user_objects, 0);
    cr_assert_eq(open_of(UID, "b", BRI_TYPE_LOCK, &o), 0);
    audit_accounts();
}

Test(quota, a_refused_object_leaves_nothing)
{
    struct bri_object o;
    uint32_t used;

    (void)dict_of(UID, "a");
    used = lab_used(arena);
    atomic_store(&arena->shm->max_user_objects, 1);
    cr_assert_eq(open_of(UID, "b", BRI_TYPE_DICT, &o), BROKER_QUOTA);
    limit_pages(1);
    cr_assert_eq(open_of(UID, "b", BRI_TYPE_DICT, &o), BROKER_QUOTA);
    refused(BRI_LIMIT_USER_BYTES, UID, BRI_PAGE_SIZE, BRI_PAGE_SIZE);
    cr_assert_eq(lab_used(arena), used);
    cr_assert_eq(bri_registry_destroy(arena, "b"), BROKER_NOTFOUND);
    audit_accounts();
}

/* An account is there for as long as it says something. */
Test(quota, accounts_come_and_go)
{
    struct bri_object o;
    uint32_t used;
    char name[16];

    (void)lab_object(arena, "first", BRI_TYPE_LOCK, 0);
    used = lab_used(arena);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof(name), "%u", i);
            cr_assert_eq(open_of(i, name, i % 2 ? BRI_TYPE_DICT : BRI_TYPE_LOCK, &o), 0);
        }
        audit_accounts();
        for (uint32_t i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof(name), "%u", (i * 7) % 300);
            cr_assert_eq(bri_registry_destroy(arena, name), 0);
        }
        audit_accounts();
    }
    cr_assert_leq(
        lab_used(arena), used + 300 / BRI_SLOTS_PER_PAGE + 3, "slots and one slab a size");
}

/* ---- pages ---- */

Test(quota, the_last_page_can_be_had_and_not_one_more)
{
    struct bri_object a = dict_of(UID, "a"), b = dict_of(UID, "b"), other;
    uint64_t off;

    limit_pages(100);
    other = dict_of(OTHER_UID, "c");
    for (int i = 0; i < 98; i++)
        cr_assert_eq(claim(i % 3 == 0 ? &a : &b, 1, &off), 0, "page %d", i);
    cr_assert_eq(pages_of(&a) + pages_of(&b), 100);
    cr_assert_eq(claim(&a, 1, &off), BROKER_QUOTA);
    refused(BRI_LIMIT_USER_BYTES, UID, 100 * BRI_PAGE_SIZE, 100 * BRI_PAGE_SIZE);
    cr_assert_eq(claim(&b, 1, &off), BROKER_QUOTA);
    cr_assert_eq(pages_of(&a) + pages_of(&b), 100);
    cr_assert_eq(claim(&other, 99, &off), 0, "that is another user's account");
    cr_assert_eq(claim(&other, 1, &off), BROKER_QUOTA);
    audit_accounts();
}

Test(quota, what_one_object_gives_back_another_can_have)
{
    struct bri_object a, b;
    uint64_t off, large = 0;

    limit_pages(1000);
    a = dict_of(UID, "a");
    b = dict_of(UID, "b");
    cr_assert_eq(claim(&a, 900, &large), 0);
    cr_assert_eq(claim(&b, 99, &off), BROKER_QUOTA);
    cr_assert_eq(claim(&b, 98, &off), 0, "to the page, whatever had been granted in advance");
    give(&a, large);
    cr_assert_eq(claim(&b, 901, &off), BROKER_QUOTA);
    cr_assert_eq(claim(&b, 900, &off), 0);
    cr_assert_eq(claim(&a, 1, &off), BROKER_QUOTA);
    cr_assert_eq(bri_registry_destroy(arena, "b"), 0);
    cr_assert_eq(claim(&a, 999, &off), 0);
    audit_accounts();
}

/* What was granted while there was no limit does not count when there is one. */
Test(quota, a_limit_that_comes_later_holds)
{
    struct bri_object a = dict_of(UID, "a"), b = dict_of(UID, "b"), c;
    uint64_t off;

    cr_assert_eq(claim(&a, 40, &off), 0);
    cr_assert_eq(claim(&b, 40, &off), 0);
    limit_pages(83);
    c = dict_of(UID, "c");
    cr_assert_eq(claim(&c, 1, &off), BROKER_QUOTA);
    refused(BRI_LIMIT_USER_BYTES, UID, 83 * BRI_PAGE_SIZE, 83 * BRI_PAGE_SIZE);
    cr_assert_eq(claim(&a, 1, &off), BROKER_QUOTA);
    limit_pages(84);
    cr_assert_eq(claim(&c, 1, &off), 0);
    limit_pages(10);
    cr_assert_eq(claim(&c, 1, &off), BROKER_QUOTA, "far above it");
    audit_accounts();
}

Test(quota, the_objects_own_quota_is_named)
{
    struct bri_object o = lab_object(arena, "a", BRI_TYPE_DICT, 10 * BRI_PAGE_SIZE);
    uint64_t off;

    cr_assert_eq(claim(&o, 9, &off), 0);
    cr_assert_eq(claim(&o, 1, &off), BROKER_QUOTA);
    refused(BRI_LIMIT_OBJECT_BYTES, 0, 10 * BRI_PAGE_SIZE, 10 * BRI_PAGE_SIZE);
}

/* Its memory counts until it is given back, and a reader who keeps it keeps it counted. */
Test(quota, a_destroyed_object_counts_until_its_memory_is_back)
{
    struct bri_object o = dict_of(UID, "a"), b, session;
    struct bri_txn t;
    uint32_t number;
    uint64_t off;

    session = lab_session(arena, &number);
    cr_assert_eq(claim(&o, 49, &off), 0);
    cr_assert_eq(bri_attach(&session, &o, &o.att), 0);
    cr_assert_eq(bri_begin(&t, &o, BRI_PATIENCE), 0);
    bri_pin(&t);
    cr_assert_eq(bri_end(&t, 0), 0);
    b = dict_of(UID, "b");
    cr_assert_eq(bri_registry_destroy(arena, "a"), 0);
    limit_pages(60);
    cr_assert_eq(claim(&b, 10, &off), BROKER_QUOTA);
    audit_accounts();
    cr_assert_eq(bri_session_reap(arena, number, false, BRI_PATIENCE), 0);
    cr_assert_eq(claim(&b, 59, &off), 0);
    audit_accounts();
}

/* ---- sessions, and what they have open ---- */

Test(quota, sessions_of_a_user_are_limited)
{
    struct bri_peer peer = {.pid = getpid(), .uid = UID, .may_write = true};
    uint32_t first, number;

    atomic_store(&arena->shm->max_user_sessions, 2);
    cr_assert_eq(bri_session_create(arena, &peer, &first), 0);
    cr_assert_eq(bri_session_create(arena, &peer, &number), 0);
    cr_assert_eq(bri_session_create(arena, &peer, &number), BROKER_QUOTA);
    refused(BRI_LIMIT_USER_SESSIONS, UID, 2, 2);
    peer.uid = OTHER_UID;
    cr_assert_eq(bri_session_create(arena, &peer, &number), 0);
    peer.uid = UID;
    cr_assert_eq(bri_session_reap(arena, first, false, BRI_PATIENCE), 0);
    cr_assert_eq(bri_session_create(arena, &peer, &number), 0);
    audit_accounts();
}

Test(quota, a_session_has_only_so_many_objects_open)
{
    struct bri_object o[3], session;
    uint32_t number;

    session = lab_session(arena, &number);
    atomic_store(&arena->shm->max_session_objects, 2);
    for (int i = 0; i < 3; i++)
        o[i] = lab_object(arena, (char[2]){(char)('a' + i), '\0'}, BRI_TYPE_LOCK, 0);
    cr_assert_eq(bri_attach(&session, &o[0], &o[0].att), 0);
    cr_assert_eq(bri_attach(&session, &o[1], &o[1].att), 0);
    cr_assert_eq(bri_attach(&session, &o[2], &o[2].att), BROKER_QUOTA);
    refused(BRI_LIMIT_SESSION_OBJECTS, number, 2, 2);
    cr_assert_eq(bri_detach(&session, &o[0]), 0);
    cr_assert_eq(bri_attach(&session, &o[2], &o[2].att), 0);
    audit_accounts();
}

/* ---- many at a time ---- */

#define THREADS 4
#define ROUNDS 2000
#define LIMIT 64u

/* Grows and shrinks one object, and makes and removes another; now and then it is refused. */
static void *grow_and_shrink(void *arg)
{
    struct bri_object o = *(struct bri_object *)arg, extra;
    uint64_t offs[40];
    uint32_t n = 0;
    char name[32];
    int r;

    (void)snprintf(name, sizeof(name), "extra %u", o.id);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (n == 40 || (n > 0 && i % 7 > 4)) {
            give(&o, offs[--n]);
            continue;
        }
        r = claim(&o, 1 + i % 3, &offs[n]);
        n += r == 0;
        cr_assert(r == 0 || r == BROKER_QUOTA);
        if (i % 16 == 0) {
            r = open_of(UID, name, BRI_TYPE_DICT, &extra);
            cr_assert(r == 0 || r == BROKER_QUOTA);
            if (r == 0)
                cr_assert_eq(bri_registry_destroy(arena, name), 0);
        }
    }
    while (n > 0)
        give(&o, offs[--n]);
    return NULL;
}

/* Under the registry's guard, where all of it stands still. */
static uint64_t granted_together(const struct bri_object *objects)
{
    struct bri_object registry;
    struct bri_txn t;
    uint64_t sum = 0;

    cr_assert_eq(bri_object_bind(arena, arena->first_slot, &registry), 0);
    cr_assert_eq(bri_begin(&t, &registry, BRI_PATIENCE), 0);
    for (int i = 0; i < THREADS; i++)
        sum += atomic_load(&objects[i].slot->granted_pages);
    bri_abort(&t);
    return sum;
}

/* Nobody ever sees more than the limit; and all of it can be had in the end. */
Test(quota, threads_share_an_account)
{
    struct bri_object objects[THREADS];
    pthread_t threads[THREADS];
    uint64_t off, sum;
    char name[16];

    limit_pages(LIMIT);
    for (int i = 0; i < THREADS; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        objects[i] = dict_of(UID, name);
    }
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, grow_and_shrink, &objects[i]), 0);
    for (int i = 0; i < ROUNDS; i++)
        cr_assert_leq(granted_together(objects), LIMIT);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    audit_accounts();
    sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += pages_of(&objects[i]);
    cr_assert_eq(claim(&objects[0], (uint32_t)(LIMIT - sum + 1), &off), BROKER_QUOTA);
    cr_assert_eq(claim(&objects[0], (uint32_t)(LIMIT - sum), &off), 0);
    audit_accounts();
}

/* ---- audit ---- */

struct seen {
    char text[256];
};

static void note_problem(void *arg, const char *object, const char *problem)
{
    struct seen *seen = arg;

    (void)object;
    (void)snprintf(seen->text, sizeof(seen->text), "%s", problem);
}

/* The only problem that the audit finds. */
static void audit_says(const char *what)
{
    struct seen seen = {""};
    struct bri_audit audit = {.report = note_problem, .arg = &seen, .quiet_arena = true};

    cr_assert_eq(bri_audit_arena(arena, &audit), 0);
    cr_assert_eq(audit.n_problems, 1, "%s", seen.text);
    cr_assert_not_null(strstr(seen.text, what), "%s", seen.text);
}

static struct bri_account_shm *only_account(void)
{
    struct bri_slot_shm *registry = bri_slot_at(arena, arena->first_slot);
    struct bri_root_shm *root = bri_page_at(arena, registry->root_page);
    struct bri_accounts_shm *all = (struct bri_accounts_shm *)root->state;

    return (struct bri_account_shm *)(arena->base + all->heads[UID % BRI_ACCOUNT_CHAINS]);
}

Test(quota, the_audit_finds_accounts_that_are_wrong)
{
    struct bri_object o = dict_of(UID, "a");
    uint32_t granted = o.slot->granted_pages;

    audit_accounts();
    only_account()->n_objects++;
    audit_says("says 2 objects");
    only_account()->n_objects--;
    only_account()->n_pages--;
    audit_says("the account of uid 1000");
    only_account()->n_pages++;
    o.slot->granted_pages = 0;
    only_account()->n_pages = 0;
    audit_says("only 0 are granted");
    o.slot->granted_pages = granted;
    only_account()->n_pages = granted;
    audit_accounts();
}
