/*
 * show.c - one object from all sides, all leases, and where the memory is: show, leases, mem
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "ctl.h"
#include "each.h"
#include "fail.h"
#include "options.h"
#include "print.h"
#include "view.h"
#include "words.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *color_of_dead(broker_value row)
{
    broker_value alive;

    return ctl_map_get(row, "alive", &alive) && alive.type == BROKER_BOOL && !alive.b ? "red"
                                                                                      : NULL;
}

/* ---- show ---- */

static const struct ctl_column user_columns[] = {
    {"session", "SESSION", CTL_CELL_NUMBER},
    {"pid", "PID", CTL_CELL_NUMBER},
    {"command", "COMMAND", CTL_CELL_TEXT},
    {"alive", "ALIVE", CTL_CELL_TEXT},
    {"leases", "LEASES", CTL_CELL_NUMBER},
    {"waiting", "WAITING", CTL_CELL_NUMBER},
};
static const struct ctl_table user_table = {.columns = user_columns,
    .n_columns = COUNT(user_columns),
    .none = "nobody has it open",
    .color = color_of_dead};

static bool is_zero(broker_value v)
{
    return v.type == BROKER_INT && v.u == 0;
}

/* For people: what is zero says nothing. */
static int without_zeros(broker_value stat, broker_buffer *buffer, broker_value *out)
{
    struct bri_pack pack;
    struct bri_iter walk;
    broker_value key, v;
    uint32_t n = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            bri_pack_start(&pack, buffer);
            bri_pack_map(&pack, n);
        }
        for (bool more = ctl_walk_start(&walk, stat);
             more && ctl_walk_next(&walk, &key) && ctl_walk_next(&walk, &v);) {
            if (is_zero(v))
                continue;
            n += pass == 0;
            if (pass == 1) {
                bri_pack_value(&pack, key);
                bri_pack_value(&pack, v);
            }
        }
    }
    return bri_pack_end(&pack, out);
}

struct show {
    broker_buffer stat_buffer, short_buffer;
    struct ctl_rows users, leases;
};

static int show_object(struct ctl *ctl, const char *name, struct show *x)
{
    const struct ctl_table lease_table = {
        .columns = ctl_lease_columns, .n_columns = ctl_n_lease_columns, .none = "none"};
    struct ctl_part parts[] = {{"object", NULL, NULL, broker_nil()},
        {"users", "Open in:", &user_table, broker_nil()},
        {"leases", "Leased items:", &lease_table, broker_nil()}};
    int r = ctl_add_users(ctl, name, &x->users);

    if (r >= 0)
        r = broker_stat(ctl->broker, name, &x->stat_buffer, &parts[0].value);
    if (r >= 0 && !ctl->json)
        r = without_zeros(parts[0].value, &x->short_buffer, &parts[0].value);
    if (r >= 0)
        r = ctl_add_leases(ctl, name, &x->leases);
    if (r >= 0)
        r = ctl_rows_end(&x->users, &parts[1].value);
    if (r >= 0)
        r = ctl_rows_end(&x->leases, &parts[2].value);
    if (r == BROKER_NOTFOUND)
        return ctl_fail_no_object(ctl, NULL, name);
    if (r < 0)
        return ctl_fail(
            r, "\"%s\" cannot be shown: %s (%s)", name, broker_error_text(r), broker_error_name(r));
    return ctl_print_parts(ctl, parts, ctl->json || x->leases.n > 0 ? 3 : 2);
}

int ctl_cmd_show(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "show",
        .args_doc = "NAME",
        .prints_table = true,
        .doc = "One object from all sides: its numbers (but those that are zero), the programs "
               "that have it open, and the items that are leased.",
        .min_words = 1,
        .max_words = 1};
    struct ctl_words words;
    struct show x = {0};
    const char *name;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    name = words.words[0];
    free(words.words);
    code = ctl_connect_to_memory(ctl);
    if (code != 0)
        return code;
    ctl_rows_start(&x.users);
    ctl_rows_start(&x.leases);
    code = show_object(ctl, name, &x);
    ctl_rows_free(&x.users);
    ctl_rows_free(&x.leases);
    broker_buffer_free(&x.stat_buffer);
    broker_buffer_free(&x.short_buffer);
    return code;
}

/* ---- leases ---- */

struct leases {
    struct ctl *ctl;
    struct ctl_rows rows;
};

static int add_leases_of(void *arg, const char *name, broker_value stat)
{
    struct leases *x = arg;
    int r = ctl_map_number(stat, "leased") > 0 ? ctl_add_leases(x->ctl, name, &x->rows) : 0;

    return r == BROKER_NOTFOUND || r == BROKER_WRONGTYPE ? 0 : r;
}

int ctl_cmd_leases(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "leases",
        .args_doc = "[PREFIX|GLOB]",
        .prints_table = true,
        .doc = "The items of queues that are leased: taken, and not finished yet; by whom, and how "
               "long the lease lasts if it has an end.",
        .max_words = 1};
    const struct ctl_table table = {.columns = ctl_lease_columns,
        .n_columns = ctl_n_lease_columns,
        .none = "no item is leased"};
    struct ctl_filter filter = {.type = "queue"};
    struct leases x = {.ctl = ctl};
    struct ctl_words words;
    broker_value rows;
    int r, code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    filter.word = words.n > 0 ? words.words[0] : NULL;
    free(words.words);
    code = ctl_connect(ctl);
    if (code != 0)
        return code;
    ctl_rows_start(&x.rows);
    r = ctl_each_object(ctl, &filter, add_leases_of, &x);
    if (r >= 0)
        r = ctl_rows_end(&x.rows, &rows);
    code = r < 0 ? ctl_fail_last(r) : ctl_print_rows(ctl, &table, rows);
    ctl_rows_free(&x.rows);
    return code;
}
