/*
 * confirm.c - see confirm.h
 */
#include "confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "each.h"
#include "fail.h"
#include "print.h"
#include "view.h"

#define MAX_SHOWN 20u /* objects in a question */

static const struct ctl_column columns[] = {
    {"name", "NAME", CTL_CELL_TEXT},
    {"type", "TYPE", CTL_CELL_TEXT},
    {"contents", "CONTENTS", CTL_CELL_NUMBER},
    {"bytes", "SIZE", CTL_CELL_BYTES},
    {"sessions", "SESSIONS", CTL_CELL_NUMBER},
    {"waiters", "WAITERS", CTL_CELL_NUMBER},
};
static const struct ctl_table table = {
    .columns = columns, .n_columns = sizeof(columns) / sizeof(columns[0]), .none = "nothing"};

void ctl_doom(struct ctl_doomed *doomed, const char *name, broker_value stat)
{
    uint64_t sessions = ctl_map_number(stat, "sessions"), contents = 0;
    bool contains = ctl_contents(stat, &contents);
    struct bri_pack *p = &doomed->rows.pack;
    broker_value type;

    if (doomed->rows.n == 0)
        ctl_rows_start(&doomed->rows);
    doomed->n_contents += contents;
    doomed->n_used += sessions > 0;
    ctl_rows_map(&doomed->rows, 6);
    bri_pack_entry(p, "name", broker_str(name));
    bri_pack_entry(p, "type", ctl_map_get(stat, "type", &type) ? type : broker_nil());
    bri_pack_entry(p, "contents", contains ? broker_uint(contents) : broker_nil());
    bri_pack_entry(p, "bytes", broker_uint(ctl_map_number(stat, "bytes")));
    bri_pack_entry(p, "sessions", broker_uint(sessions));
    bri_pack_entry(p, "waiters", broker_uint(ctl_map_number(stat, "waiters")));
}

void ctl_doomed_free(struct ctl_doomed *doomed)
{
    ctl_rows_free(&doomed->rows);
}

static void tell_one(broker_value row)
{
    char name[BRI_NAME_MAX + 1] = "", type[32] = "object";
    broker_value v;

    if (ctl_map_get(row, "name", &v))
        (void)ctl_copy_text(v, name, sizeof(name));
    if (ctl_map_get(row, "type", &v))
        (void)ctl_copy_text(v, type, sizeof(type));
    ctl_say(stderr, "  %s \"%s\"", type, name);
    if (ctl_map_get(row, "contents", &v) && v.type != BROKER_NIL)
        (void)fprintf(stderr, ", contains: %llu", (unsigned long long)v.u);
    if (ctl_map_number(row, "sessions") > 0)
        (void)fprintf(stderr, ", programs that have it open: %llu",
            (unsigned long long)ctl_map_number(row, "sessions"));
    (void)fputc('\n', stderr);
}

/* Anything but a yes is a no. */
static bool is_yes(void)
{
    char *line = NULL;
    size_t capacity = 0;
    bool yes;

    (void)fflush(stderr);
    yes = getline(&line, &capacity, stdin) > 0 && (line[0] == 'y' || line[0] == 'Y');
    free(line);
    return yes;
}

static bool ask(const char *verb, const struct ctl_doomed *doomed, broker_value rows)
{
    struct bri_iter walk;
    broker_value row;
    uint32_t n = 0;

    (void)fflush(stdout);
    (void)fprintf(stderr, "This will %s:\n", verb);
    for (bool more = ctl_walk_start(&walk, rows);
         more && n < MAX_SHOWN && ctl_walk_next(&walk, &row); n++)
        tell_one(row);
    if (doomed->rows.n > n)
        (void)fprintf(stderr, "  and %u more\n", doomed->rows.n - n);
    (void)fputs("Go on? [y/N] ", stderr);
    return is_yes();
}

/* Why a script has to say --yes; NULL if it has not. */
static const char *why_yes(const struct ctl_doomed *doomed)
{
    if (doomed->by_pattern)
        return "a pattern may mean more than you think";
    return doomed->n_used > 0 ? "programs have it open" : NULL;
}

static int decide(
    const struct ctl *ctl, const char *verb, struct ctl_doomed *doomed, broker_value rows)
{
    bool interactive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    const char *why = why_yes(doomed);

    if (interactive && (why != NULL || doomed->n_contents > 0)) {
        if (ask(verb, doomed, rows))
            return 0;
        ctl_note(ctl, "nothing was changed");
        return CTL_EXIT_FAILURE;
    }
    if (interactive || why == NULL)
        return 0;
    return ctl_fail_usage("%s: to %s this, say --yes; --dry-run shows what it would be", why, verb);
}

int ctl_confirm(const struct ctl *ctl, const struct ctl_consent *consent, const char *verb,
    struct ctl_doomed *doomed, bool *out_stop)
{
    broker_value rows;
    int code = 0;

    *out_stop = doomed->rows.n == 0;
    if (doomed->rows.n == 0)
        return 0;
    if (ctl_rows_end(&doomed->rows, &rows) < 0)
        code = ctl_fail(BROKER_NOMEM, "no memory for the list");
    else if (consent->dry_run)
        code = ctl_print_rows(ctl, &table, rows);
    else if (!consent->yes)
        code = decide(ctl, verb, doomed, rows);
    *out_stop = code != 0 || consent->dry_run;
    return code;
}
