/*
 * owner.h - the word that says which thread owns a lock: what lock, rlock and condition are made of
 *
 * The word is changed by compare-and-swap: acquire and release alone take no guard and cost about
 * what a mutex costs. Its low half is a futex and says which thread of which session owns it; its
 * high half says of which object, and of which use of the session's slot, so that a late look at a
 * slot that has a new owner matches nothing. Killed at any instruction, a thread either owns the
 * word, and then its session's end frees it, or does not. The session's end also wakes every
 * sleeper, for the case that it died between freeing the word and waking one. Without a daemon,
 * sleepers look themselves, once a second, whether the owner is dead.
 *
 * The ways that nobody stands in are inline, for one exchange each is all that they are.
 */
#ifndef BRI_OWNER_H
#define BRI_OWNER_H

#include "client/handle.h"
#include "core/lock.h"

struct bri_audit;
struct bri_ends;
struct bri_load;
struct bri_save;
struct bri_stat;
struct bri_wait_word;

#define BRI_OWNER_WAITERS (1u << 31)
#define BRI_OWNER_DIED (1u << 30)
#define BRI_OWNER_MASK (BRI_OWNER_DIED - 1)
#define BRI_OWNER_SESSION_SHIFT 16

/* What whoever made the object wanted of it. */
#define BRI_OWNER_KEEP_ON_DEATH 1u
#define BRI_OWNER_HANDOVER 2u
#define BRI_OWNER_DETECT 4u /* a wait that can never end fails with DEADLOCK */

/* Sleepers for the word are counted in this channel of the object. */
#define BRI_OWNER_CHANNEL 0

/* Stands first in the state of every type that has one, so that inspection finds it. */
struct bri_owner_shm {
    _Atomic uint64_t word;           /* [atomic] */
    uint64_t n_acquired;             /* [owner only] ever; the fencing token of the present owner */
    uint64_t depth;                  /* [owner only] how often it has it; counted by rlocks only */
    uint32_t flags;                  /* [const] */
    uint32_t thread;                 /* [owner only] the kernel's id of the owner, for the eye */
    _Atomic uint64_t n_contended;    /* [atomic] */
    _Atomic uint64_t n_owner_deaths; /* [atomic] */
};

/*
 * Behind it, in objects without a heap: how long it was slept for, and held by those who had slept
 * for it and whom others waited for when they released it. Others read no clock.
 */
struct bri_holds_shm {
    _Atomic uint64_t n_sleeps;        /* [atomic] operations that slept for it */
    _Atomic uint64_t wait_ns;         /* [atomic] all of them together */
    _Atomic uint64_t longest_wait_ns; /* [atomic] */
    uint64_t token;           /* [owner only] n_acquired of the last one that slept for it */
    uint64_t since_ns;        /* [owner only] when that one got it */
    _Atomic uint64_t n_holds; /* [atomic] */
    _Atomic uint64_t hold_ns; /* [atomic] all of them together */
    _Atomic uint64_t longest_hold_ns; /* [atomic] */
};

_Static_assert(sizeof(struct bri_owner_shm) + sizeof(struct bri_holds_shm) <= BRI_SLOT_STATE,
    "state of a lock");

/* Who owns it; a copy. */
struct bri_owner_look {
    bool held;
    bool kept; /* its owner died or left, and it was told to stay locked */
    uint32_t session;
    uint32_t thread; /* kernel's id; this and the rest may lag behind for a moment */
    uint64_t token;
    uint64_t depth;
};

static inline struct bri_owner_shm *bri_owner_of(const struct bri_object *o)
{
    return (struct bri_owner_shm *)o->slot->state;
}

/* NULL if that has no place. */
static inline struct bri_holds_shm *bri_owner_holds(const struct bri_object *o)
{
    return o->root == NULL ? (struct bri_holds_shm *)(bri_owner_of(o) + 1) : NULL;
}

/* ---- the word ---- */

/* The high half: 20 bits of the object, 12 of the session (0 while it is free). */
static inline uint64_t bri_owner_object_bits(const struct bri_object *o)
{
    return o->generation << 44;
}

static inline uint64_t bri_owner_session_bits(uint64_t session_generation)
{
    return (session_generation & 0xfff) << 32;
}

static inline bool bri_owner_same_object(const struct bri_object *o, uint64_t word)
{
    return word >> 44 << 44 == bri_owner_object_bits(o);
}

/* Threads of a process are told apart by numbers of our own, of 16 bits: they fit, and cost no
 * system call. 0: this one has none yet; what is above the 16 bits only makes it something else. */
extern __thread uint32_t bri_owner_thread __attribute__((tls_model("initial-exec")));
uint32_t bri_owner_number_thread(void);

/* What the word is while this thread owns it and nobody waits. */
static inline uint64_t bri_owner_mine(const struct bri_handle *h)
{
    const broker *b = h->broker;
    uint32_t thread = bri_owner_thread;

    if (__builtin_expect(thread == 0, 0))
        thread = bri_owner_number_thread();
    return bri_owner_object_bits(&h->object) | bri_owner_session_bits(b->session.generation) |
           (uint64_t)(b->session_number + 1) << BRI_OWNER_SESSION_SHIFT | (thread & UINT16_MAX);
}

static inline bool bri_owner_is_mine(uint64_t word, uint64_t mine)
{
    return (word & ~(uint64_t)BRI_OWNER_WAITERS) == mine;
}

/* ---- acquiring and releasing ---- */

/* What an owner does first. Nobody else writes these while it owns the word. */
static inline int bri_owner_begin(struct bri_owner_shm *l, uint64_t *out_token, bool died)
{
    uint64_t token = l->n_acquired + 1;

    l->n_acquired = token;
    l->thread = bri_caller_id();
    if (out_token != NULL)
        *out_token = token;
    return died ? BROKER_OWNER_DIED : 0;
}

/*
 * Takes the word if it is free, nobody waits, and no owner died. If not, *@out_seen is what it is:
 * go on with bri_owner_wait().
 */
static inline bool bri_owner_take(struct bri_handle *h, uint64_t mine, uint64_t *out_seen)
{
    *out_seen = bri_owner_object_bits(&h->object);
    return __builtin_expect(atomic_compare_exchange_strong_explicit(&bri_owner_of(&h->object)->word,
                                out_seen, mine, memory_order_acquire, memory_order_relaxed),
        1);
}

/* Takes the word, waiting for it: 0, OWNER_DIED, TIMEDOUT, DEADLOCK, GONE. */
int bri_owner_wait(struct bri_handle *h, uint64_t mine, int64_t timeout_ns, uint64_t *out_token);

/* Frees the word if this thread owns it and nobody waits; otherwise as bri_owner_take(). */
static inline bool bri_owner_give(struct bri_handle *h, uint64_t mine, uint64_t *out_seen)
{
    *out_seen = mine;
    return __builtin_expect(
        atomic_compare_exchange_strong_explicit(&bri_owner_of(&h->object)->word, out_seen,
            bri_owner_object_bits(&h->object), memory_order_release, memory_order_relaxed),
        1);
}

/* Frees the word that was @seen and wakes one waiter: 0, NOTOWNER, NOTLOCKED, GONE. */
int bri_owner_free(struct bri_handle *h, uint64_t mine, uint64_t seen);

/* ---- what types share ---- */

/* The operation `owner`: with how often it has it, if @depth. */
int bri_owner_describe(
    struct bri_handle *h, bool depth, broker_buffer *buffer, broker_value *out_owner);

/* GONE if the object is not the one that was opened. */
int bri_owner_look(const struct bri_object *o, struct bri_owner_look *out_look);

/* The operation `locked`. */
int bri_owner_locked(const struct bri_handle *h, bool *out_locked);

/* True if some thread owns the word of this object, if its type has one. */
bool bri_owner_look_at_any(const struct bri_object *o, struct bri_owner_look *out_look);

/* The parts of struct bri_type_ops. */
void bri_owner_create(struct bri_object *o, uint32_t flags);
int bri_owner_reap(struct bri_object *o, bool died);
void bri_owner_gone(struct bri_object *o);
void bri_owner_seal(struct bri_object *o, bool sealed);
void bri_owner_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out);
bool bri_owner_ready(struct bri_object *o, struct bri_wait_word *out);
void bri_owner_audit(const struct bri_object *o, struct bri_audit *audit);
void bri_owner_stat(const struct bri_object *o, struct bri_stat *stat);

/* The state of a lock: the fencing token goes on from where it was, and who owned it has left it.
 */
void bri_owner_save(const struct bri_object *o, struct bri_save *save);
int bri_owner_load(struct bri_handle *h, const struct bri_load *load);

#endif
