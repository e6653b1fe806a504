/*
 * test_shell.c - the shell and the screen of top, through a terminal and without one
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

static char history_path[256];

static void start(void)
{
    fixture_start();
    (void)snprintf(history_path, sizeof(history_path), "%s/history", instance_dir(instance));
    cr_assert_eq(setenv("BROKERCTL_HISTORY", history_path, 1), 0);
    cr_assert_eq(setenv("TERM", "xterm", 1), 0);
    cr_assert_eq(setenv("HOME", "/nonexistent", 1), 0); /* nobody's ~/.editrc */
}

static void stop(void)
{
    (void)unlink(history_path);
    fixture_stop();
}

TestSuite(ctl_shell, .init = start, .fini = stop, .timeout = 60);

/* Types on a terminal of a command, and gives its exit code and all that was seen until its end. */
static int type(const char *const words[], const char *keys, char *out_seen, size_t size)
{
    struct running r = run_start_terminal(words);
    ssize_t got;
    size_t n = 0;
    int status;

    cr_assert_eq(write(r.in, keys, strlen(keys)), (ssize_t)strlen(keys));
    while (n + 1 < size && (got = read(r.out, out_seen + n, size - n - 1)) > 0)
        n += (size_t)got;
    out_seen[n] = '\0';
    status = run_end(&r);
    cr_assert(WIFEXITED(status), "%x: %s", status, out_seen);
    return WEXITSTATUS(status);
}

static const char *const shell[] = {"shell", NULL};

Test(ctl_shell, without_a_terminal_it_is_a_script)
{
    static const char script[] = "# a comment\n\nqueue put jobs 'two words'\n"
                                 "brokerctl queue qsize jobs\ndict get nothing x\nqueue get jobs\n";
    static const char failing[] = "frobnicate\n", quote[] = "queue put jobs 'x\n",
                      early[] = "queue put jobs 1\nexit\nqueue put jobs 2\n";
    struct run r = run_input("shell", script, strlen(script));

    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert_str_eq(r.out, "1\ntwo words");
    cr_assert_not_null(strstr(r.err, "there is no dict \"nothing\""), "%s", r.err);
    run_free(&r);
    r = run_input("shell", failing, strlen(failing));
    cr_assert_eq(r.code, 2);
    run_free(&r);
    r = run_input("shell", quote, strlen(quote));
    cr_assert_eq(r.code, 2);
    cr_assert_not_null(strstr(r.err, "quotation mark"), "%s", r.err);
    run_free(&r);
    r = run_input("shell", early, strlen(early));
    cr_assert_eq(r.code, 0);
    run_free(&r);
    EXPECT("queue qsize jobs", 0, "1\n");
    r = run_input("shell", "shell\n", 6);
    cr_assert_not_null(strstr(r.err, "this is the shell already"), "%s", r.err);
    run_free(&r);
}

Test(ctl_shell, global_options_hold_for_its_commands)
{
    struct run r = run_input("--json shell", "ls\n", 3);

    cr_assert_str_eq(r.out, "[]\n");
    run_free(&r);
    r = run_input("--address unix:/nonexistent shell", "ls\n", 3);
    cr_assert_eq(r.code, 41);
    run_free(&r);
}

Test(ctl_shell, on_a_terminal_it_runs_what_is_typed)
{
    static const char *const none[] = {NULL};
    char seen[65536];

    cr_assert_eq(type(shell, "queue put jobs 7\rqueue qsize jobs\rexit\r", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "brokerctl> "), "%s", seen);
    cr_assert_not_null(strstr(seen, "\n1\r\n"), "%s", seen);
    cr_assert_eq(type(none, "queue qsize jobs\r\004", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "\n1\r\n"), "%s", seen);
    cr_assert_eq(type(shell, "frobnicate\r\004", seen, sizeof(seen)), 2);
}

Test(ctl_shell, names_and_commands_are_completed)
{
    char seen[65536];

    EXPECT("queue put longname 5", 0, "");
    EXPECT("dict create other", 0, "");
    cr_assert_eq(type(shell, "que\tqs\tlo\t\rexit\r", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "\n1\r\n"), "%s", seen);
    cr_assert_eq(type(shell, "stat \t\025exit\r", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "longname  other"), "%s", seen);
}

Test(ctl_shell, a_key_ends_the_command_and_not_the_shell)
{
    struct running r = run_start_terminal(shell);
    struct run waiting = {0};
    broker_queue *jobs;
    char seen[65536];
    size_t n = 0;
    ssize_t got;
    broker *b;
    int status;

    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_queue_open(b, "jobs", NULL, &jobs), 0);
    cr_assert_eq(write(r.in, "queue get jobs\r", 15), 15);
    do {
        run_free(&waiting);
        waiting = run("ls --columns waiters");
    } while (strcmp(waiting.out, "1\n") != 0);
    run_free(&waiting);
    cr_assert_eq(write(r.in, "\003queue put jobs 3\rqueue qsize jobs\rexit\r", 40), 40);
    while (n + 1 < sizeof(seen) && (got = read(r.out, seen + n, sizeof(seen) - n - 1)) > 0)
        n += (size_t)got;
    seen[n] = '\0';
    status = run_end(&r);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x: %s", status, seen);
    cr_assert_not_null(strstr(seen, "\n1\r\n"), "%s", seen);
    broker_close(b);
}

Test(ctl_shell, what_was_typed_is_remembered_by_its_owner_alone)
{
    char seen[65536], text[4096] = "";
    struct stat st;
    FILE *f;

    cr_assert_eq(type(shell, "queue put jobs 7\rexit\r", seen, sizeof(seen)), 0);
    cr_assert_eq(stat(history_path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    f = fopen(history_path, "r");
    cr_assert(f != NULL && fread(text, 1, sizeof(text) - 1, f) > 0);
    (void)fclose(f);
    cr_assert_not_null(strstr(text, "queue"), "%s", text);
    /* Twice up: the line before "exit" is there again. */
    cr_assert_eq(type(shell, "\020\020\rqueue qsize jobs\rexit\r", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "\n2\r\n"), "%s", seen);
}

/* ---- top ---- */

Test(ctl_shell, top_is_printed_once_without_a_terminal)
{
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("lock create till", 0, "");
    EXPECT("top --interval 10ms", 0,
        "jobs\tqueue\t0.0\t1\t20992\t0\t0\t0.0\t0.0\t0.0\n"
        "till\tlock\t0.0\t-\t512\t0\t0\t0.0\t0.0\t0.0\n");
    EXPECT(
        "top --interval 10ms --sort size t", 0, "till\tlock\t0.0\t-\t512\t0\t0\t0.0\t0.0\t0.0\n");
    EXPECT_SHOWS("top --once --json --interval 10ms", 0,
        "\n{\"arena\":{\"arena\":\"default\",\"size_bytes\":16777216,",
        "\"objects\":[{\"name\":\"jobs\",\"type\":\"queue\",\"changes_per_second\":");
    EXPECT_SAYS("top --sort x", 2, "--sort: changes, waiting");
    EXPECT_SAYS("top --interval 1ms", 2, "at least 10ms");
    EXPECT_SAYS("--offline top", 36, "needs a daemon");
}

Test(ctl_shell, top_measures_changes)
{
    broker_dict *d;
    struct run r;
    broker *b;
    pid_t child;
    int64_t sum;
    char c;
    int fds[2];

    EXPECT("dict create idle", 0, "");
    cr_assert_eq(pipe(fds), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (broker_open(NULL, &b) == 0 && broker_dict_open(b, "busy", NULL, &d) == 0 &&
            broker_dict_set(d, broker_int(1), broker_int(1)) == 0 && write(fds[1], "x", 1) == 1)
            while (broker_dict_add(d, broker_int(1), 1, &sum) == 0)
                continue;
        _exit(1);
    }
    cr_assert_eq(read(fds[0], &c, 1), 1);
    for (double rate = 0; rate < 100; run_free(&r)) { /* it may be long before the child runs */
        r = run("top --interval 200ms");
        rate = run_starts(r.out, "busy\tdict\t") ? strtod(r.out + strlen("busy\tdict\t"), NULL) : 0;
    }
    EXPECT_SHOWS("top --interval 10ms --sort name", 0, "\nidle\tdict\t0.0\t");
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

Test(ctl_shell, top_has_a_screen)
{
    static const char *const top[] = {"top", "--interval", "100ms", NULL};
    char seen[65536];

    EXPECT("queue put jobs 1", 0, "");
    cr_assert_eq(type(top, "s+-p q", seen, sizeof(seen)), 0);
    cr_assert_not_null(strstr(seen, "CHANGES/S"), "%s", seen);
    cr_assert_not_null(strstr(seen, "jobs"), "%s", seen);
    cr_assert_eq(setenv("TERM", "nonsense", 1), 0);
    cr_assert_eq(type(top, "", seen, sizeof(seen)), 46);
    cr_assert_not_null(strstr(seen, "--once"), "%s", seen);
}
