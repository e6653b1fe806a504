/*
 * guard.h - sections: how an operation happens wholly or not at all
 *
 * An operation locks its object's guard, changes words through bri_set*(), and commits. Each word's
 * old value goes into the journal before the word changes; the commit is the one store that resets
 * the journal's count. A thread killed anywhere before it leaves a journal that the next one to
 * lock the guard writes back; killed after it, the operation has happened. Fresh memory (bri_alloc)
 * needs no journal until it is linked.
 *
 *     r = bri_begin(&t, object, BRI_PATIENCE);
 *     if (r < 0) return r;
 *     ... bri_set64(&t, &state->tail, tail) ...
 *     return bri_end(&t, r);           0 commits; a failure undoes; BRI_AGAIN: memory was missing,
 * has grown, try again
 *
 * Inside a section there is no system call, no libc allocation, no callback. One section at a time
 * per thread. Order at the end: journal count 0, then sequence even, then event counts, then
 * unlock, then wake: an even sequence before the reset would show readers what may still be undone.
 */
#ifndef BRI_GUARD_H
#define BRI_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/arena.h"
#include "core/clock.h"

/* For operations without a deadline: how long a guard may be held by somebody else (who is stopped,
 * then). */
#define BRI_PATIENCE (-5 * BRI_SECOND)

#define BRI_AGAIN 1000 /* internal: never leaves the library */
#define BRI_WAIT 1001  /* internal: see wait.h */

#define BRI_N_FREES 16

/* An object as the core knows it: bound to a slot and to the generation that lived there when it
 * was opened. */
struct bri_object {
    struct bri_arena *arena;
    struct bri_slot_shm *slot;
    struct bri_root_shm *root; /* NULL for a type without a heap */
    uint64_t generation;
    uint32_t id; /* slot number */
    uint32_t type;
    bool burying; /* damage is no hindrance: it is being destroyed */
    struct bri_attachment_shm
        *att; /* this session's; NULL for the core's own use and for readers */
    /* Only while `att` is being reaped: the session it belongs to, the generation of that session,
     * and how long the guard is waited for. */
    const struct bri_slot_shm *reaped;
    uint64_t reaped_generation;
    int64_t reaped_patience_ns;
    uint32_t reaped_number;
};

/* One section. Lives on the stack of the operation. */
struct bri_txn {
    struct bri_object *o;
    struct bri_journal_entry_shm *next,
        *end;           /* where the next journal entry goes, and where its part ends */
    uint32_t n;         /* entries written */
    uint32_t part;      /* of the journal: 0 slot, 1 root page, 2.. extents */
    int failed;         /* first error of a bri_set or bri_alloc; the section can then only end */
    uint32_t missing;   /* pages that an allocation lacked */
    uint32_t claimed;   /* pages that were claimed before */
    uint64_t ungranted; /* pages that the object would have had, but was not granted; 0: that is
                           not why it failed */
    uint8_t wake[8];    /* by channel: how many to wake at commit; BRI_WAKE_ALL */
    bool silent;        /* nobody who waits for changes needs to hear of it */
    bool has_refs;      /* references are stored in the object: what it drops may be garbage */
    uint32_t only;      /* wake those who share one of these bits; of a try that has to wait, the
                           bits that it sleeps under; 0 is all */
    uint32_t n_frees;
    uint64_t frees[BRI_N_FREES]; /* blocks to free at commit */
    uint64_t more_frees;         /* and a list of more, linked through their first words */
    bool released;               /* runs were freed: give them back after the commit */
    int64_t look_again_ns; /* for a try that waits: when to try again, whatever comes; BRI_NEVER */
};

#define BRI_WAKE_ALL 255

/*
 * Binds @out to what lives in @slot now. CORRUPT if the slot is outside the arena or not
 * type-stable slot memory; GONE if it is empty.
 */
int bri_object_bind(struct bri_arena *a, uint32_t slot, struct bri_object *out_object);

/*
 * Has the slot recovered if its last owner died in a section, so that what it says of itself is
 * true. Not from inside a section, where it does nothing.
 */
void bri_settle(struct bri_arena *a, uint32_t slot);

/*
 * Locks, recovers if the last owner died, checks that the object is still the one that was opened.
 * @deadline_ns as in bri_lock(). GONE, CORRUPT (quarantined), TIMEDOUT, BUSY, SYSTEM: no section
 * then.
 */
int bri_begin(struct bri_txn *t, struct bri_object *o, int64_t deadline_ns);

/* Makes the section's changes happen, unlocks, wakes. */
void bri_commit(struct bri_txn *t);

/* Makes what the section has changed so far happen, and goes on inside it. Nothing is woken or
 * freed yet. */
void bri_commit_step(struct bri_txn *t);

/* Undoes the section's changes and unlocks. */
void bri_abort(struct bri_txn *t);

/*
 * Ends a section with the result @r: commits if it is 0 or a notice and nothing failed, else
 * undoes. Gives @r, the first failure inside, or BRI_AGAIN when the only trouble was memory and the
 * arena could grow.
 */
int bri_end(struct bri_txn *t, int r);

/* Out of the fast path: the journal's part is full, or this is the first entry. False: the section
 * has failed. */
bool bri_journal_more(struct bri_txn *t);

/* Claims a run of @n free pages for @owner; if the section does not happen they are free again. The
 * first page, or 0: the section has failed. */
uint32_t bri_claim(struct bri_txn *t, uint32_t n, uint32_t owner, unsigned kind);

/* Marks the object damaged, naming the line that found it, and fails the section with CORRUPT;
 * unless it has failed before. Gives the section's failure. */
int bri_damaged(struct bri_txn *t, uint32_t line);
#define BRI_DAMAGED(t) bri_damaged((t), __LINE__)

/* Wakes @n sleepers of @channel (BRI_WAKE_ALL: all) when the section commits. */
static inline void bri_wake(struct bri_txn *t, unsigned channel, unsigned n)
{
    if (n > t->wake[channel])
        t->wake[channel] = (uint8_t)n;
}

/* Keeps the compiler from moving stores across: a kill sees stores in program order, if the
 * compiler does. */
static inline void bri_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Notes the 64-bit word at @p in the journal, for a store of the caller's own that follows. False:
 * the section has failed.
 */
static inline bool bri_note64(struct bri_txn *t, uint64_t *p)
{
    if (__builtin_expect(t->next == t->end, 0) && !bri_journal_more(t))
        return false;
    t->next->where = bri_off(t->o->arena, p);
    t->next->old = *(volatile uint64_t *)p;
    bri_order();
    t->next++;
    atomic_store_explicit(&t->o->slot->n_journal, ++t->n, memory_order_relaxed);
    bri_order();
    return true;
}

/* Writes the 64-bit word at @p through the journal. */
static inline void bri_set64(struct bri_txn *t, uint64_t *p, uint64_t value)
{
    if (!bri_note64(t, p))
        return;
    *(volatile uint64_t *)p = value;
    bri_order();
}

/* Writes a 32-bit half of a word through the journal. */
static inline void bri_set32(struct bri_txn *t, uint32_t *p, uint32_t value)
{
    uint64_t *word = (uint64_t *)((uintptr_t)p & ~(uintptr_t)7);
    uint64_t now = *(volatile uint64_t *)word;

    memcpy((char *)&now + ((uintptr_t)p & 7), &value, sizeof(value));
    bri_set64(t, word, now);
}

/* Writes @n bytes at @p, anywhere inside aligned words that belong to the object, through the
 * journal. */
void bri_set_bytes(struct bri_txn *t, void *p, const void *bytes, size_t n);

/* Atomics that others read without the guard. */
static inline void bri_set_atomic64(struct bri_txn *t, _Atomic uint64_t *p, uint64_t value)
{
    bri_set64(t, (uint64_t *)p, value);
}

static inline void bri_set_atomic32(struct bri_txn *t, _Atomic uint32_t *p, uint32_t value)
{
    bri_set32(t, (uint32_t *)p, value);
}

/*
 * Gives back @n pages from @page, which are tagged with the section's slot and in no list, right
 * after the commit. One run a section.
 */
static inline void bri_give_back(struct bri_txn *t, uint32_t page, uint32_t n)
{
    bri_set32(t, &t->o->slot->n_giving, n);
    bri_set_atomic32(t, &t->o->slot->giving, page);
}

/*
 * Optimistic reading, without the guard: nothing read between these two counts unless the second
 * says so. Loads in between may be torn: check every offset, bound every loop.
 */
static inline bool bri_read_begin(const struct bri_object *o, uint64_t *out_seq)
{
    *out_seq = atomic_load_explicit(&o->slot->seq, memory_order_acquire);
    return (*out_seq & 1) == 0;
}

static inline bool bri_read_valid(const struct bri_object *o, uint64_t seq)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&o->slot->seq, memory_order_relaxed) == seq;
}

/*
 * A number that is another one after each change of the object, and for each object; never 0. For
 * inside a section or a valid read. Now and then it moves for nothing that anybody sees, as after a
 * recovery.
 */
static inline uint64_t bri_version(const struct bri_object *o)
{
    uint64_t n = atomic_load_explicit(&o->slot->seq, memory_order_relaxed) / 2 -
                 *(const volatile uint64_t *)&o->slot->n_silent;

    return o->generation << 40 | ((n + 1) & ((UINT64_C(1) << 40) - 1));
}

/* 0 if the object is still the one that was opened and sound; GONE, CORRUPT, LOST (the arena was
 * sealed). For readers, before bri_read_valid(). */
int bri_read_trouble(const struct bri_object *o);

static inline bool bri_is_damaged(const struct bri_slot_shm *s)
{
    return (atomic_load_explicit(&s->damaged, memory_order_relaxed) & ~BRI_SEALED) != 0;
}

static inline int bri_read_state(const struct bri_object *o)
{
    uint64_t other =
        atomic_load_explicit(&o->slot->generation, memory_order_relaxed) ^ o->generation;

    if (__builtin_expect(
            (other | atomic_load_explicit(&o->slot->damaged, memory_order_relaxed)) == 0, 1))
        return 0;
    return bri_read_trouble(o);
}

#endif
