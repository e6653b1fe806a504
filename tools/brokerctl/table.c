/*
 * table.c - tables on stdout; see print.h
 *
 * libsmartcols aligns by what letters look like on a terminal, and escapes control characters
 * there.
 */
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"
#include "json.h"
#include "print.h"
#include "view.h"

#define NOTHING "-"
#define TIME_SUFFIX "_ns"

void ctl_format_bytes(uint64_t bytes, char out[16])
{
    static const char units[] = "KMGTPE";
    double size = (double)bytes;
    int unit = -1;

    while (size >= 1023.95 && unit < 5) { /* 1023.96 would round to 1024.0 */
        size /= 1024;
        unit++;
    }
    if (unit < 0)
        (void)snprintf(out, 16, "%u", (unsigned)bytes);
    else
        (void)snprintf(out, 16, "%.1f%c", size, units[unit]);
}

void ctl_format_duration(uint64_t ns, char out[32])
{
    static const struct {
        uint64_t seconds, part;
        const char *name, *part_name;
    } units[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "m"}, {60, 1, "m", "s"}};
    uint64_t s = ns / (uint64_t)BROKER_SECOND;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (s >= units[i].seconds) {
            (void)snprintf(out, 32, "%llu%s %llu%s", (unsigned long long)(s / units[i].seconds),
                units[i].name, (unsigned long long)(s % units[i].seconds / units[i].part),
                units[i].part_name);
            return;
        }
    (void)snprintf(out, 32, "%llus", (unsigned long long)s);
}

static void format_time(uint64_t ns, char *out, size_t size)
{
    time_t seconds = (time_t)(ns / (uint64_t)BROKER_SECOND);
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL || strftime(out, size, "%F %T", &local) == 0)
        (void)snprintf(out, size, "%s", NOTHING);
}

static bool has_no(broker_value text, char c)
{
    return text.size == 0 || memchr(text.data, c, text.size) == NULL;
}

static char *copy_text(broker_value v)
{
    char *copy = malloc((size_t)v.size + 1);

    if (copy == NULL)
        return NULL;
    if (v.size > 0)
        memcpy(copy, v.data, v.size);
    copy[v.size] = '\0';
    return copy;
}

/* The text of a cell, for people or for programs. NULL without memory; the caller frees it. */
static char *cell_text(broker_value v, enum ctl_cell kind, bool for_people)
{
    broker_buffer json = BROKER_BUFFER_INIT;
    char text[32];
    char *copy;

    if (v.type == BROKER_NIL)
        return strdup(NOTHING);
    if (v.type == BROKER_BOOL)
        return strdup(v.b ? "yes" : "no");
    if (v.type == BROKER_INT && v.i >= 0 && for_people && kind == CTL_CELL_BYTES) {
        ctl_format_bytes(v.u, text);
        return strdup(text);
    }
    if (v.type == BROKER_INT && v.i >= 0 && for_people && kind == CTL_CELL_TIME) {
        format_time(v.u, text, sizeof(text));
        return strdup(text);
    }
    if (v.type == BROKER_INT && v.i >= 0 && for_people && kind == CTL_CELL_DURATION) {
        ctl_format_duration(v.u, text);
        return strdup(text);
    }
    if (v.type == BROKER_STR && has_no(v, '\0') &&
        (for_people || (has_no(v, '\t') && has_no(v, '\n'))))
        return copy_text(v);
    copy = ctl_json_print(v, false, &json) == 0 ? strdup(json.data) : NULL;
    broker_buffer_free(&json);
    return copy;
}

/* ---- on a terminal ---- */

static bool add_columns(struct libscols_table *t, const struct ctl_column *columns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        enum ctl_cell kind = columns[i].kind;
        int flags = kind == CTL_CELL_TEXT || kind == CTL_CELL_TIME ? 0 : SCOLS_FL_RIGHT;

        if (scols_table_new_column(t, columns[i].title, 0, flags) == NULL)
            return false;
    }
    return true;
}

/* Takes @text. */
static bool set_cell(struct libscols_line *line, unsigned column, char *text)
{
    if (text != NULL && scols_line_refer_data(line, column, text) == 0)
        return true;
    free(text);
    return false;
}

static bool add_row(
    struct libscols_table *t, const struct ctl_column *columns, unsigned n, broker_value row)
{
    struct libscols_line *line = scols_table_new_line(t, NULL);
    broker_value v;

    for (unsigned i = 0; i < n && line != NULL; i++) {
        if (!ctl_map_get(row, columns[i].key, &v))
            v = broker_nil();
        if (!set_cell(line, i, cell_text(v, columns[i].kind, true)))
            return false;
    }
    return line != NULL;
}

static struct libscols_table *new_table(const struct ctl *ctl, bool headings)
{
    struct libscols_table *t;

    scols_init_debug(0);
    t = scols_new_table();
    if (t != NULL)
        (void)scols_table_enable_noheadings(t, !headings || ctl->no_header);
    return t;
}

static int finish_table(struct libscols_table *t, bool complete)
{
    bool printed = t != NULL && complete && scols_print_table(t) == 0;

    scols_unref_table(t);
    return printed ? 0 : ctl_fail(BROKER_NOMEM, "no memory for the table");
}

static int show_rows(const struct ctl *ctl, const struct ctl_table *table, broker_value rows)
{
    struct libscols_table *t = new_table(ctl, true);
    struct bri_iter walk;
    broker_value row;
    bool ok = t != NULL && add_columns(t, table->columns, table->n_columns);
    bool any = false;

    for (bool more = ctl_walk_start(&walk, rows); ok && more && ctl_walk_next(&walk, &row);) {
        ok = add_row(t, table->columns, table->n_columns, row);
        any = true;
    }
    if (ok && !any) {
        scols_unref_table(t);
        (void)puts(table->none);
        return 0;
    }
    return finish_table(t, ok);
}

/* ---- elsewhere ---- */

static bool write_cell(broker_value v, enum ctl_cell kind, char end)
{
    char *text = cell_text(v, kind, false);
    bool ok = text != NULL;

    if (ok) {
        (void)fputs(text, stdout);
        (void)putchar(end);
    }
    free(text);
    return ok;
}

static int write_rows(const struct ctl_table *table, broker_value rows)
{
    struct bri_iter walk;
    broker_value row, v;
    bool ok = true;

    for (bool more = ctl_walk_start(&walk, rows); ok && more && ctl_walk_next(&walk, &row);)
        for (unsigned i = 0; ok && i < table->n_columns; i++) {
            if (!ctl_map_get(row, table->columns[i].key, &v))
                v = broker_nil();
            ok = write_cell(v, table->columns[i].kind, i + 1 < table->n_columns ? '\t' : '\n');
        }
    return ok ? 0 : ctl_fail(BROKER_NOMEM, "no memory for the table");
}

int ctl_print_rows(const struct ctl *ctl, const struct ctl_table *table, broker_value rows)
{
    if (ctl->quiet)
        return 0;
    if (ctl->json)
        return ctl_print_json(ctl, rows);
    return ctl->out_is_tty ? show_rows(ctl, table, rows) : write_rows(table, rows);
}

/* ---- one map ---- */

static bool ends_with(broker_value text, const char *suffix)
{
    size_t n = strlen(suffix);

    return text.size >= n && memcmp((const char *)text.data + text.size - n, suffix, n) == 0;
}

/* Units are part of names: "payload_bytes", "created_ns". */
static enum ctl_cell kind_of(broker_value key)
{
    if (key.type != BROKER_STR)
        return CTL_CELL_TEXT;
    if (ends_with(key, "bytes"))
        return CTL_CELL_BYTES;
    return ends_with(key, TIME_SUFFIX) ? CTL_CELL_TIME : CTL_CELL_NUMBER;
}

static bool add_entry(struct libscols_table *t, broker_value key, broker_value v)
{
    struct libscols_line *line = scols_table_new_line(t, NULL);
    enum ctl_cell kind = kind_of(key);

    if (kind == CTL_CELL_TIME) /* a date has no unit */
        key.size -= (uint32_t)strlen(TIME_SUFFIX);
    return line != NULL && set_cell(line, 0, cell_text(key, CTL_CELL_TEXT, true)) &&
           set_cell(line, 1, cell_text(v, kind, true));
}

int ctl_print_map(const struct ctl *ctl, broker_value map)
{
    static const struct ctl_column columns[] = {
        {NULL, "NAME", CTL_CELL_TEXT}, {NULL, "VALUE", CTL_CELL_TEXT}};
    struct libscols_table *t = NULL;
    struct bri_iter walk;
    broker_value key, v;
    bool ok = true;

    if (ctl->quiet)
        return 0;
    if (ctl->json)
        return ctl_print_json(ctl, map);
    if (ctl->out_is_tty) {
        t = new_table(ctl, false);
        ok = t != NULL && add_columns(t, columns, 2);
    }
    for (bool more = ctl_walk_start(&walk, map);
         ok && more && ctl_walk_next(&walk, &key) && ctl_walk_next(&walk, &v);) {
        if (ctl->out_is_tty)
            ok = add_entry(t, key, v);
        else
            ok = write_cell(key, CTL_CELL_TEXT, '\t') && write_cell(v, kind_of(key), '\n');
    }
    if (ctl->out_is_tty)
        return finish_table(t, ok);
    return ok ? 0 : ctl_fail(BROKER_NOMEM, "no memory for the table");
}
