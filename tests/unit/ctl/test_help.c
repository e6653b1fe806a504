/*
 * test_help.c - everything that can be done has its help, which needs no daemon
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "ctl.h"
#include "run.h"

static void no_daemon(void)
{
    (void)setenv("BROKER_ADDRESS", "unix:/nonexistent", 1);
}

TestSuite(ctl_help, .init = no_daemon, .timeout = 60);

/* Runs a line, and expects these texts in what it prints. */
static void expect_text(const char *line, const char *one, const char *two)
{
    struct run r = run(line);

    cr_assert_eq(r.code, 0, "%s: %d: %s", line, r.code, r.err);
    cr_assert_str_empty(r.err);
    cr_assert_not_null(strstr(r.out, one), "%s: \"%s\" is not in: %s", line, one, r.out);
    cr_assert_not_null(strstr(r.out, two), "%s: \"%s\" is not in: %s", line, two, r.out);
    for (char *row = strtok(r.out, "\n"); row != NULL; row = strtok(NULL, "\n"))
        cr_assert_leq(strlen(row), 80, "%s: %s", line, row);
    run_free(&r);
}

Test(ctl_help, every_command_has_a_page)
{
    char line[128], usage[128];

    for (unsigned i = 0; i < ctl_n_commands; i++) {
        (void)snprintf(usage, sizeof(usage), "Usage: brokerctl %s", ctl_commands[i].name);
        (void)snprintf(line, sizeof(line), "%s --help", ctl_commands[i].name);
        expect_text("help", ctl_commands[i].name, ctl_commands[i].doc);
        expect_text(line, usage, "--json");
        (void)snprintf(line, sizeof(line), "help %s", ctl_commands[i].name);
        expect_text(line, usage, "--json");
    }
}

Test(ctl_help, every_operation_has_a_page_with_its_exit_codes)
{
    char line[128], usage[128];

    for (unsigned i = 0; i < ctl_n_types; i++) {
        const struct ctl_type *type = &ctl_types[i];

        if (type->number == BRI_TYPE_BROKER)
            continue;
        for (unsigned j = 0; j < type->n_operations; j++) {
            const struct ctl_operation *op = &type->operations[j];

            (void)snprintf(line, sizeof(line), "help %s %s", type->name, op->command);
            (void)snprintf(
                usage, sizeof(usage), "Usage: brokerctl %s %s ", type->name, op->command);
            expect_text(line, usage, "Exit codes:\n");
            (void)snprintf(line, sizeof(line), "help %s", type->name);
            expect_text(line, "Commands:\n", op->command);
        }
    }
}

Test(ctl_help, pages_on_exit_codes_and_values)
{
    for (unsigned i = 0; i < ctl_n_errors; i++)
        expect_text("help exit-codes", "The exit code of brokerctl",
            ctl_errors[i].exit_code != 0 ? ctl_errors[i].name : "0");
    expect_text("help values", "JSON", "--each-line");
    expect_text("help queue get", "EMPTY", "joinable queue");
    expect_text("help lock run", "BROKER_LOCK_TOKEN", "--timeout=DURATION");
    expect_text("--help", "Usage: brokerctl", "exit-codes");
    expect_text("queue --help", "Usage: brokerctl queue", "shutdown");
}

/* The schema speaks to callers in C. */
Test(ctl_help, options_are_told_in_the_words_of_the_command_line)
{
    struct run r;
    char line[128];

    for (unsigned i = 0; i < ctl_n_types; i++)
        for (unsigned j = 0; j < ctl_types[i].n_operations; j++) {
            if (ctl_types[i].number == BRI_TYPE_BROKER)
                continue;
            (void)snprintf(line, sizeof(line), "help %s %s", ctl_types[i].name,
                ctl_types[i].operations[j].command);
            r = run(line);
            cr_assert_null(strstr(r.out, "BROKER_OMITTED"), "%s: %s", line, r.out);
            cr_assert_null(strstr(r.out, "BROKER_FOREVER"), "%s: %s", line, r.out);
            cr_assert_null(strstr(r.out, "a pointer is NULL"), "%s: %s", line, r.out);
            run_free(&r);
        }
    expect_text("help list get-slice", "first index, or left out", "step is 0, or an argument");
}

Test(ctl_help, versions)
{
    char wanted[64];

    (void)snprintf(wanted, sizeof(wanted), "brokerctl %s", broker_version());
    expect_text("--version", wanted, "memory layout");
    expect_text("version", wanted, "attach protocol");
    expect_text("help json", "--json=1", "fails at once");
    expect_text("version --json", "\"json\":1", "\"attach\":");
    expect_text("version --json", "\"version\":\"", "\"layout\":");
}
