/*
 * test_nearest.c - did you mean
 */
#include <string.h>

#include <criterion/criterion.h>

#include "nearest.h"

TestSuite(ctl_nearest, .timeout = 30);

static void expect(const char *typed, const char *wanted)
{
    static const char *const words[] = {"get", "put", "put-many", "get-many", "popitem", "pop",
        "task-done", "join", "shutdown", "qsize", "clear"};
    struct ctl_nearest n;

    ctl_nearest_start(&n, typed);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ctl_nearest_try(&n, words[i]);
    cr_assert_str_eq(n.best, wanted, "%s: %s", typed, n.best);
}

Test(ctl_nearest, slips_of_the_finger_are_understood)
{
    expect("gett", "get");
    expect("gte", "get");
    expect("pt", "put");
    expect("qsiez", "qsize");
    expect("shutdwon", "shutdown");
    expect("claer", "clear");
    expect("taskdone", "task-done");
    expect("task", "task-done");
    expect("shut", "shutdown");
}

Test(ctl_nearest, other_words_are_not)
{
    expect("", "");
    expect("x", "");
    expect("frobnicate", "");
    expect("delete", "");
    expect("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
}

Test(ctl_nearest, long_candidates_are_passed_over)
{
    char candidate[CTL_NEAREST_MAX + 2];
    struct ctl_nearest n;

    memset(candidate, 'a', sizeof(candidate) - 1);
    candidate[sizeof(candidate) - 1] = '\0';
    ctl_nearest_start(&n, "aaaaaaaa");
    ctl_nearest_try(&n, candidate);
    cr_assert_str_empty(n.best);
    candidate[CTL_NEAREST_MAX] = '\0';
    ctl_nearest_try(&n, candidate);
    cr_assert_str_eq(n.best, candidate);
}
