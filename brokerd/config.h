/*
 * config.h - the configuration: its keys, their defaults, and reading it
 *
 * An INI file of [broker] and any number of [arena NAME]. One table in config.c has every key with
 * its default and a line of help. Anything that is not understood is an error that names file and
 * line; nothing is guessed.
 */
#ifndef BROKERD_CONFIG_H
#define BROKERD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "access.h"

#define BROKERD_NAME_MAX 40 /* of instances and arenas: letters, digits, "-" and "_" */
#define BROKERD_PATH_MAX 256

struct brokerd_arena_config {
    struct brokerd_arena_config *next;
    char name[BROKERD_NAME_MAX + 1];
    uint32_t given; /* bit a key: it was in the file */
    uint64_t size_bytes;
    uint64_t n_sessions;
    uint64_t keep_free_bytes;
    uint64_t max_user_bytes; /* of these four, 0 is no limit */
    uint64_t max_user_objects;
    uint64_t max_user_sessions;
    uint64_t max_session_objects;
    bool persist;
    struct brokerd_rule read, write;
};

struct brokerd_config {
    uint32_t given;
    char runtime_dir[BROKERD_PATH_MAX]; /* empty: the instance's own */
    uint64_t max_clients;
    uint64_t max_clients_per_user;
    int log_level;                       /* LOG_ERR to LOG_DEBUG */
    struct brokerd_arena_config *arenas; /* one of them is `default` */
};

/* What depends on the kind of instance. */
struct brokerd_config_base {
    const char *arena_write; /* default of an arena's `write`: words as in the file */
    const char *group;       /* added to it if there is such a group; or NULL */
    const char *log_level;
    bool persist;
};

bool brokerd_name_ok(const char *name);

/*
 * Reads @path; a NULL path, or a missing file that nobody asked for by name (@must_exist), gives
 * the defaults. False when something is wrong: every problem was logged.
 */
bool brokerd_config_read(const char *path, bool must_exist, const struct brokerd_config_base *base,
    struct brokerd_config **out_config);

/* NULL is allowed. */
void brokerd_config_free(struct brokerd_config *config);

/* The keys, their defaults and what they are for, as text: to be freed; NULL without memory. */
char *brokerd_config_help(void);

#endif
