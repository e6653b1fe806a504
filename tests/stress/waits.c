/*
 * waits.c - see waits.h: one round, and what its types need
 *
 * The actors are processes that inherit the handles of the caller and attach as sessions of their
 * own. They go from gate to gate, and nobody leaves before all have come to their end: the end of a
 * session wakes whoever waits, and would hide that somebody was forgotten.
 */
#include "waits.h"
#include "settle.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/session.h"
#include "core/spin.h"
#include "deep_sleep.h"
#include "value/value.h"

#define STOPPED_MAX_NS (200 * INT64_C(1000)) /* from the waker's start to the end of who stands */
#define TIMED_MAX_NS (30 * INT64_C(1000))    /* of a wake, about */
#define GOLDEN_RATIO 2654435769u             /* of 2 to the 32nd */

static const char *const deaths[N_DEATHS] = {"holder", "waiter", "waker"};

_Noreturn void waits_fail(const struct round *r, const char *format, ...)
{
    va_list args;

    if (atomic_exchange(r->waits->failed, true))
        exit(1); /* what follows from the first failure */
    (void)fprintf(stderr,
        "%s, %s a daemon, the %s killed%s%s, seed %" PRIu64 ", %s: ", r->type->name,
        r->waits->with_daemon ? "with" : "without", deaths[r->death],
        r->is_stepped ? " by steps" : "", r->is_stopped ? " when stopped" : "", r->waits->seed,
        r->name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

int waits_must(struct round *r, int result, const char *what)
{
    if (result < 0)
        waits_fail(r, "%s: %s: %s", what, broker_error_name(result), broker_last_error());
    if (result == BROKER_OWNER_DIED)
        atomic_fetch_add(&r->shm->n_notices, 1);
    return result;
}

uint64_t waits_stat(const struct round *r, const char *field)
{
    uint64_t n;

    if (!settle_stat(r->waits->broker, r->name, field, &n))
        waits_fail(r, "there is no number %s: %s", field, broker_last_error());
    return n;
}

void waits_have(struct round *r, enum actor who, uint32_t limit)
{
    if (who < N_SURVIVORS && atomic_fetch_add(&r->shm->n_inside, 1) >= limit)
        waits_fail(r, "more than %u have it at a time", limit);
}

void waits_let_go(struct round *r, enum actor who)
{
    if (who < N_SURVIVORS)
        atomic_fetch_sub(&r->shm->n_inside, 1);
}

/* ---- telling each other ---- */

static void tell(const struct round *r)
{
    atomic_fetch_add(r->waits->moved, 1);
    bri_futex_wake(r->waits->moved, 1);
}

void round_await(struct round *r, bool (*is_so)(const struct round *r), const char *what)
{
    int64_t deadline = bri_now() + WAITS_SOON;
    uint32_t seen;

    for (;;) {
        seen = atomic_load(r->waits->moved);
        if (is_so(r))
            return;
        if (atomic_load(r->waits->failed))
            exit(1);
        if (bri_now() >= deadline)
            waits_fail(r, "%s: not within %d s", what, (int)(WAITS_SOON / BRI_SECOND));
        (void)bri_futex_wait(r->waits->moved, seen, deadline);
    }
}

static void open_gate(struct round *r, enum actor who, enum gate gate)
{
    atomic_store(&r->shm->actors[who].gate, gate);
    bri_futex_wake(&r->shm->actors[who].gate, 1);
}

static void await_gate(struct actor_shm *me, enum gate gate)
{
    uint32_t seen;

    while ((seen = atomic_load(&me->gate)) < gate)
        (void)bri_futex_wait(&me->gate, seen, BRI_NEVER);
}

/* ---- actors ---- */

static void attach(struct round *r, enum actor who)
{
    struct actor_shm *me = &r->shm->actors[who];
    struct bri_handle *h = r->object;

    if (r->waits->with_daemon)
        deep_sleep();
    (void)MUST(r, bri_enter(h, h->type));
    if (r->decoy != NULL)
        (void)MUST(r, bri_enter(r->decoy, ((struct bri_handle *)r->decoy)->type));
    me->session = h->broker->session_number;
    atomic_store(&me->is_ready, true);
    tell(r);
}

static void hold(struct round *r, enum actor who)
{
    if (r->type->hold != NULL)
        r->type->hold(r);
    atomic_store(&r->shm->actors[who].holds, true);
    tell(r);
}

static void be_done(struct round *r, enum actor who)
{
    struct actor_shm *me = &r->shm->actors[who];

    atomic_store(&me->done_ns, bri_now());
    atomic_store(&me->is_done, true);
    tell(r);
}

static bool is_waiter(const struct round *r, enum actor who)
{
    return who < N_SURVIVORS || (who == VICTIM && r->death == WAITER);
}

static void play(struct round *r, enum actor who)
{
    struct actor_shm *me = &r->shm->actors[who];

    attach(r, who);
    await_gate(me, BEGIN);
    if (is_waiter(r, who)) {
        atomic_store(&me->has_begun, true);
        tell(r);
        r->type->wait(r, who);
    } else {
        hold(r, who);
        await_gate(me, WAKE);
        atomic_store(&me->has_begun, true);
        r->type->wake(r, who);
    }
    be_done(r, who);
    await_gate(me, LEAVE);
    broker_close(r->waits->broker);
}

static void start(struct round *r, enum actor who)
{
    pid_t parent = getpid();

    (void)fflush(NULL);
    r->pids[who] = fork();
    if (r->pids[who] < 0)
        waits_fail(r, "fork");
    if (r->pids[who] > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    play(r, who);
    _exit(0);
}

static void before_steps(void *arg)
{
    attach(arg, VICTIM);
    hold(arg, VICTIM);
}

static void steps(void *arg)
{
    ((struct round *)arg)->type->wake(arg, VICTIM);
}

/* ---- the start ---- */

static bool all_are_ready(const struct round *r)
{
    for (unsigned i = 0; i < N_ACTORS; i++)
        if (r->pids[i] != 0 && !atomic_load(&r->shm->actors[i].is_ready))
            return false;
    return true;
}

void round_begin(struct round *r)
{
    memset(r->shm, 0, sizeof(*r->shm));
    r->type->open(r);
    for (unsigned i = 0; i < N_SURVIVORS; i++)
        start(r, i);
    if (!r->is_stepped)
        start(r, VICTIM);
    if (r->death == WAITER)
        start(r, SURVIVING_WAKER);
    round_await(r, all_are_ready, "attaching");
}

static bool victim_holds(const struct round *r)
{
    return atomic_load(&r->shm->actors[VICTIM].holds);
}

static bool waker_holds(const struct round *r)
{
    return atomic_load(&r->shm->actors[SURVIVING_WAKER].holds);
}

static void start_holder(struct round *r)
{
    enum actor who = r->death == WAITER ? SURVIVING_WAKER : VICTIM;

    if (r->is_stepped) {
        tracer_start(&r->tracer, before_steps, steps, r);
        r->pids[VICTIM] = r->tracer.pid;
        return;
    }
    open_gate(r, who, BEGIN);
    round_await(r, who == VICTIM ? victim_holds : waker_holds, "holding");
}

static bool have_begun(const struct round *r)
{
    for (unsigned i = 0; i < N_ACTORS; i++)
        if (atomic_load(&r->shm->actors[i].gate) != STAY && is_waiter(r, i) &&
            !atomic_load(&r->shm->actors[i].has_begun))
            return false;
    return true;
}

/* Lets them wait, and waits until the first @n of all stand in line or sleep, if that matters. */
static void let_wait(struct round *r, enum actor first, enum actor last, uint64_t n)
{
    const char *field = r->type->line != NULL ? r->type->line : "waiters";
    int64_t deadline = bri_now() + WAITS_SOON;

    for (enum actor i = first; i <= last; i++)
        open_gate(r, i, BEGIN);
    round_await(r, have_begun, "beginning to wait");
    if (r->type->line == NULL && !r->await_asleep)
        return;
    while (waits_stat(r, field) < n || (r->await_asleep && waits_stat(r, "waiters") < n)) {
        if (bri_now() >= deadline)
            waits_fail(r, "%" PRIu64 " should wait", n);
        (void)sched_yield();
    }
}

void round_arrange(struct round *r)
{
    bool first = r->death == WAITER && r->victim_first;

    if (!r->type->waiters_first)
        start_holder(r);
    if (first)
        let_wait(r, VICTIM, VICTIM, 1);
    let_wait(r, SURVIVOR, OTHER_SURVIVOR, N_SURVIVORS + (first ? 1 : 0));
    if (r->death == WAITER && !first)
        let_wait(r, VICTIM, VICTIM, N_SURVIVORS + 1);
    if (r->type->waiters_first)
        start_holder(r);
}

/* ---- the death ---- */

static void spin(int64_t ns)
{
    int64_t until = bri_now() + ns;

    while (bri_now() < until)
        bri_pause(1);
}

static int64_t random_below(struct round *r, int64_t n)
{
    r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((r->random >> 33) % (uint64_t)n);
}

static void kill_victim(struct round *r)
{
    int status;

    if (kill(r->pids[VICTIM], SIGKILL) != 0 ||
        waitpid(r->pids[VICTIM], &status, 0) != r->pids[VICTIM])
        waits_fail(r, "cannot kill the victim");
    if (!WIFSIGNALED(status))
        waits_fail(r, "the victim ended by itself");
}

static void stop_victim(struct round *r)
{
    int status;

    if (kill(r->pids[VICTIM], SIGSTOP) != 0 ||
        waitpid(r->pids[VICTIM], &status, WUNTRACED) != r->pids[VICTIM] || !WIFSTOPPED(status))
        waits_fail(r, "cannot stop the victim");
}

/* The waker begins before the waiter dies, while it dies, or after. */
static void kill_waiter(struct round *r)
{
    if (r->is_stopped)
        stop_victim(r);
    if (random_below(r, 4) != 0) {
        open_gate(r, SURVIVING_WAKER, WAKE);
        spin(random_below(r, STOPPED_MAX_NS));
        kill_victim(r);
    } else {
        kill_victim(r);
        open_gate(r, SURVIVING_WAKER, WAKE);
    }
}

static void kill_waker_in_time(struct round *r)
{
    struct actor_shm *victim = &r->shm->actors[VICTIM];
    int64_t deadline = bri_now() + WAITS_SOON;

    open_gate(r, VICTIM, WAKE);
    while (!atomic_load(&victim->has_begun) && bri_now() < deadline)
        bri_pause(1);
    spin(random_below(r, TIMED_MAX_NS));
    kill_victim(r);
}

/* Carries out @n instructions, or all that there are. On one processor that is two switches on the
 * spot for each; between two, several times as dear. */
static void step(struct round *r, uint64_t n)
{
    cpu_set_t before, here;
    int cpu = sched_getcpu();

    CPU_ZERO(&here);
    CPU_SET((size_t)(cpu >= 0 ? cpu : 0), &here);
    if (sched_getaffinity(0, sizeof(before), &before) != 0 ||
        sched_setaffinity(0, sizeof(here), &here) != 0 ||
        sched_setaffinity(r->tracer.pid, sizeof(here), &here) != 0)
        waits_fail(r, "cannot choose a processor");
    while (r->tracer.n_steps < n)
        if (!tracer_step(&r->tracer)) {
            atomic_store(&r->steps->n, (uint32_t)r->tracer.n_steps);
            break;
        }
    tracer_kill(&r->tracer);
    (void)sched_setaffinity(0, sizeof(before), &before);
}

/* How many instructions a wake takes is learnt from those that are carried out to the end; now and
 * then it is more, or less. The numbers are spread evenly, so that sooner or later each is tried.
 */
static void kill_waker_in_steps(struct round *r)
{
    struct waits_steps *steps = r->steps;
    uint64_t limit = atomic_load(&steps->n), k = atomic_fetch_add(&steps->n_tries, 1);

    step(r,
        limit == 0 ? UINT64_MAX : (k * GOLDEN_RATIO & UINT32_MAX) * (limit + limit / 32 + 1) >> 32);
    if (r->tracer.n_steps < STEPS_MAX)
        atomic_store(&steps->tried[r->tracer.n_steps], true);
}

void round_kill(struct round *r)
{
    r->victim = r->pids[VICTIM];
    if (r->death == WAITER)
        kill_waiter(r);
    else if (r->death == HOLDER)
        kill_victim(r);
    else if (r->is_stepped)
        kill_waker_in_steps(r);
    else
        kill_waker_in_time(r);
    r->killed_ns = bri_now();
    r->pids[VICTIM] = 0;
}

bool round_is_reaped(const struct round *r)
{
    struct bri_session_info info;

    return bri_session_info(r->waits->broker->arena, r->shm->actors[VICTIM].session, &info) == 0 &&
           (info.status == BRI_SESSION_FREE || info.pid != (uint32_t)r->victim);
}

/* ---- the end ---- */

static unsigned n_done(const struct round *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_SURVIVORS; i++)
        n += atomic_load(&r->shm->actors[i].is_done);
    return n;
}

static bool enough_are_done(const struct round *r)
{
    return n_done(r) >= r->due;
}

bool round_is_done(const struct round *r)
{
    return n_done(r) == N_SURVIVORS;
}

static bool waker_is_done(const struct round *r)
{
    return r->pids[SURVIVING_WAKER] == 0 || atomic_load(&r->shm->actors[SURVIVING_WAKER].is_done);
}

static void take_time(struct round *r)
{
    int64_t from = r->killed_ns, woken = atomic_load(&r->shm->actors[SURVIVING_WAKER].done_ns);
    int64_t to = from;

    if (woken > from && !r->type->waker_waits)
        from = woken;
    for (unsigned i = 0; i < N_SURVIVORS; i++)
        if (atomic_load(&r->shm->actors[i].done_ns) > to)
            to = atomic_load(&r->shm->actors[i].done_ns);
    r->waited_ns = to > from ? to - from : 0;
}

static void let_leave(struct round *r)
{
    for (unsigned i = 0; i < N_ACTORS; i++) {
        int status;

        if (r->pids[i] == 0)
            continue;
        open_gate(r, i, LEAVE);
        if (waitpid(r->pids[i], &status, 0) != r->pids[i] || status != 0)
            waits_fail(r, "process %u ended with status %#x", i, (unsigned)status);
        r->pids[i] = 0;
    }
}

void round_finish(struct round *r)
{
    if (!r->type->waker_waits)
        round_await(r, waker_is_done, "waking");
    r->due = r->type->due(r);
    round_await(r, enough_are_done, "going on by themselves");
    take_time(r);
    if (r->type->complete != NULL && r->due < N_SURVIVORS)
        r->type->complete(r);
    round_await(r, round_is_done, "going on at the end");
    round_await(r, waker_is_done, "waking");
    let_leave(r);
}

void round_end(struct round *r)
{
    REQUIRE(r, waits_stat(r, "waiters") == 0);
    r->type->check(r);
    r->type->close(r);
    if (broker_destroy(r->waits->broker, r->name) < 0 ||
        (r->decoy != NULL && broker_destroy(r->waits->broker, r->decoy_name) < 0))
        waits_fail(r, "destroy: %s", broker_last_error());
}
