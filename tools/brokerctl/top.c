/*
 * top.c - `brokerctl top`: what happens most, on a screen or once
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "each.h"
#include "fail.h"
#include "options.h"
#include "print.h"
#include "top_screen.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    ONCE = CTL_OPTION_OWN,
    SORT,
};

static const struct ctl_column columns[] = {
    {"name", "NAME", CTL_CELL_TEXT},
    {"type", "TYPE", CTL_CELL_TEXT},
    {"changes_per_second", "CHANGES/S", CTL_CELL_NUMBER},
    {"contents", "CONTENTS", CTL_CELL_NUMBER},
    {"bytes", "SIZE", CTL_CELL_BYTES},
    {"sessions", "SESSIONS", CTL_CELL_NUMBER},
    {"waiters", "WAITERS", CTL_CELL_NUMBER},
    {"waiting", "WAITING", CTL_CELL_NUMBER},
    {"sleeps_per_second", "SLEEPS/S", CTL_CELL_NUMBER},
    {"contended_per_second", "CONTENDED/S", CTL_CELL_NUMBER},
};

/* Hundredths are enough, and the same on every machine. */
static broker_value rounded(double x)
{
    return broker_double((double)(uint64_t)(x * 100 + 0.5) / 100);
}

static int pack_objects(const struct ctl_top *top, struct ctl_rows *rows, broker_value *out)
{
    const struct ctl_rate **list = ctl_rates_sort(&top->rates, top->order);

    if (list == NULL)
        return BROKER_NOMEM;
    ctl_rows_start(rows);
    for (uint32_t i = 0; i < top->rates.n; i++) {
        const struct ctl_rate *x = list[i];
        struct bri_pack *p = &rows->pack;

        ctl_rows_map(rows, COUNT(columns));
        bri_pack_entry(p, "name", broker_str(x->name));
        bri_pack_entry(p, "type", broker_str(x->type));
        bri_pack_entry(p, "changes_per_second", rounded(x->changes_rate));
        bri_pack_entry(p, "contents", x->contains ? broker_uint(x->contents) : broker_nil());
        bri_pack_entry(p, "bytes", broker_uint(x->bytes));
        bri_pack_entry(p, "sessions", broker_uint(x->sessions));
        bri_pack_entry(p, "waiters", broker_uint(x->waiters));
        bri_pack_entry(p, "waiting", rounded(x->waiting));
        bri_pack_entry(p, "sleeps_per_second", rounded(x->sleeps_rate));
        bri_pack_entry(p, "contended_per_second", rounded(x->contended_rate));
    }
    free(list);
    return ctl_rows_end(rows, out);
}

static int pack_arena(const struct ctl_top *top, broker_buffer *buffer, broker_value *out)
{
    const struct ctl_arena *a = &top->rates.arena;
    struct bri_pack p;

    bri_pack_start(&p, buffer);
    bri_pack_map(&p, 6);
    bri_pack_entry(&p, "arena", broker_str(a->name));
    bri_pack_entry(&p, "size_bytes", broker_uint(a->size_bytes));
    bri_pack_entry(&p, "used_bytes", broker_uint(a->used_bytes));
    bri_pack_entry(&p, "sessions", broker_uint(a->n_sessions));
    bri_pack_entry(&p, "max_sessions", broker_uint(a->max_sessions));
    bri_pack_entry(&p, "changes_per_second", rounded(top->rates.changes_rate));
    return bri_pack_end(&p, out);
}

static int print_once(struct ctl_top *top)
{
    static const struct ctl_table table = {
        .columns = columns, .n_columns = COUNT(columns), .none = "there are no such objects"};
    struct ctl_part parts[] = {
        {"arena", NULL, NULL, broker_nil()}, {"objects", NULL, &table, broker_nil()}};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct ctl_rows rows = {0};
    int code, r = pack_arena(top, &buffer, &parts[0].value);

    if (r >= 0)
        r = pack_objects(top, &rows, &parts[1].value);
    if (r < 0)
        code = ctl_fail(r, "no memory for the table");
    else if (top->ctl->json)
        code = ctl_print_parts(top->ctl, parts, 2);
    else
        code = ctl_print_rows(top->ctl, &table, parts[1].value);
    ctl_rows_free(&rows);
    broker_buffer_free(&buffer);
    return code;
}

static int run(struct ctl_top *top)
{
    bool screen =
        !top->once && !top->ctl->json && top->ctl->out_is_tty && isatty(STDIN_FILENO) == 1;
    int r;

    ctl_follow_start(&top->follow);
    r = ctl_rates_take(top->ctl, &top->filter, NULL, &top->rates);
    if (r >= 0 && screen) {
        r = ctl_top_screen(top);
        return r == BROKER_SYSTEM ? ctl_fail(r, "this terminal ($TERM) has no screen; --once needs "
                                                "none")
               : r < 0            ? ctl_fail_last(r)
                                  : 0;
    }
    if (r >= 0) {
        (void)ctl_follow_sleep(&top->follow);
        r = ctl_rates_take(top->ctl, &top->filter, &top->rates, &top->rates);
    }
    return r < 0 ? ctl_fail_last(r) : print_once(top);
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct ctl_top *top = own;

    if (key == ONCE) {
        top->once = true;
        return 0;
    }
    if (key != SORT)
        return key == CTL_FOLLOW_INTERVAL ? ctl_follow_option(&top->follow, key, arg, state)
                                          : ARGP_ERR_UNKNOWN;
    for (int i = 0; i < CTL_N_ORDERS; i++)
        if (strcmp(arg, ctl_rate_orders[i]) == 0) {
            top->order = (enum ctl_rate_order)i;
            return 0;
        }
    argp_error(state, "--sort: changes, waiting, contended, contents, size or name");
    return 0;
}

int ctl_cmd_top(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"once", ONCE, NULL, 0, "print it once, as where there is no terminal", 0},
        {"interval", CTL_FOLLOW_INTERVAL, "DURATION", 0,
            "over which time rates are measured (default: 1s)", 0},
        {"sort", SORT, "ORDER", 0,
            "by changes, waiting, contended, contents, size or name (default: changes)", 0},
        {0}};
    struct ctl_top top = {
        .ctl = ctl, .follow = {.interval_ns = BROKER_SECOND, .timeout_ns = BROKER_FOREVER}};
    const struct ctl_syntax syntax = {.title = "top",
        .args_doc = "[PREFIX|GLOB]",
        .doc = "What happens most, on a screen that is renewed: changes of each object, what is in "
               "it, who waits for it."
               "\vCHANGES are operations that changed it (of a lock: that acquired it). WAITERS "
               "sleep for it now; WAITING is how many did on average, of those whose wait is over; "
               "CONTENDED operations found it in use. Without a terminal, with --once or with "
               "--json it is printed once.\n\nKeys: q ends, s (or left and right) sorts, + and - "
               "change the interval, p pauses, up, down and page keys scroll.",
        .options = options,
        .option = parse_option,
        .own = &top,
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    top.filter.word = words.n > 0 ? words.words[0] : NULL;
    free(words.words);
    code = ctl_refuse_offline(ctl, "top");
    if (code == 0)
        code = ctl_connect(ctl);
    if (code == 0)
        code = run(&top);
    ctl_rates_free(&top.rates);
    return code;
}
