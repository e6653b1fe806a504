/*
 * cases_wait_lock.c - who waits for locks, permits, events and each other, and who wakes them
 */
#include "cases_wait.h"
#include "engine_ops.h"

/* ---- locks ---- */

static int lock_take(struct actor *who)
{
    return bri_lock_acquire(&who->handles[LOCK], BROKER_FOREVER, NULL);
}

int lock_pass(struct actor *who)
{
    int r = lock_take(who), s = r < 0 ? r : bri_lock_release(&who->handles[LOCK]);

    return s < 0 ? s : r;
}

int lock_give(struct actor *who)
{
    return bri_lock_release(&who->handles[LOCK]);
}

static void lock_open(struct world *w, enum who who)
{
    world_open_lock(w, who, NULL);
}

void lock_held(struct world *w)
{
    for_all(w, lock_open);
    MUST(lock_take(victim_of(w)));
}

static int rlock_take(struct actor *who)
{
    return bri_rlock_acquire(&who->handles[RLOCK], BROKER_FOREVER, NULL);
}

int rlock_give(struct actor *who)
{
    return bri_rlock_release(&who->handles[RLOCK]);
}

int rlock_pass(struct actor *who)
{
    int r = rlock_take(who), s = r < 0 ? r : rlock_give(who);

    return s < 0 ? s : r;
}

static void rlock_open(struct world *w, enum who who)
{
    struct bri_handle *h;

    MUST(bri_rlock_open(w->actors[who].broker, "rlock", NULL, &h));
    world_keep_handle(w, who, RLOCK, h);
}

void rlock_held(struct world *w)
{
    for_all(w, rlock_open);
    MUST(rlock_take(victim_of(w)));
}

/* ---- semaphores ---- */

static void open_semaphores(struct world *w, const broker_semaphore_options *options)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_semaphore_open(w->actors[i].broker, "semaphore", options, &h));
        world_keep_handle(w, (enum who)i, SEMAPHORE, h);
    }
}

void no_permit(struct world *w)
{
    open_semaphores(w, &(broker_semaphore_options){.empty = true});
}

int permit_take(struct actor *who)
{
    return bri_semaphore_acquire(&who->handles[SEMAPHORE], BROKER_FOREVER);
}

int permit_give(struct actor *who)
{
    return bri_semaphore_release(&who->handles[SEMAPHORE], 1);
}

int permits_give(struct actor *who)
{
    return bri_semaphore_release(&who->handles[SEMAPHORE], 2);
}

int permit_pass(struct actor *who)
{
    int r = permit_take(who), s = r < 0 ? r : permit_give(who);

    return s < 0 ? s : r;
}

void permit_held(struct world *w)
{
    open_semaphores(w, &(broker_semaphore_options){.bounded = true, .value = 1});
    MUST(permit_take(victim_of(w)));
}

void permits_held(struct world *w)
{
    open_semaphores(w, &(broker_semaphore_options){.bounded = true, .value = 2});
    MUST(permit_take(victim_of(w)));
    MUST(permit_take(victim_of(w)));
}

/* ---- events ---- */

void event_cleared(struct world *w)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_event_open(w->actors[i].broker, "event", NULL, &h));
        world_keep_handle(w, (enum who)i, EVENT, h);
    }
}

int event_await(struct actor *who)
{
    return bri_event_wait(&who->handles[EVENT], BROKER_FOREVER);
}

/* ---- conditions ---- */

static struct bri_handle *condition_of(struct actor *who)
{
    return &who->handles[CONDITION];
}

static int condition_take(struct actor *who)
{
    return bri_condition_acquire(condition_of(who), BROKER_FOREVER, NULL);
}

int condition_give(struct actor *who)
{
    return bri_condition_release(condition_of(who));
}

int condition_await(struct actor *who)
{
    int r = condition_take(who), s;

    if (r >= 0)
        r = bri_condition_wait(condition_of(who), BROKER_FOREVER);
    s = r < 0 ? r : condition_give(who);
    return s < 0 ? s : r;
}

int condition_pass(struct actor *who)
{
    int r = condition_take(who), s = r < 0 ? r : condition_give(who);

    return s < 0 ? s : r;
}

int condition_notify_one(struct actor *who)
{
    return bri_condition_notify(condition_of(who), 1);
}

int condition_notify_every(struct actor *who)
{
    return bri_condition_notify_all(condition_of(who));
}

/* As a survivor does it. */
int notify_holding(struct actor *who)
{
    int r = condition_take(who);

    return r < 0 || (r = condition_notify_every(who)) < 0 ? r : condition_give(who);
}

void condition_open_all(struct world *w)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_condition_open(w->actors[i].broker, "condition", NULL, &h));
        world_keep_handle(w, (enum who)i, CONDITION, h);
    }
}

void condition_held(struct world *w)
{
    condition_open_all(w);
    MUST(condition_take(victim_of(w)));
}

void hold_condition(struct world *w)
{
    MUST(condition_take(victim_of(w)));
}

void notify_and_hold(struct world *w)
{
    hold_condition(w);
    MUST(condition_notify_every(victim_of(w)));
}

/* ---- barriers ---- */

static struct bri_handle *barrier_of(struct actor *who)
{
    return &who->handles[BARRIER];
}

static void open_barriers(struct world *w, uint64_t parties, bool action)
{
    const broker_barrier_options options = {.parties = parties, .action = action};
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_barrier_open(w->actors[i].broker, "barrier", &options, &h));
        world_keep_handle(w, (enum who)i, BARRIER, h);
    }
}

void three_parties(struct world *w)
{
    open_barriers(w, 3, false);
}

void three_and_action(struct world *w)
{
    open_barriers(w, 3, true);
}

void many_parties(struct world *w)
{
    open_barriers(w, 9, false);
}

int barrier_arrive(struct actor *who)
{
    uint64_t index = 0;
    int r = bri_barrier_wait(barrier_of(who), BROKER_FOREVER, &index);

    who->answer = (int64_t)index;
    return r;
}

void victim_acts(struct world *w)
{
    MUST(barrier_arrive(victim_of(w)) == BROKER_ACTION ? 0 : BROKER_INTERNAL);
}
