/*
 * clients.c - `brokerctl clients`: the programs that are attached
 */
#include <stdlib.h>

#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "print.h"
#include "process.h"
#include "rows.h"
#include "view.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SHORT 10u /* columns that are always there */

static const struct ctl_column columns[] = {
    {"session", "SESSION", CTL_CELL_NUMBER},
    {"pid", "PID", CTL_CELL_NUMBER},
    {"uid", "UID", CTL_CELL_NUMBER},
    {"command", "COMMAND", CTL_CELL_TEXT},
    {"alive", "ALIVE", CTL_CELL_TEXT},
    {"attached_ns", "SINCE", CTL_CELL_TIME},
    {"objects", "OBJECTS", CTL_CELL_NUMBER},
    {"locks", "LOCKS", CTL_CELL_NUMBER},
    {"leases", "LEASES", CTL_CELL_NUMBER},
    {"waiting", "WAITING", CTL_CELL_NUMBER},
    {"state", "STATE", CTL_CELL_TEXT},
    {"unit", "UNIT", CTL_CELL_TEXT},
};

static const char *color_of_dead(broker_value row)
{
    broker_value alive;

    return ctl_map_get(row, "alive", &alive) && alive.type == BROKER_BOOL && !alive.b ? "red"
                                                                                      : NULL;
}

/* What the kernel knows of the process, where it is certainly the one that attached. */
static void add_row(struct ctl_rows *rows, broker_value row)
{
    pid_t pid = (pid_t)ctl_map_number(row, "pid");
    broker_value v;
    bool alive = ctl_map_get(row, "alive", &v) && v.type == BROKER_BOOL && v.b;
    char unit[256] = "";

    if (alive)
        ctl_process_unit(pid, unit, sizeof(unit));
    ctl_rows_map(rows, COUNT(columns));
    for (size_t i = 0; i < SHORT; i++)
        bri_pack_entry(
            &rows->pack, columns[i].key, ctl_map_get(row, columns[i].key, &v) ? v : broker_nil());
    bri_pack_entry(&rows->pack, "state",
        broker_str(ctl_process_state_name(alive ? ctl_process_state(pid) : '\0')));
    bri_pack_entry(&rows->pack, "unit", unit[0] != '\0' ? broker_str(unit) : broker_nil());
}

static int list(struct ctl *ctl, bool is_long)
{
    const struct ctl_table table = {.columns = columns,
        .n_columns = is_long ? COUNT(columns) : SHORT,
        .none = "nobody is attached",
        .color = color_of_dead};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct ctl_rows rows = {0};
    struct bri_iter walk;
    broker_value clients, row;
    int r = broker_clients(ctl->broker, &buffer, &clients);

    if (r >= 0 && is_long) {
        ctl_rows_start(&rows);
        for (bool more = ctl_walk_start(&walk, clients); more && ctl_walk_next(&walk, &row);)
            add_row(&rows, row);
        r = ctl_rows_end(&rows, &clients);
    }
    r = r < 0 ? ctl_fail_last(r) : ctl_print_rows(ctl, &table, clients);
    ctl_rows_free(&rows);
    broker_buffer_free(&buffer);
    return r;
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    (void)arg;
    (void)state;
    if (key != 'l')
        return ARGP_ERR_UNKNOWN;
    *(bool *)own = true;
    return 0;
}

int ctl_cmd_clients(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"long", 'l', NULL, 0, "with the state of each process, and its unit of systemd", 0}, {0}};
    bool is_long = false;
    const struct ctl_syntax syntax = {.title = "clients",
        .args_doc = "",
        .prints_table = true,
        .doc = "The programs that are attached: what they have open, and the locks, leased items "
               "and waiting threads they have.",
        .options = options,
        .option = parse_option,
        .own = &is_long};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    free(words.words);
    code = ctl_connect(ctl);
    return code != 0 ? code : list(ctl, is_long);
}
