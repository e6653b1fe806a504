/*
 * commands.c - which command is meant
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "fail.h"
#include "nearest.h"
#include "options.h"
#include "print.h"

const struct ctl_command ctl_commands[] = {
    {"status", "Whether the daemon is there, and how much it has to do.", ctl_cmd_status},
    {"ls", "The objects that there are.", ctl_cmd_ls},
    {"show", "One object from all sides.", ctl_cmd_show},
    {"stat", "All numbers of one object.", ctl_cmd_stat},
    {"rm", "Destroy objects.", ctl_cmd_rm},
    {"collect", "Destroy what has no name and cannot be reached.", ctl_cmd_collect},
    {"mv", "Give an object another name.", ctl_cmd_mv},
    {"clients", "The programs that are attached, and what they hold.", ctl_cmd_clients},
    {"leases", "The items of queues that are leased, and by whom.", ctl_cmd_leases},
    {"mem", "Where the memory is.", ctl_cmd_mem},
    {"quota", "What each user has, and may have.", ctl_cmd_quota},
    {"locks", "The locks that are held, and by whom.", ctl_cmd_locks},
    {"config", "The configuration, and where it comes from.", ctl_cmd_config},
    {"watch", "What changes of an object, as it changes.", ctl_cmd_watch},
    {"events", "What comes and goes: objects and programs.", ctl_cmd_events},
    {"monitor", "Operations as they happen.", ctl_cmd_monitor},
    {"top", "What happens most, on a screen.", ctl_cmd_top},
    {"worker", "Run a program for each item of a queue.", ctl_cmd_worker},
    {"doctor", "What is wrong or soon will be, in plain words.", ctl_cmd_doctor},
    {"health", "One line and an exit code, for Nagios and its like.", ctl_cmd_health},
    {"metrics", "Numbers for Prometheus, as OpenMetrics text.", ctl_cmd_metrics},
    {"check", "Check the structure of everything in the arena.", ctl_cmd_check},
    {"shell", "Commands one after the other, with history and completion.", ctl_cmd_shell},
    {"save", "Save the arena to a snapshot.", ctl_cmd_save},
    {"dump", "Print all there is to know of objects.", ctl_cmd_dump},
    {"restore", "Make the objects of a dump again.", ctl_cmd_restore},
    {"keygen", "Make a pair of keys for addresses with tcp://.", ctl_cmd_keygen},
    {"version", "The versions of this program.", ctl_cmd_version},
    {"help", "How a command is used.", ctl_cmd_help},
};
const unsigned ctl_n_commands = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

const struct ctl_verb ctl_verbs[] = {
    {NULL, "create", "NAME [OPTION...]", "Create an object that is not there yet.", ctl_create},
    {"lock", "run", "NAME [--timeout DURATION] [--] COMMAND [ARGUMENT...]",
        "Run a program while holding a lock.", ctl_lock_run},
};
const unsigned ctl_n_verbs = sizeof(ctl_verbs) / sizeof(ctl_verbs[0]);

const struct ctl_type *ctl_find_type(const char *name)
{
    for (unsigned i = 0; i < ctl_n_types; i++)
        if (ctl_types[i].number != BRI_TYPE_BROKER && strcmp(ctl_types[i].name, name) == 0)
            return &ctl_types[i];
    return NULL;
}

const struct ctl_operation *ctl_find_operation(const struct ctl_type *type, const char *command)
{
    for (unsigned i = 0; i < type->n_operations; i++)
        if (strcmp(type->operations[i].command, command) == 0 ||
            strcmp(type->operations[i].name, command) == 0)
            return &type->operations[i];
    return NULL;
}

static bool has_verb(const struct ctl_type *type, const struct ctl_verb *verb)
{
    return verb->type == NULL || strcmp(verb->type, type->name) == 0;
}

const struct ctl_verb *ctl_find_verb(const struct ctl_type *type, const char *name)
{
    for (unsigned i = 0; i < ctl_n_verbs; i++)
        if (has_verb(type, &ctl_verbs[i]) && strcmp(ctl_verbs[i].name, name) == 0)
            return &ctl_verbs[i];
    return NULL;
}

static int fail_verb(const struct ctl_type *type, const char *verb)
{
    struct ctl_nearest nearest;

    ctl_nearest_start(&nearest, verb);
    for (unsigned i = 0; i < type->n_operations; i++)
        ctl_nearest_try(&nearest, type->operations[i].command);
    for (unsigned i = 0; i < ctl_n_verbs; i++)
        if (has_verb(type, &ctl_verbs[i]))
            ctl_nearest_try(&nearest, ctl_verbs[i].name);
    if (nearest.best[0] != '\0')
        return ctl_fail_usage("%s has no command \"%s\"; did you mean \"%s %s\"?", type->name, verb,
            type->name, nearest.best);
    return ctl_fail_usage("%s has no command \"%s\"; `brokerctl help %s` lists what it has",
        type->name, verb, type->name);
}

static int run_type(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv)
{
    const struct ctl_operation *op;
    const struct ctl_verb *verb;

    if (argc < 2)
        return ctl_fail_usage(
            "what should be done with the %s? `brokerctl help %s` lists what can be", type->name,
            type->name);
    if (strcmp(argv[1], "--help") == 0)
        return ctl_help_type(type);
    if (argv[1][0] == '-')
        return ctl_fail_usage("options come behind the command, as in `brokerctl %s %s NAME %s`",
            type->name, type->operations[0].command, argv[1]);
    op = ctl_find_operation(type, argv[1]);
    if (op != NULL)
        return ctl_operation(ctl, type, op, argc - 1, argv + 1);
    verb = ctl_find_verb(type, argv[1]);
    return verb != NULL ? verb->run(ctl, type, argc - 1, argv + 1) : fail_verb(type, argv[1]);
}

/* "get jobs": a verb whose type was left out. The first type that has it; NULL if none has. */
static const struct ctl_type *type_with(const char *verb)
{
    for (unsigned i = 0; i < ctl_n_types; i++)
        if (ctl_types[i].number != BRI_TYPE_BROKER &&
            ctl_find_operation(&ctl_types[i], verb) != NULL)
            return &ctl_types[i];
    return NULL;
}

static int fail_command(const char *word)
{
    const struct ctl_type *type = type_with(word);
    struct ctl_nearest nearest;

    if (type != NULL)
        return ctl_fail_usage(
            "\"%s\" of what? Write the type before it, such as `brokerctl %s %s NAME`", word,
            type->name, word);
    ctl_nearest_start(&nearest, word);
    for (unsigned i = 0; i < ctl_n_commands; i++)
        ctl_nearest_try(&nearest, ctl_commands[i].name);
    for (unsigned i = 0; i < ctl_n_types; i++)
        if (ctl_types[i].number != BRI_TYPE_BROKER)
            ctl_nearest_try(&nearest, ctl_types[i].name);
    if (nearest.best[0] != '\0')
        return ctl_fail_usage(
            "there is no command \"%s\"; did you mean \"%s\"?", word, nearest.best);
    return ctl_fail_usage("there is no command \"%s\"; `brokerctl help` lists them", word);
}

int ctl_run(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_type *type = ctl_find_type(argv[0]);

    if (type != NULL)
        return run_type(ctl, type, argc, argv);
    for (unsigned i = 0; i < ctl_n_commands; i++)
        if (strcmp(ctl_commands[i].name, argv[0]) == 0)
            return ctl_commands[i].run(ctl, argc, argv);
    return fail_command(argv[0]);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    if (argc == 0)
        return ctl->out_is_tty && isatty(STDIN_FILENO) == 1 && !ctl->json && !ctl->in_shell
                   ? ctl_cmd_shell(ctl, argc, argv)
                   : ctl_cmd_status(ctl, argc, argv);
    if (strcmp(argv[0], "--" CTL_COMPLETE) == 0)
        return ctl_complete(ctl, argc - 1, argv + 1);
    return ctl_run(ctl, argc, argv);
}

int ctl_main(struct ctl *ctl, int argc, char **argv)
{
    char **rest;
    int code, written;

    ctl->out_is_tty = isatty(STDOUT_FILENO) == 1;
    ctl->candidates = stdout;
    argc = ctl_parse_global(ctl, argc, argv, &rest);
    code = run(ctl, argc, rest);
    ctl_disconnect(ctl);
    /* A full disk shows at the latest here. */
    written = ctl_flush(ctl);
    return code != 0 ? code : written;
}
