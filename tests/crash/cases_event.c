/*
 * cases_event.c - start states and operations of the event
 */
#include "cases.h"
#include "core/attachment.h"
#include "core/registry.h"
#include "core/wait.h"
#include "engine_ops.h"

static struct bri_handle *event_of(struct actor *who)
{
    return &who->handles[EVENT];
}

/* ---- start states ---- */

static void fresh(struct world *w)
{
    struct bri_handle *h;

    for (int i = 0; i < N_ACTORS; i++) {
        MUST(bri_event_open(w->actors[i].broker, "event", NULL, &h));
        world_keep_handle(w, (enum who)i, EVENT, h);
    }
}

static void set(struct world *w)
{
    fresh(w);
    MUST(bri_event_set(event_of(&w->actors[PEER])));
}

static void cleared(struct world *w)
{
    set(w);
    MUST(bri_event_clear(event_of(&w->actors[PEER])));
}

static void set_again(struct world *w)
{
    cleared(w);
    MUST(bri_event_set(event_of(&w->actors[VICTIM])));
}

static int wait_forever(struct actor *who)
{
    return bri_event_wait(event_of(who), BROKER_FOREVER);
}

static int wait_for_change(struct actor *who)
{
    uint64_t version;

    return bri_wait_change(
        &event_of(who)->object, bri_version(&event_of(who)->object), BROKER_FOREVER, &version);
}

/* The third was killed in its sleep. */
static void awaited(struct world *w)
{
    fresh(w);
    world_die_asleep(&w->actors[OTHER], EVENT, wait_forever);
}

static void watched(struct world *w)
{
    fresh(w);
    world_die_asleep(&w->actors[OTHER], EVENT, wait_for_change);
}

static void set_awaited(struct world *w)
{
    awaited(w);
    MUST(bri_event_set(event_of(&w->actors[PEER])));
}

static void set_watched(struct world *w)
{
    set(w);
    world_die_asleep(&w->actors[OTHER], EVENT, wait_for_change);
}

/* Who set it has closed it since. */
static void set_left(struct world *w)
{
    fresh(w);
    MUST(bri_event_set(event_of(&w->actors[OTHER])));
    MUST(bri_detach(&w->actors[OTHER].broker->session, &event_of(&w->actors[OTHER])->object));
    event_of(&w->actors[OTHER])->magic = 0;
}

static void awaited_twice(struct world *w)
{
    awaited(w);
    world_die_asleep(&w->actors[PEER], EVENT, wait_forever);
}

const struct crash_state event_clear_now[5] = {{"fresh", fresh}, {"cleared", cleared},
    {"awaited", awaited}, {"watched", watched}, {"awaited_twice", awaited_twice}};
const struct crash_state event_set_now[5] = {{"set", set}, {"set_again", set_again},
    {"set_awaited", set_awaited}, {"set_watched", set_watched}, {"set_left", set_left}};

/* ---- operations ---- */

int event_set(struct actor *who)
{
    return bri_event_set(event_of(who));
}

int event_clear(struct actor *who)
{
    return bri_event_clear(event_of(who));
}

int event_wait_timeout(struct actor *who)
{
    return bri_event_wait(event_of(who), 1000);
}

int event_create(struct actor *who)
{
    struct bri_handle *h;

    return bri_event_open(who->broker, "fresh", NULL, &h);
}

int event_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "event");
}
