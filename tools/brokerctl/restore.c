/*
 * restore.c - `brokerctl restore FILE`: objects from a dump or a snapshot
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

#include "ctl.h"
#include "dump.h"
#include "fail.h"
#include "options.h"
#include "print.h"
#include "snapshot/load.h"

#define REPLACE (CTL_OPTION_OWN)

struct restore {
    struct ctl *ctl;
    const char *path;
    bool replace;
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct restore *x = own;

    (void)arg;
    (void)state;
    if (key != REPLACE)
        return ARGP_ERR_UNKNOWN;
    x->replace = true;
    return 0;
}

static int fail_dump(const struct restore *x, const struct ctl_dump *dump, int r)
{
    if (dump->is_binary)
        return ctl_fail(r, "%s: %s", x->path,
            r == BROKER_VERSION ? "another version of brokerctl or brokerd wrote it"
                                : "it is damaged, nothing was done");
    if (r == BROKER_VERSION)
        return ctl_fail(r, "%s: another version of brokerctl wrote it", x->path);
    return ctl_fail(r, "%s:%llu: %s", x->path, (unsigned long long)dump->number,
        dump->message != NULL ? dump->message : broker_error_text(r));
}

static int fail(
    const struct restore *x, const struct ctl_dump *dump, const struct bri_loading *loading, int r)
{
    const char *name = loading->failed[0] != '\0' ? loading->failed : "an object without a name";

    if (dump->message != NULL || r == BROKER_VERSION || (dump->is_binary && r == BROKER_CORRUPT))
        return fail_dump(x, dump, r);
    if (r == BROKER_EXISTS)
        return ctl_fail(r,
            "\"%s\" is there already, nothing was done: `brokerctl restore --replace` destroys "
            "what is there first",
            loading->failed);
    return ctl_fail(
        r, "cannot restore %s: %s (%s)", name, broker_error_text(r), broker_error_name(r));
}

static void tell_success(const struct restore *x, const struct bri_loading *loading)
{
    if (loading->n_cut > 0)
        ctl_note(x->ctl, "references to objects that are not there are nil now: %llu",
            (unsigned long long)loading->n_cut);
    ctl_note(x->ctl, "objects restored: %llu", (unsigned long long)loading->n_objects);
}

static int restore(struct restore *x, struct ctl_dump *dump)
{
    char unfinished[64];
    struct bri_loading loading = {
        .next = ctl_dump_next, .arg = dump, .unfinished = unfinished, .replace = x->replace};
    int r, code = ctl_refuse_offline(x->ctl, "restore");

    if (code == 0)
        code = ctl_connect(x->ctl);
    if (code != 0)
        return code;
    (void)snprintf(unfinished, sizeof(unfinished), ".restore.%d.", (int)getpid());
    r = bri_load_arena(x->ctl->broker, &loading);
    if (r < 0)
        return fail(x, dump, &loading, r);
    tell_success(x, &loading);
    return 0;
}

static int restore_file(struct restore *x)
{
    bool is_stdin = strcmp(x->path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(x->path, "re");
    struct ctl_dump dump;
    int code;

    if (file == NULL)
        return ctl_fail(errno == ENOENT ? BROKER_NOTFOUND : BROKER_SYSTEM, "cannot read %s: %s",
            x->path, strerror(errno));
    if (!ctl_dump_open(&dump, file)) {
        code = ctl_fail(BROKER_SYSTEM, "cannot read %s: %s", x->path, strerror(errno));
    } else {
        code = restore(x, &dump);
        ctl_dump_close(&dump);
    }
    if (!is_stdin)
        (void)fclose(file);
    return code;
}

int ctl_cmd_restore(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"replace", REPLACE, NULL, 0, "destroy objects that have one of the names", 0},
        {0},
    };
    struct restore x = {.ctl = ctl};
    const struct ctl_syntax syntax = {.title = "restore",
        .args_doc = "FILE",
        .doc = "Make the objects of a dump, or of a snapshot, again; FILE may be - for what comes "
               "on stdin. Nothing is done if one of their names is taken.\v"
               "An object is seen under its name when all of them are whole. With --replace those "
               "that are there are destroyed then, one by one, and who has them open gets GONE.",
        .options = options,
        .option = parse_option,
        .own = &x,
        .min_words = 1,
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    x.path = words.words[0];
    code = restore_file(&x);
    free(words.words);
    return code;
}
