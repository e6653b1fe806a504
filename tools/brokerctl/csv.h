/*
 * Tables as comma-separated values (RFC 4180, but that lines end as they do here): for
 * spreadsheets, and for scripts whose texts may have tabs in them.
 */
#ifndef CTL_CSV_H
#define CTL_CSV_H

#include "print.h"

/* Writes a part: a table under the names that its fields have in JSON, a map under "name" and
 * "value". False without memory. */
bool ctl_csv_write(FILE *f, const struct ctl *ctl, const struct ctl_part *part);

#endif
