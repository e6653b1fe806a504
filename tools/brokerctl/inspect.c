/*
 * inspect.c - what there is and who uses it: stat, quota, locks; mv and collect
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "fail.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"
#include "view.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEADLOCKS CTL_OPTION_OWN

typedef int list_fn(broker *b, broker_buffer *buffer, broker_value *out_rows);

static int show_list(struct ctl *ctl, list_fn *list_rows, const struct ctl_table *table)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value rows;
    int r, code = ctl_connect(ctl);

    if (code != 0)
        return code;
    r = list_rows(ctl->broker, &buffer, &rows);
    code = r < 0 ? ctl_fail_last(r) : ctl_print_rows(ctl, table, rows);
    broker_buffer_free(&buffer);
    return code;
}

/* ---- stat ---- */

int ctl_cmd_stat(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "stat",
        .args_doc = "NAME",
        .prints_table = true,
        .doc = "All numbers of one object: its size, its counters, its waiters, and what its type "
               "adds.",
        .min_words = 1,
        .max_words = 1};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct ctl_words words;
    broker_value stat;
    const char *name;
    int r, code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    name = words.words[0];
    free(words.words);
    code = ctl_connect(ctl);
    if (code != 0)
        return code;
    r = broker_stat(ctl->broker, name, &buffer, &stat);
    if (r == BROKER_NOTFOUND)
        code = ctl_fail_no_object(ctl, NULL, name);
    else
        code = r < 0 ? ctl_fail_last(r) : ctl_print_map(ctl, stat);
    broker_buffer_free(&buffer);
    return code;
}

/* ---- quota, locks ---- */

static const char *color_of_dead(broker_value row)
{
    broker_value alive;

    return ctl_map_get(row, "alive", &alive) && alive.type == BROKER_BOOL && !alive.b ? "red"
                                                                                      : NULL;
}

int ctl_cmd_quota(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"uid", "UID", CTL_CELL_NUMBER},
        {"objects", "OBJECTS", CTL_CELL_NUMBER},
        {"max_objects", "OF", CTL_CELL_NUMBER},
        {"bytes", "SIZE", CTL_CELL_BYTES},
        {"max_bytes", "OF", CTL_CELL_BYTES},
        {"sessions", "SESSIONS", CTL_CELL_NUMBER},
        {"max_sessions", "OF", CTL_CELL_NUMBER},
    };
    static const struct ctl_table table = {
        .columns = columns, .n_columns = COUNT(columns), .none = "nobody has anything"};

    if (!ctl_parse_for_table(ctl, "quota",
            "What each user has, and how much he may have (0: as much as there is): objects that "
            "he "
            "made, their memory, and programs that are attached.",
            argc, argv))
        return 0;
    return show_list(ctl, broker_quotas, &table);
}

static int show_locks(struct ctl *ctl)
{
    static const struct ctl_column columns[] = {
        {"name", "NAME", CTL_CELL_TEXT},
        {"session", "SESSION", CTL_CELL_NUMBER},
        {"pid", "PID", CTL_CELL_NUMBER},
        {"command", "COMMAND", CTL_CELL_TEXT},
        {"thread", "THREAD", CTL_CELL_NUMBER},
        {"alive", "ALIVE", CTL_CELL_TEXT},
        {"token", "TOKEN", CTL_CELL_NUMBER},
        {"waiters", "WAITERS", CTL_CELL_NUMBER},
    };
    static const struct ctl_table table = {.columns = columns,
        .n_columns = COUNT(columns),
        .none = "nobody holds a lock",
        .color = color_of_dead};

    return show_list(ctl, broker_locks, &table);
}

static int show_deadlocks(struct ctl *ctl)
{
    static const struct ctl_column columns[] = {
        {"circle", "CIRCLE", CTL_CELL_NUMBER},
        {"pid", "PID", CTL_CELL_NUMBER},
        {"command", "COMMAND", CTL_CELL_TEXT},
        {"thread", "THREAD", CTL_CELL_NUMBER},
        {"type", "TYPE", CTL_CELL_TEXT},
        {"name", "WAITS FOR", CTL_CELL_TEXT},
        {"by_pid", "HELD BY", CTL_CELL_NUMBER},
        {"by_thread", "THREAD", CTL_CELL_NUMBER},
        {"waited_ms", "MS", CTL_CELL_NUMBER},
    };
    static const struct ctl_table table = {
        .columns = columns, .n_columns = COUNT(columns), .none = "nobody is in a deadlock"};

    return show_list(ctl, broker_deadlocks, &table);
}

static error_t locks_option(int key, char *arg, struct argp_state *state, void *own)
{
    (void)arg;
    (void)state;
    if (key != DEADLOCKS)
        return ARGP_ERR_UNKNOWN;
    *(bool *)own = true;
    return 0;
}

int ctl_cmd_locks(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"deadlocks", DEADLOCKS, NULL, 0, "only those who wait for each other in a circle", 0},
        {0}};
    bool deadlocks = false;
    const struct ctl_syntax syntax = {.title = "locks",
        .args_doc = "",
        .prints_table = true,
        .doc = "The locks that are held, by whom, and how many wait for each.",
        .options = options,
        .option = locks_option,
        .own = &deadlocks};
    struct ctl_words words;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    free(words.words);
    return deadlocks ? show_deadlocks(ctl) : show_locks(ctl);
}

/* ---- collect ---- */

int ctl_cmd_collect(struct ctl *ctl, int argc, char **argv)
{
    uint64_t n_freed;
    int r, code;

    if (!ctl_parse_none(ctl, "collect",
            "Look for objects without names that nobody can reach any more, and destroy them. The "
            "daemon does this by itself; here it is done at once. Prints how many there were.",
            argc, argv))
        return 0;
    code = ctl_connect(ctl);
    if (code != 0)
        return code;
    r = broker_collect(ctl->broker, &n_freed);
    return r < 0 ? ctl_fail_last(r) : ctl_print_json(ctl, broker_uint(n_freed));
}

/* ---- mv ---- */

static int rename_object(struct ctl *ctl, const char *name, const char *new_name)
{
    int r, code = ctl_connect(ctl);

    if (code != 0)
        return code;
    r = broker_rename(ctl->broker, name, new_name);
    if (r == BROKER_NOTFOUND)
        return ctl_fail_no_object(ctl, NULL, name);
    return r < 0 ? ctl_fail_last(r) : 0;
}

int ctl_cmd_mv(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "mv",
        .args_doc = "NAME NEW_NAME",
        .doc = "Give an object another name, which must be free. Programs that have it open do not "
               "notice.",
        .min_words = 2,
        .max_words = 2};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    code = rename_object(ctl, words.words[0], words.words[1]);
    free(words.words);
    return code;
}
