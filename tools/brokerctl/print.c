/*
 * print.c - values on stdout; see print.h
 *
 * What is printed may come from anybody who may write into the arena. On a terminal, text with
 * control characters is therefore printed as JSON, which escapes them; within lines of words it is
 * tamed.
 */
#include "print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "fail.h"
#include "json.h"
#include "json_text.h"
#include "objects/pack.h"

/* JSON for a terminal: in strings, the only place where they can be, control characters that JSON
 * lets through are escaped. */
static void write_harmless(const unsigned char *p, size_t left)
{
    while (left > 0) {
        size_t n = *p >= ' ' ? bri_control_length(p, left) : 0;

        if (n > 0)
            (void)printf("\\u%04x", p[n - 1]);
        else
            (void)putchar(p[0]);
        n += n == 0;
        p += n;
        left -= n;
    }
}

static int print_json(const struct ctl *ctl, broker_value v, bool pretty)
{
    broker_buffer text = BROKER_BUFFER_INIT;
    int r = ctl_json_print(v, pretty, &text);

    if (r == 0) {
        if (ctl->out_is_tty)
            write_harmless(text.data, text.size);
        else
            (void)fwrite(text.data, 1, text.size, stdout);
        (void)putchar('\n');
    }
    broker_buffer_free(&text);
    return r < 0 ? ctl_fail(r, "the value cannot be printed: %s", broker_error_text(r)) : 0;
}

int ctl_print_json(const struct ctl *ctl, broker_value v)
{
    return print_json(ctl, v, ctl->out_is_tty);
}

int ctl_print_json_line(const struct ctl *ctl, broker_value v)
{
    return print_json(ctl, v, false);
}

int ctl_flush(struct ctl *ctl)
{
    errno = 0;
    if (!ctl->output_failed && (fflush(stdout) != 0 || ferror(stdout))) {
        ctl->output_failed = true;
        (void)ctl_fail(BROKER_SYSTEM, "cannot write the output: %s",
            errno != 0 ? strerror(errno) : "a part of it was not taken");
    }
    return ctl->output_failed ? CTL_EXIT_FAILURE : 0;
}

void ctl_vsay(FILE *f, const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        return;
    bri_tame(text, strlen(text));
    (void)fputs(text, f);
    free(text);
}

void ctl_say(FILE *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ctl_vsay(f, format, args);
    va_end(args);
}

bool ctl_is_plain(broker_value v)
{
    const unsigned char *p = v.data;

    if (v.type != BROKER_STR || !ctl_utf8_valid(v.data, v.size))
        return false;
    for (uint32_t i = 0; i < v.size; i++) {
        if (p[i] != '\n' && p[i] != '\t' && bri_control_length(p + i, v.size - i) > 0)
            return false;
    }
    return true;
}

static bool is_raw(const struct ctl *ctl, broker_value v)
{
    if (ctl->json || (v.type != BROKER_STR && v.type != BROKER_BIN))
        return false;
    return !ctl->out_is_tty || ctl_is_plain(v);
}

static int print_one(const struct ctl *ctl, broker_value v, bool as_lines)
{
    if (!is_raw(ctl, v))
        return print_json(ctl, v, ctl->out_is_tty && !as_lines);
    if (v.size > 0)
        (void)fwrite(v.data, 1, v.size, stdout);
    if (ctl->out_is_tty || as_lines)
        (void)putchar('\n');
    return 0;
}

/* Results: an object with their names. */
static int print_several(const struct ctl *ctl, const struct ctl_operation *op,
    const struct bri_call *call, bool as_lines)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack pack;
    broker_value all;
    int r, code;

    bri_pack_start(&pack, &buffer);
    bri_pack_map(&pack, call->n_results);
    for (uint32_t i = 0; i < call->n_results; i++)
        bri_pack_entry(&pack, op->results[i].name, call->results[i]);
    r = bri_pack_end(&pack, &all);
    if (r < 0)
        code = ctl_fail(r, "the answer cannot be printed: %s", broker_error_text(r));
    else
        code =
            ctl->csv ? ctl_print_map(ctl, all) : print_json(ctl, all, ctl->out_is_tty && !as_lines);
    broker_buffer_free(&buffer);
    return code;
}

/* A table on stdout, and on stderr what else came: a cursor, which is 0 at the end. */
static int print_table(
    const struct ctl *ctl, const struct ctl_operation *op, const struct bri_call *call)
{
    const struct ctl_table table = {.columns = op->results[0].columns,
        .n_columns = op->results[0].n_columns,
        .none = "there is nothing to show"};
    int code = ctl_print_rows(ctl, &table, call->results[0]);

    for (uint32_t i = 1; i < call->n_results && code == 0; i++)
        if (call->results[i].type == BROKER_INT && call->results[i].u != 0)
            ctl_note(ctl, "%s: %llu", op->results[i].name, (unsigned long long)call->results[i].u);
    return code;
}

int ctl_print_answer(const struct ctl *ctl, const struct ctl_operation *op,
    const struct bri_call *call, bool as_lines)
{
    if (ctl->quiet) {
        bool is_no = call->n_results == 1 && call->results[0].type == BROKER_BOOL &&
                     op->results[0].kind == BRI_ARG_BOOL && !call->results[0].b;

        return is_no ? CTL_EXIT_FAILURE : 0;
    }
    if (call->n_results == 0)
        return 0;
    if (op->results[0].n_columns > 0 && !ctl->json)
        return print_table(ctl, op, call);
    return call->n_results == 1 && !ctl->csv ? print_one(ctl, call->results[0], as_lines)
                                             : print_several(ctl, op, call, as_lines);
}
