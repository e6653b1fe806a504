/*
 * config_files.h - which files an instance's configuration is read from, and in which order
 *
 * The main file, brokerd.conf, is the administrator's (or the user's), or if there is none the
 * distribution's. After it come the drop-ins: all brokerd.conf.d/NAME.conf of both folders in the
 * order of their names; of two with one name only the administrator's. What is read later wins.
 */
#ifndef BROKERD_CONFIG_FILES_H
#define BROKERD_CONFIG_FILES_H

#include <stdbool.h>

#define BROKERD_PATH_MAX 256

struct brokerd_config_source {
    const char *file; /* this file, which must be there, and the drop-ins in FILE.d; NULL: */
    char own[BROKERD_PATH_MAX];      /* the administrator's or the user's folder; empty: none */
    char standard[BROKERD_PATH_MAX]; /* the distribution's folder; empty: none */
};

/* The standard folders: of the system's instances, or of this user's. @name is NULL for the one
 * that has no name of its own. */
void brokerd_config_places(
    bool of_system, const char *name, struct brokerd_config_source *out_source);

struct brokerd_config_files {
    char **paths; /* in the order of reading */
    unsigned n;
};

/* False, with a reason in @problem (to be freed; NULL without memory), when a folder cannot be
 * read. */
bool brokerd_config_list(const struct brokerd_config_source *source,
    struct brokerd_config_files *out_files, char **problem);

void brokerd_config_files_free(struct brokerd_config_files *files);

/* Where an instance keeps what outlives the machine's running, unless it is told: empty if nowhere.
 */
void brokerd_config_state(bool of_system, char out_path[BROKERD_PATH_MAX]);

#endif
