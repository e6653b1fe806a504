/*
 * mem.c - `brokerctl mem`: where the memory is
 */
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
#define LARGEST 10u
#define MAX_LARGEST 10000u
#define TOP CTL_OPTION_OWN

/* The largest objects so far, in order. */
struct large {
    char name[BRI_NAME_MAX + 1];
    const char *type;
    uint64_t bytes;
};

struct mem {
    struct ctl *ctl;
    uint64_t n_wanted;
    struct large *largest;
    unsigned n;
    struct {
        uint64_t n, bytes;
    } types[64]; /* as in ctl_types */
    struct ctl_rows type_rows, largest_rows;
    broker_buffer arena_buffer, user_buffer;
};

static void note_large(struct mem *m, const char *name, const char *type, uint64_t bytes)
{
    unsigned i = m->n;

    if (i == m->n_wanted && (i == 0 || m->largest[i - 1].bytes >= bytes))
        return;
    if (i < m->n_wanted)
        m->n++;
    else
        i--;
    for (; i > 0 && m->largest[i - 1].bytes < bytes; i--)
        m->largest[i] = m->largest[i - 1];
    m->largest[i] = (struct large){.type = type, .bytes = bytes};
    memcpy(m->largest[i].name, name, strlen(name) + 1);
}

static void add_object(struct mem *m, broker_value row)
{
    char name[BRI_NAME_MAX + 1];
    broker_value v, type;

    if (!ctl_map_get(row, "name", &v) || !ctl_copy_text(v, name, sizeof(name)) ||
        !ctl_map_get(row, "type", &type))
        return;
    for (unsigned i = 0; i < ctl_n_types && i < COUNT(m->types); i++)
        if (ctl_is_text(type, ctl_types[i].name)) {
            uint64_t bytes = ctl_map_number(row, "bytes");

            m->types[i].n++;
            m->types[i].bytes += bytes;
            note_large(m, name, ctl_types[i].name, bytes);
        }
}

static int add_objects(struct mem *m)
{
    const struct ctl_filter all = {0};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value objects, row;
    int r = ctl_list_objects(m->ctl, &all, &buffer, &objects);

    for (bool more = r >= 0 && ctl_walk_start(&walk, objects); more && ctl_walk_next(&walk, &row);)
        add_object(m, row);
    broker_buffer_free(&buffer);
    return r;
}

static int pack_arena(struct mem *m, broker_value *out)
{
    struct ctl_arena a;
    struct bri_pack p;

    ctl_look_at_arena(m->ctl, &a);
    bri_pack_start(&p, &m->arena_buffer);
    bri_pack_map(&p, 10);
    bri_pack_entry(&p, "arena", broker_str(a.name));
    bri_pack_entry(&p, "size_bytes", broker_uint(a.size_bytes));
    bri_pack_entry(&p, "used_bytes", broker_uint(a.used_bytes));
    bri_pack_entry(&p, "backed_bytes", broker_uint(a.backed_bytes));
    bri_pack_entry(&p, "objects", broker_uint(a.n_named));
    bri_pack_entry(&p, "anonymous", broker_uint(a.n_anonymous));
    bri_pack_entry(&p, "sessions", broker_uint(a.n_sessions));
    bri_pack_entry(&p, "max_sessions", broker_uint(a.max_sessions));
    bri_pack_entry(&p, "file_system_bytes", a.has_disk ? broker_uint(a.disk_bytes) : broker_nil());
    bri_pack_entry(
        &p, "file_system_free_bytes", a.has_disk ? broker_uint(a.disk_free_bytes) : broker_nil());
    return bri_pack_end(&p, out);
}

static void pack_rows(struct mem *m)
{
    ctl_rows_start(&m->type_rows);
    for (unsigned i = 0; i < ctl_n_types && i < COUNT(m->types); i++) {
        if (m->types[i].n == 0)
            continue;
        ctl_rows_map(&m->type_rows, 3);
        bri_pack_entry(&m->type_rows.pack, "type", broker_str(ctl_types[i].name));
        bri_pack_entry(&m->type_rows.pack, "objects", broker_uint(m->types[i].n));
        bri_pack_entry(&m->type_rows.pack, "bytes", broker_uint(m->types[i].bytes));
    }
    ctl_rows_start(&m->largest_rows);
    for (unsigned i = 0; i < m->n; i++) {
        ctl_rows_map(&m->largest_rows, 3);
        bri_pack_entry(&m->largest_rows.pack, "name", broker_str(m->largest[i].name));
        bri_pack_entry(&m->largest_rows.pack, "type", broker_str(m->largest[i].type));
        bri_pack_entry(&m->largest_rows.pack, "bytes", broker_uint(m->largest[i].bytes));
    }
}

static int print(struct mem *m)
{
    static const struct ctl_column type_columns[] = {{"type", "TYPE", CTL_CELL_TEXT},
        {"objects", "OBJECTS", CTL_CELL_NUMBER}, {"bytes", "SIZE", CTL_CELL_BYTES}};
    static const struct ctl_column user_columns[] = {{"uid", "UID", CTL_CELL_NUMBER},
        {"objects", "OBJECTS", CTL_CELL_NUMBER}, {"bytes", "SIZE", CTL_CELL_BYTES},
        {"max_bytes", "OF", CTL_CELL_BYTES}};
    static const struct ctl_column largest_columns[] = {{"name", "NAME", CTL_CELL_TEXT},
        {"type", "TYPE", CTL_CELL_TEXT}, {"bytes", "SIZE", CTL_CELL_BYTES}};
    static const struct ctl_table types = {
        .columns = type_columns, .n_columns = COUNT(type_columns), .none = "there are no objects"};
    static const struct ctl_table users = {
        .columns = user_columns, .n_columns = COUNT(user_columns), .none = "nobody has anything"};
    static const struct ctl_table largest = {.columns = largest_columns,
        .n_columns = COUNT(largest_columns),
        .none = "there are no objects"};
    struct ctl_part parts[] = {{"arena", NULL, NULL, broker_nil()},
        {"types", "By type:", &types, broker_nil()},
        {"users", "By user, anonymous objects included:", &users, broker_nil()},
        {"largest", "Largest objects:", &largest, broker_nil()}};
    int r = add_objects(m);

    if (r >= 0)
        r = pack_arena(m, &parts[0].value);
    if (r >= 0)
        r = broker_quotas(m->ctl->broker, &m->user_buffer, &parts[2].value);
    pack_rows(m);
    if (r >= 0)
        r = ctl_rows_end(&m->type_rows, &parts[1].value);
    if (r >= 0)
        r = ctl_rows_end(&m->largest_rows, &parts[3].value);
    return r < 0 ? ctl_fail_last(r) : ctl_print_parts(m->ctl, parts, COUNT(parts));
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct mem *m = own;
    struct ctl_remark why;

    if (key != TOP)
        return ARGP_ERR_UNKNOWN;
    if (ctl_read_count(arg, &m->n_wanted, &why) < 0)
        argp_error(state, "--top: %s", why.text);
    if (m->n_wanted > MAX_LARGEST)
        argp_error(state, "--top: %u at most", MAX_LARGEST);
    return 0;
}

int ctl_cmd_mem(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"top", TOP, "N", 0, "so many of the largest objects (default: 10)", 0}, {0}};
    struct mem m = {.ctl = ctl, .n_wanted = LARGEST};
    const struct ctl_syntax syntax = {.title = "mem",
        .args_doc = "",
        .prints_table = true,
        .doc = "Where the memory is: of the arena as a whole, by type, by user, and in the largest "
               "objects.",
        .options = options,
        .option = parse_option,
        .own = &m};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    free(words.words);
    code = ctl_connect_to_memory(ctl);
    if (code != 0)
        return code;
    m.largest = calloc(m.n_wanted + 1, sizeof(*m.largest));
    code = m.largest != NULL ? print(&m) : ctl_fail(BROKER_NOMEM, "no memory for the list");
    free(m.largest);
    ctl_rows_free(&m.type_rows);
    ctl_rows_free(&m.largest_rows);
    broker_buffer_free(&m.arena_buffer);
    broker_buffer_free(&m.user_buffer);
    return code;
}
