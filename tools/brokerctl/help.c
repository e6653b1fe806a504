/*
 * help.c - see help.h
 */
#include "help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "object.h"
#include "options.h"
#include "words.h"

#define WIDTH 79u
#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)
#define JSON_VERSION STRING(CTL_JSON_VERSION)

void ctl_wrap(FILE *f, const char *text, unsigned column, unsigned indent)
{
    bool is_first = true;

    while (*text != '\0') {
        unsigned n = (unsigned)strcspn(text, " ");

        if (!is_first && column + 1 + n > WIDTH) {
            (void)fprintf(f, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!is_first) {
            (void)fputc(' ', f);
            column++;
        }
        (void)fwrite(text, 1, n, f);
        column += n;
        text += n;
        text += strspn(text, " ");
        is_first = false;
    }
    (void)fputc('\n', f);
}

/* A term and what it means, in two columns. */
static void define(FILE *f, const char *term, unsigned width, const char *meaning)
{
    (void)fprintf(f, "  %-*s  ", (int)width, term);
    ctl_wrap(f, meaning, width + 4, width + 4);
}

void ctl_flag_name(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", name);
    for (; *out != '\0'; out++)
        if (*out == '_')
            *out = '-';
}

void ctl_word_name(const char *name, char *out, size_t size)
{
    ctl_flag_name(name, out, size);
    for (; *out != '\0'; out++)
        *out = (char)toupper((unsigned char)*out);
}

void ctl_args_doc(const struct ctl_operation *op, char *out, size_t size)
{
    const char *words = strstr(op->usage, " NAME");
    const char *options = strstr(op->usage, " [--");
    size_t n;

    words = words != NULL ? words + 1 : "";
    n = options != NULL ? (size_t)(options - words) : strlen(words);
    (void)snprintf(out, size, "%.*s", (int)n, words);
}

/* ---- an operation ---- */

static void explain_words(FILE *f, const struct ctl_operation *op)
{
    char term[64];

    (void)fputs("Arguments:\n", f);
    define(f, "NAME", 10, "the object's name");
    for (unsigned i = 0; i < op->n_args; i++)
        if (!op->args[i].option) {
            ctl_word_name(op->args[i].name, term, sizeof(term));
            define(f, term, 10, op->args[i].doc);
        }
}

static void explain_results(FILE *f, const struct ctl_operation *op)
{
    if (op->n_results == 0)
        return;
    (void)fputs(op->n_results == 1 ? "\nPrints:\n" : "\nPrints an object with:\n", f);
    for (unsigned i = 0; i < op->n_results; i++)
        define(f, op->results[i].name, 10, op->results[i].doc);
}

static void explain_exit(FILE *f, const struct ctl_operation *op)
{
    char term[64];

    (void)fputs("\nExit codes:\n", f);
    for (unsigned i = 0; i < op->n_errors; i++) {
        const struct ctl_cause *cause = &op->errors[i];

        if (i >= op->n_specific && cause->error != BROKER_TIMEDOUT)
            continue;
        (void)snprintf(term, sizeof(term), "%-3d %s", ctl_exit_code(cause->error),
            broker_error_name(cause->error));
        define(f, term, 16, cause->when);
    }
    define(f, "", 16, "others: `brokerctl help exit-codes`");
}

/* What is peculiar to the command line. */
static void explain_here(FILE *f, const struct ctl_operation *op)
{
    if (ctl_creates(op)) {
        (void)fputc('\n', f);
        ctl_wrap(f, "The object is created if it is not there.", 0, 0);
    }
    if (op->op == BRI_OP_QUEUE_GET || op->op == BRI_OP_QUEUE_GET_MANY) {
        (void)fputc('\n', f);
        ctl_wrap(f,
            "On a joinable queue an item is finished as soon as it was written to standard output; "
            "if it "
            "could not be written, it goes back to its place.",
            0, 0);
    }
    if (op->op == BRI_OP_LOCK_ACQUIRE) {
        (void)fputc('\n', f);
        ctl_wrap(f,
            "The lock is given back as this command ends, unless it was created with "
            "--keep-on-death. "
            "`brokerctl lock run` holds it while a program runs.",
            0, 0);
    }
}

char *ctl_help_operation(const struct ctl_operation *op)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL)
        return NULL;
    (void)fprintf(f, "%s\v", op->doc);
    explain_words(f, op);
    explain_results(f, op);
    if (op->detail[0] != '\0') {
        (void)fputc('\n', f);
        ctl_wrap(f, op->detail, 0, 0);
    }
    explain_here(f, op);
    explain_exit(f, op);
    if (ctl_has_values(op))
        (void)fputs("\nHow values are written: `brokerctl help values`.\n", f);
    (void)fclose(f);
    return text;
}

/* ---- pages ---- */

int ctl_help_type(const struct ctl_type *type)
{
    char term[64];

    (void)printf("Usage: " CTL_PROGRAM " %s COMMAND NAME [ARGUMENT...]\n\n", type->name);
    ctl_wrap(stdout, type->doc, 0, 0);
    (void)putchar('\n');
    ctl_wrap(stdout, type->detail, 0, 0);
    (void)puts("\nCommands:");
    for (unsigned i = 0; i < ctl_n_verbs; i++)
        if (ctl_find_verb(type, ctl_verbs[i].name) == &ctl_verbs[i])
            define(stdout, ctl_verbs[i].name, 16, ctl_verbs[i].doc);
    for (unsigned i = 0; i < type->n_operations; i++)
        define(stdout, type->operations[i].command, 16, type->operations[i].doc);
    (void)snprintf(term, sizeof(term), "`" CTL_PROGRAM " help %s COMMAND`", type->name);
    (void)printf("\n%s tells more of one.\n", term);
    return 0;
}

char *ctl_help_overview(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL)
        return NULL;
    (void)fputs("Look at and change the objects that programs share through brokerd.\v", f);
    (void)fputs("Commands:\n", f);
    for (unsigned i = 0; i < ctl_n_commands; i++)
        define(f, ctl_commands[i].name, 10, ctl_commands[i].doc);
    (void)fputs("\nObjects; `" CTL_PROGRAM " help TYPE` lists what can be done with one:\n", f);
    for (unsigned i = 0; i < ctl_n_types; i++)
        if (ctl_types[i].number != BRI_TYPE_BROKER)
            define(f, ctl_types[i].name, 10, ctl_types[i].doc);
    (void)fputs("\nExamples:\n"
                "  brokerctl dict set stock tickets 100\n"
                "  brokerctl dict add stock tickets -1\n"
                "  brokerctl queue put jobs '{\"id\": 1}'\n"
                "  brokerctl queue get jobs --timeout 3s\n"
                "  brokerctl lock run backup --timeout 1m -- rsync -a /srv /backup\n"
                "\nMore: `brokerctl help values`, `... json`, `... exit-codes`.\n",
        f);
    (void)fclose(f);
    return text;
}

static int help_exit_codes(void)
{
    char term[64];

    (void)puts("The exit code of brokerctl tells what happened:\n");
    define(stdout, "0", 17, "It worked; of a yes or no with --quiet: yes.");
    define(stdout, "1", 17,
        "brokerctl itself failed, for instance at writing its output; of a yes or no with --quiet: "
        "no.");
    define(stdout, "2", 17, "The command was not written as it should be.");
    for (unsigned i = 0; i < ctl_n_errors; i++) {
        if (ctl_errors[i].exit_code == 0)
            continue;
        (void)snprintf(term, sizeof(term), "%-3d %s", ctl_errors[i].exit_code, ctl_errors[i].name);
        define(stdout, term, 17, ctl_errors[i].text);
    }
    (void)putchar('\n');
    ctl_wrap(stdout,
        "`brokerctl check` ends with 39 (CORRUPT) if it found something. `brokerctl lock run` ends "
        "as its "
        "command did, with 126 or 127 if that could not be started.",
        0, 0);
    return 0;
}

static void print_texts(const char *const texts[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            (void)putchar('\n');
        ctl_wrap(stdout, texts[i], 0, 0);
    }
}

static int help_values(void)
{
    static const char *const texts[] = {
        "Keys and values are written as JSON: 100, 1.5, true, null, \"text\", [1, 2], {\"a\": 1}. "
        "A word that "
        "is not JSON is a string: tickets means \"tickets\". With --string every word is a string, "
        "so "
        "that 100 means \"100\"; with --bin every word is a byte string.",
        "What JSON has no word for is spelled out: {\"$bin\": \"base64\"} is a byte string, "
        "{\"$ext\": [type, "
        "\"base64\"]} an extension (timestamps have type -1), {\"$ref\": "
        "\"slot:generation:arena\"} a reference to an object, {\"$float\": \"nan\"} (or inf, -inf) "
        "such a "
        "number, {\"$map\": [[key, value], ...]} a map whose keys are not all strings, {\"$str\": "
        "\"base64\"} a string that is not UTF-8.",
        "The word - stands for standard input, read whole and without its last newline (with "
        "--bin, to the "
        "last byte); with --each-line, each line is one operation. Write '\"-\"' for the string "
        "\"-\".",
        "A result that is one string or byte string is printed as it is, with a newline only on a "
        "terminal. "
        "Anything else is printed as JSON, and so is everything with --json.",
        "Durations are 500ms, 3s, 1.5m, 2h, 0 (do not wait) or forever. Sizes are bytes, or 64K, "
        "10M, 1G, 1T "
        "of 1024.",
    };

    print_texts(texts, sizeof(texts) / sizeof(texts[0]));
    return 0;
}

static int help_json(void)
{
    static const char *const texts[] = {
        "With --json, or -j, a command prints one JSON text: a list as an array of objects, a "
        "report as one object. What follows something as it happens prints one text a line. "
        "Failures are told in words on standard error, and by the exit code.",
        "What is printed has a version, which `brokerctl version --json` tells as \"json\". Within "
        "a version, names and meanings stay; names may be added, so ignore what you do not know. "
        "A script that asks for its version, as in --json=" JSON_VERSION
        ", fails at once (exit code 2) where another one is spoken.",
        "Units are part of names: _bytes; _ns for nanoseconds; created_ns and attached_ns count "
        "from 1970. What is not known, or does not apply, is null. Numbers are exact, up to 64 "
        "bits; some readers round above 2^53. The values of programs are written as `brokerctl "
        "help values` tells.",
        "With --output=csv, or -o csv, tables are comma-separated values under the names that the "
        "fields have in JSON, with numbers as they are.",
        "Without --json, and where standard output is no terminal, tables are lines of fields "
        "with a tab between them and without headings, in an order that stays; fields may be "
        "added at the end.",
    };

    print_texts(texts, sizeof(texts) / sizeof(texts[0]));
    return 0;
}

/* ---- the command ---- */

static const struct {
    const char *name;
    int (*print)(void);
} pages[] = {{"exit-codes", help_exit_codes}, {"values", help_values}, {"json", help_json}};

/* The command's own --help. */
static int help_by_option(struct ctl *ctl, int argc, char **argv)
{
    static char option[] = "--help";
    char **words = calloc((size_t)argc + 2, sizeof(*words));
    int code;

    if (words == NULL)
        return ctl_fail(BROKER_NOMEM, "no memory for the arguments");
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    words[argc] = option;
    code = ctl_run(ctl, argc + 1, words);
    free(words);
    return code;
}

/* Of this command itself, which else takes words only. */
static bool parse_help(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_syntax syntax = {.title = "help",
        .args_doc = "[COMMAND | TYPE [COMMAND] | values | json | exit-codes]",
        .doc = "How a command is used, what can be done with a type of objects, how values are "
               "written and results printed, and what exit codes mean. Without a word: a list of "
               "all commands.",
        .max_words = 2};
    struct ctl_words words;
    bool run = ctl_parse(ctl, &syntax, argc, argv, &words);

    free(words.words);
    return run;
}

int ctl_cmd_help(struct ctl *ctl, int argc, char **argv)
{
    char *overview;

    if (argc > 1 && argv[1][0] == '-' && !parse_help(ctl, argc, argv))
        return 0;
    if (argc == 1 || argv[1][0] == '-') {
        (void)puts("Usage: " CTL_PROGRAM " [OPTION...] COMMAND [ARGUMENT...]");
        overview = ctl_help_overview();
        if (overview == NULL)
            return ctl_fail(BROKER_NOMEM, "no memory for the text");
        (void)printf(
            "%.*s\n\n%s", (int)strcspn(overview, "\v"), overview, strchr(overview, '\v') + 1);
        free(overview);
        return 0;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (strcmp(argv[1], pages[i].name) == 0)
            return pages[i].print();
    return help_by_option(ctl, argc - 1, argv + 1);
}
