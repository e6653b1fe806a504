/*
 * collect.h - the end of objects without names: those that nobody has open or refers to any more
 *
 * An anonymous object lives as long as a session has it open, or a value that is stored in an
 * object that lives refers to it. Nothing is counted: a count in one object of what others store
 * could not change together with them. Instead garbage is found by looking from all that lives,
 * step by step, while everybody works on. See collect.c for how, and why no step needs the one
 * before it to have been done by the same process.
 */
#ifndef BRI_COLLECT_H
#define BRI_COLLECT_H

#include "core/guard.h"
#include "core/ref.h"

#define BRI_SCAN_END UINT64_MAX
#define BRI_COLLECT_MORE 1003 /* internal: the collection has more steps */
#define BRI_COLLECT_STACK 64

/* What one who carries out steps remembers between them, for speed and for the record. All zero is
 * the start. */
struct bri_collector {
    uint32_t n;                        /* objects that are to be looked at next */
    uint32_t stack[BRI_COLLECT_STACK]; /* slots */
    uint64_t n_freed;                  /* objects that were found to be garbage */
};

/* A look at what is stored in one object; see `refs` in type.h. */
struct bri_collect_look {
    struct bri_arena *arena;
    struct bri_collector *collector;
    uint64_t scan;
    int64_t budget; /* below 0: enough for now */
};

/* The reference to an object, and whether one is of this arena. */
struct bri_ref bri_ref_of(const struct bri_object *o);
bool bri_ref_is_of(const struct bri_arena *a, struct bri_ref ref);

/*
 * In a section that is about to refer to the object (to store a reference, to attach a session):
 * makes sure that it lives on with that. GONE, also if it was found to be garbage.
 */
int bri_collect_keep(struct bri_arena *a, uint32_t slot, uint64_t generation);

/* The same for a reference that came from outside: INVALID if it is of another arena. */
int bri_collect_keep_ref(struct bri_arena *a, struct bri_ref ref);

/* In a section: from its commit on the collector looks at what is stored in the object. */
void bri_collect_has_refs(struct bri_txn *t);

/* For a type's `refs`: the collector has met this reference; and a value of so many bytes. */
void bri_collect_reach(struct bri_collect_look *look, struct bri_ref ref);
static inline void bri_collect_spend(struct bri_collect_look *look, size_t bytes)
{
    look->budget -= 1 + (int64_t)(bytes / 256);
}

/* Something may have become garbage. */
void bri_collect_want(struct bri_arena *a);

bool bri_collect_is_anonymous(const struct bri_arena *a, uint32_t slot);

/* True if a collection is looking at the object just now, and is neither at the start nor at the
 * end: then changes must take care of the place slot->scan. In a section. */
static inline bool bri_scan_of(const struct bri_txn *t)
{
    return __builtin_expect(t->has_refs, 0) && t->o->slot->scan != 0 &&
           t->o->slot->scan != BRI_SCAN_END;
}

/* For the registry: the object is being made, and nobody knows it; whether the sweep that was seen
 * is still under way. */
void bri_collect_born(const struct bri_object *o);
bool bri_collect_is_sweeping(const struct bri_arena *a, uint64_t sweep);

/* Starts a collection, unless one is under way or there are no anonymous objects. */
void bri_collect_begin(struct bri_arena *a);

/*
 * Carries out some hundred microseconds of the collection that is under way: BRI_COLLECT_MORE, or 0
 * when there is none any more. TIMEDOUT: somebody stopped is in the way; try again later.
 */
int bri_collect_step(struct bri_arena *a, struct bri_collector *c);

/*
 * For who makes an anonymous object: if there are more than twice as many as the last collection
 * left, carries out its share of one, so that garbage is not made faster than it is collected.
 */
void bri_collect_assist(struct bri_arena *a);

/* The arena is full: collects, outside of sections. True if there may be @n_pages free pages now.
 */
bool bri_collect_for_memory(struct bri_arena *a, uint32_t n_pages);

/* A whole collection, begun after the call; what became garbage before it is gone after it. */
int bri_collect(struct bri_arena *a, uint64_t *out_n_freed);

#endif
