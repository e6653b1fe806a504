/*
 * rows.c - see rows.h
 */
#include "rows.h"

#include <broker.h>

#include "value/value.h"

void ctl_rows_start(struct ctl_rows *x)
{
    x->n = 0;
    bri_pack_start(&x->pack, &x->rows);
}

void ctl_rows_map(struct ctl_rows *x, uint32_t n)
{
    bri_pack_map(&x->pack, n);
    x->n++;
}

void ctl_rows_value(struct ctl_rows *x, broker_value v)
{
    bri_pack_value(&x->pack, v);
    x->n++;
}

int ctl_rows_end(struct ctl_rows *x, broker_value *out_rows)
{
    struct bri_iter walk = {.p = x->rows.data, .left = x->n};
    struct bri_pack all;
    const void *data;
    size_t size;

    if (x->pack.failed < 0)
        return x->pack.failed;
    walk.end = x->n > 0 ? walk.p + x->rows.size : walk.p;
    bri_pack_start(&all, &x->all);
    bri_pack_array(&all, x->n);
    while (bri_iter_next(&walk, &data, &size) == 0)
        bri_pack_value(&all, broker_packed(data, size));
    return bri_pack_end(&all, out_rows);
}

void ctl_rows_free(struct ctl_rows *x)
{
    broker_buffer_free(&x->rows);
    broker_buffer_free(&x->all);
    *x = (struct ctl_rows){0};
}
