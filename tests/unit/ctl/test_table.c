/*
 * test_table.c - numbers as people read them
 */
#include <criterion/criterion.h>

#include "print.h"

TestSuite(ctl_table, .timeout = 30);

static void expect_bytes(uint64_t bytes, const char *wanted)
{
    char text[16];

    ctl_format_bytes(bytes, text);
    cr_assert_str_eq(text, wanted);
}

Test(ctl_table, sizes_have_one_unit)
{
    expect_bytes(0, "0");
    expect_bytes(512, "512");
    expect_bytes(1023, "1023");
    expect_bytes(1024, "1.0K");
    expect_bytes(20992, "20.5K");
    expect_bytes((1 << 20) - 1, "1.0M");
    expect_bytes(1 << 20, "1.0M");
    expect_bytes(UINT64_C(1536) << 30, "1.5T");
    expect_bytes(UINT64_MAX, "16.0E");
}

static void expect_duration(uint64_t seconds, const char *wanted)
{
    char text[32];

    ctl_format_duration(seconds * (uint64_t)BROKER_SECOND + 999999999, text);
    cr_assert_str_eq(text, wanted);
}

Test(ctl_table, durations_have_two_units)
{
    expect_duration(0, "999ms");
    expect_duration(59, "59s");
    expect_duration(60, "1m 0s");
    expect_duration(3599, "59m 59s");
    expect_duration(3600, "1h 0m");
    expect_duration(86399, "23h 59m");
    expect_duration(86400, "1d 0h");
    expect_duration(400 * 86400 + 7200, "400d 2h");
}

Test(ctl_table, durations_below_a_second_have_one_unit)
{
    static const struct {
        uint64_t ns;
        const char *wanted;
    } cases[] = {{0, "0s"}, {1, "1ns"}, {999, "999ns"}, {1000, "1us"}, {1500000, "1ms"},
        {999999999, "999ms"}};
    char text[32];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ctl_format_duration(cases[i].ns, text);
        cr_assert_str_eq(text, cases[i].wanted);
    }
}
