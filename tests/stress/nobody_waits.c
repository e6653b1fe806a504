/*
 * nobody_waits.c - nobody waits for the dead
 *
 * For each type that can be waited for, processes are killed: who holds, who waits, and who wakes,
 * this one after a random time or a random number of machine instructions; with the daemon, and
 * without it. No survivor may be forgotten, and afterwards the account must be exact. How long the
 * survivors wait is measured and told.
 *
 * Several daemons run at the same time, each with an arena and a process of this program of its
 * own, which has several rounds under way: without a daemon most of a round is waiting for the
 * second after which sleepers look for themselves.
 *
 * A type's kills are done half with the daemon and half without, unless one of the two is asked
 * for.
 *
 *     stress_nobody_waits [--kills N] [--seed N] [--type NAME] [--with-daemon | --without-daemon]
 */
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/lock.h"
#include "settle.h"
#include "waits.h"

#define CONFIG "[broker]\nlog_level = warning\n[arena default]\nsize = 32M\n"
#define KILLS 200u
/* How many arenas there are at a time, and how many rounds in each. */
#define N_ARENAS_WITH 2u
#define N_ROUNDS_WITH 8u
#define N_ARENAS_WITHOUT 12u
#define N_ROUNDS_WITHOUT 16u
/* No more than a quarter of the waits may be longer: a machine that is busy with other things makes
 * some so. That one does not end at all is another matter, and never right. */
#define SOON_WITH_NS (10 * BRI_MILLISECOND)
#define SOON_WITHOUT_NS (1200 * BRI_MILLISECOND)
/* When everybody should have looked for himself. */
#define LOOKED_NS (1400 * BRI_MILLISECOND)

static const struct waits_type *const types[] = {&waits_lock, &waits_rlock, &waits_any,
    &waits_semaphore, &waits_signals, &waits_event, &waits_change, &waits_condition, &waits_barrier,
    &waits_get, &waits_lease, &waits_put, &waits_join, &waits_receive, &waits_send};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

/* One job: all kills of some types, with the daemon or without. */
struct job {
    bool with_daemon;
    unsigned n_arenas, n_rounds; /* at a time */
    uint32_t n_kills;            /* of each type */
    uint64_t seed;
    const char *type; /* NULL: all */
};

/* Of all arenas of a job; shared. */
struct tally {
    _Atomic bool failed;
    struct waits_steps steps[N_TYPES];
    _Atomic uint32_t n[N_TYPES][N_DEATHS];
    int64_t waited_ns[]; /* job.n_kills of each type and kind of death */
};

static int64_t *times_of(const struct job *job, struct tally *tally, size_t type, enum death death)
{
    return &tally->waited_ns[(type * N_DEATHS + death) * job->n_kills];
}

static struct instance *instance;
static pid_t instance_owner;

static void stop_instance(void)
{
    if (getpid() == instance_owner)
        instance_stop(instance);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void *share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

/* ---- one arena ---- */

struct lane {
    const struct job *job;
    struct tally *tally;
    struct waits waits;
    struct round *rounds; /* job->n_rounds */
    uint64_t random;
};

static unsigned type_index(const struct round *r)
{
    unsigned i = 0;

    while (types[i] != r->type)
        i++;
    return i;
}

static void choose(struct lane *lane, struct round *r, unsigned type, uint32_t number)
{
    struct round_shm *shm = r->shm;
    uint64_t random = next_random(&lane->random);

    *r = (struct round){.type = types[type],
        .waits = &lane->waits,
        .shm = shm,
        .is_stepped = random % 4 == 0, /* each instruction is the crash tests' */
        .is_stopped = random / 4 % 2 == 0,
        .await_asleep = random / 8 % 2 == 0,
        .victim_first = random / 16 % 2 == 0,
        .choice = random / 32,
        .random = next_random(&lane->random),
        .steps = &lane->tally->steps[type]};
    do
        r->death = (enum death)(next_random(&lane->random) % N_DEATHS);
    while ((types[type]->deaths & 1u << r->death) == 0);
    r->is_stepped &= r->death == WAKER;
    r->is_stopped &= r->death == WAITER;
    (void)snprintf(r->name, sizeof(r->name), "round %" PRIu32, number);
    (void)snprintf(r->decoy_name, sizeof(r->decoy_name), "decoy %" PRIu32, number);
}

static void note(struct lane *lane, const struct round *r)
{
    unsigned type = type_index(r);
    uint32_t i = atomic_fetch_add(&lane->tally->n[type][r->death], 1);

    times_of(lane->job, lane->tally, type, r->death)[i] = r->waited_ns;
}

/* Without a daemon each must find out by himself: it is not looked at before that. */
static void await_all(struct lane *lane, unsigned n)
{
    int64_t deadline = bri_now() + LOOKED_NS;
    uint32_t seen;
    unsigned n_done;

    do {
        seen = atomic_load(lane->waits.moved);
        n_done = 0;
        for (unsigned i = 0; i < n; i++)
            n_done += round_is_done(&lane->rounds[i]);
        if (n_done < n)
            (void)bri_futex_wait(lane->waits.moved, seen, deadline);
    } while (n_done < n && bri_now() < deadline);
}

static void await_daemon(struct lane *lane, unsigned n)
{
    int64_t deadline = bri_now() + WAITS_SOON;

    for (unsigned i = 0; i < n; i++)
        while (!round_is_reaped(&lane->rounds[i])) {
            if (bri_now() > deadline)
                waits_fail(&lane->rounds[i], "the daemon does not see to the victim");
            (void)sched_yield();
        }
}

static void run_rounds(struct lane *lane, unsigned n)
{
    struct round *rounds = lane->rounds;
    bool with_daemon = lane->job->with_daemon;

    for (unsigned i = 0; i < n; i++)
        round_begin(&rounds[i]);
    for (unsigned i = 0; i < n; i++)
        round_arrange(&rounds[i]);
    if (!with_daemon)
        instance_kill(instance);
    for (unsigned i = 0; i < n; i++)
        round_kill(&rounds[i]);
    if (with_daemon)
        await_daemon(lane, n);
    else
        await_all(lane, n);
    for (unsigned i = 0; i < n; i++)
        round_finish(&rounds[i]);
    if (!with_daemon) {
        instance_restart(instance);
        await_daemon(lane, n);
    }
    for (unsigned i = 0; i < n; i++) {
        round_end(&rounds[i]);
        note(lane, &rounds[i]);
    }
}

static void run_lane(const struct job *job, struct tally *tally, unsigned number)
{
    struct lane lane = {.job = job,
        .tally = tally,
        .waits = {.failed = &tally->failed,
            .with_daemon = job->with_daemon,
            .seed = job->seed,
            .moved = share(sizeof(uint32_t))},
        .rounds = calloc(job->n_rounds, sizeof(struct round)),
        .random = job->seed ^ (number + 1) * UINT64_C(0xd1342543de82ef95)};
    unsigned n = 0;

    instance_owner = getpid();
    instance = instance_start(CONFIG);
    (void)atexit(stop_instance);
    if (lane.rounds == NULL || broker_open(instance_address(instance), &lane.waits.broker) < 0)
        exit(1);
    for (unsigned i = 0; i < job->n_rounds; i++)
        lane.rounds[i].shm = share(sizeof(struct round_shm));
    for (uint32_t k = number; k < job->n_kills; k += job->n_arenas)
        for (unsigned type = 0; type < N_TYPES; type++) {
            if (job->type != NULL && strcmp(job->type, types[type]->name) != 0)
                continue;
            choose(&lane, &lane.rounds[n++], type, k * (uint32_t)N_TYPES + type);
            if (n < job->n_rounds)
                continue;
            run_rounds(&lane, n);
            n = 0;
        }
    run_rounds(&lane, n);
    broker_close(lane.waits.broker);
    exit(settle_audit(instance, true) ? 0 : 1);
}

/* ---- all of them ---- */

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double milliseconds(int64_t ns)
{
    return (double)ns / (double)BRI_MILLISECOND;
}

/* False if too many waited too long. */
static bool report_row(const struct job *job, struct tally *tally, size_t type, enum death death)
{
    static const char *const deaths[N_DEATHS] = {"holder", "waiter", "waker"};
    int64_t *times = times_of(job, tally, type, death);
    uint32_t n = tally->n[type][death];
    bool right;

    if (n == 0)
        return true;
    qsort(times, n, sizeof(times[0]), compare_times);
    right = times[n - 1 - n / 4] <= (job->with_daemon ? SOON_WITH_NS : SOON_WITHOUT_NS);
    (void)printf("  %-22s %-8s %6u %9.2f %9.2f %9.2f%s\n", types[type]->name, deaths[death], n,
        milliseconds(times[n / 2]), milliseconds(times[n - 1 - n / 100]),
        milliseconds(times[n - 1]), right ? "" : "  too long");
    return right;
}

static void report_steps(struct tally *tally, size_t type)
{
    const struct waits_steps *steps = &tally->steps[type];
    unsigned n = 0, longest = 0;

    for (unsigned i = 0; i < STEPS_MAX; i++)
        if (steps->tried[i]) {
            n++;
            longest = i;
        }
    if (n != 0)
        (void)printf("  %-22s wakers died after %u different numbers of instructions, up to %u\n",
            types[type]->name, n, longest);
}

static bool report(const struct job *job, struct tally *tally)
{
    bool right = true;

    (void)printf("%s the daemon, the longest wait of the survivors:\n"
                 "  %-22s %-8s %6s %9s %9s %9s\n",
        job->with_daemon ? "with" : "without", "", "killed", "times", "median ms", "99 %",
        "longest");
    for (size_t type = 0; type < N_TYPES; type++)
        for (unsigned death = 0; death < N_DEATHS; death++)
            right &= report_row(job, tally, type, (enum death)death);
    for (size_t type = 0; type < N_TYPES; type++)
        report_steps(tally, type);
    return right;
}

static bool run(const struct job *job)
{
    struct tally *tally =
        share(sizeof(*tally) + sizeof(int64_t) * N_TYPES * N_DEATHS * job->n_kills);
    pid_t parent = getpid();
    bool right = true;
    int status;

    (void)fflush(NULL);
    for (unsigned i = 0; i < job->n_arenas; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                run_lane(job, tally, i);
            _exit(1);
        }
        right &= pid > 0;
    }
    while (wait(&status) > 0)
        right &= status == 0;
    return report(job, tally) && right;
}

static bool is_known(const char *type)
{
    for (size_t i = 0; type != NULL && i < N_TYPES; i++)
        if (strcmp(types[i]->name, type) == 0)
            return true;
    return type == NULL;
}

struct command {
    uint32_t n_kills;
    uint64_t seed;
    const char *type;
    bool only_with, only_without;
};

static bool parse(int argc, char *argv[], struct command *c)
{
    static const struct option options[] = {{"kills", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'}, {"type", required_argument, NULL, 't'},
        {"with-daemon", no_argument, NULL, 'w'}, {"without-daemon", no_argument, NULL, 'o'}, {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        switch (option) {
        case 'k':
            c->n_kills = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            c->seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            c->type = optarg;
            break;
        case 'w':
            c->only_with = true;
            break;
        case 'o':
            c->only_without = true;
            break;
        default:
            return false;
        }
    if (!is_known(c->type))
        (void)fprintf(stderr, "%s is no type that can be waited for\n", c->type);
    return is_known(c->type) && optind == argc && c->n_kills > 0;
}

int main(int argc, char *argv[])
{
    struct command c = {.n_kills = KILLS, .seed = (uint64_t)bri_clock(CLOCK_REALTIME)};
    struct job with = {.with_daemon = true, .n_arenas = N_ARENAS_WITH, .n_rounds = N_ROUNDS_WITH};
    struct job without = {.n_arenas = N_ARENAS_WITHOUT, .n_rounds = N_ROUNDS_WITHOUT};
    bool right = true;

    if (!parse(argc, argv, &c))
        return 2;
    (void)printf("seed %" PRIu64 "\n", c.seed);
    with.seed = without.seed = c.seed;
    with.type = without.type = c.type;
    with.n_kills = c.only_with ? c.n_kills : c.n_kills / 2;
    without.n_kills = c.only_without ? c.n_kills : c.n_kills - with.n_kills;
    if (!c.only_without)
        right &= run(&with);
    if (!c.only_with)
        right &= run(&without);
    return right ? 0 : 1;
}
