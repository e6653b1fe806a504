/*
 * config.h - the configuration: its keys, their defaults, and reading it
 *
 * INI files (config_files.h) of [broker], [zmq] and any number of [arena NAME]. One table in
 * config_keys.c has every key with its default and a line of help. Anything that is not understood
 * is an error that names file and line; nothing is guessed.
 */
#ifndef BROKERD_CONFIG_H
#define BROKERD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "config_files.h"

#define BROKERD_NAME_MAX 40 /* of instances and arenas: letters, digits, "-" and "_" */
#define BROKERD_KEYS_MAX 32

/* Where the value of a key comes from. */
struct brokerd_setting {
    char *value;      /* as in the file; NULL: nothing was said, and there is no default */
    const char *file; /* NULL: the default */
    unsigned line;
};

struct brokerd_arena_config {
    struct brokerd_arena_config *next;
    char name[BROKERD_NAME_MAX + 1];
    const char *begun_in; /* the last file with its section; NULL: none */
    struct brokerd_setting settings[BROKERD_KEYS_MAX];
    uint64_t size_bytes;
    uint64_t n_sessions;
    uint64_t keep_free_bytes;
    uint64_t max_user_bytes; /* of these four, 0 is no limit */
    uint64_t max_user_objects;
    uint64_t max_user_sessions;
    uint64_t max_session_objects;
    bool persist;
    bool snapshots;
    uint64_t snapshot_interval_s; /* 0: only when it is stopped, or when asked for */
    uint64_t snapshot_keep;
    char snapshot_dir[BROKERD_PATH_MAX]; /* empty: the instance's own */
    struct brokerd_rule read, write;
};

/* The ZeroMQ endpoint. */
struct brokerd_zmq_config {
    bool ipc;
    char tcp[BROKERD_PATH_MAX]; /* HOST:PORT..., separated by blanks; empty: none */
    char server_key[BROKERD_PATH_MAX];
    char clients[BROKERD_PATH_MAX];
    uint64_t max_message, session_memory, max_unread, memory; /* bytes */
    uint64_t max_sessions, max_pending, max_queued;
    uint64_t timeout_s, max_timeout_s;
};

struct brokerd_config {
    struct brokerd_config_files files;
    struct brokerd_setting settings[BROKERD_KEYS_MAX];
    char runtime_dir[BROKERD_PATH_MAX]; /* empty: the instance's own */
    uint64_t max_clients;
    uint64_t max_clients_per_user;
    int log_level; /* LOG_ERR to LOG_DEBUG */
    struct brokerd_zmq_config zmq;
    struct brokerd_arena_config *arenas; /* one of them is `default` */
};

/* What depends on the kind of instance. */
struct brokerd_config_base {
    const char *arena_write; /* default of an arena's `write`: words as in the file */
    const char *group;       /* added to it if there is such a group; or NULL */
    const char *log_level;
    const char *state_dir; /* default of `snapshot_dir`; empty: there is none */
    bool persist;
    void (*complain)(const char *text); /* is told every problem */
    bool zmq;                           /* default of [zmq] ipc */
};

bool brokerd_name_ok(const char *name);

/* Reads all files of @source (NULL: none). False when something is wrong: every problem was told.
 */
bool brokerd_config_read(const struct brokerd_config_source *source,
    const struct brokerd_config_base *base, struct brokerd_config **out_config);

/* One key as it is in force. */
struct brokerd_config_line {
    const char *section; /* "broker" or "zmq", where `arena` is NULL */
    const char *arena;   /* NULL: [broker] */
    const char *key;
    struct brokerd_setting setting;
};

/* Gives all keys in their order, arena by arena, until @visit says false. */
void brokerd_config_each(const struct brokerd_config *config,
    bool (*visit)(void *arg, const struct brokerd_config_line *line), void *arg);

/* NULL is allowed. */
void brokerd_config_free(struct brokerd_config *config);

/* The keys, their defaults and what they are for, as text: to be freed; NULL without memory. */
char *brokerd_config_help(void);

#endif
