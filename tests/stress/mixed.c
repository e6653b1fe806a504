/*
 * mixed.c - programs in shared memory and programs by ZeroMQ use the same queue, lock, condition
 * and barrier at once, and are killed; and so is the endpoint
 *
 *     mixed [--seconds S] [--seed N]
 *
 * No item may be lost or come again after it was finished, nobody may be inside together with
 * somebody else or miss that he died, and nobody may wait for ever. The choices follow from the
 * seed; when they happen does not.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "core/clock.h"
#include "mixed.h"
#include "settle.h"

#define CONFIG                                                                                     \
    "[broker]\nlog_level = error\n[arena default]\nsize = 128M\n[zmq]\nipc = yes\ntimeout = 30s\n"
#define DEFAULT_SECONDS 8.0
#define PACE_NS (30 * BRI_MILLISECOND)
#define STUCK_NS (30 * BRI_SECOND)
#define N_STEPS_FURTHER 8u /* than what was under way */
/* Each start of a killed endpoint comes later than the one before. */
#define ENDPOINT_IS_NEW_NS (300 * BRI_MILLISECOND)
#define ENDPOINT_LASTS_NS (1500 * BRI_MILLISECOND)

struct seat {
    pid_t pid; /* 0: empty */
    uint64_t n_steps;
    int64_t moved_ns; /* when it was last seen to have come further */
};

struct stress {
    struct mixed *m;
    struct instance *instance;
    struct progress *progress; /* of the seats */
    struct seat seats[N_SEATS];
    uint64_t random;
    pid_t endpoint; /* 0: it is away */
    pid_t killed_endpoint;
    int64_t endpoint_ns;
    uint64_t n_killed[2], n_endpoints;
    bool has_failed;
};

static void fail(struct stress *s, unsigned seat, const char *what)
{
    uint32_t life = atomic_load(&s->progress[seat].life);
    const char *step = atomic_load(&s->m->ledger->lives[life].step);

    (void)fprintf(stderr, "life %u, %s, %s at \"%s\"\n", life,
        seat % 2 != 0 ? "by ZeroMQ" : "in shared memory", what, step != NULL ? step : "start");
    s->has_failed = true;
}

static bool is_over(const struct stress *s)
{
    return s->has_failed || atomic_load(&s->m->ledger->has_failed) != 0;
}

/* ---- the processes ---- */

static void fill_seat(struct stress *s, unsigned i)
{
    s->seats[i] = (struct seat){.moved_ns = bri_now(), .pid = children_fork()};
    if (s->seats[i].pid == 0)
        mixed_run(s->m, i, &s->progress[i]);
}

static void fill_seats(struct stress *s)
{
    for (unsigned i = 0; i < N_SEATS; i++)
        if (s->seats[i].pid == 0)
            fill_seat(s, i);
}

/* Those by ZeroMQ are left alone for a while when their endpoint was killed, so that they find that
 * out. The victim is stopped first, so that it is known which life it is. */
static void kill_one(struct stress *s, unsigned i)
{
    int status;

    if (i % 2 != 0 && (s->endpoint == 0 || bri_now() - s->endpoint_ns < ENDPOINT_IS_NEW_NS))
        return;
    (void)kill(s->seats[i].pid, SIGSTOP);
    if (waitpid(s->seats[i].pid, &status, WUNTRACED) != s->seats[i].pid || !WIFSTOPPED(status)) {
        s->seats[i].pid = 0;
        fail(s, i, "ended by itself");
        return;
    }
    atomic_store(&s->m->ledger->lives[atomic_load(&s->progress[i].life)].is_doomed, 1);
    (void)kill(s->seats[i].pid, SIGKILL);
    (void)waitpid(s->seats[i].pid, &status, 0);
    s->seats[i].pid = 0;
    s->n_killed[i % 2]++;
}

static void collect(struct stress *s)
{
    int status;

    for (unsigned i = 0; i < N_SEATS; i++) {
        if (s->seats[i].pid == 0 || waitpid(s->seats[i].pid, &status, WNOHANG) <= 0)
            continue;
        s->seats[i].pid = 0;
        if (status != 0)
            fail(s, i, "ended by itself");
    }
}

/* While the endpoint is away, those wait who need others that come by it. */
static void look_for_stuck(struct stress *s)
{
    int64_t now = bri_now();

    for (unsigned i = 0; i < N_SEATS; i++) {
        struct seat *seat = &s->seats[i];
        uint64_t n = atomic_load(&s->progress[i].n_steps);

        if (seat->pid == 0 || s->endpoint == 0 || n != seat->n_steps) {
            seat->n_steps = n;
            seat->moved_ns = now;
        } else if (now - seat->moved_ns > STUCK_NS) {
            fail(s, i, "is stuck");
        }
    }
}

/* ---- the endpoint ---- */

/* Nobody is killed for a while, and everybody must come further by himself: what an endpoint has
 * forgotten would come right with its end. */
static void await_progress(struct stress *s)
{
    uint64_t before[N_SEATS];

    fill_seats(s);
    for (unsigned i = 0; i < N_SEATS; i++)
        before[i] = atomic_load(&s->progress[i].n_steps);
    for (unsigned i = 0; i < N_SEATS && !is_over(s);) {
        collect(s);
        look_for_stuck(s);
        if (atomic_load(&s->progress[i].n_steps) - before[i] > N_STEPS_FURTHER)
            i++;
        else
            children_await(BRI_MILLISECOND); /* a step is too little to tell of each */
    }
}

static void kill_endpoint(struct stress *s)
{
    await_progress(s);
    (void)atomic_fetch_add(&s->m->epoch, 1);
    (void)kill(s->endpoint, SIGKILL);
    children_await_other(s->endpoint);
    s->killed_endpoint = s->endpoint;
    s->endpoint = 0;
    s->n_endpoints++;
}

static void look_for_endpoint(struct stress *s)
{
    if (s->endpoint == 0) {
        pid_t pid = instance_zmq_pid(s->instance);

        s->endpoint = pid != s->killed_endpoint ? pid : 0; /* brokerd has not collected it yet */
        s->endpoint_ns = bri_now();
    } else if (bri_now() - s->endpoint_ns > ENDPOINT_LASTS_NS) {
        kill_endpoint(s);
    }
}

/* ---- a run ---- */

static void run(struct stress *s, int64_t until)
{
    while (bri_now() < until && !is_over(s)) {
        fill_seats(s);
        children_await((int64_t)ledger_pick(&s->random, PACE_NS));
        collect(s);
        if (!is_over(s))
            kill_one(s, ledger_pick(&s->random, N_SEATS));
        look_for_endpoint(s);
        look_for_stuck(s);
    }
}

static unsigned count(const struct stress *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_SEATS; i++)
        n += s->seats[i].pid != 0;
    return n;
}

/* Everybody leaves in good order. */
static void stop(struct stress *s)
{
    int64_t deadline = bri_now() + STUCK_NS;
    broker *b = NULL;

    atomic_store(&s->m->ledger->must_stop, 1);
    if (!is_over(s) && broker_open(s->m->addresses[0], &b) < 0)
        s->has_failed = true;
    while (count(s) > 0 && bri_now() < deadline && !is_over(s)) {
        mixed_let_go(s->m, b);
        children_await(10 * BRI_MILLISECOND);
        collect(s);
    }
    for (unsigned i = 0; i < N_SEATS; i++) {
        if (s->seats[i].pid == 0)
            continue;
        if (!is_over(s))
            fail(s, i, "does not stop");
        (void)kill(s->seats[i].pid, SIGKILL);
    }
    if (b != NULL)
        broker_close(b);
}

static bool verify(struct stress *s)
{
    if (atomic_load(&s->m->ledger->has_failed) != 0)
        (void)fprintf(stderr, "%s\n", s->m->ledger->failure);
    return !is_over(s) && mixed_verify(s->m) && settle_audit(s->instance, false);
}

static void *share(size_t size)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(99);
    }
    return p;
}

static void report(const struct stress *s, uint64_t seed, bool right)
{
    const struct mixed *m = s->m;

    (void)printf("killed: %" PRIu64 " in shared memory, %" PRIu64 " by ZeroMQ, %" PRIu64
                 " endpoints with %" PRIu64 " sessions\nitems %" PRIu64 ", sold %" PRIu64
                 ", inside %" PRIu64 ", through the barrier %" PRIu64 "\n%s\n",
        s->n_killed[0], s->n_killed[1], s->n_endpoints, atomic_load(&m->n_lost),
        atomic_load(&m->n_items), atomic_load(&m->n_sold), atomic_load(&m->n_inside),
        atomic_load(&m->meet.n_passed),
        right ? "nothing lost, nothing twice, nothing stuck" : "FAILED");
    if (!right)
        (void)printf("repeat with --seed %" PRIu64 "\n", seed);
}

static bool parse(int argc, char **argv, double *seconds, uint64_t *seed)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'r'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            *seconds = strtod(optarg, NULL);
        else if (c == 'r')
            *seed = strtoull(optarg, NULL, 0);
        else
            return false;
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)bri_clock(CLOCK_REALTIME);
    double seconds = DEFAULT_SECONDS;
    struct stress s = {
        .m = share(sizeof(struct mixed)), .progress = share(N_SEATS * sizeof(struct progress))};
    bool right;

    if (!parse(argc, argv, &seconds, &seed)) {
        (void)fprintf(stderr, "usage: %s [--seconds S] [--seed N]\n", argv[0]);
        return 64;
    }
    (void)printf("seed %" PRIu64 "\n", seed);
    (void)fflush(stdout); /* or every child has it in its buffer */
    children_begin();
    s.random = seed;
    s.m->ledger = ledger_new(seed);
    s.instance = instance_start(CONFIG);
    s.m->addresses[0] = instance_address(s.instance);
    s.m->addresses[1] = instance_zmq_address(s.instance);
    run(&s, bri_now() + (int64_t)(seconds * (double)BRI_SECOND));
    stop(&s);
    right = verify(&s);
    report(&s, seed, right);
    instance_stop(s.instance);
    return right ? 0 : 1;
}
