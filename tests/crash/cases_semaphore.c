/*
 * cases_semaphore.c - start states and operations of the semaphore
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/registry.h"
#include "engine_ops.h"

static struct bri_handle *semaphore_of(struct actor *who)
{
    return &who->handles[SEMAPHORE];
}

/* ---- start states ---- */

static void open_semaphore(struct world *w, const broker_semaphore_options *options)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_semaphore_open(w->actors[i].broker, "semaphore", options, &h));
        world_keep_handle(w, (enum who)i, SEMAPHORE, h);
    }
}

static void acquire(struct world *w, enum who who)
{
    MUST(bri_semaphore_acquire(semaphore_of(&w->actors[who]), 0));
}

static void release(struct world *w, enum who who)
{
    MUST(bri_semaphore_release(semaphore_of(&w->actors[who]), 1));
}

/* The third ends with a permit that it has. */
static void leave_with_one(struct world *w)
{
    acquire(w, OTHER);
    MUST(bri_detach(&w->actors[OTHER].broker->session, &semaphore_of(&w->actors[OTHER])->object));
    semaphore_of(&w->actors[OTHER])->magic = 0;
}

static int acquire_forever(struct actor *who)
{
    return bri_semaphore_acquire(semaphore_of(who), BROKER_FOREVER);
}

static void bounded(struct world *w)
{
    open_semaphore(w, &(broker_semaphore_options){.value = 3, .bounded = true});
}

static void keeping(struct world *w)
{
    open_semaphore(
        w, &(broker_semaphore_options){.value = 3, .bounded = true, .keep_on_death = true});
}

static void unbounded(struct world *w)
{
    open_semaphore(w, NULL);
}

static void shared(struct world *w)
{
    bounded(w);
    acquire(w, OTHER);
    acquire(w, VICTIM);
}

/* The permit that came back was another's: the next session that ends pays for it. */
static void foreign(struct world *w)
{
    bounded(w);
    acquire(w, OTHER);
    release(w, PEER);
}

static void kept(struct world *w)
{
    keeping(w);
    leave_with_one(w);
}

static void died(struct world *w)
{
    bounded(w);
    leave_with_one(w);
}

const struct crash_state semaphore_free[7] = {{"unbounded", unbounded}, {"bounded", bounded},
    {"keeping", keeping}, {"shared", shared}, {"foreign", foreign}, {"kept", kept}, {"died", died}};

static void one(struct world *w)
{
    open_semaphore(w, &(broker_semaphore_options){.value = 1, .bounded = true});
}

static void empty(struct world *w)
{
    open_semaphore(w, &(broker_semaphore_options){.empty = true});
}

static void mine(struct world *w)
{
    one(w);
    acquire(w, VICTIM);
}

static void others(struct world *w)
{
    one(w);
    acquire(w, OTHER);
}

/* The third was killed in its sleep for a permit. */
static void awaited(struct world *w)
{
    mine(w);
    world_die_asleep(&w->actors[OTHER], SEMAPHORE, acquire_forever);
}

/* All are out from the start, and nobody's. */
static void nobodys(struct world *w)
{
    open_semaphore(w, &(broker_semaphore_options){.value = 3, .bounded = true, .empty = true});
}

static void signals_awaited(struct world *w)
{
    empty(w);
    world_die_asleep(&w->actors[OTHER], SEMAPHORE, acquire_forever);
}

const struct crash_state semaphore_empty[6] = {{"empty", empty}, {"mine", mine}, {"others", others},
    {"awaited", awaited}, {"nobodys", nobodys}, {"signals_awaited", signals_awaited}};

const struct crash_state semaphore_taken[8] = {{"mine", mine}, {"others", others},
    {"awaited", awaited}, {"nobodys", nobodys}, {"unbounded", unbounded}, {"kept", kept},
    {"foreign", shared}, {"signals_awaited", signals_awaited}};

/* Two are out, or more: some of them the victim's. */
static void mine_all(struct world *w)
{
    bounded(w);
    for (int i = 0; i < 3; i++)
        acquire(w, VICTIM);
}

static void mine_and_kept(struct world *w)
{
    kept(w);
    acquire(w, VICTIM);
}

static void mine_and_foreign(struct world *w)
{
    foreign(w);
    acquire(w, VICTIM);
    acquire(w, PEER);
}

const struct crash_state semaphore_several[6] = {{"shared", shared}, {"mine_all", mine_all},
    {"mine_and_kept", mine_and_kept}, {"mine_and_foreign", mine_and_foreign}, {"nobodys", nobodys},
    {"signals_awaited", signals_awaited}};

static void full_again(struct world *w)
{
    mine(w);
    release(w, VICTIM);
}

const struct crash_state semaphore_full[5] = {{"one", one}, {"bounded", bounded},
    {"keeping", keeping}, {"full_again", full_again}, {"died", died}};

/* ---- operations ---- */

int semaphore_acquire(struct actor *who)
{
    return bri_semaphore_acquire(semaphore_of(who), 0);
}

int semaphore_acquire_timeout(struct actor *who)
{
    return bri_semaphore_acquire(semaphore_of(who), 1000);
}

int semaphore_release(struct actor *who)
{
    return bri_semaphore_release(semaphore_of(who), 1);
}

int semaphore_release_two(struct actor *who)
{
    return bri_semaphore_release(semaphore_of(who), 2);
}

int semaphore_create(struct actor *who)
{
    static const broker_semaphore_options options = {.value = 3, .bounded = true, .empty = true};
    struct bri_handle *h;

    return bri_semaphore_open(who->broker, "fresh", &options, &h);
}

int semaphore_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "semaphore");
}
