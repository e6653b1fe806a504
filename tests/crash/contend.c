/*
 * crash_contend - kills processes that others wait for, or wait with; see contend.h
 *
 *     crash_contend [--scenario NAME] [--point N] [--points N] [--all]
 *
 * Kills each scenario's victim at its start, at its end, and at some points between them, each of
 * which is a change that it makes to the shared memory, or a sleep; with --all at all of them, and
 * every instruction is one. Prints a line for each scenario. Ends with 1 if a sleeper did not go
 * on, or the arena is not sound in the end.
 */
#include "contend.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/session.h"
#include "tracer.h"

#define SIZE ((size_t)WORLD_PAGES * BRI_PAGE_SIZE)
#define LOST_NS (200 * BRI_MILLISECOND) /* asleep for so long: nobody is going to wake it */
#define ALONE_NS (5 * BRI_SECOND)       /* the same when it has to find out by itself */
#define RESULT_BASE 100                 /* exit status of result 0 */

struct options {
    const char *scenario;
    uint64_t points; /* in each scenario */
    uint64_t point;  /* this one alone; UINT64_MAX: all */
    bool all;
};

struct stage {
    const struct contend_scenario *scenario;
    struct world world;
    uint8_t *image; /* of the world at the start */
    uint8_t *seen;
    struct world_pages pages;
    struct tracer victim;
    pid_t sleeper, holder; /* 0: not there */
    bool every;
    bool triggered;
    uint64_t n_points, n_bad;
    uint64_t point; /* now */
};

static struct stage stage;

static void bad(const char *what, const char *detail)
{
    stage.n_bad++;
    (void)printf("BAD  %s, --point %llu: %s%s\n", stage.scenario->name,
        (unsigned long long)stage.point, what, detail);
}

/* ---- processes ---- */

/* The session is that of a real process from now on. */
static void set_process(enum who who, pid_t pid)
{
    struct bri_session_shm *s = bri_session_state(&stage.world.actors[who].broker->session);

    s->pid = (uint32_t)pid;
    MUST(bri_process_start_time(pid, &s->start_time));
}

/* Not bound to the processor that victim and tracer share. */
static void unpin(void)
{
    cpu_set_t all;

    memset(&all, 0xff, sizeof(all));
    (void)sched_setaffinity(0, sizeof(all), &all);
}

static pid_t start_process(enum who who, contend_part *part, bool stay)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    must(pid < 0 ? BROKER_SYSTEM : 0, "fork");
    if (pid == 0) {
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        unpin();
        r = part(&stage.world.actors[who]);
        while (stay)
            (void)pause();
        _exit(RESULT_BASE + r);
    }
    set_process(who, pid);
    return pid;
}

/* Returns when it sleeps or has ended. */
static void wait_asleep(pid_t pid)
{
    siginfo_t info = {0};

    while (!tracer_sleeps(pid)) {
        must(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ? BROKER_SYSTEM : 0,
            "waitid");
        if (info.si_pid == pid)
            return;
        (void)sched_yield();
    }
}

/* Its end; false if it sleeps, and does nothing else, for @patience_ns. */
static bool wait_end(pid_t pid, int64_t patience_ns, int *out_result)
{
    int64_t asleep = 0;
    int status;
    pid_t ended;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
        if (!tracer_sleeps(pid))
            asleep = 0;
        else if (asleep == 0)
            asleep = bri_now();
        else if (bri_now() - asleep > patience_ns)
            return false;
        (void)sched_yield();
    }
    must(ended != pid || !WIFEXITED(status) ? BROKER_SYSTEM : 0, "the sleeper was killed");
    *out_result = WEXITSTATUS(status) - RESULT_BASE;
    if (*out_result > RESULT_BASE)
        *out_result -= 256; /* of a negative one, only the low bits are there */
    return true;
}

static void end_process(pid_t *pid)
{
    if (*pid == 0)
        return;
    (void)kill(*pid, SIGKILL);
    (void)waitpid(*pid, NULL, 0);
    *pid = 0;
}

/* ---- the parts ---- */

static void run_before(void *arg)
{
    (void)arg;
    if (stage.scenario->before != NULL)
        must(stage.scenario->before(&stage.world.actors[VICTIM]), stage.scenario->name);
}

static void run_victim(void *arg)
{
    (void)arg;
    (void)stage.scenario->victim(&stage.world.actors[VICTIM]);
}

static void as_peer(contend_part *part)
{
    if (part != NULL)
        must(part(&stage.world.actors[PEER]), stage.scenario->name);
}

static void start_sleeper(void)
{
    if (stage.sleeper != 0)
        return;
    stage.sleeper = start_process(stage.scenario->sleeper, stage.scenario->sleep, false);
    wait_asleep(stage.sleeper);
}

static void reap(enum who who)
{
    if (!stage.scenario->no_daemon && !stage.scenario->bare)
        MUST(bri_session_reap(stage.world.arena, who, true, BRI_PATIENCE));
}

static void trigger(void)
{
    if (stage.triggered)
        return;
    stage.triggered = true;
    if (stage.holder != 0) {
        end_process(&stage.holder);
        reap(OTHER);
    }
    as_peer(stage.scenario->trigger);
}

static void set_up(void)
{
    struct bri_arena *a = stage.world.arena;

    memcpy(a->base, stage.image, (size_t)a->first_page << BRI_PAGE_SHIFT);
    world_pages(a, true, &stage.pages);
    world_copy_pages(&stage.pages, stage.image, a->base);
    stage.triggered = false;
    if (stage.scenario->no_daemon)
        atomic_store(&a->shm->daemon_pid, 0);
    as_peer(stage.scenario->setup);
    if (stage.scenario->holder != NULL) {
        stage.holder = start_process(OTHER, stage.scenario->holder, true);
        wait_asleep(stage.holder);
    }
    tracer_start(&stage.victim, run_before, run_victim, NULL);
    set_process(VICTIM, stage.victim.pid);
    if (!stage.scenario->victim_first)
        start_sleeper();
    world_pages(a, true, &stage.pages);
    world_copy_pages(&stage.pages, a->base, stage.seen);
}

/* Lets the victim go on up to its point number @n, or to its end if that comes first. How far it
 * came. */
static uint64_t go_to(uint64_t n)
{
    enum tracer_event event;
    uint64_t i = 0;

    while (i < n && (event = tracer_step_or_sleep(&stage.victim)) != TRACER_ENDED) {
        if (event == TRACER_ASLEEP && stage.triggered)
            continue; /* on its way back from the kernel */
        if (event == TRACER_ASLEEP) {
            start_sleeper();
            if (++i == n)
                break; /* killed in its sleep */
            trigger();
        } else {
            bool changed = world_follow(stage.world.arena, stage.seen, true, &stage.pages);

            i += changed || stage.every;
        }
    }
    return i;
}

/* ---- one death ---- */

static void check_end(void)
{
    const struct contend_scenario *c = stage.scenario;
    int64_t patience_ns = c->no_daemon ? ALONE_NS : LOST_NS;
    int result;

    if (!wait_end(stage.sleeper, patience_ns, &result)) {
        bad("the sleeper sleeps on", "");
        end_process(&stage.sleeper);
        return;
    }
    stage.sleeper = 0;
    if (result == c->results[0] || (c->results[1] != 0 && result == c->results[1]))
        return;
    bad("the sleeper ended with ", result < 0 ? broker_error_name(result) : "an unexpected notice");
}

static void note_problem(void *arg, const char *object, const char *problem)
{
    (void)arg;
    (void)object;
    bad("audit: ", problem);
}

static void check_arena(void)
{
    struct bri_audit audit = {.report = note_problem, .quiet_arena = true};

    for (uint32_t i = 0; i < N_ACTORS; i++)
        MUST(bri_session_reap(stage.world.arena, i, true, BRI_PATIENCE));
    MUST(bri_audit_arena(stage.world.arena, &audit));
}

/* Kills the victim at its point number @n, or at its end. Which point that was. */
static uint64_t kill_at(uint64_t n)
{
    uint64_t at;

    set_up();
    at = stage.point = go_to(n);
    start_sleeper();
    tracer_kill(&stage.victim);
    /* The daemon may be faster than others, or not. */
    if (n % 2 == 0)
        reap(VICTIM);
    trigger();
    if (n % 2 != 0)
        reap(VICTIM);
    as_peer(stage.scenario->finish);
    check_end();
    end_process(&stage.holder);
    check_arena();
    stage.n_points++;
    return at;
}

/* ---- all of them ---- */

/* How many points there are need not be the same in every run, since others work meanwhile: what
 * lies behind the end is the end. */
static void run_scenario(const struct contend_scenario *c, const struct options *o)
{
    uint64_t n, step;

    stage.scenario = c;
    stage.every = c->every || (o->all && !c->no_daemon); /* there, each takes a second */
    stage.n_points = stage.n_bad = 0;
    world_new(&stage.world, 1);
    c->prepare(&stage.world);
    world_pages(stage.world.arena, true, &stage.pages);
    world_copy_pages(&stage.pages, stage.world.arena->base, stage.image);
    if (o->point != UINT64_MAX) {
        (void)kill_at(o->point);
    } else {
        n = kill_at(UINT64_MAX);
        step = c->no_daemon && !o->all ? n : n / o->points;
        for (uint64_t i = 0; i<n; i += step> 0 ? step : 1)
            (void)kill_at(i);
    }
    world_free(&stage.world);
    (void)printf("%-52s %6llu deaths  %llu bad\n", c->name, (unsigned long long)stage.n_points,
        (unsigned long long)stage.n_bad);
    (void)fflush(stdout);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 0);

    if (end != text && *end == '\0')
        return n;
    (void)fprintf(stderr, "crash_contend: %s is not a number\n", text);
    exit(EXIT_FAILURE);
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"scenario", required_argument, NULL, 's'},
        {"point", required_argument, NULL, 'p'}, {"points", required_argument, NULL, 'n'},
        {"all", no_argument, NULL, 'a'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (c) {
        case 's':
            o->scenario = optarg;
            break;
        case 'p':
            o->point = number(optarg);
            break;
        case 'n':
            o->points = number(optarg);
            break;
        case 'a':
            o->all = true;
            o->points = UINT64_MAX;
            break;
        default:
            exit(EXIT_FAILURE);
        }
}

int main(int argc, char **argv)
{
    struct options o = {.points = 8, .point = UINT64_MAX};
    const char *campaign = getenv("BROKER_CAMPAIGN");
    uint64_t n_deaths = 0, n_bad = 0;

    if (campaign != NULL && strcmp(campaign, "1") == 0) {
        o.all = true;
        o.points = UINT64_MAX;
    }
    parse(argc, argv, &o);
    tracer_pin();
    contend_make_arguments();
    stage.image = malloc(SIZE);
    stage.seen = malloc(SIZE);
    must(stage.image == NULL || stage.seen == NULL ? BROKER_NOMEM : 0, "malloc");
    for (unsigned i = 0; i < n_contend_scenarios; i++) {
        if (o.scenario != NULL && strcmp(o.scenario, contend_scenarios[i].name) != 0)
            continue;
        run_scenario(&contend_scenarios[i], &o);
        n_deaths += stage.n_points;
        n_bad += stage.n_bad;
    }
    free(stage.image);
    free(stage.seen);
    (void)printf("%-52s %6llu deaths  %llu bad\n", "total", (unsigned long long)n_deaths,
        (unsigned long long)n_bad);
    return n_deaths > 0 && n_bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
