/*
 * condition.c - the condition type: waiting for something that others change under a lock
 *
 * Semantics of CPython 3.11's threading.Condition. The lock is an rlock of the condition's own, an
 * owner word in its state; or a lock or rlock that was there before, which several conditions may
 * share: then the handle has a handle of that as well.
 *
 * A waiter joins the line of waiters while it still owns the lock, and only then gives it back: so
 * no notification can come in between and be missed. The guard is never held while the lock is
 * waited for. Killed anywhere, a waiter leaves the line with its session's end, and what it was
 * notified of goes to the next one; if it owned the lock, that comes back with notice to its next
 * owner. Notifying is one section: all that it means to wake are notified, or none.
 */
#include "objects/condition.h"
#include "client/open.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/collect.h"
#include "core/stand_in.h"
#include "core/type.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/save.h"

#define RENAMES 100      /* of a lock, while it is looked for */
#define LEAVE_AT_ONCE 16 /* waiters of an ended session that leave in one section */

_Static_assert(BRI_WAITERS_CHANNEL != BRI_OWNER_CHANNEL, "each has its own sleepers");

/* ---- opening ---- */

/* What the type's functions get as options. */
struct wanted {
    broker_condition_options options; /* first: with what every type has in common */
    const struct bri_object *lock;    /* NULL if none was named */
};

static int open_lock_as(broker *b, const char *name, uint32_t type, struct bri_handle **out_lock)
{
    const struct bri_open open = {
        .name = name, .type = bri_type_ops(type), .mode = BRI_OPEN_EXISTING};

    return bri_shm_open_handle(b, &open, out_lock);
}

static int open_lock(broker *b, const char *name, struct bri_handle **out_lock)
{
    int r = open_lock_as(b, name, BRI_TYPE_LOCK, out_lock);

    return r == BROKER_WRONGTYPE ? open_lock_as(b, name, BRI_TYPE_RLOCK, out_lock) : r;
}

/* The lock that the condition was made with, by the name that it has now; GONE if that is not there
 * any more, or is called otherwise by now. */
static int open_shared_lock_once(
    broker *b, const struct bri_condition_shm *c, struct bri_handle **out_lock)
{
    char name[BRI_NAME_MAX + 1];
    struct bri_object o;
    int r = bri_object_bind(b->arena, c->lock_id, &o);

    if (r < 0)
        return r;
    if (o.generation != c->lock_generation)
        return BROKER_GONE;
    bri_registry_name(&o, name);
    r = name[0] != '\0' ? open_lock(b, name, out_lock) : BROKER_GONE;
    if (r == 0 && (*out_lock)->object.generation != c->lock_generation) {
        bri_shm_close_handle(*out_lock);
        r = BROKER_GONE; /* it went in between, and its name is another's */
    }
    return r == BROKER_NOTFOUND || r == BROKER_WRONGTYPE ? BROKER_GONE : r;
}

static bool lives(broker *b, const struct bri_condition_shm *c)
{
    struct bri_object o;

    return bri_object_bind(b->arena, c->lock_id, &o) == 0 && o.generation == c->lock_generation &&
           atomic_load(&o.slot->status) == BRI_SLOT_LIVE;
}

/* It may get another name while it is looked for. */
static int open_shared_lock(
    broker *b, const struct bri_condition_shm *c, struct bri_handle **out_lock)
{
    int r = BROKER_GONE;

    for (unsigned i = 0; i < RENAMES && r == BROKER_GONE; i++) {
        r = open_shared_lock_once(b, c, out_lock);
        if (r == BROKER_GONE && !lives(b, c))
            break;
    }
    return r;
}

/* Of all who open the condition in this process, the first to come here gives it the lock. */
static void keep_lock(struct bri_handle *h, struct bri_handle *lock)
{
    broker *b = h->broker;

    (void)pthread_mutex_lock(&b->mutex);
    if (h->lock == NULL) {
        h->lock = lock;
        lock = NULL;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    bri_shm_close_handle(lock);
}

int bri_condition_opened(broker *b, struct bri_handle *h)
{
    struct bri_handle *lock = NULL;
    int r = 0;

    if (bri_condition_of(&h->object)->lock_generation != 0)
        r = open_shared_lock(b, bri_condition_of(&h->object), &lock);
    if (lock != NULL)
        keep_lock(h, lock);
    return r;
}

int bri_condition_open(broker *b, const char *name, const broker_condition_options *options,
    struct bri_handle **out_handle)
{
    struct wanted wanted = {{0}, NULL};
    struct bri_handle *h, *lock = NULL;
    int r = 0;

    if (options != NULL)
        wanted.options = *options;
    if (wanted.options.lock != NULL) {
        r = open_lock(b, wanted.options.lock, &lock);
        wanted.lock = r == 0 ? &lock->object : NULL;
    }
    if (r == 0)
        r = bri_open_object(b, name, bri_type_ops(BRI_TYPE_CONDITION), &wanted, &h);
    if (r == 0 && lock == NULL && bri_condition_of(&h->object)->lock_generation != 0) {
        r = open_shared_lock(b, bri_condition_of(&h->object), &lock);
        if (r < 0)
            bri_shm_close_handle(h);
    }
    if (r < 0) {
        bri_shm_close_handle(lock);
        return r;
    }
    if (lock != NULL)
        keep_lock(h, lock);
    *out_handle = h;
    return 0;
}

/* ---- the lock ---- */

/* The handle whose object has the lock: usable in this process, or why not. */
static int lock_of(struct bri_handle *h, struct bri_handle **out_lock)
{
    struct bri_handle *lock = h->lock != NULL ? h->lock : h;
    int r = lock != h ? bri_enter(lock, lock->type) : 0;

    if (r < 0)
        return r;
    *out_lock = lock;
    return 0;
}

int bri_condition_acquire(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_token)
{
    struct bri_handle *lock;
    int r = lock_of(h, &lock);

    if (r < 0)
        return r;
    if (atomic_load(&h->object.slot->generation) != h->object.generation)
        return BROKER_GONE;
    return lock->type == BRI_TYPE_LOCK ? bri_lock_acquire(lock, timeout_ns, out_token)
                                       : bri_rlock_acquire(lock, timeout_ns, out_token);
}

int bri_condition_release(struct bri_handle *h)
{
    struct bri_handle *lock;
    int r = lock_of(h, &lock);

    if (r < 0)
        return r;
    return lock->type == BRI_TYPE_LOCK ? bri_lock_release(lock) : bri_rlock_release(lock);
}

int bri_condition_locked(struct bri_handle *h, bool *out_locked)
{
    struct bri_handle *lock;
    int r = lock_of(h, &lock);

    return r < 0 ? r : bri_lock_locked(lock, out_locked);
}

int bri_condition_owner(struct bri_handle *h, broker_buffer *buffer, broker_value *out_owner)
{
    struct bri_handle *lock;
    int r = lock_of(h, &lock);

    return r < 0 ? r : bri_owner_describe(lock, lock->type != BRI_TYPE_LOCK, buffer, out_owner);
}

/* 0 if this thread owns the lock; of a lock that anybody may release, as Python has it, if
 * anybody does. */
static int check_owned(struct bri_handle *lock, uint64_t mine)
{
    const struct bri_owner_shm *l = bri_owner_of(&lock->object);
    uint64_t word = atomic_load_explicit(&l->word, memory_order_relaxed);

    if (!bri_owner_same_object(&lock->object, word))
        return BROKER_GONE;
    if (bri_owner_is_mine(word, mine) ||
        ((l->flags & BRI_OWNER_HANDOVER) != 0 && ((uint32_t)word & BRI_OWNER_MASK) != 0))
        return 0;
    return BROKER_NOTOWNER;
}

/* What every operation needs of the lock that it is called with. */
struct owned {
    struct bri_handle *lock;
    uint64_t mine;
};

static int begin_owned(struct bri_handle *h, struct owned *out)
{
    int r = h->object.att == NULL ? BROKER_ACCESS : lock_of(h, &out->lock);

    if (r < 0)
        return r;
    out->mine = bri_owner_mine(out->lock);
    return check_owned(out->lock, out->mine);
}

/* ---- waiting ---- */

struct wait {
    struct owned owned;
    struct bri_waiter waiter;
    int why; /* that it leaves */
};

static int join_try(struct bri_txn *t, void *arg)
{
    struct wait *x = arg;

    return bri_waiters_join(t, &bri_condition_of(t->o)->waiters, &x->waiter);
}

static int wait_try(struct bri_txn *t, void *arg)
{
    struct bri_waiters_shm *w = &bri_condition_of(t->o)->waiters;
    const struct wait *x = arg;
    struct bri_handle *lock = x->owned.lock;
    struct bri_waiter_shm *waiter = bri_waiters_find(t->o, x->waiter);

    if (waiter == NULL)
        return BROKER_INVALID; /* another thread closed the handle meanwhile */
    if (bri_waiters_is_notified(w, waiter)) {
        bri_waiters_leave(t, w, waiter);
        return t->failed;
    }
    if (!bri_owner_same_object(&lock->object, atomic_load(&bri_owner_of(&lock->object)->word)))
        return BROKER_GONE; /* nobody can notify any more */
    t->only = bri_waiters_bit(x->waiter.number);
    return BRI_WAIT;
}

/* Whoever was notified at the last moment before its time was over, was notified. */
static int leave_try(struct bri_txn *t, struct wait *x)
{
    struct bri_waiters_shm *w = &bri_condition_of(t->o)->waiters;
    struct bri_waiter_shm *waiter = bri_waiters_find(t->o, x->waiter);

    if (waiter == NULL)
        return 0;
    if (x->why == BROKER_TIMEDOUT && bri_waiters_is_notified(w, waiter))
        x->why = 0;
    if (x->why == 0)
        bri_waiters_leave(t, w, waiter);
    else
        bri_waiters_give_up(t, w, waiter);
    return t->failed;
}

/*
 * Out of the line, because of @why; what the wait has come to. However long it takes: who stayed
 * there would take a notification from others.
 */
static int leave(struct bri_object *o, struct wait *x, int why)
{
    struct bri_txn t;
    int r;

    x->why = why;
    bri_wait_firmly(true);
    do {
        r = bri_begin(&t, o, BRI_NEVER);
        if (r == 0)
            r = bri_end(&t, leave_try(&t, x));
    } while (r == BRI_AGAIN);
    bri_wait_firmly(false);
    return r < 0 ? r : x->why;
}

/* The lock is back as it was, as often as it was. */
static int take_back(const struct owned *owned, uint64_t depth)
{
    int r;

    bri_wait_firmly(true);
    r = bri_owner_wait(owned->lock, owned->mine, BRI_NEVER, NULL);
    bri_wait_firmly(false);
    if (r >= 0)
        bri_owner_of(&owned->lock->object)->depth = depth;
    return r;
}

int bri_condition_wait(struct bri_handle *h, int64_t timeout_ns)
{
    struct bri_object *o = &h->object;
    struct bri_owner_shm *l;
    struct wait x;
    uint64_t depth;
    int r, back;

    if (timeout_ns < 0)
        return BROKER_INVALID;
    r = begin_owned(h, &x.owned);
    if (r == 0)
        r = bri_section(o, join_try, &x);
    if (r < 0)
        return r;
    l = bri_owner_of(&x.owned.lock->object);
    depth = l->depth;
    r = bri_owner_free(x.owned.lock, x.owned.mine, atomic_load(&l->word));
    if (r < 0)
        return leave(o, &x, r == BROKER_NOTLOCKED ? BROKER_NOTOWNER : r);
    r = bri_blocking(o, BRI_WAITERS_CHANNEL, timeout_ns, BROKER_TIMEDOUT, wait_try, &x);
    if (r < 0)
        r = leave(o, &x, r);
    back = take_back(&x.owned, depth);
    return back != 0 ? back : r;
}

/* ---- notifying ---- */

static int notify_try(struct bri_txn *t, void *arg)
{
    bri_waiters_notify(t, &bri_condition_of(t->o)->waiters, *(const uint64_t *)arg);
    return t->failed;
}

static int notify(struct bri_handle *h, uint64_t n)
{
    struct owned owned;
    int r = begin_owned(h, &owned);

    return r < 0 ? r : bri_section(&h->object, notify_try, &n);
}

int bri_condition_notify(struct bri_handle *h, int64_t n)
{
    return notify(h, n > 0 ? (uint64_t)n : 0);
}

int bri_condition_notify_all(struct bri_handle *h)
{
    return notify(h, UINT64_MAX);
}

/* ---- the type ---- */

static int condition_create(struct bri_object *o, const void *options)
{
    const struct wanted *wanted = options;
    struct bri_condition_shm *c = bri_condition_of(o);

    if (wanted == NULL || wanted->lock == NULL) {
        bri_owner_create(o, 0);
        return 0;
    }
    c->lock_id = wanted->lock->id;
    c->lock_generation = wanted->lock->generation;
    return 0;
}

static int condition_match(const struct bri_object *o, const void *options)
{
    const struct wanted *wanted = options;

    if (wanted->lock != NULL && wanted->lock->generation != bri_condition_of(o)->lock_generation)
        return BROKER_MISMATCH;
    return bri_match_quota(o, wanted->options.quota_bytes);
}

/* Its waiters leave, some at a time; what they were notified of goes to others. */
static int reap_waiters(struct bri_object *o)
{
    struct bri_condition_shm *c = bri_condition_of(o);
    struct bri_waiter_shm *waiter;
    struct bri_txn t;
    bool more = true;
    int r;

    while (more) {
        r = bri_reap_begin(&t, o);
        if (r < 0)
            return r;
        for (unsigned i = 0; i < LEAVE_AT_ONCE && (waiter = bri_waiters_mine(&t)) != NULL; i++)
            bri_waiters_give_up(&t, &c->waiters, waiter);
        more = o->att->first_lease != 0;
        r = bri_end(&t, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int condition_reap(struct bri_object *o, bool died)
{
    int r = bri_condition_of(o)->lock_generation == 0 ? bri_owner_reap(o, died) : 0;

    return r < 0 ? r : reap_waiters(o);
}

static void condition_gone(struct bri_object *o)
{
    if (bri_condition_of(o)->lock_generation == 0)
        bri_owner_gone(o);
}

static void condition_seal(struct bri_object *o, bool sealed)
{
    if (bri_condition_of(o)->lock_generation == 0)
        bri_owner_seal(o, sealed);
}

static void condition_ends(const struct bri_object *o, unsigned channel, struct bri_ends *out)
{
    *out = (struct bri_ends){.by = BRI_BY_ANYBODY};
    if (bri_condition_of(o)->lock_generation == 0)
        bri_owner_ends(o, channel, out);
}

static void condition_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct bri_condition_shm *c = bri_condition_of(o);

    if (c->lock_generation == 0)
        bri_owner_audit(o, audit);
    bri_waiters_audit(o, &c->waiters, audit);
}

static void condition_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_condition_shm *c = bri_condition_of(o);

    bri_stat_add(stat, "waiting", c->waiters.n);
    bri_stat_add(stat, "waits", c->waiters.n_joined);
    bri_stat_add(stat, "notified", c->waiters.n_notified);
    bri_stat_add(stat, "own_lock", c->lock_generation == 0);
    if (c->lock_generation == 0)
        bri_owner_stat(o, stat);
}

/* The shared lock is told as a reference; who makes the condition again knows its name. */
static int condition_save(const struct bri_object *o, struct bri_save *save)
{
    const struct bri_condition_shm *c = bri_condition_of(o);
    const struct bri_object lock = {
        .arena = o->arena, .id = c->lock_id, .generation = c->lock_generation};

    if (c->lock_generation == 0)
        bri_owner_save(o, save);
    else
        bri_save_option(save, "lock", bri_ref_value(bri_ref_of(&lock)));
    return 0;
}

static int condition_load(struct bri_handle *h, const struct bri_load *load)
{
    if (bri_condition_of(&h->object)->lock_generation == 0)
        return bri_owner_load(h, load);
    return load->contents.type == BROKER_NIL ? 0 : BROKER_INVALID;
}

const struct bri_type_ops bri_condition_type = {
    .number = BRI_TYPE_CONDITION,
    .name = "condition",
    .has_heap = true,
    .create = condition_create,
    .match = condition_match,
    .reap = condition_reap,
    .gone = condition_gone,
    .seal = condition_seal,
    .ends = condition_ends,
    .audit = condition_audit,
    .stat = condition_stat,
    .save = condition_save,
    .load = condition_load,
};
