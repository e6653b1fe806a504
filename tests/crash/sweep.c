/*
 * sweep.c - see sweep.h
 */
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/attachment.h"
#include "core/bury.h"

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

void sweep_init(struct sweep *s, const struct sweep_options *options)
{
    *s = (struct sweep){.options = *options, .random = options->seed, .turn = options->seed};
    s->before = map(SIZE, MAP_PRIVATE);
    s->after = map(SIZE, MAP_PRIVATE);
    s->seen = map(SIZE, MAP_PRIVATE);
    s->died = map(SIZE, MAP_PRIVATE);
    s->result = map(sizeof(*s->result), MAP_SHARED);
    s->can_watch = tracer_prepare_watch();
    judge_init(&s->judge, s->seen);
}

void sweep_fini(struct sweep *s)
{
    judge_fini(&s->judge);
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

static void say_fault(struct sweep *s, const char *how)
{
    if (s->n_faults++ < MAX_SHOWN_FAULTS)
        (void)printf("BAD  %s/%s, %s, --store %llu --step %llu: %s\n", s->operation->name,
            s->state->name, how, (unsigned long long)s->tracer.n_stores,
            (unsigned long long)s->tracer.n_steps, s->judge.message);
}

static bool enough(const struct sweep *s)
{
    return s->n_faults >= s->options.stop_after;
}

/* ---- moving images ---- */

/* Free pages too: over what lies in them a store may be one that changes nothing. */
static void save_live(const struct sweep *s, uint8_t *image)
{
    memcpy(image, world_bytes(&s->live), SIZE);
}

static void load_live(struct sweep *s, const uint8_t *image)
{
    memcpy(world_bytes(&s->live), image, SIZE);
    world_forget_handles(&s->live);
}

/* ---- a child on its way ---- */

static void run_operation(void *arg)
{
    struct sweep *s = arg;

    *s->result = s->operation->run(&s->live.actors[VICTIM]);
}

/* Starts a child in the world as it is; the reader looks for the first time. */
static void start(struct sweep *s, void (*fn)(void *))
{
    world_pages(s->live.arena, s->options.reserved, &s->pages);
    world_copy_pages(&s->pages, world_bytes(&s->live), s->seen);
    s->death = (struct tracer_death){0};
    if (s->watching)
        tracer_start_watched(&s->tracer, world_bytes(&s->live), SIZE, fn, s);
    else
        tracer_start(&s->tracer, NULL, fn, s);
    if (!judge_look(&s->judge))
        say_fault(s, "at the start");
}

/* One instruction, or one store. False at the end. Tells whether it made another state. */
static bool step(struct sweep *s, bool *out_changed)
{
    struct tracer_death death = {0};
    bool changed;

    if (!tracer_step(&s->tracer))
        return false;
    changed = world_follow(s->live.arena, s->seen, s->options.reserved, &s->pages);
    /* Without a change of memory a death can come to leave something else only while it leaves a
     * mark. */
    if (changed || s->death.marks || s->tracer.watching)
        death = tracer_death(&s->tracer, world_bytes(&s->live), SIZE);
    *out_changed = changed || !tracer_same_death(&death, &s->death);
    s->death = death;
    if (*out_changed && !judge_look(&s->judge))
        say_fault(s, "to a reader");
    return true;
}

/* Goes on by so many states, ... */
static bool skip_states(struct sweep *s, uint64_t n)
{
    bool changed;

    while (n > 0) {
        if (!step(s, &changed))
            return false;
        n -= changed;
    }
    return true;
}

/* ... or by so many steps. */
static void skip(struct sweep *s, uint64_t n)
{
    bool changed;

    while (n-- > 0 && step(s, &changed))
        ;
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
    bool both = (s->operation->flags & CRASH_STEPS) == 0 && s->options.work_first != 0 &&
                random_below(s, (uint32_t)s->options.work_first) == 0;
    enum outcome outcome = judge_now(s, REAP_FIRST), other;
    unsigned fits = s->judge.fits;

    if (outcome == BAD)
        say_fault(s, "dead");
    s->counts.n_outcomes[outcome]++;
    s->n_marked += s->death.marks;
    *new_finding(s) = (struct sweep_finding){.fits = fits, .marked = s->death.marks};
    if (!both || outcome == BAD)
        return;
    other = judge_now(s, WORK_FIRST);
    if (other != BAD && (s->judge.fits & fits) == 0)
        other = judge_fault(&s->judge, ORACLE_STATE, "the outcome depends on who comes first");
    if (other == BAD)
        say_fault(s, "dead, not reaped yet");
}

/* Every state. */
static void sweep_linear(struct sweep *s)
{
    bool changed;

    judge_forget(&s->judge);
    s->n_findings = 0;
    s->n_marked = 0;
    start(s, run_operation);
    judge_state(s);
    while (!enough(s) && step(s, &changed))
        if (changed)
            judge_state(s);
    s->counts.n_states += s->n_findings;
    s->counts.n_steps += s->watching ? 0 : s->tracer.n_steps;
    tracer_kill(&s->tracer);
    load_live(s, s->before);
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
        say_fault(s, "dead, stepped");
}

/* Every instruction, to the same states. */
static void sweep_stepping(struct sweep *s)
{
    uint32_t n = 0;
    bool changed;

    judge_forget(&s->judge);
    start(s, run_operation);
    compare_finding(s, 0);
    while (!enough(s) && step(s, &changed))
        if (changed)
            compare_finding(s, ++n);
    s->counts.n_steps += s->tracer.n_steps;
    tracer_kill(&s->tracer);
    load_live(s, s->before);
    if (n + 1 < s->n_findings && is_repeatable(s) && !enough(s)) {
        (void)judge_fault(&s->judge, ORACLE_WATCH, "there are %u states, not %u as were found",
            n + 1, s->n_findings);
        say_fault(s, "stepped");
    }
}

/* What one point leaves, with everything that can be said of it. */
static void sweep_one(struct sweep *s)
{
    s->watching = s->options.store > 0;
    judge_forget(&s->judge);
    start(s, run_operation);
    skip(s, s->options.store);
    tracer_unwatch(&s->tracer);
    skip(s, s->options.step);
    for (int order = 0; order < N_ORDERS; order++) {
        enum outcome outcome = judge_now(s, (enum order)order);
        const struct text *x = &s->judge.transcript;

        s->counts.n_states++;
        s->counts.n_outcomes[outcome]++;
        if (outcome == BAD)
            say_fault(s, "dead");
        (void)printf("--- %s, outcome %d\n%.*s",
            order == REAP_FIRST ? "reaped first" : "worked first", (int)outcome, (int)x->size,
            x->data);
    }
    tracer_kill(&s->tracer);
    load_live(s, s->before);
}

/* ---- real and double ---- */

/* Kills the child really. The kernel must leave what was simulated. */
static void kill_really(struct sweep *s)
{
    world_copy_pages(&s->pages, s->seen, s->died);
    tracer_apply(&s->death, s->died);
    s->guard_off = s->death.marks ? s->death.off : 0;
    tracer_kill(&s->tracer);
    s->counts.n_real++;
    if (world_follow(s->live.arena, s->died, s->options.reserved, &s->pages)) {
        (void)judge_fault(
            &s->judge, ORACLE_KERNEL, "what the kernel left is not what was simulated");
        say_fault(s, "killed");
    }
}

/* Judged otherwise, it must fit what was found when it was judged first. */
static void agree(struct sweep *s, enum outcome outcome, unsigned fits, const char *how)
{
    if (outcome != BAD && (s->judge.fits & fits) == 0)
        outcome =
            judge_fault(&s->judge, ORACLE_STATE, "the outcome is not that of the simulated death");
    if (outcome == BAD)
        say_fault(s, how);
}

/* Whoever comes next locks the guard, and the daemon gives back what the dead had. */
static void run_recovery(void *arg)
{
    struct sweep *s = arg;
    struct bri_arena *a = s->live.arena;
    struct bri_object o;
    struct bri_txn t;

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

    start(s, run_recovery);
    while (!enough(s) && step(s, &changed))
        if (changed) {
            s->counts.n_double++;
            agree(s, judge_now(s, REAP_FIRST), fits, "dead in recovery");
        }
    tracer_kill(&s->tracer);
}

/* Starts a child and has it go to the @n-th state, and on by some instructions. */
static bool go_to_death(struct sweep *s, uint32_t n)
{
    bool watching = s->watching;

    judge_forget(&s->judge);
    s->watching &= n > 0; /* before its first store its memory is shut */
    start(s, run_operation);
    s->watching = watching;
    if (!skip_states(s, n))
        return false;
    tracer_unwatch(&s->tracer);
    skip(s, random_below(s, MAX_FARTHER + 1));
    return true;
}

/* Kills a child in the @n-th state or soon after, if @twice whoever recovers that too; then
 * recovers what is left. */
static void sweep_killed(struct sweep *s, uint32_t n, bool twice)
{
    unsigned fits;

    if (go_to_death(s, n)) {
        (void)judge_now(s, REAP_FIRST);
        fits = s->judge.fits;
        kill_really(s);
        if (twice)
            kill_recovery(s, fits);
        agree(s, judge_world(&s->judge, &s->live, REAP_FIRST), fits, "killed");
    } else {
        tracer_kill(&s->tracer);
    }
    load_live(s, s->before);
}

/* ---- a case ---- */

/* The live world as @state makes it, and the images of the operation's start and end. False: it is
 * not as it should be. */
static bool begin_case(struct sweep *s)
{
    bool good;

    s->state->prepare(&s->live);
    save_live(s, s->before);
    tracer_start(&s->tracer, NULL, run_operation, s);
    tracer_finish(&s->tracer);
    save_live(s, s->after);
    tracer_kill(&s->tracer);
    load_live(s, s->before);
    good = judge_begin(&s->judge, s->operation, &s->live, s->before, s->after);
    if (good && (*s->result < 0 ? *s->result : 0) != s->operation->result) {
        (void)judge_fault(&s->judge, ORACLE_WORK, "without any death it gives %d, not %d",
            *s->result, s->operation->result);
        good = false;
    }
    if (!good)
        say_fault(s, "not killed");
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
    s->watching = s->can_watch && (s->operation->flags & CRASH_SYSCALLS) == 0;
    sweep_linear(s);
    sweep_states(s);
    if (!s->watching || s->options.stepped == 0 || s->turn++ % s->options.stepped != 0)
        return;
    s->watching = false;
    sweep_stepping(s);
}

void sweep_case(
    struct sweep *s, const struct crash_operation *operation, const struct crash_state *state)
{
    s->operation = operation;
    s->state = state;
    s->n_faults = 0;
    memset(s->judge.n_bad, 0, sizeof(s->judge.n_bad));
    world_new(&s->live, s->options.seed);
    s->counts.n_cases++;
    if (begin_case(s)) {
        if (s->options.only)
            sweep_one(s);
        else
            sweep_all(s);
    }
    for (int i = 0; i < N_ORACLES; i++)
        s->counts.n_bad[i] += s->judge.n_bad[i];
    world_forget_handles(&s->live);
    world_free(&s->live);
}
