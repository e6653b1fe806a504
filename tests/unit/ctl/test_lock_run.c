/*
 * test_lock_run.c - a program that runs while a lock is held: its end is ours, and ours is its own
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(ctl_lock_run, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/*
 * A holder of the lock `till`, which lives until it is told otherwise, or until the test ends. A
 * shell sees signals only between commands and while it waits: `cat` is what it waits for.
 */
#define HOLD "exec 3<&0; cat <&3 >/dev/null & echo ready; wait"

static struct running start_holder(const char *script)
{
    const char *const words[] = {"lock", "run", "till", "--", "sh", "-c", script, NULL};
    struct running r = run_start(words);

    run_expect_line(&r, "ready");
    return r;
}

Test(ctl_lock_run, the_exit_code_is_the_programs)
{
    EXPECT("lock run till true", 0, "");
    EXPECT("lock run till -- false", 1, "");
    EXPECT("lock run till -- sh -c exit", 0, "");
    EXPECT("lock run till echo -n --json", 0, "--json");
    EXPECT_SAYS("lock run till -- /nonexistent/program", 127, "cannot run /nonexistent/program");
    EXPECT_SAYS("lock run till -- /dev/null", 126, "cannot run /dev/null");
    EXPECT_SAYS("lock run till", 2, "COMMAND");
    EXPECT_SAYS("lock run", 2, "NAME");
    EXPECT_SAYS("lock run till --timeout x true", 2, "--timeout");
    EXPECT("lock locked till", 0, "false\n");
}

Test(ctl_lock_run, the_lock_is_held_meanwhile_and_free_afterwards)
{
    struct running holder = start_holder(HOLD);
    char wanted[128];
    int status;

    EXPECT("lock locked till", 0, "true\n");
    (void)snprintf(wanted, sizeof(wanted), "held by process %d", (int)holder.pid);
    EXPECT_SAYS("lock run till --timeout 1ms true", 14, wanted);
    EXPECT_SAYS("lock acquire till --timeout 0", 14, wanted);
    EXPECT_SAYS("lock release till", 18, "brokerctl locks");
    EXPECT_SHOWS("locks", 0, "\ntill\t");
    cr_assert_eq(kill(holder.pid, SIGTERM), 0);
    status = run_end(&holder);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "%x", status);
    EXPECT("lock run till --timeout 0 true", 0, "");
}

Test(ctl_lock_run, signals_are_passed_on_to_the_program)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct running r =
            start_holder("trap 'echo got; kill $!; exit 5' HUP INT QUIT TERM USR1 USR2;" HOLD);
        int status;

        cr_assert_eq(kill(r.pid, signals[i]), 0);
        run_expect_line(&r, "got");
        status = run_end(&r);
        cr_assert(
            WIFEXITED(status) && WEXITSTATUS(status) == 5, "signal %d: %x", signals[i], status);
    }
    EXPECT("lock run till --timeout 0 true", 0, "");
}

Test(ctl_lock_run, a_key_of_the_terminal_reaches_the_program_once)
{
    const char *const words[] = {"lock", "run", "till", "--", "sh", "-c",
        "trap 'n=$((n + 1)); echo key' INT; trap 'echo $n; kill $!; exit 3' TERM;"
        "exec 3<&0; cat <&3 >/dev/null & echo ready; while true; do wait; done",
        NULL};
    struct running r = run_start_terminal(words);
    int status;

    run_expect_line(&r, "ready");
    cr_assert_eq(write(r.in, "\x03", 1), 1);
    run_expect_line(&r, "key");
    cr_assert_eq(kill(r.pid, SIGTERM), 0);
    run_expect_line(&r, "1");
    status = run_end(&r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3, "%x", status);
}

Test(ctl_lock_run, it_dies_as_the_program_died)
{
    const char *const words[] = {"lock", "run", "till", "--", "sh", "-c", "kill -ABRT $$", NULL};
    struct run r = run_words(words);

    cr_assert_eq(r.signal, SIGABRT);
    run_free(&r);
    EXPECT("lock run till --timeout 0 true", 0, "");
}

Test(ctl_lock_run, killed_it_takes_the_program_along_and_the_next_owner_is_told)
{
    const char *const next[] = {
        "lock", "run", "till", "--", "sh", "-c", "echo $BROKER_LOCK_OWNER_DIED", NULL};
    struct running holder = start_holder("trap 'echo got; kill $!; exit' TERM;" HOLD);
    struct run r;

    cr_assert_eq(kill(holder.pid, SIGKILL), 0);
    run_expect_line(&holder, "got");
    (void)run_end(&holder);
    r = run_words(next);
    cr_assert_eq(r.code, 0);
    cr_assert_str_eq(r.out, "1\n");
    cr_assert_not_null(
        strstr(r.err, "the last owner of the lock \"till\" died holding it"), "%s", r.err);
    run_free(&r);
    r = run_words(next);
    cr_assert_str_eq(r.out, "0\n");
    cr_assert_str_empty(r.err);
    run_free(&r);
}

Test(ctl_lock_run, the_program_knows_the_token_and_the_broker)
{
    const char *const token[] = {
        "lock", "run", "till", "--", "sh", "-c", "echo $BROKER_LOCK_TOKEN", NULL};
    const char *const address[] = {"--address", instance_address(instance), "lock", "run", "till",
        "--", "sh", "-c", "echo $BROKER_ADDRESS", NULL};
    char wanted[300];
    struct run r = run_words(token);

    cr_assert_str_eq(r.out, "1\n");
    run_free(&r);
    r = run_words(token);
    cr_assert_str_eq(r.out, "2\n");
    run_free(&r);
    cr_assert_eq(unsetenv("BROKER_ADDRESS"), 0);
    r = run_words(address);
    (void)snprintf(wanted, sizeof(wanted), "%s\n", instance_address(instance));
    cr_assert_str_eq(r.out, wanted);
    run_free(&r);
}

Test(ctl_lock_run, a_lock_lost_meanwhile_is_told)
{
    const char *const words[] = {
        "lock", "run", "till", "--", "sh", "-c", "\"$BROKERCTL\" lock release till", NULL};
    struct run r;

    EXPECT("lock create till --handover", 0, "");
    r = run_words(words);
    cr_assert_eq(r.code, 19, "%d: %s", r.code, r.err);
    cr_assert_not_null(strstr(r.err, "was not ours any more"), "%s", r.err);
    run_free(&r);
}

Test(ctl_lock_run, acquire_alone_says_that_it_does_not_last)
{
    EXPECT_SAYS("queue acquire till", 2, "queue has no command \"acquire\"");

    struct run r = run("lock acquire till");

    cr_assert_eq(r.code, 0);
    cr_assert_str_eq(r.out, "1\n");
    cr_assert_not_null(strstr(r.err, "brokerctl lock run till"), "%s", r.err);
    run_free(&r);
    EXPECT("lock create keep --keep-on-death", 0, "");
    EXPECT("lock acquire keep", 0, "1\n");
    EXPECT_SAYS("lock acquire keep --timeout 0", 14, "`brokerctl lock release keep` frees it");
    EXPECT_SAYS("lock run keep --timeout 0 true", 14, "`brokerctl lock release keep` frees it");
    EXPECT("lock release keep", 0, "");
    EXPECT_SAYS("lock release keep", 19, "nobody holds it");
}
