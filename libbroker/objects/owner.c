/*
 * owner.c - see owner.h
 */
#include "objects/owner.h"

#include <limits.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/session.h"
#include "core/spin.h"
#include "core/stand_in.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/deadlock.h"
#include "objects/pack.h"
#include "objects/save.h"

/* In the owner's place: nobody's, but locked. */
#define KEPT (0x3fffu << BRI_OWNER_SESSION_SHIFT)
/* In the owner's place: the object was destroyed. */
#define GONE (KEPT | 0xffffu)

__thread uint32_t bri_owner_thread __attribute__((tls_model("initial-exec")));

uint32_t bri_owner_number_thread(void)
{
    static _Atomic uint32_t last;

    bri_owner_thread = atomic_fetch_add(&last, 1) % UINT16_MAX + 1;
    return bri_owner_thread;
}

static inline _Atomic uint32_t *futex_of(struct bri_owner_shm *l)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the futex is the low half");
    return (_Atomic uint32_t *)&l->word;
}

/* ---- acquiring ---- */

struct wait {
    struct bri_handle *h;
    struct bri_owner_shm *l;
    uint64_t mine;
    uint64_t seen; /* the word when it was last looked at */
    int64_t timeout_ns, deadline_ns;
    uint32_t waiters; /* BRI_OWNER_WAITERS once we have slept: others may sleep still */
    bool counted;
    bool must_look; /* for a deadlock */
    bool spun;
    int64_t since_ns; /* of the first sleep; 0: none yet */
};

/* Why the word is not that of the object any more. */
static int why_other(const struct bri_object *o)
{
    return bri_read_trouble(o) == BROKER_LOST ? BROKER_LOST : BROKER_GONE;
}

/* 0 or OWNER_DIED: taken. BRI_WAIT: somebody has it. GONE, LOST. */
static int try_take(struct wait *w, uint64_t *out_token)
{
    struct bri_owner_shm *l = w->l;

    w->seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        uint32_t low = (uint32_t)w->seen;

        if (!bri_owner_same_object(&w->h->object, w->seen))
            return why_other(&w->h->object);
        if ((low & BRI_OWNER_MASK) != 0)
            return BRI_WAIT;
        if (atomic_compare_exchange_weak_explicit(&l->word, &w->seen,
                w->mine | (low & BRI_OWNER_WAITERS) | w->waiters, memory_order_acquire,
                memory_order_relaxed))
            return bri_owner_begin(l, out_token, (low & BRI_OWNER_DIED) != 0);
    }
}

/* Once a second: is it a dead session's? The daemon knows at once, but it may be gone. */
static void look_after_owner(struct wait *w)
{
    uint32_t owner = (uint32_t)w->seen & BRI_OWNER_MASK;
    uint32_t session = (owner >> BRI_OWNER_SESSION_SHIFT) - 1;

    if (owner != KEPT && bri_session_is_dead(w->h->object.arena, session))
        (void)bri_session_reap_object(&w->h->object, session);
}

/* BRI_WAIT, or DEADLOCK. That is looked for before the first sleep, for it is this wait that may
 * close a circle; and once a second, for two may close it at once. */
static int sleep_once(struct wait *w)
{
    uint32_t low = (uint32_t)w->seen;

    if (w->since_ns == 0)
        w->since_ns = bri_now();
    if (!w->counted)
        w->counted = w->must_look = bri_count_sleeper(&w->h->object, BRI_OWNER_CHANNEL, true);
    if (w->must_look && (w->l->flags & BRI_OWNER_DETECT) != 0 &&
        bri_is_youngest_in_deadlock(&w->h->object))
        return BROKER_DEADLOCK;
    w->must_look = false;
    if ((low & BRI_OWNER_WAITERS) == 0) {
        if (!atomic_compare_exchange_strong(&w->l->word, &w->seen, w->seen | BRI_OWNER_WAITERS))
            return BRI_WAIT;
        low |= BRI_OWNER_WAITERS;
    }
    w->waiters = BRI_OWNER_WAITERS;
    if (bri_futex_wait(futex_of(w->l), low, w->deadline_ns)) {
        look_after_owner(w);
        w->must_look = w->counted;
    }
    return BRI_WAIT;
}

/* BRI_WAIT if there is time left. */
static int check_time(struct wait *w)
{
    if (w->timeout_ns == BRI_NEVER && bri_owner_is_mine(w->seen, w->mine) &&
        (w->l->flags & BRI_OWNER_HANDOVER) == 0)
        return BROKER_DEADLOCK;
    if (w->deadline_ns == 0)
        w->deadline_ns = w->timeout_ns == 0 ? -1 : bri_deadline(w->timeout_ns);
    if (w->deadline_ns < 0 || bri_wait_is_over(w->deadline_ns))
        return BROKER_TIMEDOUT;
    return BRI_WAIT;
}

static int wait_for_word(struct wait *w, uint64_t *out_token)
{
    int r;

    for (;;) {
        r = bri_wait_is_lost() ? BROKER_LOST : try_take(w, out_token);
        if (r == BRI_WAIT)
            r = check_time(w);
        if (r == BRI_WAIT && w->spun)
            r = sleep_once(w);
        else if (r == BRI_WAIT)
            w->spun = !bri_spin(&w->h->object, futex_of(w->l), (uint32_t)w->seen, &w->h->score);
        if (r != BRI_WAIT)
            return r;
    }
}

/* Makes *@longest at least @ns. */
static void raise_to(_Atomic uint64_t *longest, uint64_t ns)
{
    uint64_t seen = atomic_load_explicit(longest, memory_order_relaxed);

    while (ns > seen && !atomic_compare_exchange_weak_explicit(
                            longest, &seen, ns, memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* What there is to note of a wait; nothing if the slot may be another object's. */
static void note_wait(const struct wait *w, int r)
{
    struct bri_holds_shm *holds = bri_owner_holds(&w->h->object);
    uint64_t ns;
    int64_t now;

    if (r == BROKER_GONE)
        return;
    if (w->deadline_ns > 0)
        atomic_fetch_add_explicit(&w->l->n_contended, 1, memory_order_relaxed);
    if (w->since_ns == 0 || holds == NULL)
        return;
    now = bri_now();
    ns = now > w->since_ns ? (uint64_t)(now - w->since_ns) : 0;
    atomic_fetch_add_explicit(&holds->n_sleeps, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&holds->wait_ns, ns, memory_order_relaxed);
    raise_to(&holds->longest_wait_ns, ns);
    if (r >= 0) {
        holds->since_ns = (uint64_t)now;
        holds->token = w->l->n_acquired;
    }
}

__attribute__((noinline)) int bri_owner_wait(
    struct bri_handle *h, uint64_t mine, int64_t timeout_ns, uint64_t *out_token)
{
    struct wait w = {.h = h, .l = bri_owner_of(&h->object), .mine = mine, .timeout_ns = timeout_ns};
    int r = wait_for_word(&w, out_token);

    if (r < 0 && w.waiters != 0)
        bri_futex_wake(futex_of(w.l), 1); /* a wake-up that came too late for us is another's */
    if (w.counted)
        (void)bri_count_sleeper(&h->object, BRI_OWNER_CHANNEL, false);
    note_wait(&w, r);
    return r;
}

/* ---- releasing ---- */

/* While it still is ours. */
static void note_hold(const struct bri_object *o)
{
    struct bri_holds_shm *holds = bri_owner_holds(o);
    uint64_t now, ns;

    if (holds == NULL || holds->token == 0 || holds->token != bri_owner_of(o)->n_acquired)
        return;
    now = (uint64_t)bri_now();
    ns = now > holds->since_ns ? now - holds->since_ns : 0;
    holds->token = 0;
    atomic_fetch_add_explicit(&holds->n_holds, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&holds->hold_ns, ns, memory_order_relaxed);
    raise_to(&holds->longest_hold_ns, ns);
}

__attribute__((noinline)) int bri_owner_free(struct bri_handle *h, uint64_t mine, uint64_t seen)
{
    struct bri_object *o = &h->object;
    struct bri_owner_shm *l = bri_owner_of(o);

    if (bri_owner_is_mine(seen, mine))
        note_hold(o);
    for (;;) {
        uint32_t owner = (uint32_t)seen & BRI_OWNER_MASK;

        if (!bri_owner_same_object(o, seen))
            return why_other(o);
        if (owner == 0)
            return BROKER_NOTLOCKED;
        if (!bri_owner_is_mine(seen, mine) && owner != KEPT && (l->flags & BRI_OWNER_HANDOVER) == 0)
            return BROKER_NOTOWNER;
        if (atomic_compare_exchange_weak_explicit(&l->word, &seen, bri_owner_object_bits(o),
                memory_order_release, memory_order_relaxed))
            break;
    }
    if (((uint32_t)seen & BRI_OWNER_WAITERS) != 0)
        bri_futex_wake(futex_of(l), 1);
    return 0;
}

/* ---- looking ---- */

int bri_owner_look(const struct bri_object *o, struct bri_owner_look *out_look)
{
    struct bri_owner_shm *l = bri_owner_of(o);
    uint64_t word = atomic_load_explicit(&l->word, memory_order_acquire);
    uint32_t owner = (uint32_t)word & BRI_OWNER_MASK;

    if (!bri_owner_same_object(o, word) || atomic_load(&o->slot->generation) != o->generation)
        return why_other(o);
    *out_look = (struct bri_owner_look){
        .held = owner != 0,
        .kept = owner == KEPT,
        .session =
            owner != 0 && owner != KEPT ? (owner >> BRI_OWNER_SESSION_SHIFT) - 1 : UINT32_MAX,
        .thread = *(volatile uint32_t *)&l->thread,
        .token = *(volatile uint64_t *)&l->n_acquired,
        .depth = *(volatile uint64_t *)&l->depth,
    };
    return 0;
}

int bri_owner_locked(const struct bri_handle *h, bool *out_locked)
{
    struct bri_owner_look owner;
    int r = bri_owner_look(&h->object, &owner);

    if (r == 0)
        *out_locked = owner.held;
    return r;
}

bool bri_owner_look_at_any(const struct bri_object *o, struct bri_owner_look *out_look)
{
    if (o->type != BRI_TYPE_LOCK && o->type != BRI_TYPE_RLOCK && o->type != BRI_TYPE_CONDITION)
        return false;
    return bri_owner_look(o, out_look) == 0 && out_look->held;
}

int bri_owner_describe(
    struct bri_handle *h, bool depth, broker_buffer *buffer, broker_value *out_owner)
{
    struct bri_session_info info = {0};
    struct bri_owner_look owner;
    struct bri_pack p;
    int r = bri_owner_look(&h->object, &owner);

    if (r < 0)
        return r;
    if (!owner.held) {
        *out_owner = broker_nil();
        return 0;
    }
    if (!owner.kept)
        (void)bri_session_info(h->object.arena, owner.session, &info);
    bri_pack_start(&p, buffer);
    bri_pack_map(&p, depth ? 5 : 4);
    bri_pack_entry(&p, "session", owner.kept ? broker_nil() : broker_int(owner.session));
    bri_pack_entry(&p, "pid", owner.kept ? broker_nil() : broker_int(info.pid));
    bri_pack_entry(&p, "thread", owner.kept ? broker_nil() : broker_int(owner.thread));
    bri_pack_entry(&p, "alive",
        broker_bool(!owner.kept && !bri_session_is_dead(h->object.arena, owner.session)));
    if (depth)
        bri_pack_entry(&p, "count", broker_uint(owner.depth));
    return bri_pack_end(&p, out_owner);
}

/* ---- the types ---- */

void bri_owner_create(struct bri_object *o, uint32_t flags)
{
    struct bri_owner_shm *l = bri_owner_of(o);

    l->flags = flags;
    atomic_store(&l->word, bri_owner_object_bits(o));
}

/* A word that its session left behind, by death or by leaving, is one whose next owner must be
 * told. */
int bri_owner_reap(struct bri_object *o, bool died)
{
    struct bri_owner_shm *l = bri_owner_of(o);
    uint32_t session = o->reaped_number + 1;
    struct bri_txn t;
    uint64_t word, free_word;
    int r = bri_reap_begin(&t, o);

    (void)died;
    if (r < 0)
        return r;
    word = atomic_load(&l->word);
    free_word = bri_owner_object_bits(o) |
                ((l->flags & BRI_OWNER_KEEP_ON_DEATH) != 0 ? KEPT : BRI_OWNER_DIED);
    while (bri_owner_same_object(o, word) &&
           ((uint32_t)word & BRI_OWNER_MASK) >> BRI_OWNER_SESSION_SHIFT == session &&
           (word & bri_owner_session_bits(UINT64_MAX)) ==
               bri_owner_session_bits(o->reaped_generation)) {
        if (!atomic_compare_exchange_weak(
                &l->word, &word, free_word | ((uint32_t)word & BRI_OWNER_WAITERS)))
            continue;
        atomic_fetch_add_explicit(&l->n_owner_deaths, 1, memory_order_relaxed);
        break;
    }
    bri_abort(&t); /* the word itself was the change */
    bri_futex_wake(futex_of(l), INT_MAX);
    return 0;
}

/* The word becomes one of no object that this slot's handles can know. */
void bri_owner_gone(struct bri_object *o)
{
    struct bri_owner_shm *l = bri_owner_of(o);
    uint64_t word = atomic_load(&l->word);

    while (((uint32_t)word & BRI_OWNER_MASK) != GONE)
        if (atomic_compare_exchange_weak(&l->word, &word, (~word >> 44 << 44) | GONE))
            break;
    bri_futex_wake(futex_of(l), INT_MAX);
}

/* Its upper bits become those of no object; who owned it stays to be seen. */
void bri_owner_seal(struct bri_object *o, bool sealed)
{
    struct bri_owner_shm *l = bri_owner_of(o);
    uint64_t object = bri_owner_object_bits(o), word = atomic_load(&l->word);

    if (sealed)
        object ^= UINT64_MAX << 44;
    while (!atomic_compare_exchange_weak(&l->word, &word, object | (word << 20 >> 20)))
        continue;
    bri_futex_wake(futex_of(l), INT_MAX);
}

/* Nobody in particular releases a lock that anybody may release, or whose owner is gone. */
void bri_owner_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out)
{
    struct bri_owner_look owner;

    *out = (struct bri_ends){.by = BRI_BY_ANYBODY};
    if (channel != BRI_OWNER_CHANNEL || bri_owner_look(o, &owner) < 0 || !owner.held ||
        owner.kept || (bri_owner_of(o)->flags & BRI_OWNER_HANDOVER) != 0)
        return;
    *out = (struct bri_ends){.by = BRI_BY_THREAD,
        .session = owner.session,
        .thread = owner.thread,
        .proof = owner.token};
}

/* A free word has no owner who would wake anybody; an owner must know that somebody sleeps. */
bool bri_owner_ready(struct bri_object *o, struct bri_wait_word *out)
{
    struct bri_owner_shm *l = bri_owner_of(o);
    uint64_t word = atomic_load(&l->word);

    do {
        *out = (struct bri_wait_word){.word = futex_of(l),
            .seen = (uint32_t)word | BRI_OWNER_WAITERS,
            .channel = BRI_OWNER_CHANNEL,
            .look_again_ns = BRI_NEVER};
        if (!bri_owner_same_object(o, word) || ((uint32_t)word & BRI_OWNER_MASK) == 0)
            return true;
    } while ((word & BRI_OWNER_WAITERS) == 0 &&
             !atomic_compare_exchange_weak(&l->word, &word, word | BRI_OWNER_WAITERS));
    return false;
}

void bri_owner_audit(const struct bri_object *o, struct bri_audit *audit)
{
    struct bri_session_info info;
    struct bri_owner_look owner;

    if (bri_owner_look(o, &owner) < 0) {
        bri_audit_fail(audit, o, "its word is another object's");
        return;
    }
    if (owner.held && !owner.kept &&
        (bri_session_info(o->arena, owner.session, &info) < 0 || info.status == BRI_SESSION_FREE))
        bri_audit_fail(audit, o, "held by session %u, which does not exist", owner.session);
}

void bri_owner_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_holds_shm *holds = bri_owner_holds(o);
    struct bri_owner_shm *l = bri_owner_of(o);
    uint32_t low = (uint32_t)atomic_load(&l->word);

    bri_stat_add(stat, "locked", (low & BRI_OWNER_MASK) != 0);
    bri_stat_add(stat, "acquired", *(volatile uint64_t *)&l->n_acquired);
    bri_stat_add(stat, "contended", atomic_load(&l->n_contended));
    bri_stat_add(stat, "owner_deaths", atomic_load(&l->n_owner_deaths));
    if (holds == NULL)
        return;
    bri_stat_add(stat, "sleeps", atomic_load(&holds->n_sleeps));
    bri_stat_add(stat, "wait_ns", atomic_load(&holds->wait_ns));
    bri_stat_add(stat, "longest_wait_ns", atomic_load(&holds->longest_wait_ns));
    bri_stat_add(stat, "holds", atomic_load(&holds->n_holds));
    bri_stat_add(stat, "hold_ns", atomic_load(&holds->hold_ns));
    bri_stat_add(stat, "longest_hold_ns", atomic_load(&holds->longest_hold_ns));
}

/* ---- saving ---- */

void bri_owner_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_owner_shm *l = bri_owner_of(o);
    uint32_t low = (uint32_t)atomic_load(&l->word), owner = low & BRI_OWNER_MASK;
    bool kept = owner == KEPT || (owner != 0 && (l->flags & BRI_OWNER_KEEP_ON_DEATH) != 0);

    bool taken = owner != 0 && (atomic_load(&o->slot->damaged) & BRI_SEALED) != 0;

    /* Who took it in the moment before the seal may have a token that is not counted yet. */
    bri_save_state(save, "acquired", broker_uint(l->n_acquired + taken));
    bri_save_state(save, "kept", broker_bool(kept));
    bri_save_state(
        save, "owner_died", broker_bool(!kept && (owner != 0 || (low & BRI_OWNER_DIED) != 0)));
}

int bri_owner_load(struct bri_handle *h, const struct bri_load *load)
{
    struct bri_owner_shm *l = bri_owner_of(&h->object);
    uint64_t word = bri_owner_object_bits(&h->object);

    if (load->contents.type != BROKER_NIL)
        return BROKER_INVALID;
    l->n_acquired = bri_load_u64(load, "acquired");
    if (bri_load_bool(load, "kept"))
        word |= KEPT;
    else if (bri_load_bool(load, "owner_died"))
        word |= BRI_OWNER_DIED;
    atomic_store(&l->word, word);
    return 0;
}
