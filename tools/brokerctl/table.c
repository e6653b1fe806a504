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

#include "csv.h"
#include "fail.h"
#include "json.h"
#include "objects/pack.h"
#include "page.h"
#include "print.h"
#include "view.h"

#define NOTHING "-"
#define NS_SUFFIX "_ns"

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

/* Below a second: "999ms", "12us". */
static void format_short(uint64_t ns, char out[32])
{
    static const char *const units[] = {"ns", "us", "ms"};
    unsigned unit = 0;

    for (; ns >= 1000; unit++)
        ns /= 1000;
    (void)snprintf(out, 32, "%u%s", (unsigned)ns, ns != 0 ? units[unit] : "s");
}

void ctl_format_duration(uint64_t ns, char out[32])
{
    static const struct {
        uint64_t seconds, part;
        const char *name, *part_name;
    } units[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "m"}, {60, 1, "m", "s"}};
    uint64_t s = ns / (uint64_t)BROKER_SECOND;

    if (s == 0) {
        format_short(ns, out);
        return;
    }
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

static bool add_row(struct libscols_table *t, const struct ctl_table *table, broker_value row)
{
    struct libscols_line *line = scols_table_new_line(t, NULL);
    const char *color = table->color != NULL ? table->color(row) : NULL;
    broker_value v;

    for (unsigned i = 0; i < table->n_columns && line != NULL; i++) {
        if (!ctl_map_get(row, table->columns[i].key, &v))
            v = broker_nil();
        if (!set_cell(line, i, cell_text(v, table->columns[i].kind, true)))
            return false;
    }
    return line != NULL && (color == NULL || scols_line_set_color(line, color) == 0);
}

static struct libscols_table *new_table(const struct ctl *ctl, bool headings)
{
    struct libscols_table *t;

    scols_init_debug(0);
    t = scols_new_table();
    if (t != NULL) {
        (void)scols_table_enable_noheadings(t, !headings || ctl->no_header);
        (void)scols_table_enable_colors(t, ctl_wants_color(ctl));
    }
    return t;
}

/* Takes @t. */
static bool finish_table(FILE *f, struct libscols_table *t, bool complete)
{
    char *text = NULL;
    bool ok = t != NULL && complete && scols_print_table_to_string(t, &text) == 0;

    if (ok && text != NULL && text[0] != '\0')
        (void)fprintf(f, "%s%s", text, text[strlen(text) - 1] != '\n' ? "\n" : "");
    free(text);
    scols_unref_table(t);
    return ok;
}

static bool show_rows(
    FILE *f, const struct ctl *ctl, const struct ctl_table *table, broker_value rows)
{
    struct libscols_table *t = new_table(ctl, true);
    struct bri_iter walk;
    broker_value row;
    bool ok = t != NULL && add_columns(t, table->columns, table->n_columns);
    bool any = false;

    for (bool more = ctl_walk_start(&walk, rows); ok && more && ctl_walk_next(&walk, &row);) {
        ok = add_row(t, table, row);
        any = true;
    }
    if (ok && !any) {
        scols_unref_table(t);
        (void)fprintf(f, "%s\n", table->none);
        return true;
    }
    return finish_table(f, t, ok);
}

/* ---- elsewhere ---- */

static bool write_cell(FILE *f, broker_value v, enum ctl_cell kind, char end)
{
    char *text = cell_text(v, kind, false);
    bool ok = text != NULL;

    if (ok) {
        (void)fputs(text, f);
        (void)fputc(end, f);
    }
    free(text);
    return ok;
}

static bool write_rows(FILE *f, const struct ctl_table *table, broker_value rows)
{
    struct bri_iter walk;
    broker_value row, v;
    bool ok = true;

    for (bool more = ctl_walk_start(&walk, rows); ok && more && ctl_walk_next(&walk, &row);)
        for (unsigned i = 0; ok && i < table->n_columns; i++) {
            if (!ctl_map_get(row, table->columns[i].key, &v))
                v = broker_nil();
            ok = write_cell(f, v, table->columns[i].kind, i + 1 < table->n_columns ? '\t' : '\n');
        }
    return ok;
}

/* ---- one map ---- */

static bool ends_with(const char *text, size_t n_text, const char *suffix)
{
    size_t n = strlen(suffix);

    return n_text >= n && memcmp(text + n_text - n, suffix, n) == 0;
}

/* Units are part of names: "payload_bytes", "created_ns". */
enum ctl_cell ctl_kind_of(const char *key, size_t n)
{
    if (ends_with(key, n, "bytes"))
        return CTL_CELL_BYTES;
    if (ends_with(key, n, "created_ns") || ends_with(key, n, "attached_ns"))
        return CTL_CELL_TIME;
    return ends_with(key, n, NS_SUFFIX) ? CTL_CELL_DURATION : CTL_CELL_NUMBER;
}

static enum ctl_cell kind_of(broker_value key)
{
    return key.type == BROKER_STR ? ctl_kind_of(key.data, key.size) : CTL_CELL_TEXT;
}

static bool add_entry(struct libscols_table *t, broker_value key, broker_value v)
{
    struct libscols_line *line = scols_table_new_line(t, NULL);
    enum ctl_cell kind = kind_of(key);

    if (kind == CTL_CELL_TIME || kind == CTL_CELL_DURATION) /* these come with their unit */
        key.size -= (uint32_t)strlen(NS_SUFFIX);
    return line != NULL && set_cell(line, 0, cell_text(key, CTL_CELL_TEXT, true)) &&
           set_cell(line, 1, cell_text(v, kind, true));
}

static bool write_map(FILE *f, const struct ctl *ctl, broker_value map)
{
    static const struct ctl_column columns[] = {
        {NULL, "NAME", CTL_CELL_TEXT}, {NULL, "VALUE", CTL_CELL_TEXT}};
    struct libscols_table *t = NULL;
    struct bri_iter walk;
    broker_value key, v;
    bool ok = true;

    if (ctl->out_is_tty) {
        t = new_table(ctl, false);
        ok = t != NULL && add_columns(t, columns, 2);
    }
    for (bool more = ctl_walk_start(&walk, map);
         ok && more && ctl_walk_next(&walk, &key) && ctl_walk_next(&walk, &v);) {
        if (ctl->out_is_tty)
            ok = add_entry(t, key, v);
        else
            ok = write_cell(f, key, CTL_CELL_TEXT, '\t') && write_cell(f, v, kind_of(key), '\n');
    }
    return ctl->out_is_tty ? finish_table(f, t, ok) : ok;
}

/* ---- parts ---- */

static bool write_part(FILE *f, const struct ctl *ctl, const struct ctl_part *part)
{
    if (ctl->csv)
        return ctl_csv_write(f, ctl, part);
    if (part->table == NULL)
        return write_map(f, ctl, part->value);
    return ctl->out_is_tty ? show_rows(f, ctl, part->table, part->value)
                           : write_rows(f, part->table, part->value);
}

static void write_heading(FILE *f, const struct ctl *ctl, const struct ctl_part *part, bool first)
{
    bool color = ctl_wants_color(ctl);

    if (!first)
        (void)fputc('\n', f);
    if (part->heading != NULL && ctl->out_is_tty && !ctl->no_header && !ctl->csv)
        (void)fprintf(f, "%s%s%s\n", color ? "\033[1m" : "", part->heading, color ? "\033[0m" : "");
}

static int print_text(const struct ctl *ctl, const struct ctl_part *parts, unsigned n)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    bool ok = f != NULL;

    for (unsigned i = 0; ok && i < n; i++) {
        write_heading(f, ctl, &parts[i], i == 0);
        ok = write_part(f, ctl, &parts[i]);
    }
    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (ok)
        ctl_page(ctl, text, size);
    free(text);
    return ok ? 0 : ctl_fail(BROKER_NOMEM, "no memory for the table");
}

int ctl_print_parts(const struct ctl *ctl, const struct ctl_part *parts, unsigned n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack pack;
    broker_value all;
    int code;

    if (ctl->quiet)
        return 0;
    if (!ctl->json)
        return print_text(ctl, parts, n);
    bri_pack_start(&pack, &buffer);
    bri_pack_map(&pack, n);
    for (unsigned i = 0; i < n; i++)
        bri_pack_entry(&pack, parts[i].name, parts[i].value);
    code = bri_pack_end(&pack, &all) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the answer")
                                         : ctl_print_json(ctl, all);
    broker_buffer_free(&buffer);
    return code;
}

int ctl_print_rows(const struct ctl *ctl, const struct ctl_table *table, broker_value rows)
{
    const struct ctl_part part = {.table = table, .value = rows};

    if (ctl->quiet)
        return 0;
    return ctl->json ? ctl_print_json(ctl, rows) : print_text(ctl, &part, 1);
}

int ctl_print_map(const struct ctl *ctl, broker_value map)
{
    const struct ctl_part part = {.value = map};

    if (ctl->quiet)
        return 0;
    return ctl->json ? ctl_print_json(ctl, map) : print_text(ctl, &part, 1);
}
