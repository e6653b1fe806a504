/*
 * dump.c - `brokerctl dump`: what is in an arena, for people or for machines
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "ctl.h"
#include "dump.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "print.h"
#include "snapshot/file.h"
#include "snapshot/save.h"

#define BINARY (CTL_OPTION_OWN)
#define MAX_GLOBS 1000u

struct dump {
    struct ctl *ctl;
    bool is_binary;
    struct ctl_words globs;
    struct bri_snapshot_writer *writer;
    broker_buffer text;
    uint64_t n;
    int code; /* exit code of what was left out, and told */
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct dump *d = own;

    (void)arg;
    (void)state;
    if (key != BINARY)
        return ARGP_ERR_UNKNOWN;
    d->is_binary = true;
    return 0;
}

static bool wants(void *arg, const char *name)
{
    const struct dump *d = arg;

    for (unsigned i = 0; i < d->globs.n; i++)
        if (fnmatch(d->globs.words[i], name, 0) == 0)
            return true;
    return d->globs.n == 0;
}

static void leave_out(void *arg, const char *name, int why)
{
    struct dump *d = arg;

    d->code = ctl_fail(why, "%s is left out: %s (%s)",
        name[0] != '\0' ? name : "an object without a name", broker_error_text(why),
        broker_error_name(why));
}

static int print_line(struct dump *d, broker_value v)
{
    int r = ctl_json_print(v, false, &d->text);

    if (r == 0 &&
        (fwrite(d->text.data, 1, d->text.size, stdout) != d->text.size || putchar('\n') == EOF))
        r = BROKER_SYSTEM; /* told when all is flushed */
    return r;
}

static int print_record(void *arg, broker_value record)
{
    struct dump *d = arg;

    d->n++;
    if (!d->is_binary)
        return print_line(d, record);
    return bri_snapshot_write(
        d->writer, &(struct bri_snapshot_part){BRI_SNAPSHOT_OBJECT, record.data, record.size});
}

static int dump_text(struct dump *d, struct bri_saving *saving)
{
    int r = 0;

    if (printf("{\"brokerdump\":%d}\n", CTL_DUMP_VERSION) < 0)
        return BROKER_SYSTEM;
    r = bri_save_arena(d->ctl->broker, saving);
    if (r == 0 && printf("{\"end\":%llu}\n", (unsigned long long)d->n) < 0)
        r = BROKER_SYSTEM;
    return r;
}

static int dump_bytes(struct dump *d, struct bri_saving *saving)
{
    int r = bri_snapshot_write_begin(STDOUT_FILENO, 0, &d->writer);

    if (r < 0)
        return r;
    r = bri_save_arena(d->ctl->broker, saving);
    if (r == 0)
        r = bri_snapshot_write_end(d->writer);
    bri_snapshot_writer_free(d->writer);
    return r;
}

static int dump(struct dump *d)
{
    struct bri_saving saving = {
        .record = print_record, .wants = wants, .leave_out = leave_out, .arg = d};
    int r, code = ctl_connect(d->ctl);

    if (code != 0)
        return code;
    r = d->is_binary ? dump_bytes(d, &saving) : dump_text(d, &saving);
    code = ctl_flush(d->ctl);
    if (code != 0)
        return code;
    if (r < 0)
        return ctl_fail(
            r, "the dump is not whole: %s (%s)", broker_error_text(r), broker_error_name(r));
    return d->code;
}

int ctl_cmd_dump(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"binary", BINARY, NULL, 0, "as bytes, smaller and faster, in the form of a snapshot", 0},
        {0},
    };
    struct dump d = {.ctl = ctl};
    const struct ctl_syntax syntax = {.title = "dump",
        .args_doc = "[GLOB...]",
        .doc = "Print everything that is to be known of the objects whose names match one of the "
               "globs (of all, without any), and of the objects without names that they refer "
               "to; `brokerctl restore` makes them again.\v"
               "As JSON, a line for each object. Each is as it was at one moment. What sessions "
               "have is not told: a leased item is one that came back, a lock that is held is "
               "one whose owner died.",
        .options = options,
        .option = parse_option,
        .own = &d,
        .max_words = MAX_GLOBS};
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &d.globs))
        return 0;
    if (d.is_binary && ctl->out_is_tty)
        code = ctl_fail_usage("bytes are not for a terminal: write them to a file with \"> FILE\"");
    else
        code = dump(&d);
    broker_buffer_free(&d.text);
    free(d.globs.words);
    return code;
}
