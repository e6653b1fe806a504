/*
 * brokerctl: what its parts share.
 *
 * main.c reads the global options, commands.c finds the command, and each command lives in one file
 * with its relatives. Commands return an exit code, whatever is to be said having been said:
 * results on stdout, everything else on stderr. The operations on objects, their options and their
 * help come from the generated table (ctl_table.h), so a new operation needs nothing here.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <broker.h>

#include "ctl_table.h"

#define CTL_PROGRAM "brokerctl"
#define CTL_LOOK_NS (5 * BROKER_SECOND) /* `wait_ns` of who is to tell that nobody answers */

struct ctl_image;

enum ctl_color {
    CTL_COLOR_AUTO, /* on a terminal, unless $NO_COLOR says no */
    CTL_COLOR_ALWAYS,
    CTL_COLOR_NEVER,
};

struct ctl {
    const char *address;          /* NULL: the standard one */
    int64_t wait_ns;              /* for the broker's answer; 0: as all programs do */
    bool offline;                 /* look at a copy of the memory */
    const char *image_path;       /* of its file; NULL: that of `instance` and `arena` */
    const char *instance, *arena; /* NULL: the standard ones */
    bool json, csv;
    bool no_header;
    bool no_pager;
    bool quiet;
    enum ctl_color color;
    bool out_is_tty;
    bool in_shell;           /* a line of the shell */
    FILE *candidates;        /* where completions go */
    const char *completing;  /* not NULL: list the options that begin so, and do nothing else */
    bool output_failed;      /* and that was told */
    broker *broker;          /* NULL until ctl_connect() */
    struct ctl_image *image; /* what `broker` is a view of; NULL if it is live */
};

/* A command that is not an operation of an object. */
struct ctl_command {
    const char *name;
    const char *doc; /* a sentence */
    /* argv[0] is the command's name, as in main(). */
    int (*run)(struct ctl *ctl, int argc, char **argv);
};

/* ---- connect.c ---- */

/* Attaches, or with --offline copies the memory; once. 0, or the exit code of a failure that was
 * told. */
int ctl_connect(struct ctl *ctl);

/* The same for commands that look at the memory itself. */
int ctl_connect_to_memory(struct ctl *ctl);

/* Lets go of the broker. */
void ctl_disconnect(struct ctl *ctl);

/* With --offline: tells that @what cannot be done then, and gives an exit code; else 0. */
int ctl_refuse_offline(const struct ctl *ctl, const char *what);

/* ---- commands.c ---- */

/* All of the program, on the options that @ctl has already. Gives its exit code. */
int ctl_main(struct ctl *ctl, int argc, char **argv);

/* Runs the command that argv[0] (and for a type argv[1]) names. */
int ctl_run(struct ctl *ctl, int argc, char **argv);

extern const struct ctl_command ctl_commands[];
extern const unsigned ctl_n_commands;

/* Verbs of types that the generated table does not have. */
struct ctl_verb {
    const char *type; /* NULL: every type of object */
    const char *name;
    const char *usage; /* what follows the verb */
    const char *doc;
    int (*run)(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv);
};

extern const struct ctl_verb ctl_verbs[];
extern const unsigned ctl_n_verbs;

/* NULL if there is none. The arena's own operations are no type here. */
const struct ctl_type *ctl_find_type(const char *name);
const struct ctl_operation *ctl_find_operation(const struct ctl_type *type, const char *command);
const struct ctl_verb *ctl_find_verb(const struct ctl_type *type, const char *name);

/* ---- one file each ---- */

int ctl_cmd_status(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_ls(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_show(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_leases(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_mem(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_stat(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_clients(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_locks(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_collect(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_rm(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_quota(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_mv(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_config(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_check(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_worker(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_doctor(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_health(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_metrics(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_watch(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_events(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_monitor(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_top(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_shell(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_save(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_dump(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_restore(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_keygen(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_version(struct ctl *ctl, int argc, char **argv);
int ctl_cmd_help(struct ctl *ctl, int argc, char **argv);

int ctl_operation(struct ctl *ctl, const struct ctl_type *type, const struct ctl_operation *op,
    int argc, char **argv);
int ctl_create(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv);
int ctl_lock_run(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv);

/* help.c: the page of a type; the list of all commands, as text to be freed, NULL without memory.
 */
int ctl_help_type(const struct ctl_type *type);
char *ctl_help_overview(void);

/* complete.c: prints what could stand in the place of the last of the words after the program's
 * name. */
int ctl_complete(struct ctl *ctl, int argc, char **argv);

#endif
