/*
 * The command line: the global options, which every command takes, and the words of one command.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <argp.h>

#include "ctl.h"

#define CTL_JSON_VERSION                                                                           \
    1 /* of what --json prints: moves when a field goes or means another thing */
#define CTL_COMPLETE "complete" /* a hidden option: the words behind it are to be completed */

/* Keys of options that no single letter stands for; those of a command begin at CTL_OPTION_OWN. */
enum {
    CTL_OPTION_ADDRESS = 0x100,
    CTL_OPTION_NO_HEADER,
    CTL_OPTION_JSON,
    CTL_OPTION_NO_PAGER,
    CTL_OPTION_COLOR,
    CTL_OPTION_OFFLINE,
    CTL_OPTION_INSTANCE,
    CTL_OPTION_ARENA,
    CTL_OPTION_OWN = 0x200,
};

/* What one command takes. */
struct ctl_syntax {
    const char *title;    /* "queue get" */
    const char *args_doc; /* "NAME [PREFIX]" */
    const char
        *doc; /* the help: what stands before the options, then after a \v what comes behind */
    const struct argp_option *options; /* NULL: none of its own */
    /* An option of its own: 0, or ARGP_ERR_UNKNOWN. Bad arguments are told by argp_error(). */
    error_t (*option)(int key, char *arg, struct argp_state *state, void *own);
    void *own;
    unsigned min_words, max_words;
    bool prints_table; /* with --output=csv there is something to print */
    bool then_command; /* what follows the words is a command with options that are not ours */
};

/* The words that were given. */
struct ctl_words {
    unsigned n;
    char **words;   /* n + 1, the last NULL; to be freed */
    char **command; /* with then_command: the rest, up to a NULL */
};

/*
 * Reads the words and options of a command into @out, the global options into @ctl. Ends the
 * program for --help and for anything wrong. False when only completing: there is nothing to do
 * then.
 */
bool ctl_parse(
    struct ctl *ctl, const struct ctl_syntax *syntax, int argc, char **argv, struct ctl_words *out);

/* The same for a command without words and options of its own. */
bool ctl_parse_none(struct ctl *ctl, const char *title, const char *doc, int argc, char **argv);

/* The same for one that prints a table. */
bool ctl_parse_for_table(
    struct ctl *ctl, const char *title, const char *doc, int argc, char **argv);

/* Whether @option is a global one, and the next word its argument. */
bool ctl_global_takes_word(const char *option);

/* Offers the global options that begin with @prefix. */
void ctl_list_global_options(const struct ctl *ctl, const char *prefix);

/*
 * Reads the global options before the command. How many words the command has with its arguments
 * (0: there is no command), and in @out_rest where they begin.
 */
int ctl_parse_global(struct ctl *ctl, int argc, char **argv, char ***out_rest);

#endif
