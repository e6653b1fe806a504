/*
 * config.c - see config.h
 *
 * inih does the parsing, behind a line reader of our own: as distributions build it, it cuts long
 * lines and parses the rest as a new line, continues values over indented lines, and does not tell
 * the handler which line it is at.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <broker/errors.h>

#include "config_keys.h"

#define ARENA_PREFIX "arena "
#define DEFAULT_ARENA "default"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define SECTION_MAX 48 /* inih cuts longer ones */

struct reading {
    const char *path; /* one of the configuration's own list */
    FILE *file;
    unsigned line;
    unsigned n_errors;
    unsigned first_refused; /* line of the first value that was refused; 0 if none was */
    const struct brokerd_config_base *base;
    struct brokerd_config *config;
    struct brokerd_arena_config *arena; /* of the section that is being read; NULL in [broker] */
};

bool brokerd_name_ok(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return n > 0 && n <= BROKERD_NAME_MAX;
}

static void complain(struct reading *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(struct reading *in, const char *format, ...)
{
    char text[300], where[BROKERD_PATH_MAX + sizeof(text)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(where, sizeof(where), "%s:%u: %s", in->path, in->line, text);
    in->base->complain(where);
    in->n_errors++;
}

/* ---- defaults ---- */

/* The group is left out where there is none. */
static bool set_write_default(
    struct brokerd_arena_config *arena, const struct brokerd_config_base *base)
{
    const struct brokerd_key *key = brokerd_key_find(BROKERD_IN_ARENA, "write");
    struct brokerd_rule rule = {0};
    const char *reason;
    char words[64];

    if (base->group != NULL && brokerd_rule_add(&rule, base->group, &reason)) {
        (void)snprintf(words, sizeof(words), "%s %s", base->arena_write, base->group);
        return brokerd_key_set_default(arena->settings, key, arena, words);
    }
    return brokerd_key_set_default(arena->settings, key, arena, base->arena_write);
}

/* Some instances have no folder of their own. */
static bool set_folder_default(
    struct brokerd_arena_config *arena, const struct brokerd_config_base *base)
{
    return base->state_dir[0] == '\0' ||
           brokerd_key_set_default(arena->settings,
               brokerd_key_find(BROKERD_IN_ARENA, "snapshot_dir"), arena, base->state_dir);
}

static void free_settings(struct brokerd_setting *settings)
{
    for (size_t i = 0; i < BROKERD_KEYS_MAX; i++)
        free(settings[i].value);
}

static void free_arena(struct brokerd_arena_config *arena)
{
    if (arena == NULL)
        return;
    free_settings(arena->settings);
    free(arena);
}

static struct brokerd_arena_config *add_arena(
    struct brokerd_config *config, const struct brokerd_config_base *base, const char *name)
{
    struct brokerd_arena_config **link = &config->arenas;
    struct brokerd_arena_config *arena = calloc(1, sizeof(*arena));

    if (arena == NULL || !brokerd_keys_set_defaults(BROKERD_IN_ARENA, arena->settings, arena) ||
        !brokerd_key_set_default(arena->settings, brokerd_key_find(BROKERD_IN_ARENA, "persist"),
            arena, base->persist ? "yes" : "no") ||
        !set_folder_default(arena, base) || !set_write_default(arena, base)) {
        free_arena(arena);
        return NULL;
    }
    memcpy(arena->name, name, strlen(name) + 1);
    while (*link != NULL)
        link = &(*link)->next;
    *link = arena;
    return arena;
}

static struct brokerd_arena_config *find_arena(
    const struct brokerd_config *config, const char *name)
{
    struct brokerd_arena_config *a = config->arenas;

    while (a != NULL && strcmp(a->name, name) != 0)
        a = a->next;
    return a;
}

/* ---- reading ---- */

static void begin_arena(struct reading *in, const char *name)
{
    if (!brokerd_name_ok(name)) {
        complain(
            in, "an arena's name has 1 to %d letters, digits, \"-\" and \"_\"", BROKERD_NAME_MAX);
        return;
    }
    in->arena = find_arena(in->config, name);
    if (in->arena == NULL)
        in->arena = add_arena(in->config, in->base, name);
    if (in->arena == NULL) {
        complain(in, "no memory");
    } else if (in->arena->begun_in == in->path) {
        complain(in, "[arena %s] is there already", name);
        in->arena = NULL;
    } else {
        in->arena->begun_in = in->path;
    }
}

/* Sections without keys never reach the handler: they are noticed here. */
static void begin_section(struct reading *in, const char *line)
{
    size_t n = strcspn(line + 1, "]");
    char section[SECTION_MAX + 1];

    if (line[1 + n] != ']')
        return; /* inih says that it is none */
    if (n > SECTION_MAX) {
        complain(in, "no section has such a long name");
        return;
    }
    memcpy(section, line + 1, n);
    section[n] = '\0';
    in->arena = NULL;
    if (strncmp(section, ARENA_PREFIX, strlen(ARENA_PREFIX)) == 0)
        begin_arena(in, section + strlen(ARENA_PREFIX));
    else if (strcmp(section, "broker") != 0 && strcmp(section, "zmq") != 0)
        complain(
            in, "there is no section [%s]: there are [broker], [zmq] and [arena NAME]", section);
}

static char *next_line(char *line, int size, void *arg)
{
    struct reading *in = arg;
    size_t n;
    int c;

    if (fgets(line, size, in->file) == NULL)
        return NULL;
    in->line++;
    n = strlen(line);
    if (n + 1 == (size_t)size && line[n - 1] != '\n') {
        complain(in, "the line is longer than %d bytes", size - 2);
        do
            c = getc(in->file);
        while (c != EOF && c != '\n');
        line[0] = '\0';
        return line;
    }
    if (in->line == 1 && strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
        memmove(line, line + strlen(BYTE_ORDER_MARK), n - strlen(BYTE_ORDER_MARK) + 1);
    /* An indented line is a line, not more of the one before. */
    n = strspn(line, " \t");
    memmove(line, line + n, strlen(line + n) + 1);
    if (line[0] == '[')
        begin_section(in, line);
    return line;
}

/* NULL, or why the value cannot be taken. */
static const char *set_value(
    const struct reading *in, enum brokerd_section section, const char *name, const char *value)
{
    struct brokerd_arena_config *arena = section == BROKERD_IN_ARENA ? in->arena : NULL;
    struct brokerd_setting *settings = arena != NULL ? arena->settings : in->config->settings;
    const struct brokerd_key *key = brokerd_key_find(section, name);

    if (key == NULL)
        return "there is no such key in this section";
    if (settings[key - brokerd_keys].file == in->path)
        return "it was given already";
    return brokerd_key_set(settings, key, arena != NULL ? (void *)arena : (void *)in->config,
        &(struct brokerd_setting){(char *)(uintptr_t)value, in->path, in->line});
}

/* For inih: 1 goes on, 0 notes the line as wrong and goes on. */
static int take_value(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *in = arg;
    enum brokerd_section which = strncmp(section, ARENA_PREFIX, strlen(ARENA_PREFIX)) == 0
                                     ? BROKERD_IN_ARENA
                                 : strcmp(section, "zmq") == 0 ? BROKERD_IN_ZMQ
                                                               : BROKERD_IN_BROKER;
    const char *why;

    if ((which == BROKERD_IN_ARENA && in->arena == NULL) ||
        (which == BROKERD_IN_BROKER && section[0] != '\0' && strcmp(section, "broker") != 0))
        return 1; /* the section itself was refused */
    why = section[0] == '\0' ? "it stands before the first section"
                             : set_value(in, which, name, value);
    if (why == NULL)
        return 1;
    complain(in, "%s = %s: %s", name, value, why);
    if (in->first_refused == 0)
        in->first_refused = in->line;
    return 0;
}

static bool read_file(struct reading *in)
{
    int r = ini_parse_stream(next_line, in, take_value, in); /* the first line that was wrong */

    if (r == -2)
        complain(in, "no memory");
    if (r > 0 && (unsigned)r != in->first_refused) {
        in->line = (unsigned)r;
        complain(in, "this is no [section], no \"key = value\" and no comment");
    }
    if (ferror(in->file) != 0)
        complain(in, "the file cannot be read");
    return in->n_errors == 0;
}

/* Snapshots need a folder. */
static bool check_folders(
    const struct brokerd_config_base *base, const struct brokerd_config *config)
{
    char text[256];

    for (const struct brokerd_arena_config *a = config->arenas; a != NULL; a = a->next)
        if (a->snapshots && a->snapshot_dir[0] == '\0') {
            (void)snprintf(text, sizeof(text),
                "[arena %s] has snapshots = yes: say with snapshot_dir where they are kept",
                a->name);
            base->complain(text);
            return false;
        }
    return true;
}

/* One file, over what is there from those before it. */
static bool read_path(
    const struct brokerd_config_base *base, struct brokerd_config *config, const char *path)
{
    struct reading in = {.path = path, .base = base, .config = config, .file = fopen(path, "re")};
    char text[BROKERD_PATH_MAX + 100];
    bool ok;

    if (in.file == NULL) {
        (void)snprintf(text, sizeof(text), "cannot read %s: %s", path, strerror(errno));
        base->complain(text);
        return false;
    }
    ok = read_file(&in);
    (void)fclose(in.file);
    return ok;
}

/* What tcp needs may come from another file. */
static bool check_tcp(const struct brokerd_config_base *base, const struct brokerd_config *config)
{
    const struct brokerd_setting *tcp =
        &config->settings[brokerd_key_find(BROKERD_IN_ZMQ, "tcp") - brokerd_keys];
    char text[BROKERD_PATH_MAX + 100];

    if (config->zmq.tcp[0] == '\0' ||
        (config->zmq.server_key[0] != '\0' && config->zmq.clients[0] != '\0'))
        return true;
    (void)snprintf(
        text, sizeof(text), "%s:%u: tcp needs server_key and clients", tcp->file, tcp->line);
    base->complain(text);
    return false;
}

/* All files, also behind one with mistakes, so that all mistakes are told. */
static bool read_all(const struct brokerd_config_source *source,
    const struct brokerd_config_base *base, struct brokerd_config *config)
{
    char *problem;
    bool ok = true;

    if (!brokerd_config_list(source, &config->files, &problem)) {
        base->complain(problem != NULL ? problem : "no memory");
        free(problem);
        return false;
    }
    for (unsigned i = 0; i < config->files.n; i++)
        ok &= read_path(base, config, config->files.paths[i]);
    return check_tcp(base, config) && ok;
}

bool brokerd_config_read(const struct brokerd_config_source *source,
    const struct brokerd_config_base *base, struct brokerd_config **out_config)
{
    struct brokerd_config *config = calloc(1, sizeof(*config));

    if (config == NULL || !brokerd_keys_set_defaults(BROKERD_IN_BROKER, config->settings, config) ||
        !brokerd_keys_set_defaults(BROKERD_IN_ZMQ, config->settings, config) ||
        !brokerd_key_set_default(config->settings, brokerd_key_find(BROKERD_IN_ZMQ, "ipc"), config,
            base->zmq ? "yes" : "no") ||
        !brokerd_key_set_default(config->settings, brokerd_key_find(BROKERD_IN_BROKER, "log_level"),
            config, base->log_level)) {
        base->complain("no memory");
        brokerd_config_free(config);
        return false;
    }
    if ((source != NULL && !read_all(source, base, config)) ||
        (find_arena(config, DEFAULT_ARENA) == NULL &&
            add_arena(config, base, DEFAULT_ARENA) == NULL) ||
        !check_folders(base, config)) {
        brokerd_config_free(config);
        return false;
    }
    *out_config = config;
    return true;
}

void brokerd_config_free(struct brokerd_config *config)
{
    if (config == NULL)
        return;
    for (struct brokerd_arena_config *a = config->arenas, *next; a != NULL; a = next) {
        next = a->next;
        free_arena(a);
    }
    free_settings(config->settings);
    brokerd_config_files_free(&config->files);
    free(config);
}

/* ---- telling ---- */

static bool visit_section(const struct brokerd_setting *settings, const char *arena,
    bool (*visit)(void *arg, const struct brokerd_config_line *line), void *arg)
{
    for (size_t i = 0; i < BROKERD_N_KEYS; i++) {
        const struct brokerd_config_line line = {
            .section = brokerd_section_names[brokerd_keys[i].section],
            .arena = arena,
            .key = brokerd_keys[i].name,
            .setting = settings[i]};

        if ((brokerd_keys[i].section == BROKERD_IN_ARENA) == (arena != NULL) && !visit(arg, &line))
            return false;
    }
    return true;
}

void brokerd_config_each(const struct brokerd_config *config,
    bool (*visit)(void *arg, const struct brokerd_config_line *line), void *arg)
{
    bool goes_on = visit_section(config->settings, NULL, visit, arg);

    for (const struct brokerd_arena_config *a = config->arenas; goes_on && a != NULL; a = a->next)
        goes_on = visit_section(a->settings, a->name, visit, arg);
}

char *brokerd_config_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < BROKERD_N_KEYS; i++) {
        if (i == 0 || brokerd_keys[i].section != brokerd_keys[i - 1].section)
            (void)fprintf(out, "\n[%s]\n", brokerd_section_names[brokerd_keys[i].section]);
        (void)fprintf(out, "  %s = %s\n      %s\n", brokerd_keys[i].name,
            brokerd_keys[i].standard != NULL ? brokerd_keys[i].standard : "...",
            brokerd_keys[i].help);
    }
    (void)fclose(out);
    return text;
}
