/*
 * complete.c - what could stand in the place of the word that is being typed, for the shells
 *
 * Told are commands, types, their verbs, options, and the names of the objects that there are.
 * Without a daemon there are no names, and no complaint. Names that shells could not show, or would
 * take for two, are left out.
 */
#include <stdio.h>
#include <string.h>

#include "client/open.h"
#include "ctl.h"
#include "options.h"
#include "print.h"
#include "view.h"

#define ADDRESS "--address"

static void offer(const struct ctl *ctl, const char *candidate, const char *prefix)
{
    if (strncmp(candidate, prefix, strlen(prefix)) == 0)
        (void)fprintf(ctl->candidates, "%s\n", candidate);
}

static void offer_types(const struct ctl *ctl, const char *prefix)
{
    for (unsigned i = 0; i < ctl_n_types; i++)
        if (ctl_types[i].number != BRI_TYPE_BROKER)
            offer(ctl, ctl_types[i].name, prefix);
}

static void offer_commands(const struct ctl *ctl, const char *prefix)
{
    for (unsigned i = 0; i < ctl_n_commands; i++)
        offer(ctl, ctl_commands[i].name, prefix);
    offer_types(ctl, prefix);
}

static void offer_verbs(const struct ctl *ctl, const struct ctl_type *type, const char *prefix)
{
    for (unsigned i = 0; i < ctl_n_verbs; i++)
        if (ctl_find_verb(type, ctl_verbs[i].name) == &ctl_verbs[i])
            offer(ctl, ctl_verbs[i].name, prefix);
    for (unsigned i = 0; i < type->n_operations; i++)
        offer(ctl, type->operations[i].command, prefix);
}

static void offer_names(struct ctl *ctl, const struct ctl_type *type, const char *prefix)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_iter walk;
    broker_value objects, row, name;
    char text[256];

    if (strlen(prefix) >= sizeof(text) ||
        (ctl->broker == NULL && bri_open_within(ctl->address, CTL_LOOK_NS, &ctl->broker) < 0))
        return;
    if (broker_objects(ctl->broker, type != NULL ? type->name : NULL, prefix, &buffer, &objects) >=
            0 &&
        ctl_walk_start(&walk, objects))
        while (ctl_walk_next(&walk, &row))
            if (ctl_map_get(row, "name", &name) && ctl_is_plain(name) &&
                ctl_copy_text(name, text, sizeof(text)) && strpbrk(text, "\n\t") == NULL)
                (void)fprintf(ctl->candidates, "%s\n", text);
    broker_buffer_free(&buffer);
}

static bool wants_names(const char *command)
{
    static const char *const commands[] = {
        "ls", "show", "stat", "watch", "rm", "mv", "leases", "monitor"};

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(command, commands[i]) == 0)
            return true;
    return false;
}

/* The words of a command but for its options; the last one is being typed. */
static int complete_words(struct ctl *ctl, char **words, int n)
{
    const char *prefix = words[n - 1];
    const struct ctl_type *type = ctl_find_type(words[0]);
    bool is_help = strcmp(words[0], "help") == 0;

    if (n == 1 || (is_help && n == 2))
        offer_commands(ctl, prefix);
    else if (is_help && n == 3 && ctl_find_type(words[1]) != NULL)
        offer_verbs(ctl, ctl_find_type(words[1]), prefix);
    else if (type != NULL && n == 2)
        offer_verbs(ctl, type, prefix);
    else if (type != NULL && n == 3 && strcmp(words[1], "create") != 0)
        offer_names(ctl, type, prefix);
    else if (n == 2 && strcmp(words[0], "worker") == 0)
        offer_names(ctl, ctl_find_type("queue"), prefix);
    else if (n >= 2 && wants_names(words[0]))
        offer_names(ctl, NULL, prefix);
    return 0;
}

/* The command itself knows its options. */
static int complete_option(struct ctl *ctl, int argc, char **argv)
{
    ctl->completing = argv[argc - 1];
    if (argc > 1)
        return ctl_run(ctl, argc - 1, argv);
    ctl_list_global_options(ctl, ctl->completing);
    return 0;
}

int ctl_complete(struct ctl *ctl, int argc, char **argv)
{
    char *last = argc > 0 ? argv[argc - 1] : NULL;
    int first = 0, n = 0;

    if (last == NULL)
        return 0;
    for (; first < argc - 1 && argv[first][0] == '-'; first++) {
        if (strncmp(argv[first], ADDRESS "=", strlen(ADDRESS "=")) == 0)
            ctl->address = argv[first] + strlen(ADDRESS "=");
        else if (!ctl_global_takes_word(argv[first]) || first + 1 >= argc - 1)
            continue;
        else if (strcmp(argv[first++], ADDRESS) == 0)
            ctl->address = argv[first];
    }
    argv += first;
    argc -= first;
    if (argc >= 2 && strcmp(argv[argc - 2], "--type") == 0) {
        offer_types(ctl, last);
        return 0;
    }
    for (int i = 0; i < argc - 1; i++)
        if (strcmp(argv[i], "--") == 0)
            return 0; /* what follows is another program's */
    if (last[0] == '-')
        return complete_option(ctl, argc, argv);
    for (int i = 0; i < argc; i++)
        if (i == argc - 1 || argv[i][0] != '-')
            argv[n++] = argv[i];
    return complete_words(ctl, argv, n);
}
