/*
 * test_exit.c - every exit code that is documented, and what is said with it, the same through a
 * pipe and on a terminal; and the common mistakes
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/seal.h"
#include "ctl.h"
#include "fixture.h"

#define LONG_WORD 100000u

TestSuite(ctl_exit, .init = fixture_start, .fini = fixture_stop, .timeout = 100);

static bool seen[256];

/* A failure says why and what it is called, and changes nothing: it can be had twice. */
static void expect(int code, const char *line, const char *said)
{
    struct run runs[] = {run(line), run_terminal(line)};

    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(runs[i].code, code, "%s (%u): %d: %s", line, i, runs[i].code, runs[i].err);
        cr_assert_str_empty(runs[i].out, "%s (%u): %s", line, i, runs[i].out);
        cr_assert_not_null(strstr(runs[i].err, said), "%s (%u): %s", line, i, runs[i].err);
        cr_assert(
            code == 2 || strchr(runs[i].err, '\n') == NULL || strchr(runs[i].err, '\n')[1] == '\0',
            "%s (%u): more than a sentence: %s", line, i, runs[i].err);
        cr_assert(run_starts(runs[i].err, "brokerctl"), "%s (%u): %s", line, i, runs[i].err);
    }
    cr_assert_str_eq(runs[0].err, runs[1].err, "%s", line);
    run_free(&runs[0]);
    run_free(&runs[1]);
    seen[code] = true;
}

static void answers(void)
{
    EXPECT("dict set d text x", 0, "");
    EXPECT("queue create one --max-items 1 --joinable", 0, "");
    EXPECT("queue put one 1", 0, "");
    EXPECT("queue create none --joinable", 0, "");
    EXPECT("queue create shut", 0, "");
    EXPECT("queue shutdown shut", 0, "");
    EXPECT("lock create till", 0, "");
    EXPECT("lock create gone", 0, "");
    EXPECT("condition create bell --lock gone", 0, "");
    EXPECT("rm gone --yes", 0, NULL);
    EXPECT("value create small --typecode b", 0, "");
    EXPECT("list extend mixed [1,\"a\"]", 0, "");
    EXPECT("barrier create gate --parties 2", 0, "");
    EXPECT("barrier abort gate", 0, "");

    expect(10, "dict get d nothing", "(NOTFOUND)");
    expect(10, "dict get nothing k",
        "there is no dict \"nothing\"; `brokerctl dict create` makes one");
    expect(11, "lock create till", "there is an object \"till\" already; --exist-ok");
    expect(12, "queue get none --timeout 0", "(EMPTY)");
    expect(13, "queue put one 2 --timeout 0", "(FULL)");
    expect(14, "event wait never --timeout 0", "(TIMEDOUT)");
    expect(15, "queue put shut 1", "(CLOSED)");
    expect(16, "condition acquire bell", "(GONE)");
    expect(17, "dict compare-and-set d text y z", "(MISMATCH)");
    expect(19, "lock release till", "(NOTLOCKED)");
    expect(20, "queue task-done none", "(OVERDONE)");
    expect(22, "dict add d text 1", "(WRONGVALUE)");
    expect(23, "value add small 300", "(OVERFLOW)");
    expect(24, "list sort mixed", "(INCOMPARABLE)");
    expect(25, "barrier wait gate", "(BROKEN)");
}

/* It holds its lock until its input ends. */
static void end(struct running *holder)
{
    (void)close(holder->in);
    holder->in = -1;
    (void)run_end(holder);
}

/* What somebody else holds. */
static void held(void)
{
    const char *const words[] = {
        "lock", "run", "taken", "--", "sh", "-c", "echo held; exec cat", NULL};
    struct running holder = run_start(words);

    run_expect_line(&holder, "held");
    expect(18, "lock release taken", "`brokerctl locks` tells who holds it");
    expect(14, "lock acquire taken --timeout 0", "is held by process");
    end(&holder);
}

static char deep[200], big[LONG_WORD + 100];

static void faults(void)
{
    char path[300], line[512];

    memset(deep, '[', 80);
    memset(deep + 80, ']', 80);
    (void)snprintf(line, sizeof(line), "dict set d deep %s", deep);
    EXPECT("queue create narrow --max-bytes 4", 0, "");
    EXPECT("dict create poor --quota-bytes 20K", 0, "");
    expect(30, "barrier create other --parties 0", "`brokerctl barrier create --help` tells");
    expect(31, "lock acquire d", "\"d\" is no lock but a dict: `brokerctl help dict` tells");
    expect(31, "queue get d", "\"d\" is no queue but a dict: write `brokerctl dict get d`");
    expect(32, "dict set d {\"a\":1} 1", "(BADKEY)");
    expect(33, "lock create a\001b", "a name is 1 to 255 bytes of UTF-8");
    expect(34, line, "deep");
    expect(35, "queue put narrow 12345678", "(TOOBIG)");
    (void)snprintf(
        line, sizeof(line), "--address %s?access=ro dict set d k 1", instance_address(instance));
    expect(36, line, "(ACCESS)");
    memset(big, 'x', LONG_WORD);
    memcpy(big, "dict set poor k ", 16);
    expect(38, big, "(QUOTA)");
    (void)snprintf(path, sizeof(path), "%s/zeros", instance_dir(instance));
    cr_assert_eq(truncate(path, 0) == 0 || fclose(fopen(path, "w")) == 0, 1);
    cr_assert_eq(truncate(path, 1 << 20), 0);
    (void)snprintf(line, sizeof(line), "--offline=%s ls", path);
    expect(39, line, "is damaged");
    expect(41, "--address unix:/nowhere/attach ls", "no broker answers at /nowhere/attach");
    expect(42, "--address nonsense ls", "\"nonsense\" is not understood");
    expect(46, "keygen /proc/none", "cannot make /proc/none");
    expect(48, "save", "its configuration needs snapshots = yes");
}

/* An arena that is small, and one with a single seat, which is taken. */
static void full_arenas(void)
{
    char tiny[300], line[500];
    const char *words[] = {
        "--address", tiny, "lock", "run", "l", "--", "sh", "-c", "echo held; exec cat", NULL};
    struct running holder;

    instance_reload(instance, "[arena default]\nsize = 16M\n[arena small]\nsize = 2M\n"
                              "[arena single]\nsize = 2M\nsessions = 1\n");
    (void)snprintf(line, sizeof(line), "%s?arena=small", instance_address(instance));
    cr_assert_eq(setenv("BROKER_ADDRESS", line, 1), 0);
    memset(big, 'x', LONG_WORD);
    memcpy(big, "list append l ", 14);
    EXPECT(big, 0, "");
    expect(37, "list repeat l 40", "(NOMEM)");
    (void)snprintf(tiny, sizeof(tiny), "%s?arena=single", instance_address(instance));
    holder = run_start(words);
    run_expect_line(&holder, "held");
    (void)snprintf(line, sizeof(line), "--address %s ls", tiny);
    expect(44, line, "brokerctl");
    end(&holder);
    cr_assert_eq(setenv("BROKER_ADDRESS", instance_address(instance), 1), 0);
}

/* Memory of another layout. */
static void other_layout(void)
{
    struct bri_arena_shm header = {.magic = BRI_MAGIC, .layout_version = 99, .abi = BRI_ABI};
    char path[100], line[300];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%.80s/other", instance_dir(instance));
    f = fopen(path, "w");
    cr_assert(f != NULL && fwrite(&header, sizeof(header), 1, f) == 1 && fclose(f) == 0);
    (void)snprintf(line, sizeof(line), "--offline=%s ls", path);
    expect(40, line, "has memory layout 99");
}

static _Noreturn void answer_oddly(int listener, pid_t parent)
{
    int peer;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent && (peer = accept(listener, NULL, NULL)) >= 0 &&
           send(peer, "what?", 5, MSG_NOSIGNAL) == 5)
        continue;
    _exit(0);
}

/* Something else listens where a broker should. */
static void no_broker(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pid_t parent = getpid(), child;
    char line[300];

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/odd", instance_dir(instance));
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 4), 0);
    child = fork();
    if (child == 0)
        answer_oddly(listener, parent);
    (void)snprintf(line, sizeof(line), "--address unix:%s ls", address.sun_path);
    expect(43, line, "is no broker");
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(listener);
}

/* An arena that is being handed over. */
static void sealed(void)
{
    broker *b;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(bri_seal(b->arena), 0);
    expect(49, "dict get d text", "(LOST)");
    cr_assert_eq(bri_unseal(b->arena), 0);
    broker_close(b);
}

/* Those that no single command can come to. */
static bool is_elsewhere(enum broker_error error)
{
    return error == BROKER_DEADLOCK || /* a command holds one thing at a time */
           error == BROKER_BUSY ||     /* it has no signal handlers that do anything */
           error == BROKER_UNKNOWN ||  /* the network's: tests/unit/engine */
           error == BROKER_INTERNAL;   /* a defect */
}

Test(ctl_exit, every_code_comes_with_its_words_through_a_pipe_and_on_a_terminal)
{
    answers();
    held();
    faults();
    full_arenas();
    other_layout();
    no_broker();
    sealed();
    for (unsigned i = 0; i < ctl_n_errors; i++) {
        int code = ctl_errors[i].exit_code;

        cr_assert(code == 0 || seen[code] || is_elsewhere(ctl_errors[i].error), "%d %s", code,
            ctl_errors[i].name);
    }
}

Test(ctl_exit, mistakes_are_told_the_same_way_on_a_terminal)
{
    expect(2, "qeue get jobs", "there is no command \"qeue\"; did you mean \"queue\"?");
    expect(2, "queue gett jobs", "queue has no command \"gett\"; did you mean \"queue get\"?");
    expect(2, "get jobs", "\"get\" of what? Write the type before it");
    expect(2, "dict get d", "an argument is missing: write brokerctl dict get NAME KEY");
    expect(2, "dict get d a b", "\"b\" is one too many");
    expect(2, "ls --frobnicate", "--frobnicate");
    expect(2, "ls --output=xml", "it is table, csv or json");
    expect(2, "status --output=csv", "--output=csv is for tables, and this prints none");
    expect(2, "barrier create gate", "--parties is missing: how many wait for each other");
    instance_kill(instance);
    expect(41, "ls", "no broker answers at");
    expect(41, "dict set d k v", "or open \"private:\"");
    instance_restart(instance);
}

Test(ctl_exit, yes_and_no_and_what_was_not_written)
{
    const char *const words[] = {"ls", NULL};
    struct run r;
    FILE *full = fopen("/dev/full", "w");

    EXPECT("event set there", 0, "");
    EXPECT("event is-set there -q", 0, "");
    EXPECT("dict create d", 0, "");
    EXPECT("dict contains d k -q", 1, "");
    r = run_terminal("dict contains d k -q");
    cr_assert_eq(r.code, 1);
    cr_assert_str_empty(r.out);
    run_free(&r);
    cr_assert_not_null(full);
    r = run_to(words, fileno(full));
    cr_assert_eq(r.code, 1);
    cr_assert_not_null(strstr(r.err, "cannot write the output"), "%s", r.err);
    run_free(&r);
    (void)fclose(full);
}

/* Who is kept waiting by a daemon that hangs is told so meanwhile, and what to do at the end. */
Test(ctl_exit, who_waits_for_a_daemon_that_hangs_is_told)
{
    char line[300];
    struct run r;

    (void)snprintf(line, sizeof(line), "--address %s?wait=4 ls", instance_address(instance));
    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0);
    r = run(line);
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
    cr_assert_eq(r.code, 41, "%s", r.err);
    cr_assert(
        run_starts(r.err, "brokerctl: the broker does not answer yet: still waiting for it\n"),
        "%s", r.err);
    cr_assert_not_null(strstr(r.err, "is there, but does not answer: it is starting, stopping"));
    run_free(&r);
}
