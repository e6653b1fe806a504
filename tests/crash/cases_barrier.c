/*
 * cases_barrier.c - start states and operations of the barrier
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/registry.h"
#include "engine_ops.h"

static struct bri_handle *barrier_of(struct actor *who)
{
    return &who->handles[BARRIER];
}

/* ---- start states ---- */

static void open_barrier(struct world *w, uint64_t parties, bool action)
{
    const broker_barrier_options options = {.parties = parties, .action = action};
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_barrier_open(w->actors[i].broker, "barrier", &options, &h));
        world_keep_handle(w, (enum who)i, BARRIER, h);
    }
}

static int wait_forever(struct actor *who)
{
    uint64_t index;

    return bri_barrier_wait(barrier_of(who), BROKER_FOREVER, &index);
}

/* Is there, and was killed in its sleep. */
static void arrive(struct world *w, enum who who)
{
    world_die_asleep(&w->actors[who], BARRIER, wait_forever);
}

/* The last one, whom nothing keeps. */
static void complete(struct world *w, enum who who)
{
    MUST(wait_forever(&w->actors[who]));
}

static void abort_it(struct world *w, enum who who)
{
    MUST(bri_barrier_abort(barrier_of(&w->actors[who])));
}

static void reset(struct world *w)
{
    MUST(bri_barrier_reset(barrier_of(&w->actors[PEER])));
}

/* The third ends, or closes it: what is inside of it is counted off. */
static void close_others(struct world *w)
{
    struct bri_handle *h = barrier_of(&w->actors[OTHER]);

    MUST(bri_detach(&w->actors[OTHER].broker->session, &h->object));
    h->magic = 0;
}

static void alone(struct world *w)
{
    open_barrier(w, 1, false);
}

static void again(struct world *w)
{
    alone(w);
    complete(w, PEER);
}

static void second(struct world *w)
{
    open_barrier(w, 2, false);
    arrive(w, OTHER);
}

static void third(struct world *w)
{
    open_barrier(w, 3, false);
    arrive(w, OTHER);
    arrive(w, OTHER);
}

static void after_reset(struct world *w)
{
    open_barrier(w, 2, false);
    abort_it(w, PEER);
    reset(w);
    arrive(w, OTHER);
}

const struct crash_state barrier_last[5] = {{"alone", alone}, {"again", again}, {"second", second},
    {"third", third}, {"after_reset", after_reset}};

static void act_alone(struct world *w)
{
    open_barrier(w, 1, true);
}

static void act_again(struct world *w)
{
    act_alone(w);
    complete(w, PEER);
    MUST(bri_barrier_pass(barrier_of(&w->actors[PEER])));
}

static void act_second(struct world *w)
{
    open_barrier(w, 2, true);
    arrive(w, OTHER);
}

static void act_third(struct world *w)
{
    open_barrier(w, 3, true);
    arrive(w, OTHER);
    arrive(w, PEER);
}

static void act_after_reset(struct world *w)
{
    act_second(w);
    abort_it(w, PEER);
    close_others(w);
    reset(w);
    arrive(w, PEER);
}

const struct crash_state barrier_last_acts[5] = {{"act_alone", act_alone}, {"act_again", act_again},
    {"act_second", act_second}, {"act_third", act_third}, {"act_after_reset", act_after_reset}};

static void acting_alone(struct world *w)
{
    act_alone(w);
    complete(w, VICTIM);
}

static void acting_again(struct world *w)
{
    act_again(w);
    complete(w, VICTIM);
}

static void acting_second(struct world *w)
{
    act_second(w);
    complete(w, VICTIM);
}

static void acting_third(struct world *w)
{
    act_third(w);
    complete(w, VICTIM);
}

static void acting_after_reset(struct world *w)
{
    act_after_reset(w);
    complete(w, VICTIM);
}

const struct crash_state barrier_acting[5] = {{"acting_alone", acting_alone},
    {"acting_again", acting_again}, {"acting_second", acting_second},
    {"acting_third", acting_third}, {"acting_after_reset", acting_after_reset}};

/* What was done to the phase while the action ran. */
static void acting_aborted(struct world *w)
{
    acting_alone(w);
    abort_it(w, PEER);
}

static void acting_second_aborted(struct world *w)
{
    acting_second(w);
    abort_it(w, PEER);
}

static void acting_reset(struct world *w)
{
    acting_alone(w);
    reset(w);
}

static void acting_second_reset(struct world *w)
{
    acting_second(w);
    reset(w);
}

static void acting_bereft(struct world *w)
{
    acting_second(w);
    close_others(w);
}

const struct crash_state barrier_acts_in_vain[5] = {{"acting_aborted", acting_aborted},
    {"acting_second_aborted", acting_second_aborted}, {"acting_reset", acting_reset},
    {"acting_second_reset", acting_second_reset}, {"acting_bereft", acting_bereft}};

static void first(struct world *w)
{
    open_barrier(w, 2, false);
}

static void first_of_three(struct world *w)
{
    open_barrier(w, 3, false);
}

static void second_of_three(struct world *w)
{
    first_of_three(w);
    arrive(w, OTHER);
}

static void first_again(struct world *w)
{
    first(w);
    abort_it(w, PEER);
    reset(w);
}

static void act_first(struct world *w)
{
    open_barrier(w, 2, true);
}

const struct crash_state barrier_not_last[5] = {{"first", first},
    {"first_of_three", first_of_three}, {"second_of_three", second_of_three},
    {"first_again", first_again}, {"act_first", act_first}};

/* One who was let go has not gone yet, or one whom a reset sent away. */
static void draining(struct world *w)
{
    second(w);
    complete(w, PEER);
}

static void draining_two(struct world *w)
{
    third(w);
    complete(w, PEER);
}

static void resetting(struct world *w)
{
    second(w);
    reset(w);
}

static void resetting_two(struct world *w)
{
    third(w);
    reset(w);
}

static void acting_others(struct world *w)
{
    act_alone(w);
    complete(w, OTHER);
}

const struct crash_state barrier_closed[5] = {{"draining", draining},
    {"draining_two", draining_two}, {"resetting", resetting}, {"resetting_two", resetting_two},
    {"acting_others", acting_others}};

const struct crash_state barrier_whole[8] = {{"first", first}, {"second", second}, {"again", again},
    {"draining", draining}, {"resetting", resetting}, {"acting_second", acting_second},
    {"acting_alone", acting_alone}, {"acting_others", acting_others}};

static void broken(struct world *w)
{
    first(w);
    abort_it(w, PEER);
}

static void broken_inside(struct world *w)
{
    second_of_three(w);
    abort_it(w, PEER);
}

static void broken_by_death(struct world *w)
{
    third(w);
    close_others(w);
}

const struct crash_state barrier_resettable[7] = {{"second", second}, {"broken", broken},
    {"broken_inside", broken_inside}, {"broken_by_death", broken_by_death},
    {"acting_second", acting_second}, {"acting_aborted", acting_aborted},
    {"acting_others", acting_others}};

/* ---- operations ---- */

int barrier_wait(struct actor *who)
{
    uint64_t index = UINT64_MAX;
    int r = bri_barrier_wait(barrier_of(who), 0, &index);

    who->answer = (int64_t)index;
    return r;
}

int barrier_wait_timeout(struct actor *who)
{
    uint64_t index;

    return bri_barrier_wait(barrier_of(who), 1000, &index);
}

void barrier_die_waiting(struct actor *victim)
{
    world_die_asleep(victim, BARRIER, wait_forever);
}

int barrier_pass(struct actor *who)
{
    return bri_barrier_pass(barrier_of(who));
}

int barrier_abort(struct actor *who)
{
    return bri_barrier_abort(barrier_of(who));
}

int barrier_reset(struct actor *who)
{
    return bri_barrier_reset(barrier_of(who));
}

int barrier_create(struct actor *who)
{
    static const broker_barrier_options options = {.parties = 3, .action = true};
    struct bri_handle *h;

    return bri_barrier_open(who->broker, "fresh", &options, &h);
}

int barrier_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "barrier");
}
