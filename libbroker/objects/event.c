/*
 * event.c - the event type
 *
 * Semantics of CPython 3.11's threading.Event. The whole event is one count: odd while it is set,
 * and it grows with each set and each clear. Who waits remembers the even count that it found; any
 * other one says that there was a set since, even if a clear has followed it. A set or a clear is
 * one word in one section, so that a kill leaves it done or not done; the session's end wakes
 * whoever a killed setter might not have woken any more.
 */
#include <stddef.h>

#include "core/audit.h"
#include "core/type.h"
#include "core/wait.h"
#include "core/wait_any.h"
#include "engine_ops.h"
#include "objects/open.h"
#include "objects/reading.h"
#include "objects/save.h"

#define WAS_SET 0 /* channel */

struct event_shm {
    uint64_t count; /* [guard] odd: set */
    struct bri_sleeps_shm sleeps;
};

_Static_assert(sizeof(struct event_shm) <= BRI_SLOT_STATE, "event state size");

static inline struct event_shm *state_of(const struct bri_object *o)
{
    return (struct event_shm *)o->slot->state;
}

static inline bool is_set(uint64_t count)
{
    return (count & 1) != 0;
}

static int count_read(struct bri_object *o, void *arg)
{
    *(uint64_t *)arg = *(volatile uint64_t *)&state_of(o)->count;
    return 0;
}

/* Brings the event to where it is to be, if it is not there. */
static int turn_try(struct bri_txn *t, void *arg)
{
    struct event_shm *e = state_of(t->o);
    bool on = *(const bool *)arg;

    if (is_set(e->count) == on)
        return 0;
    bri_set64(t, &e->count, e->count + 1);
    if (on)
        bri_wake(t, WAS_SET, BRI_WAKE_ALL);
    return 0;
}

static int turn(struct bri_handle *h, bool on)
{
    return h->object.att == NULL ? BROKER_ACCESS : bri_section(&h->object, turn_try, &on);
}

int bri_event_set(struct bri_handle *h)
{
    return turn(h, true);
}

int bri_event_clear(struct bri_handle *h)
{
    return turn(h, false);
}

int bri_event_is_set(struct bri_handle *h, bool *out_set)
{
    uint64_t count;
    int r = bri_read(h, count_read, &count);

    if (r == 0)
        *out_set = is_set(count);
    return r;
}

static int wait_try(struct bri_txn *t, void *arg)
{
    return state_of(t->o)->count != *(const uint64_t *)arg ? 0 : BRI_WAIT;
}

int bri_event_wait(struct bri_handle *h, int64_t timeout_ns)
{
    uint64_t count;
    int r;

    if (timeout_ns < 0)
        return BROKER_INVALID;
    r = bri_read(h, count_read, &count);
    if (r < 0 || is_set(count))
        return r;
    if (timeout_ns == 0)
        return BROKER_TIMEDOUT;
    if (h->object.att == NULL)
        return BROKER_ACCESS;
    return bri_blocking(&h->object, WAS_SET, timeout_ns, BROKER_TIMEDOUT, wait_try, &count);
}

/* ---- the type ---- */

static int event_create(struct bri_object *o, const void *options)
{
    (void)options;
    state_of(o)->count = 0;
    return 0;
}

static int event_match(const struct bri_object *o, const void *options)
{
    (void)o;
    (void)options;
    return 0;
}

/* As it is now: who waits for several objects does not learn of a set that was cleared before it
 * looked. */
static bool event_ready(struct bri_object *o, struct bri_wait_word *out)
{
    bri_wait_word_of(o, WAS_SET, out);
    return is_set(*(volatile uint64_t *)&state_of(o)->count);
}

static void event_audit(const struct bri_object *o, struct bri_audit *audit)
{
    if (audit->held[0] != 0 || audit->held[1] != 0)
        bri_audit_fail(audit, o, "sessions have something of it, and there is nothing to have");
}

static void event_stat(const struct bri_object *o, struct bri_stat *stat)
{
    uint64_t count = *(volatile uint64_t *)&state_of(o)->count;

    bri_stat_add(stat, "set", is_set(count));
    bri_stat_add(stat, "sets", count / 2 + count % 2);
}

static int event_save(const struct bri_object *o, struct bri_save *save)
{
    uint64_t count = state_of(o)->count;

    bri_save_state(save, "set", broker_bool(is_set(count)));
    bri_save_state(save, "sets", broker_uint(count / 2 + count % 2));
    return 0;
}

static int count_try(struct bri_txn *t, void *arg)
{
    bri_set64(t, &state_of(t->o)->count, *(const uint64_t *)arg);
    return 0;
}

static int event_load(struct bri_handle *h, const struct bri_load *load)
{
    uint64_t sets = bri_load_u64(load, "sets"), count = 2 * sets - bri_load_bool(load, "set");

    if (sets > INT64_MAX || (sets == 0 && count != 0) || load->contents.type != BROKER_NIL)
        return BROKER_INVALID;
    return bri_section(&h->object, count_try, &count);
}

const struct bri_type_ops bri_event_type = {
    .number = BRI_TYPE_EVENT,
    .name = "event",
    .has_heap = false,
    .sleeps_off = offsetof(struct event_shm, sleeps),
    .create = event_create,
    .match = event_match,
    .ready = event_ready,
    .audit = event_audit,
    .stat = event_stat,
    .save = event_save,
    .load = event_load,
};
