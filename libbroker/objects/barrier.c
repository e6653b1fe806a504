/*
 * barrier.c - the barrier type
 *
 * Semantics of CPython 3.11's threading.Barrier, state for state: while a phase that is complete is
 * still being left (DRAINING), and while those whom a reset sent away are on their way out
 * (RESETTING), newcomers wait outside, so that nobody who comes round again is mixed up with those
 * who leave. What is different:
 *   - An action is not run by the library. The last to arrive is told with a notice (ACTING), runs
 * it in its own program, and then lets the others pass. Till then timeouts, aborts, resets and
 *     deaths break the phase as they do while it fills.
 *   - The time that is waited outside counts as well. Who runs out of it there was no party yet:
 *     nothing breaks.
 *   - A party that dies before the phase is complete breaks it; later, it is just counted off.
 * Whoever has arrived is counted in its session's attachment (held[INSIDE]) until it is out, in the
 * same section as in the barrier: n_inside is the sum of these, whoever is killed at whatever
 * instruction, and the end of a session counts off what it has.
 */
#include <stddef.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/type.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "objects/save.h"

#define MAY_ENTER 0 /* channels */
#define MAY_LEAVE 1

#define INSIDE 0 /* of an attachment's held[]: arrived and not out yet */
#define ACTS 1   /* of those: the one who has to run the action; 1 or 0 */

#define HAS_ACTION 1u

enum state {
    FILLING, /* must be 0 */
    ACTING,  /* complete, but for the action */
    DRAINING,
    RESETTING,
    BROKEN,
    N_STATES,
};

enum reason {
    BY_NOTHING,
    BY_ABORT,
    BY_TIMEOUT,
    BY_DEATH,
    N_REASONS,
};

struct barrier_shm {
    uint64_t parties;   /* [const] 1 or more */
    int64_t timeout_ns; /* [const] of waits that name none; 0: they wait for ever */
    uint64_t flags;     /* [const] */
    uint64_t state;     /* [guard] enum state */
    uint64_t n_inside;  /* [guard] arrived and not out yet */
    uint64_t n_acting;  /* [guard] 1 from the notice to pass or abort, whatever the state */
    uint64_t reason;    /* [guard] enum reason: of the last break */
    uint64_t n_passed;  /* [guard] phases that were completed */
    uint64_t n_broken;  /* [guard] and those that were broken */
    struct bri_sleeps_shm sleeps;
};

_Static_assert(sizeof(struct barrier_shm) <= BRI_SLOT_STATE, "barrier state size");

static inline struct barrier_shm *state_of(const struct bri_object *o)
{
    return (struct barrier_shm *)o->slot->state;
}

/* The parties of the phase are still waiting for each other, or for the action. */
static inline bool is_gathering(const struct barrier_shm *s)
{
    return s->state == FILLING || s->state == ACTING;
}

/* ---- steps of a section ---- */

static void wake_all(struct bri_txn *t)
{
    bri_wake(t, MAY_ENTER, BRI_WAKE_ALL);
    bri_wake(t, MAY_LEAVE, BRI_WAKE_ALL);
}

/* Python's _break(). */
static void break_it(struct bri_txn *t, enum reason reason)
{
    struct barrier_shm *s = state_of(t->o);

    if (s->state == BROKEN)
        return;
    bri_set64(t, &s->state, BROKEN);
    bri_set64(t, &s->reason, reason);
    bri_set64(t, &s->n_broken, s->n_broken + 1);
    wake_all(t);
}

static void arrive(struct bri_txn *t)
{
    struct barrier_shm *s = state_of(t->o);
    uint64_t *held = t->o->att->held;

    bri_set64(t, &s->n_inside, s->n_inside + 1);
    bri_set64(t, &held[INSIDE], held[INSIDE] + 1);
}

/* Python's _exit(), for @n of this session: the last one out makes the barrier ready again. */
static int leave(struct bri_txn *t, uint64_t n)
{
    struct barrier_shm *s = state_of(t->o);
    uint64_t *held = t->o->att->held;

    if (n > held[INSIDE] || n > s->n_inside)
        return BRI_DAMAGED(t);
    bri_set64(t, &held[INSIDE], held[INSIDE] - n);
    bri_set64(t, &s->n_inside, s->n_inside - n);
    if (s->n_inside == 0 && (s->state == DRAINING || s->state == RESETTING)) {
        bri_set64(t, &s->state, FILLING);
        bri_wake(t, MAY_ENTER, BRI_WAKE_ALL);
    }
    return 0;
}

/* All have arrived, and the action, if there is one, is done: one of them lets the others go. */
static int let_pass(struct bri_txn *t)
{
    struct barrier_shm *s = state_of(t->o);

    bri_set64(t, &s->state, DRAINING);
    bri_set64(t, &s->n_passed, s->n_passed + 1);
    bri_wake(t, MAY_LEAVE, BRI_WAKE_ALL);
    return leave(t, 1);
}

/* The one of this session who acts is done with it. */
static void stop_acting(struct bri_txn *t)
{
    bri_set64(t, &t->o->att->held[ACTS], 0);
    bri_set64(t, &state_of(t->o)->n_acting, 0);
}

/* ---- wait ---- */

struct wait {
    uint64_t index;
    bool waits; /* it has arrived, and is not the last */
    int result; /* of who has arrived and is out again */
    enum reason reason;
};

/* Is out: with its phase, or because it was broken or reset. */
static int leave_phase(struct bri_txn *t, struct wait *w)
{
    const struct barrier_shm *s = state_of(t->o);

    w->result = s->state == DRAINING ? 0 : BROKER_BROKEN;
    w->reason = s->state == BROKEN ? (enum reason)s->reason : BY_NOTHING;
    return leave(t, 1);
}

/* Python's _enter(), and the arrival. */
static int enter_try(struct bri_txn *t, void *arg)
{
    struct barrier_shm *s = state_of(t->o);
    struct wait *w = arg;

    w->waits = false;
    w->result = 0;
    if (s->state == BROKEN) {
        w->reason = (enum reason)s->reason;
        return BROKER_BROKEN;
    }
    if (s->state != FILLING)
        return BRI_WAIT;
    if (s->n_inside >= s->parties)
        return BRI_DAMAGED(t);
    w->index = s->n_inside;
    arrive(t);
    w->waits = s->n_inside < s->parties;
    if (w->waits)
        return 0;
    if ((s->flags & HAS_ACTION) == 0)
        return let_pass(t);
    bri_set64(t, &s->state, ACTING);
    bri_set64(t, &s->n_acting, 1);
    bri_set64(t, &t->o->att->held[ACTS], 1);
    return BROKER_ACTION;
}

/* Python's _wait(). */
static int leave_try(struct bri_txn *t, void *arg)
{
    return is_gathering(state_of(t->o)) ? BRI_WAIT : leave_phase(t, arg);
}

/* The time is over: out, at any rate. */
static int give_up_try(struct bri_txn *t, void *arg)
{
    if (is_gathering(state_of(t->o)))
        break_it(t, BY_TIMEOUT);
    return leave_phase(t, arg);
}

/*
 * Those who had to go without having been counted off, because a stopped process had the guard for
 * too long: they are, by the next of this process who gets it.
 */
static int settle_try(struct bri_txn *t, void *arg)
{
    if (is_gathering(state_of(t->o)))
        break_it(t, BY_TIMEOUT);
    return leave(t, *(const uint32_t *)arg);
}

static int settle(struct bri_handle *h)
{
    uint32_t n;
    int r;

    if (atomic_load_explicit(&h->n_owed, memory_order_relaxed) == 0)
        return 0;
    n = atomic_exchange(&h->n_owed, 0);
    r = n > 0 ? bri_section(&h->object, settle_try, &n) : 0;
    if (r == BROKER_TIMEDOUT)
        atomic_fetch_add(&h->n_owed, n);
    return r;
}

static int broken_by(enum reason reason)
{
    static const char *const texts[N_REASONS] = {
        [BY_NOTHING] = "it was reset",
        [BY_ABORT] = "it was aborted",
        [BY_TIMEOUT] = "a party's time was over before all had arrived",
        [BY_DEATH] = "a party died or left before all could go on",
    };

    return bri_fail_detail(
        BROKER_BROKEN, texts[(unsigned)reason < N_REASONS ? reason : BY_NOTHING]);
}

/* From the arrival to the way out. */
static int wait_for_others(struct bri_handle *h, int64_t deadline_ns, struct wait *w)
{
    struct bri_object *o = &h->object;
    int64_t left_ns = deadline_ns == BRI_NEVER ? BROKER_FOREVER : deadline_ns - bri_now();
    int r = BROKER_TIMEDOUT;

    if (left_ns > 0)
        r = bri_blocking(o, MAY_LEAVE, left_ns, BROKER_TIMEDOUT, leave_try, w);
    if (r == BROKER_TIMEDOUT)
        r = bri_section(o, give_up_try, w);
    if (r == BROKER_TIMEDOUT)
        atomic_fetch_add(&h->n_owed, 1);
    return r;
}

int bri_barrier_wait(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_index)
{
    const struct barrier_shm *s = state_of(&h->object);
    struct wait w = {.result = 0};
    int64_t deadline_ns;
    int r;

    if (timeout_ns < 0)
        return BROKER_INVALID;
    if (h->object.att == NULL)
        return BROKER_ACCESS;
    r = settle(h);
    if (r < 0)
        return r;
    if (timeout_ns == BROKER_FOREVER && s->timeout_ns > 0)
        timeout_ns = s->timeout_ns;
    deadline_ns = bri_deadline(timeout_ns);
    r = bri_blocking(&h->object, MAY_ENTER, timeout_ns, BROKER_TIMEDOUT, enter_try, &w);
    if (r == 0 && w.waits)
        r = wait_for_others(h, deadline_ns, &w);
    if (r == 0)
        r = w.result;
    if (r >= 0)
        *out_index = w.index;
    return r == BROKER_BROKEN ? broken_by(w.reason) : r;
}

/* ---- the others ---- */

static int pass_try(struct bri_txn *t, void *arg)
{
    struct barrier_shm *s = state_of(t->o);
    struct wait *w = arg;

    if (t->o->att->held[ACTS] == 0) {
        w->reason = (enum reason)s->reason;
        if (s->state == BROKEN)
            return BROKER_BROKEN;
        return s->n_acting != 0 ? BROKER_NOTOWNER : BROKER_NOTLOCKED;
    }
    stop_acting(t);
    return s->state == ACTING ? let_pass(t) : leave_phase(t, w);
}

/* An operation that does not wait. */
static int change(struct bri_handle *h, bri_try_fn *try, struct wait *w)
{
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    r = settle(h);
    return r < 0 ? r : bri_section(&h->object, try, w);
}

int bri_barrier_pass(struct bri_handle *h)
{
    struct wait w = {.result = 0};
    int r = change(h, pass_try, &w);

    if (r == 0)
        r = w.result;
    return r == BROKER_BROKEN ? broken_by(w.reason) : r;
}

static int abort_try(struct bri_txn *t, void *arg)
{
    (void)arg;
    break_it(t, BY_ABORT);
    if (t->o->att->held[ACTS] == 0)
        return 0;
    stop_acting(t);
    return leave(t, 1);
}

int bri_barrier_abort(struct bri_handle *h)
{
    return change(h, abort_try, NULL);
}

static int reset_try(struct bri_txn *t, void *arg)
{
    struct barrier_shm *s = state_of(t->o);

    (void)arg;
    if (s->n_inside == 0)
        bri_set64(t, &s->state, FILLING);
    else if (is_gathering(s) || s->state == BROKEN)
        bri_set64(t, &s->state, RESETTING);
    wake_all(t);
    return 0;
}

int bri_barrier_reset(struct bri_handle *h)
{
    return change(h, reset_try, NULL);
}

/* ---- looking ---- */

struct look {
    uint64_t parties, state, n_inside;
};

static int look_read(struct bri_object *o, void *arg)
{
    const volatile struct barrier_shm *s = state_of(o);

    *(struct look *)arg =
        (struct look){.parties = s->parties, .state = s->state, .n_inside = s->n_inside};
    return 0;
}

static uint64_t waiting(uint64_t state, uint64_t n_inside)
{
    return state == FILLING || state == ACTING ? n_inside : 0;
}

int bri_barrier_parties(struct bri_handle *h, uint64_t *out_parties)
{
    struct look look;
    int r = bri_read(h, look_read, &look);

    if (r == 0)
        *out_parties = look.parties;
    return r;
}

int bri_barrier_n_waiting(struct bri_handle *h, uint64_t *out_count)
{
    struct look look;
    int r = bri_read(h, look_read, &look);

    if (r == 0)
        *out_count = waiting(look.state, look.n_inside);
    return r;
}

int bri_barrier_broken(struct bri_handle *h, bool *out_broken)
{
    struct look look;
    int r = bri_read(h, look_read, &look);

    if (r == 0)
        *out_broken = look.state == BROKEN;
    return r;
}

/* ---- the type ---- */

static int barrier_create(struct bri_object *o, const void *options)
{
    const broker_barrier_options *wanted = options;
    struct barrier_shm *s = state_of(o);

    if (wanted == NULL || wanted->parties == 0 || wanted->timeout_ns < 0)
        return BROKER_INVALID;
    s->parties = wanted->parties;
    s->timeout_ns = wanted->timeout_ns;
    s->flags = wanted->action ? HAS_ACTION : 0;
    return 0;
}

static int barrier_match(const struct bri_object *o, const void *options)
{
    const broker_barrier_options *wanted = options;
    const struct barrier_shm *s = state_of(o);

    if ((wanted->parties != 0 && wanted->parties != s->parties) ||
        (wanted->timeout_ns != 0 && wanted->timeout_ns != s->timeout_ns) ||
        (wanted->action && (s->flags & HAS_ACTION) == 0))
        return BROKER_MISMATCH;
    return 0;
}

static int count_off(struct bri_txn *t)
{
    uint64_t n = t->o->att->held[INSIDE];

    if (n == 0)
        return 0;
    if (is_gathering(state_of(t->o)))
        break_it(t, BY_DEATH);
    if (t->o->att->held[ACTS] != 0)
        stop_acting(t);
    return leave(t, n);
}

static int barrier_reap(struct bri_object *o, bool died)
{
    struct bri_txn t;
    int r = bri_reap_begin(&t, o);

    (void)died;
    return r < 0 ? r : bri_end(&t, count_off(&t));
}

static void barrier_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct barrier_shm *s = state_of(o);
    bool complete = s->n_inside == s->parties;

    if (s->parties == 0 || s->state >= N_STATES || s->reason >= N_REASONS) {
        bri_audit_fail(audit, o, "%llu parties, state %llu, reason %llu",
            (unsigned long long)s->parties, (unsigned long long)s->state,
            (unsigned long long)s->reason);
        return;
    }
    if (s->n_inside != audit->held[INSIDE] || s->n_acting != audit->held[ACTS])
        bri_audit_fail(audit, o, "%llu are inside and %llu act, but sessions have %llu and %llu",
            (unsigned long long)s->n_inside, (unsigned long long)s->n_acting,
            (unsigned long long)audit->held[INSIDE], (unsigned long long)audit->held[ACTS]);
    if (s->n_inside > s->parties || s->n_acting > 1 || s->n_acting > s->n_inside)
        bri_audit_fail(audit, o, "%llu of %llu parties are inside, and %llu act",
            (unsigned long long)s->n_inside, (unsigned long long)s->parties,
            (unsigned long long)s->n_acting);
    if ((s->state == FILLING && (complete || s->n_acting != 0)) ||
        (s->state == ACTING && (!complete || s->n_acting == 0)) ||
        (s->state == DRAINING && (complete || s->n_acting != 0 || s->n_inside == 0)) ||
        (s->state == RESETTING && s->n_inside == 0))
        bri_audit_fail(audit, o, "state %llu with %llu of %llu inside",
            (unsigned long long)s->state, (unsigned long long)s->n_inside,
            (unsigned long long)s->parties);
}

static void barrier_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct barrier_shm *s = state_of(o);
    bool broken = s->state == BROKEN;

    bri_stat_add(stat, "parties", s->parties);
    bri_stat_add(stat, "n_waiting", waiting(s->state, s->n_inside));
    bri_stat_add(stat, "inside", s->n_inside);
    bri_stat_add(stat, "acting", s->n_acting);
    bri_stat_add(stat, "broken", broken);
    bri_stat_add(stat, "broken_by_abort", broken && s->reason == BY_ABORT);
    bri_stat_add(stat, "broken_by_timeout", broken && s->reason == BY_TIMEOUT);
    bri_stat_add(stat, "broken_by_death", broken && s->reason == BY_DEATH);
    bri_stat_add(stat, "passes", s->n_passed);
    bri_stat_add(stat, "breaks", s->n_broken);
    bri_stat_add(stat, "action", (s->flags & HAS_ACTION) != 0);
}

static const char *const reason_words[N_REASONS] = {
    [BY_ABORT] = "abort", [BY_TIMEOUT] = "timeout", [BY_DEATH] = "death"};

/* Parties that wait are dead then, and nobody is on the way out any more. */
static int barrier_save(const struct bri_object *o, struct bri_save *save)
{
    const struct barrier_shm *s = state_of(o);
    uint64_t reason = s->state == BROKEN ? s->reason : BY_NOTHING;

    if (s->state >= N_STATES || s->reason >= N_REASONS)
        return BROKER_CORRUPT;
    if (is_gathering(s) && s->n_inside > 0)
        reason = BY_DEATH;
    bri_save_option(save, "parties", broker_uint(s->parties));
    bri_save_option(save, "timeout", broker_int(s->timeout_ns));
    bri_save_option(save, "action", broker_bool((s->flags & HAS_ACTION) != 0));
    if (reason_words[reason] != NULL)
        bri_save_state(save, "broken_by", broker_str(reason_words[reason]));
    return 0;
}

static int load_try(struct bri_txn *t, void *arg)
{
    break_it(t, *(const enum reason *)arg);
    return 0;
}

static int barrier_load(struct bri_handle *h, const struct bri_load *load)
{
    for (enum reason i = BY_NOTHING; i < N_REASONS; i++)
        if (reason_words[i] != NULL && bri_load_is(load, "broken_by", reason_words[i]))
            return bri_section(&h->object, load_try, &i);
    return load->contents.type == BROKER_NIL ? 0 : BROKER_INVALID;
}

const struct bri_type_ops bri_barrier_type = {
    .number = BRI_TYPE_BARRIER,
    .name = "barrier",
    .has_heap = false,
    .sleeps_off = offsetof(struct barrier_shm, sleeps),
    .create = barrier_create,
    .match = barrier_match,
    .reap = barrier_reap,
    .audit = barrier_audit,
    .stat = barrier_stat,
    .save = barrier_save,
    .load = barrier_load,
};
