/*
 * test_terminal.c - what people see: tables, indented JSON, and nothing that plays with their
 * terminal
 */
#include <string.h>

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

Test(ctl_terminal, stat_has_units_and_dates)
{
    struct run r;

    EXPECT("queue create jobs --max-bytes 64K", 0, "");
    r = run_terminal("stat jobs");
    cr_assert_not_null(strstr(r.out, "max_bytes       64.0K"), "%s", r.out);
    cr_assert_not_null(strstr(r.out, "\ncreated "), "%s", r.out);
    cr_assert_null(strstr(r.out, "created_ns"));
    run_free(&r);
    r = run("stat jobs");
    cr_assert_not_null(strstr(r.out, "\nmax_bytes\t65536\n"));
    cr_assert_not_null(strstr(r.out, "\ncreated_ns\t"));
    run_free(&r);
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
