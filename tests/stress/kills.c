/*
 * kills.c - eight processes use everything at random, while they are killed, stopped and replaced
 *
 *     kills [--seconds S] [--seed N] [--daemon]
 *
 * With --daemon the daemon is killed and started again as well, again and again.
 * The choices of the supervisor and of each life follow from the seed; when they happen does not.
 * At the end everything is compared with the ledger (verify.c) and audited (settle.c).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "core/clock.h"
#include "settle.h"
#include "verify.h"
#include "worker.h"

#define N_WORKERS 8u
#define DEFAULT_SECONDS 8.0
#define CONFIG "[broker]\nlog_level = warning\n[arena default]\nsize = 512M\n"
#define STUCK_NS (20 * BRI_SECOND)
#define PACE_NS (4 * BRI_MILLISECOND)
#define CALM_NS (100 * BRI_MILLISECOND)
#define LONGEST_STOP_NS (200 * BRI_MILLISECOND)
#define SHORTER_STOPS 8
#define DAEMON_TURNS 16

struct seat {
    pid_t pid; /* 0: empty */
    uint32_t life;
    int64_t goes_on_at; /* stopped until then; 0: it runs */
    uint64_t n_steps;   /* when it was last seen to have moved */
    int64_t moved_at;
};

struct stress {
    struct ledger *l;
    struct instance *instance;
    uint64_t random;
    struct seat seats[N_WORKERS];
    uint64_t n_killed, n_stopped, n_left, n_restarted;
    bool has_failed;
};

static void fail(struct stress *s, const char *what, uint32_t life)
{
    const char *step = atomic_load(&s->l->lives[life].step);

    (void)fprintf(
        stderr, "life %u %s, in step \"%s\"\n", life, what, step != NULL ? step : "start");
    s->has_failed = true;
}

static void fill_seat(struct stress *s, struct seat *seat)
{
    seat->life = ledger_begin_life(s->l);
    seat->goes_on_at = 0;
    seat->n_steps = 0;
    seat->moved_at = bri_now();
    seat->pid = children_fork();
    if (seat->pid == 0)
        worker_run(s->l, seat->life, instance_address(s->instance));
}

static struct seat *seat_of(struct stress *s, pid_t pid)
{
    for (unsigned i = 0; i < N_WORKERS; i++)
        if (s->seats[i].pid == pid)
            return &s->seats[i];
    return NULL;
}

/* Those that ended: they left, or were killed by us. Children of killed ones come to us, too. */
static void collect(struct stress *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct seat *seat = seat_of(s, pid);
        uint32_t life = seat != NULL ? seat->life : 0;

        if (pid == instance_pid(s->instance)) {
            (void)fprintf(stderr, "the daemon ended with status %d\n", status);
            exit(99);
        }
        s->n_left += status == 0;
        if (seat != NULL)
            seat->pid = 0;
        if (status != 0 && (seat == NULL || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
                               atomic_load(&s->l->lives[life].was_killed) == 0))
            fail(s, "ended by itself", life);
    }
}

/* ---- what is done to them ---- */

static void kill_one(struct stress *s, struct seat *seat)
{
    atomic_store(&s->l->lives[seat->life].is_doomed, 1);
    atomic_store(&s->l->lives[seat->life].was_killed, 1);
    (void)kill(seat->pid, SIGKILL);
    s->n_killed++;
}

static void stop_one(struct stress *s, struct seat *seat)
{
    (void)kill(seat->pid, SIGSTOP);
    /* Mostly short: while one is stopped inside something, the others wait for it. */
    seat->goes_on_at = bri_now() + 1 +
                       (int64_t)(ledger_pick(&s->random, LONGEST_STOP_NS) >>
                                 ledger_pick(&s->random, SHORTER_STOPS));
    s->n_stopped++;
}

static void let_go_on(struct stress *s, int64_t now)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct seat *seat = &s->seats[i];

        if (seat->pid == 0 || seat->goes_on_at == 0 || seat->goes_on_at > now)
            continue;
        (void)kill(seat->pid, SIGCONT);
        seat->goes_on_at = 0;
        seat->moved_at = now;
    }
}

static void look_for_stuck(struct stress *s, int64_t now)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct seat *seat = &s->seats[i];
        uint64_t n = atomic_load(&s->l->lives[seat->life].n_steps);

        if (seat->pid == 0 || seat->goes_on_at != 0 || n != seat->n_steps) {
            seat->n_steps = n;
            seat->moved_at = now;
        } else if (now - seat->moved_at > STUCK_NS) {
            fail(s, "is stuck", seat->life);
        }
    }
}

/* Anybody; often one that holds a lock. */
static struct seat *choose(struct stress *s)
{
    uint32_t inside = s->l->guarded[ledger_pick(&s->random, N_LOCKS)].inside;

    if (ledger_pick(&s->random, 4) == 0)
        for (unsigned i = 0; i < N_WORKERS; i++)
            if (s->seats[i].life + 1 == inside)
                return &s->seats[i];
    return &s->seats[ledger_pick(&s->random, N_WORKERS)];
}

static void do_harm(struct stress *s)
{
    struct seat *seat = choose(s);
    bool is_stopped = seat->goes_on_at != 0;

    if (s->l->kills_daemon && ledger_pick(&s->random, DAEMON_TURNS) == 0) {
        instance_kill(s->instance);
        instance_restart(s->instance);
        s->n_restarted++;
    }
    if (seat->pid == 0)
        return;
    if (ledger_pick(&s->random, 2) == 0)
        kill_one(s, seat);
    else if (!is_stopped)
        stop_one(s, seat);
}

static bool is_over(const struct stress *s)
{
    return s->has_failed || atomic_load(&s->l->has_failed) != 0;
}

static void run(struct stress *s, int64_t until)
{
    int64_t now = bri_now(), next = now;

    while (now < until && !is_over(s)) {
        for (unsigned i = 0; i < N_WORKERS; i++)
            if (s->seats[i].pid == 0)
                fill_seat(s, &s->seats[i]);
        if (now >= next) {
            do_harm(s);
            next = now + (int64_t)ledger_pick(
                             &s->random, ledger_pick(&s->random, 16) == 0 ? CALM_NS : PACE_NS);
        }
        children_await(next > now ? next - now : 1);
        now = bri_now();
        collect(s);
        let_go_on(s, now);
        look_for_stuck(s, now);
    }
}

/* Everybody leaves in good order. */
static void stop(struct stress *s)
{
    int64_t deadline = bri_now() + STUCK_NS;
    unsigned n_left;

    atomic_store(&s->l->must_stop, 1);
    let_go_on(s, INT64_MAX);
    do {
        collect(s);
        n_left = 0;
        for (unsigned i = 0; i < N_WORKERS; i++)
            n_left += s->seats[i].pid != 0;
        if (n_left > 0)
            children_await(10 * BRI_MILLISECOND);
    } while (n_left > 0 && bri_now() < deadline && !is_over(s));
    for (unsigned i = 0; i < N_WORKERS; i++) {
        if (s->seats[i].pid == 0)
            continue;
        if (!is_over(s))
            fail(s, "does not stop", s->seats[i].life);
        (void)kill(s->seats[i].pid, SIGKILL);
    }
}

static bool check(struct stress *s, unsigned n_fds)
{
    if (is_over(s)) {
        if (atomic_load(&s->l->has_failed) != 0)
            (void)fprintf(stderr, "%s\n", s->l->failure);
        return false;
    }
    if (!settle_await(s->instance, n_fds) || !settle_audit(s->instance, false))
        return false;
    instance_restart(s->instance);
    return verify_all(s->l, instance_address(s->instance)) && settle_audit(s->instance, true);
}

struct arguments {
    double seconds;
    uint64_t seed;
    bool kills_daemon;
};

static void parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'r'},
        {"daemon", no_argument, NULL, 'd'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's') {
            out->seconds = strtod(optarg, NULL);
        } else if (c == 'r') {
            out->seed = strtoull(optarg, NULL, 0);
        } else if (c == 'd') {
            out->kills_daemon = true;
        } else {
            (void)fprintf(stderr, "usage: %s [--seconds S] [--seed N] [--daemon]\n", argv[0]);
            exit(64);
        }
    }
}

static void report(const struct stress *s, const struct arguments *a, bool right)
{
    (void)printf("lives: %u, killed %" PRIu64 ", stopped %" PRIu64 ", left %" PRIu64
                 "; daemons killed: %" PRIu64 "; notices of dead owners: %" PRIu64 "\n%s\n",
        atomic_load(&s->l->n_lives), s->n_killed, s->n_stopped, s->n_left, s->n_restarted,
        atomic_load(&s->l->n_notices),
        right ? "nothing lost, nothing stuck, nothing left" : "FAILED");
    if (!right)
        (void)printf("repeat with --seed %" PRIu64 " --seconds %g%s\n", a->seed, a->seconds,
            a->kills_daemon ? " --daemon" : "");
}

int main(int argc, char **argv)
{
    struct arguments a = {.seconds = DEFAULT_SECONDS, .seed = (uint64_t)bri_clock(CLOCK_REALTIME)};
    struct stress s = {0};
    unsigned n_fds;
    bool right;

    parse(argc, argv, &a);
    (void)printf("seed %" PRIu64 "\n", a.seed);
    (void)fflush(stdout); /* or every child has it in its buffer */
    children_begin();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    s.l = ledger_new(a.seed);
    s.l->kills_daemon = a.kills_daemon;
    s.random = a.seed;
    s.instance = instance_start(CONFIG);
    n_fds = settle_count_fds(s.instance);
    run(&s, bri_now() + (int64_t)(a.seconds * BRI_SECOND));
    stop(&s);
    right = check(&s, n_fds);
    report(&s, &a, right);
    instance_stop(s.instance);
    return right ? 0 : 1;
}
