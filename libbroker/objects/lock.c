/*
 * lock.c - the lock type: an owner word, and nothing else
 *
 * Semantics of CPython 3.11's threading.Lock, but that it has an owner unless it was made with
 * `handover`. What a crash leaves is told in owner.h.
 */
#include "core/type.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/owner.h"
#include "objects/save.h"

int bri_lock_acquire(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_token)
{
    uint64_t mine, seen;

    if (__builtin_expect(timeout_ns < 0, 0))
        return BROKER_INVALID;
    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    mine = bri_owner_mine(h);
    if (bri_owner_take(h, mine, &seen))
        return bri_owner_begin(bri_owner_of(&h->object), out_token, false);
    return bri_owner_wait(h, mine, timeout_ns, out_token);
}

int bri_lock_release(struct bri_handle *h)
{
    uint64_t mine, seen;

    if (__builtin_expect(h->object.att == NULL, 0))
        return BROKER_ACCESS;
    mine = bri_owner_mine(h);
    return bri_owner_give(h, mine, &seen) ? 0 : bri_owner_free(h, mine, seen);
}

int bri_lock_locked(struct bri_handle *h, bool *out_locked)
{
    return bri_owner_locked(h, out_locked);
}

int bri_lock_owner(struct bri_handle *h, broker_buffer *buffer, broker_value *out_owner)
{
    return bri_owner_describe(h, false, buffer, out_owner);
}

/* ---- the type ---- */

static int lock_create(struct bri_object *o, const void *options)
{
    const broker_lock_options *wanted = options;
    uint32_t flags = 0;

    if (wanted != NULL)
        flags = (wanted->keep_on_death ? BRI_OWNER_KEEP_ON_DEATH : 0) |
                (wanted->handover ? BRI_OWNER_HANDOVER : 0) |
                (wanted->detect_deadlock ? BRI_OWNER_DETECT : 0);
    bri_owner_create(o, flags);
    return 0;
}

static int lock_match(const struct bri_object *o, const void *options)
{
    const broker_lock_options *wanted = options;
    uint32_t flags = bri_owner_of(o)->flags;

    if ((wanted->keep_on_death && (flags & BRI_OWNER_KEEP_ON_DEATH) == 0) ||
        (wanted->handover && (flags & BRI_OWNER_HANDOVER) == 0) ||
        (wanted->detect_deadlock && (flags & BRI_OWNER_DETECT) == 0))
        return BROKER_MISMATCH;
    return 0;
}

static void lock_stat(const struct bri_object *o, struct bri_stat *stat)
{
    uint32_t flags = bri_owner_of(o)->flags;

    bri_owner_stat(o, stat);
    bri_stat_add(stat, "keep_on_death", (flags & BRI_OWNER_KEEP_ON_DEATH) != 0);
    bri_stat_add(stat, "handover", (flags & BRI_OWNER_HANDOVER) != 0);
    bri_stat_add(stat, "detect_deadlock", (flags & BRI_OWNER_DETECT) != 0);
}

static int lock_save(const struct bri_object *o, struct bri_save *save)
{
    uint32_t flags = bri_owner_of(o)->flags;

    bri_save_option(save, "keep_on_death", broker_bool((flags & BRI_OWNER_KEEP_ON_DEATH) != 0));
    bri_save_option(save, "handover", broker_bool((flags & BRI_OWNER_HANDOVER) != 0));
    bri_save_option(save, "detect_deadlock", broker_bool((flags & BRI_OWNER_DETECT) != 0));
    bri_owner_save(o, save);
    return 0;
}

const struct bri_type_ops bri_lock_type = {
    .number = BRI_TYPE_LOCK,
    .name = "lock",
    .has_heap = false,
    .is_word = true,
    .create = lock_create,
    .match = lock_match,
    .reap = bri_owner_reap,
    .gone = bri_owner_gone,
    .seal = bri_owner_seal,
    .ready = bri_owner_ready,
    .ends = bri_owner_ends,
    .audit = bri_owner_audit,
    .stat = lock_stat,
    .save = lock_save,
    .load = bri_owner_load,
};
