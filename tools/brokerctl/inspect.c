/*
 * inspect.c - what there is and who uses it: ls, stat, clients, quota, locks; rm, mv and collect
 */
#include <fnmatch.h>
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
#define TYPE CTL_OPTION_OWN
#define DEADLOCKS (CTL_OPTION_OWN + 1)
#define ANONYMOUS (CTL_OPTION_OWN + 2)

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

/* ---- ls ---- */

struct ls {
    const char *type;
    const char *glob; /* NULL: all */
    bool anonymous;   /* instead: those without names */
};

static error_t ls_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct ls *ls = own;

    (void)state;
    if (key == TYPE)
        ls->type = arg;
    else if (key == ANONYMOUS)
        ls->anonymous = true;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Packs the rows of @objects whose names match into @buffer. */
static int keep_matching(
    broker_value objects, const char *glob, broker_buffer *buffer, broker_value *out_rows)
{
    struct bri_iter walk;
    struct bri_pack pack;
    broker_value row, name;
    char text[BRI_NAME_MAX + 1];
    uint32_t n = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            bri_pack_start(&pack, buffer);
            bri_pack_array(&pack, n);
        }
        for (bool more = ctl_walk_start(&walk, objects); more && ctl_walk_next(&walk, &row);) {
            if (!ctl_map_get(row, "name", &name) || !ctl_copy_text(name, text, sizeof(text)) ||
                fnmatch(glob, text, 0) != 0)
                continue;
            if (pass == 1)
                bri_pack_value(&pack, row);
            n += pass == 0;
        }
    }
    return bri_pack_end(&pack, out_rows);
}

static int list(struct ctl *ctl, const struct ls *ls, const char *prefix)
{
    static const struct ctl_column columns[] = {
        {"name", "NAME", CTL_CELL_TEXT},
        {"type", "TYPE", CTL_CELL_TEXT},
        {"bytes", "SIZE", CTL_CELL_BYTES},
    };
    static const struct ctl_table table = {columns, COUNT(columns), "there are no such objects"};
    broker_buffer buffer = BROKER_BUFFER_INIT, kept = BROKER_BUFFER_INIT;
    broker_value objects;
    int r = broker_objects(ctl->broker, ls->type, prefix, &buffer, &objects);

    if (r >= 0 && ls->glob != NULL)
        r = keep_matching(objects, ls->glob, &kept, &objects);
    r = r < 0 ? ctl_fail_last(r) : ctl_print_rows(ctl, &table, objects);
    broker_buffer_free(&buffer);
    broker_buffer_free(&kept);
    return r;
}

int ctl_cmd_ls(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_column columns[] = {
        {"ref", "REFERENCE", CTL_CELL_TEXT},
        {"type", "TYPE", CTL_CELL_TEXT},
        {"bytes", "SIZE", CTL_CELL_BYTES},
    };
    static const struct ctl_table anonymous = {columns, COUNT(columns), "all objects have names"};
    static const struct argp_option options[] = {
        {"type", TYPE, "TYPE", 0, "only objects of this type", 0},
        {"anonymous", ANONYMOUS, NULL, 0, "only objects that have no names, by their references",
            0},
        {0}};
    struct ls ls = {0};
    const struct ctl_syntax syntax = {.title = "ls",
        .args_doc = "[PREFIX|GLOB]",
        .doc = "The objects that there are: those whose names begin with PREFIX, or match GLOB "
               "(with *, ? or "
               "[]).",
        .options = options,
        .option = ls_option,
        .own = &ls,
        .max_words = 1};
    char prefix[BRI_NAME_MAX + 1] = "";
    struct ctl_words words;
    const char *word;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    word = words.n > 0 ? words.words[0] : "";
    free(words.words);
    if (ls.anonymous)
        return words.n > 0 || ls.type != NULL ? ctl_fail_usage("ls: --anonymous stands alone")
                                              : show_list(ctl, broker_anonymous, &anonymous);
    if (ls.type != NULL && ctl_find_type(ls.type) == NULL)
        return ctl_fail_usage("there is no type \"%s\"; `brokerctl help` lists them", ls.type);
    /* What no special character precedes is a prefix: the library need not copy the others. */
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)strcspn(word, "*?[\\"), word);
    if (strpbrk(word, "*?[\\") != NULL)
        ls.glob = word;
    else if (strlen(word) > BRI_NAME_MAX)
        ls.glob = ""; /* nothing is called so */
    code = ctl_connect(ctl);
    return code != 0 ? code : list(ctl, &ls, prefix);
}

/* ---- stat ---- */

int ctl_cmd_stat(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "stat",
        .args_doc = "NAME",
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

/* ---- clients, quota, locks ---- */

int ctl_cmd_clients(struct ctl *ctl, int argc, char **argv)
{
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
    };
    static const struct ctl_table table = {columns, COUNT(columns), "nobody is attached"};

    if (!ctl_parse_none(ctl, "clients",
            "The programs that are attached: what they have open, and the locks, leased items and "
            "waiting "
            "threads they have.",
            argc, argv))
        return 0;
    return show_list(ctl, broker_clients, &table);
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
    static const struct ctl_table table = {columns, COUNT(columns), "nobody has anything"};

    if (!ctl_parse_none(ctl, "quota",
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
    static const struct ctl_table table = {columns, COUNT(columns), "nobody holds a lock"};

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
    static const struct ctl_table table = {columns, COUNT(columns), "nobody is in a deadlock"};

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

/* ---- rm ---- */

int ctl_cmd_rm(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = "rm",
        .args_doc = "NAME...",
        .doc = "Destroy objects: their names are free at once and their memory is given back. "
               "Programs that "
               "have one open get GONE.",
        .min_words = 1,
        .max_words = (unsigned)argc};
    struct ctl_words words;
    int code, first = 0;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    code = ctl_connect(ctl);
    first = code;
    for (unsigned i = 0; i < words.n && ctl->broker != NULL; i++) {
        int r = broker_destroy(ctl->broker, words.words[i]);

        if (r == BROKER_NOTFOUND)
            code = ctl_fail_no_object(ctl, NULL, words.words[i]);
        else
            code = r < 0 ? ctl_fail_last(r) : 0;
        first = first != 0 ? first : code; /* the others are destroyed all the same */
    }
    free(words.words);
    return first;
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
