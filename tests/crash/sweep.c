/*
 * sweep.c - see sweep.h
 */
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/registry.h"
#include "core/session.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)
#define MAX_SHOWN_FAULTS 3

static void *map(size_t size, int flags)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    must(p == MAP_FAILED ? BROKER_NOMEM : 0, "mmap");
    return p;
}

void sweep_init(struct sweep *s, const struct sweep_options *options)
{
    *s = (struct sweep){.options = *options, .random = options->seed};
    s->before = map(SIZE, MAP_PRIVATE);
    s->after = map(SIZE, MAP_PRIVATE);
    s->seen = map(SIZE, MAP_PRIVATE);
    s->died = map(SIZE, MAP_PRIVATE);
    s->result = map(sizeof(*s->result), MAP_SHARED);
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
    free(s->marked);
}

static uint32_t random_below(struct sweep *s, uint32_t n)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->random >> 33) % n;
}

static void say_fault(struct sweep *s, const char *how)
{
    if (s->n_faults++ < MAX_SHOWN_FAULTS)
        (void)printf("BAD  %s/%s, %s, --step %llu: %s\n", s->operation->name, s->state->name, how,
            (unsigned long long)s->tracer.n_steps, s->judge.message);
}

static bool enough(const struct sweep *s)
{
    return s->n_faults >= s->options.stop_after;
}

/* ---- moving images ---- */

static void save_live(const struct sweep *s, uint8_t *image)
{
    struct world_pages pages;

    world_pages(s->live.arena, true, &pages);
    world_copy_pages(&pages, world_bytes(&s->live), image);
}

static void load_live(struct sweep *s, const uint8_t *image)
{
    struct world_pages pages;

    /* The page table first, from which the pages that count are known. */
    memcpy(world_bytes(&s->live), image, (size_t)s->live.arena->first_page << BRI_PAGE_SHIFT);
    world_pages(s->live.arena, true, &pages);
    world_copy_pages(&pages, image, world_bytes(&s->live));
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
    tracer_start(&s->tracer, NULL, fn, s);
    if (!judge_look(&s->judge))
        say_fault(s, "at the start");
}

/* One instruction. False at the end. Tells whether it made another state. */
static bool step(struct sweep *s, bool *out_changed)
{
    struct tracer_death death = {0};
    bool changed;

    if (!tracer_step(&s->tracer))
        return false;
    changed = world_follow(s->live.arena, s->seen, s->options.reserved, &s->pages);
    /* Without a change of memory a death can come to leave something else only while it leaves a
     * mark. */
    if (changed || s->death.marks)
        death = tracer_death(&s->tracer, world_bytes(&s->live), SIZE);
    *out_changed = changed || !tracer_same_death(&death, &s->death);
    s->death = death;
    if (*out_changed && !judge_look(&s->judge))
        say_fault(s, "to a reader");
    return true;
}

/* Steps to the @n-th state. False if there are not so many. */
static bool go_to(struct sweep *s, uint32_t n)
{
    bool changed;

    while (n > 0 && step(s, &changed))
        n -= changed;
    return n == 0;
}

static enum outcome judge_now(struct sweep *s, enum order order)
{
    return judge_image(&s->judge, s->seen, &s->pages, &s->death, order);
}

/* ---- linear ---- */

static void note_marked(struct sweep *s, uint32_t n)
{
    if (!s->death.marks)
        return;
    if (s->n_marked == s->max_marked) {
        s->max_marked = 2 * s->max_marked + 1024;
        s->marked = realloc(s->marked, s->max_marked * sizeof(*s->marked));
        must(s->marked == NULL ? BROKER_NOMEM : 0, "realloc");
    }
    s->marked[s->n_marked++] = n;
}

static void judge_state(struct sweep *s, uint32_t n)
{
    bool both = (s->operation->flags & CRASH_STEPS) == 0 && s->options.work_first != 0 &&
                random_below(s, (uint32_t)s->options.work_first) == 0;
    enum outcome outcome = judge_now(s, REAP_FIRST), other;
    unsigned fits = s->judge.fits;

    if (outcome == BAD)
        say_fault(s, "dead");
    s->counts.n_outcomes[outcome]++;
    note_marked(s, n);
    if (!both || outcome == BAD)
        return;
    other = judge_now(s, WORK_FIRST);
    if (other != BAD && (s->judge.fits & fits) == 0)
        other = judge_fault(&s->judge, ORACLE_STATE, "the outcome depends on who comes first");
    if (other == BAD)
        say_fault(s, "dead, not reaped yet");
}

/* Every instruction. How many states there are. */
static uint32_t sweep_linear(struct sweep *s)
{
    uint32_t n_states = 0;
    bool changed;

    judge_forget(&s->judge);
    s->n_marked = 0;
    start(s, run_operation);
    judge_state(s, 0);
    while (!enough(s) && step(s, &changed)) {
        s->counts.n_points++;
        if (!changed)
            continue;
        judge_state(s, ++n_states);
    }
    s->counts.n_states += n_states;
    tracer_kill(&s->tracer);
    load_live(s, s->before);
    return n_states;
}

/* What one instruction leaves, with everything that can be said of it. */
static void sweep_one(struct sweep *s)
{
    bool changed;

    judge_forget(&s->judge);
    start(s, run_operation);
    while (s->tracer.n_steps < s->options.only_step && step(s, &changed))
        ;
    for (int order = 0; order < N_ORDERS; order++) {
        enum outcome outcome = judge_now(s, (enum order)order);
        const struct text *x = &s->judge.transcript;

        s->counts.n_points++;
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
    s->counts.n_points++;
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
    (void)bri_registry_bury(a);
}

static void kill_recovery(struct sweep *s, unsigned fits)
{
    bool changed;

    start(s, run_recovery);
    while (!enough(s) && step(s, &changed)) {
        s->counts.n_points++;
        s->counts.n_double++;
        if (changed)
            agree(s, judge_now(s, REAP_FIRST), fits, "dead in recovery");
    }
    tracer_kill(&s->tracer);
}

/* Kills a child in the @n-th state, if @twice whoever recovers that too; then recovers what is
 * left. */
static void sweep_killed(struct sweep *s, uint32_t n, bool twice)
{
    unsigned fits;

    judge_forget(&s->judge);
    start(s, run_operation);
    if (go_to(s, n)) {
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

/*
 * In all states, or in some that are chosen at random. A recoverer has most to do where a guard is
 * held: of the states for it only those, if there are any.
 */
static void sweep_states(struct sweep *s, uint32_t n_states)
{
    uint64_t n_real = s->options.n_real, n_double = s->options.n_double;

    if (n_real > n_states) {
        for (uint32_t i = 0; i <= n_states && !enough(s); i++)
            sweep_killed(s, i, n_double > n_states || random_below(s, n_states + 1) < n_double);
        return;
    }
    for (uint64_t i = 0; i < n_real && !enough(s); i++)
        if (i < n_double && s->n_marked > 0)
            sweep_killed(s, s->marked[random_below(s, s->n_marked)], true);
        else
            sweep_killed(s, random_below(s, n_states + 1), i < n_double);
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
        if (s->options.only_step != UINT64_MAX)
            sweep_one(s);
        else
            sweep_states(s, sweep_linear(s));
    }
    for (int i = 0; i < N_ORACLES; i++)
        s->counts.n_bad[i] += s->judge.n_bad[i];
    world_forget_handles(&s->live);
    world_free(&s->live);
}
