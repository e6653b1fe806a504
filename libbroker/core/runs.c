/*
 * runs.c - see runs.h
 *
 * A run is in exactly one list: runs (in use), zombies (cleared away), released (freed by a section
 * that committed) or an attachment's runs, reserved or lent. `draining` names the run that left its
 * list but whose pages are not all free yet; it is finished before the object claims anything, so
 * giving back can be repeated after a death.
 */
#include "core/runs.h"

#include <broker/errors.h>

#include "core/pages.h"
#include "core/quota.h"

#define CHORES_AT_ONCE 8

static void link_run(struct bri_txn *t, uint32_t *head, uint32_t page)
{
    struct bri_page_shm *pages = t->o->arena->pages;
    uint32_t next = *head;

    if (next != 0 && bri_tag_owner(bri_page_tag(t->o->arena, next)) != t->o->id) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(
        t, (uint64_t *)&pages[page].next, next); /* next and prev are one word: prev becomes 0 */
    if (next != 0)
        bri_set32(t, &pages[next].prev, page);
    bri_set32(t, head, page);
}

/* False (and damaged) when the neighbours do not agree that @page is between them. */
static bool unlink_run(struct bri_txn *t, uint32_t *head, uint32_t page)
{
    struct bri_arena *a = t->o->arena;
    uint32_t next = a->pages[page].next, prev = a->pages[page].prev;

    if (next >= a->n_pages || prev >= a->n_pages ||
        (prev == 0 ? *head : a->pages[prev].next) != page ||
        (next != 0 && a->pages[next].prev != page)) {
        (void)BRI_DAMAGED(t);
        return false;
    }
    if (prev == 0)
        bri_set32(t, head, next);
    else
        bri_set32(t, &a->pages[prev].next, next);
    if (next != 0)
        bri_set32(t, &a->pages[next].prev, prev);
    return true;
}

/* If not, the section is undone, and repeated when the user's account allows it. */
static bool is_granted(struct bri_txn *t, uint64_t n_pages)
{
    if (n_pages <= atomic_load_explicit(&t->o->slot->granted_pages, memory_order_relaxed))
        return true;
    if (t->failed == 0)
        t->ungranted = n_pages;
    (void)bri_fail_zero(t, BROKER_QUOTA);
    return false;
}

static uint32_t claim(struct bri_txn *t, uint32_t n, enum bri_page_kind kind)
{
    struct bri_heap_shm *h = bri_heap_of(t);
    struct bri_arena *a = t->o->arena;
    uint32_t page;

    if (t->failed != 0)
        return 0;
    if (n > BRI_PAGE_AUX_MAX || n >= a->n_pages)
        return bri_fail_zero(t, BROKER_NOMEM);
    if (h->max_pages != 0 && h->n_pages + n > h->max_pages)
        return bri_fail_zero(t, bri_refuse(BRI_LIMIT_OBJECT_BYTES, 0,
                                    h->max_pages << BRI_PAGE_SHIFT, h->n_pages << BRI_PAGE_SHIFT));
    if (!is_granted(t, h->n_pages + n))
        return 0;
    page = bri_claim(t, n, t->o->id, kind);
    if (page == 0)
        return 0;
    bri_set64(t, &h->n_pages, h->n_pages + n);
    atomic_thread_fence(memory_order_seq_cst); /* for who takes grants back; see quota.c */
    return is_granted(t, h->n_pages) ? page : 0;
}

uint32_t bri_alloc_pages(struct bri_txn *t, uint32_t n, unsigned kind)
{
    uint32_t page = claim(t, n, (enum bri_page_kind)kind);

    if (page != 0)
        link_run(t, &bri_heap_of(t)->runs, page);
    return page;
}

static void note_runs(struct bri_txn *t)
{
    bri_set_atomic32(t, &t->o->slot->chores, atomic_load(&t->o->slot->chores) | BRI_CHORE_RUNS);
    t->released = true;
}

void bri_run_release(struct bri_txn *t, uint32_t *from, uint32_t page)
{
    if (!unlink_run(t, from, page))
        return;
    link_run(t, &bri_heap_of(t)->released, page);
    note_runs(t);
}

/* ---- clearing and giving back ---- */

void bri_heap_clear(struct bri_txn *t)
{
    struct bri_heap_shm *h = bri_heap_of(t);
    struct bri_arena *a = t->o->arena;
    uint32_t first = h->runs;

    if (h->zombies != 0) {
        /* The chores of an earlier clear are not done: the new ones go in front. The list's end is
           not known, so its first run is put behind nothing: walk, bounded by the arena. */
        uint32_t last = first, left = a->n_pages;

        while (last != 0 && last < a->n_pages && a->pages[last].next != 0 && left-- > 0)
            last = a->pages[last].next;
        if (last >= a->n_pages || bri_tag_owner(bri_page_tag(a, h->zombies)) != t->o->id) {
            (void)BRI_DAMAGED(t);
            return;
        }
        if (last != 0) {
            bri_set32(t, &a->pages[last].next, h->zombies);
            bri_set32(t, &a->pages[h->zombies].prev, last);
        }
    }
    if (first != 0)
        bri_set32(t, &h->zombies, first);
    bri_set32(t, &h->runs, 0);
    for (unsigned i = 0; i < BRI_N_CLASSES; i += 2)
        if ((h->partial[i] | h->partial[i + 1]) != 0)
            bri_set64(t, (uint64_t *)&h->partial[i], 0);
    bri_set64(t, &h->epoch, h->epoch + 1);
    note_runs(t);
}

/* Finishes giving back the run at `draining`. Repeatable. */
static void drain(struct bri_object *o)
{
    struct bri_heap_shm *h = &o->root->heap;
    uint32_t page = *(volatile uint32_t *)&h->draining;
    uint64_t tag = bri_page_tag(o->arena, page);

    /* The first page is freed last: while it is ours, the run may not be all free. */
    if (page != 0 && bri_tag_owner(tag) == o->id && bri_tag_kind(tag) != BRI_PAGE_TAIL &&
        bri_tag_kind(tag) != BRI_PAGE_ROOT)
        bri_pages_give(o->arena, page, bri_tag_aux(tag), o->id);
    bri_order();
    *(volatile uint32_t *)&h->draining = 0;
}

/* Takes the first run off a list and makes it `draining`, in a change of its own. False at the
 * list's end. */
static bool take_to_drain(struct bri_txn *t, uint32_t *head)
{
    struct bri_heap_shm *h = bri_heap_of(t);
    struct bri_arena *a = t->o->arena;
    uint32_t page = *head, next;
    uint64_t tag = bri_page_tag(a, page);

    if (page == 0)
        return false;
    next = page < a->n_pages ? a->pages[page].next : 0;
    if (bri_tag_owner(tag) != t->o->id || bri_tag_kind(tag) == BRI_PAGE_TAIL ||
        next >= a->n_pages) {
        (void)BRI_DAMAGED(t);
        return false;
    }
    bri_set32(t, head, next);
    if (next != 0)
        bri_set32(t, &a->pages[next].prev, 0);
    bri_set64(t, &h->n_pages, h->n_pages - bri_tag_aux(tag));
    bri_set32(t, &h->draining, page);
    return t->failed == 0;
}

void bri_heap_chores(struct bri_txn *t)
{
    struct bri_object *o = t->o;
    struct bri_heap_shm *h = bri_heap_of(t);
    struct bri_txn step = {.o = o};

    drain(o);
    for (unsigned i = 0; i < CHORES_AT_ONCE; i++) {
        if (!take_to_drain(&step, &h->released) && !take_to_drain(&step, &h->zombies))
            break;
        bri_commit_step(&step);
        drain(o);
    }
    if ((h->released | h->zombies) == 0 || step.failed != 0)
        atomic_store_explicit(&o->slot->chores,
            atomic_load_explicit(&o->slot->chores, memory_order_relaxed) &
                ~(uint32_t)BRI_CHORE_RUNS,
            memory_order_relaxed);
}

int bri_heap_finish_chores(struct bri_object *o, int64_t deadline_ns)
{
    struct bri_txn t;
    int r;

    while (o->root != NULL &&
           (atomic_load_explicit(&o->slot->chores, memory_order_relaxed) & BRI_CHORE_RUNS) != 0) {
        r = bri_begin(&t, o, deadline_ns); /* does some of them */
        if (r < 0)
            return r;
        bri_commit(&t);
    }
    return 0;
}

/* ---- reserved runs ---- */

uint32_t bri_reserve(struct bri_txn *t, uint64_t bytes)
{
    struct bri_attachment_shm *att = t->o->att;
    uint32_t page, n = (uint32_t)((bytes + BRI_PAGE_SIZE - 1) >> BRI_PAGE_SHIFT);

    if (att == NULL || bytes > t->o->arena->size)
        return bri_fail_zero(t, att == NULL ? BROKER_INTERNAL : BROKER_NOMEM);
    page = claim(t, n, BRI_PAGE_RESERVED);
    if (page == 0)
        return 0;
    link_run(t, &att->reserved, page);
    bri_set32(t, &att->n_reserved, att->n_reserved + n);
    return page;
}

/* False, and damaged, if @page is not the first of a run of @kind, or @or_kind. */
static bool is_run_of(struct bri_txn *t, uint32_t page, enum bri_page_kind kind,
    enum bri_page_kind or_kind, uint64_t *out_tag)
{
    *out_tag = bri_page_tag(t->o->arena, page);
    if ((bri_tag_kind(*out_tag) == kind || bri_tag_kind(*out_tag) == or_kind) &&
        bri_tag_owner(*out_tag) == t->o->id)
        return true;
    (void)BRI_DAMAGED(t);
    return false;
}

/* Between the heap's runs and an attachment's. */
static void move_run(struct bri_txn *t, uint32_t *from, uint32_t *to, uint32_t page, uint64_t tag)
{
    if (!unlink_run(t, from, page))
        return;
    bri_set_atomic64(t, &t->o->arena->pages[page].tag, tag);
    link_run(t, to, page);
}

uint64_t bri_reserved_size(const struct bri_txn *t, uint32_t page)
{
    const struct bri_arena *a = t->o->arena;
    uint32_t at = t->o->att->reserved, left = t->o->att->n_reserved;

    while (at != page && at != 0 && at < a->n_pages && left-- > 0)
        at = a->pages[at].next;
    if (at != page || bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_RESERVED)
        return 0;
    return (uint64_t)bri_tag_aux(bri_page_tag(a, page)) << BRI_PAGE_SHIFT;
}

void bri_lend(struct bri_txn *t, uint32_t page)
{
    struct bri_attachment_shm *att = t->o->att;
    uint64_t tag;

    if (!is_run_of(t, page, BRI_PAGE_RUN, BRI_PAGE_RUN, &tag))
        return;
    move_run(t, &bri_heap_of(t)->runs, &att->reserved, page,
        bri_tag(t->o->id, BRI_PAGE_LENT, bri_tag_aux(tag)));
    bri_set32(t, &att->n_reserved, att->n_reserved + bri_tag_aux(tag));
}

static uint64_t make_block(
    struct bri_txn *t, struct bri_attachment_shm *att, uint32_t page, enum bri_page_kind kind)
{
    uint64_t tag;

    if (!is_run_of(t, page, kind, kind, &tag))
        return 0;
    move_run(t, &att->reserved, &bri_heap_of(t)->runs, page,
        bri_tag(t->o->id, BRI_PAGE_RUN, bri_tag_aux(tag)));
    bri_set32(t, &att->n_reserved, att->n_reserved - bri_tag_aux(tag));
    return t->failed == 0 ? (uint64_t)page << BRI_PAGE_SHIFT : 0;
}

uint64_t bri_take_back(struct bri_txn *t, struct bri_attachment_shm *att, uint32_t page)
{
    return make_block(t, att, page, BRI_PAGE_LENT);
}

uint64_t bri_unreserve(struct bri_txn *t, uint32_t page)
{
    return make_block(t, t->o->att, page, BRI_PAGE_RESERVED);
}

void bri_release_reserved(struct bri_txn *t, uint32_t page)
{
    struct bri_attachment_shm *att = t->o->att;
    uint64_t tag;

    if (!is_run_of(t, page, BRI_PAGE_RESERVED, BRI_PAGE_LENT, &tag))
        return;
    bri_set32(t, &att->n_reserved, att->n_reserved - bri_tag_aux(tag));
    bri_run_release(t, &att->reserved, page);
}

void bri_release_all_reserved(struct bri_txn *t, struct bri_attachment_shm *att)
{
    struct bri_attachment_shm *mine = t->o->att;
    uint32_t left = t->o->arena->n_pages;

    t->o->att = att;
    while (att->reserved != 0 && t->failed == 0 && left-- > 0)
        bri_release_reserved(t, att->reserved);
    t->o->att = mine;
}
