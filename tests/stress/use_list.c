/*
 * use_list.c - what the stress test does with lists
 *
 * rows: a list in which always ROW elements next to each other are the same text. Everybody adds,
 * removes and moves whole rows, in all ways that there are; a change that is lost, torn or happens
 * by half leaves a row whose elements differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects/pack.h"
#include "value/value.h"
#include "worker.h"

#define ROW 4
#define MAX_ROWS 400
#define MAX_TEXT 3000u

/* Rows with a text each, as an array; small ones mostly. */
static broker_value make_rows(struct worker *w, uint32_t n)
{
    static char text[MAX_TEXT];
    broker_value rows;
    struct bri_pack p;

    bri_pack_start(&p, &w->in);
    bri_pack_array(&p, n * ROW);
    for (uint32_t i = 0; i < n; i++) {
        size_t size = worker_pick(w, worker_pick(w, 20) == 0 ? MAX_TEXT : 12);

        memset(text, (int)('a' + worker_pick(w, 26)), size);
        for (int k = 0; k < ROW; k++)
            bri_pack_value(&p, broker_strn(text, size));
    }
    if (bri_pack_end(&p, &rows) < 0)
        abort();
    return rows;
}

static void check_rows(struct worker *w, broker_value rows)
{
    const void *first = NULL, *element;
    size_t first_size = 0, size;
    struct bri_iter it;
    uint32_t n = 0;

    worker_expect(w, bri_iter_array(&it, rows.data, rows.size), "walk", 0);
    for (; bri_iter_next(&it, &element, &size) == 0; n++) {
        if (n % ROW == 0) {
            first = element;
            first_size = size;
        } else if (size != first_size || memcmp(element, first, size) != 0) {
            ledger_fail(w->ledger, "life %u: element %u differs from its row", w->number, n);
        }
    }
    if (n % ROW != 0)
        ledger_fail(w->ledger, "life %u: %u elements are no whole rows", w->number, n);
}

static void look_at_rows(struct worker *w)
{
    broker_value rows;
    int64_t last = -(int64_t)(ROW * (1 + worker_pick(w, 20)));

    if (worker_pick(w, 2) == 0)
        worker_expect(w, broker_list_copy(w->rows, &w->out, &rows), "list copy", 0);
    else
        worker_expect(w, broker_list_get_slice(w->rows, last, BROKER_OMITTED, 1, &w->out, &rows),
            "list get_slice", 0);
    check_rows(w, rows);
}

static void remove_rows(struct worker *w)
{
    int64_t n = ROW * (1 + (int64_t)worker_pick(w, 20));
    int r = worker_pick(w, 2) == 0 ? broker_list_delete_slice(w->rows, 0, n, 1)
                                   : broker_list_delete_slice(w->rows, -n, BROKER_OMITTED, 1);

    worker_expect(w, r, "list delete_slice", 0);
}

static void add_rows(struct worker *w)
{
    uint32_t n = worker_pick(w, 8);
    int64_t at = ROW * (int64_t)worker_pick(w, MAX_ROWS);
    int r;

    switch (worker_pick(w, 3)) {
    case 0:
        r = broker_list_extend(w->rows, make_rows(w, n));
        break;
    case 1:
        r = broker_list_set_slice(w->rows, make_rows(w, n), at, at, 1);
        break;
    default:
        r = broker_list_set_slice(w->rows, make_rows(w, n), at, at + ROW, 1);
        break;
    }
    worker_expect(w, r, "list extend, set_slice", 0);
}

/* Equal elements stay together, whichever way. */
static void move_rows(struct worker *w)
{
    int r;

    switch (worker_pick(w, 4)) {
    case 0:
        r = broker_list_sort(w->rows, worker_pick(w, 2) == 0, broker_nil());
        break;
    case 1:
        r = broker_list_repeat(w->rows, worker_pick(w, 3));
        break;
    default:
        r = broker_list_reverse(w->rows);
        break;
    }
    worker_expect(w, r, "list sort, repeat, reverse", 0);
}

void list_use_rows(struct worker *w)
{
    uint64_t n = 0;

    worker_step(w, "list rows");
    worker_expect(w, broker_list_len(w->rows, &n), "list len", 0);
    if (n % ROW != 0)
        ledger_fail(w->ledger, "life %u: a list of %llu", w->number, (unsigned long long)n);
    if (n > ROW * MAX_ROWS)
        worker_expect(w, broker_list_delete_slice(w->rows, ROW * MAX_ROWS / 4, BROKER_OMITTED, 1),
            "list delete_slice", 0);
    switch (worker_pick(w, 8)) {
    case 0:
        move_rows(w);
        return;
    case 1:
    case 2:
        remove_rows(w);
        return;
    case 3:
    case 4:
        look_at_rows(w);
        return;
    default:
        add_rows(w);
        return;
    }
}
