/*
 * test_follow.c - what prints something whenever it happens: watch and events
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_follow, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* Reads one line of a command that runs; without its newline. */
static void read_line(const struct running *r, char *line, size_t size)
{
    size_t n = 0;

    while (n < size - 1 && read(r->out, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
}

/* Reads lines until one has these texts in it. */
static void expect_line(const struct running *r, const char *one, const char *two)
{
    char line[2048];

    do {
        read_line(r, line, sizeof(line));
        cr_assert_str_not_empty(line, "\"%s\" did not come", one);
    } while (strstr(line, one) == NULL || strstr(line, two) == NULL);
}

static int exit_code(struct running *r)
{
    int status = run_end(r);

    cr_assert(WIFEXITED(status), "%x", status);
    return WEXITSTATUS(status);
}

/* A command that follows is ready when it tells of something that is repeated until then. */
static struct running start_watch(const char *name, const char *change)
{
    const char *const words[] = {"watch", name, "--json", NULL};
    struct running r = run_start(words);
    struct run done;
    char c;
    pid_t toucher = fork();

    cr_assert_geq(toucher, 0);
    if (toucher == 0)
        for ((void)prctl(PR_SET_PDEATHSIG, SIGKILL);;) {
            done = run(change);
            run_free(&done);
        }
    do
        cr_assert_eq(read(r.out, &c, 1), 1);
    while (c != '\n');
    cr_assert_eq(kill(toucher, SIGTERM), 0);
    cr_assert_eq(waitpid(toucher, NULL, 0), toucher);
    return r;
}

Test(ctl_follow, watch_tells_of_changes)
{
    struct running r;

    EXPECT("dict set d n 0", 0, "");
    r = start_watch("d", "dict add d n 1");
    EXPECT("dict set d another 1", 0, "");
    expect_line(&r, "\"changed\":{", "\"entries\":2");
    EXPECT("rm --yes d", 0, "");
    while (read(r.out, &(char){0}, 1) == 1)
        continue;
    cr_assert_eq(exit_code(&r), 16, "it was destroyed");
}

Test(ctl_follow, watch_looks_at_locks_now_and_then)
{
    struct running r;

    EXPECT("lock create till", 0, "");
    r = start_watch("till", "lock run till true");
    EXPECT("-q lock run till true", 0, ""); /* its last owner may have been killed */
    expect_line(&r, "\"version\":null", "\"acquired\":");
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}

Test(ctl_follow, watch_ends_when_it_was_told_to)
{
    EXPECT("dict set d n 0", 0, "");
    EXPECT("watch d --timeout 10ms", 0, "");
    EXPECT_SAYS("watch nothing", 10, "there is no object \"nothing\"");
    EXPECT_SAYS("watch d --interval 1ms", 2, "--interval: at least 10ms");
    EXPECT_SAYS("watch d --count x", 2, "--count");
    EXPECT_SAYS("watch", 2, "NAME");
    EXPECT_SAYS("--offline watch d", 36, "needs a daemon");
}

/* It is ready when it tells of what is made again and again. */
static struct running start_events(void)
{
    const char *const words[] = {"events", "--interval", "10ms", "--json", NULL};
    struct running r = run_start(words);
    struct run done;
    char c;
    pid_t toucher = fork();

    cr_assert_geq(toucher, 0);
    if (toucher == 0)
        for (char line[64];; run_free(&done)) {
            static unsigned n;

            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)snprintf(line, sizeof(line), "lock create ready%u", n++);
            done = run(line);
        }
    do
        cr_assert_eq(read(r.out, &c, 1), 1);
    while (c != '\n');
    cr_assert_eq(kill(toucher, SIGTERM), 0);
    cr_assert_eq(waitpid(toucher, NULL, 0), toucher);
    return r;
}

Test(ctl_follow, events_tells_of_objects)
{
    struct running r = start_events();

    EXPECT("queue create jobs", 0, "");
    expect_line(&r, "\"event\":\"created\",\"object\":\"jobs\",\"type\":\"queue\"", "time_ns");
    EXPECT("mv jobs work", 0, "");
    expect_line(&r, "\"event\":\"renamed\",\"object\":\"jobs\"", "\"new_name\":\"work\"");
    EXPECT("rm work", 0, "");
    expect_line(&r, "\"event\":\"destroyed\",\"object\":\"work\"", "time_ns");
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}

Test(ctl_follow, events_tells_of_sessions)
{
    struct running r = start_events();
    char pid[64];
    broker *b;

    (void)snprintf(pid, sizeof(pid), "\"pid\":%d,", (int)getpid());
    cr_assert_eq(broker_open(NULL, &b), 0);
    expect_line(&r, "\"event\":\"attached\"", pid);
    broker_close(b);
    expect_line(&r, "\"event\":\"left\"", pid);
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}

Test(ctl_follow, events_tells_of_the_dead)
{
    struct running r = start_events();
    char text[64];
    pid_t child = fork();
    broker *b;

    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (broker_open(NULL, &b) == 0)
            (void)pause();
        _exit(1);
    }
    (void)snprintf(text, sizeof(text), "\"pid\":%d,", (int)child);
    expect_line(&r, "\"event\":\"attached\"", text);
    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0); /* nobody reaps it for now */
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    expect_line(&r, "\"event\":\"died\"", text);
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
    expect_line(&r, "\"event\":\"ended\"", text);
    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
}

Test(ctl_follow, events_ends_when_it_was_told_to)
{
    EXPECT("events --timeout 20ms", 0, "");
    EXPECT_SAYS("events x", 2, "one too many");
    EXPECT_SAYS("--offline events", 36, "needs a daemon");
    instance_kill(instance);
    EXPECT_SAYS("events", 41, "no broker answers");
}
