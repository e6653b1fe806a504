/*
 * semaphore.c - the semaphore type
 *
 * Semantics of CPython 3.11's threading.Semaphore and BoundedSemaphore; what a bounded one adds is
 * that permits come back when the session that took them ends. An unbounded one is a counter for
 * signals: who takes a signal has nothing to give back, so nothing is counted for it.
 *
 * The account of a bounded semaphore, which never makes a permit out of nothing and is exact
 * whenever nobody is in a section:
 *
 *     permits out  =  limit - value  =  (sum of all sessions' held[TAKEN])  +  n_kept  -  n_foreign
 *
 * A release takes off what its own session has, then what the dead have left out (n_kept, with
 * keep_on_death). If neither is left, it is a session's that has not taken it, which Python allows:
 * nobody can say whose permit that was, so it is noted in n_foreign, and the sessions that end
 * first pay for it out of what would have come back from them. At worst a permit so comes back
 * later, with the end of the session it is still counted for. Killed at any instruction, a session
 * has the permit, and then its end gives it back, or it has not.
 */
#include <stddef.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "objects/save.h"

#define PERMITS 0 /* channel */
#define TAKEN 0   /* of an attachment's held[]: permits that the session has to give back */

#define BOUNDED 1u
#define KEEP_ON_DEATH 2u
#define EMPTY 4u

struct semaphore_shm {
    uint64_t value;      /* [guard] permits to be had */
    uint64_t limit;      /* [const] what it began with, and with BOUNDED the most there can be */
    uint64_t flags;      /* [const] */
    uint64_t n_kept;     /* [guard] out, and counted for no session */
    uint64_t n_foreign;  /* [guard] given back by sessions that had not taken them */
    uint64_t n_notices;  /* [guard] of `value`: left behind, and nobody was told yet */
    uint64_t n_acquired; /* [guard] ever */
    uint64_t n_owner_deaths; /* [guard] permits that were left behind, ever */
    struct bri_sleeps_shm sleeps;
};

_Static_assert(sizeof(struct semaphore_shm) <= BRI_SLOT_STATE, "semaphore state size");

static inline struct semaphore_shm *state_of(const struct bri_object *o)
{
    return (struct semaphore_shm *)o->slot->state;
}

static inline bool is_bounded(const struct semaphore_shm *s)
{
    return (s->flags & BOUNDED) != 0;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- operations ---- */

static int acquire_try(struct bri_txn *t, void *arg)
{
    struct semaphore_shm *s = state_of(t->o);
    uint64_t *taken = &t->o->att->held[TAKEN];

    (void)arg;
    if (s->value == 0)
        return BRI_WAIT;
    bri_set64(t, &s->value, s->value - 1);
    bri_set64(t, &s->n_acquired, s->n_acquired + 1);
    if (!is_bounded(s))
        return 0;
    bri_set64(t, taken, *taken + 1);
    if (s->n_notices == 0)
        return 0;
    bri_set64(t, &s->n_notices, s->n_notices - 1);
    return BROKER_OWNER_DIED;
}

int bri_semaphore_acquire(struct bri_handle *h, int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return BROKER_INVALID;
    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return bri_blocking(&h->object, PERMITS, timeout_ns, BROKER_TIMEDOUT, acquire_try, NULL);
}

/* Takes @n permits off the account of those who have them. */
static void charge(struct bri_txn *t, struct semaphore_shm *s, uint64_t n)
{
    uint64_t *taken = &t->o->att->held[TAKEN];
    uint64_t own = least(n, *taken), kept = least(n - own, s->n_kept);

    if (own > 0)
        bri_set64(t, taken, *taken - own);
    if (kept > 0)
        bri_set64(t, &s->n_kept, s->n_kept - kept);
    if (n > own + kept)
        bri_set64(t, &s->n_foreign, s->n_foreign + (n - own - kept));
}

static int release_try(struct bri_txn *t, void *arg)
{
    struct semaphore_shm *s = state_of(t->o);
    const uint64_t n = *(const uint64_t *)arg;

    if (is_bounded(s)) {
        if (s->value > s->limit)
            return BRI_DAMAGED(t);
        if (n > s->limit - s->value)
            return BROKER_OVERDONE;
        charge(t, s, n);
    } else if (n > UINT64_MAX - s->value) {
        return BROKER_OVERFLOW;
    }
    bri_set64(t, &s->value, s->value + n);
    bri_wake(t, PERMITS, (unsigned)least(n, BRI_WAKE_ALL));
    return 0;
}

int bri_semaphore_release(struct bri_handle *h, uint64_t permits)
{
    if (permits == 0)
        return BROKER_INVALID;
    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return bri_section(&h->object, release_try, &permits);
}

static int value_read(struct bri_object *o, void *arg)
{
    *(uint64_t *)arg = *(volatile uint64_t *)&state_of(o)->value;
    return 0;
}

int bri_semaphore_value(struct bri_handle *h, uint64_t *out_permits)
{
    uint64_t value;
    int r = bri_read(h, value_read, &value);

    if (r == 0)
        *out_permits = value;
    return r;
}

/* ---- the type ---- */

static int semaphore_create(struct bri_object *o, const void *options)
{
    static const broker_semaphore_options defaults;
    const broker_semaphore_options *wanted = options != NULL ? options : &defaults;
    struct semaphore_shm *s = state_of(o);

    if (wanted->empty && !wanted->bounded && wanted->value != 0)
        return BROKER_INVALID; /* to begin with none and with some */
    s->flags = (wanted->bounded ? BOUNDED : 0) | (wanted->keep_on_death ? KEEP_ON_DEATH : 0) |
               (wanted->empty ? EMPTY : 0);
    s->limit = wanted->value != 0 ? wanted->value : 1;
    s->value = wanted->empty ? 0 : s->limit;
    if (wanted->empty && wanted->bounded)
        s->n_kept = s->limit; /* all are out from the start, and nobody has them */
    return 0;
}

static int semaphore_match(const struct bri_object *o, const void *options)
{
    const broker_semaphore_options *wanted = options;
    const struct semaphore_shm *s = state_of(o);

    if ((wanted->value != 0 && wanted->value != s->limit) ||
        (wanted->bounded && (s->flags & BOUNDED) == 0) ||
        (wanted->keep_on_death && (s->flags & KEEP_ON_DEATH) == 0) ||
        (wanted->empty && (s->flags & EMPTY) == 0))
        return BROKER_MISMATCH;
    return 0;
}

/* The session is over: what it had taken comes back, less what others have given back already. */
static int return_taken(struct bri_txn *t)
{
    struct semaphore_shm *s = state_of(t->o);
    uint64_t *taken = &t->o->att->held[TAKEN];
    uint64_t paid = least(*taken, s->n_foreign), left = *taken - paid;

    if (*taken == 0)
        return 0;
    if (!is_bounded(s) || s->value > s->limit || left > s->limit - s->value)
        return BRI_DAMAGED(t);
    bri_set64(t, taken, 0);
    if (paid > 0)
        bri_set64(t, &s->n_foreign, s->n_foreign - paid);
    if (left == 0)
        return 0;
    bri_set64(t, &s->n_owner_deaths, s->n_owner_deaths + left);
    if ((s->flags & KEEP_ON_DEATH) != 0) {
        bri_set64(t, &s->n_kept, s->n_kept + left);
        return 0;
    }
    bri_set64(t, &s->value, s->value + left);
    bri_set64(t, &s->n_notices, s->n_notices + left);
    bri_wake(t, PERMITS, BRI_WAKE_ALL);
    return 0;
}

static int semaphore_reap(struct bri_object *o, bool died)
{
    struct bri_txn t;
    int r = bri_reap_begin(&t, o);

    (void)died;
    return r < 0 ? r : bri_end(&t, return_taken(&t));
}

/* Permits of a bounded one come from those who have them, unless some are nobody's. */
static void semaphore_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out)
{
    const struct semaphore_shm *s = state_of(o);
    bool holders = channel == PERMITS && is_bounded(s) && s->n_kept == 0 && s->n_foreign == 0;

    *out = (struct bri_ends){.by = holders ? BRI_BY_HOLDERS : BRI_BY_ANYBODY,
        .proof = *(const volatile uint64_t *)&s->n_acquired};
}

static bool semaphore_ready(struct bri_object *o, struct bri_wait_word *out)
{
    bri_wait_word_of(o, PERMITS, out);
    return *(volatile uint64_t *)&state_of(o)->value != 0;
}

static void semaphore_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct semaphore_shm *s = state_of(o);
    uint64_t taken = audit->held[TAKEN];

    if (!is_bounded(s)) {
        if (taken != 0 || s->n_kept != 0 || s->n_foreign != 0 || s->n_notices != 0)
            bri_audit_fail(audit, o, "it is not bounded, but counts who has its permits");
        return;
    }
    if (s->value > s->limit)
        bri_audit_fail(audit, o, "%llu permits of %llu are to be had", (unsigned long long)s->value,
            (unsigned long long)s->limit);
    else if (s->limit - s->value + s->n_foreign != taken + s->n_kept)
        bri_audit_fail(audit, o,
            "%llu permits are out, but sessions have %llu, %llu kept, %llu paid",
            (unsigned long long)(s->limit - s->value), (unsigned long long)taken,
            (unsigned long long)s->n_kept, (unsigned long long)s->n_foreign);
    if (s->n_notices > s->value)
        bri_audit_fail(audit, o, "%llu notices of deaths for %llu permits",
            (unsigned long long)s->n_notices, (unsigned long long)s->value);
}

static void semaphore_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct semaphore_shm *s = state_of(o);

    bri_stat_add(stat, "value", s->value);
    bri_stat_add(stat, "initial", (s->flags & EMPTY) != 0 ? 0 : s->limit);
    bri_stat_add(stat, "limit", is_bounded(s) ? s->limit : 0);
    bri_stat_add(stat, "out", is_bounded(s) ? s->limit - s->value : 0);
    bri_stat_add(stat, "kept", s->n_kept);
    bri_stat_add(stat, "foreign", s->n_foreign);
    bri_stat_add(stat, "acquired", s->n_acquired);
    bri_stat_add(stat, "owner_deaths", s->n_owner_deaths);
    bri_stat_add(stat, "bounded", is_bounded(s));
    bri_stat_add(stat, "keep_on_death", (s->flags & KEEP_ON_DEATH) != 0);
}

/* What sessions have out comes back, or is kept, as at their ends. */
static int semaphore_save(const struct bri_object *o, struct bri_save *save)
{
    struct semaphore_shm s = *state_of(o);
    bool keep = (s.flags & KEEP_ON_DEATH) != 0, empty = (s.flags & EMPTY) != 0;
    uint64_t taken, left;

    if (is_bounded(&s)) {
        if (s.value > s.limit || s.limit - s.value + s.n_foreign < s.n_kept)
            return BROKER_CORRUPT;
        taken = s.limit - s.value + s.n_foreign - s.n_kept;
        left = taken - least(taken, s.n_foreign);
        s.value += keep ? 0 : left;
        s.n_notices += keep ? 0 : left;
        s.n_kept += keep ? left : 0;
    }
    bri_save_option(save, "value", broker_uint(empty && !is_bounded(&s) ? 0 : s.limit));
    bri_save_option(save, "bounded", broker_bool(is_bounded(&s)));
    bri_save_option(save, "empty", broker_bool(empty));
    bri_save_option(save, "keep_on_death", broker_bool(keep));
    bri_save_state(save, "permits", broker_uint(s.value));
    bri_save_state(save, "kept", broker_uint(s.n_kept));
    bri_save_state(save, "owner_died", broker_uint(s.n_notices));
    return 0;
}

struct load {
    uint64_t value, n_kept, n_notices;
};

static int load_try(struct bri_txn *t, void *arg)
{
    struct semaphore_shm *s = state_of(t->o);
    const struct load *x = arg;
    uint64_t out = is_bounded(s) && x->value <= s->limit ? s->limit - x->value : 0;

    if (is_bounded(s) ? x->value > s->limit || x->n_kept < out || x->n_notices > x->value
                      : (x->n_kept | x->n_notices) != 0)
        return BROKER_INVALID;
    bri_set64(t, &s->value, x->value);
    bri_set64(t, &s->n_kept, x->n_kept);
    bri_set64(t, &s->n_foreign, x->n_kept - out);
    bri_set64(t, &s->n_notices, x->n_notices);
    return 0;
}

static int semaphore_load(struct bri_handle *h, const struct bri_load *load)
{
    struct load x = {.value = bri_load_u64(load, "permits"),
        .n_kept = bri_load_u64(load, "kept"),
        .n_notices = bri_load_u64(load, "owner_died")};

    return load->contents.type == BROKER_NIL ? bri_section(&h->object, load_try, &x)
                                             : BROKER_INVALID;
}

const struct bri_type_ops bri_semaphore_type = {
    .number = BRI_TYPE_SEMAPHORE,
    .name = "semaphore",
    .has_heap = false,
    .sleeps_off = offsetof(struct semaphore_shm, sleeps),
    .create = semaphore_create,
    .match = semaphore_match,
    .reap = semaphore_reap,
    .ends = semaphore_ends,
    .ready = semaphore_ready,
    .audit = semaphore_audit,
    .stat = semaphore_stat,
    .save = semaphore_save,
    .load = semaphore_load,
};
