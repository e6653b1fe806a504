/*
 * test_names.c - names that others chose do nothing to a terminal
 *
 * What is called so here could be drawn anywhere on it: a program with ESC [ in its name, and
 * objects with the same as one character (U+009B), which may stand in a name.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

#define CSI "\xc2\x9b"
#define RED "[31mred"
#define TAME                                                                                       \
    "(?" RED "?"                                                                                   \
    "?)" /* or it is a trigraph */

static pid_t program;

/* A program of that name that holds a lock, and is stopped. */
static void start_program(void)
{
    broker_lock *till;
    uint64_t token;
    broker *b;

    program = fork();
    cr_assert_geq(program, 0);
    if (program == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, "\033" RED CSI);
        if (broker_open(NULL, &b) == 0 && broker_lock_open(b, "till", NULL, &till) == 0 &&
            broker_lock_acquire(till, 0, &token) == 0)
            (void)raise(SIGSTOP);
        _exit(1);
    }
    cr_assert_eq(waitpid(program, NULL, WUNTRACED), program);
}

static void start(void)
{
    fixture_start();
    (void)setenv("NO_COLOR", "1", 1);
    EXPECT("queue put jobs" CSI RED " 1", 0, "");
    start_program();
}

static void stop(void)
{
    (void)kill(program, SIGKILL);
    (void)waitpid(program, NULL, 0);
    fixture_stop();
}

TestSuite(ctl_names, .init = start, .fini = stop, .timeout = 60);

static void assert_harmless(const char *line, const char *text, const char *wanted)
{
    cr_assert_not_null(strstr(text, wanted), "%s: \"%s\" is not there: %s", line, wanted, text);
    cr_assert_null(strchr(text, '\033'), "%s: an escape: %s", line, text);
    cr_assert_null(strstr(text, CSI), "%s: a CSI: %s", line, text);
}

static void expect(const char *line, const char *wanted)
{
    struct run r = run_terminal(line);

    cr_assert_str_empty(r.err, "%s: %d, %s", line, r.code, r.err);
    assert_harmless(line, r.out, wanted);
    run_free(&r);
}

static void expect_said(const char *line, const char *wanted)
{
    struct run r = run(line);

    cr_assert_neq(r.code, 0);
    assert_harmless(line, r.err, wanted);
    run_free(&r);
}

Test(ctl_names, tables)
{
    expect("ls", RED);
    expect("clients", RED);
    expect("locks", RED);
    expect("--no-pager stat jobs" CSI RED, RED);
}

Test(ctl_names, json_has_them_exactly_and_escaped)
{
    expect("ls --json jobs*", "\"jobs\\u009b" RED "\"");
    expect("clients --json", "\"\\u001b" RED "\\u009b\"");
}

Test(ctl_names, findings_and_health)
{
    expect("doctor", TAME " is stopped");
    expect("health", TAME " is stopped");
}

Test(ctl_names, failures)
{
    expect_said("stat jobs", "did you mean \"jobs??" RED "\"?");
    expect_said("dict get jobs" CSI RED " k", "\"jobs??" RED "\" is no dict");
}

Test(ctl_names, questions)
{
    char seen[4096];

    cr_assert_eq(run_answer("rm jobs" CSI RED, "n\n", seen, sizeof(seen)), 1);
    assert_harmless("rm", seen, "queue \"jobs??" RED "\", contains: 1");
}

/* They could not be shown, and a newline would make two of one. */
Test(ctl_names, completions_leave_them_out)
{
    EXPECT("queue put jobs2 1", 0, "");
    EXPECT("--complete queue get j", 0, "jobs2\n");
}

/* Tells what happens while something does, as long as it goes on. */
static void expect_lines(const char *command, void (*happen)(broker **), const char *wanted)
{
    const char *const words[] = {command, "--count", "3", NULL};
    struct running r = run_start(words);
    struct pollfd ready = {.fd = r.out, .events = POLLIN};
    char text[4096];
    size_t n = 0;
    ssize_t got;
    broker *b;

    cr_assert_eq(broker_open(NULL, &b), 0);
    do {
        while (poll(&ready, 1, 0) == 0)
            happen(&b);
        got = read(r.out, text + n, sizeof(text) - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    broker_close(b);
    text[n] = '\0';
    assert_harmless(command, text, wanted);
    (void)run_end(&r);
}

static void destroy_and_make(broker **b)
{
    broker_event *e;

    (void)broker_destroy(*b, "new" CSI RED);
    cr_assert_eq(broker_event_open(*b, "new" CSI RED, NULL, &e), 0);
    broker_event_close(e);
}

static void put(broker **b)
{
    broker_queue *q;

    cr_assert_eq(broker_queue_open(*b, "jobs" CSI RED, NULL, &q), 0);
    cr_assert_eq(broker_queue_put(q, broker_int(1), 0), 0);
    broker_queue_close(q);
}

static void leave_and_come(broker **b)
{
    (void)prctl(PR_SET_NAME, "\033" RED CSI);
    broker_close(*b);
    cr_assert_eq(broker_open(NULL, b), 0);
}

Test(ctl_names, events)
{
    expect_lines("events", destroy_and_make, " event \"new??" RED "\"\n");
}

Test(ctl_names, events_of_sessions)
{
    expect_lines("events", leave_and_come, TAME ", uid");
}

Test(ctl_names, monitor)
{
    (void)prctl(PR_SET_NAME, "\033" RED CSI);
    expect_lines("monitor", put, "  \"jobs??" RED "\"  ");
}
