/*
 * rlock.c - the rlock type: an owner word, and how often its owner has taken it
 *
 * Semantics of CPython 3.11's threading.RLock. The count is the owner's own: whoever takes the free
 * word begins it anew, so that one which a dead owner left behind means nothing. What a crash
 * leaves is told in owner.h.
 */
#include "core/type.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/owner.h"
#include "objects/save.h"

/* This thread has it already: once more. */
static int take_again(struct bri_owner_shm *l, uint64_t *out_token)
{
    if (l->depth == UINT64_MAX)
        return BROKER_OVERFLOW;
    l->depth++;
    if (out_token != NULL)
        *out_token = l->n_acquired;
    return 0;
}

int bri_rlock_acquire(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_token)
{
    struct bri_owner_shm *l = bri_owner_of(&h->object);
    uint64_t mine, seen;
    int r;

    if (__builtin_expect(timeout_ns < 0, 0))
        return BROKER_INVALID;
    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    mine = bri_owner_mine(h);
    if (bri_owner_take(h, mine, &seen))
        r = bri_owner_begin(l, out_token, false);
    else if (bri_owner_is_mine(seen, mine))
        return take_again(l, out_token);
    else
        r = bri_owner_wait(h, mine, timeout_ns, out_token);
    if (r >= 0)
        l->depth = 1;
    return r;
}

int bri_rlock_release(struct bri_handle *h)
{
    struct bri_owner_shm *l = bri_owner_of(&h->object);
    uint64_t mine, seen;

    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    mine = bri_owner_mine(h);
    seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    if (bri_owner_is_mine(seen, mine) && l->depth > 1) {
        l->depth--;
        return 0;
    }
    return bri_owner_give(h, mine, &seen) ? 0 : bri_owner_free(h, mine, seen);
}

int bri_rlock_locked(struct bri_handle *h, bool *out_locked)
{
    return bri_owner_locked(h, out_locked);
}

int bri_rlock_owner(struct bri_handle *h, broker_buffer *buffer, broker_value *out_owner)
{
    return bri_owner_describe(h, true, buffer, out_owner);
}

/* ---- the type ---- */

static int rlock_create(struct bri_object *o, const void *options)
{
    const broker_rlock_options *wanted = options;

    bri_owner_create(o, wanted != NULL && wanted->detect_deadlock ? BRI_OWNER_DETECT : 0);
    return 0;
}

static int rlock_match(const struct bri_object *o, const void *options)
{
    const broker_rlock_options *wanted = options;

    return wanted->detect_deadlock && (bri_owner_of(o)->flags & BRI_OWNER_DETECT) == 0
               ? BROKER_MISMATCH
               : 0;
}

static void rlock_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_owner_shm *l = bri_owner_of(o);
    uint32_t low = (uint32_t)atomic_load(&l->word);

    bri_owner_stat(o, stat);
    bri_stat_add(
        stat, "count", (low & BRI_OWNER_MASK) != 0 ? *(const volatile uint64_t *)&l->depth : 0);
    bri_stat_add(stat, "detect_deadlock", (l->flags & BRI_OWNER_DETECT) != 0);
}

static int rlock_save(const struct bri_object *o, struct bri_save *save)
{
    bri_save_option(
        save, "detect_deadlock", broker_bool((bri_owner_of(o)->flags & BRI_OWNER_DETECT) != 0));
    bri_owner_save(o, save);
    return 0;
}

const struct bri_type_ops bri_rlock_type = {
    .number = BRI_TYPE_RLOCK,
    .name = "rlock",
    .has_heap = false,
    .is_word = true,
    .create = rlock_create,
    .match = rlock_match,
    .reap = bri_owner_reap,
    .gone = bri_owner_gone,
    .seal = bri_owner_seal,
    .ends = bri_owner_ends,
    .ready = bri_owner_ready,
    .audit = bri_owner_audit,
    .stat = rlock_stat,
    .save = rlock_save,
    .load = bri_owner_load,
};
