/*
 * options.c - see options.h
 *
 * argp in two steps: the global options up to the command, then the command's words with its own
 * options and once more the global ones. Words are taken in their order, and one like -5 is a word:
 * for argp it is an option of a digit, which is put back where it stood.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#define COMPLETE 0x300 /* key of --complete */

static const struct argp_option global_options[] = {
    {"address", CTL_OPTION_ADDRESS, "ADDRESS", 0,
        "the broker to use, such as unix:/run/brokerd/attach (default: $BROKER_ADDRESS, else this "
        "user's, else the system's)",
        0},
    {"json", CTL_OPTION_JSON, "VERSION", OPTION_ARG_OPTIONAL,
        "results as JSON: indented on a terminal, on one line elsewhere; with a version, fails "
        "unless that is what is printed (see `brokerctl help json`)",
        0},
    {NULL, 'j', NULL, 0, "the same as --json", 0},
    {"output", 'o', "FORMAT", 0,
        "table (aligned on a terminal, fields with tabs between them elsewhere), csv, or json", 0},
    {"no-header", CTL_OPTION_NO_HEADER, NULL, 0, "no headings above tables", 0},
    {"no-pager", CTL_OPTION_NO_PAGER, NULL, 0,
        "long tables go to a terminal as they are, and not through $BROKERCTL_PAGER, $PAGER or "
        "less",
        0},
    {"color", CTL_OPTION_COLOR, "WHEN", 0,
        "always, never, or auto (on a terminal, unless $NO_COLOR is set)", 0},
    {"quiet", 'q', NULL, 0,
        "no results and no notes, only failures; a yes or no is then the exit code 0 or 1", 0},
    {"offline", CTL_OPTION_OFFLINE, "FILE", OPTION_ARG_OPTIONAL,
        "look at a copy of an arena's memory, without a daemon", 0},
    {"instance", CTL_OPTION_INSTANCE, "NAME", 0,
        "whose arena, with --offline: system, user, or a name (default: system for root, else "
        "user)",
        0},
    {"arena", CTL_OPTION_ARENA, "NAME", 0, "which arena, with --offline (default: default)", 0},
    {0},
};

static void set_json(struct ctl *ctl, const char *version, struct argp_state *state)
{
    char own[16];

    (void)snprintf(own, sizeof(own), "%d", CTL_JSON_VERSION);
    if (version != NULL && strcmp(version, own) != 0)
        argp_error(state, "--json=%s: this program prints version %s", version, own);
    ctl->json = true;
    ctl->csv = false;
}

static void set_output(struct ctl *ctl, const char *format, struct argp_state *state)
{
    if (strcmp(format, "json") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "table") != 0)
        argp_error(state, "--output=%s: it is table, csv or json", format);
    ctl->json = strcmp(format, "json") == 0;
    ctl->csv = strcmp(format, "csv") == 0;
}

static void set_color(struct ctl *ctl, const char *when, struct argp_state *state)
{
    static const char *const words[] = {"auto", "always", "never"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(when, words[i]) == 0) {
            ctl->color = (enum ctl_color)i;
            return;
        }
    argp_error(state, "--color=%s: it is always, never or auto", when);
}

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
    struct ctl *ctl = state->input;

    switch (key) {
    case CTL_OPTION_ADDRESS:
        ctl->address = arg;
        return 0;
    case CTL_OPTION_JSON:
    case 'j':
        set_json(ctl, arg, state);
        return 0;
    case 'o':
        set_output(ctl, arg, state);
        return 0;
    case 'q':
        ctl->quiet = true;
        return 0;
    case CTL_OPTION_NO_HEADER:
        ctl->no_header = true;
        return 0;
    case CTL_OPTION_NO_PAGER:
        ctl->no_pager = true;
        return 0;
    case CTL_OPTION_COLOR:
        set_color(ctl, arg, state);
        return 0;
    case CTL_OPTION_OFFLINE:
        ctl->offline = true;
        ctl->image_path = arg;
        return 0;
    case CTL_OPTION_INSTANCE:
        ctl->instance = arg;
        return 0;
    case CTL_OPTION_ARENA:
        ctl->arena = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

bool ctl_global_takes_word(const char *option)
{
    if (strncmp(option, "--", 2) != 0)
        return false;
    for (const struct argp_option *o = global_options; o->name != NULL || o->key != 0; o++)
        if (o->name != NULL && o->arg != NULL && (o->flags & OPTION_ARG_OPTIONAL) == 0 &&
            strcmp(o->name, option + 2) == 0)
            return true;
    return false;
}

static const struct argp global_argp = {.options = global_options, .parser = parse_global};

static const struct argp_child global_child = {&global_argp, 0, "Options of every command:", 1};

/* ---- a command's words ---- */

struct parse {
    struct ctl *ctl;
    const struct ctl_syntax *syntax;
    struct ctl_words *out;
};

static void add_word(struct parse *p, char *word, struct argp_state *state)
{
    if (p->out->n == p->syntax->max_words)
        argp_error(state, "\"%s\" is one too many: write " CTL_PROGRAM " %s %s", word,
            p->syntax->title, p->syntax->args_doc);
    p->out->words[p->out->n++] = word;
}

#define DIGIT(c)                                                                                   \
    {                                                                                              \
        NULL, c, "", OPTION_HIDDEN | OPTION_ARG_OPTIONAL, NULL, 0                                  \
    }
static const struct argp_option digit_options[] = {DIGIT('0'), DIGIT('1'), DIGIT('2'), DIGIT('3'),
    DIGIT('4'), DIGIT('5'), DIGIT('6'), DIGIT('7'), DIGIT('8'), DIGIT('9'), {0}};

static error_t parse_digit(int key, char *arg, struct argp_state *state)
{
    char *word;

    (void)arg;
    if (key < '0' || key > '9')
        return ARGP_ERR_UNKNOWN;
    word = state->argv[state->next - 1];
    if (word[0] != '-' || word[1] != key)
        argp_error(state, "\"%s\" is neither an option nor a number", word);
    add_word(state->input, word, state);
    return 0;
}

static error_t parse_word(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    const struct ctl_syntax *syntax = p->syntax;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = p;
        state->child_inputs[1] = p->ctl;
        return 0;
    case ARGP_KEY_ARG:
        if (syntax->then_command && p->out->n == syntax->max_words) {
            p->out->command = state->argv + state->next - 1;
            state->next = state->argc;
        } else {
            add_word(p, arg, state);
        }
        return 0;
    case ARGP_KEY_END:
        if (p->out->n < syntax->min_words || (syntax->then_command && p->out->command == NULL))
            argp_error(state, "an argument is missing: write " CTL_PROGRAM " %s %s", syntax->title,
                syntax->args_doc);
        if (p->ctl->csv && !syntax->prints_table)
            argp_error(state, "--output=csv is for tables, and this prints none");
        return 0;
    default:
        return syntax->option != NULL ? syntax->option(key, arg, state, syntax->own)
                                      : ARGP_ERR_UNKNOWN;
    }
}

static void list_options(
    const struct ctl *ctl, const struct argp_option *options, const char *prefix)
{
    char name[64];

    for (; options != NULL && (options->name != NULL || options->key != 0); options++) {
        if (options->name == NULL || (options->flags & OPTION_HIDDEN) != 0)
            continue;
        (void)snprintf(name, sizeof(name), "--%s", options->name);
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            (void)fprintf(ctl->candidates, "%s\n", name);
    }
}

void ctl_list_global_options(const struct ctl *ctl, const char *prefix)
{
    list_options(ctl, global_options, prefix);
}

bool ctl_parse(
    struct ctl *ctl, const struct ctl_syntax *syntax, int argc, char **argv, struct ctl_words *out)
{
    static const struct argp digits = {.options = digit_options, .parser = parse_digit};
    const struct argp_child children[] = {{&digits, 0, NULL, 0}, global_child, {0}};
    const struct argp argp = {.options = syntax->options,
        .parser = parse_word,
        .args_doc = syntax->args_doc,
        .doc = syntax->doc,
        .children = children};
    struct parse p = {.ctl = ctl, .syntax = syntax, .out = out};
    char title[128];
    char *name = argv[0];

    *out = (struct ctl_words){0};
    if (ctl->completing != NULL) {
        list_options(ctl, syntax->options, ctl->completing);
        ctl_list_global_options(ctl, ctl->completing);
        return false;
    }
    out->words = calloc((size_t)argc + 1, sizeof(*out->words));
    if (out->words == NULL)
        exit(ctl_fail(BROKER_NOMEM, "no memory for the arguments"));
    (void)snprintf(title, sizeof(title), CTL_PROGRAM " %s", syntax->title);
    argv[0] = title;
    (void)argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &p);
    argv[0] = name;
    return true;
}

static bool parse_none(struct ctl *ctl, const struct ctl_syntax *syntax, int argc, char **argv)
{
    struct ctl_words words;
    bool run = ctl_parse(ctl, syntax, argc, argv, &words);

    free(words.words);
    return run;
}

bool ctl_parse_none(struct ctl *ctl, const char *title, const char *doc, int argc, char **argv)
{
    const struct ctl_syntax syntax = {.title = title, .args_doc = "", .doc = doc};

    return parse_none(ctl, &syntax, argc, argv);
}

bool ctl_parse_for_table(struct ctl *ctl, const char *title, const char *doc, int argc, char **argv)
{
    const struct ctl_syntax syntax = {
        .title = title, .args_doc = "", .doc = doc, .prints_table = true};

    return parse_none(ctl, &syntax, argc, argv);
}

/* ---- up to the command ---- */

struct rest {
    struct ctl *ctl;
    int argc;
    char **argv;
};

static void take_rest(struct argp_state *state)
{
    struct rest *rest = state->input;

    rest->argv = state->argv + state->next - 1;
    rest->argc = state->argc - state->next + 1;
    state->next = state->argc;
}

static error_t parse_first(int key, char *arg, struct argp_state *state)
{
    static char version[] = "version";
    static char *version_argv[] = {version, NULL};
    struct rest *rest = state->input;

    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = rest->ctl;
        return 0;
    case ARGP_KEY_ARG:
    case COMPLETE:
        take_rest(state);
        return 0;
    case 'V':
        rest->argc = 1;
        rest->argv = version_argv;
        state->next = state->argc;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ctl_parse_global(struct ctl *ctl, int argc, char **argv, char ***out_rest)
{
    static const struct argp_option options[] = {
        {"version", 'V', NULL, 0, "the versions of this program", 2},
        {CTL_COMPLETE, COMPLETE, NULL, OPTION_HIDDEN, NULL, 0},
        {0},
    };
    const struct argp_child children[] = {global_child, {0}};
    char *overview = ctl_help_overview();
    const struct argp argp = {.options = options,
        .parser = parse_first,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = overview,
        .children = children};
    struct rest rest = {.ctl = ctl};
    static char none[] = "";
    static char *none_argv[] = {none, NULL};

    argp_err_exit_status = CTL_EXIT_USAGE;
    rest.argv = none_argv;
    (void)argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &rest);
    free(overview);
    *out_rest = rest.argv;
    return rest.argc;
}
