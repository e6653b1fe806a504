/*
 * way.c - see way.h
 */
#include "way.h"

#include "core/stand_in.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)

/* ---- somebody on its way ---- */

void way_run_operation(void *arg)
{
    struct sweep *s = arg;

    if (s->operation->sleeper != NULL)
        sleepers_note_wakes(s->wakes, world_bytes(&s->live), walker_pause);
    *s->result = s->operation->run(&s->live.actors[VICTIM]);
    bri_stand_in = NULL;
}

/* The world as it is, before anything happens. */
static void begin(struct sweep *s)
{
    world_pages(s->live.arena, s->options.reserved, &s->pages);
    world_copy_pages(&s->pages, world_bytes(&s->live), s->seen);
    s->death = (struct tracer_death){0};
    s->n_stores = 0;
    s->n_wakes = s->wakes->n;
    s->tracer.n_steps = 0;
}

static void start_walking(struct sweep *s, void (*fn)(void *))
{
    begin(s);
    walker_start(world_bytes(&s->live), SIZE, fn, s);
}

void way_start_child(struct sweep *s, void (*before)(void *), void (*fn)(void *))
{
    tracer_stay(true);
    tracer_start(&s->tracer, before, fn, s);
}

void way_kill_child(struct sweep *s)
{
    tracer_kill(&s->tracer);
    tracer_stay(false);
}

/* Starts somebody in the world as it is; the reader looks for the first time. */
void way_start(struct sweep *s, void (*fn)(void *))
{
    if (s->walking) {
        start_walking(s, fn);
    } else {
        begin(s);
        way_start_child(s, NULL, fn);
    }
    if (!judge_look(&s->judge))
        sweep_say_fault(s, "at the start");
}

void way_stop(struct sweep *s)
{
    if (s->walking)
        walker_stop();
    else
        way_kill_child(s);
}

static bool follow_store(struct sweep *s)
{
    uint32_t pages[WALKER_PAGES];
    unsigned n = walker_pages(pages);
    bool changed = false;

    for (unsigned i = 0; i < n; i++)
        changed |=
            world_follow_page(s->live.arena, s->seen, s->options.reserved, pages[i], &s->pages);
    return changed;
}

/* Has somebody come to another state? */
static bool follow(struct sweep *s)
{
    struct tracer_death death = {0};
    bool changed = s->walking
                       ? follow_store(s)
                       : world_follow(s->live.arena, s->seen, s->options.reserved, &s->pages);

    /* Without a change of memory a death can come to leave something else only while it leaves a
     * mark. */
    if (s->walking)
        death = walker_death();
    else if (changed || s->death.marks)
        death = tracer_death(&s->tracer, world_bytes(&s->live), SIZE);
    changed |= !tracer_same_death(&death, &s->death) || s->wakes->n != s->n_wakes;
    s->death = death;
    s->n_wakes = s->wakes->n;
    return changed;
}

/* One instruction, or one store. False at the end. Tells whether it made another state. */
bool way_step(struct sweep *s, bool *out_changed)
{
    if (!(s->walking ? walker_step() : tracer_step(&s->tracer)))
        return false;
    s->n_stores += s->walking;
    *out_changed = follow(s);
    if (*out_changed && !judge_look(&s->judge))
        sweep_say_fault(s, "to a reader");
    return true;
}

/* Goes on by so many steps. */
void way_skip(struct sweep *s, uint64_t n)
{
    bool changed;

    while (n-- > 0 && way_step(s, &changed))
        ;
}

/* ---- a child that is on its way ---- */

/* In the child: walks up to behind its store number `target`. */
static void walk_to_target(void *arg)
{
    struct sweep *s = arg;

    start_walking(s, way_run_operation);
    while (s->n_stores < s->target && walker_step())
        s->n_stores++;
    walker_become();
}

static void walk_on(void *arg)
{
    (void)arg;
    walker_go_on();
}

/* Starts a child that stands behind its @n-th store and can be stepped and killed. False if it has
 * come to its end. */
bool way_start_child_at(struct sweep *s, uint64_t n)
{
    begin(s);
    s->walking = false;
    s->target = n;
    if (!judge_look(&s->judge))
        sweep_say_fault(s, "at the start");
    if (n == 0) {
        way_start_child(s, NULL, way_run_operation);
        return true;
    }
    way_start_child(s, walk_to_target, walk_on);
    if (!tracer_run_to(&s->tracer, *walker_at))
        return false;
    s->n_stores = n;
    if (follow(s) && !judge_look(&s->judge))
        sweep_say_fault(s, "to a reader");
    return true;
}
