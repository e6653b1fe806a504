/*
 * lock.c - the lock type
 *
 * The whole lock is one word, changed by compare-and-swap: acquire and release alone take no guard
 * and cost about what a mutex costs. Its low half is a futex and says which thread of which session
 * owns it; its high half says of which object, and of which use of the session's slot, so that a
 * late look at a slot that has a new owner matches nothing. Killed at any instruction, a thread
 * either has the lock, and then its session's end frees it, or has not. The session's end also
 * wakes every sleeper, for the case that it died between freeing the lock and waking one. Without a
 * daemon, sleepers look themselves, once a second, whether the owner is dead.
 */
#include "objects/lock.h"

#include <limits.h>

#include "core/audit.h"
#include "core/lock.h"
#include "core/session.h"
#include "core/spin.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/pack.h"

#define WAITERS (1u << 31)
#define DIED (1u << 30)
#define OWNER_MASK (DIED - 1)
#define SESSION_SHIFT 16
#define KEPT (0x3fffu << SESSION_SHIFT) /* in the owner's place: nobody's, but locked */

#define GONE (KEPT | 0xffffu) /* in the owner's place: the object was destroyed */

#define KEEP_ON_DEATH 1u
#define HANDOVER 2u

struct lock_shm {
    _Atomic uint64_t word;           /* [atomic] */
    uint64_t n_acquired;             /* [owner only] ever; the fencing token of the present owner */
    uint32_t flags;                  /* [const] */
    uint32_t thread;                 /* [owner only] the kernel's id of the owner, for the eye */
    _Atomic uint64_t n_contended;    /* [atomic] */
    _Atomic uint64_t n_owner_deaths; /* [atomic] */
};

static inline struct lock_shm *state_of(const struct bri_object *o)
{
    return (struct lock_shm *)o->slot->state;
}

static inline _Atomic uint32_t *futex_of(struct lock_shm *l)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the futex is the low half");
    return (_Atomic uint32_t *)&l->word;
}

/* The high half: 20 bits of the object, 12 of the session (0 while it is free). */
static inline uint64_t object_bits(const struct bri_object *o)
{
    return o->generation << 44;
}

static inline uint64_t session_bits(uint64_t session_generation)
{
    return (session_generation & 0xfff) << 32;
}

static inline bool same_object(const struct bri_object *o, uint64_t word)
{
    return word >> 44 << 44 == object_bits(o);
}

/* Threads of a process are told apart by numbers of our own: they fit, and cost no system call. */
static inline uint32_t thread_number(void)
{
    static _Atomic uint32_t last;
    static __thread uint32_t mine __attribute__((tls_model("initial-exec")));

    if (__builtin_expect(mine == 0, 0))
        mine = atomic_fetch_add(&last, 1) % UINT16_MAX + 1;
    return mine;
}

static inline uint64_t my_word(const struct bri_handle *h)
{
    const broker *b = h->broker;

    return object_bits(&h->object) | session_bits(b->session.generation) |
           (uint64_t)(b->session_number + 1) << SESSION_SHIFT | thread_number();
}

/* What an owner does first. Nobody else writes these while it owns the lock. */
static inline int own(struct lock_shm *l, uint64_t *out_token, bool died)
{
    uint64_t token = l->n_acquired + 1;

    l->n_acquired = token;
    l->thread = bri_thread_id();
    if (out_token != NULL)
        *out_token = token;
    return died ? BROKER_OWNER_DIED : 0;
}

struct wait {
    struct bri_handle *h;
    struct lock_shm *l;
    uint64_t mine;
    uint64_t seen; /* the word when it was last looked at */
    int64_t timeout_ns, deadline_ns;
    uint32_t waiters; /* WAITERS once we have slept: others may sleep still */
    bool counted;
    bool spun;
};

/* 0 or OWNER_DIED: taken. BRI_WAIT: somebody has it. GONE. */
static int try_take(struct wait *w, uint64_t *out_token)
{
    struct lock_shm *l = w->l;

    w->seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        uint32_t low = (uint32_t)w->seen;

        if (!same_object(&w->h->object, w->seen))
            return BROKER_GONE;
        if ((low & OWNER_MASK) != 0)
            return BRI_WAIT;
        if (atomic_compare_exchange_weak_explicit(&l->word, &w->seen,
                w->mine | (low & WAITERS) | w->waiters, memory_order_acquire, memory_order_relaxed))
            return own(l, out_token, (low & DIED) != 0);
    }
}

/* Once a second: is it a dead session's? The daemon knows at once, but it may be gone. */
static void look_after_owner(struct wait *w)
{
    uint32_t owner = (uint32_t)w->seen & OWNER_MASK;
    uint32_t session = (owner >> SESSION_SHIFT) - 1;

    if (owner != KEPT && bri_session_is_dead(w->h->object.arena, session))
        (void)bri_session_reap_object(&w->h->object, session);
}

static void sleep_once(struct wait *w)
{
    uint32_t low = (uint32_t)w->seen;

    if (!w->counted)
        w->counted = bri_count_sleeper(&w->h->object, 0, true);
    if ((low & WAITERS) == 0) {
        if (!atomic_compare_exchange_strong(&w->l->word, &w->seen, w->seen | WAITERS))
            return;
        low |= WAITERS;
    }
    w->waiters = WAITERS;
    if (bri_futex_wait(futex_of(w->l), low, w->deadline_ns))
        look_after_owner(w);
}

static __attribute__((noinline)) int acquire_slow(struct wait *w, uint64_t *out_token)
{
    struct bri_object *o = &w->h->object;
    int r;

    for (;;) {
        r = try_take(w, out_token);
        if (r != BRI_WAIT)
            break;
        if (w->timeout_ns == BRI_NEVER && (w->seen & ~(uint64_t)WAITERS) == w->mine &&
            (w->l->flags & HANDOVER) == 0) {
            r = BROKER_DEADLOCK;
            break;
        }
        if (w->deadline_ns == 0)
            w->deadline_ns = w->timeout_ns == 0 ? -1 : bri_deadline(w->timeout_ns);
        if (w->deadline_ns != BRI_NEVER && (w->deadline_ns < 0 || bri_now() >= w->deadline_ns)) {
            if (w->waiters != 0)
                bri_futex_wake(
                    futex_of(w->l), 1); /* a wake-up that came too late for us is another's */
            r = BROKER_TIMEDOUT;
            break;
        }
        if (!w->spun)
            w->spun = !bri_spin(o, futex_of(w->l), (uint32_t)w->seen, &w->h->score);
        else
            sleep_once(w);
    }
    if (w->deadline_ns > 0)
        atomic_fetch_add_explicit(&w->l->n_contended, 1, memory_order_relaxed);
    if (w->counted)
        (void)bri_count_sleeper(o, 0, false);
    return r;
}

int bri_lock_acquire(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_token)
{
    struct lock_shm *l = state_of(&h->object);
    uint64_t expected = object_bits(&h->object);
    struct wait w = {.h = h, .l = l, .timeout_ns = timeout_ns};

    if (__builtin_expect(timeout_ns < 0, 0))
        return BROKER_INVALID;
    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    w.mine = my_word(h);
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(&l->word, &expected, w.mine,
                             memory_order_acquire, memory_order_relaxed),
            1))
        return own(l, out_token, false);
    return acquire_slow(&w, out_token);
}

static __attribute__((noinline)) int release_slow(
    struct bri_handle *h, uint64_t mine, uint64_t word)
{
    struct bri_object *o = &h->object;
    struct lock_shm *l = state_of(o);

    for (;;) {
        uint32_t owner = (uint32_t)word & OWNER_MASK;

        if (!same_object(o, word))
            return BROKER_GONE;
        if (owner == 0)
            return BROKER_NOTLOCKED;
        if ((word & ~(uint64_t)WAITERS) != mine && owner != KEPT && (l->flags & HANDOVER) == 0)
            return BROKER_NOTOWNER;
        if (atomic_compare_exchange_weak_explicit(
                &l->word, &word, object_bits(o), memory_order_release, memory_order_relaxed))
            break;
    }
    if (((uint32_t)word & WAITERS) != 0)
        bri_futex_wake(futex_of(l), 1);
    return 0;
}

int bri_lock_release(struct bri_handle *h)
{
    struct lock_shm *l = state_of(&h->object);
    uint64_t mine, expected;

    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    mine = expected = my_word(h);
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(&l->word, &expected,
                             object_bits(&h->object), memory_order_release, memory_order_relaxed),
            1))
        return 0;
    return release_slow(h, mine, expected);
}

int bri_lock_look(const struct bri_object *o, struct bri_lock_look *out_owner)
{
    struct lock_shm *l = state_of(o);
    uint64_t word = atomic_load_explicit(&l->word, memory_order_acquire);
    uint32_t owner = (uint32_t)word & OWNER_MASK;

    if (!same_object(o, word) || atomic_load(&o->slot->generation) != o->generation)
        return BROKER_GONE;
    *out_owner = (struct bri_lock_look){
        .held = owner != 0,
        .kept = owner == KEPT,
        .session = owner != 0 && owner != KEPT ? (owner >> SESSION_SHIFT) - 1 : UINT32_MAX,
        .thread = *(volatile uint32_t *)&l->thread,
        .token = *(volatile uint64_t *)&l->n_acquired,
    };
    return 0;
}

int bri_lock_locked(struct bri_handle *h, bool *out_locked)
{
    struct bri_lock_look owner;
    int r = bri_lock_look(&h->object, &owner);

    if (r == 0)
        *out_locked = owner.held;
    return r;
}

int bri_lock_owner(struct bri_handle *h, broker_buffer *buffer, broker_value *out_owner)
{
    struct bri_session_info info = {0};
    struct bri_lock_look owner;
    struct bri_pack p;
    int r = bri_lock_look(&h->object, &owner);

    if (r < 0)
        return r;
    if (!owner.held) {
        *out_owner = broker_nil();
        return 0;
    }
    if (!owner.kept)
        (void)bri_session_info(h->object.arena, owner.session, &info);
    bri_pack_start(&p, buffer);
    bri_pack_map(&p, 4);
    bri_pack_entry(&p, "session", owner.kept ? broker_nil() : broker_int(owner.session));
    bri_pack_entry(&p, "pid", owner.kept ? broker_nil() : broker_int(info.pid));
    bri_pack_entry(&p, "thread", owner.kept ? broker_nil() : broker_int(owner.thread));
    bri_pack_entry(&p, "alive",
        broker_bool(!owner.kept && !bri_session_is_dead(h->object.arena, owner.session)));
    return bri_pack_end(&p, out_owner);
}

/* ---- the type ---- */

static int lock_create(struct bri_object *o, const void *options)
{
    const broker_lock_options *wanted = options;
    struct lock_shm *l = state_of(o);

    if (wanted != NULL)
        l->flags = (wanted->keep_on_death ? KEEP_ON_DEATH : 0) | (wanted->handover ? HANDOVER : 0);
    atomic_store(&l->word, object_bits(o));
    return 0;
}

static int lock_match(const struct bri_object *o, const void *options)
{
    const broker_lock_options *wanted = options;
    const struct lock_shm *l = state_of(o);

    if ((wanted->keep_on_death && (l->flags & KEEP_ON_DEATH) == 0) ||
        (wanted->handover && (l->flags & HANDOVER) == 0))
        return BROKER_MISMATCH;
    return 0;
}

/* A lock that its session left behind, by death or by leaving, is a lock whose next owner must be
 * told. */
static int lock_reap(struct bri_object *o, bool died)
{
    struct lock_shm *l = state_of(o);
    uint32_t session = o->reaped_number + 1;
    struct bri_txn t;
    uint64_t word, free_word;
    int r = bri_reap_begin(&t, o);

    (void)died;
    if (r < 0)
        return r;
    word = atomic_load(&l->word);
    free_word = object_bits(o) | ((l->flags & KEEP_ON_DEATH) != 0 ? KEPT : DIED);
    while (same_object(o, word) && ((uint32_t)word & OWNER_MASK) >> SESSION_SHIFT == session &&
           (word & session_bits(UINT64_MAX)) == session_bits(o->reaped_generation)) {
        if (!atomic_compare_exchange_weak(&l->word, &word, free_word | ((uint32_t)word & WAITERS)))
            continue;
        atomic_fetch_add_explicit(&l->n_owner_deaths, 1, memory_order_relaxed);
        break;
    }
    bri_abort(&t); /* the word itself was the change */
    bri_futex_wake(futex_of(l), INT_MAX);
    return 0;
}

/* The word becomes one of no object that this slot's handles can know. */
static void lock_gone(struct bri_object *o)
{
    struct lock_shm *l = state_of(o);
    uint64_t word = atomic_load(&l->word);

    while (((uint32_t)word & OWNER_MASK) != GONE)
        if (atomic_compare_exchange_weak(&l->word, &word, (~word >> 44 << 44) | GONE))
            break;
    bri_futex_wake(futex_of(l), INT_MAX);
}

/* A free lock has no owner who would wake anybody; a held one must know that somebody sleeps. */
static bool lock_ready(struct bri_object *o, struct bri_wait_word *out)
{
    struct lock_shm *l = state_of(o);
    uint64_t word = atomic_load(&l->word);

    do {
        *out = (struct bri_wait_word){.word = futex_of(l), .seen = (uint32_t)word | WAITERS};
        if (!same_object(o, word) || ((uint32_t)word & OWNER_MASK) == 0)
            return true;
    } while (
        (word & WAITERS) == 0 && !atomic_compare_exchange_weak(&l->word, &word, word | WAITERS));
    return false;
}

static void lock_audit(const struct bri_object *o, struct bri_audit *audit)
{
    struct bri_session_info info;
    struct bri_lock_look owner;

    if (bri_lock_look(o, &owner) < 0) {
        bri_audit_fail(audit, o, "its word is another object's");
        return;
    }
    if (owner.held && !owner.kept &&
        (bri_session_info(o->arena, owner.session, &info) < 0 || info.status == BRI_SESSION_FREE))
        bri_audit_fail(audit, o, "held by session %u, which does not exist", owner.session);
}

static void lock_stat(const struct bri_object *o, struct bri_stat *stat)
{
    struct lock_shm *l = state_of(o);
    uint32_t low = (uint32_t)atomic_load(&l->word);

    bri_stat_add(stat, "locked", (low & OWNER_MASK) != 0);
    bri_stat_add(stat, "acquired", *(volatile uint64_t *)&l->n_acquired);
    bri_stat_add(stat, "contended", atomic_load(&l->n_contended));
    bri_stat_add(stat, "owner_deaths", atomic_load(&l->n_owner_deaths));
    bri_stat_add(stat, "keep_on_death", (l->flags & KEEP_ON_DEATH) != 0);
    bri_stat_add(stat, "handover", (l->flags & HANDOVER) != 0);
}

const struct bri_type_ops bri_lock_type = {
    .number = BRI_TYPE_LOCK,
    .name = "lock",
    .has_heap = false,
    .is_word = true,
    .create = lock_create,
    .match = lock_match,
    .reap = lock_reap,
    .ready = lock_ready,
    .gone = lock_gone,
    .audit = lock_audit,
    .stat = lock_stat,
};
