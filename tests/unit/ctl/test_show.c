/*
 * test_show.c - one object from all sides, leases, memory, and the state of the daemon
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_show, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* Runs a line, and expects this text (printf, with the test's pid) in what it prints. */
static void expect_text(const char *line, const char *format)
{
    struct run r = run(line);
    char wanted[256];

    (void)snprintf(wanted, sizeof(wanted), format, (int)getpid());
    cr_assert_eq(r.code, 0, "%s: %d: %s", line, r.code, r.err);
    cr_assert_not_null(strstr(r.out, wanted), "%s: \"%s\" is not in: %s", line, wanted, r.out);
    run_free(&r);
}

/* A queue of two items, of which this process has leased the first. */
static broker *lease_one(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_queue *jobs;
    broker_value item;
    uint64_t token;
    broker *b;

    EXPECT("queue put jobs 1", 0, "");
    EXPECT("queue put jobs 2", 0, "");
    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_queue_open(b, "jobs", NULL, &jobs), 0);
    cr_assert_eq(
        broker_queue_lease(jobs, 0, 3600 * BROKER_SECOND, &buffer, &item, &token, NULL), 0);
    broker_buffer_free(&buffer);
    return b;
}

Test(ctl_show, an_object_with_its_users_and_leases)
{
    broker *b = lease_one();

    expect_text("show jobs", "name\tjobs\ntype\tqueue\n");
    expect_text("show jobs", "\nitems\t1\n");
    expect_text("show jobs", "\t%d\t");
    expect_text("show jobs --json", "\"delayed\":0,");
    expect_text("show jobs --json", "\"users\":[{\"session\":0,\"pid\":%d,\"command\":\"");
    expect_text("show jobs --json", "\"leases\":[{\"object\":\"jobs\",\"number\":");
    broker_close(b);
    EXPECT("show jobs -q", 0, "");
    expect_text("show jobs --json", "\"users\":[],\"leases\":[]}");
    EXPECT_SAYS("show job", 10, "did you mean \"jobs\"?");
    EXPECT_SAYS("show", 2, "NAME");
}

Test(ctl_show, leases_tells_who_has_what)
{
    broker *b = lease_one();

    EXPECT("queue put others 1", 0, "");
    expect_text("leases", "jobs\t");
    expect_text("leases", "\t%d\t");
    expect_text("leases jo", "jobs\t");
    EXPECT("leases others", 0, "");
    EXPECT_TERMINAL("leases", 0, "59m 5");
    broker_close(b);
    EXPECT("leases", 0, "");
    EXPECT("leases --json", 0, "[]\n");
}

Test(ctl_show, mem_sums_by_type_and_user)
{
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("lock create till", 0, "");
    EXPECT("lock create door", 0, "");
    expect_text("mem", "arena\tdefault\nsize_bytes\t16777216\n");
    expect_text("mem", "\nlock\t2\t1024\n");
    expect_text("mem", "\njobs\tqueue\t20992\n");
    expect_text("mem --top 1", "\njobs\tqueue\t20992\n");
    expect_text("mem --json", "\"types\":[{\"type\":\"queue\",\"objects\":1,\"bytes\":20992},");
    expect_text("mem --json --top 1",
        "\"largest\":[{\"name\":\"jobs\",\"type\":\"queue\",\"bytes\":20992}]}");
    expect_text("mem --json --top 0", "\"largest\":[]}");
    EXPECT_SAYS("mem --top x", 2, "--top");
    EXPECT_SAYS("mem --top 10001", 2, "at most");
}

Test(ctl_show, status_tells_of_the_daemon_and_the_arena)
{
    char line[512];

    EXPECT("lock create till", 0, "");
    expect_text("status", "arena default (memory: ");
    expect_text("status", "objects: 1, sessions: 1 of 256)");
    expect_text("status --json", "\"arena\":\"default\",\"size_bytes\":16777216,\"used_bytes\":");
    EXPECT("status -q", 0, "");
    instance_kill(instance);
    (void)snprintf(line, sizeof(line), "--offline=%s status", instance_arena_path(instance));
    expect_text(line, "a copy of file:");
    expect_text(line, "objects: 1, sessions: 0 of 256)");
    EXPECT("status -q", 41, "");
}
