/*
 * test_damage_found.c - damages that were thought of: references into other objects, cycles, counts
 * that lie
 *
 * Random bytes seldom make one of these.
 */
#include "victim.h"

#include <stdio.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/clock.h"
#include "core/pages.h"
#include "core/session.h"
#include "objects/items.h"
#include "objects/table.h"
#include "unit/core/lab.h"

TestSuite(damage_found, .init = victim_make, .fini = victim_free, .timeout = 120);

/* Heads of entries and segments, as table.c and items.c have them to themselves. */
struct entry_head {
    uint32_t hash, chain, prev, next, key_size, value_size;
};

struct segment_head {
    uint32_t next, prev, end, n_held;
    uint64_t passed;
};

/* ---- places in a copy ---- */

static void *in(struct bri_arena *view, const void *p)
{
    return view->base + bri_off(victim.arena, p);
}

static struct bri_slot_shm *slot_in(struct bri_arena *view, const struct bri_object *o)
{
    return in(view, o->slot);
}

static struct bri_table_shm *table_in(struct bri_arena *view, const struct bri_object *o)
{
    return (struct bri_table_shm *)slot_in(view, o)->state;
}

static struct bri_items_shm *items_in(struct bri_arena *view, const struct bri_object *o)
{
    return (struct bri_items_shm *)slot_in(view, o)->state;
}

static struct entry_head *entry_in(struct bri_arena *view, uint32_t unit)
{
    return BRI_AT(view, bri_unit_off(unit), struct entry_head);
}

static struct segment_head *segment_in(struct bri_arena *view, uint32_t page)
{
    return bri_page_at(view, page);
}

static uint32_t second_entry(struct bri_arena *view, const struct bri_object *o)
{
    return entry_in(view, table_in(view, o)->first)->next;
}

static struct bri_attachment_shm *attachment_in(struct bri_arena *view, const struct bri_object *o)
{
    struct bri_object session;
    struct bri_attachment_shm *att = NULL;

    (void)bri_session_object(view, 0, &session);
    for (uint64_t off = bri_session_state(&session)->first_attachment; off != 0;
         off = att->next_off) {
        att = bri_attachment_at(&session, off);
        if (att->object == o->id)
            return att;
    }
    return NULL;
}

static uint32_t page_of(const struct bri_object *o, enum bri_page_kind kind)
{
    for (uint32_t page = victim.arena->first_page; page < victim.arena->n_pages; page++) {
        uint64_t tag = bri_page_tag(victim.arena, page);

        if (bri_tag_owner(tag) == o->id && bri_tag_kind(tag) == kind)
            return page;
    }
    return 0;
}

/* ---- damages ---- */

static void dict_without_root(struct bri_arena *view)
{
    atomic_store(&slot_in(view, &victim.dict)->root_page, 0);
}

static void queue_without_root(struct bri_arena *view)
{
    atomic_store(&slot_in(view, &victim.queue)->root_page, 0);
}

static void lock_with_a_root(struct bri_arena *view)
{
    atomic_store(
        &slot_in(view, &victim.lock)->root_page, atomic_load(&victim.dict.slot->root_page));
}

static void dict_with_the_root_of_another(struct bri_arena *view)
{
    atomic_store(
        &slot_in(view, &victim.dict)->root_page, atomic_load(&victim.witness_dict.slot->root_page));
}

/* An entry whose neighbours in the order are another dict's. */
static void entry_before_anothers(struct bri_arena *view)
{
    entry_in(view, table_in(view, &victim.dict)->first)->next =
        second_entry(view, &victim.witness_dict);
}

static void entry_after_anothers(struct bri_arena *view)
{
    entry_in(view, table_in(view, &victim.dict)->last)->prev =
        second_entry(view, &victim.witness_dict);
}

static void first_entry_is_anothers(struct bri_arena *view)
{
    table_in(view, &victim.dict)->first = second_entry(view, &victim.witness_dict);
}

static void last_entry_is_anothers(struct bri_arena *view)
{
    table_in(view, &victim.dict)->last = second_entry(view, &victim.witness_dict);
}

static void every_entry_is_chained_to_anothers(struct bri_arena *view)
{
    uint32_t foreign = second_entry(view, &victim.witness_dict);

    for (uint32_t unit = table_in(view, &victim.dict)->first; unit != 0;
         unit = entry_in(view, unit)->next)
        if (entry_in(view, unit)->chain == 0)
            entry_in(view, unit)->chain = foreign;
}

static void buckets_are_anothers(struct bri_arena *view)
{
    table_in(view, &victim.dict)->top = table_in(view, &victim.witness_dict)->top;
}

static void buckets_are_a_slab(struct bri_arena *view)
{
    table_in(view, &victim.dict)->top = page_of(&victim.dict, BRI_PAGE_SLAB);
}

/* Cycles, with counts that do not end them. */
static void order_is_a_ring(struct bri_arena *view)
{
    struct bri_table_shm *table = table_in(view, &victim.dict);

    entry_in(view, table->last)->next = table->first;
    entry_in(view, table->first)->prev = table->last;
    table->n_entries = UINT64_MAX;
    table->n_bytes = UINT64_MAX;
}

static void order_is_a_ring_with_a_possible_count(struct bri_arena *view)
{
    struct bri_table_shm *table = table_in(view, &victim.dict);

    entry_in(view, table->last)->next = table->first;
    table->n_entries = 100000000;
    table->n_bytes = 500000000;
}

static void every_chain_is_a_ring(struct bri_arena *view)
{
    struct bri_table_shm *table = table_in(view, &victim.dict);

    for (uint32_t unit = table->first; unit != 0; unit = entry_in(view, unit)->next)
        entry_in(view, unit)->chain = unit;
    table->n_entries = UINT64_MAX;
}

static void more_buckets_than_there_are(struct bri_arena *view)
{
    table_in(view, &victim.dict)->n_buckets = UINT64_C(1) << 30;
}

static void no_end_of_buckets(struct bri_arena *view)
{
    table_in(view, &victim.dict)->n_buckets = UINT64_MAX;
}

static void every_value_ends_beyond_the_arena(struct bri_arena *view)
{
    for (uint32_t unit = table_in(view, &victim.dict)->first; unit != 0;
         unit = entry_in(view, unit)->next)
        entry_in(view, unit)->value_size = UINT32_MAX - (unit & 0xff);
}

/* A value that reaches over the end of its block, into what lies behind: written over, it must not
 * be. */
static void every_value_is_longer_than_its_block(struct bri_arena *view)
{
    for (uint32_t unit = table_in(view, &victim.dict)->first; unit != 0;
         unit = entry_in(view, unit)->next)
        entry_in(view, unit)->value_size += 600;
}

/* Queues. */
static void tail_is_anothers(struct bri_arena *view)
{
    items_in(view, &victim.queue)->tail = items_in(view, &victim.witness_queue)->tail;
}

static void head_is_anothers(struct bri_arena *view)
{
    items_in(view, &victim.queue)->head = items_in(view, &victim.witness_queue)->head;
}

static void tail_is_not_aligned(struct bri_arena *view)
{
    items_in(view, &victim.queue)->tail.at += 1;
}

static void head_is_not_aligned(struct bri_arena *view)
{
    items_in(view, &victim.queue)->head.at += 4;
}

static void tail_is_beyond_its_segment(struct bri_arena *view)
{
    items_in(view, &victim.queue)->tail.at = UINT32_MAX - 15;
}

static void spare_segment_is_in_use(struct bri_arena *view)
{
    items_in(view, &victim.queue)->spare_segment = items_in(view, &victim.queue)->first_segment;
}

static void spare_segment_is_anothers(struct bri_arena *view)
{
    items_in(view, &victim.queue)->spare_segment =
        items_in(view, &victim.witness_queue)->first_segment;
}

static void segments_are_a_ring(struct bri_arena *view)
{
    const struct bri_items_shm *q = items_in(view, &victim.queue);

    segment_in(view, q->tail.segment)->next = q->first_segment;
    segment_in(view, q->first_segment)->prev = q->tail.segment;
}

static struct bri_item_shm *item_in(struct bri_arena *view, uint64_t off)
{
    return BRI_AT(view, off, struct bri_item_shm);
}

/* An item of the other queue, as a unit. */
static uint32_t foreign_item(struct bri_arena *view)
{
    struct bri_place_shm head = items_in(view, &victim.witness_queue)->head;

    return (head.segment << (BRI_PAGE_SHIFT - BRI_UNIT_SHIFT)) + (head.at >> BRI_UNIT_SHIFT);
}

static void returned_items_are_anothers(struct bri_arena *view)
{
    struct bri_tree_shm *early = &items_in(view, &victim.queue)->early;

    early->root = early->first = foreign_item(view) + 1; /* its node is one unit on */
}

static void returned_items_are_a_ring(struct bri_arena *view)
{
    uint32_t root = items_in(view, &victim.queue)->early.root;
    struct bri_item_shm *item = item_in(view, bri_unit_off(root - 1));

    item->node.right = item->node.left = item->node.parent = root;
    item->number = 0;
}

static void leases_are_a_ring(struct bri_arena *view)
{
    struct bri_attachment_shm *att = attachment_in(view, &victim.queue);
    struct bri_item_shm *first = item_in(view, att->first_lease),
                        *last = item_in(view, att->last_lease);

    last->next = (uint32_t)(att->first_lease >> BRI_UNIT_SHIFT);
    first->prev = (uint32_t)(att->last_lease >> BRI_UNIT_SHIFT);
    att->n_leases = UINT32_MAX;
}

static void a_lease_is_anothers_item(struct bri_arena *view)
{
    attachment_in(view, &victim.queue)->first_lease = bri_unit_off(foreign_item(view));
}

static void the_last_lease_is_anothers_item(struct bri_arena *view)
{
    attachment_in(view, &victim.queue)->last_lease = bri_unit_off(foreign_item(view));
}

static void neighbours_of_a_lease_are_anothers_items(struct bri_arena *view)
{
    struct bri_attachment_shm *att = attachment_in(view, &victim.queue);
    struct bri_item_shm *item = item_in(view, bri_unit_off(item_in(view, att->first_lease)->next));

    item->next = foreign_item(view);
    item->prev = foreign_item(view);
}

static void bodies_are_anothers(struct bri_arena *view)
{
    struct bri_place_shm place = items_in(view, &victim.queue)->head;
    uint32_t foreign = page_of(&victim.witness_queue, BRI_PAGE_RUN);

    item_in(view, ((uint64_t)place.segment << BRI_PAGE_SHIFT) + place.at)->body = foreign;
}

static void more_leases_than_there_are(struct bri_arena *view)
{
    attachment_in(view, &victim.queue)->n_leases = UINT32_MAX;
    attachment_in(view, &victim.queue)->first_lease = 0;
    attachment_in(view, &victim.queue)->last_lease = 0;
}

/* Heaps and pages. */
static void journal_extents_are_pages_in_use(struct bri_arena *view)
{
    slot_in(view, &victim.dict)->extents[0] = page_of(&victim.dict, BRI_PAGE_SLAB);
    slot_in(view, &victim.queue)->extents[0] = page_of(&victim.queue, BRI_PAGE_RUN);
}

static void pages_in_use_are_being_given_back(struct bri_arena *view)
{
    struct bri_slot_shm *s = slot_in(view, &victim.dict);

    s->n_giving = 100;
    atomic_store(&s->giving, page_of(&victim.dict, BRI_PAGE_SLAB));
}

static void a_run_in_use_is_being_drained(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);

    root->heap.draining = page_of(&victim.dict, BRI_PAGE_SLAB);
    atomic_store(&slot_in(view, &victim.dict)->chores, 1);
}

static void every_partial_slab_is_anothers(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);
    const struct bri_root_shm *other = in(view, victim.witness_dict.root);

    for (unsigned i = 0; i < BRI_N_CLASSES; i++)
        root->heap.partial[i] = other->heap.partial[i];
}

static void partial_slabs_are_of_other_classes(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);
    uint32_t first = root->heap.partial[0];

    for (unsigned i = 0; i + 1 < BRI_N_CLASSES; i++)
        root->heap.partial[i] = root->heap.partial[i + 1];
    root->heap.partial[BRI_N_CLASSES - 1] = first;
}

static void runs_are_a_ring(struct bri_arena *view)
{
    const struct bri_root_shm *root = in(view, victim.dict.root);
    uint32_t first = root->heap.runs;

    view->pages[view->pages[first].next].next = first;
    view->pages[first].prev = view->pages[first].next;
}

static void runs_are_anothers(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);
    const struct bri_root_shm *other = in(view, victim.witness_dict.root);

    root->heap.runs = other->heap.runs;
}

static void released_runs_are_in_use(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);

    root->heap.zombies = root->heap.runs;
    atomic_store(&slot_in(view, &victim.dict)->chores, 1);
}

static void released_runs_are_anothers(struct bri_arena *view)
{
    struct bri_root_shm *root = in(view, victim.dict.root);
    const struct bri_root_shm *other = in(view, victim.witness_dict.root);

    root->heap.released = other->heap.runs;
    atomic_store(&slot_in(view, &victim.dict)->chores, 1);
}

/* Sessions. */
static void attachments_are_a_ring(struct bri_arena *view)
{
    struct bri_attachment_shm *att = attachment_in(view, &victim.lock);

    att->next_off = bri_off(view, attachment_in(view, &victim.dict));
}

static void an_attachment_is_of_an_object_that_is_none(struct bri_arena *view)
{
    attachment_in(view, &victim.dict)->object = UINT32_MAX;
    attachment_in(view, &victim.lock)->object = view->first_slot;
    attachment_in(view, &victim.queue)->object =
        page_of(&victim.dict, BRI_PAGE_SLAB) * BRI_SLOTS_PER_PAGE;
}

static void reserved_runs_are_anothers(struct bri_arena *view)
{
    struct bri_attachment_shm *att = attachment_in(view, &victim.dict);

    att->reserved = page_of(&victim.witness_dict, BRI_PAGE_RUN);
    att->n_reserved = 1;
}

static void reserved_runs_are_nowhere(struct bri_arena *view)
{
    struct bri_attachment_shm *att = attachment_in(view, &victim.dict);

    att->reserved = UINT32_MAX;
    att->n_reserved = UINT32_MAX;
}

static const struct found {
    const char *what;
    void (*make)(struct bri_arena *view);
} all_found[] = {
#define FOUND(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }
    FOUND(dict_without_root),
    FOUND(queue_without_root),
    FOUND(lock_with_a_root),
    FOUND(dict_with_the_root_of_another),
    FOUND(entry_before_anothers),
    FOUND(entry_after_anothers),
    FOUND(first_entry_is_anothers),
    FOUND(last_entry_is_anothers),
    FOUND(every_entry_is_chained_to_anothers),
    FOUND(buckets_are_anothers),
    FOUND(buckets_are_a_slab),
    FOUND(order_is_a_ring),
    FOUND(order_is_a_ring_with_a_possible_count),
    FOUND(every_chain_is_a_ring),
    FOUND(more_buckets_than_there_are),
    FOUND(no_end_of_buckets),
    FOUND(every_value_ends_beyond_the_arena),
    FOUND(every_value_is_longer_than_its_block),
    FOUND(tail_is_anothers),
    FOUND(head_is_anothers),
    FOUND(tail_is_not_aligned),
    FOUND(head_is_not_aligned),
    FOUND(tail_is_beyond_its_segment),
    FOUND(spare_segment_is_in_use),
    FOUND(spare_segment_is_anothers),
    FOUND(segments_are_a_ring),
    FOUND(returned_items_are_anothers),
    FOUND(returned_items_are_a_ring),
    FOUND(leases_are_a_ring),
    FOUND(a_lease_is_anothers_item),
    FOUND(the_last_lease_is_anothers_item),
    FOUND(neighbours_of_a_lease_are_anothers_items),
    FOUND(bodies_are_anothers),
    FOUND(more_leases_than_there_are),
    FOUND(journal_extents_are_pages_in_use),
    FOUND(pages_in_use_are_being_given_back),
    FOUND(a_run_in_use_is_being_drained),
    FOUND(every_partial_slab_is_anothers),
    FOUND(partial_slabs_are_of_other_classes),
    FOUND(runs_are_a_ring),
    FOUND(runs_are_anothers),
    FOUND(released_runs_are_in_use),
    FOUND(released_runs_are_anothers),
    FOUND(attachments_are_a_ring),
    FOUND(an_attachment_is_of_an_object_that_is_none),
    FOUND(reserved_runs_are_anothers),
    FOUND(reserved_runs_are_nowhere),
#undef FOUND
};

static bool damage_found(struct bri_arena *view, unsigned number, char text[128])
{
    if (number >= sizeof(all_found) / sizeof(all_found[0]))
        return false;
    all_found[number].make(view);
    (void)snprintf(text, 128, "%s", all_found[number].what);
    return true;
}

Test(damage_found, none_does_harm_to_others)
{
    victim_suffer(damage_found, true);
}

/* ---- names ---- */

static void name_leads_to_itself(struct bri_arena *view)
{
    slot_in(view, &victim.dict)->next = victim.dict.id;
}

static void names_are_a_ring(struct bri_arena *view)
{
    slot_in(view, &victim.dict)->next = victim.queue.id;
    slot_in(view, &victim.queue)->next = victim.dict.id;
}

static void free_slots_are_a_ring(struct bri_arena *view)
{
    struct bri_registry_shm *reg =
        (struct bri_registry_shm *)slot_in(view, &victim.registry)->state;
    struct bri_slot_shm *free_one = bri_slot_at(view, reg->free_slots);

    free_one->next = reg->free_slots;
}

static void dying_slots_are_a_ring(struct bri_arena *view)
{
    struct bri_registry_shm *reg =
        (struct bri_registry_shm *)slot_in(view, &victim.registry)->state;

    reg->dying_slots = victim.lock.id;
    atomic_store(&slot_in(view, &victim.lock)->status, BRI_SLOT_DYING);
    slot_in(view, &victim.lock)->next = victim.lock.id;
}

static void a_dying_slot_lives(struct bri_arena *view)
{
    struct bri_registry_shm *reg =
        (struct bri_registry_shm *)slot_in(view, &victim.registry)->state;

    reg->dying_slots = victim.dict.id;
}

static const struct found found_names[] = {{"name_leads_to_itself", name_leads_to_itself},
    {"names_are_a_ring", names_are_a_ring}, {"free_slots_are_a_ring", free_slots_are_a_ring},
    {"dying_slots_are_a_ring", dying_slots_are_a_ring}, {"a_dying_slot_lives", a_dying_slot_lives}};

static bool damage_names(struct bri_arena *view, unsigned number, char text[128])
{
    if (number >= sizeof(found_names) / sizeof(found_names[0]))
        return false;
    found_names[number].make(view);
    (void)snprintf(text, 128, "%s", found_names[number].what);
    return true;
}

Test(damage_found, names_that_are_rings_end)
{
    victim_suffer(damage_names, false);
}

/* ---- who notices ---- */

/* Each of these must be noticed by the audit: what it does not see, nobody repairs. */
Test(damage_found, the_audit_sees_what_it_should)
{
    for (size_t i = 0; i < sizeof(all_found) / sizeof(all_found[0]); i++) {
        struct bri_arena *view = lab_view(victim.arena);
        struct bri_audit audit = {.quiet_arena = true};
        int r;

        all_found[i].make(view);
        r = bri_audit_arena(view, &audit);
        cr_expect(r < 0 || audit.n_problems > 0, "%s is not seen", all_found[i].what);
        lab_unview(view);
    }
}

/* ---- guards ---- */

/* A futex that says that somebody who lives has it. */
Test(damage_found, a_guard_in_living_hands_is_timedout)
{
    struct bri_arena *view = lab_view(victim.arena);
    struct bri_object o;
    struct bri_txn t;

    cr_assert_eq(bri_object_bind(view, victim.dict.id, &o), 0);
    atomic_store(&o.slot->word, 1);
    cr_assert_eq(bri_begin(&t, &o, -5 * BRI_MILLISECOND), BROKER_TIMEDOUT);
    cr_assert_eq(atomic_load(&o.slot->damaged), 0);
    atomic_store(&o.slot->word, 0);
    cr_assert_eq(bri_begin(&t, &o, -5 * BRI_MILLISECOND), 0);
    bri_abort(&t);
    lab_unview(view);
}

/* A thread id that nobody has: found out after a second at most, and recovered from. */
Test(damage_found, a_guard_in_nobodys_hands_is_taken_over)
{
    struct bri_arena *view = lab_view(victim.arena);
    struct bri_object o;
    struct bri_txn t;

    cr_assert_eq(bri_object_bind(view, victim.dict.id, &o), 0);
    atomic_store(&o.slot->word, 0x3ffffff0);
    cr_assert_eq(bri_begin(&t, &o, -20 * BRI_SECOND), 0);
    cr_assert_eq(o.slot->n_recovered, 1);
    bri_abort(&t);
    lab_unview(view);
}
