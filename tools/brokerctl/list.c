/*
 * list.c - `brokerctl ls`: the objects that there are, with the columns that were asked for
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "each.h"
#include "fail.h"
#include "options.h"
#include "print.h"
#include "rows.h"
#include "view.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_COLUMNS 32
#define CONTENTS "contents"

enum {
    TYPE = CTL_OPTION_OWN,
    ANONYMOUS,
    COLUMNS,
    SORT,
};

struct ls {
    struct ctl_filter filter;
    bool anonymous; /* instead: those without names */
    bool is_long;
    char *columns; /* a copy of what was given; NULL: the standard ones */
    const char *sort;
    struct ctl_column list[MAX_COLUMNS];
    char titles[MAX_COLUMNS][64];
    unsigned n;
    bool seen[MAX_COLUMNS]; /* some object has it */
    struct ctl_rows rows;
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct ls *ls = own;

    (void)state;
    switch (key) {
    case TYPE:
        ls->filter.type = arg;
        return 0;
    case ANONYMOUS:
        ls->anonymous = true;
        return 0;
    case 'l':
        ls->is_long = true;
        return 0;
    case COLUMNS:
        free(ls->columns);
        ls->columns = strdup(arg);
        if (ls->columns == NULL)
            argp_error(state, "no memory for --columns");
        return 0;
    case SORT:
        ls->sort = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- columns ---- */

/* "payload_bytes" is shown below PAYLOAD, for what stands there has its unit. */
static void make_title(const char *key, char *out, size_t size)
{
    static const char *const units[] = {"_bytes", "_ns"};

    (void)snprintf(out, size, "%s", strcmp(key, "bytes") == 0 ? "size" : key);
    for (size_t i = 0; i < COUNT(units); i++) {
        size_t n = strlen(out), n_unit = strlen(units[i]);

        if (n > n_unit && strcmp(out + n - n_unit, units[i]) == 0)
            out[n - n_unit] = '\0';
    }
    for (; *out != '\0'; out++)
        *out = *out == '_' ? ' ' : (char)toupper((unsigned char)*out);
}

static bool is_text(const char *key)
{
    return strcmp(key, "name") == 0 || strcmp(key, "type") == 0 || strcmp(key, "typecode") == 0;
}

/* 0, or the exit code of a failure that was told. @list is cut into pieces, which are kept. */
static int add_columns(struct ls *ls, char *list)
{
    char *save = NULL;

    for (char *key = strtok_r(list, ",", &save); key != NULL; key = strtok_r(NULL, ",", &save)) {
        if (ls->n == MAX_COLUMNS)
            return ctl_fail_usage("ls: at most %d columns can be shown", MAX_COLUMNS);
        make_title(key, ls->titles[ls->n], sizeof(ls->titles[0]));
        ls->list[ls->n] = (struct ctl_column){
            key, ls->titles[ls->n], is_text(key) ? CTL_CELL_TEXT : ctl_kind_of(key, strlen(key))};
        ls->n++;
    }
    return ls->n > 0 ? 0 : ctl_fail_usage("ls: --columns needs names, such as name,items");
}

/* ---- rows ---- */

static int add_row(void *arg, const char *name, broker_value stat)
{
    struct ls *ls = arg;
    uint64_t contents;
    broker_value v;

    (void)name;
    ctl_rows_map(&ls->rows, ls->n);
    for (unsigned i = 0; i < ls->n; i++) {
        bool found = ctl_map_get(stat, ls->list[i].key, &v);

        if (!found && strcmp(ls->list[i].key, CONTENTS) == 0 && ctl_contents(stat, &contents)) {
            v = broker_uint(contents);
            found = true;
        }
        ls->seen[i] |= found;
        bri_pack_entry(&ls->rows.pack, ls->list[i].key, found ? v : broker_nil());
    }
    return 0;
}

struct sorted {
    broker_value row, by;
};

static int compare(const void *a, const void *b)
{
    broker_value x = ((const struct sorted *)a)->by, y = ((const struct sorted *)b)->by;
    int order;

    if (x.type != y.type)
        return x.type < y.type ? -1 : 1; /* nil first */
    if (x.type != BROKER_STR)
        return (x.u > y.u) - (x.u < y.u);
    order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    return order != 0 ? order : (x.size > y.size) - (x.size < y.size);
}

/* Sorts by a column, or with "-" before it the other way round. */
static int sort_rows(
    const char *by, broker_value rows, struct ctl_rows *out, broker_value *out_sorted)
{
    bool down = by[0] == '-';
    struct bri_iter walk;
    uint32_t n = 0, all = ctl_walk_start(&walk, rows) ? walk.left : 0;
    struct sorted *list = calloc(all + 1u, sizeof(*list));

    if (list == NULL)
        return BROKER_NOMEM;
    while (n < all && ctl_walk_next(&walk, &list[n].row)) {
        if (!ctl_map_get(list[n].row, by + down, &list[n].by))
            list[n].by = broker_nil();
        n++;
    }
    qsort(list, n, sizeof(*list), compare);
    ctl_rows_start(out);
    for (uint32_t i = 0; i < n; i++)
        ctl_rows_value(out, list[down ? n - 1 - i : i].row);
    free(list);
    return ctl_rows_end(out, out_sorted);
}

/* A name that no object has is rather a typing error. */
static int check_seen(const struct ls *ls)
{
    for (unsigned i = 0; i < ls->n && ls->rows.n > 0; i++)
        if (!ls->seen[i] && ls->filter.type == NULL && ls->filter.word == NULL)
            return ctl_fail_usage("no object has a column \"%s\"; `brokerctl stat NAME` shows what "
                                  "there is of one",
                ls->list[i].key);
    return 0;
}

static int check_sort(const struct ls *ls)
{
    if (ls->sort == NULL)
        return 0;
    for (unsigned i = 0; i < ls->n; i++)
        if (strcmp(ls->list[i].key, ls->sort + (ls->sort[0] == '-')) == 0)
            return 0;
    return ctl_fail_usage("ls: --sort %s is none of the columns that are shown", ls->sort);
}

static int print_sorted(struct ctl *ctl, struct ls *ls, broker_value rows)
{
    const struct ctl_table table = {
        .columns = ls->list, .n_columns = ls->n, .none = "there are no such objects"};
    struct ctl_rows sorted = {0};
    int r = ls->sort != NULL ? sort_rows(ls->sort, rows, &sorted, &rows) : 0;
    int code = r < 0 ? ctl_fail(r, "no memory for the table") : ctl_print_rows(ctl, &table, rows);

    ctl_rows_free(&sorted);
    return code;
}

/* What the list of all objects tells by itself is cheap. */
static int list_short(struct ctl *ctl, struct ls *ls)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value objects;
    int r = ctl_list_objects(ctl, &ls->filter, &buffer, &objects);

    r = r < 0 ? ctl_fail_last(r) : print_sorted(ctl, ls, objects);
    broker_buffer_free(&buffer);
    return r;
}

static int list_long(struct ctl *ctl, struct ls *ls)
{
    broker_value rows;
    int r, code;

    ctl_rows_start(&ls->rows);
    r = ctl_each_object(ctl, &ls->filter, add_row, ls);
    if (r >= 0)
        r = ctl_rows_end(&ls->rows, &rows);
    code = r < 0 ? ctl_fail_last(r) : check_seen(ls);
    if (code == 0)
        code = print_sorted(ctl, ls, rows);
    ctl_rows_free(&ls->rows);
    return code;
}

static int list_anonymous(struct ctl *ctl)
{
    static const struct ctl_column columns[] = {
        {"ref", "REFERENCE", CTL_CELL_TEXT},
        {"type", "TYPE", CTL_CELL_TEXT},
        {"bytes", "SIZE", CTL_CELL_BYTES},
    };
    static const struct ctl_table table = {
        .columns = columns, .n_columns = COUNT(columns), .none = "all objects have names"};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value rows;
    int r = broker_anonymous(ctl->broker, &buffer, &rows);

    r = r < 0 ? ctl_fail_last(r) : ctl_print_rows(ctl, &table, rows);
    broker_buffer_free(&buffer);
    return r;
}

/* ---- the command ---- */

static int list(struct ctl *ctl, struct ls *ls)
{
    char standard[] = "name,type,bytes",
         longer[] = "name,type," CONTENTS ",bytes,sessions,waiters,created_ns,creator_uid";
    bool is_long = ls->is_long || ls->columns != NULL;
    int code;

    if (ls->anonymous &&
        (ls->filter.word != NULL || ls->filter.type != NULL || is_long || ls->sort != NULL))
        return ctl_fail_usage("ls: --anonymous stands alone");
    if (ls->filter.type != NULL && ctl_find_type(ls->filter.type) == NULL)
        return ctl_fail_usage(
            "there is no type \"%s\"; `brokerctl help` lists them", ls->filter.type);
    code = add_columns(ls, ls->columns != NULL ? ls->columns : ls->is_long ? longer : standard);
    if (code == 0)
        code = check_sort(ls);
    if (code == 0)
        code = ctl_connect(ctl);
    if (code != 0)
        return code;
    if (ls->anonymous)
        return list_anonymous(ctl);
    return is_long ? list_long(ctl, ls) : list_short(ctl, ls);
}

int ctl_cmd_ls(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"type", TYPE, "TYPE", 0, "only objects of this type", 0},
        {"long", 'l', NULL, 0, "with what is in them and who uses them", 0},
        {"columns", COLUMNS, "NAMES", 0,
            "what to show of each, such as name,items,waiters: `brokerctl stat NAME` shows what "
            "there is; contents is how many things are in an object of any type",
            0},
        {"sort", SORT, "COLUMN", 0, "in this order; with - before it, largest first", 0},
        {"anonymous", ANONYMOUS, NULL, 0, "only objects that have no names, by their references",
            0},
        {0}};
    struct ls ls = {0};
    const struct ctl_syntax syntax = {.title = "ls",
        .args_doc = "[PREFIX|GLOB]",
        .prints_table = true,
        .doc = "The objects that there are: those whose names begin with PREFIX, or match GLOB "
               "(with *, ? or "
               "[]).",
        .options = options,
        .option = parse_option,
        .own = &ls,
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    ls.filter.word = words.n > 0 ? words.words[0] : NULL;
    free(words.words);
    code = list(ctl, &ls);
    free(ls.columns);
    return code;
}
