/*
 * worker.c - `brokerctl worker`: a command for each item of a queue
 *
 * Every item is leased until its command has ended: finished after a success, otherwise back in the
 * queue. Killed anywhere, the worker's session ends, and what it had leased goes back by itself.
 * Leases that have an end are extended while their commands run, so that items of a worker that is
 * stopped go to others.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "fail.h"
#include "job.h"
#include "object.h"
#include "options.h"
#include "words.h"

#define EXIT_CANNOT_RUN 126 /* as shells do */
#define EXIT_NO_COMMAND 127
#define MAX_JOBS 1024u
#define RENEWALS 3 /* in the time that a lease lasts */

enum {
    JOBS = CTL_OPTION_OWN,
    HOLD,
    DELAY,
    COUNT,
    UNTIL_EMPTY,
};

struct worker {
    struct ctl *ctl;
    const char *name;
    broker_queue *queue;
    struct ctl_job_command command;
    sigset_t before;
    struct ctl_job *jobs;
    uint64_t n_jobs, n_running;
    int64_t hold_ns, delay_ns, renew_at_ns;
    uint64_t left; /* items to take */
    bool is_counted, until_empty;
    bool no_more; /* none is to be taken any more */
    int n_signals, signal_fd, queue_fd;
    int code; /* to end with */
    broker_buffer buffer;
};

/* ---- how an item ends ---- */

static int give_back(struct worker *w, const struct ctl_job *job, int64_t delay_ns)
{
    int r = broker_queue_return(w->queue, job->token, delay_ns);

    if ((r == BROKER_NOMEM || r == BROKER_QUOTA) && delay_ns > 0) /* a delay needs memory */
        r = broker_queue_return(w->queue, job->token, 0);
    return r;
}

static void tell_failure(struct worker *w, const struct ctl_job *job, int status)
{
    const char *program = w->command.argv[0];
    unsigned long long deliveries = job->deliveries;

    if (WIFSIGNALED(status))
        ctl_note(w->ctl, "%s was ended by signal %d: its item goes back to \"%s\" (delivery: %llu)",
            program, WTERMSIG(status), w->name, deliveries);
    else
        ctl_note(w->ctl, "%s ended with %d: its item goes back to \"%s\" (delivery: %llu)", program,
            WEXITSTATUS(status), w->name, deliveries);
}

/* Commands that we have ended ourselves have not failed. */
static void end_job(struct worker *w, struct ctl_job *job, int status)
{
    bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int r = 0;

    w->n_running--;
    job->pid = 0;
    if (!done && w->n_signals < 2) {
        tell_failure(w, job, status);
        w->code = w->code != 0 ? w->code : CTL_EXIT_FAILURE;
    }
    if (!job->lost)
        r = done ? broker_queue_done(w->queue, job->token)
                 : give_back(w, job, w->n_signals < 2 ? w->delay_ns : 0);
    if (r == BROKER_NOTFOUND) {
        ctl_note(w->ctl, "the lease of an item was over before its command: it may run again");
    } else if (r < 0) {
        w->code = ctl_fail_last(r);
        w->no_more = true;
    }
}

static void reap(struct worker *w)
{
    int status;

    for (uint64_t i = 0; i < w->n_jobs; i++)
        if (w->jobs[i].pid > 0 && waitpid(w->jobs[i].pid, &status, WNOHANG) == w->jobs[i].pid)
            end_job(w, &w->jobs[i], status);
}

/* ---- how it begins ---- */

static void fail_start(struct worker *w, struct ctl_job *job, int e)
{
    w->no_more = true;
    w->code = e == ENOENT || e == ENOTDIR ? EXIT_NO_COMMAND : EXIT_CANNOT_RUN;
    (void)ctl_fail(BROKER_SYSTEM, "cannot run %s: %s", w->command.argv[0], strerror(e));
    if (job->pid > 0)
        (void)waitpid(job->pid, NULL, 0);
    job->pid = 0;
    (void)give_back(w, job, 0);
}

static void start_job(struct worker *w, struct ctl_job *job, broker_value item)
{
    int e;

    if (ctl_job_start(&w->command, item, job, &e) < 0) {
        fail_start(w, job, e);
        return;
    }
    if (w->n_running++ == 0 && w->hold_ns != BROKER_FOREVER)
        w->renew_at_ns = bri_now() + w->hold_ns / RENEWALS;
    w->left -= w->is_counted;
}

static struct ctl_job *free_job(struct worker *w)
{
    for (uint64_t i = 0; i < w->n_jobs; i++)
        if (w->jobs[i].pid == 0)
            return &w->jobs[i];
    return NULL;
}

static bool may_take(const struct worker *w)
{
    return !w->no_more && w->n_running < w->n_jobs && (!w->is_counted || w->left > 0);
}

/* Takes as many items as there are and may be. */
static void take(struct worker *w)
{
    broker_value item;

    if (w->queue_fd >= 0)
        (void)broker_fd_clear(w->queue);
    while (may_take(w)) {
        struct ctl_job *job = free_job(w);
        int r;

        *job = (struct ctl_job){0};
        r = broker_queue_lease(
            w->queue, 0, w->hold_ns, &w->buffer, &item, &job->token, &job->deliveries);
        if (r == BROKER_EMPTY && (!w->until_empty || w->n_running > 0))
            return; /* what runs may put items, or give its own back */
        if (r < 0) {
            w->no_more = true;
            if (r != BROKER_EMPTY && r != BROKER_CLOSED)
                w->code = ctl_fail_last(r);
            return;
        }
        start_job(w, job, item);
    }
    w->no_more |= w->is_counted && w->left == 0;
}

/* ---- meanwhile ---- */

/* Whose lease is over must not go on as if it had the item. */
static void renew(struct worker *w)
{
    if (w->hold_ns == BROKER_FOREVER || w->n_running == 0 || bri_now() < w->renew_at_ns)
        return;
    for (uint64_t i = 0; i < w->n_jobs; i++) {
        struct ctl_job *job = &w->jobs[i];

        if (job->pid == 0 || job->lost ||
            broker_queue_extend(w->queue, job->token, w->hold_ns) != BROKER_NOTFOUND)
            continue;
        ctl_note(w->ctl, "the lease of an item is over: its command gets SIGTERM");
        job->lost = true;
        ctl_job_signal(job, SIGTERM);
    }
    w->renew_at_ns = bri_now() + w->hold_ns / RENEWALS;
}

/* The first signal lets commands finish, the second one ends them. */
static void end_by_signal(struct worker *w, int signal)
{
    w->no_more = true;
    if (++w->n_signals == 1 && w->n_running > 0)
        ctl_note(w->ctl, "%s: waiting for commands to end: %llu; once more ends them",
            strsignal(signal), (unsigned long long)w->n_running);
    for (uint64_t i = 0; i < w->n_jobs && w->n_signals > 1; i++)
        ctl_job_signal(&w->jobs[i], SIGTERM);
}

static void read_signals(struct worker *w)
{
    struct signalfd_siginfo info;

    while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            end_by_signal(w, (int)info.ssi_signo);
}

static void sleep_until_something(struct worker *w)
{
    struct pollfd fds[] = {{.fd = w->signal_fd, .events = POLLIN},
        {.fd = may_take(w) ? w->queue_fd : -1, .events = POLLIN}};
    int64_t left_ns = w->renew_at_ns - bri_now();
    int timeout_ms = -1;

    if (w->hold_ns != BROKER_FOREVER && w->n_running > 0)
        timeout_ms = left_ns > 0 ? (int)(left_ns / BRI_MILLISECOND) + 1 : 0;
    (void)poll(fds, 2, timeout_ms);
}

static int work(struct worker *w)
{
    take(w);
    while (!w->no_more || w->n_running > 0) {
        sleep_until_something(w);
        read_signals(w);
        reap(w);
        renew(w);
        take(w);
    }
    return w->code;
}

/* ---- the command ---- */

/* Before any thread of the library is started: they must not get these signals. */
static int catch_signals(struct worker *w)
{
    static const int caught[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t set;

    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the status along */
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        (void)sigaddset(&set, caught[i]);
    (void)sigprocmask(SIG_BLOCK, &set, &w->before);
    w->command.mask = &w->before;
    w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return w->signal_fd >= 0
               ? 0
               : ctl_fail(BROKER_SYSTEM, "cannot receive signals: %s", strerror(errno));
}

static int open_and_work(struct worker *w)
{
    const struct ctl_target target = {ctl_find_type("queue"), "lease", w->name};
    struct bri_handle *handle;
    int r, code = ctl_open_object(w->ctl, &target, BROKER_OPEN, NULL, &handle);

    if (code != 0)
        return code;
    w->queue = (broker_queue *)handle;
    (void)setenv("BROKER_ADDRESS", broker_address(w->ctl->broker), 1);
    r = broker_fd(w->queue, &w->queue_fd);
    code = r < 0 ? ctl_fail_last(r) : work(w);
    bri_dispatch_close(handle);
    return code;
}

static int run(struct worker *w)
{
    int code = ctl_refuse_offline(w->ctl, "worker");

    if (code == 0)
        code = catch_signals(w);
    if (code != 0)
        return code;
    w->jobs = calloc(w->n_jobs, sizeof(*w->jobs));
    code = w->jobs != NULL ? open_and_work(w) : ctl_fail(BROKER_NOMEM, "no memory for the jobs");
    free(w->jobs);
    broker_buffer_free(&w->buffer);
    (void)close(
        w->signal_fd); /* the signals stay blocked: all is done, and one more changes nothing */
    return code;
}

static void read_count(const char *option, const char *arg, struct argp_state *state, uint64_t *out)
{
    struct ctl_remark why;

    if (ctl_read_count(arg, out, &why) < 0)
        argp_error(state, "%s: %s", option, why.text);
}

static void read_duration(
    const char *option, const char *arg, struct argp_state *state, int64_t *out)
{
    struct ctl_remark why;

    if (ctl_read_duration(arg, out, &why) < 0)
        argp_error(state, "%s: %s", option, why.text);
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct worker *w = own;

    switch (key) {
    case JOBS:
        read_count("--jobs", arg, state, &w->n_jobs);
        if (w->n_jobs < 1 || w->n_jobs > MAX_JOBS)
            argp_error(state, "--jobs: 1 to %u", MAX_JOBS);
        return 0;
    case HOLD:
        read_duration("--hold", arg, state, &w->hold_ns);
        if (w->hold_ns < BRI_SECOND)
            argp_error(state, "--hold: at least 1s");
        return 0;
    case DELAY:
        read_duration("--delay", arg, state, &w->delay_ns);
        if (w->delay_ns == BROKER_FOREVER)
            argp_error(state, "--delay: it must end");
        return 0;
    case COUNT:
        w->is_counted = true;
        read_count("--count", arg, state, &w->left);
        return 0;
    case UNTIL_EMPTY:
        w->until_empty = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"jobs", JOBS, "N", 0, "so many commands at a time (default: 1)", 0},
    {"hold", HOLD, "DURATION", 0,
        "how long a lease lasts; it is extended while its command runs, and an item of a "
        "worker that hangs or is stopped goes to another one then (default: forever, that is, "
        "until the worker ends)",
        0},
    {"delay", DELAY, "DURATION", 0,
        "how long nobody gets an item whose command failed (default: 1s)", 0},
    {"count", COUNT, "N", 0, "end after so many items", 0},
    {"until-empty", UNTIL_EMPTY, NULL, 0, "end when there is no item to take", 0}, {0}};

int ctl_cmd_worker(struct ctl *ctl, int argc, char **argv)
{
    struct worker w = {.ctl = ctl,
        .n_jobs = 1,
        .hold_ns = BROKER_FOREVER,
        .delay_ns = BROKER_SECOND,
        .signal_fd = -1,
        .queue_fd = -1};
    const struct ctl_syntax syntax = {.title = "worker",
        .args_doc = "QUEUE [--] COMMAND [ARGUMENT...]",
        .doc =
            "Run a command for each item of a queue, which it finds on its standard input."
            "\vIf the command ends with 0 the item is done; otherwise, and if the worker dies, it "
            "goes back to its place in the queue. A string or byte string is given to the "
            "command as it is, anything else as a line of JSON. It finds BROKER_QUEUE, "
            "BROKER_DELIVERIES (1 at the first try) and BROKER_ADDRESS in its environment.\n\n"
            "SIGTERM, SIGINT and SIGHUP let the worker take no more and wait for its commands; a "
            "second one ends them, and gives their items back. It also ends when the queue was "
            "shut down and is empty.\n\nEnds with 0 if no command failed, 1 if one did, 126 or "
            "127 if it could not be run.",
        .options = options,
        .option = parse_option,
        .own = &w,
        .min_words = 1,
        .max_words = 1,
        .then_command = true};
    struct ctl_words words;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    w.name = words.words[0];
    w.command.queue = w.name;
    w.command.argv = words.command;
    free(words.words);
    return run(&w);
}
