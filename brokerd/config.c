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
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <broker/errors.h>

#include "core/layout.h"
#include "level.h"

#define ARENA_PREFIX "arena "
#define DEFAULT_ARENA "default"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define SECTION_MAX 48 /* inih cuts longer ones */
#define MIN_ARENA (UINT64_C(1) << 20)
#define MAX_CLIENTS 100000u
#define MAX_SESSIONS 8192u
#define MAX_LIMIT 1000000u
#define MAX_INTERVAL (UINT64_C(366) * 24 * 3600) /* seconds */
#define MAX_KEEP 1000u
#define MAX_MESSAGE (UINT64_C(1) << 30)
#define MIN_MESSAGE 1024u
#define MIN_ENDPOINT_MEMORY (UINT64_C(64) << 20)
#define MAX_ENDPOINT_SESSIONS 65536u
#define MAX_TIMEOUT_S 86400u

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

enum section { IN_BROKER, IN_ZMQ, IN_ARENA };

static const char *const section_names[] = {"broker", "zmq", "arena NAME"};

struct key {
    enum section section;
    const char *name;
    const char *standard; /* as in the file; NULL: see `help` */
    const char *help;
    size_t offset; /* of the field in its struct */
    /* Reads the value into the field; NULL, or why it cannot. */
    const char *(*read)(const char *value, void *field);
};

static const char *read_size(const char *value, void *field)
{
    static const char units[] = "KMG";
    unsigned long long n;
    const char *unit;
    unsigned shift = 0;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (errno != 0 || end == value || value[0] == '-')
        return "it is a number of bytes, such as 4096, 64M or 1G";
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end != '\0' || n > UINT64_MAX >> shift)
        return "it is a number of bytes, such as 4096, 64M or 1G";
    *(uint64_t *)field = (uint64_t)n << shift;
    return NULL;
}

static const char *read_arena_size(const char *value, void *field)
{
    const char *why = read_size(value, field);
    uint64_t n = why == NULL ? *(uint64_t *)field : 0;

    if (why == NULL && (n < MIN_ARENA || n > BRI_ARENA_MAX))
        why = "an arena has 1M to 64G";
    return why;
}

static const char *read_number(const char *value, uint64_t max, void *field)
{
    unsigned long long n;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || n == 0 || n > max)
        return "";
    *(uint64_t *)field = n;
    return NULL;
}

static const char *read_clients(const char *value, void *field)
{
    return read_number(value, MAX_CLIENTS, field) != NULL ? "it is a number from 1 to 100000"
                                                          : NULL;
}

static const char *read_sessions(const char *value, void *field)
{
    return read_number(value, MAX_SESSIONS, field) != NULL ? "it is a number from 1 to 8192" : NULL;
}

/* 0 is none. */
static const char *read_limit(const char *value, void *field)
{
    if (strcmp(value, "0") == 0)
        *(uint64_t *)field = 0;
    else if (read_number(value, MAX_LIMIT, field) != NULL)
        return "it is a number from 1 to 1000000, or 0 for no limit";
    return NULL;
}

/* Seconds, with a unit: from 1 to @max. */
static bool read_time(const char *value, uint64_t max, uint64_t *out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 24 * 3600}};
    unsigned long long n;
    uint64_t factor = 0;
    char *end;

    errno = 0;
    n = strtoull(value, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && end != value; i++)
        if (end[0] == units[i].unit && end[1] == '\0')
            factor = units[i].seconds;
    if (errno != 0 || value[0] == '-' || factor == 0 || n == 0 || n > max / factor)
        return false;
    *out = n * factor;
    return true;
}

/* 0 is never. */
static const char *read_interval(const char *value, void *field)
{
    if (strcmp(value, "0") == 0)
        *(uint64_t *)field = 0;
    else if (!read_time(value, MAX_INTERVAL, field))
        return "it is a time such as 30s, 5m, 1h or 7d, or 0 for never";
    return NULL;
}

static const char *read_keep(const char *value, void *field)
{
    return read_number(value, MAX_KEEP, field) != NULL ? "it is a number from 1 to 1000" : NULL;
}

static const char *read_switch(const char *value, void *field)
{
    bool yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0)
        return "it is yes or no";
    *(bool *)field = yes;
    return NULL;
}

static const char *read_dir(const char *value, void *field)
{
    if (value[0] != '/' || strlen(value) >= BROKERD_PATH_MAX)
        return "it is an absolute path";
    memcpy(field, value, strlen(value) + 1);
    return NULL;
}

static const char *read_level(const char *value, void *field)
{
    return brokerd_level_read(value, field) ? NULL : "it is " BROKERD_LEVELS;
}

static const char *read_rule(const char *value, void *field)
{
    struct brokerd_rule *rule = field;
    char words[256], *save = NULL;
    const char *reason;

    if (strlen(value) >= sizeof(words))
        return "it is too long";
    memcpy(words, value, strlen(value) + 1);
    memset(rule, 0, sizeof(*rule));
    for (char *w = strtok_r(words, " \t,", &save); w != NULL; w = strtok_r(NULL, " \t,", &save))
        if (!brokerd_rule_add(rule, w, &reason))
            return reason;
    return NULL;
}

static const char *read_message(const char *value, void *field)
{
    const char *why = read_size(value, field);
    uint64_t n = why == NULL ? *(uint64_t *)field : 0;

    if (why == NULL && (n < MIN_MESSAGE || n > MAX_MESSAGE))
        why = "a message has 1K to 1G";
    return why;
}

static const char *read_session_memory(const char *value, void *field)
{
    const char *why = read_size(value, field);

    if (why == NULL && *(uint64_t *)field < 4096)
        why = "a session has 4K or more";
    return why;
}

static const char *read_memory(const char *value, void *field)
{
    const char *why = read_size(value, field);

    if (why == NULL && *(uint64_t *)field < MIN_ENDPOINT_MEMORY)
        why = "it needs 64M or more";
    return why;
}

static const char *read_count(const char *value, void *field)
{
    return read_number(value, MAX_ENDPOINT_SESSIONS, field) != NULL
               ? "it is a number from 1 to 65536"
               : NULL;
}

static const char *read_timeout(const char *value, void *field)
{
    return read_time(value, MAX_TIMEOUT_S, field) ? NULL
                                                  : "it is a time such as 10s or 5m, from 1s to 1d";
}

/* Whether it can be bound is found out by who binds it. */
static const char *read_tcp(const char *value, void *field)
{
    char words[BROKERD_PATH_MAX], *save = NULL;

    if (strlen(value) >= sizeof(words))
        return "it is too long";
    memcpy(words, value, strlen(value) + 1);
    for (char *w = strtok_r(words, " \t,", &save); w != NULL; w = strtok_r(NULL, " \t,", &save)) {
        const char *port = strrchr(w, ':');

        if (port == NULL || port == w || port[1] == '\0' ||
            port[1 + strspn(port + 1, "0123456789")] != '\0')
            return "it is HOST:PORT, or several of these separated by blanks";
    }
    memcpy(field, value, strlen(value) + 1);
    return NULL;
}

#define KEY(section_, name_, standard_, help_, where, read_)                                       \
    {                                                                                              \
        .section = section_, .name = name_, .standard = standard_, .help = help_, .offset = where, \
        .read = read_                                                                              \
    }
#define BROKER_KEY(name, standard, help, field, read)                                              \
    KEY(IN_BROKER, name, standard, help, offsetof(struct brokerd_config, field), read)
#define ARENA_KEY(name, standard, help, field, read)                                               \
    KEY(IN_ARENA, name, standard, help, offsetof(struct brokerd_arena_config, field), read)
#define ZMQ_KEY(name, standard, help, field, read)                                                 \
    KEY(IN_ZMQ, name, standard, help, offsetof(struct brokerd_config, zmq.field), read)

static const struct key keys[] = {
    BROKER_KEY("runtime_dir", NULL,
        "folder of the attach socket; by default /run/brokerd for the system's instance and "
        "$XDG_RUNTIME_DIR/brokerd for a user's",
        runtime_dir, read_dir),
    BROKER_KEY("max_clients", "1024", "connections at a time", max_clients, read_clients),
    BROKER_KEY("max_clients_per_user", "512", "connections of one user at a time",
        max_clients_per_user, read_clients),
    BROKER_KEY("log_level", NULL,
        "error, warning, info or debug; warning by default for private instances, else info",
        log_level, read_level),
    ZMQ_KEY("ipc", NULL,
        "yes: clients of this machine may come by ZeroMQ, at ipc://RUNTIME_DIR/zmq; no by default "
        "for private instances, else yes",
        ipc, read_switch),
    ZMQ_KEY("tcp", "",
        "HOST:PORT, several separated by blanks: clients with a key may come there by ZeroMQ", tcp,
        read_tcp),
    ZMQ_KEY("server_key", NULL, "file with the broker's keys, made by brokerctl keygen; for tcp",
        server_key, read_dir),
    ZMQ_KEY("clients", NULL, "file with the keys that may come over tcp, and what each may use",
        clients, read_dir),
    ZMQ_KEY("max_message", "1M", "largest request", max_message, read_message),
    ZMQ_KEY("max_sessions", "4096", "sessions at a time", max_sessions, read_count),
    ZMQ_KEY("max_pending", "256", "unanswered requests of a session", max_pending, read_count),
    ZMQ_KEY("session_memory", "16M", "memory for the requests and kept answers of a session",
        session_memory, read_session_memory),
    ZMQ_KEY(
        "memory", "2G", "most that brokerd-zmq may use, without the arenas", memory, read_memory),
    ZMQ_KEY("timeout", "10s",
        "time after which a session ends that is not heard of, if the client does not say",
        timeout_s, read_timeout),
    ZMQ_KEY("max_timeout", "5m", "most that a client may ask for", max_timeout_s, read_timeout),
    ARENA_KEY("size", "1G", "the most that it can grow to", size_bytes, read_arena_size),
    ARENA_KEY("sessions", "256", "processes attached at a time", n_sessions, read_sessions),
    ARENA_KEY("persist", NULL,
        "yes: what is in it outlives a stop of brokerd; no by default for private instances, else "
        "yes",
        persist, read_switch),
    ARENA_KEY("snapshots", "no",
        "yes: what is in it is also saved to files, and loaded from the last one when there is no "
        "arena in memory, as after a reboot",
        snapshots, read_switch),
    ARENA_KEY("snapshot_interval", "5m",
        "how often it is saved; 0: only when brokerd is stopped, and by `brokerctl save`",
        snapshot_interval_s, read_interval),
    ARENA_KEY(
        "snapshot_keep", "3", "so many of the last snapshots are kept", snapshot_keep, read_keep),
    ARENA_KEY("snapshot_dir", NULL,
        "folder of the snapshots; by default /var/lib/brokerd for the system's instance and "
        "$XDG_STATE_HOME/brokerd for a user's",
        snapshot_dir, read_dir),
    ARENA_KEY("keep_free", "64M", "unused memory above this goes back to the system",
        keep_free_bytes, read_size),
    ARENA_KEY("max_bytes_per_user", "0", "memory of all objects that one user made; 0 is no limit",
        max_user_bytes, read_size),
    ARENA_KEY("max_objects_per_user", "0", "objects that one user made; 0 is no limit",
        max_user_objects, read_limit),
    ARENA_KEY("max_sessions_per_user", "0",
        "processes of one user attached at a time; 0 is no limit", max_user_sessions, read_limit),
    ARENA_KEY("max_objects_per_session", "0",
        "objects that one process has open at a time; 0 is no limit", max_session_objects,
        read_limit),
    ARENA_KEY("read", "", "users and @groups that may read it, or *; whoever may write may read",
        read, read_rule),
    ARENA_KEY("write", NULL,
        "users and @groups that may also write it, or *; by default the user that brokerd runs as, "
        "and for the "
        "system's instance root and the group broker",
        write, read_rule),
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

_Static_assert(N_KEYS <= BROKERD_KEYS_MAX, "keys");

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

static const struct key *find_key(enum section section, const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* NULL, or why the value cannot be taken. */
static const char *set(struct brokerd_setting *settings, const struct key *key, void *target,
    const struct brokerd_setting *to)
{
    struct brokerd_setting *setting = &settings[key - keys];
    const char *why = key->read(to->value, (char *)target + key->offset);
    char *copy = why == NULL ? strdup(to->value) : NULL;

    if (why != NULL)
        return why;
    if (copy == NULL)
        return "no memory";
    free(setting->value);
    *setting = (struct brokerd_setting){copy, to->file, to->line};
    return NULL;
}

static bool set_default(
    struct brokerd_setting *settings, const struct key *key, void *target, const char *value)
{
    return set(settings, key, target,
               &(struct brokerd_setting){.value = (char *)(uintptr_t)value}) == NULL;
}

static bool set_defaults(enum section section, struct brokerd_setting *settings, void *target)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (keys[i].section == section && keys[i].standard != NULL &&
            !set_default(settings, &keys[i], target, keys[i].standard))
            return false;
    return true;
}

/* The group is left out where there is none. */
static bool set_write_default(
    struct brokerd_arena_config *arena, const struct brokerd_config_base *base)
{
    const struct key *key = find_key(IN_ARENA, "write");
    struct brokerd_rule rule = {0};
    const char *reason;
    char words[64];

    if (base->group != NULL && brokerd_rule_add(&rule, base->group, &reason)) {
        (void)snprintf(words, sizeof(words), "%s %s", base->arena_write, base->group);
        return set_default(arena->settings, key, arena, words);
    }
    return set_default(arena->settings, key, arena, base->arena_write);
}

/* Some instances have no folder of their own. */
static bool set_folder_default(
    struct brokerd_arena_config *arena, const struct brokerd_config_base *base)
{
    return base->state_dir[0] == '\0' ||
           set_default(arena->settings, find_key(IN_ARENA, "snapshot_dir"), arena, base->state_dir);
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

    if (arena == NULL || !set_defaults(IN_ARENA, arena->settings, arena) ||
        !set_default(
            arena->settings, find_key(IN_ARENA, "persist"), arena, base->persist ? "yes" : "no") ||
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
    const struct reading *in, enum section section, const char *name, const char *value)
{
    struct brokerd_arena_config *arena = section == IN_ARENA ? in->arena : NULL;
    struct brokerd_setting *settings = arena != NULL ? arena->settings : in->config->settings;
    const struct key *key = find_key(section, name);

    if (key == NULL)
        return "there is no such key in this section";
    if (settings[key - keys].file == in->path)
        return "it was given already";
    return set(settings, key, arena != NULL ? (void *)arena : (void *)in->config,
        &(struct brokerd_setting){(char *)(uintptr_t)value, in->path, in->line});
}

/* For inih: 1 goes on, 0 notes the line as wrong and goes on. */
static int take_value(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *in = arg;
    enum section which = strncmp(section, ARENA_PREFIX, strlen(ARENA_PREFIX)) == 0 ? IN_ARENA
                         : strcmp(section, "zmq") == 0                             ? IN_ZMQ
                                                                                   : IN_BROKER;
    const char *why;

    if ((which == IN_ARENA && in->arena == NULL) ||
        (which == IN_BROKER && section[0] != '\0' && strcmp(section, "broker") != 0))
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
    const struct brokerd_setting *tcp = &config->settings[find_key(IN_ZMQ, "tcp") - keys];
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

    if (config == NULL || !set_defaults(IN_BROKER, config->settings, config) ||
        !set_defaults(IN_ZMQ, config->settings, config) ||
        !set_default(config->settings, find_key(IN_ZMQ, "ipc"), config, base->zmq ? "yes" : "no") ||
        !set_default(config->settings, find_key(IN_BROKER, "log_level"), config, base->log_level)) {
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
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct brokerd_config_line line = {.section = section_names[keys[i].section],
            .arena = arena,
            .key = keys[i].name,
            .setting = settings[i]};

        if ((keys[i].section == IN_ARENA) == (arena != NULL) && !visit(arg, &line))
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
    for (size_t i = 0; i < N_KEYS; i++) {
        if (i == 0 || keys[i].section != keys[i - 1].section)
            (void)fprintf(out, "\n[%s]\n", section_names[keys[i].section]);
        (void)fprintf(out, "  %s = %s\n      %s\n", keys[i].name,
            keys[i].standard != NULL ? keys[i].standard : "...", keys[i].help);
    }
    (void)fclose(out);
    return text;
}
