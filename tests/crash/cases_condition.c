/*
 * cases_condition.c - start states and operations of the condition
 *
 * A wait that ends without a notification gives the lock back and takes it again: killed in
 * between, its session leaves neither a lock nor a waiter behind.
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/registry.h"
#include "engine_ops.h"

static struct bri_handle *condition_of(struct actor *who)
{
    return &who->handles[CONDITION];
}

/* ---- start states ---- */

static void open_condition(struct world *w, const char *lock)
{
    const broker_condition_options options = {.lock = lock};
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_condition_open(w->actors[i].broker, "condition", &options, &h));
        world_keep_handle(w, (enum who)i, CONDITION, h);
    }
}

static int acquire(struct actor *who)
{
    return bri_condition_acquire(condition_of(who), 0, NULL);
}

static int release(struct actor *who)
{
    return bri_condition_release(condition_of(who));
}

static int wait_forever(struct actor *who)
{
    int r = bri_condition_acquire(condition_of(who), BROKER_FOREVER, NULL);

    return r < 0 ? r : bri_condition_wait(condition_of(who), BROKER_FOREVER);
}

/* Waits, and was killed in its sleep; the lock must be free. */
static void await(struct world *w, enum who who)
{
    world_die_asleep(&w->actors[who], CONDITION, wait_forever);
}

static void notify(struct world *w, int64_t n)
{
    struct actor *peer = &w->actors[PEER];

    MUST(acquire(peer));
    MUST(bri_condition_notify(condition_of(peer), n));
    MUST(release(peer));
}

static void fresh(struct world *w)
{
    open_condition(w, NULL);
}

static void on_lock(struct world *w)
{
    struct bri_handle *h;

    MUST(bri_lock_open(w->actors[PEER].broker, "lock", NULL, &h));
    world_keep_handle(w, PEER, LOCK, h);
    open_condition(w, "lock");
}

static void on_rlock(struct world *w)
{
    struct bri_handle *h;

    MUST(bri_rlock_open(w->actors[PEER].broker, "rlock", NULL, &h));
    world_keep_handle(w, PEER, RLOCK, h);
    open_condition(w, "rlock");
}

static void used(struct world *w)
{
    fresh(w);
    notify(w, 1);
}

static void one_waits(struct world *w)
{
    fresh(w);
    await(w, OTHER);
}

/* The third was notified, and killed before it knew. */
static void one_notified(struct world *w)
{
    one_waits(w);
    notify(w, 1);
}

static void died(struct world *w)
{
    one_waits(w);
    MUST(acquire(&w->actors[OTHER]));
    MUST(bri_detach(&w->actors[OTHER].broker->session, &condition_of(&w->actors[OTHER])->object));
    condition_of(&w->actors[OTHER])->magic = 0;
}

const struct crash_state condition_free[7] = {{"fresh", fresh}, {"on_lock", on_lock},
    {"on_rlock", on_rlock}, {"used", used}, {"one_waits", one_waits},
    {"one_notified", one_notified}, {"died", died}};

static void be_mine(struct world *w)
{
    MUST(acquire(&w->actors[VICTIM]));
}

static void mine(struct world *w)
{
    fresh(w);
    be_mine(w);
}

static void mine_on_lock(struct world *w)
{
    on_lock(w);
    be_mine(w);
}

static void mine_on_rlock(struct world *w)
{
    on_rlock(w);
    be_mine(w);
}

static void mine_twice_used(struct world *w)
{
    used(w);
    be_mine(w);
    be_mine(w);
    MUST(release(&w->actors[VICTIM]));
}

static void mine_notified(struct world *w)
{
    one_notified(w);
    be_mine(w);
}

static void mine_died(struct world *w)
{
    died(w);
    be_mine(w);
}

const struct crash_state condition_mine[6] = {{"mine", mine}, {"mine_on_lock", mine_on_lock},
    {"mine_on_rlock", mine_on_rlock}, {"mine_twice_used", mine_twice_used},
    {"mine_notified", mine_notified}, {"mine_died", mine_died}};

static void mine_twice(struct world *w)
{
    mine(w);
    be_mine(w);
}

static void mine_twice_on_rlock(struct world *w)
{
    mine_on_rlock(w);
    be_mine(w);
}

static void mine_one_waits(struct world *w)
{
    one_waits(w);
    be_mine(w);
}

static void mine_three_wait(struct world *w)
{
    one_waits(w);
    await(w, PEER);
    await(w, OTHER);
    be_mine(w);
}

const struct crash_state condition_waitable[8] = {{"mine", mine}, {"mine_on_lock", mine_on_lock},
    {"mine_on_rlock", mine_on_rlock}, {"mine_twice", mine_twice},
    {"mine_twice_on_rlock", mine_twice_on_rlock}, {"mine_one_waits", mine_one_waits},
    {"mine_three_wait", mine_three_wait}, {"mine_notified", mine_notified}};

static void mine_lock_awaited(struct world *w)
{
    on_lock(w);
    await(w, OTHER);
    be_mine(w);
}

static void mine_rlock_awaited(struct world *w)
{
    on_rlock(w);
    await(w, OTHER);
    await(w, OTHER);
    be_mine(w);
}

static void mine_some_notified(struct world *w)
{
    one_waits(w);
    await(w, PEER);
    await(w, OTHER);
    notify(w, 1);
    be_mine(w);
}

static void mine_twice_one_waits(struct world *w)
{
    mine_one_waits(w);
    be_mine(w);
}

const struct crash_state condition_waiting[6] = {{"mine_one_waits", mine_one_waits},
    {"mine_three_wait", mine_three_wait}, {"mine_lock_awaited", mine_lock_awaited},
    {"mine_rlock_awaited", mine_rlock_awaited}, {"mine_some_notified", mine_some_notified},
    {"mine_twice_one_waits", mine_twice_one_waits}};

/* ---- operations ---- */

int condition_acquire(struct actor *who)
{
    return acquire(who);
}

int condition_release(struct actor *who)
{
    return release(who);
}

int condition_wait(struct actor *who)
{
    return bri_condition_wait(condition_of(who), 0);
}

int condition_wait_timeout(struct actor *who)
{
    return bri_condition_wait(condition_of(who), 1000);
}

/* The victim has the lock already. */
static int wait_on(struct actor *who)
{
    return bri_condition_wait(condition_of(who), BROKER_FOREVER);
}

void condition_die_waiting(struct actor *victim)
{
    world_die_asleep(victim, CONDITION, wait_on);
}

int condition_notify(struct actor *who)
{
    return bri_condition_notify(condition_of(who), 1);
}

int condition_notify_two(struct actor *who)
{
    return bri_condition_notify(condition_of(who), 2);
}

int condition_notify_all(struct actor *who)
{
    return bri_condition_notify_all(condition_of(who));
}

int condition_create(struct actor *who)
{
    struct bri_handle *h;

    return bri_condition_open(who->broker, "fresh", NULL, &h);
}

int condition_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "condition");
}
