/*
 * test_stream.c - many operations by one command: lines in, lines out; and items that are leased
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

TestSuite(ctl_stream, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void feed(const char *line, const char *input, int wanted_code, const char *said)
{
    struct run r = run_input(line, input, strlen(input));

    cr_assert_eq(r.code, wanted_code, "%s: %d: %s", line, r.code, r.err);
    if (said != NULL)
        cr_assert_not_null(strstr(r.err, said), "%s: %s", line, r.err);
    else
        cr_assert_str_empty(r.err);
    run_free(&r);
}

Test(ctl_stream, each_line_is_an_operation)
{
    feed("queue put jobs - --each-line", "a\n\n7\n[1,2]\nlast", 0, NULL);
    EXPECT("queue get jobs --count 5 --json", 0, "\"a\"\n\"\"\n7\n[1,2]\n\"last\"\n");
    feed("queue put jobs - --each-line --string", "7\n", 0, NULL);
    EXPECT("queue get jobs --json", 0, "\"7\"\n");
    feed("queue put jobs - --each-line", "", 0, NULL);
    EXPECT("queue qsize jobs", 0, "0\n");
    feed("dict add words - --each-line", "x\ny\nx\n", 0, NULL);
    EXPECT("dict copy words", 0, "{\"x\":2,\"y\":1}\n");
}

Test(ctl_stream, answers_to_lines_are_lines)
{
    struct run r;

    EXPECT("dict update d {\"a\":\"text\",\"b\":[1],\"c\":2}", 0, "");
    r = run_input("dict get d - --each-line", "a\nb\nc\n", 6);
    cr_assert_eq(r.code, 0);
    cr_assert_str_eq(r.out, "text\n[1]\n2\n");
    run_free(&r);
    r = run_input("dict get d - --each-line", "a\nz\nc\n", 6);
    cr_assert_eq(r.code, 10);
    cr_assert_str_eq(r.out, "text\n");
    cr_assert_not_null(strstr(r.err, "stopped at line 2: the 1 before it are done"));
    run_free(&r);
}

Test(ctl_stream, a_stream_stops_cleanly_and_says_how_far_it_came)
{
    EXPECT("queue create jobs --max-items 2", 0, "");
    feed("queue put jobs - --each-line --timeout 0", "a\nb\nc\nd\n", 13,
        "stopped at line 3: the 2 before it are done");
    EXPECT("queue get jobs --count 2", 0, "a\nb\n");
    feed("dict add d - --each-line", "a\n\xff\n", 2, "stopped at line 2");
    EXPECT_SAYS("queue put jobs x --each-line", 2, "--each-line needs the argument -");
}

Test(ctl_stream, count_takes_so_many_or_all)
{
    feed("queue put jobs - --each-line", "1\n2\n3\n4\n5\n", 0, NULL);
    EXPECT("queue get jobs --count 2", 0, "1\n2\n");
    EXPECT("queue get jobs --count 0", 0, "");
    EXPECT("queue get jobs --count all --timeout 0", 0, "3\n4\n5\n");
    EXPECT("queue get jobs --count all --timeout 1ms", 0, "");
    EXPECT_SAYS("queue get jobs --count x", 2, "--count");
    feed("queue put jobs - --each-line", "1\n2\n", 0, NULL);

    struct run r = run("queue get jobs --count 3 --timeout 0");

    cr_assert_eq(r.code, 12);
    cr_assert_str_eq(r.out, "1\n2\n");
    cr_assert_not_null(strstr(r.err, "2 of 3 came"));
    run_free(&r);
    EXPECT("queue shutdown jobs", 0, "");
    EXPECT("queue get jobs --count all", 0, "");
    EXPECT("dict update d {\"a\":1,\"b\":2}", 0, "");
    EXPECT("dict popitem d --count all", 0,
        "{\"key\":\"b\",\"value\":2}\n{\"key\":\"a\",\"value\":1}\n");
}

/* The number that `stat` gives for @key of jobs. */
static unsigned number_of(const char *key)
{
    struct run r = run("stat jobs");
    char pattern[64];
    const char *at;
    unsigned n = ~0u;

    (void)snprintf(pattern, sizeof(pattern), "\n%s\t", key);
    at = strstr(r.out, pattern);
    cr_assert_not_null(at, "%s", r.out);
    cr_assert_eq(sscanf(at + strlen(pattern), "%u", &n), 1);
    run_free(&r);
    return n;
}

Test(ctl_stream, items_of_a_joinable_queue_are_finished_once_they_are_written)
{
    EXPECT("queue create jobs --joinable", 0, "");
    feed("queue put jobs - --each-line", "1\n2\n3\n4\n5\n", 0, NULL);
    EXPECT("queue get jobs", 0, "1\n");
    cr_assert_eq(number_of("unfinished"), 4);
    EXPECT("queue get-many jobs 2", 0, "[2,3]\n");
    cr_assert_eq(number_of("unfinished"), 2);
    EXPECT("queue get jobs --count 2", 0, "4\n5\n");
    cr_assert_eq(number_of("unfinished"), 0);
    cr_assert_eq(number_of("returned"), 0);
    EXPECT("queue join jobs --timeout 0", 0, "");
    EXPECT_SAYS("queue task-done jobs", 20, "OVERDONE");
}

Test(ctl_stream, an_item_that_cannot_be_written_goes_back)
{
    const char *const words[] = {"queue", "get", "jobs", NULL};
    int broken[2], full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct run r;

    EXPECT("queue create jobs --joinable", 0, "");
    EXPECT("queue put jobs item", 0, "");
    cr_assert_geq(full, 0);
    r = run_to(words, full);
    cr_assert_eq(r.code, 1);
    cr_assert_not_null(
        strstr(r.err, "cannot write the output: No space left on device"), "%s", r.err);
    run_free(&r);
    cr_assert_eq(number_of("items"), 1);
    cr_assert_eq(number_of("unfinished"), 1);
    cr_assert_eq(pipe2(broken, O_CLOEXEC), 0);
    (void)close(broken[0]);
    r = run_to(words, broken[1]);
    cr_assert_eq(r.signal, SIGPIPE);
    run_free(&r);
    /* The daemon gives it back as soon as it learns of the death. */
    EXPECT("queue get jobs --timeout 30s", 0, "item");
    cr_assert_eq(number_of("unfinished"), 0);
}
