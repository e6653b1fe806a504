/*
 * csv.c - see csv.h
 */
#include "csv.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "view.h"

/* Where a reader could take it for something else, it is quoted. */
static void write_text(FILE *f, const char *text, size_t n)
{
    bool quoted = n > 0 && (text[0] == ' ' || text[n - 1] == ' ');

    for (size_t i = 0; i < n && !quoted; i++)
        quoted = strchr(",\"\r\n", text[i]) != NULL; /* finds NUL as well */
    if (!quoted) {
        (void)fwrite(text, 1, n, f);
        return;
    }
    (void)fputc('"', f);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            (void)fputc('"', f);
        (void)fputc(text[i], f);
    }
    (void)fputc('"', f);
}

/* Texts as they are, what is not there as nothing, all else as JSON. */
static bool write_cell(FILE *f, const struct ctl *ctl, broker_value v, char end)
{
    broker_buffer json = BROKER_BUFFER_INIT;
    bool ok = true;

    if (v.type == BROKER_STR && (ctl->out_is_tty ? ctl_is_plain(v) : true)) {
        write_text(f, v.data, v.size);
    } else if (v.type != BROKER_NIL) {
        ok = ctl_json_print(v, false, &json) == 0;
        if (ok)
            write_text(f, json.data, json.size);
        broker_buffer_free(&json);
    }
    (void)fputc(end, f);
    return ok;
}

static bool write_rows(
    FILE *f, const struct ctl *ctl, const struct ctl_table *table, broker_value rows)
{
    struct bri_iter walk;
    broker_value row, v;
    bool ok = true;

    for (unsigned i = 0; i < table->n_columns && !ctl->no_header; i++)
        (void)fprintf(f, "%s%c", table->columns[i].key, i + 1 < table->n_columns ? ',' : '\n');
    for (bool more = ctl_walk_start(&walk, rows); ok && more && ctl_walk_next(&walk, &row);)
        for (unsigned i = 0; ok && i < table->n_columns; i++) {
            if (!ctl_map_get(row, table->columns[i].key, &v))
                v = broker_nil();
            ok = write_cell(f, ctl, v, i + 1 < table->n_columns ? ',' : '\n');
        }
    return ok;
}

static bool write_map(FILE *f, const struct ctl *ctl, broker_value map)
{
    struct bri_iter walk;
    broker_value key, v;
    bool ok = true;

    if (!ctl->no_header)
        (void)fputs("name,value\n", f);
    for (bool more = ctl_walk_start(&walk, map);
         ok && more && ctl_walk_next(&walk, &key) && ctl_walk_next(&walk, &v);)
        ok = write_cell(f, ctl, key, ',') && write_cell(f, ctl, v, '\n');
    return ok;
}

bool ctl_csv_write(FILE *f, const struct ctl *ctl, const struct ctl_part *part)
{
    return part->table != NULL ? write_rows(f, ctl, part->table, part->value)
                               : write_map(f, ctl, part->value);
}
