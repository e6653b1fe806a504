/*
 * sweep.c - see sweep.h
 */
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/attachment.h"
#include "core/bury.h"
#include "core/session.h"
#include "core/stand_in.h"
#include "way.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)
#define MAX_SHOWN_FAULTS 3
#define MAX_LONG 16u    /* states in which a long operation is really killed */
#define MAX_FARTHER 16u /* instructions, of a child that is really killed */

static void *map(size_t size, int flags)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    must(p == MAP_FAILED ? BROKER_NOMEM : 0, "mmap");
    return p;
}

/* ---- moving images ---- */

/* Free pages too: over what lies in them a store may be one that changes nothing. */
static void save_live(const struct sweep *s, uint8_t *image)
{
    memcpy(image, world_bytes(&s->live), SIZE);
}

/* What its programs have for themselves, which a victim that walks in ours changes. */
static void save_programs(struct sweep *s, struct sweep_programs *p)
{
    world_forget_handles(&s->live);
    p->world = s->live;
    for (int i = 0; i < N_ACTORS; i++) {
        p->live[i] = s->live.actors[i].broker;
        p->brokers[i] = *p->live[i];
        p->world.actors[i].broker = &p->brokers[i];
    }
}

static void load_live(struct sweep *s, const uint8_t *image, const struct sweep_programs *p)
{
    memcpy(world_bytes(&s->live), image, SIZE);
    s->wakes->n = 0;
    world_forget_handles(&s->live);
    memcpy(s->live.actors, p->world.actors, sizeof(s->live.actors));
    for (int i = 0; i < N_ACTORS; i++) {
        s->live.actors[i].broker = p->live[i];
        *p->live[i] = p->brokers[i];
    }
}

void sweep_init(struct sweep *s, const struct sweep_options *options)
{
    *s = (struct sweep){.options = *options, .random = options->seed, .turn = options->seed};
    /* Shared, so that no child has a copy to be made. */
    s->blank = map(SIZE, MAP_SHARED);
    s->before = map(SIZE, MAP_SHARED);
    s->after = map(SIZE, MAP_SHARED);
    s->seen = map(SIZE, MAP_SHARED);
    s->died = map(SIZE, MAP_SHARED);
    s->result = map(sizeof(*s->result), MAP_SHARED);
    s->can_walk = walker_init();
    s->wakes = map(sizeof(*s->wakes), MAP_SHARED);
    judge_init(&s->judge, s->seen, s->wakes);
    world_new(&s->live, options->seed);
    save_live(s, s->blank);
    save_programs(s, &s->blank_programs);
}

void sweep_fini(struct sweep *s)
{
    judge_fini(&s->judge);
    world_free(&s->live);
    (void)munmap(s->blank, SIZE);
    (void)munmap(s->before, SIZE);
    (void)munmap(s->after, SIZE);
    (void)munmap(s->seen, SIZE);
    (void)munmap(s->died, SIZE);
    (void)munmap(s->result, sizeof(*s->result));
    free(s->findings);
}

static uint32_t random_below(struct sweep *s, uint32_t n)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->random >> 33) % n;
}

void sweep_say_fault(struct sweep *s, const char *how)
{
    if (s->n_faults++ < MAX_SHOWN_FAULTS)
        (void)printf("BAD  %s/%s, %s, --store %llu --step %llu: %s\n", s->operation->name,
            s->state->name, how, (unsigned long long)s->n_stores,
            (unsigned long long)s->tracer.n_steps, s->judge.message);
}

static bool enough(const struct sweep *s)
{
    return s->n_faults >= s->options.stop_after;
}

static enum outcome judge_now(struct sweep *s, enum order order)
{
    return judge_image(&s->judge, s->seen, &s->pages, &s->death, order);
}

/* ---- linear ---- */

static struct sweep_finding *new_finding(struct sweep *s)
{
    if (s->n_findings == s->max_findings) {
        s->max_findings = 2 * s->max_findings + 1024;
        s->findings = realloc(s->findings, s->max_findings * sizeof(*s->findings));
        must(s->findings == NULL ? BROKER_NOMEM : 0, "realloc");
    }
    return &s->findings[s->n_findings++];
}

static void judge_state(struct sweep *s)
{
    bool both =
        (s->operation->flags & CRASH_STEPS) == 0 && s->options.work_first != 0 &&
        (s->operation->sleeper != NULL || random_below(s, (uint32_t)s->options.work_first) == 0);
    enum outcome outcome = judge_now(s, REAP_FIRST), other;
    unsigned fits = s->judge.fits;

    if (outcome == BAD)
        sweep_say_fault(s, "dead");
    s->counts.n_outcomes[outcome]++;
    s->n_marked += s->death.marks;
    *new_finding(s) =
        (struct sweep_finding){.store = s->n_stores, .fits = fits, .marked = s->death.marks};
    if (!both || outcome == BAD)
        return;
    other = judge_now(s, WORK_FIRST);
    if (other != BAD && (s->judge.fits & fits) == 0)
        other = judge_fault(&s->judge, ORACLE_STATE, "the outcome depends on who comes first");
    if (other == BAD)
        sweep_say_fault(s, "dead, not reaped yet");
}

/* Every state. */
static void sweep_linear(struct sweep *s)
{
    bool changed;

    judge_forget(&s->judge);
    s->n_findings = 0;
    s->n_marked = 0;
    way_start(s, way_run_operation);
    judge_state(s);
    while (!enough(s) && way_step(s, &changed))
        if (changed)
            judge_state(s);
    s->counts.n_states += s->n_findings;
    s->counts.n_steps += s->tracer.n_steps;
    way_stop(s);
    load_live(s, s->before, &s->programs);
}

static bool is_repeatable(const struct sweep *s)
{
    return (s->operation->flags & CRASH_TIMED) == 0;
}

/* The state that the child is in must be the @n-th that was found. */
static void compare_finding(struct sweep *s, uint32_t n)
{
    enum outcome outcome = judge_now(s, REAP_FIRST);

    if (outcome != BAD && is_repeatable(s) &&
        (n >= s->n_findings || s->findings[n].fits != s->judge.fits ||
            s->findings[n].marked != s->death.marks))
        outcome = judge_fault(
            &s->judge, ORACLE_WATCH, "state %u of %u is not as it was found", n, s->n_findings);
    if (outcome == BAD)
        sweep_say_fault(s, "dead, stepped");
}

/* Every instruction, to the same states. */
static void sweep_stepping(struct sweep *s)
{
    uint32_t n = 0;
    bool changed;

    judge_forget(&s->judge);
    way_start(s, way_run_operation);
    compare_finding(s, 0);
    while (!enough(s) && way_step(s, &changed))
        if (changed)
            compare_finding(s, ++n);
    s->counts.n_steps += s->tracer.n_steps;
    way_kill_child(s);
    load_live(s, s->before, &s->programs);
    if (n + 1 < s->n_findings && is_repeatable(s) && !enough(s)) {
        (void)judge_fault(&s->judge, ORACLE_WATCH, "there are %u states, not %u as were found",
            n + 1, s->n_findings);
        sweep_say_fault(s, "stepped");
    }
}

/* What one point leaves, with everything that can be said of it. */
static void sweep_one(struct sweep *s)
{
    judge_forget(&s->judge);
    if (way_start_child_at(s, s->options.store))
        way_skip(s, s->options.step);
    for (int order = 0; order < N_ORDERS; order++) {
        enum outcome outcome = judge_now(s, (enum order)order);
        const struct text *x = &s->judge.transcript;

        s->counts.n_states++;
        s->counts.n_outcomes[outcome]++;
        if (outcome == BAD)
            sweep_say_fault(s, "dead");
        (void)printf("--- %s, outcome %d\n%.*s",
            order == REAP_FIRST ? "reaped first" : "worked first", (int)outcome, (int)x->size,
            x->data);
    }
    way_kill_child(s);
    load_live(s, s->before, &s->programs);
}

/* ---- real and double ---- */

/* Kills the child really. The kernel must leave what was simulated. */
static void kill_really(struct sweep *s)
{
    world_copy_pages(&s->pages, s->seen, s->died);
    tracer_apply(&s->death, s->died);
    s->guard_off = s->death.marks ? s->death.off : 0;
    way_kill_child(s);
    s->counts.n_real++;
    if (world_follow(s->live.arena, s->died, s->options.reserved, &s->pages)) {
        (void)judge_fault(
            &s->judge, ORACLE_KERNEL, "what the kernel left is not what was simulated");
        sweep_say_fault(s, "killed");
    }
}

/* Judged otherwise, it must fit what was found when it was judged first. */
static void agree(struct sweep *s, enum outcome outcome, unsigned fits, const char *how)
{
    if (outcome != BAD && (s->judge.fits & fits) == 0)
        outcome =
            judge_fault(&s->judge, ORACLE_STATE, "the outcome is not that of the simulated death");
    if (outcome == BAD)
        sweep_say_fault(s, how);
}

/* Whoever comes next locks the guard, and the daemon gives back what the dead had. */
static void run_recovery(void *arg)
{
    struct sweep *s = arg;
    struct bri_arena *a = s->live.arena;
    struct bri_object o;
    struct bri_txn t;

    if (s->operation->sleeper != NULL)
        sleepers_note_wakes(s->wakes, world_bytes(&s->live), walker_pause);
    if (s->guard_off != 0 &&
        bri_object_bind(a, (uint32_t)(s->guard_off >> BRI_SLOT_SHIFT), &o) == 0 &&
        bri_begin(&t, &o, BRI_PATIENCE) == 0)
        bri_abort(&t);
    if (!s->options.reaping)
        return;
    *s->result = bri_session_reap(a, VICTIM, true, BRI_PATIENCE);
    if (s->operation->finish != NULL)
        (void)s->operation->finish(&s->live.actors[PEER]);
    (void)bri_bury(a);
}

static void kill_recovery(struct sweep *s, unsigned fits)
{
    bool changed;

    way_start(s, run_recovery);
    while (!enough(s) && way_step(s, &changed))
        if (changed) {
            s->counts.n_double++;
            agree(s, judge_now(s, REAP_FIRST), fits, "dead in recovery");
        }
    way_stop(s);
}

/* Starts a child and has it go to the @n-th state, and on by some instructions. False if it came to
 * its end before. */
static bool go_to_death(struct sweep *s, uint32_t n)
{
    bool changed, walking = s->walking;
    uint32_t i = 0;

    judge_forget(&s->judge);
    if (walking) {
        if (!way_start_child_at(s, s->findings[n].store))
            return false;
        i = n;
    } else {
        way_start(s, way_run_operation);
    }
    while (i < n && way_step(s, &changed))
        i += changed;
    if (i == n)
        way_skip(s, random_below(s, MAX_FARTHER + 1));
    return i == n;
}

/* Kills a child in the @n-th state or soon after, if @twice whoever recovers that too; then
 * recovers what is left. */
static void sweep_killed(struct sweep *s, uint32_t n, bool twice)
{
    bool walking = s->walking;
    unsigned fits;

    if (go_to_death(s, n)) {
        (void)judge_now(s, REAP_FIRST);
        fits = s->judge.fits;
        kill_really(s);
        s->walking = walking;
        if (twice)
            kill_recovery(s, fits);
        agree(s, judge_world(&s->judge, &s->live, REAP_FIRST), fits, "killed");
    } else {
        way_kill_child(s);
    }
    s->walking = walking;
    load_live(s, s->before, &s->programs);
}

/* ---- a case ---- */

/* The live world as @state makes it, and the images of the operation's start and end. False: it is
 * not as it should be. */
static bool begin_case(struct sweep *s)
{
    bool good;

    s->state->prepare(&s->live);
    if (s->operation->sleeper != NULL) {
        judge_note_awake(&s->judge, &s->live);
        sleepers_begin(&s->live, s->operation);
        sleepers_end();
    }
    save_live(s, s->before);
    save_programs(s, &s->programs);
    way_start_child(s, NULL, way_run_operation);
    tracer_finish(&s->tracer);
    save_live(s, s->after);
    way_kill_child(s);
    good = judge_begin(&s->judge, s->operation, &s->programs.world, s->before, s->after);
    if (good && (*s->result < 0 ? *s->result : 0) != s->operation->result) {
        (void)judge_fault(&s->judge, ORACLE_WORK, "without any death it gives %d, not %d",
            *s->result, s->operation->result);
        good = false;
    }
    if (!good)
        sweep_say_fault(s, "not killed");
    load_live(s, s->before, &s->programs);
    return good;
}

/* One of the states in which a guard is held, since a recoverer has most to do there; of all if
 * there are none. */
static uint32_t choose_marked(struct sweep *s)
{
    uint32_t left, i = 0;

    if (s->n_marked == 0)
        return random_below(s, s->n_findings);
    for (left = random_below(s, s->n_marked); !s->findings[i].marked || left-- > 0; i++)
        ;
    return i;
}

/* In all states, or in some that are chosen at random. */
static void sweep_states(struct sweep *s)
{
    bool is_long = (s->operation->flags & CRASH_LONG) != 0;
    uint64_t n_real = s->options.n_real, n_double = s->options.n_double;

    if (is_long && n_real > MAX_LONG) /* the square of so many states */
        n_real = MAX_LONG;
    if (n_real >= s->n_findings) {
        for (uint32_t i = 0; i < s->n_findings && !enough(s); i++)
            sweep_killed(s, i, random_below(s, s->n_findings) < n_double);
        return;
    }
    for (uint64_t i = 0; i < n_real && !enough(s); i++) {
        bool twice = i < n_double;

        sweep_killed(s, twice ? choose_marked(s) : random_below(s, s->n_findings), twice);
    }
}

static void sweep_all(struct sweep *s)
{
    s->walking = s->can_walk && (s->operation->flags & CRASH_SYSCALLS) == 0;
    sweep_linear(s);
    sweep_states(s);
    if (!s->walking || s->options.stepped == 0 || s->turn++ % s->options.stepped != 0)
        return;
    s->walking = false;
    sweep_stepping(s);
}

void sweep_case(
    struct sweep *s, const struct crash_operation *operation, const struct crash_state *state)
{
    s->operation = operation;
    s->state = state;
    s->n_faults = 0;
    memset(s->judge.n_bad, 0, sizeof(s->judge.n_bad));
    load_live(s, s->blank, &s->blank_programs);
    s->counts.n_cases++;
    if (begin_case(s)) {
        if (s->options.only)
            sweep_one(s);
        else
            sweep_all(s);
    }
    for (int i = 0; i < N_ORACLES; i++)
        s->counts.n_bad[i] += s->judge.n_bad[i];
}
