/*
 * test_worker.c - a command for each item: what it gets, and what becomes of the item
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(ctl_worker, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void expect_words(const char *const words[], int code, const char *out, const char *said)
{
    struct run r = run_words(words);

    cr_assert_eq(r.code, code, "%d: %s", r.code, r.err);
    cr_assert_str_eq(r.out, out);
    cr_assert_not_null(strstr(r.err, said), "%s", r.err);
    run_free(&r);
}

#define SCRIPT(text) "sh", "-c", (text), NULL

Test(ctl_worker, items_come_on_stdin_one_after_the_other)
{
    EXPECT("queue put jobs first", 0, "");
    EXPECT("queue put jobs {\"a\":[1,2]}", 0, "");
    EXPECT("queue put jobs {\"$bin\":\"AAE=\"}", 0, "");
    EXPECT("worker jobs --until-empty --count 2 -- cat", 0, "first{\"a\":[1,2]}\n");
    EXPECT("worker jobs --until-empty -- od -An -tx1", 0, " 00 01\n");
    EXPECT("worker jobs --until-empty -- cat", 0, "");
}

Test(ctl_worker, the_command_knows_queue_and_delivery)
{
    const char *const words[] = {"worker", "jobs", "--until-empty", "--",
        SCRIPT("echo $BROKER_QUEUE $BROKER_DELIVERIES; test $BROKER_ADDRESS = $WANTED")};

    (void)setenv("WANTED", instance_address(instance), 1);
    EXPECT("queue put jobs 1", 0, "");
    expect_words(words, 0, "jobs 1\n", "");
}

Test(ctl_worker, an_item_whose_command_failed_comes_back)
{
    const char *const words[] = {"worker", "jobs", "--until-empty", "--delay", "0", "--",
        SCRIPT("read item; echo $item $BROKER_DELIVERIES; test $BROKER_DELIVERIES = 3")};

    EXPECT("queue create jobs --joinable", 0, "");
    EXPECT("queue put jobs 7", 0, "");
    expect_words(words, 1, "7 1\n7 2\n7 3\n", "sh ended with 1: its item goes back to \"jobs\"");
    EXPECT("queue join jobs --timeout 0", 0, "");
    EXPECT("queue put jobs 8", 0, "");
    EXPECT("worker jobs --until-empty --delay 1h false", 1, "");
    EXPECT("worker jobs --until-empty cat", 0, "");
    EXPECT("queue qsize jobs", 0, "0\n");
}

Test(ctl_worker, an_item_that_fails_too_often_is_dead)
{
    EXPECT("queue create jobs --max-deliveries 2", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("worker jobs --until-empty --delay 0 -q false", 1, "");
    EXPECT("queue take-dead jobs", 0, "1\n");
}

Test(ctl_worker, a_command_that_cannot_be_run_takes_nothing)
{
    EXPECT("queue put jobs 1", 0, "");
    EXPECT_SAYS("worker jobs -- /nonexistent/program", 127, "cannot run /nonexistent/program");
    EXPECT_SAYS("worker jobs -- /dev/null", 126, "cannot run /dev/null");
    EXPECT("queue qsize jobs", 0, "1\n");
}

Test(ctl_worker, several_commands_run_at_once)
{
    /* Each waits until all three have started. */
    const char *const words[] = {"worker", "jobs", "--until-empty", "--jobs", "3", "--",
        SCRIPT("exec \"$BROKERCTL\" barrier wait all >/dev/null")};

    EXPECT("barrier create all --parties 3", 0, "");
    for (int i = 0; i < 3; i++)
        EXPECT("queue put jobs 1", 0, "");
    expect_words(words, 0, "", "");
    EXPECT("queue qsize jobs", 0, "0\n");
}

Test(ctl_worker, the_end_of_the_queue_is_the_end)
{
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("queue shutdown jobs", 0, "");
    EXPECT("worker jobs cat", 0, "1\n");
    EXPECT_SAYS("worker nothing cat", 10, "there is no queue \"nothing\"");
    EXPECT("dict create d", 0, "");
    EXPECT_SAYS("worker d cat", 31, "is no queue but a dict");
}

/* A worker whose command says that it is there, and goes on when the event is set. */
static struct running start_waiting(const char *option, const char *value)
{
    const char *const words[] = {"worker", "jobs", option, value, "--",
        SCRIPT("echo ready; exec \"$BROKERCTL\" event wait go")};
    struct running r;

    EXPECT("queue put jobs 1", 0, "");
    EXPECT("event create go", 0, "");
    r = run_start(words);
    run_expect_line(&r, "ready");
    return r;
}

Test(ctl_worker, the_first_signal_waits_for_commands)
{
    struct running r = start_waiting("--jobs", "1");
    int status;

    EXPECT("queue put jobs 2", 0, "");
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    EXPECT("event set go", 0, "");
    status = run_end(&r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    EXPECT("queue get jobs --timeout 0", 0, "2\n");
    EXPECT("queue qsize jobs", 0, "0\n");
}

Test(ctl_worker, the_second_signal_ends_commands_and_gives_their_items_back)
{
    struct running r = start_waiting("--jobs", "1");
    int status;

    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    while (kill(r.pid, SIGINT) == 0 && waitpid(r.pid, &status, WNOHANG) == 0)
        (void)sched_yield();
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    EXPECT("queue get jobs --timeout 0", 0, "1\n");
}

Test(ctl_worker, a_worker_that_is_killed_gives_its_items_back)
{
    struct running r = start_waiting("--jobs", "2");

    cr_assert_eq(kill(r.pid, SIGKILL), 0);
    (void)run_end(&r);
    EXPECT("queue get jobs --timeout 30s", 0, "1\n");
}

Test(ctl_worker, leases_with_an_end_are_extended)
{
    struct running r = start_waiting("--hold", "3s");
    int status;

    EXPECT("queue get jobs --timeout 4s", 14, "");
    EXPECT("event set go", 0, "");
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    status = run_end(&r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    EXPECT("queue get jobs --timeout 0", 12, "");
}

Test(ctl_worker, an_item_of_a_worker_that_is_stopped_goes_to_another)
{
    struct running r = start_waiting("--hold", "1s");
    int status;

    cr_assert_eq(kill(r.pid, SIGSTOP), 0);
    EXPECT("queue get jobs --timeout 30s", 0, "1\n");
    cr_assert_eq(kill(r.pid, SIGCONT), 0);
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    status = run_end(&r); /* its command got SIGTERM */
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%x", status);
    EXPECT("queue qsize jobs", 0, "0\n");
}

Test(ctl_worker, options_are_checked)
{
    EXPECT_SAYS("worker jobs", 2, "COMMAND");
    EXPECT_SAYS("worker", 2, "QUEUE");
    EXPECT_SAYS("worker jobs --jobs 0 cat", 2, "--jobs: 1 to 1024");
    EXPECT_SAYS("worker jobs --hold 1ms cat", 2, "--hold: at least 1s");
    EXPECT_SAYS("worker jobs --delay forever cat", 2, "--delay: it must end");
    EXPECT_SAYS("worker jobs --count x cat", 2, "--count");
}
