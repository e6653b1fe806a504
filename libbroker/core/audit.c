/*
 * audit.c - see audit.h
 */
#include "core/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <broker/errors.h>

#include "core/account.h"
#include "core/attachment.h"
#include "core/bury.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/pages.h"
#include "core/session.h"

#define LIST_AT_ONCE 256u
#define MAX_SLOT_LIST 100000000u

static void report(struct bri_audit *audit, const char *problem)
{
    audit->n_problems++;
    if (audit->report != NULL)
        audit->report(audit->arg, audit->object, problem);
}

void bri_audit_fail(struct bri_audit *audit, const struct bri_object *o, const char *format, ...)
{
    char text[256];
    va_list args;

    (void)o;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    report(audit, text);
}

static bool test_and_set(uint8_t *bits, uint64_t n)
{
    bool was = (bits[n / 8] >> n % 8 & 1) != 0;

    bits[n / 8] = (uint8_t)(bits[n / 8] | 1u << n % 8);
    return was;
}

void bri_audit_block(struct bri_audit *audit, const struct bri_object *o, uint64_t off)
{
    if (bri_block_capacity(o, off) == 0)
        bri_audit_fail(
            audit, o, "what should be a block at offset %llu is none", (unsigned long long)off);
    else if (test_and_set(audit->seen_units, off >> BRI_UNIT_SHIFT))
        bri_audit_fail(audit, o, "the block at offset %llu is used twice", (unsigned long long)off);
}

/* Notes the pages of a run as found in a list. */
static bool see_run(struct bri_audit *audit, const struct bri_object *o, uint32_t page)
{
    uint64_t tag = bri_page_tag(o->arena, page);
    uint32_t n = bri_tag_aux(tag);

    if (tag == 0 || bri_tag_owner(tag) != o->id || bri_tag_kind(tag) == BRI_PAGE_TAIL || n == 0 ||
        n > o->arena->n_pages - page) {
        bri_audit_fail(audit, o, "page %u is in a list of the object but not its own", page);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && bri_page_tag(o->arena, page + i) != bri_tag(o->id, BRI_PAGE_TAIL, i))
            bri_audit_fail(audit, o, "page %u is not the %uth of its run", page + i, i);
        if (test_and_set(audit->seen_pages, page + i))
            bri_audit_fail(audit, o, "page %u is in two lists", page + i);
    }
    return true;
}

static uint64_t see_list(struct bri_audit *audit, const struct bri_object *o, uint32_t first)
{
    uint64_t n_pages = 0;
    uint32_t prev = 0;

    for (uint32_t page = first; page != 0; page = o->arena->pages[page].next) {
        if (n_pages > o->arena->n_pages || !see_run(audit, o, page))
            break;
        if (o->arena->pages[page].prev != prev)
            bri_audit_fail(audit, o, "page %u has a wrong predecessor in its list", page);
        n_pages += bri_tag_aux(bri_page_tag(o->arena, page));
        prev = page;
    }
    return n_pages;
}

static const uint32_t *slab_limits(
    const struct bri_object *o, uint32_t page, struct bri_slab_shm **out)
{
    struct bri_slab_shm *s = bri_page_at(o->arena, page);

    *out = s;
    return s != NULL ? &s->n_blocks : NULL;
}

/* Every used block of a slab must be known to its owner; a slab with a free block must be in its
 * class's list. */
static void check_slab(
    struct bri_audit *audit, const struct bri_object *o, uint32_t page, bool listed)
{
    uint64_t start = (uint64_t)page << BRI_PAGE_SHIFT, size;
    struct bri_slab_shm *s;
    bool full = true;

    if (slab_limits(o, page, &s) == NULL || s->class_no >= BRI_N_CLASSES ||
        s->n_blocks != bri_class_blocks(s->class_no)) {
        bri_audit_fail(audit, o, "the slab at page %u has a damaged head", page);
        return;
    }
    size = bri_class_size(s->class_no);
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        uint64_t off = start + sizeof(*s) + i * size;
        bool used = (s->used[i / 64] >> i % 64 & 1) != 0;
        bool known = (audit->seen_units[off >> 7] >> (off >> 4) % 8 & 1) != 0;

        full &= used;
        if (used && !known)
            bri_audit_fail(audit, o, "the block at offset %llu is lost", (unsigned long long)off);
    }
    if (full == listed)
        bri_audit_fail(audit, o, "the slab at page %u is %s but %s the list", page,
            full ? "full" : "not full", listed ? "in" : "not in");
}

static bool is_listed(const struct bri_object *o, uint32_t page)
{
    struct bri_slab_shm *s;
    uint32_t left = o->arena->n_pages, at;

    if (slab_limits(o, page, &s) == NULL || s->class_no >= BRI_N_CLASSES)
        return false;
    for (at = o->root->heap.partial[s->class_no]; at != 0 && at != page && left-- > 0;)
        at = slab_limits(o, at, &s) != NULL ? s->next : 0;
    return at == page;
}

static void check_heap(struct bri_audit *audit, const struct bri_object *o, uint64_t reserved)
{
    const struct bri_heap_shm *h = &o->root->heap;
    uint64_t n = 1 + reserved;

    n += see_list(audit, o, h->runs);
    n += see_list(audit, o, h->zombies);
    n += see_list(audit, o, h->released);
    if (n != h->n_pages)
        bri_audit_fail(audit, o, "%llu pages in lists, but the count says %llu",
            (unsigned long long)n, (unsigned long long)h->n_pages);
    if (h->n_pages > atomic_load(&o->slot->granted_pages))
        bri_audit_fail(audit, o, "%llu pages, but only %u are granted",
            (unsigned long long)h->n_pages, atomic_load(&o->slot->granted_pages));
    for (uint32_t page = h->runs, left = o->arena->n_pages;
         page != 0 && page < o->arena->n_pages && left-- > 0; page = o->arena->pages[page].next) {
        uint64_t tag = bri_page_tag(o->arena, page);
        uint64_t unit = (uint64_t)page << (BRI_PAGE_SHIFT - BRI_UNIT_SHIFT);

        if (bri_tag_kind(tag) == BRI_PAGE_SLAB)
            check_slab(audit, o, page, is_listed(o, page));
        else if (bri_tag_kind(tag) == BRI_PAGE_RUN &&
                 (audit->seen_units[unit / 8] >> unit % 8 & 1) == 0)
            bri_audit_fail(audit, o, "the run at page %u is lost", page);
    }
}

/* What sessions have of an object. */
struct sum {
    uint64_t waiting[BRI_N_CHANNELS]; /* sleepers */
    uint64_t held[2], n_leases;       /* what its type counts */
    uint64_t reserved;                /* pages */
    uint32_t pins;
};

/* Adds what the sessions have of the object that lives in the slot, and the pins of one that is
 * dying there. Their lists are seen on the way. */
static void add_attachment(struct bri_audit *audit, const struct bri_object *o, uint32_t session,
    const struct bri_attachment_shm *att, struct sum *sum)
{
    if (att->object != o->id)
        return;
    sum->pins += att->pinned;
    if (att->generation != o->generation)
        return;
    for (unsigned c = 0; c < BRI_N_CHANNELS; c++)
        sum->waiting[c] += att->n_waiting[c];
    sum->held[0] += att->held[0];
    sum->held[1] += att->held[1];
    sum->n_leases += att->n_leases;
    if (see_list(audit, o, att->reserved) != att->n_reserved)
        bri_audit_fail(audit, o, "session %u has not as many pages reserved as it says", session);
    sum->reserved += att->n_reserved;
}

static struct sum sum_attachments(struct bri_audit *audit, const struct bri_object *o)
{
    struct bri_arena *a = o->arena;
    struct sum sum = {0};

    for (uint32_t i = 0; i < a->n_sessions; i++) {
        const struct bri_attachment_shm *att;
        struct bri_object session;
        uint32_t left = 1000000;

        if (bri_session_object(a, i, &session) < 0 || session.root == NULL)
            continue;
        for (uint64_t off = bri_session_state(&session)->first_attachment; off != 0 && left-- > 0;
             off = att->next_off) {
            att = bri_attachment_at(&session, off);
            if (att == NULL)
                break;
            add_attachment(audit, o, i, att, &sum);
        }
    }
    return sum;
}

static void check_pins(struct bri_audit *audit, const struct bri_object *o, uint32_t pins)
{
    uint32_t says = atomic_load(&o->slot->n_pins);

    if (pins != says)
        bri_audit_fail(audit, o, "%u pins, but sessions have %u", says, pins);
}

static void check_waiters(
    struct bri_audit *audit, const struct bri_object *o, const uint64_t *waiting)
{
    for (unsigned c = 0; c < BRI_N_CHANNELS; c++)
        if (waiting[c] != o->slot->n_waiters[c])
            bri_audit_fail(audit, o, "%u sleepers on channel %u, but sessions have %llu",
                o->slot->n_waiters[c], c, (unsigned long long)waiting[c]);
}

/* With the guard held: nothing is half done now. */
static void check_object(struct bri_audit *audit, const struct bri_object *o)
{
    const struct bri_type_ops *ops = bri_type_ops(o->type);
    struct sum sum = sum_attachments(audit, o);

    memcpy(audit->held, sum.held, sizeof(audit->held));
    audit->n_leases = sum.n_leases;
    check_waiters(audit, o, sum.waiting);
    check_pins(audit, o, sum.pins);
    if (ops == NULL) {
        bri_audit_fail(audit, o, "there is no type %u", o->type);
        return;
    }
    if (ops->has_heap != (o->root != NULL)) {
        bri_audit_fail(audit, o, "the root page is %s", o->root != NULL ? "too much" : "missing");
        return;
    }
    if (ops->audit != NULL)
        ops->audit(o, audit);
    if (o->root != NULL) {
        (void)test_and_set(audit->seen_pages, o->slot->root_page);
        check_heap(audit, o, sum.reserved);
    }
}

/* An object as it is now, recovered: 0 with its guard held. */
static int enter(struct bri_txn *t, struct bri_object *o)
{
    int r = bri_begin(t, o, BRI_PATIENCE);

    if (r == 0 && o->root != NULL && (atomic_load(&o->slot->chores) & BRI_CHORE_RUNS) != 0) {
        bri_abort(t);
        r = bri_heap_finish_chores(o, BRI_PATIENCE);
        if (r == 0)
            r = bri_begin(t, o, BRI_PATIENCE);
    }
    return r;
}

static int audit_listed(
    struct bri_arena *a, const struct bri_listing *entry, struct bri_audit *audit)
{
    struct bri_object o;
    struct bri_txn t;
    int r = bri_object_bind(a, entry->slot, &o);

    if (entry->name[0] != '\0')
        (void)snprintf(audit->object, sizeof(audit->object), "%s", entry->name);
    else
        (void)snprintf(
            audit->object, sizeof(audit->object), "the anonymous object of slot %u", entry->slot);
    if (r == 0)
        r = enter(&t, &o);
    if (r == BROKER_CORRUPT) {
        bri_audit_fail(audit, &o, "quarantined: an operation found it damaged");
        return 0;
    }
    if (r == BROKER_GONE)
        return 0; /* removed meanwhile */
    if (r < 0)
        return r;
    audit->n_objects++;
    check_object(audit, &o);
    bri_abort(&t);
    return 0;
}

typedef int list_fn(
    struct bri_arena *a, uint32_t *cursor, struct bri_listing *entries, uint32_t max);

static int audit_objects(struct bri_arena *a, struct bri_audit *audit, list_fn *list)
{
    struct bri_listing *entries = calloc(LIST_AT_ONCE, sizeof(*entries));
    uint32_t cursor = 0;
    int n = 0, r = entries != NULL ? 0 : BROKER_NOMEM;

    while (r == 0) {
        n = list(a, &cursor, entries, LIST_AT_ONCE);
        if (n < 0)
            r = n;
        for (int i = 0; i < n && r == 0; i++)
            r = audit_listed(a, &entries[i], audit);
        if (cursor == 0)
            break;
    }
    free(entries);
    return r;
}

static void check_session(struct bri_audit *audit, const struct bri_object *session)
{
    const struct bri_session_shm *s = bri_session_state(session);
    struct bri_attachment_shm *att;
    uint64_t prev = 0, off;
    uint32_t n = 0;

    audit->n_sessions++;
    for (off = s->first_attachment; off != 0 && n <= s->n_attachments; n++) {
        att = bri_attachment_at(session, off);
        if (att == NULL || att->prev_off != prev) {
            bri_audit_fail(audit, session, "attachment number %u is damaged", n);
            return;
        }
        bri_audit_block(audit, session, off);
        prev = off;
        off = att->next_off;
    }
    if (n != s->n_attachments)
        bri_audit_fail(
            audit, session, "%u attachments, but the count says %u", n, s->n_attachments);
    (void)test_and_set(audit->seen_pages, session->slot->root_page);
    check_heap(audit, session, 0);
}

static int audit_sessions(struct bri_arena *a, struct bri_audit *audit)
{
    for (uint32_t i = 0; i < a->n_sessions; i++) {
        struct bri_object session;
        struct bri_txn t;
        int r = bri_session_object(a, i, &session);

        (void)snprintf(audit->object, sizeof(audit->object), "session %u", i);
        if (r == 0)
            r = enter(&t, &session);
        if (r == BROKER_CORRUPT) {
            bri_audit_fail(audit, &session, "the session's record is damaged");
            continue;
        }
        if (r < 0)
            return r;
        if (session.root != NULL)
            check_session(audit, &session);
        else if (atomic_load(&bri_session_state(&session)->status) != BRI_SESSION_FREE)
            bri_audit_fail(audit, &session, "a session without memory");
        bri_abort(&t);
    }
    return 0;
}

static bool has_status(const struct bri_slot_shm *s, uint32_t status)
{
    uint32_t is = atomic_load(&s->status);

    return is == status || (status == BRI_SLOT_DYING && is == BRI_SLOT_BURIED);
}

/* A destroyed object whose memory is kept for its pins: its pages are where they were. */
static void check_dying(struct bri_audit *audit, struct bri_arena *a, uint32_t slot)
{
    struct bri_object o = {.arena = a, .slot = bri_slot_at(a, slot), .id = slot};
    uint32_t root = atomic_load(&o.slot->root_page);

    if (atomic_load(&o.slot->n_pins) == 0)
        return;
    check_pins(audit, &o, sum_attachments(audit, &o).pins);
    if (bri_page_tag(a, root) != bri_tag(slot, BRI_PAGE_ROOT, 1)) {
        bri_audit_fail(audit, &o, "the root page of slot %u is missing", slot);
        return;
    }
    o.root = bri_page_at(a, root);
    (void)test_and_set(audit->seen_pages, root);
    (void)see_list(audit, &o, o.root->heap.runs);
    (void)see_list(audit, &o, o.root->heap.zombies);
    (void)see_list(audit, &o, o.root->heap.released);
}

/* Counts a list of slots; all must have @status and lie in slot pages. */
static uint64_t check_slot_list(
    struct bri_audit *audit, const struct bri_object *reg, uint32_t first, uint32_t status)
{
    uint64_t n = 0;

    for (uint32_t slot = first; slot != 0; n++) {
        const struct bri_slot_shm *s = bri_slot_at(reg->arena, slot);

        if (s == NULL || n > MAX_SLOT_LIST || !has_status(s, status)) {
            bri_audit_fail(
                audit, reg, "a list of slots is broken at number %llu", (unsigned long long)n);
            break;
        }
        if (status == BRI_SLOT_DYING)
            check_dying(audit, reg->arena, slot);
        slot = s->next;
    }
    return n;
}

static uint64_t count_slot_pages(const struct bri_object *reg)
{
    uint64_t n = 0;

    for (uint32_t page = reg->root->heap.runs, left = reg->arena->n_pages;
         page != 0 && page < reg->arena->n_pages && left-- > 0; page = reg->arena->pages[page].next)
        n += bri_tag_kind(bri_page_tag(reg->arena, page)) == BRI_PAGE_SLOTS;
    return n;
}

static uint64_t count_anonymous(struct bri_arena *a)
{
    struct bri_listing entries[BRI_SLOTS_PER_PAGE];
    uint32_t cursor = 0;
    uint64_t n = 0;

    do
        n += (uint64_t)bri_registry_list_anonymous(a, &cursor, entries, BRI_SLOTS_PER_PAGE);
    while (cursor != 0);
    return n;
}

static void check_registry(struct bri_audit *audit, const struct bri_object *reg)
{
    const struct bri_registry_shm *state = (const struct bri_registry_shm *)reg->slot->state;
    struct bri_arena *a = reg->arena;
    uint64_t named = 0, anonymous = count_anonymous(a), others;

    for (uint32_t b = 0; b < a->n_buckets; b++)
        for (uint32_t slot = a->names[b]; slot != 0 && named <= state->n_objects; named++) {
            const struct bri_slot_shm *s = bri_slot_at(a, slot);

            if (s == NULL || atomic_load(&s->status) != BRI_SLOT_LIVE) {
                bri_audit_fail(audit, reg, "a name leads to no object");
                break;
            }
            bri_audit_block(audit, reg, s->name_off);
            slot = s->next;
        }
    if (named != state->n_objects)
        bri_audit_fail(audit, reg, "%llu names, but the count says %llu", (unsigned long long)named,
            (unsigned long long)state->n_objects);
    if (atomic_load(&state->ring_page) != 0)
        bri_audit_block(audit, reg, (uint64_t)atomic_load(&state->ring_page) << BRI_PAGE_SHIFT);
    bri_account_audit(reg, audit);
    others = check_slot_list(audit, reg, state->free_slots, BRI_SLOT_FREE) +
             check_slot_list(audit, reg, state->dying_slots, BRI_SLOT_DYING);
    if (anonymous != state->n_anonymous)
        bri_audit_fail(audit, reg, "%llu anonymous objects, but the count says %llu",
            (unsigned long long)anonymous, (unsigned long long)state->n_anonymous);
    others += anonymous;
    if ((named + others) != count_slot_pages(reg) * BRI_SLOTS_PER_PAGE)
        bri_audit_fail(audit, reg, "%llu slots in use or free, of %llu",
            (unsigned long long)(named + others),
            (unsigned long long)(count_slot_pages(reg) * BRI_SLOTS_PER_PAGE));
    (void)test_and_set(audit->seen_pages, reg->slot->root_page);
    check_heap(audit, reg, 0);
}

static int audit_registry(struct bri_arena *a, struct bri_audit *audit)
{
    struct bri_object reg;
    struct bri_txn t;
    int r = bri_object_bind(a, a->first_slot, &reg);

    (void)snprintf(audit->object, sizeof(audit->object), "the registry");
    if (r == 0 && reg.root == NULL)
        r = BROKER_CORRUPT;
    if (r == 0)
        r = enter(&t, &reg);
    if (r == BROKER_CORRUPT) {
        report(audit, "the registry is damaged");
        return 0;
    }
    if (r < 0)
        return r;
    check_registry(audit, &reg);
    bri_abort(&t);
    return 0;
}

/* Every page that somebody has must have been in one of the lists. */
static void check_pages(struct bri_arena *a, struct bri_audit *audit)
{
    uint32_t end = atomic_load(&a->shm->committed);

    (void)snprintf(audit->object, sizeof(audit->object), "the page table");
    for (uint32_t page = a->first_page; page < end && page < a->n_pages; page++) {
        uint64_t tag = bri_page_tag(a, page);
        bool seen = (audit->seen_pages[page / 8] >> page % 8 & 1) != 0;
        bool owned = tag != 0 && bri_tag_owner(tag) != 0;

        audit->n_pages_used += owned;
        audit->n_pages_free += !owned;
        if (owned && !seen && audit->quiet_arena)
            bri_audit_fail(audit, NULL, "page %u of slot %u is lost", page, bri_tag_owner(tag));
    }
}

int bri_audit_arena(struct bri_arena *a, struct bri_audit *audit)
{
    int r;

    audit->seen_pages = calloc(1, a->n_pages / 8 + 1);
    audit->seen_units = calloc(1, (a->size >> BRI_UNIT_SHIFT) / 8 + 1);
    r = audit->seen_pages != NULL && audit->seen_units != NULL ? 0 : BROKER_NOMEM;
    if (r == 0)
        r = bri_bury(a);
    if (r == 0 || r == BROKER_TIMEDOUT)
        r = audit_registry(a, audit);
    if (r == 0)
        r = audit_objects(a, audit, bri_registry_list);
    if (r == 0)
        r = audit_objects(a, audit, bri_registry_list_anonymous);
    if (r == 0)
        r = audit_sessions(a, audit);
    if (r == 0)
        check_pages(a, audit);
    free(audit->seen_pages);
    free(audit->seen_units);
    audit->seen_pages = audit->seen_units = NULL;
    return r;
}
