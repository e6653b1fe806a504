/*
 * test_offline.c - looking at what a daemon left: everything that is only looked at, nothing that
 * changes
 */
#include <stdio.h>
#include <string.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_offline, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* Runs "--offline=FILE LINE" with the arena of the instance. */
static struct run run_offline(const char *line)
{
    char all[1024];

    (void)snprintf(all, sizeof(all), "--offline=%s %s", instance_arena_path(instance), line);
    return run(all);
}

static void expect_offline(const char *line, int code, const char *out, const char *said)
{
    struct run r = run_offline(line);

    cr_assert_eq(r.code, code, "%s: %d: %s", line, r.code, r.err);
    cr_assert_str_eq(r.out, out, "%s: %s", line, r.out);
    cr_assert_not_null(strstr(r.err, said), "%s: %s", line, r.err);
    run_free(&r);
}

static void leave_something(void)
{
    EXPECT("dict set stock tickets 100", 0, "");
    EXPECT("queue put jobs \"first\"", 0, "");
    EXPECT("lock create till", 0, "");
    instance_kill(instance);
}

Test(ctl_offline, what_a_dead_daemon_left_can_be_read)
{
    struct run r;

    leave_something();
    EXPECT_SAYS("ls", 41, "no broker answers");
    r = run_offline("ls");
    cr_assert(r.code == 0 && run_starts(r.out, "jobs\tqueue\t"), "%d: %s%s", r.code, r.out, r.err);
    cr_assert_str_empty(r.err);
    run_free(&r);
    expect_offline("dict get stock tickets", 0, "100\n", "");
    expect_offline("queue peek jobs", 0, "first", "");
    expect_offline("queue qsize jobs", 0, "1\n", "");
    expect_offline("lock locked till", 0, "false\n", "");
    expect_offline("clients", 0, "", "");
    expect_offline("locks", 0, "", "");
    r = run_offline("stat jobs");
    cr_assert_not_null(strstr(r.out, "\nitems\t1\n"), "%s", r.out);
    run_free(&r);
}

Test(ctl_offline, nothing_can_be_changed_or_waited_for)
{
    leave_something();
    expect_offline("dict set stock tickets 1", 36, "", "needs a daemon");
    expect_offline("dict create other", 36, "", "needs a daemon");
    expect_offline("queue get jobs", 36, "", "needs a daemon");
    expect_offline("queue join jobs", 36, "", "needs a daemon");
    expect_offline("lock run till true", 36, "", "needs a daemon");
    expect_offline("rm till", 36, "", "needs a daemon");
    expect_offline("mv till door", 36, "", "(ACCESS)");
    expect_offline("collect", 36, "", "(ACCESS)");
    instance_restart(instance);
    EXPECT("dict get stock tickets", 0, "100\n");
    EXPECT("ls till --json", 0, "[{\"name\":\"till\",\"type\":\"lock\",\"bytes\":512}]\n");
}

Test(ctl_offline, while_programs_are_attached_that_is_said)
{
    broker *b;

    cr_assert_eq(broker_open(NULL, &b), 0);
    expect_offline("locks", 0, "", "programs are attached to");
    expect_offline("-q locks", 0, "", "");
    broker_close(b);
}

Test(ctl_offline, an_arena_is_named_by_its_instance)
{
    EXPECT_SAYS("--offline --instance nobodys ls", 10, "/dev/shm/brokerd.nobodys.default");
    EXPECT_SAYS("--offline --instance nobodys --arena x ls", 10, "/dev/shm/brokerd.nobodys.x");
    EXPECT_SAYS("--instance nobodys ls", 2, "need --offline");
    EXPECT_SAYS("--offline=/dev/null ls", 39, "cut short");
}
