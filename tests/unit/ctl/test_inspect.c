/*
 * test_inspect.c - what there is and who uses it
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_inspect, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void make_objects(void)
{
    EXPECT("dict set stock.a k 1", 0, "");
    EXPECT("dict set stock.b k 1", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("lock create till", 0, "");
}

/* The first column of what a line prints, one word after the other. */
static void expect_names(const char *line, const char *wanted)
{
    struct run r = run(line);
    char names[512] = "";

    cr_assert_eq(r.code, 0, "%s: %s", line, r.err);
    for (char *row = strtok(r.out, "\n"); row != NULL; row = strtok(NULL, "\n")) {
        (void)strncat(names, row, strcspn(row, "\t"));
        (void)strcat(names, " ");
    }
    cr_assert_str_eq(names, wanted, "%s", line);
    run_free(&r);
}

Test(ctl_inspect, ls_filters_by_prefix_glob_and_type)
{
    EXPECT("ls", 0, "");
    make_objects();
    expect_names("ls", "jobs stock.a stock.b till ");
    expect_names("ls stock", "stock.a stock.b ");
    expect_names("ls stock.b", "stock.b ");
    expect_names("ls *.a", "stock.a ");
    expect_names("ls stock.[bc]", "stock.b ");
    expect_names("ls *", "jobs stock.a stock.b till ");
    expect_names("ls nothing*", "");
    expect_names("ls --type dict", "stock.a stock.b ");
    expect_names("ls --type lock", "till ");
    expect_names("ls --type queue s", "");
    EXPECT_SAYS("ls --type dictt", 2, "there is no type");
    EXPECT_SAYS("ls a b", 2, "one too many");
    EXPECT("ls --json --type lock", 0, "[{\"name\":\"till\",\"type\":\"lock\",\"bytes\":512}]\n");
    EXPECT("ls --json none", 0, "[]\n");
    EXPECT("ls -q", 0, "");
}

Test(ctl_inspect, ls_shows_the_columns_that_are_asked_for)
{
    make_objects();
    EXPECT("ls --columns name,contents", 0, "jobs\t1\nstock.a\t1\nstock.b\t1\ntill\t-\n");
    EXPECT("ls --columns name,items --json jobs", 0, "[{\"name\":\"jobs\",\"items\":1}]\n");
    EXPECT("ls --columns type --sort -type", 0, "queue\nlock\ndict\ndict\n");
    EXPECT("ls --columns name,contents --sort contents", 0,
        "till\t-\njobs\t1\nstock.a\t1\nstock.b\t1\n");
    expect_names("ls --sort -name", "till stock.b stock.a jobs ");
    expect_names("ls --long till", "till ");
    EXPECT_SAYS("ls --columns name,itemz", 2, "no object has a column \"itemz\"");
    EXPECT_SAYS("ls --sort items", 2, "none of the columns");
    EXPECT_SAYS("ls --columns ,", 2, "--columns needs names");
    EXPECT_SAYS("ls --anonymous --long", 2, "stands alone");
}

Test(ctl_inspect, stat_tells_all_numbers)
{
    make_objects();
    EXPECT_SHOWS("stat jobs", 0, "\nname\tjobs\ntype\tqueue\nbytes\t", "\nitems\t1\n");
    EXPECT_SHOWS("stat jobs --json", 0, "\n{\"name\":\"jobs\",\"type\":\"queue\",\"bytes\":");
    EXPECT_SAYS("stat job", 10, "did you mean \"jobs\"?");
    EXPECT_SAYS("stat", 2, "NAME");
}

Test(ctl_inspect, clients_shows_who_is_attached_and_what_it_holds)
{
    char wanted[64];
    broker_lock *lock;
    broker *b;

    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_lock_open(b, "till", NULL, &lock), 0);
    cr_assert_eq(broker_lock_acquire(lock, 0, NULL), 0);
    (void)snprintf(wanted, sizeof(wanted), "\t%d\t%d\t", (int)getpid(), (int)getuid());
    EXPECT_SHOWS("clients", 0, wanted);
    EXPECT_SHOWS("clients --long", 0, wanted, "\tsleeping\t", "\trunning\t");
    EXPECT_SHOWS("clients -l --json", 0, "\"state\":\"sleeping\",\"unit\":");
    (void)snprintf(wanted, sizeof(wanted), "\t%d\t", (int)getpid());
    EXPECT_SHOWS("locks", 0, wanted, "\tyes\t1\t0\n");
    cr_assert_eq(broker_lock_release(lock), 0);
    EXPECT("locks", 0, "");
    EXPECT("locks --json", 0, "[]\n");
    EXPECT("locks --deadlocks", 0, "");
    broker_lock_close(lock);
    broker_close(b);
}

Test(ctl_inspect, anonymous_objects_are_seen_and_collected)
{
    broker_dict *d, *outer;
    struct run r;
    broker *b;

    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_dict_open(b, NULL, NULL, &d), 0);
    cr_assert_eq(broker_dict_open(b, "outer", NULL, &outer), 0);
    cr_assert_eq(broker_dict_set(outer, broker_str("inner"), broker_ref(d)), 0);
    EXPECT_SHOWS("ls --anonymous", 0, "\tdict\t");
    expect_names("ls", "outer ");
    EXPECT_SAYS("ls --anonymous --type dict", 2, "stands alone");
    EXPECT_SHOWS("dict get outer inner", 0, "{\"$ref\":\"");
    EXPECT("collect", 0, "0\n");
    broker_dict_close(d);
    EXPECT("collect", 0, "0\n");
    EXPECT("check -q", 0, "");
    EXPECT("rm --yes outer", 0, "");
    r = run("collect"); /* or the daemon was faster */
    cr_assert_eq(r.code, 0);
    run_free(&r);
    EXPECT("ls --anonymous", 0, "");
    EXPECT("check -q", 0, "");
    broker_dict_close(outer);
    broker_close(b);
}

/* A process that takes one lock, meets the other process, and waits for that one's lock. */
static pid_t start_crossing(broker *b, const char *first, const char *second)
{
    broker_barrier_options two = {.parties = 2};
    broker_lock *locks[2];
    broker_barrier *each_has_one;
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (broker_lock_open(b, first, NULL, &locks[0]) == 0 &&
        broker_lock_open(b, second, NULL, &locks[1]) == 0 &&
        broker_barrier_open(b, "each has one", &two, &each_has_one) == 0 &&
        broker_lock_acquire(locks[0], 0, NULL) == 0 &&
        broker_barrier_wait(each_has_one, BROKER_FOREVER, NULL) == 0)
        (void)broker_lock_acquire(locks[1], BROKER_FOREVER, NULL);
    _exit(1); /* nobody lets it come here */
}

/* The columns of a table without headings: circle, pid, command, thread, type, name, by_pid, ... */
static void expect_crossing(const char *table, pid_t pid, const char *name, pid_t by_pid)
{
    char begin[64], end[64];
    const char *row = table, *found;

    (void)snprintf(begin, sizeof(begin), "1\t%d\t", (int)pid);
    (void)snprintf(end, sizeof(end), "\tlock\t%s\t%d\t", name, (int)by_pid);
    while (row != NULL && !run_starts(row, begin)) {
        row = strchr(row, '\n');
        row = row != NULL ? row + 1 : NULL;
    }
    cr_assert_not_null(row, "%s", table);
    found = strstr(row, end);
    cr_assert(found != NULL && found < strchr(row, '\n'), "%s", table);
}

Test(ctl_inspect, locks_shows_who_waits_for_whom_in_a_circle)
{
    broker *b;
    pid_t one, other;
    struct run r = {0};

    cr_assert_eq(broker_open(NULL, &b), 0);
    one = start_crossing(b, "a", "b");
    other = start_crossing(b, "b", "a");
    do { /* until both have been seen asleep */
        run_free(&r);
        r = run("locks --deadlocks");
        cr_assert_eq(r.code, 0, "%s", r.err);
        cr_assert_eq(waitpid(-1, NULL, WNOHANG), 0, "neither can go on");
    } while (*r.out == '\0');
    expect_crossing(r.out, one, "b", other);
    expect_crossing(r.out, other, "a", one);
    run_free(&r);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(kill(i == 0 ? one : other, SIGKILL), 0);
        cr_assert_eq(waitpid(i == 0 ? one : other, NULL, 0), i == 0 ? one : other);
    }
    broker_close(b);
}

Test(ctl_inspect, rm_removes_what_it_can_and_tells_the_rest)
{
    make_objects();
    EXPECT_SAYS("rm jobs nothing stock.a", 10, "there is no object \"nothing\"");
    expect_names("ls", "stock.b till ");
    EXPECT("rm stock.b till", 0, "");
    EXPECT("ls", 0, "");
    EXPECT_SAYS("rm", 2, "NAME");
}

Test(ctl_inspect, mv_gives_an_object_another_name)
{
    make_objects();
    EXPECT("mv jobs work", 0, "");
    expect_names("ls", "stock.a stock.b till work ");
    EXPECT("queue get work", 0, "1\n");
    EXPECT_SAYS("mv jobs work", 10, "there is no object \"jobs\"");
    EXPECT_SAYS("mv work till", 11, "(EXISTS)");
    EXPECT_SAYS("mv work work", 11, "(EXISTS)");
    EXPECT_SAYS("mv work \001", 33, "(BADNAME)");
    EXPECT_SAYS("mv work", 2, "NEW_NAME");
    EXPECT_SAYS("mv a b c", 2, "one too many");
    expect_names("ls", "stock.a stock.b till work ");
}

Test(ctl_inspect, quota_tells_what_users_have_and_may_have)
{
    char wanted[200];

    instance_reload(instance,
        "[arena default]\nsize = 16M\nmax_objects_per_user = 3\nmax_bytes_per_user = 1M\n"
        "max_sessions_per_user = 5\n");
    EXPECT("lock create till", 0, "");
    EXPECT("lock create door", 0, "");
    (void)snprintf(wanted, sizeof(wanted),
        "[{\"uid\":%u,\"objects\":2,\"max_objects\":3,\"bytes\":0,\"max_bytes\":1048576,"
        "\"sessions\":1,\"max_sessions\":5}]\n",
        (unsigned)geteuid());
    EXPECT("quota --json", 0, wanted);
    (void)snprintf(wanted, sizeof(wanted), "%u\t2\t3\t0\t1048576\t1\t5\n", (unsigned)geteuid());
    EXPECT("quota", 0, wanted);
    EXPECT("lock create window", 0, "");
    (void)snprintf(
        wanted, sizeof(wanted), "uid %u may have 3 objects, and has 3", (unsigned)geteuid());
    EXPECT_SAYS("lock create roof", 38, wanted);
    EXPECT_SAYS("quota x", 2, "one too many");
}

Test(ctl_inspect, no_command_tells_the_state)
{
    char wanted[64];
    struct run r = run("");

    cr_assert_eq(r.code, 0);
    (void)snprintf(wanted, sizeof(wanted), "process: %d", (int)instance_pid(instance));
    cr_assert_not_null(strstr(r.out, wanted), "%s", r.out);
    cr_assert_not_null(strstr(r.out, instance_address(instance)));
    run_free(&r);
    r = run("--json");
    (void)snprintf(wanted, sizeof(wanted), "\"pid\":%d,", (int)instance_pid(instance));
    cr_assert_not_null(strstr(r.out, wanted), "%s", r.out);
    run_free(&r);
}
