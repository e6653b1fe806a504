/*
 * config_keys.c - see config_keys.h
 */
#include "config_keys.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/layout.h"
#include "level.h"

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

const char *const brokerd_section_names[] = {"broker", "zmq", "arena NAME"};

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

    if (why == NULL && (*(uint64_t *)field < 4096 || *(uint64_t *)field > UINT64_C(1) << 40))
        why = "it is 4K or more, up to 1024G";
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
    KEY(BROKERD_IN_BROKER, name, standard, help, offsetof(struct brokerd_config, field), read)
#define ARENA_KEY(name, standard, help, field, read)                                               \
    KEY(BROKERD_IN_ARENA, name, standard, help, offsetof(struct brokerd_arena_config, field), read)
#define ZMQ_KEY(name, standard, help, field, read)                                                 \
    KEY(BROKERD_IN_ZMQ, name, standard, help, offsetof(struct brokerd_config, zmq.field), read)

const struct brokerd_key brokerd_keys[] = {
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
    ZMQ_KEY("clients", NULL,
        "file with the brokerd_keys that may come over tcp, and what each may use", clients,
        read_dir),
    ZMQ_KEY("max_message", "1M", "largest request", max_message, read_message),
    ZMQ_KEY("max_sessions", "4096", "sessions at a time", max_sessions, read_count),
    ZMQ_KEY("max_pending", "256", "unanswered requests of a session", max_pending, read_count),
    ZMQ_KEY("max_queued", "1024",
        "answers that a client may leave unread, or twice max_pending if that is more", max_queued,
        read_count),
    ZMQ_KEY("max_unread", "64M", "memory for the answers that a client leaves unread", max_unread,
        read_session_memory),
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
_Static_assert(sizeof(brokerd_keys) / sizeof(brokerd_keys[0]) == BROKERD_N_KEYS, "keys");
_Static_assert(BROKERD_N_KEYS <= BROKERD_KEYS_MAX, "keys");

const struct brokerd_key *brokerd_key_find(enum brokerd_section section, const char *name)
{
    for (size_t i = 0; i < BROKERD_N_KEYS; i++)
        if (brokerd_keys[i].section == section && strcmp(brokerd_keys[i].name, name) == 0)
            return &brokerd_keys[i];
    return NULL;
}

/* NULL, or why the value cannot be taken. */
const char *brokerd_key_set(struct brokerd_setting *settings, const struct brokerd_key *key,
    void *target, const struct brokerd_setting *to)
{
    struct brokerd_setting *setting = &settings[key - brokerd_keys];
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

bool brokerd_key_set_default(struct brokerd_setting *settings, const struct brokerd_key *key,
    void *target, const char *value)
{
    return brokerd_key_set(settings, key, target,
               &(struct brokerd_setting){.value = (char *)(uintptr_t)value}) == NULL;
}

bool brokerd_keys_set_defaults(
    enum brokerd_section section, struct brokerd_setting *settings, void *target)
{
    for (size_t i = 0; i < BROKERD_N_KEYS; i++)
        if (brokerd_keys[i].section == section && brokerd_keys[i].standard != NULL &&
            !brokerd_key_set_default(settings, &brokerd_keys[i], target, brokerd_keys[i].standard))
            return false;
    return true;
}
