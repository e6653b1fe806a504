/*
 * cases_core.c - start states and operations of names, sessions and pages
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "core/attachment.h"
#include "core/pages.h"
#include "core/quota.h"
#include "core/registry.h"
#include "core/session.h"
#include "engine_ops.h"
#include "value/value.h"

static uint8_t bytes[12000];

static struct bri_arena *arena_of(struct actor *who)
{
    return who->broker->arena;
}

/* ---- objects with contents ---- */

static void open_all(struct world *w)
{
    static const broker_queue_options joinable = {.joinable = true};

    for (int i = 0; i < N_ACTORS; i++) {
        world_open_dict(w, (enum who)i, 0);
        world_open_queue(w, (enum who)i, &joinable);
        world_open_lock(w, (enum who)i, NULL);
    }
}

static void fill(struct world *w, unsigned n)
{
    struct actor *peer = &w->actors[PEER];

    for (unsigned i = 0; i < n; i++) {
        MUST(bri_dict_set(
            &peer->handles[DICT], broker_int(i), broker_bin(bytes, i % 5 == 4 ? 5000 : 60 * i)));
        MUST(bri_queue_put(
            &peer->handles[QUEUE], broker_bin(bytes, i % 7 == 6 ? 5000 : 100 * i), 0));
    }
}

static void take(struct world *w, enum who who, unsigned n)
{
    static broker_buffer buffer;
    broker_value v;

    for (unsigned i = 0; i < n; i++)
        MUST(bri_queue_get(&w->actors[who].handles[QUEUE], 0, &buffer, &v));
}

static void lock(struct world *w, enum who who)
{
    MUST(bri_lock_acquire(&w->actors[who].handles[LOCK], 0, NULL));
}

static void empty(struct world *w)
{
    open_all(w);
}

static void small(struct world *w)
{
    open_all(w);
    fill(w, 3);
}

static void some(struct world *w)
{
    open_all(w);
    fill(w, 20);
}

static void leases(struct world *w)
{
    some(w);
    take(w, OTHER, 3);
}

static void locked(struct world *w)
{
    some(w);
    lock(w, OTHER);
}

static void cleared(struct world *w)
{
    some(w);
    MUST(bri_dict_clear(&w->actors[PEER].handles[DICT]));
}

const struct crash_state core_contents[5] = {
    {"empty", empty}, {"some", some}, {"leases", leases}, {"locked", locked}, {"cleared", cleared}};

/* ---- what the victim, and the third, have to give back ---- */

static void mine_lease(struct world *w)
{
    small(w);
    take(w, VICTIM, 1);
    take(w, OTHER, 1);
}

static void mine_leases(struct world *w)
{
    some(w);
    take(w, VICTIM, 5);
    take(w, OTHER, 3);
    take(w, VICTIM, 2);
    take(w, OTHER, 4);
}

static void mine_lock(struct world *w)
{
    some(w);
    lock(w, VICTIM);
    take(w, OTHER, 2);
}

static void others_lock(struct world *w)
{
    some(w);
    lock(w, OTHER);
    take(w, VICTIM, 2);
}

/* So many leases that they go back in several sections. */
static void many_leases(struct world *w)
{
    open_all(w);
    fill(w, 3);
    for (unsigned i = 0; i < 40; i++)
        MUST(bri_queue_put(&w->actors[PEER].handles[QUEUE], broker_int(i), 0));
    take(w, VICTIM, 18);
    take(w, OTHER, 18);
}

const struct crash_state core_holdings[5] = {{"empty", empty}, {"mine_lease", mine_lease},
    {"mine_leases", mine_leases}, {"mine_lock", mine_lock}, {"others_lock", others_lock}};
const struct crash_state core_many[1] = {{"many_leases", many_leases}};

/* ---- names ---- */

static void open_more(struct world *w, unsigned n)
{
    struct bri_handle *h;
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "more %u", i);
        MUST(bri_lock_open(w->actors[PEER].broker, name, NULL, &h));
    }
    world_forget_handles(w);
}

static void no_names(struct world *w)
{
    (void)w;
}

/* All slots of their page are in use: the next name needs another. */
static void slots_full(struct world *w)
{
    small(w);
    open_more(w, 5);
}

/* The next name gets the slot of one that is gone. */
static void slot_again(struct world *w)
{
    small(w);
    open_more(w, 4);
    MUST(bri_registry_destroy(w->arena, "more 1"));
}

/* Names fill their slab: the next one needs another. */
static void names_full(struct world *w)
{
    struct bri_heap_shm *heap;
    char name[32];
    struct bri_handle *h;
    struct bri_object registry;

    small(w);
    MUST(bri_object_bind(w->arena, w->arena->first_slot, &registry));
    heap = &registry.root->heap;
    for (unsigned i = 0; heap->partial[0] != 0 || i == 0; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        MUST(bri_lock_open(w->actors[PEER].broker, name, NULL, &h));
        if (heap->partial[0] == 0 || i > 60)
            break;
    }
    world_forget_handles(w);
}

/* No page with memory behind it is free. */
static void exhausted(struct world *w)
{
    uint32_t page, i = 0;

    slots_full(w);
    while (bri_pages_find(w->arena, 1, &page) == 0)
        MUST(bri_dict_set(
            &w->actors[PEER].handles[DICT], broker_int(100 + i++), broker_bin(bytes, 3000)));
}

const struct crash_state core_names[5] = {{"no_names", no_names}, {"slots_full", slots_full},
    {"slot_again", slot_again}, {"names_full", names_full}, {"exhausted", exhausted}};

/* Somebody sleeps for what gets another name. */
static int wait_for_item(struct actor *who)
{
    static broker_buffer buffer;
    broker_value v;

    return bri_queue_get(&who->handles[QUEUE], BRI_NEVER, &buffer, &v);
}

static void slept_for(struct world *w)
{
    empty(w);
    world_die_asleep(&w->actors[OTHER], QUEUE, wait_for_item);
}

const struct crash_state core_renamed[6] = {{"empty", empty}, {"locked", locked},
    {"leases", leases}, {"slept_for", slept_for}, {"names_full", names_full},
    {"exhausted", exhausted}};

/* ---- what users may have ---- */

static struct bri_object *object_of(struct world *w, enum what what)
{
    return &w->actors[PEER].handles[what].object;
}

/* Nothing is granted that is not used, and the user may have @more pages. */
static void limit(struct world *w, uint64_t more)
{
    uint64_t n = object_of(w, DICT)->root->heap.n_pages + object_of(w, QUEUE)->root->heap.n_pages;

    bri_set_limits(w->arena, &(struct bri_limits){.user_bytes = (n + more) * BRI_PAGE_SIZE});
}

/* What the dict or another object needs must be granted first. */
static void asks_empty(struct world *w)
{
    empty(w);
    limit(w, 40);
}

static void asks_some(struct world *w)
{
    some(w);
    limit(w, 40);
}

static void asks_cleared(struct world *w)
{
    cleared(w);
    limit(w, 40);
}

/* It must be taken from the queue, which was granted more than it uses. */
static void reclaim(struct world *w)
{
    limit(w, 40);
    MUST(bri_queue_put(&w->actors[PEER].handles[QUEUE], broker_bin(bytes, 5000), 0));
    atomic_store(
        &w->arena->shm->max_user_pages, atomic_load(&object_of(w, DICT)->slot->granted_pages) +
                                            atomic_load(&object_of(w, QUEUE)->slot->granted_pages));
}

static void reclaims_some(struct world *w)
{
    some(w);
    reclaim(w);
}

static void reclaims_leases(struct world *w)
{
    leases(w);
    reclaim(w);
}

/* There is nothing left to grant, or to take back. */
static void refuses_empty(struct world *w)
{
    empty(w);
    limit(w, 0);
}

static void refuses_some(struct world *w)
{
    some(w);
    limit(w, 0);
}

static void refuses_leases(struct world *w)
{
    leases(w);
    limit(w, 0);
}

const struct crash_state core_granted[5] = {{"asks_empty", asks_empty}, {"asks_some", asks_some},
    {"asks_cleared", asks_cleared}, {"reclaims_some", reclaims_some},
    {"reclaims_leases", reclaims_leases}};
const struct crash_state core_refused[3] = {{"refuses_empty", refuses_empty},
    {"refuses_some", refuses_some}, {"refuses_leases", refuses_leases}};

/* ---- operations ---- */

int core_create_dict(struct actor *who)
{
    struct bri_handle *h;

    return bri_dict_open(who->broker, "fresh", NULL, &h);
}

int core_create_queue(struct actor *who)
{
    static const broker_queue_options options = {.joinable = true, .max_items = 10};
    struct bri_handle *h;

    return bri_queue_open(who->broker, "fresh", &options, &h);
}

int core_create_lock(struct actor *who)
{
    struct bri_handle *h;

    return bri_lock_open(who->broker, "fresh", NULL, &h);
}

int core_open(struct actor *who)
{
    struct bri_handle *h;

    return bri_dict_open(who->broker, "dict", NULL, &h);
}

int core_destroy_dict(struct actor *who)
{
    return bri_registry_destroy(arena_of(who), "dict");
}

int core_destroy_queue(struct actor *who)
{
    return bri_registry_destroy(arena_of(who), "queue");
}

int core_destroy_lock(struct actor *who)
{
    return bri_registry_destroy(arena_of(who), "lock");
}

int core_grow(struct actor *who)
{
    return bri_dict_set(&who->handles[DICT], broker_str("large"), broker_bin(bytes, 12000));
}

int core_rename(struct actor *who)
{
    return bri_registry_rename(arena_of(who), "queue", "its new name");
}

int core_rename_long(struct actor *who)
{
    char name[BRI_NAME_MAX + 1];

    memset(name, 'n', BRI_NAME_MAX);
    name[BRI_NAME_MAX] = '\0';
    return bri_registry_rename(arena_of(who), "dict", name);
}

int core_close(struct actor *who)
{
    return bri_detach(&who->broker->session, &who->handles[QUEUE].object);
}

int core_session_create(struct actor *who)
{
    struct bri_peer peer = {.pid = getppid(), .may_write = true};
    uint32_t number;

    return bri_session_create(arena_of(who), &peer, &number);
}

int core_session_leave(struct actor *who)
{
    return bri_session_reap(arena_of(who), who->broker->session_number, false, BRI_PATIENCE);
}

int core_session_reap(struct actor *who)
{
    return bri_session_reap(arena_of(who), OTHER, true, BRI_PATIENCE);
}

int core_trim(struct actor *who)
{
    (void)bri_pages_trim(arena_of(who), 5);
    return 0;
}
