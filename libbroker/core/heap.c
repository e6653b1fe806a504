/*
 * heap.c - see heap.h
 *
 * A run is in exactly one list: runs (in use), zombies (cleared away), released (freed by a section
 * that committed) or an attachment's runs, reserved or lent. `draining` names the run that left its
 * list but whose pages are not all free yet; it is finished before the object claims anything, so
 * giving back can be repeated after a death.
 */
#include "core/heap.h"

#include <broker/errors.h>

#include "core/pages.h"
#include "core/quota.h"

#define CHORES_AT_ONCE 8

static const uint16_t class_sizes[BRI_N_CLASSES] = {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224,
    256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048};

/* Slabs of large blocks span four pages, or their head and rest would waste too much. */
static uint32_t slab_pages(unsigned class_no)
{
    return class_sizes[class_no] > 512 ? 4 : 1;
}

static uint32_t slab_blocks(unsigned class_no)
{
    return (slab_pages(class_no) * BRI_PAGE_SIZE - (uint32_t)sizeof(struct bri_slab_shm)) /
           class_sizes[class_no];
}

static inline unsigned class_of(uint64_t size)
{
    unsigned shift, step;

    if (size <= 128)
        return (unsigned)((size + 15) / 16) - (size != 0);
    shift = 63u - (unsigned)__builtin_clzll(size - 1); /* size-1 in [2^shift, 2^(shift+1)) */
    step = (unsigned)((size - 1) >> (shift - 2)) & 3;
    return 8 + (shift - 7) * 4 + step;
}

static struct bri_heap_shm *heap_of(struct bri_txn *t)
{
    return &t->o->root->heap;
}

static struct bri_slab_shm *slab_at(const struct bri_object *o, uint32_t page)
{
    uint64_t tag = bri_page_tag(o->arena, page);

    if (bri_tag_kind(tag) != BRI_PAGE_SLAB || bri_tag_owner(tag) != o->id)
        return NULL;
    return bri_page_at(o->arena, page);
}

void bri_heap_init(struct bri_root_shm *root, uint64_t quota_bytes)
{
    memset(root, 0, sizeof(*root));
    root->heap.n_pages = 1;
    root->heap.max_pages = (quota_bytes + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE;
}

uint32_t bri_class_size(unsigned class_no)
{
    return class_sizes[class_no];
}

uint32_t bri_class_blocks(unsigned class_no)
{
    return slab_blocks(class_no);
}

uint64_t bri_block_size(uint64_t size)
{
    if (size <= BRI_SMALL_MAX)
        return class_sizes[class_of(size)];
    return (size + BRI_PAGE_SIZE - 1) / BRI_PAGE_SIZE * BRI_PAGE_SIZE;
}

/* ---- runs ---- */

static uint32_t fail(struct bri_txn *t, int code)
{
    if (t->failed == 0)
        t->failed = code;
    return 0;
}

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
    (void)fail(t, BROKER_QUOTA);
    return false;
}

static uint32_t claim(struct bri_txn *t, uint32_t n, enum bri_page_kind kind)
{
    struct bri_heap_shm *h = heap_of(t);
    struct bri_arena *a = t->o->arena;
    uint32_t page;

    if (t->failed != 0)
        return 0;
    if (n > BRI_PAGE_AUX_MAX || n >= a->n_pages)
        return fail(t, BROKER_NOMEM);
    if (h->max_pages != 0 && h->n_pages + n > h->max_pages)
        return fail(t, bri_refuse(BRI_LIMIT_OBJECT_BYTES, 0, h->max_pages << BRI_PAGE_SHIFT,
                           h->n_pages << BRI_PAGE_SHIFT));
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
        link_run(t, &heap_of(t)->runs, page);
    return page;
}

static void note_runs(struct bri_txn *t)
{
    bri_set_atomic32(t, &t->o->slot->chores, atomic_load(&t->o->slot->chores) | BRI_CHORE_RUNS);
    t->released = true;
}

/* Out of use now, and given back after the commit. */
static void release_run(struct bri_txn *t, uint32_t *from, uint32_t page)
{
    if (!unlink_run(t, from, page))
        return;
    link_run(t, &heap_of(t)->released, page);
    note_runs(t);
}

/* ---- slabs ---- */

static uint32_t new_slab(struct bri_txn *t, unsigned class_no)
{
    uint32_t page = bri_alloc_pages(t, slab_pages(class_no), BRI_PAGE_SLAB);
    uint32_t n = slab_blocks(class_no);
    struct bri_slab_shm *slab;

    if (page == 0)
        return 0;
    slab = bri_page_at(t->o->arena, page);
    for (uint32_t i = 0; i < 4; i++)
        slab->used[i] = n >= 64 * (i + 1) ? 0
                        : n <= 64 * i     ? UINT64_MAX
                                          : UINT64_MAX << (n - 64 * i);
    slab->class_no = class_no;
    slab->n_blocks = n;
    slab->next = 0;
    slab->prev = 0;
    bri_set32(t, &heap_of(t)->partial[class_no], page);
    return page;
}

static inline bool is_full(const struct bri_slab_shm *s)
{
    return (s->used[0] & s->used[1] & s->used[2] & s->used[3]) == UINT64_MAX;
}

static bool is_empty(const struct bri_slab_shm *s, uint32_t n)
{
    uint32_t used = 0;

    for (unsigned i = 0; i < 4; i++)
        used += (uint32_t)__builtin_popcountll(s->used[i]);
    return used == 256 - n;
}

static void unlink_slab(struct bri_txn *t, struct bri_slab_shm *s, uint32_t page)
{
    uint32_t *head = &heap_of(t)->partial[s->class_no];
    struct bri_slab_shm *next = s->next != 0 ? slab_at(t->o, s->next) : NULL;
    struct bri_slab_shm *prev = s->prev != 0 ? slab_at(t->o, s->prev) : NULL;

    if ((s->next != 0 && next == NULL) || (s->prev != 0 && prev == NULL) ||
        (prev != NULL ? prev->next : *head) != page) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (next != NULL)
        bri_set32(t, &next->prev, s->prev);
    if (prev != NULL)
        bri_set32(t, &prev->next, s->next);
    else
        bri_set32(t, head, s->next);
    bri_set64(t, (uint64_t *)&s->next, 0);
}

static void link_slab(struct bri_txn *t, struct bri_slab_shm *s, uint32_t page)
{
    uint32_t *head = &heap_of(t)->partial[s->class_no];
    struct bri_slab_shm *next = *head != 0 ? slab_at(t->o, *head) : NULL;

    if (*head != 0 && next == NULL) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, (uint64_t *)&s->next, *head); /* prev becomes 0 */
    if (next != NULL)
        bri_set32(t, &next->prev, page);
    bri_set32(t, head, page);
}

static uint64_t alloc_small(struct bri_txn *t, unsigned class_no)
{
    uint32_t page = heap_of(t)->partial[class_no];
    struct bri_slab_shm *slab;
    uint32_t bit, i = 0;

    if (page == 0)
        page = new_slab(t, class_no);
    if (page == 0)
        return 0;
    slab = slab_at(t->o, page);
    if (slab == NULL || slab->class_no != class_no)
        return (void)BRI_DAMAGED(t), 0;
    while (i < 4 && slab->used[i] == UINT64_MAX)
        i++;
    if (i == 4)
        return (void)BRI_DAMAGED(t), 0;
    bit = (uint32_t)__builtin_ctzll(~slab->used[i]);
    if (64 * i + bit >= slab_blocks(class_no))
        return (void)BRI_DAMAGED(t), 0;
    bri_set64(t, &slab->used[i], slab->used[i] | UINT64_C(1) << bit);
    if (is_full(slab))
        unlink_slab(t, slab, page);
    if (t->failed != 0)
        return 0;
    return ((uint64_t)page << BRI_PAGE_SHIFT) + sizeof(*slab) +
           (uint64_t)(64 * i + bit) * class_sizes[class_no];
}

uint64_t bri_alloc(struct bri_txn *t, uint64_t size)
{
    uint32_t page;

    if (size <= BRI_SMALL_MAX)
        return t->failed != 0 ? 0 : alloc_small(t, class_of(size));
    if (size > t->o->arena->size)
        return fail(t, BROKER_NOMEM);
    page =
        bri_alloc_pages(t, (uint32_t)((size + BRI_PAGE_SIZE - 1) >> BRI_PAGE_SHIFT), BRI_PAGE_RUN);
    return (uint64_t)page << BRI_PAGE_SHIFT;
}

/* The first page of the run that @off lies in, and its tag; 0 if it is not @o's. */
static uint32_t run_of(const struct bri_object *o, uint64_t off, uint64_t *out_tag)
{
    uint32_t page;
    uint64_t tag;

    if (off >= o->arena->size)
        return 0;
    page = (uint32_t)(off >> BRI_PAGE_SHIFT);
    tag = bri_page_tag(o->arena, page);
    if (bri_tag_kind(tag) == BRI_PAGE_TAIL && bri_tag_owner(tag) == o->id &&
        bri_tag_aux(tag) <= page) {
        page -= bri_tag_aux(tag);
        tag = bri_page_tag(o->arena, page);
    }
    *out_tag = tag;
    return tag != 0 && bri_tag_owner(tag) == o->id ? page : 0;
}

/* The block's number in its slab, or UINT32_MAX. */
static uint32_t block_number(const struct bri_slab_shm *s, uint64_t off_in_slab)
{
    uint32_t class_no = s->class_no, n;

    if (class_no >= BRI_N_CLASSES || off_in_slab < sizeof(*s))
        return UINT32_MAX;
    off_in_slab -= sizeof(*s);
    n = (uint32_t)(off_in_slab / class_sizes[class_no]);
    if (off_in_slab % class_sizes[class_no] != 0 || n >= slab_blocks(class_no))
        return UINT32_MAX;
    return n;
}

uint64_t bri_block_capacity(const struct bri_object *o, uint64_t off)
{
    uint64_t tag, start;
    uint32_t page = run_of(o, off, &tag), n;
    const struct bri_slab_shm *s;

    if (page == 0)
        return 0;
    start = (uint64_t)page << BRI_PAGE_SHIFT;
    if (bri_tag_kind(tag) == BRI_PAGE_RUN)
        return off == start ? (uint64_t)bri_tag_aux(tag) << BRI_PAGE_SHIFT : 0;
    if (bri_tag_kind(tag) != BRI_PAGE_SLAB)
        return 0;
    s = bri_page_at(o->arena, page);
    n = block_number(s, off - start);
    return n != UINT32_MAX && (s->used[n / 64] >> n % 64 & 1) != 0 ? class_sizes[s->class_no] : 0;
}

static void free_block(struct bri_txn *t, uint64_t off)
{
    uint64_t tag, start;
    uint32_t page = run_of(t->o, off, &tag), n;
    struct bri_slab_shm *s;
    bool was_full;

    start = (uint64_t)page << BRI_PAGE_SHIFT;
    if (page != 0 && bri_tag_kind(tag) == BRI_PAGE_RUN && off == start) {
        release_run(t, &heap_of(t)->runs, page);
        return;
    }
    s = page != 0 && bri_tag_kind(tag) == BRI_PAGE_SLAB ? bri_page_at(t->o->arena, page) : NULL;
    n = s != NULL ? block_number(s, off - start) : UINT32_MAX;
    if (n == UINT32_MAX || (s->used[n / 64] >> n % 64 & 1) == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    was_full = is_full(s);
    bri_set64(t, &s->used[n / 64], s->used[n / 64] & ~(UINT64_C(1) << n % 64));
    if (was_full)
        link_slab(t, s, page);
    /* One empty slab of a class stays, or an object that goes up and down would claim and release
     * all the time. */
    if (is_empty(s, slab_blocks(s->class_no)) && (s->next != 0 || s->prev != 0)) {
        unlink_slab(t, s, page);
        release_run(t, &heap_of(t)->runs, page);
    }
}

/* The block stays as it is until the commit: a rollback must find it untouched, and unused by
 * anybody else. */
void bri_free(struct bri_txn *t, uint64_t off)
{
    uint64_t *word;

    if (t->n_frees < BRI_N_FREES) {
        t->frees[t->n_frees++] = off;
        return;
    }
    word = BRI_AT(t->o->arena, off, uint64_t);
    if (word == NULL || bri_block_capacity(t->o, off) == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, word, t->more_frees);
    t->more_frees = off;
}

void bri_heap_free_now(struct bri_txn *t)
{
    uint64_t limit = t->o->arena->size / 16;

    for (uint32_t i = 0; i < t->n_frees && t->failed == 0; i++)
        free_block(t, t->frees[i]);
    for (uint64_t off = t->more_frees; off != 0 && t->failed == 0 && limit-- > 0;) {
        uint64_t next = *(uint64_t *)(t->o->arena->base + off); /* checked by bri_free() */

        free_block(t, off);
        off = next;
    }
    t->n_frees = 0;
    t->more_frees = 0;
}

/* ---- clearing and giving back ---- */

void bri_heap_clear(struct bri_txn *t)
{
    struct bri_heap_shm *h = heap_of(t);
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
    struct bri_heap_shm *h = heap_of(t);
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
    struct bri_heap_shm *h = heap_of(t);
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
        return fail(t, att == NULL ? BROKER_INTERNAL : BROKER_NOMEM);
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
    move_run(t, &heap_of(t)->runs, &att->reserved, page,
        bri_tag(t->o->id, BRI_PAGE_LENT, bri_tag_aux(tag)));
    bri_set32(t, &att->n_reserved, att->n_reserved + bri_tag_aux(tag));
}

static uint64_t make_block(
    struct bri_txn *t, struct bri_attachment_shm *att, uint32_t page, enum bri_page_kind kind)
{
    uint64_t tag;

    if (!is_run_of(t, page, kind, kind, &tag))
        return 0;
    move_run(t, &att->reserved, &heap_of(t)->runs, page,
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
    release_run(t, &att->reserved, page);
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
