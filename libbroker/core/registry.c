/*
 * registry.c - see registry.h
 */
#include "core/registry.h"

#include <sched.h>

#include <broker/errors.h>

#include "core/bury.h"
#include "core/collect.h"
#include "core/heap.h"
#include "core/names.h"
#include "core/pages.h"
#include "core/quota.h"
#include "core/session.h"

#define READ_TRIES 1000000
#define FIND_TRIES 64

int bri_registry_bind(struct bri_arena *a, struct bri_object *out)
{
    int r = bri_object_bind(a, a->first_slot, out);

    return r < 0 || out->root != NULL ? r : BROKER_CORRUPT;
}

void bri_registry_format(struct bri_arena *a)
{
    struct bri_slot_shm *slot = bri_slot_at(a, a->first_slot);
    struct bri_registry_shm *reg = (struct bri_registry_shm *)slot->state;
    uint32_t page = a->first_page;

    bri_heap_init(bri_page_at(a, page), 0);
    a->pages[page].tag = bri_tag(a->first_slot, BRI_PAGE_ROOT, 1);
    slot->root_page = page;
    slot->generation = 1;
    slot->status = BRI_SLOT_LIVE;
    slot->granted_pages = UINT32_MAX; /* what is internal is nobody's */
    reg->next_generation = 2;
    for (uint32_t i = 0; i < a->n_sessions; i++) {
        slot[1 + i].generation = 1;
        slot[1 + i].granted_pages = UINT32_MAX;
    }
}

/* A page of new slots, all but the first put on the free list. */
static uint32_t more_slots(struct bri_txn *t)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);
    uint32_t page = bri_alloc_pages(t, 1, BRI_PAGE_SLOTS);
    uint32_t first = page * BRI_SLOTS_PER_PAGE;

    if (page == 0)
        return 0;
    memset(bri_page_at(t->o->arena, page), 0, BRI_PAGE_SIZE);
    for (uint32_t i = 1; i < BRI_SLOTS_PER_PAGE; i++)
        bri_slot_at(t->o->arena, first + i)->next = i + 1 < BRI_SLOTS_PER_PAGE ? first + i + 1 : 0;
    bri_set32(t, &reg->free_slots, first + 1);
    return first;
}

static uint32_t take_slot(struct bri_txn *t)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);
    uint32_t slot = reg->free_slots;
    struct bri_slot_shm *s;

    if (slot == 0)
        return more_slots(t);
    s = bri_slot_at(t->o->arena, slot);
    if (s == NULL ||
        bri_tag_kind(bri_page_tag(t->o->arena, slot / BRI_SLOTS_PER_PAGE)) != BRI_PAGE_SLOTS ||
        atomic_load(&s->status) != BRI_SLOT_FREE)
        return (void)BRI_DAMAGED(t), 0;
    bri_set32(t, &reg->free_slots, s->next);
    return slot;
}

/*
 * The root page belongs to the new object from the start, though the registry's section claims it.
 */
static int add_root(struct bri_txn *t, struct bri_object *o, uint64_t quota_bytes)
{
    uint32_t page = bri_claim(t, 1, o->id, BRI_PAGE_ROOT);

    if (page == 0)
        return t->failed;
    o->root = bri_page_at(o->arena, page);
    bri_heap_init(o->root, quota_bytes);
    atomic_store_explicit(&o->slot->root_page, page, memory_order_relaxed);
    return 0;
}

/* Nobody reaches a free slot, except handles of its former object, which look at the generation
 * alone. */
static int init_slot(struct bri_txn *t, const struct bri_open *open, struct bri_object *o)
{
    struct bri_slot_shm *s = o->slot;
    int r;

    atomic_store_explicit(&s->root_page, 0, memory_order_relaxed);
    atomic_store_explicit(&s->chores, 0, memory_order_relaxed);
    atomic_store_explicit(&s->damaged, 0, memory_order_relaxed);
    atomic_store_explicit(&s->n_pins, 0, memory_order_relaxed);
    atomic_store_explicit(&s->type, open->type->number, memory_order_relaxed);
    memset(s->n_waiters, 0, sizeof(s->n_waiters));
    memset(s->state, 0, sizeof(s->state));
    s->n_silent = 0;
    s->n_recovered = 0;
    s->n_contended = 0;
    s->scan_epoch = 0;
    s->scan = 0;
    atomic_store_explicit(&s->anonymous, open->name == NULL, memory_order_relaxed);
    bri_collect_born(o);
    s->creator_uid = open->uid;
    s->created_ns = (uint64_t)bri_clock(CLOCK_REALTIME);
    if (open->type->has_heap) {
        r = add_root(t, o, open->quota_bytes);
        if (r < 0)
            return r;
    }
    return open->type->create(o, open->options);
}

/* Gives the new object its name, by which it is found from the commit on. */
static int give_name(struct bri_txn *t, const char *name, const struct bri_object *o)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);
    int r = bri_name_give(t, name, o->id, o->slot);

    if (r < 0)
        return r;
    bri_set64(t, &reg->n_objects, reg->n_objects + 1);
    return t->failed;
}

static int stay_anonymous(struct bri_txn *t, const struct bri_object *o)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);

    o->slot->name_off = 0;
    bri_set32(t, &o->slot->next, 0);
    bri_set64(t, &reg->n_anonymous, reg->n_anonymous + 1);
    return t->failed;
}

static int create(struct bri_txn *t, const struct bri_open *open, struct bri_object *out)
{
    struct bri_arena *a = t->o->arena;
    struct bri_registry_shm *reg = bri_registry_state(t->o);
    uint32_t slot, granted;
    int r;

    if (reg->next_generation >= BRI_GENERATION_MAX)
        return BROKER_LIMIT;
    r = bri_account_add(t, open->uid, open->type->has_heap, &granted);
    if (r < 0)
        return r;
    slot = take_slot(t);
    if (slot == 0)
        return t->failed;
    *out = (struct bri_object){
        .arena = a, .slot = bri_slot_at(a, slot), .id = slot, .type = open->type->number};
    if (out->slot == NULL)
        return BRI_DAMAGED(t);
    out->generation = reg->next_generation;
    r = init_slot(t, open, out);
    if (r == 0)
        r = open->name != NULL ? give_name(t, open->name, out) : stay_anonymous(t, out);
    if (r < 0)
        return r;
    bri_set_atomic32(t, &out->slot->granted_pages, granted);
    bri_set_atomic32(t, &out->slot->status, BRI_SLOT_LIVE);
    bri_set_atomic64(t, &out->slot->generation, out->generation);
    bri_set64(t, &reg->next_generation, reg->next_generation + 1);
    return 0;
}

static int open_existing(
    const struct bri_open *open, struct bri_arena *a, uint32_t slot, struct bri_object *out)
{
    int r;

    if (open->mode == BRI_OPEN_CREATE)
        return BROKER_EXISTS;
    r = bri_object_bind(a, slot, out);
    if (r < 0)
        return r == BROKER_GONE ? BROKER_CORRUPT : r;
    if (out->type != open->type->number)
        return BROKER_WRONGTYPE;
    if ((out->root != NULL) != open->type->has_heap)
        return BROKER_CORRUPT;
    return open->options != NULL ? open->type->match(out, open->options) : 0;
}

/* A read-only client takes no guard: it looks until nothing changed meanwhile. */
static int open_read_only(
    struct bri_object *registry, const struct bri_open *open, struct bri_object *out)
{
    uint32_t *link, slot;
    uint64_t seq;
    int r;

    for (uint32_t i = 0; i < READ_TRIES; i++) {
        if (!bri_read_begin(registry, &seq)) {
            (void)sched_yield();
            continue;
        }
        r = bri_name_find(registry, open->name, &link, &slot);
        if (r == 0)
            r = open_existing(open, registry->arena, slot, out);
        if (bri_read_valid(registry, seq))
            return r == BROKER_NOTFOUND && open->mode != BRI_OPEN_EXISTING ? BROKER_ACCESS : r;
    }
    return BROKER_TIMEDOUT;
}

/* What has no name can only be made. */
static int check_open(const struct bri_open *open)
{
    if (open->name == NULL)
        return open->mode == BRI_OPEN_EXISTING ? BROKER_INVALID : 0;
    return bri_name_check(open->name);
}

int bri_registry_open_ref(struct bri_arena *a, struct bri_ref ref, const struct bri_type_ops *type,
    struct bri_object *out_object)
{
    struct bri_object o;
    int r = bri_ref_is_of(a, ref) ? bri_object_bind(a, ref.slot, &o) : BROKER_INVALID;

    if (r == BROKER_CORRUPT || (r == 0 && (o.generation != bri_ref_generation(ref) ||
                                              atomic_load(&o.slot->status) != BRI_SLOT_LIVE ||
                                              ref.slot <= a->first_slot + a->n_sessions)))
        r = BROKER_GONE;
    if (r == 0 && o.type != type->number)
        r = BROKER_WRONGTYPE;
    if (r == 0)
        *out_object = o;
    return r;
}

int bri_registry_open(
    struct bri_arena *a, const struct bri_open *open, struct bri_object *out_object)
{
    struct bri_object registry, found = {0};
    bool reclaimed = false;
    struct bri_txn t;
    uint32_t *link, slot;
    int r = check_open(open);

    if (r == 0)
        r = bri_registry_bind(a, &registry);
    if (r < 0)
        return r;
    if (a->read_only)
        return open->name != NULL ? open_read_only(&registry, open, out_object) : BROKER_ACCESS;
    do {
        r = bri_begin(&t, &registry, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = open->name != NULL ? bri_name_find(&registry, open->name, &link, &slot)
                               : BROKER_NOTFOUND;
        if (r == 0)
            r = open_existing(open, a, slot, &found);
        else if (r == BROKER_NOTFOUND && open->mode != BRI_OPEN_EXISTING)
            r = create(&t, open, &found);
        else if (r == BROKER_CORRUPT)
            r = BRI_DAMAGED(&t);
        r = bri_end(&t, r);
        if (r == BROKER_QUOTA && bri_refused() == BRI_LIMIT_USER_BYTES && !reclaimed) {
            reclaimed = true;
            r = bri_reclaim_grants(a, &open->uid, BRI_PATIENCE) ? BRI_AGAIN : r;
        }
    } while (r == BRI_AGAIN);
    if (r == 0)
        *out_object = found;
    return r;
}

/* Binds what @name names, by a look without the registry's guard; BRI_AGAIN if it changed
 * meanwhile. */
static int look_up(struct bri_object *registry, const char *name, struct bri_object *out)
{
    uint32_t *link, slot;
    uint64_t seq;
    int r;

    if (!bri_read_begin(registry, &seq))
        return BRI_AGAIN;
    r = bri_name_find(registry, name, &link, &slot);
    if (r == 0)
        r = bri_object_bind(registry->arena, slot, out);
    if (!bri_read_valid(registry, seq))
        return BRI_AGAIN;
    return r == BROKER_GONE ? BROKER_CORRUPT : r;
}

int bri_registry_find(struct bri_arena *a, const char *name, struct bri_object *out_object)
{
    struct bri_object registry, found;
    uint32_t *link, slot;
    struct bri_txn t;
    int r = bri_name_check(name);

    if (r == 0)
        r = bri_registry_bind(a, &registry);
    if (r < 0)
        return r;
    r = BRI_AGAIN;
    for (uint32_t i = a->read_only ? READ_TRIES : FIND_TRIES; i > 0 && r == BRI_AGAIN; i--) {
        r = look_up(&registry, name, &found);
        if (r == BRI_AGAIN)
            (void)sched_yield();
    }
    if (r == BRI_AGAIN && !a->read_only) { /* its last owner may have died in a section */
        r = bri_begin(&t, &registry, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = bri_name_find(&registry, name, &link, &slot);
        if (r == 0)
            r = bri_object_bind(a, slot, &found);
        bri_abort(&t);
    }
    if (r == 0)
        *out_object = found;
    return r == BRI_AGAIN ? BROKER_TIMEDOUT : r == BROKER_GONE ? BROKER_CORRUPT : r;
}

void bri_registry_name(struct bri_object *o, char *out)
{
    struct bri_object registry;
    const char *name;
    struct bri_txn t;
    uint16_t n;

    out[0] = '\0';
    if (bri_registry_bind(o->arena, &registry) < 0)
        return;
    if (!o->arena->read_only && bri_begin(&t, &registry, BRI_PATIENCE) < 0)
        return;
    if (atomic_load(&o->slot->generation) == o->generation) {
        name = bri_name_of(&registry, o->slot, &n);
        if (name != NULL) {
            memcpy(out, name, n);
            out[n] = '\0';
        }
    }
    if (!o->arena->read_only)
        bri_abort(&t);
}

/* ---- removing ---- */

static void begin_to_die(struct bri_txn *t, struct bri_slot_shm *s, uint32_t slot)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);

    bri_account_unname(t, s);
    bri_set_atomic32(t, &s->status, BRI_SLOT_DYING);
    bri_set32(t, &s->next, reg->dying_slots);
    bri_set32(t, &reg->dying_slots, slot);
}

static int unname(struct bri_txn *t, const char *name)
{
    struct bri_registry_shm *reg = bri_registry_state(t->o);
    struct bri_slot_shm *s;
    uint32_t *link, slot;
    int r = bri_name_find(t->o, name, &link, &slot);

    if (r < 0)
        return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
    s = bri_slot_at(t->o->arena, slot);
    bri_name_take(t, link, s);
    begin_to_die(t, s, slot);
    bri_set64(t, &reg->n_objects, reg->n_objects - 1);
    return 0;
}

int bri_registry_end_anonymous(struct bri_arena *a, uint32_t slot, uint64_t mark, uint64_t sweep)
{
    struct bri_slot_shm *s = bri_slot_at(a, slot);
    struct bri_registry_shm *reg;
    struct bri_object registry;
    struct bri_txn t;
    int r = bri_registry_bind(a, &registry);

    if (r == 0)
        r = bri_begin(&t, &registry, -2 * BRI_MILLISECOND);
    if (r < 0)
        return r;
    reg = bri_registry_state(&registry);
    /* The sweep can't end before this section has: it has to get by this slot. */
    if (!bri_collect_is_sweeping(a, sweep) || atomic_load(&s->status) != BRI_SLOT_LIVE ||
        atomic_load(&s->anonymous) == 0 || atomic_load(&s->mark) != mark) {
        r = BROKER_NOTFOUND;
    } else {
        begin_to_die(&t, s, slot);
        bri_set64(&t, &reg->n_anonymous, reg->n_anonymous - 1);
    }
    return bri_end(&t, r);
}

/* Another name, or with NULL none: it is removed. The section is repeated when there is more
 * memory. */
static int change_name(struct bri_arena *a, const char *name, const char *new_name)
{
    struct bri_object registry;
    struct bri_txn t;
    int r = bri_name_check(name);

    if (r == 0 && new_name != NULL)
        r = bri_name_check(new_name);
    if (r == 0)
        r = bri_registry_bind(a, &registry);
    if (r < 0)
        return r;
    do {
        r = bri_begin(&t, &registry, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = bri_end(&t, new_name != NULL ? bri_name_change(&t, name, new_name) : unname(&t, name));
    } while (r == BRI_AGAIN);
    return r;
}

int bri_registry_rename(struct bri_arena *a, const char *name, const char *new_name)
{
    return new_name != NULL ? change_name(a, name, new_name) : BROKER_BADNAME;
}

int bri_registry_destroy(struct bri_arena *a, const char *name)
{
    int r = change_name(a, name, NULL);

    if (r == 0)
        (void)bri_bury(a); /* if it is stuck, the daemon goes on with it */
    return r;
}
