/*
 * bury.c - see bury.h
 */
#include "core/bury.h"

#include <broker/errors.h>

#include "core/collect.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/pages.h"
#include "core/quota.h"
#include "core/registry.h"

#define BURY_AT_ONCE 32

/*
 * Several may bury one slot at once, and a slot that is buried may live again under another's eyes.
 * So each step is a section of the slot that first makes sure it still is dying; the last one says
 * that it is buried, and only then can it be freed. NOTFOUND: there is nothing left to do.
 */
static int begin_dying(struct bri_txn *t, struct bri_object *o)
{
    int r = bri_begin(t, o, -2 * BRI_MILLISECOND);

    if (r == 0 && atomic_load(&o->slot->status) != BRI_SLOT_DYING) {
        bri_abort(t);
        return BROKER_NOTFOUND;
    }
    return r == BROKER_GONE ? BROKER_NOTFOUND : r;
}

/* From here on every section of a handle says GONE, and sleepers wake to hear it. */
static int announce(struct bri_object *o)
{
    const struct bri_type_ops *ops;
    struct bri_txn t;
    int r;

    o->generation = atomic_load(&o->slot->generation);
    r = begin_dying(&t, o);
    if (r < 0)
        return r;
    ops = bri_type_ops(atomic_load(&o->slot->type));
    if (ops != NULL && ops->gone != NULL)
        ops->gone(o);
    if (o->generation != 0)
        bri_set_atomic64(&t, &o->slot->generation, 0);
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        bri_wake(&t, i, BRI_WAKE_ALL);
    return bri_end(&t, 0);
}

/* All the memory of an object that nobody can reach any more, but its root page. */
static int clear_heap(struct bri_object *o)
{
    struct bri_txn t;
    int r = begin_dying(&t, o);
    uint32_t root;

    if (r < 0)
        return r;
    if (atomic_load(&o->slot->n_pins) != 0) {
        bri_abort(&t);
        return BROKER_BUSY; /* whoever takes the last pin away comes back */
    }
    root = atomic_load(&o->slot->root_page);
    if (root != 0 && bri_page_tag(o->arena, root) == bri_tag(o->id, BRI_PAGE_ROOT, 1)) {
        o->root = bri_page_at(o->arena, root);
        bri_heap_clear(&t);
    }
    r = bri_end(&t, 0);
    if (r == 0)
        r = bri_heap_finish_chores(o, -2 * BRI_MILLISECOND);
    o->root = NULL; /* the next section gives it away: it must not need its journal */
    return r == BROKER_CORRUPT ? 0 : r;
}

static int give_root(struct bri_object *o)
{
    struct bri_txn t;
    int r = begin_dying(&t, o);

    if (r < 0)
        return r;
    if (atomic_load(&o->slot->root_page) != 0)
        bri_give_back(&t, atomic_load(&o->slot->root_page), 1);
    bri_set_atomic32(&t, &o->slot->root_page, 0);
    bri_set_atomic32(&t, &o->slot->status, BRI_SLOT_BURIED);
    return bri_end(&t, 0);
}

/* Takes @slot out of the dying list and makes it free. */
static int free_slot(struct bri_object *registry, uint32_t slot)
{
    struct bri_registry_shm *reg = bri_registry_state(registry);
    struct bri_slot_shm *s;
    struct bri_txn t;
    int r = bri_begin(&t, registry, BRI_PATIENCE);

    if (r < 0)
        return r;
    r = BROKER_NOTFOUND; /* another was faster */
    for (uint32_t *link = &reg->dying_slots, left = BRI_REGISTRY_MAX_CHAIN; *link != 0 && left > 0;
         left--) {
        s = bri_slot_at(registry->arena, *link);
        if (s == NULL) {
            r = BRI_DAMAGED(&t);
            break;
        }
        if (*link != slot) {
            link = &s->next;
            continue;
        }
        if (atomic_load(&s->status) != BRI_SLOT_BURIED)
            break;
        bri_set32(&t, link, s->next);
        bri_set32(&t, &s->next, reg->free_slots);
        bri_set32(&t, &reg->free_slots, slot);
        bri_account_bury(&t, s);
        bri_set_atomic32(&t, &s->status, BRI_SLOT_FREE);
        r = 0;
        break;
    }
    return bri_end(&t, r);
}

static int bury_one(struct bri_object *registry, uint32_t slot)
{
    struct bri_object o = {.arena = registry->arena,
        .slot = bri_slot_at(registry->arena, slot),
        .id = slot,
        .burying = true};
    bool had_refs;
    int r;

    if (o.slot == NULL)
        return BROKER_CORRUPT;
    had_refs = (atomic_load(&o.slot->chores) & BRI_CHORE_REFS) != 0;
    (void)bri_lock_bury(&o.slot->word);
    bri_settle(registry->arena, slot);
    r = announce(&o);
    o.generation = 0;
    if (r == 0 && had_refs)
        bri_collect_want(registry->arena);
    if (r == 0)
        r = clear_heap(&o);
    if (r == 0)
        r = give_root(&o);
    return r < 0 && r != BROKER_NOTFOUND ? r : free_slot(registry, slot);
}

void bri_bury_slot(struct bri_arena *a, uint32_t slot)
{
    struct bri_object registry;

    if (bri_registry_bind(a, &registry) == 0)
        (void)bury_one(&registry, slot); /* if it is stuck, the daemon goes on with it */
}

/* All is done that can be until its last pin is gone. */
static bool is_pinned(const struct bri_slot_shm *s)
{
    return atomic_load(&s->generation) == 0 && atomic_load(&s->n_pins) != 0;
}

int bri_bury(struct bri_arena *a)
{
    uint32_t slots[BURY_AT_ONCE], n = 0;
    struct bri_object registry;
    struct bri_txn t;
    int worst = 0, r = bri_registry_bind(a, &registry);

    if (r < 0 || bri_registry_state(&registry)->dying_slots == 0)
        return r;
    r = bri_begin(&t, &registry, BRI_PATIENCE);
    if (r < 0)
        return r;
    for (uint32_t slot = bri_registry_state(&registry)->dying_slots, left = BRI_REGISTRY_MAX_CHAIN;
         slot != 0 && n < BURY_AT_ONCE && left > 0; left--) {
        const struct bri_slot_shm *s = bri_slot_at(a, slot);

        if (s == NULL || !is_pinned(s))
            slots[n++] = slot;
        slot = s != NULL ? s->next : 0;
    }
    bri_abort(&t);
    for (uint32_t i = 0; i < n; i++) {
        r = bury_one(&registry, slots[i]);
        if (r == BROKER_TIMEDOUT)
            worst = r; /* somebody stopped holds it: the others first */
    }
    return worst;
}
