/*
 * lock_run.c - `brokerctl lock run`: a program that runs while a lock is held
 *
 * The lock is this process's. Killed in here it is given back, as after any death, and the next
 * owner is told; the program gets SIGTERM then, for it must not go on as if it had the lock.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "object.h"
#include "options.h"
#include "words.h"

#define TIMEOUT CTL_OPTION_OWN
#define EXIT_CANNOT_RUN 126 /* as shells do */
#define EXIT_NO_COMMAND 127
#define EXIT_SIGNAL 128

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

struct run {
    int64_t timeout_ns;
    char **command;
    sigset_t before; /* the signal mask that the program gets */
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct run *run = own;
    struct ctl_remark why;

    if (key != TIMEOUT)
        return ARGP_ERR_UNKNOWN;
    if (ctl_read_duration(arg, &run->timeout_ns, &why) < 0)
        argp_error(state, "--timeout: %s", why.text);
    return 0;
}

/* ---- the program ---- */

static _Noreturn void become_command(const struct run *run, pid_t parent)
{
    int e;

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_SIGNAL + SIGTERM); /* it died before the line above */
    (void)sigprocmask(SIG_SETMASK, &run->before, NULL);
    (void)execvp(run->command[0], run->command);
    e = errno;
    (void)dprintf(STDERR_FILENO, CTL_PROGRAM ": cannot run %s: %s\n", run->command[0], strerror(e));
    _exit(e == ENOENT || e == ENOTDIR ? EXIT_NO_COMMAND : EXIT_CANNOT_RUN);
}

/*
 * Waits for the program, and passes signals on. Those that a key of the terminal made went to the
 * program as well: only what somebody sent to us is passed on.
 */
static int wait_for(pid_t child, const sigset_t *awaited)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (sigwaitinfo(awaited, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            if (info.si_code <= 0)
                (void)kill(child, info.si_signo);
        } else if (waitpid(child, &status, WNOHANG) == child) {
            return status;
        }
    }
}

/* Gives the program's wait status; negative if there was none, which was told. */
static int run_command(struct run *run)
{
    pid_t child, self = getpid();
    sigset_t awaited;
    int e, status = -1;

    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would take the status along */
    (void)sigemptyset(&awaited);
    (void)sigaddset(&awaited, SIGCHLD);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        (void)sigaddset(&awaited, passed_on[i]);
    (void)sigprocmask(SIG_BLOCK, &awaited, &run->before);
    child = fork();
    if (child == 0)
        become_command(run, self);
    e = errno;
    if (child > 0)
        status = wait_for(child, &awaited);
    (void)sigprocmask(SIG_SETMASK, &run->before, NULL);
    if (child < 0)
        (void)ctl_fail(BROKER_SYSTEM, "cannot start a process: %s", strerror(e));
    return status;
}

/* Ends as the program did: whoever waits for us learns of its signal too. */
static int end_as(struct ctl *ctl, int status)
{
    const struct rlimit none = {0};

    if (status < 0)
        return EXIT_CANNOT_RUN;
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    ctl_disconnect(ctl);
    (void)setrlimit(RLIMIT_CORE, &none); /* the core is the program's */
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status));
    return EXIT_SIGNAL + WTERMSIG(status);
}

/* ---- the lock ---- */

/* What the program may want to know. */
static void set_environment(const struct ctl *ctl, const struct bri_call *acquired, bool owner_died)
{
    char token[32];

    (void)snprintf(token, sizeof(token), "%llu", (unsigned long long)acquired->results[0].u);
    (void)setenv("BROKER_LOCK_TOKEN", token, 1);
    (void)setenv("BROKER_LOCK_OWNER_DIED", owner_died ? "1" : "0", 1);
    (void)setenv("BROKER_ADDRESS", broker_address(ctl->broker), 1);
}

static int run_locked(
    struct ctl *ctl, const struct ctl_type *type, const char *name, struct run *run)
{
    struct bri_handle *lock = NULL;
    broker_value timeout = broker_int(run->timeout_ns);
    struct bri_call acquire = {.op = BRI_OP_LOCK_ACQUIRE, .args = &timeout, .n_args = 1};
    struct bri_call release = {.op = BRI_OP_LOCK_RELEASE};
    const struct ctl_target target = {type, "run", name};
    int r, status, code = ctl_open_object(ctl, &target, BROKER_OPEN_OR_CREATE, NULL, &lock);

    if (code != 0)
        return code;
    acquire.handle = release.handle = lock;
    r = bri_dispatch(&acquire);
    if (r < 0) {
        code = ctl_fail_call(ctl_find_operation(type, "acquire"), lock, name, r);
        bri_dispatch_close(lock);
        return code;
    }
    if (r == BROKER_OWNER_DIED)
        ctl_note(
            ctl, "the last owner of the lock \"%s\" died holding it: check what it protects", name);
    set_environment(ctl, &acquire, r == BROKER_OWNER_DIED);
    status = run_command(run);
    r = bri_dispatch(&release);
    bri_dispatch_close(lock);
    code = end_as(ctl, status);
    if (r < 0) {
        int lost =
            ctl_fail(r, "the lock \"%s\" was not ours any more when the command ended: %s (%s)",
                name, broker_error_text(r), broker_error_name(r));

        code = code != 0 ? code : lost;
    }
    return code;
}

int ctl_lock_run(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"timeout", TIMEOUT, "DURATION", 0, "how long to wait for the lock (default: forever)", 0},
        {0}};
    struct run run = {.timeout_ns = BROKER_FOREVER};
    const struct ctl_syntax syntax = {.title = "lock run",
        .args_doc = "NAME [--] COMMAND [ARGUMENT...]",
        .doc = "Run a program while holding a lock, which is created if it is not there."
               "\vEnds as the program did: with its exit code, or by the signal that ended it; "
               "with 126 or 127 "
               "if it could not be started. Signals that are sent to brokerctl are passed on to "
               "it. If brokerctl "
               "is killed, the lock is given back and the program gets SIGTERM.\n\nThe program "
               "finds in its "
               "environment BROKER_LOCK_TOKEN (a number that grows with each owner), "
               "BROKER_LOCK_OWNER_DIED (1 "
               "if the last owner died holding the lock), and BROKER_ADDRESS.",
        .options = options,
        .option = parse_option,
        .own = &run,
        .min_words = 1,
        .max_words = 1,
        .then_command = true};
    struct ctl_words words;
    const char *name;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    name = words.words[0];
    run.command = words.command;
    free(words.words);
    if (ctl->offline)
        return ctl_refuse_offline(ctl, "lock run");
    return run_locked(ctl, type, name, &run);
}
