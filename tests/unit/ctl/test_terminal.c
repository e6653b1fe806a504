/*
 * test_terminal.c - what people see: tables, indented JSON, and nothing that plays with their
 * terminal
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "fixture.h"

TestSuite(ctl_terminal, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* Runs a line on a terminal, and expects that it prints this. Terminals end lines with CR LF. */
static void expect(const char *line, const char *wanted)
{
    struct run r = run_terminal(line);
    char *to = r.out;

    for (const char *from = r.out; *from != '\0'; from++)
        if (*from != '\r')
            *to++ = *from;
    *to = '\0';
    cr_assert_eq(r.code, 0, "%s: %d: %s", line, r.code, r.err);
    cr_assert_str_eq(r.out, wanted, "%s: %s", line, r.out);
    run_free(&r);
}

/* Whether a dead client stands out in a copy of the arena, on a terminal. */
static void expect_color(const char *option, bool wanted)
{
    char line[512];
    struct run r;

    (void)snprintf(
        line, sizeof(line), "--offline=%s %s clients", instance_arena_path(instance), option);
    r = run_terminal(line);
    cr_assert_eq(strstr(r.out, wanted ? "\033[31m" : "\033[") != NULL, wanted, "%s", r.out);
    run_free(&r);
}

Test(ctl_terminal, tables_are_aligned_and_have_headings)
{
    expect("ls", "there are no such objects\n");
    expect("locks", "nobody holds a lock\n");
    expect("locks --deadlocks", "nobody is in a deadlock\n");
    EXPECT("lock create till", 0, "");
    EXPECT("lock create a-longer-name", 0, "");
    expect("ls", "NAME          TYPE SIZE\na-longer-name lock  512\ntill          lock  512\n");
    expect("ls --no-header till", "till lock  512\n");
    expect("ls till --json",
        "[\n  {\n    \"name\": \"till\",\n    \"type\": \"lock\",\n    \"bytes\": 512\n  }\n]\n");
    EXPECT("ls", 0, "a-longer-name\tlock\t512\ntill\tlock\t512\n");
}

/* Everywhere the same: exact numbers, the names of JSON, and quotes where others would be misled.
 */
Test(ctl_terminal, csv_is_for_spreadsheets)
{
    EXPECT("queue put jobs [1,\"x\"]", 0, "");
    EXPECT("queue put jobs plain", 0, "");
    EXPECT("queue put jobs \"a,\\\"b\"", 0, "");
    EXPECT("queue browse jobs -o csv --no-header", 0, NULL);
    EXPECT("lock create till", 0, "");
    EXPECT("ls t* -o csv", 0, "name,type,bytes\ntill,lock,512\n");
    EXPECT("ls t* -j -o csv --no-header", 0, "till,lock,512\n");
    EXPECT("ls t* -o csv --output=table", 0, "till\tlock\t512\n");
    expect("ls t* -o csv", "name,type,bytes\ntill,lock,512\n");
    EXPECT("ls none* -o csv", 0, "name,type,bytes\n");
    EXPECT("dict set d k a,\"b", 0, "");
    EXPECT("dict get d k -o csv", 0, "name,value\nvalue,\"a,\"\"b\"\n");
    EXPECT("dict set d esc \"\\u001b[31mred\"", 0, "");
    expect("dict get d esc -o csv", "name,value\nvalue,\"\"\"\\u001b[31mred\"\"\"\n");
    EXPECT("-o csv dict get d esc --no-header", 0, "value,\x1b[31mred\n");
}

Test(ctl_terminal, stat_has_units_and_dates)
{
    struct run r;

    EXPECT("queue create jobs --max-bytes 64K", 0, "");
    r = run_terminal("stat jobs --no-pager");
    cr_assert_not_null(strstr(r.out, "max_bytes       64.0K"), "%s", r.out);
    cr_assert_not_null(strstr(r.out, "\ncreated "), "%s", r.out);
    cr_assert_null(strstr(r.out, "created_ns"));
    run_free(&r);
    EXPECT_SHOWS("stat jobs", 0, "\nmax_bytes\t65536\n", "\ncreated_ns\t");
}

Test(ctl_terminal, text_ends_with_a_newline_there_and_json_is_indented)
{
    EXPECT("dict set d k text", 0, "");
    expect("dict get d k", "text\n");
    EXPECT("dict get d k", 0, "text");
    EXPECT("dict set d k [1,{\"a\":2}]", 0, "");
    expect("dict get d k", "[\n  1,\n  {\n    \"a\": 2\n  }\n]\n");
    EXPECT("dict get d k", 0, "[1,{\"a\":2}]\n");
    EXPECT("queue put jobs [1,2]", 0, "");
    expect("queue get jobs --count 1", "[1,2]\n");
}

Test(ctl_terminal, control_characters_are_not_let_through)
{
    EXPECT("dict set d esc \"\\u001b[31mred\"", 0, "");
    expect("dict get d esc", "\"\\u001b[31mred\"\n");
    EXPECT("dict get d esc", 0, "\x1b[31mred");
    EXPECT("dict set d csi \"\\u009b31mred\"", 0, "");
    EXPECT("dict set d bin {\"$bin\":\"GzFt\"}", 0, "");
    expect("dict get d bin", "{\n  \"$bin\": \"GzFt\"\n}\n");
    EXPECT("dict get d bin", 0,
        "\x1b"
        "1m");
    EXPECT("dict set d lines \"a\\n\\tb\"", 0, "");
    expect("dict get d lines", "a\n\tb\n");

    struct run r = run_terminal("dict get d csi");

    cr_assert_null(strstr(r.out, "\xc2\x9b"), "%s", r.out);
    run_free(&r);
}

/* A terminal of 24 lines. */
Test(ctl_terminal, long_tables_go_through_the_pager)
{
    for (int i = 0; i < 30; i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "lock create lock%02d", i);
        EXPECT(line, 0, "");
    }
    (void)setenv("PAGER", "echo not this one", 1);
    (void)setenv("BROKERCTL_PAGER", "sed 's/^/paged: /'", 1);
    EXPECT_TERMINAL("ls", 0, "\npaged: NAME", "paged: lock29");
    EXPECT_TERMINAL("ls lock0", 0, "\nNAME");
    EXPECT_TERMINAL("ls --no-pager", 0, "\nNAME");
    (void)setenv("BROKERCTL_PAGER", "", 1);
    EXPECT_TERMINAL("ls", 0, "\nNAME");
    (void)unsetenv("BROKERCTL_PAGER");
    EXPECT_TERMINAL("ls", 0, "\nnot this one");
    (void)setenv("PAGER", "exec /nonexistent", 1);
    EXPECT_TERMINAL("ls", 0, "\nlock29");
}

Test(ctl_terminal, colours_are_for_terminals_that_want_them)
{
    pid_t sleeper = fork();
    broker *b;

    cr_assert_geq(sleeper, 0);
    if (sleeper == 0) { /* stopped, it stays in the list when it is dead */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (broker_open(NULL, &b) == 0)
            (void)raise(SIGSTOP);
        _exit(1);
    }
    cr_assert_eq(waitpid(sleeper, NULL, WUNTRACED), sleeper);
    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0); /* nobody reaps it */
    cr_assert_eq(kill(sleeper, SIGKILL), 0);
    cr_assert_eq(waitpid(sleeper, NULL, 0), sleeper);
    (void)setenv("TERM", "xterm", 1);
    (void)unsetenv("NO_COLOR");
    expect_color("", true);
    expect_color("--color=never", false);
    (void)setenv("NO_COLOR", "1", 1);
    expect_color("", false);
    expect_color("--color=always", true);
    (void)unsetenv("NO_COLOR");
    (void)setenv("TERM", "dumb", 1);
    expect_color("", false);
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
    EXPECT_SAYS("--color=blue ls", 2, "--color=blue");
}
