/*
 * test_destroy.c - what destroys: what needs --yes, what is asked for on a terminal, and dry runs
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_destroy, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void make_objects(void)
{
    EXPECT("queue put jobs.a 1", 0, "");
    EXPECT("queue put jobs.b 1", 0, "");
    EXPECT("lock create till", 0, "");
}

static unsigned count_objects(void)
{
    struct run r = run("ls");
    unsigned n = 0;

    for (const char *p = r.out; *p != '\0'; p++)
        n += *p == '\n';
    run_free(&r);
    return n;
}

Test(ctl_destroy, what_is_named_goes_without_a_question_in_scripts)
{
    make_objects();
    EXPECT("rm jobs.a till", 0, "");
    EXPECT("ls --columns name", 0, "jobs.b\n");
    EXPECT("rm jobs.b jobs.b", 0, "");
    EXPECT("ls", 0, "");
}

Test(ctl_destroy, what_others_use_needs_yes_in_scripts)
{
    broker_dict *d;
    broker *b;

    make_objects();
    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_dict_open(b, "used", NULL, &d), 0);
    EXPECT_SAYS("rm used jobs.a", 2, "programs have it open: to destroy this, say --yes");
    cr_assert_eq(count_objects(), 4);
    EXPECT("rm --yes used", 0, "");
    cr_assert_eq(broker_dict_set(d, broker_int(1), broker_int(1)), BROKER_GONE);
    cr_assert_eq(count_objects(), 3);
    broker_dict_close(d);
    broker_close(b);
}

Test(ctl_destroy, patterns_need_yes_in_scripts)
{
    make_objects();
    EXPECT_SAYS("rm jobs.*", 2, "a pattern may mean more than you think");
    EXPECT_SAYS("rm -y none*", 10, "there is no object that matches \"none*\"");
    cr_assert_eq(count_objects(), 3);
    EXPECT("rm -y jobs.*", 0, "");
    EXPECT("ls --columns name", 0, "till\n");
    EXPECT("dict create *", 0, "");
    EXPECT("rm *", 0, "");
    EXPECT("ls --columns name", 0, "till\n");
}

Test(ctl_destroy, a_dry_run_shows_and_changes_nothing)
{
    make_objects();
    EXPECT("rm --dry-run jobs.* till", 0,
        "jobs.a\tqueue\t1\t20992\t0\t0\njobs.b\tqueue\t1\t20992\t0\t0\ntill\tlock\t-\t512\t0\t0\n");
    EXPECT("rm --dry-run --json till", 0,
        "[{\"name\":\"till\",\"type\":\"lock\",\"contents\":null,\"bytes\":512,\"sessions\":0,"
        "\"waiters\":0}]\n");
    EXPECT("queue clear jobs.a --dry-run", 0, "jobs.a\tqueue\t1\t20992\t0\t0\n");
    EXPECT("queue qsize jobs.a", 0, "1\n");
    cr_assert_eq(count_objects(), 3);
}

Test(ctl_destroy, on_a_terminal_contents_are_asked_for)
{
    char seen[4096];

    make_objects();
    cr_assert_eq(run_answer("rm jobs.a", "n\n", seen, sizeof(seen)), 1);
    cr_assert_not_null(strstr(seen, "queue \"jobs.a\", contains: 1"), "%s", seen);
    cr_assert_not_null(strstr(seen, "Go on? [y/N]"), "%s", seen);
    cr_assert_not_null(strstr(seen, "nothing was changed"), "%s", seen);
    cr_assert_eq(run_answer("rm jobs.a", "\n", seen, sizeof(seen)), 1);
    cr_assert_eq(count_objects(), 3);
    cr_assert_eq(run_answer("rm jobs.a", "y\n", seen, sizeof(seen)), 0);
    cr_assert_eq(count_objects(), 2);
    cr_assert_eq(run_answer("rm till", "", seen, sizeof(seen)), 0, "nothing is in it");
    cr_assert_str_empty(seen);
    cr_assert_eq(run_answer("queue clear jobs.b", "n\n", seen, sizeof(seen)), 1);
    cr_assert_not_null(strstr(seen, "This will clear:"), "%s", seen);
    EXPECT("queue qsize jobs.b", 0, "1\n");
    cr_assert_eq(run_answer("queue clear jobs.b --yes", "", seen, sizeof(seen)), 0);
    EXPECT("queue qsize jobs.b", 0, "0\n");
}

Test(ctl_destroy, clear_needs_no_yes_in_scripts)
{
    make_objects();
    EXPECT("queue clear jobs.a", 0, "1\n");
    EXPECT_SAYS("queue clear nothing", 10, "there is no queue \"nothing\"");
    EXPECT_SAYS("event clear till --yes", 2, "--yes");
}
