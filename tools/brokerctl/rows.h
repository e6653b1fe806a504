/*
 * Building the rows of a table, of which nobody knows before how many there are.
 */
#ifndef CTL_ROWS_H
#define CTL_ROWS_H

#include "objects/pack.h"

/* Start from zeros. */
struct ctl_rows {
    struct bri_pack pack; /* what rows and their entries are packed with */
    broker_buffer rows;   /* one behind the other */
    broker_buffer all;
    uint32_t n;
};

void ctl_rows_start(struct ctl_rows *x);

/* One row more, a map: @n entries follow, by bri_pack_entry(&x->pack, ...). */
void ctl_rows_map(struct ctl_rows *x, uint32_t n);

/* One row more, a value. */
void ctl_rows_value(struct ctl_rows *x, broker_value v);

/* All rows as an array, which lives until ctl_rows_free(). NOMEM. */
int ctl_rows_end(struct ctl_rows *x, broker_value *out_rows);

void ctl_rows_free(struct ctl_rows *x);

#endif
