/*
 * Results on stdout.
 */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include "ctl.h"
#include "dispatch.h"

/* Prints @v as JSON and a newline: indented on a terminal. 0, or the exit code of a failure that
 * was told. */
int ctl_print_json(const struct ctl *ctl, broker_value v);

/*
 * Prints what an operation gave. An array of maps that has columns is a table, followed on stderr
 * by what else came, unless that is 0. One string or byte string goes out as it is, with a newline
 * only on a terminal; anything else as JSON. With @as_lines every answer is one line. 0, or the
 * exit code of a failure that was told; with --quiet nothing is printed, and a single no is
 * CTL_EXIT_FAILURE.
 */
int ctl_print_answer(const struct ctl *ctl, const struct ctl_operation *op,
    const struct bri_call *call, bool as_lines);

/* Everything printed so far is written. 0, or CTL_EXIT_FAILURE; told once. */
int ctl_flush(struct ctl *ctl);

/* ---- tables: aligned on a terminal, separated by tabs elsewhere, an array with --json ---- */

struct ctl_table {
    const struct ctl_column *columns;
    unsigned n_columns;
    const char *none; /* said on a terminal when there are no rows */
};

/* Prints @rows, a packed array of maps. 0, or the exit code of a failure that was told. */
int ctl_print_rows(const struct ctl *ctl, const struct ctl_table *table, broker_value rows);

/* Prints a packed map, a line an entry. 0, or the exit code of a failure that was told. */
int ctl_print_map(const struct ctl *ctl, broker_value map);

/* ---- words for numbers ---- */

/* "12.5K"; exact below 1024. */
void ctl_format_bytes(uint64_t bytes, char out[16]);

/* "2d 3h", "5m 12s", "0s". */
void ctl_format_duration(uint64_t ns, char out[32]);

#endif
