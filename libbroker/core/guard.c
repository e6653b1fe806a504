/*
 * guard.c - see guard.h
 *
 * Recovery is repeatable: it writes absolute old values back, newest first, and resets the count
 * last, so that whoever recovers may die too. Everything it reads is checked, since a journal is
 * shared memory: an entry that points outside the arena is skipped and the object quarantined.
 */
#include "core/guard.h"

#include <limits.h>
#include <linux/futex.h>

#include <broker/errors.h>

#include "core/collect.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/pages.h"
#include "core/quota.h"

#define CLAIM_BIT 1u
#define SETTLE_PATIENCE (-2 * BRI_MILLISECOND)
#define CLAIMS_ONLY (1u << 31) /* in n_journal: all words are restored, claims are left to free */

#define ENTRIES_PER_PAGE (BRI_PAGE_SIZE / (uint32_t)sizeof(struct bri_journal_entry_shm))
#define MAX_ENTRIES                                                                                \
    (BRI_JOURNAL_SLOT + BRI_JOURNAL_ROOT + 341 * BRI_JOURNAL_EXTENT_PAGES * ENTRIES_PER_PAGE)

static uint32_t extent_pages(unsigned extent)
{
    return BRI_JOURNAL_EXTENT_PAGES << (2 * extent);
}

/* The entries of one part of the journal; NULL at its end. */
static struct bri_journal_entry_shm *part_entries(
    const struct bri_object *o, unsigned part, uint32_t *out_n)
{
    uint32_t page, n;

    if (part == 0) {
        *out_n = BRI_JOURNAL_SLOT;
        return o->slot->journal;
    }
    if (o->root == NULL || part >= 2 + BRI_JOURNAL_EXTENTS)
        return NULL;
    if (part == 1) {
        *out_n = BRI_JOURNAL_ROOT;
        return o->root->journal;
    }
    page = o->slot->extents[part - 2];
    n = extent_pages(part - 2);
    if (bri_page_tag(o->arena, page) != bri_tag(o->id, BRI_PAGE_JOURNAL, n) ||
        n > o->arena->n_pages - page)
        return NULL;
    *out_n = n * ENTRIES_PER_PAGE;
    return bri_page_at(o->arena, page);
}

static struct bri_journal_entry_shm *entry_at(const struct bri_object *o, uint32_t i)
{
    struct bri_journal_entry_shm *entries;
    uint32_t n;

    for (unsigned part = 0; (entries = part_entries(o, part, &n)) != NULL; part++) {
        if (i < n)
            return entries + i;
        i -= n;
    }
    return NULL;
}

/* False for an entry that no operation can have written. */
static bool restore_word(const struct bri_object *o, const struct bri_journal_entry_shm *e)
{
    uint64_t where = *(const volatile uint64_t *)&e->where;
    uint64_t *word;

    if ((where & CLAIM_BIT) != 0)
        return true;
    word = BRI_AT(o->arena, where, uint64_t);
    if (word == NULL)
        return false;
    *(volatile uint64_t *)word = *(const volatile uint64_t *)&e->old;
    return true;
}

static void free_claim(const struct bri_object *o, const struct bri_journal_entry_shm *e)
{
    uint64_t where = *(const volatile uint64_t *)&e->where;
    uint64_t old = *(const volatile uint64_t *)&e->old;

    if ((where & CLAIM_BIT) != 0)
        bri_pages_give(o->arena, (uint32_t)(where >> 1), (uint32_t)old, (uint32_t)(old >> 32));
}

static void set_count(struct bri_slot_shm *s, uint32_t n)
{
    bri_order();
    atomic_store_explicit(&s->n_journal, n, memory_order_relaxed);
    bri_order();
}

/*
 * Writes the journal back; a death in here makes the next one start over. So claimed pages are
 * freed only when all words are restored and that is on record: a page that is free can be another
 * object's a moment later, and words of it must not be restored again.
 */
static void undo(const struct bri_object *o, uint32_t n)
{
    struct bri_slot_shm *s = o->slot;
    uint32_t count = n & ~CLAIMS_ONLY;
    bool sound = count <= MAX_ENTRIES;

    if (!sound)
        count = 0;

    if ((n & CLAIMS_ONLY) == 0) {
        for (uint32_t i = count; i-- > 0;) {
            const struct bri_journal_entry_shm *e = entry_at(o, i);

            sound &= e != NULL && restore_word(o, e);
        }
        if (!sound)
            atomic_fetch_or(&s->damaged, __LINE__);
        set_count(s, count | CLAIMS_ONLY);
    }
    for (uint32_t i = count; i-- > 0;) {
        const struct bri_journal_entry_shm *e = entry_at(o, i);

        if (e != NULL)
            free_claim(o, e);
    }
    set_count(s, 0);
}

static void drop_extents(struct bri_object *o)
{
    for (unsigned i = BRI_JOURNAL_EXTENTS; i-- > 0;) {
        uint32_t page = *(volatile uint32_t *)&o->slot->extents[i];

        if (page == 0)
            continue;
        bri_pages_give(o->arena, page, extent_pages(i), o->id);
        bri_order();
        o->slot->extents[i] = 0;
    }
}

/* A new even number, never one that readers have seen: what they read may have been undone. */
static void make_even(struct bri_slot_shm *s)
{
    uint64_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

    atomic_store_explicit(&s->seq, (seq | 1) + 1, memory_order_release);
}

static void wake_everybody(struct bri_slot_shm *s)
{
    for (unsigned i = 0; i < BRI_N_CHANNELS; i++) {
        atomic_fetch_add_explicit(&s->wait_word[i], 1, memory_order_release);
        bri_futex_wake(&s->wait_word[i], INT_MAX);
    }
}

/* Finishes giving a run back. Repeatable: until the end nobody can claim for this slot, since the
 * guard is held. */
static void give_run(struct bri_object *o)
{
    uint32_t page = atomic_load_explicit(&o->slot->giving, memory_order_relaxed);

    if (page == 0)
        return;
    bri_pages_give(o->arena, page, *(volatile uint32_t *)&o->slot->n_giving, o->id);
    bri_order();
    atomic_store_explicit(&o->slot->giving, 0, memory_order_relaxed);
}

/* The slot as it is now: who comes to recover may have opened what lived here before. */
static struct bri_object present(const struct bri_object *o)
{
    struct bri_object now = *o;
    uint32_t root = atomic_load_explicit(&o->slot->root_page, memory_order_relaxed);

    now.root = NULL;
    if (root != 0 && bri_page_tag(o->arena, root) == bri_tag(o->id, BRI_PAGE_ROOT, 1))
        now.root = bri_page_at(o->arena, root);
    return now;
}

static void recover(const struct bri_object *opened)
{
    struct bri_object now = present(opened), *o = &now;
    struct bri_slot_shm *s = o->slot;
    uint32_t n = atomic_load_explicit(&s->n_journal, memory_order_relaxed);

    if (n > 0) {
        if ((atomic_load_explicit(&s->seq, memory_order_relaxed) & 1) == 0) {
            /* Readers must not take what is being undone for a state. */
            atomic_fetch_add_explicit(&s->seq, 1, memory_order_relaxed);
            atomic_thread_fence(memory_order_release);
        }
        undo(o, n);
    }
    drop_extents(o);
    make_even(s);
    s->n_recovered++;
    /* Whoever died may have been about to wake somebody, or was woken instead of somebody. */
    wake_everybody(s);
}

/* Whoever died in a section may have left generation and root page half changed. */
static bool is_settled(const struct bri_slot_shm *s)
{
    return atomic_load_explicit(&s->n_journal, memory_order_relaxed) == 0 &&
           (atomic_load_explicit(&s->seq, memory_order_acquire) & 1) == 0;
}

void bri_settle(struct bri_arena *a, uint32_t slot)
{
    struct bri_object o = {.arena = a, .slot = bri_slot_at(a, slot), .id = slot};

    if (o.slot == NULL || is_settled(o.slot) || a->read_only || bri_lock_inside() ||
        bri_lock(&o.slot->word, SETTLE_PATIENCE) < 0)
        return;
    if (!is_settled(o.slot))
        recover(&o);
    bri_unlock(&o.slot->word);
}

int bri_object_bind(struct bri_arena *a, uint32_t slot, struct bri_object *out_object)
{
    struct bri_slot_shm *s = bri_slot_at(a, slot);
    uint32_t page = slot / BRI_SLOTS_PER_PAGE, root;
    uint64_t generation;

    if (s == NULL)
        return BROKER_CORRUPT;
    if ((slot < a->first_slot || slot > a->first_slot + a->n_sessions) &&
        bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
        return BROKER_CORRUPT;
    bri_settle(a, slot);
    generation = atomic_load_explicit(&s->generation, memory_order_acquire);
    root = atomic_load_explicit(&s->root_page, memory_order_relaxed);
    if (generation == 0)
        return BROKER_GONE;
    if (root != 0 && bri_page_tag(a, root) != bri_tag(slot, BRI_PAGE_ROOT, 1))
        return BROKER_CORRUPT;
    *out_object = (struct bri_object){
        .arena = a,
        .slot = s,
        .root = root != 0 ? bri_page_at(a, root) : NULL,
        .generation = generation,
        .id = slot,
        .type = atomic_load_explicit(&s->type, memory_order_relaxed),
    };
    return 0;
}

static void look_after(struct bri_txn *t, uint32_t chores)
{
    if ((chores & BRI_CHORE_RUNS) != 0)
        bri_heap_chores(t);
    t->has_refs = (chores & BRI_CHORE_REFS) != 0;
}

/* What is rare at the start of a section. 0, or a failure with the guard free again. */
static __attribute__((noinline)) int begin_slow(struct bri_txn *t, int locked)
{
    struct bri_object *o = t->o;
    struct bri_slot_shm *s = o->slot;
    int r = 0;

    if ((locked & BRI_LOCK_DIED) != 0 ||
        atomic_load_explicit(&s->n_journal, memory_order_relaxed) != 0 ||
        (atomic_load_explicit(&s->seq, memory_order_relaxed) & 1) != 0 || s->extents[0] != 0)
        recover(o);
    if ((locked & BRI_LOCK_CONTENDED) != 0)
        s->n_contended++;
    give_run(o);
    if (atomic_load_explicit(&s->generation, memory_order_relaxed) != o->generation)
        r = BROKER_GONE;
    else if (o->root != NULL && present(o).root != o->root)
        r = BROKER_GONE; /* generation 0 is any destroyed object's */
    else if (!o->burying && bri_read_trouble(o) < 0)
        r = bri_read_trouble(o);
    else if (o->root != NULL)
        look_after(t, atomic_load_explicit(&s->chores, memory_order_relaxed));
    if (r < 0)
        bri_unlock(&s->word);
    return r;
}

static inline void txn_reset(struct bri_txn *t)
{
    t->next = t->end = NULL;
    t->n = 0;
    t->part = 0;
    t->failed = 0;
    t->missing = 0;
    t->claimed = 0;
    t->ungranted = 0;
    memset(t->wake, 0, sizeof(t->wake));
    t->silent = false;
    t->has_refs = false;
    t->only = 0;
    t->n_frees = 0;
    t->more_frees = 0;
    t->released = false;
    t->look_again_ns = BRI_NEVER;
}

int bri_begin(struct bri_txn *t, struct bri_object *o, int64_t deadline_ns)
{
    struct bri_slot_shm *s = o->slot;
    int r;

    /* If another processor had them last, these lines come over together with the guard's. */
    __builtin_prefetch(s->journal, 1);
    __builtin_prefetch(s->state, 1);
    r = bri_lock(&s->word, deadline_ns);
    if (__builtin_expect(r < 0, 0))
        return r;
    t->o = o;
    txn_reset(t);
    if (__builtin_expect(
            r == 0 && atomic_load_explicit(&s->n_journal, memory_order_relaxed) == 0 &&
                (atomic_load_explicit(&s->seq, memory_order_relaxed) & 1) == 0 &&
                atomic_load_explicit(&s->generation, memory_order_relaxed) == o->generation &&
                (atomic_load_explicit(&s->damaged, memory_order_relaxed) |
                    atomic_load_explicit(&s->chores, memory_order_relaxed) |
                    atomic_load_explicit(&s->giving, memory_order_relaxed) | s->extents[0]) == 0,
            1))
        return 0;
    return begin_slow(t, r);
}

/* Claims a further extent. Recovery knows of it before the first of its pages is claimed. */
static bool add_extent(struct bri_txn *t, unsigned extent)
{
    struct bri_object *o = t->o;
    uint32_t page, n = extent_pages(extent);

    if (bri_pages_find(o->arena, n, &page) < 0) {
        t->missing = n;
        t->failed = BROKER_NOMEM;
        return false;
    }
    o->slot->extents[extent] = page;
    bri_order();
    if (!bri_pages_take(o->arena, page, n, o->id, BRI_PAGE_JOURNAL)) {
        o->slot->extents[extent] = 0;
        t->missing = n; /* another was faster: undo, and try again */
        t->failed = BROKER_NOMEM;
        return false;
    }
    t->claimed += n;
    return true;
}

bool bri_journal_more(struct bri_txn *t)
{
    struct bri_journal_entry_shm *entries;
    struct bri_slot_shm *s = t->o->slot;
    uint32_t n;

    if (t->failed != 0)
        return false;
    if (t->n == 0) {
        /* The first change: readers must see the odd number before any of it. */
        atomic_store_explicit(
            &s->seq, atomic_load_explicit(&s->seq, memory_order_relaxed) + 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
    } else if (t->part++ >= 1 + BRI_JOURNAL_EXTENTS || t->o->root == NULL) {
        t->failed = BROKER_TOOBIG;
    } else if (t->part >= 2 && !add_extent(t, t->part - 2)) {
        return false;
    }
    entries = t->failed == 0 ? part_entries(t->o, t->part, &n) : NULL;
    if (entries == NULL) {
        t->failed = t->failed != 0 ? t->failed : BROKER_CORRUPT;
        t->next = t->end = NULL;
        return false;
    }
    t->next = entries;
    t->end = entries + n;
    return true;
}

uint32_t bri_claim(struct bri_txn *t, uint32_t n, uint32_t owner, unsigned kind)
{
    struct bri_arena *a = t->o->arena;
    uint32_t page;

    /* Before looking for a run: the journal would take the same one to grow. */
    if (t->next == t->end && !bri_journal_more(t))
        return 0;
    if (bri_pages_find(a, n, &page) == 0) {
        t->next->where = (uint64_t)page << 1 | CLAIM_BIT;
        t->next->old = (uint64_t)owner << 32 | n;
        bri_order();
        t->next++;
        atomic_store_explicit(&t->o->slot->n_journal, ++t->n, memory_order_relaxed);
        bri_order();
        if (bri_pages_take(a, page, n, owner, (enum bri_page_kind)kind)) {
            t->claimed += n;
            return page;
        }
    }
    t->missing = n; /* or another was faster: undo, and try again */
    t->failed = BROKER_NOMEM;
    return 0;
}

/* Words that go into what is left of the journal's part together: all entries, one count, all
 * words. */
static void set_words(struct bri_txn *t, uint64_t *to, const uint8_t *from, size_t n)
{
    struct bri_journal_entry_shm *e = t->next;
    uint64_t off = bri_off(t->o->arena, to), word;

    for (size_t i = 0; i < n; i++) {
        e[i].where = off + 8 * i;
        e[i].old = ((volatile uint64_t *)to)[i];
    }
    bri_order();
    t->next += n;
    t->n += (uint32_t)n;
    atomic_store_explicit(&t->o->slot->n_journal, t->n, memory_order_relaxed);
    bri_order();
    for (size_t i = 0; i < n; i++) {
        memcpy(&word, from + 8 * i, sizeof(word));
        ((volatile uint64_t *)to)[i] = word;
    }
    bri_order();
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

/* The bytes of @word that @mask says become those of @bits. */
static void set_part(struct bri_txn *t, uint8_t *word, uint64_t mask, uint64_t bits)
{
    uint64_t now = *(volatile uint64_t *)(void *)word;

    bri_set64(t, (uint64_t *)(void *)word, (now & ~mask) | (bits & mask));
}

/* Fewer than eight bytes, which may lie in two words. */
static void set_few(struct bri_txn *t, uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = (uintptr_t)(to + i) & 7;

        set_part(t, to + i - at, UINT64_C(0xff) << 8 * at, (uint64_t)from[i] << 8 * at);
    }
}

void bri_set_bytes(struct bri_txn *t, void *p, const void *bytes, size_t n)
{
    const uint8_t *from = bytes, *end = from + n;
    uint8_t *to = p;
    size_t at = (uintptr_t)to & 7, words;

    if (n < 8) {
        set_few(t, to, from, n);
        return;
    }
    if (at != 0) {
        set_part(t, to - at, UINT64_MAX << 8 * at, load64(from) << 8 * at);
        to += 8 - at;
        from += 8 - at;
    }
    while (end - from >= 8) {
        if (t->next == t->end && !bri_journal_more(t))
            return;
        words = (size_t)(end - from) / 8;
        if (words > (size_t)(t->end - t->next))
            words = (size_t)(t->end - t->next);
        set_words(t, (uint64_t *)(void *)to, from, words);
        to += 8 * words;
        from += 8 * words;
    }
    at = (size_t)(end - from);
    if (at > 0)
        set_part(t, to, UINT64_MAX >> 8 * (8 - at), load64(end - 8) >> 8 * (8 - at));
}

int bri_damaged(struct bri_txn *t, uint32_t line)
{
    /* A section that has failed no longer writes all that it should: what it finds then is its own
     * doing, and is undone. */
    if (t->failed != 0)
        return t->failed;
    if (!bri_is_damaged(t->o->slot))
        atomic_fetch_or_explicit(&t->o->slot->damaged, line, memory_order_relaxed);
    t->failed = BROKER_CORRUPT;
    return BROKER_CORRUPT;
}

/* Event counts move while the guard is held; the kernel is entered after it is free. */
static void unlock_and_wake(struct bri_txn *t)
{
    struct bri_slot_shm *s = t->o->slot;
    int n[BRI_N_CHANNELS] = {0};
    bool any = false;

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++) {
        if (t->wake[i] == 0)
            continue;
        atomic_store_explicit(&s->wait_word[i],
            atomic_load_explicit(&s->wait_word[i], memory_order_relaxed) + 1, memory_order_release);
        if (s->n_waiters[i] == 0)
            continue;
        n[i] = t->wake[i] == BRI_WAKE_ALL ? INT_MAX : t->wake[i];
        any = true;
    }
    bri_unlock(&s->word);
    for (unsigned i = 0; any && i < BRI_N_CHANNELS; i++)
        if (n[i] != 0)
            bri_futex_wake_only(&s->wait_word[i], n[i],
                t->only != 0 && i != BRI_CHANGES ? t->only : FUTEX_BITSET_MATCH_ANY);
}

static inline bool wakes_any(const struct bri_txn *t)
{
    uint64_t all;

    _Static_assert(sizeof(all) == sizeof(t->wake) && BRI_N_CHANNELS <= sizeof(all), "one word");
    memcpy(&all, t->wake, sizeof(all));
    return all != 0;
}

static inline void happen(struct bri_slot_shm *s)
{
    bri_order();
    atomic_store_explicit(&s->n_journal, 0, memory_order_relaxed); /* this is the moment */
    bri_order();
    atomic_store_explicit(
        &s->seq, atomic_load_explicit(&s->seq, memory_order_relaxed) + 1, memory_order_release);
}

void bri_commit_step(struct bri_txn *t)
{
    if (t->n == 0)
        return;
    happen(t->o->slot);
    if (t->part >= 2)
        drop_extents(t->o);
    t->next = t->end = NULL;
    t->n = 0;
    t->part = 0;
}

void bri_commit(struct bri_txn *t)
{
    struct bri_slot_shm *s = t->o->slot;
    bool may_drop = t->has_refs && t->n != 0 && !t->silent;

    if (t->n != 0) {
        if (__builtin_expect(s->n_waiters[BRI_CHANGES] != 0, 0) && !t->silent)
            bri_wake(t, BRI_CHANGES, BRI_WAKE_ALL);
        happen(s);
        if (__builtin_expect(t->part >= 2, 0))
            drop_extents(t->o);
        if (__builtin_expect(t->released, 0))
            bri_heap_chores(t);
        if (__builtin_expect(atomic_load_explicit(&s->giving, memory_order_relaxed) != 0, 0))
            give_run(t->o);
    }
    if (wakes_any(t))
        unlock_and_wake(t);
    else
        bri_unlock(&s->word);
    if (__builtin_expect(may_drop, 0))
        bri_collect_want(t->o->arena);
}

void bri_abort(struct bri_txn *t)
{
    struct bri_slot_shm *s = t->o->slot;

    if (t->n != 0)
        undo(t->o, t->n);
    if (t->n != 0 || (atomic_load_explicit(&s->seq, memory_order_relaxed) & 1) != 0)
        make_even(s);
    drop_extents(t->o);
    bri_unlock(&s->word);
}

int bri_end(struct bri_txn *t, int r)
{
    struct bri_object *o = t->o;
    uint32_t missing;

    if (__builtin_expect(r >= 0 && t->failed == 0, 1)) {
        bri_heap_apply_frees(t);
        if (__builtin_expect(t->failed == 0, 1)) {
            bri_commit(t);
            /* What it freed goes back now, in bounded sections; if that must wait, others do it. */
            if (__builtin_expect(t->released, 0))
                (void)bri_heap_finish_chores(o, -BRI_MILLISECOND);
            return r;
        }
    }
    if (t->failed != 0)
        r = t->failed;
    /* What it had so far comes on top: a bulk operation must not start over at every growth. */
    missing = t->missing != 0 ? t->missing + t->claimed : 0;
    bri_abort(t);
    if (r == BROKER_QUOTA && t->ungranted != 0)
        return bri_grant(o, t->ungranted);
    if (r != BROKER_NOMEM || missing == 0)
        return r;
    return bri_pages_grow(o->arena, missing) == 0 || bri_collect_for_memory(o->arena, missing)
               ? BRI_AGAIN
               : BROKER_NOMEM;
}

int bri_read_trouble(const struct bri_object *o)
{
    uint32_t damaged = atomic_load_explicit(&o->slot->damaged, memory_order_relaxed);

    if (atomic_load_explicit(&o->slot->generation, memory_order_relaxed) != o->generation)
        return BROKER_GONE;
    if ((damaged & BRI_SEALED) != 0 && !o->arena->passes_seal)
        return BROKER_LOST;
    return (damaged & ~BRI_SEALED) != 0 ? BROKER_CORRUPT : 0;
}
