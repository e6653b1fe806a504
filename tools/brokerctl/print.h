/*
 * Results on stdout.
 */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include <stdarg.h>
#include <stdio.h>

#include "ctl.h"
#include "dispatch.h"

/* Prints @v as JSON and a newline: indented on a terminal. 0, or the exit code of a failure that
 * was told. */
int ctl_print_json(const struct ctl *ctl, broker_value v);

/* The same on one line, also on a terminal. */
int ctl_print_json_line(const struct ctl *ctl, broker_value v);

/*
 * Prints what an operation gave. An array of maps that has columns is a table, followed on stderr
 * by what else came, unless that is 0. One string or byte string goes out as it is, with a newline
 * only on a terminal; anything else as JSON. With @as_lines every answer is one line. 0, or the
 * exit code of a failure that was told; with --quiet nothing is printed, and a single no is
 * CTL_EXIT_FAILURE.
 */
int ctl_print_answer(const struct ctl *ctl, const struct ctl_operation *op,
    const struct bri_call *call, bool as_lines);

/*
 * Words for people, a line or a part of one without its newline, in which names may stand that
 * others chose: control characters come out as question marks, whatever @f is.
 */
void ctl_say(FILE *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_vsay(FILE *f, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Text that does nothing to a terminal but show. */
bool ctl_is_plain(broker_value v);

/* Everything printed so far is written. 0, or CTL_EXIT_FAILURE; told once. */
int ctl_flush(struct ctl *ctl);

/* ---- tables: aligned on a terminal, separated by tabs elsewhere, an array with --json; or csv
 * ---- */

struct ctl_table {
    const struct ctl_column *columns;
    unsigned n_columns;
    const char *none;                       /* said on a terminal when there are no rows */
    const char *(*color)(broker_value row); /* of a row that stands out, or NULL; may be NULL */
};

/* One of several things that are printed together. */
struct ctl_part {
    const char *name;              /* with --json */
    const char *heading;           /* on a terminal; may be NULL */
    const struct ctl_table *table; /* NULL: it is a map */
    broker_value value;
};

/* Prints them one below the other, with --json as one object. 0, or the exit code of a failure that
 * was told. */
int ctl_print_parts(const struct ctl *ctl, const struct ctl_part *parts, unsigned n);

/* Prints @rows, a packed array of maps. 0, or the exit code of a failure that was told. */
int ctl_print_rows(const struct ctl *ctl, const struct ctl_table *table, broker_value rows);

/* Prints a packed map, a line an entry. 0, or the exit code of a failure that was told. */
int ctl_print_map(const struct ctl *ctl, broker_value map);

/* How to show what is called so: names end with units. */
enum ctl_cell ctl_kind_of(const char *key, size_t n);

/* ---- words for numbers ---- */

/* "12.5K"; exact below 1024. */
void ctl_format_bytes(uint64_t bytes, char out[16]);

/* "2d 3h", "5m 12s", "350ms", "0s". */
void ctl_format_duration(uint64_t ns, char out[32]);

#endif
