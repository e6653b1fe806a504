/*
 * operation.c - one operation of one object: its words, its options, and calling it once or often
 *
 * Everything comes from the generated table. With --each-line the operation is called for every
 * line of stdin, with --count as often as asked; each call is atomic, and the first that fails is
 * the last.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confirm.h"
#include "ctl.h"
#include "fail.h"
#include "help.h"
#include "object.h"
#include "options.h"
#include "print.h"
#include "value/value.h"
#include "words.h"

#define READ_AT_ONCE 65536u

enum {
    STRING = CTL_OPTION_OWN + CTL_MAX_ARGS,
    BIN,
    EACH_LINE,
    COUNT,
    YES,
    DRY_RUN,
};

struct operation {
    struct ctl *ctl;
    const struct ctl_type *type;
    const struct ctl_operation *op;
    const char *name; /* of the object */
    struct bri_handle *handle;
    const char *given[CTL_MAX_ARGS]; /* as typed; NULL: not given */
    broker_value values[CTL_MAX_ARGS];
    broker_buffer buffers[CTL_MAX_ARGS];
    broker_buffer answer;
    enum ctl_form form;
    unsigned from_stdin; /* number of the argument that stdin gives; CTL_MAX_ARGS: none */
    bool each_line;
    bool is_counted, is_endless;
    uint64_t count;
    bool as_lines; /* there may be many answers */
    bool finishes; /* items are leased, and done once they were written */
    struct ctl_consent consent;
};

/* ---- words ---- */

static const char *metavar(enum bri_arg kind)
{
    switch (kind) {
    case BRI_ARG_DURATION:
        return "DURATION";
    case BRI_ARG_STRING:
        return "TEXT";
    case BRI_ARG_BOOL:
        return "true|false";
    case BRI_ARG_I64:
    case BRI_ARG_U64:
    case BRI_ARG_COUNT:
    case BRI_ARG_TOKEN:
    case BRI_ARG_NUMBER:
        return "N";
    default:
        return "VALUE";
    }
}

static bool has_value_word(const struct ctl_operation *op)
{
    for (unsigned i = 0; i < op->n_args; i++)
        if (op->args[i].kind == BRI_ARG_KEY || op->args[i].kind == BRI_ARG_VALUE)
            return true;
    return false;
}

static bool has_word(const struct ctl_operation *op)
{
    for (unsigned i = 0; i < op->n_args; i++)
        if (!op->args[i].option)
            return true;
    return false;
}

struct options {
    struct argp_option list[CTL_MAX_ARGS + 7];
    char names[CTL_MAX_ARGS][64];
    unsigned n;
};

static void add_option(
    struct options *x, const char *name, int key, const char *arg, const char *doc)
{
    x->list[x->n++] = (struct argp_option){name, key, arg, 0, doc, 0};
}

static void make_options(const struct ctl_operation *op, struct options *x)
{
    *x = (struct options){0};
    for (unsigned i = 0; i < op->n_args; i++) {
        const struct ctl_argument *arg = &op->args[i];

        if (!arg->option)
            continue;
        ctl_flag_name(arg->name, x->names[i], sizeof(x->names[i]));
        add_option(x, x->names[i], CTL_OPTION_OWN + (int)i, metavar(arg->kind), arg->doc);
    }
    if (has_value_word(op)) {
        add_option(
            x, "string", STRING, NULL, "keys and values are text, also what looks like JSON");
        add_option(x, "bin", BIN, NULL, "keys and values are bytes");
    }
    if (has_word(op))
        add_option(x, "each-line", EACH_LINE, NULL,
            "one operation for each line of standard input, in place of the argument -");
    if (op->destroys) {
        add_option(x, "yes", YES, NULL, CTL_DOC_YES);
        add_option(x, "dry-run", DRY_RUN, NULL, CTL_DOC_DRY_RUN);
    }
    if (ctl_takes(op))
        add_option(x, "count", COUNT, "N|all",
            "so many, each on a line of its own; all: as long as there are any");
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct operation *o = own;
    struct ctl_remark why;

    switch (key) {
    case STRING:
        o->form = CTL_FORM_STRING;
        return 0;
    case BIN:
        o->form = CTL_FORM_BIN;
        return 0;
    case EACH_LINE:
        o->each_line = true;
        return 0;
    case YES:
        o->consent.yes = true;
        return 0;
    case DRY_RUN:
        o->consent.dry_run = true;
        return 0;
    case COUNT:
        o->is_counted = true;
        o->is_endless = strcmp(arg, "all") == 0;
        if (!o->is_endless && ctl_read_count(arg, &o->count, &why) < 0)
            argp_error(state, "--count: %s", why.text);
        return 0;
    default:
        if (key < CTL_OPTION_OWN || key >= CTL_OPTION_OWN + (int)o->op->n_args)
            return ARGP_ERR_UNKNOWN;
        o->given[key - CTL_OPTION_OWN] = arg;
        return 0;
    }
}

/* Gives the words their arguments; at most one of them is "-". */
static int assign_words(struct operation *o, const struct ctl_words *words)
{
    unsigned n = 1;

    o->name = words->words[0];
    o->from_stdin = CTL_MAX_ARGS;
    for (unsigned i = 0; i < o->op->n_args && n < words->n; i++) {
        if (o->op->args[i].option)
            continue;
        o->given[i] = words->words[n++];
        if (strcmp(o->given[i], "-") != 0)
            continue;
        if (o->from_stdin != CTL_MAX_ARGS)
            return ctl_fail_usage(
                "standard input can give one argument only; write \"-\" as '\"-\"'");
        o->from_stdin = i;
    }
    if (o->each_line && o->from_stdin == CTL_MAX_ARGS)
        return ctl_fail_usage("--each-line needs the argument - in the place where the lines go, "
                              "as in `brokerctl %s %s %s -`",
            o->type->name, o->op->command, o->name);
    o->as_lines = o->each_line || o->is_counted;
    return 0;
}

static int parse_words(struct operation *o, int argc, char **argv)
{
    char title[96], args_doc[128];
    char *doc = ctl_help_operation(o->op);
    struct options options;
    struct ctl_words words;
    struct ctl_syntax syntax = {.title = title,
        .args_doc = args_doc,
        .prints_table = true,
        .doc = doc,
        .option = parse_option,
        .own = o,
        .min_words = 1,
        .max_words = 1};
    int code;

    make_options(o->op, &options);
    syntax.options = options.n > 0 ? options.list : NULL;
    for (unsigned i = 0; i < o->op->n_args; i++) {
        syntax.min_words += !o->op->args[i].option && o->op->args[i].fallback == NULL;
        syntax.max_words += !o->op->args[i].option;
    }
    (void)snprintf(title, sizeof(title), "%s %s", o->type->name, o->op->command);
    ctl_args_doc(o->op, args_doc, sizeof(args_doc));
    if (!ctl_parse(o->ctl, &syntax, argc, argv, &words)) {
        free(doc);
        return -1;
    }
    free(doc);
    code = assign_words(o, &words);
    free(words.words);
    return code;
}

/* ---- values ---- */

static int convert(struct operation *o, unsigned i, struct ctl_text text, struct ctl_remark *remark)
{
    const struct ctl_argument *arg = &o->op->args[i];
    char word[64] = "--";
    const struct ctl_parameter parameter = {arg->kind, arg->name, o->form};
    int r = ctl_read_argument(&parameter, text, &o->buffers[i], &o->values[i], remark);

    if (r >= 0)
        return 0;
    if (arg->option)
        ctl_flag_name(arg->name, word + 2, sizeof(word) - 2);
    else
        ctl_word_name(arg->name, word, sizeof(word));
    (void)ctl_fail_usage("%s %s: %s: %s", o->type->name, o->op->command, word, remark->text);
    return r == BROKER_INVALID ? CTL_EXIT_USAGE : ctl_exit_code(r);
}

static int convert_words(struct operation *o)
{
    struct ctl_remark remark;
    int code = 0;

    for (unsigned i = 0; i < o->op->n_args && code == 0; i++) {
        o->values[i] = broker_nil();
        if (o->given[i] == NULL || i == o->from_stdin)
            continue;
        code = convert(o, i, (struct ctl_text){o->given[i], strlen(o->given[i])}, &remark);
        if (code == 0 && remark.text[0] != '\0')
            ctl_note(o->ctl,
                "%s is taken as plain text, since it is no JSON (%s); --string says that this is "
                "meant",
                o->given[i], remark.text);
    }
    return code;
}

/* All of stdin, with a NUL behind it. 0, or the exit code of a failure that was told. */
static int read_stdin(broker_buffer *buffer)
{
    ssize_t n;

    do {
        if (bri_buffer_reserve(buffer, buffer->size + READ_AT_ONCE + 1) < 0)
            return ctl_fail(BROKER_NOMEM, "standard input is larger than the memory");
        n = read(STDIN_FILENO, (char *)buffer->data + buffer->size, READ_AT_ONCE);
        if (n < 0)
            return ctl_fail(BROKER_SYSTEM, "cannot read standard input: %s", strerror(errno));
        buffer->size += (size_t)n;
    } while (n > 0);
    ((char *)buffer->data)[buffer->size] = '\0';
    return 0;
}

/* The last newline of a text is not part of it, as in $(...). */
static int convert_stdin(struct operation *o, broker_buffer *buffer)
{
    struct ctl_remark remark;
    char *bytes;
    int code = read_stdin(buffer);

    if (code != 0)
        return code;
    bytes = buffer->data;
    if (o->form != CTL_FORM_BIN && buffer->size > 0 && bytes[buffer->size - 1] == '\n')
        bytes[--buffer->size] = '\0';
    return convert(o, o->from_stdin, (struct ctl_text){bytes, buffer->size}, &remark);
}

/* ---- calls ---- */

/*
 * One call: what the operation returned. If it succeeded, *out_code is 0, or the exit code of a
 * failure to hand the answer on, which was told.
 */
static int call_once(struct operation *o, int *out_code)
{
    struct bri_call call = {.broker = o->ctl->broker,
        .handle = o->handle,
        .op = o->op->op,
        .args = o->values,
        .n_args = o->op->n_args,
        .buffer = &o->answer};
    int r = bri_dispatch(&call);

    *out_code = 0;
    if (r < 0)
        return r;
    *out_code = ctl_print_answer(o->ctl, o->op, &call, o->as_lines);
    /* Whoever reads has the answer before the next one is waited for, or the item finished. */
    if (*out_code == 0 && (o->op->blocks || o->finishes))
        *out_code = ctl_flush(o->ctl);
    if (*out_code == 0 && o->finishes)
        *out_code = ctl_finish_items(o->op, o->name, &call);
    ctl_note_success(o->ctl, o->op, o->name, r);
    return r;
}

static int run_once(struct operation *o)
{
    int code, r = call_once(o, &code);

    return r < 0 ? ctl_fail_call(o->op, o->handle, o->name, r) : code;
}

static int run_lines(struct operation *o)
{
    struct ctl_remark remark;
    unsigned long long n_done = 0;
    char *line = NULL;
    size_t capacity = 0;
    int code = 0;
    ssize_t n;

    while (code == 0 && (n = getline(&line, &capacity, stdin)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            line[--n] = '\0';
        code = convert(o, o->from_stdin, (struct ctl_text){line, (size_t)n}, &remark);
        if (code == 0)
            code = run_once(o);
        n_done += code == 0;
    }
    free(line);
    if (code == 0 && ferror(stdin))
        code = ctl_fail(BROKER_SYSTEM, "cannot read standard input: %s", strerror(errno));
    if (code != 0)
        ctl_note(o->ctl, "stopped at line %llu: the %llu before it are done", n_done + 1, n_done);
    return code;
}

/* With "all", there being no more is the end and no failure. */
static bool is_end(const struct operation *o, int r)
{
    return o->is_endless && (r == BROKER_EMPTY || r == BROKER_TIMEDOUT || r == BROKER_CLOSED);
}

static int run_counted(struct operation *o)
{
    unsigned long long n_done = 0;
    int code = 0, r = 0;

    while (code == 0 && r >= 0 && (o->is_endless || n_done < o->count)) {
        r = call_once(o, &code);
        n_done += r >= 0;
    }
    if (r >= 0 || is_end(o, r))
        return code;
    code = ctl_fail_call(o->op, o->handle, o->name, r);
    if (!o->is_endless)
        ctl_note(o->ctl, "%llu of %llu came", n_done, (unsigned long long)o->count);
    return code;
}

/* Whether to drop what is in the object, as ctl_confirm(); that others use it needs no --yes. */
static int confirm(struct operation *o, bool *out_stop)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct ctl_doomed doomed = {0};
    broker_value stat;
    int code = ctl_connect(o->ctl);

    *out_stop = code != 0;
    if (code == 0 && broker_stat(o->ctl->broker, o->name, &buffer, &stat) >= 0) {
        ctl_doom(&doomed, o->name, stat);
        doomed.n_used = 0;
        code = ctl_confirm(o->ctl, &o->consent, o->op->command, &doomed, out_stop);
        ctl_doomed_free(&doomed);
    }
    broker_buffer_free(&buffer);
    return code;
}

static int run_opened(struct operation *o)
{
    o->finishes = ctl_leases(o->ctl, o->op, o->name);
    if (o->each_line)
        return run_lines(o);
    return o->is_counted ? run_counted(o) : run_once(o);
}

static int open_and_run(struct operation *o)
{
    broker_mode mode = ctl_creates(o->op) ? BROKER_OPEN_OR_CREATE : BROKER_OPEN;
    const struct ctl_target target = {o->type, o->op->command, o->name};
    char what[96];
    bool stop = false;
    int code = 0;

    (void)snprintf(what, sizeof(what), "%s %s", o->type->name, o->op->command);
    if (o->op->changes || o->op->blocks)
        code = ctl_refuse_offline(o->ctl, what);
    if (code == 0 && o->op->destroys)
        code = confirm(o, &stop);
    if (code == 0 && !stop)
        code = ctl_open_object(o->ctl, &target, mode, NULL, &o->handle);
    if (code != 0 || stop)
        return code;
    code = run_opened(o);
    bri_dispatch_close(o->handle);
    return code;
}

int ctl_operation(struct ctl *ctl, const struct ctl_type *type, const struct ctl_operation *op,
    int argc, char **argv)
{
    struct operation o = {.ctl = ctl, .type = type, .op = op};
    broker_buffer input = BROKER_BUFFER_INIT;
    int code;

    if (op->n_args > CTL_MAX_ARGS)
        return ctl_fail(BROKER_INTERNAL, "%s %s has too many arguments", type->name, op->command);
    code = parse_words(&o, argc, argv);
    if (code < 0)
        return 0;
    if (code == 0)
        code = convert_words(&o);
    if (code == 0 && o.from_stdin != CTL_MAX_ARGS && !o.each_line)
        code = convert_stdin(&o, &input);
    if (code == 0)
        code = open_and_run(&o);
    for (unsigned i = 0; i < CTL_MAX_ARGS; i++)
        broker_buffer_free(&o.buffers[i]);
    broker_buffer_free(&o.answer);
    broker_buffer_free(&input);
    return code;
}
