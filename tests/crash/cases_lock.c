/*
 * cases_lock.c - start states and operations of the lock
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/wait.h"
#include "engine_ops.h"

static struct bri_handle *lock_of(struct actor *who)
{
    return &who->handles[LOCK];
}

/* ---- start states ---- */

static void open_lock(struct world *w, bool keep_on_death, bool handover)
{
    broker_lock_options options = {.keep_on_death = keep_on_death, .handover = handover};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_lock(w, (enum who)i, &options);
}

static void acquire(struct world *w, enum who who)
{
    MUST(bri_lock_acquire(lock_of(&w->actors[who]), 0, NULL));
}

/* The third ends, or closes the lock, while it holds it. */
static void leave_held(struct world *w)
{
    acquire(w, OTHER);
    MUST(bri_detach(&w->actors[OTHER].broker->session, &lock_of(&w->actors[OTHER])->object));
    lock_of(&w->actors[OTHER])->magic = 0;
}

static void fresh(struct world *w)
{
    open_lock(w, false, false);
}

static void used(struct world *w)
{
    fresh(w);
    acquire(w, PEER);
    MUST(bri_lock_release(lock_of(&w->actors[PEER])));
}

static void died(struct world *w)
{
    fresh(w);
    leave_held(w);
}

static void keeping(struct world *w)
{
    open_lock(w, true, false);
}

static void handover(struct world *w)
{
    open_lock(w, false, true);
}

static void mine(struct world *w)
{
    fresh(w);
    acquire(w, VICTIM);
}

static void mine_keeping(struct world *w)
{
    keeping(w);
    acquire(w, VICTIM);
}

static void mine_handover(struct world *w)
{
    handover(w);
    acquire(w, VICTIM);
}

static void mine_died(struct world *w)
{
    died(w);
    acquire(w, VICTIM);
}

/* The third was killed in its sleep for the lock: the word still says that somebody may wait. */
static void mine_awaited(struct world *w)
{
    mine(w);
    MUST(bri_count_sleeper(&lock_of(&w->actors[OTHER])->object, 0, true) ? 0 : BROKER_INTERNAL);
    (void)bri_lock_acquire(lock_of(&w->actors[OTHER]), 1000000, NULL);
}

static void others(struct world *w)
{
    fresh(w);
    acquire(w, OTHER);
}

static void others_keeping(struct world *w)
{
    keeping(w);
    acquire(w, OTHER);
}

static void others_died(struct world *w)
{
    fresh(w);
    acquire(w, OTHER);
    MUST(bri_detach(&w->actors[OTHER].broker->session, &lock_of(&w->actors[OTHER])->object));
    acquire(w, PEER);
    lock_of(&w->actors[OTHER])->magic = 0;
}

static void others_kept(struct world *w)
{
    keeping(w);
    leave_held(w);
}

static void others_awaited(struct world *w)
{
    others(w);
    (void)bri_lock_acquire(lock_of(&w->actors[PEER]), 1000000, NULL);
}

const struct crash_state lock_free[5] = {
    {"fresh", fresh}, {"used", used}, {"died", died}, {"keeping", keeping}, {"handover", handover}};
const struct crash_state lock_mine[5] = {{"mine", mine}, {"mine_keeping", mine_keeping},
    {"mine_handover", mine_handover}, {"mine_died", mine_died}, {"mine_awaited", mine_awaited}};
const struct crash_state lock_others[5] = {{"others", others}, {"others_keeping", others_keeping},
    {"others_died", others_died}, {"others_kept", others_kept}, {"others_awaited", others_awaited}};

/* ---- operations ---- */

int lock_acquire(struct actor *who)
{
    return bri_lock_acquire(lock_of(who), 0, NULL);
}

int lock_acquire_timeout(struct actor *who)
{
    return bri_lock_acquire(lock_of(who), 1000, NULL);
}

int lock_release(struct actor *who)
{
    return bri_lock_release(lock_of(who));
}
