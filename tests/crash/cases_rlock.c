/*
 * cases_rlock.c - start states and operations of the rlock
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/registry.h"
#include "engine_ops.h"

static struct bri_handle *rlock_of(struct actor *who)
{
    return &who->handles[RLOCK];
}

/* ---- start states ---- */

static void acquire(struct world *w, enum who who, unsigned times)
{
    while (times-- > 0)
        MUST(bri_rlock_acquire(rlock_of(&w->actors[who]), 0, NULL));
}

static void release(struct world *w, enum who who, unsigned times)
{
    while (times-- > 0)
        MUST(bri_rlock_release(rlock_of(&w->actors[who])));
}

static void fresh(struct world *w)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_rlock_open(w->actors[i].broker, "rlock", NULL, &h));
        world_keep_handle(w, (enum who)i, RLOCK, h);
    }
}

static int acquire_forever(struct actor *who)
{
    return bri_rlock_acquire(rlock_of(who), BROKER_FOREVER, NULL);
}

static void used(struct world *w)
{
    fresh(w);
    acquire(w, PEER, 2);
    release(w, PEER, 2);
}

/* The third ends, or closes it, while it holds it twice. */
static void died(struct world *w)
{
    fresh(w);
    acquire(w, OTHER, 2);
    MUST(bri_detach(&w->actors[OTHER].broker->session, &rlock_of(&w->actors[OTHER])->object));
    rlock_of(&w->actors[OTHER])->magic = 0;
}

static void was_mine(struct world *w)
{
    fresh(w);
    acquire(w, VICTIM, 3);
    release(w, VICTIM, 3);
}

/* The third was killed in its sleep for it. */
static void awaited_by_third(struct world *w)
{
    world_die_asleep(&w->actors[OTHER], RLOCK, acquire_forever);
}

static void was_awaited(struct world *w)
{
    fresh(w);
    acquire(w, PEER, 1);
    awaited_by_third(w);
    release(w, PEER, 1);
}

const struct crash_state rlock_free[5] = {{"fresh", fresh}, {"used", used}, {"died", died},
    {"was_mine", was_mine}, {"was_awaited", was_awaited}};

static void mine(struct world *w)
{
    fresh(w);
    acquire(w, VICTIM, 1);
}

static void mine_used(struct world *w)
{
    used(w);
    acquire(w, VICTIM, 1);
}

static void mine_died(struct world *w)
{
    died(w);
    acquire(w, VICTIM, 1);
}

static void mine_awaited(struct world *w)
{
    mine(w);
    awaited_by_third(w);
}

static void mine_again(struct world *w)
{
    fresh(w);
    acquire(w, VICTIM, 3);
    release(w, VICTIM, 2);
}

const struct crash_state rlock_mine[5] = {{"mine", mine}, {"mine_used", mine_used},
    {"mine_died", mine_died}, {"mine_awaited", mine_awaited}, {"mine_again", mine_again}};

static void twice(struct world *w)
{
    mine(w);
    acquire(w, VICTIM, 1);
}

static void thrice(struct world *w)
{
    mine(w);
    acquire(w, VICTIM, 2);
}

static void twice_used(struct world *w)
{
    mine_used(w);
    acquire(w, VICTIM, 1);
}

static void twice_died(struct world *w)
{
    mine_died(w);
    acquire(w, VICTIM, 1);
}

static void twice_awaited(struct world *w)
{
    mine_awaited(w);
    acquire(w, VICTIM, 1);
}

const struct crash_state rlock_deep[5] = {{"twice", twice}, {"thrice", thrice},
    {"twice_used", twice_used}, {"twice_died", twice_died}, {"twice_awaited", twice_awaited}};

static void others(struct world *w)
{
    fresh(w);
    acquire(w, OTHER, 1);
}

static void others_twice(struct world *w)
{
    fresh(w);
    acquire(w, OTHER, 2);
}

static void others_used(struct world *w)
{
    was_mine(w);
    acquire(w, OTHER, 1);
}

static void peers_died(struct world *w)
{
    died(w);
    acquire(w, PEER, 1);
}

static void peers_awaited(struct world *w)
{
    fresh(w);
    acquire(w, PEER, 1);
    awaited_by_third(w);
}

const struct crash_state rlock_others[5] = {{"others", others}, {"others_twice", others_twice},
    {"others_used", others_used}, {"peers_died", peers_died}, {"peers_awaited", peers_awaited}};

/* ---- operations ---- */

int rlock_acquire(struct actor *who)
{
    return bri_rlock_acquire(rlock_of(who), 0, NULL);
}

int rlock_acquire_timeout(struct actor *who)
{
    return bri_rlock_acquire(rlock_of(who), 1000, NULL);
}

int rlock_release(struct actor *who)
{
    return bri_rlock_release(rlock_of(who));
}

int rlock_create(struct actor *who)
{
    struct bri_handle *h;

    return bri_rlock_open(who->broker, "fresh", NULL, &h);
}

int rlock_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "rlock");
}
