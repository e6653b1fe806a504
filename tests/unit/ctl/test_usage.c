/*
 * test_usage.c - commands that are not written as they should be, and a broker that is not there
 */
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(ctl_usage, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

Test(ctl_usage, typing_errors_are_understood)
{
    EXPECT_SAYS("qeue get jobs", 2, "did you mean \"queue\"?");
    EXPECT_SAYS("sta jobs", 2, "did you mean \"status\"?");
    EXPECT_SAYS("satt jobs", 2, "did you mean \"stat\"?");
    EXPECT_SAYS("queue gett jobs", 2, "did you mean \"queue get\"?");
    EXPECT_SAYS("queue task_dne jobs", 2, "did you mean \"queue task-done\"?");
    EXPECT_SAYS("queue crate jobs", 2, "did you mean \"queue create\"?");
    EXPECT_SAYS("lock runn jobs", 2, "did you mean \"lock run\"?");
    EXPECT_SAYS("dict frobnicate d", 2, "`brokerctl help dict` lists what it has");
    EXPECT_SAYS("frobnicate", 2, "`brokerctl help` lists them");
    EXPECT_SAYS("get jobs", 2, "brokerctl dict get NAME");
    EXPECT_SAYS("qsize jobs", 2, "brokerctl queue qsize NAME");
    EXPECT_SAYS("help frobnicate", 2, "there is no command \"frobnicate\"");
    EXPECT_SAYS("queue", 2, "`brokerctl help queue`");
    EXPECT_SAYS("queue --json get jobs", 2, "options come behind");
}

Test(ctl_usage, wrong_arguments_name_the_right_ones)
{
    EXPECT_SAYS("dict get d", 2, "write brokerctl dict get NAME KEY");
    EXPECT_SAYS("dict get d a b", 2, "\"b\" is one too many");
    EXPECT_SAYS("dict get d a --frobnicate", 2, "--frobnicate");
    EXPECT_SAYS("dict get d a --timeout 3s", 2, "--timeout");
    EXPECT_SAYS("dict get d a --json=x", 2, "--json");
    EXPECT_SAYS("dict add d k 1 -x", 2, "x");
    EXPECT_SAYS("dict set d k -q5", 2, "-q5");
    EXPECT_SAYS("clients x", 2, "one too many");
    EXPECT_SAYS("--frobnicate ls", 2, "--frobnicate");
    EXPECT_SAYS("--address", 2, "--address");
    EXPECT("dict set d -- -x", 2, "");
    EXPECT("dict set d k -- -x", 0, "");
    EXPECT("dict get d k", 0, "-x");
    EXPECT("ls", 0, NULL);
}

Test(ctl_usage, a_script_can_ask_for_a_version_of_json)
{
    EXPECT("--json=1 ls", 0, "[]\n");
    EXPECT("ls --json=1", 0, "[]\n");
    EXPECT("ls -j", 0, "[]\n");
    EXPECT_SAYS("ls --json=2", 2, "this program prints version 1");
}

Test(ctl_usage, a_missing_daemon_is_told_and_how_to_start_one)
{
    instance_kill(instance);
    EXPECT_SAYS("ls", 41, "no broker answers at");
    EXPECT_SAYS("dict set d k v", 41, "start");
    EXPECT_SAYS("status", 41, "no broker answers at");
    EXPECT_SAYS("", 41, "`brokerctl help` lists the commands");
    EXPECT_SAYS("--address unix:/run/brokerd/nothing-here ls", 41, "/run/brokerd/nothing-here");
    EXPECT_SAYS("--address nonsense ls", 42, "\"nonsense\" is not understood");
    instance_restart(instance);
    EXPECT("ls", 0, "");
}

Test(ctl_usage, an_arena_that_is_not_there_is_named)
{
    char line[512];

    (void)snprintf(line, sizeof(line), "--address %s?arena=nothing ls", instance_address(instance));
    EXPECT_SAYS(line, 10, "no arena nothing");
}

#define NOBODY 65534
#define CANNOT_TELL 77

/* Runs brokerctl as another user; ends with 0 if it is refused in the right words. */
static _Noreturn void try_as_nobody(void)
{
    struct run runs[2];

    if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ||
        access(getenv("BROKERCTL"), X_OK) < 0)
        _exit(CANNOT_TELL);
    runs[0] = run("ls");
    runs[1] = run_terminal("ls");
    for (unsigned i = 0; i < 2; i++)
        if (runs[i].code != 36 || strstr(runs[i].err, "brokerd.conf") == NULL ||
            strstr(runs[i].err, "user 65534 may not use the arena default") == NULL)
            _exit(1);
    _exit(0);
}

Test(ctl_usage, who_may_not_is_told_who_may)
{
    pid_t child;
    int status;

    if (geteuid() != 0)
        cr_skip_test("needs root, to be somebody else");
    instance_reload(instance, "[arena default]\nsize = 16M\nwrite = root\n");
    cr_assert_eq(chmod(instance_dir(instance), 0755), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        try_as_nobody();
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT_TELL)
        cr_skip_test("another user cannot run the program from where it was built");
    cr_assert_eq(WEXITSTATUS(status), 0);
}
