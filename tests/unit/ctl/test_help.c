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

/* What a line prints, which fits into a terminal. */
static struct run page(const char *line)
{
    struct run r = run(line);
    size_t columns;

    cr_assert_eq(r.code, 0, "%s: %d: %s", line, r.code, r.err);
    cr_assert_str_empty(r.err);
    for (const char *row = r.out; *row != '\0'; row += columns + (row[columns] != '\0')) {
        columns = strcspn(row, "\n");
        cr_assert_leq(columns, 80, "%s: %s", line, row);
    }
    return r;
}

static void expect_in(const struct run *r, const char *line, const char *text)
{
    cr_assert_not_null(strstr(r->out, text), "%s: \"%s\" is not in: %s", line, text, r->out);
}

/* Runs a line, and expects these texts in what it prints. */
static void expect_text(const char *line, const char *one, const char *two)
{
    struct run r = page(line);

    expect_in(&r, line, one);
    expect_in(&r, line, two);
    run_free(&r);
}

Test(ctl_help, every_command_has_a_page)
{
    char line[128], usage[128];
    struct run all = page("help");

    for (unsigned i = 0; i < ctl_n_commands; i++) {
        expect_in(&all, "help", ctl_commands[i].name);
        expect_in(&all, "help", ctl_commands[i].doc);
        (void)snprintf(usage, sizeof(usage), "Usage: brokerctl %s", ctl_commands[i].name);
        (void)snprintf(line, sizeof(line), "%s --help", ctl_commands[i].name);
        expect_text(line, usage, "--json");
        (void)snprintf(line, sizeof(line), "help %s", ctl_commands[i].name);
        expect_text(line, usage, "--json");
    }
    run_free(&all);
}

/* The schema speaks to callers in C. */
static void expect_no_c(const struct run *r, const char *line)
{
    static const char *const words[] = {"BROKER_OMITTED", "BROKER_FOREVER", "a pointer is NULL"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cr_assert_null(strstr(r->out, words[i]), "%s: %s", line, r->out);
}

static void expect_page_of(const struct ctl_type *type, const char *command)
{
    char line[128], usage[128];
    struct run r;

    (void)snprintf(line, sizeof(line), "help %s %s", type->name, command);
    (void)snprintf(usage, sizeof(usage), "Usage: brokerctl %s %s ", type->name, command);
    r = page(line);
    expect_in(&r, line, usage);
    expect_in(&r, line, "Exit codes:\n");
    expect_no_c(&r, line);
    run_free(&r);
}

Test(ctl_help, every_operation_has_a_page_in_the_words_of_the_command_line_with_its_exit_codes)
{
    char line[128];
    struct run all;

    for (unsigned i = 0; i < ctl_n_types; i++) {
        const struct ctl_type *type = &ctl_types[i];

        if (type->number == BRI_TYPE_BROKER)
            continue;
        (void)snprintf(line, sizeof(line), "help %s", type->name);
        all = page(line);
        expect_in(&all, line, "Commands:\n");
        for (unsigned j = 0; j < type->n_operations; j++) {
            expect_in(&all, line, type->operations[j].command);
            expect_page_of(type, type->operations[j].command);
        }
        run_free(&all);
    }
    expect_text("help list get-slice", "first index, or left out", "step is 0, or an argument");
}

Test(ctl_help, pages_on_exit_codes_and_values)
{
    struct run codes = page("help exit-codes");

    expect_in(&codes, "help exit-codes", "The exit code of brokerctl");
    for (unsigned i = 0; i < ctl_n_errors; i++)
        expect_in(
            &codes, "help exit-codes", ctl_errors[i].exit_code != 0 ? ctl_errors[i].name : "0");
    run_free(&codes);
    expect_text("help values", "JSON", "--each-line");
    expect_text("help queue get", "EMPTY", "joinable queue");
    expect_text("help lock run", "BROKER_LOCK_TOKEN", "--timeout=DURATION");
    expect_text("--help", "Usage: brokerctl", "exit-codes");
    expect_text("queue --help", "Usage: brokerctl queue", "shutdown");
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
