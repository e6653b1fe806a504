/*
 * check.c - the full audit of an arena: of the one that is attached, or with --offline of a copy
 *
 * Both undo what dead processes left half done, as every operation does, before they look; the live
 * audit in the arena, the offline one in its copy only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/handle.h"
#include "core/audit.h"
#include "ctl.h"
#include "fail.h"
#include "image.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"
#include "value/value.h"

enum {
    OFFLINE = CTL_OPTION_OWN,
    INSTANCE,
    ARENA,
};

struct check {
    struct ctl *ctl;
    bool offline;
    const char *instance, *arena;
    struct bri_pack pack;
    broker_buffer rows; /* packed problems, one behind the other */
    uint32_t n_rows;
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct check *c = own;

    (void)state;
    switch (key) {
    case OFFLINE:
        c->offline = true;
        return 0;
    case INSTANCE:
        c->instance = arg;
        return 0;
    case ARENA:
        c->arena = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- what was found ---- */

static void note_problem(void *arg, const char *object, const char *problem)
{
    struct check *c = arg;

    bri_pack_map(&c->pack, 2);
    bri_pack_entry(&c->pack, "object", broker_str(object));
    bri_pack_entry(&c->pack, "problem", broker_str(problem));
    c->n_rows++;
}

/* The problems as an array. */
static int collect(struct check *c, broker_buffer *buffer, broker_value *out_rows)
{
    struct bri_iter walk = {.p = c->rows.data, .left = c->n_rows};
    struct bri_pack all;
    const void *data;
    size_t size;

    if (c->pack.failed < 0)
        return c->pack.failed;
    walk.end = walk.p + c->rows.size;
    bri_pack_start(&all, buffer);
    bri_pack_array(&all, c->n_rows);
    while (bri_iter_next(&walk, &data, &size) == 0)
        bri_pack_value(&all, broker_packed(data, size));
    return bri_pack_end(&all, out_rows);
}

static int print_report(struct check *c, const struct bri_audit *audit, broker_value rows)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;
    broker_value report;
    int code;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, 5);
    bri_pack_entry(&p, "objects", broker_uint(audit->n_objects));
    bri_pack_entry(&p, "sessions", broker_uint(audit->n_sessions));
    bri_pack_entry(&p, "pages_used", broker_uint(audit->n_pages_used));
    bri_pack_entry(&p, "pages_free", broker_uint(audit->n_pages_free));
    bri_pack_entry(&p, "problems", rows);
    code = bri_pack_end(&p, &report) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the report")
                                         : ctl_print_json(c->ctl, report);
    broker_buffer_free(&buffer);
    return code;
}

static int print_problems(struct check *c, const struct bri_audit *audit, broker_value rows)
{
    static const struct ctl_column columns[] = {
        {"object", "OBJECT", CTL_CELL_TEXT},
        {"problem", "PROBLEM", CTL_CELL_TEXT},
    };
    static const struct ctl_table table = {columns, 2, ""};
    char used[16];

    if (c->n_rows > 0)
        return ctl_print_rows(c->ctl, &table, rows);
    if (!c->ctl->quiet) {
        ctl_format_bytes(audit->n_pages_used * BRI_PAGE_SIZE, used);
        (void)printf("no problem found (objects: %llu, sessions: %llu, memory: %s)\n",
            (unsigned long long)audit->n_objects, (unsigned long long)audit->n_sessions, used);
    }
    return 0;
}

/* ---- the audit ---- */

static int audit_arena(struct check *c, struct bri_arena *arena, bool quiet_arena)
{
    struct bri_audit audit = {.report = note_problem, .arg = c, .quiet_arena = quiet_arena};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value rows = broker_nil();
    int r, code;

    bri_pack_start(&c->pack, &c->rows);
    r = bri_audit_arena(arena, &audit);
    if (r == 0)
        r = collect(c, &buffer, &rows);
    if (r < 0)
        code = ctl_fail(
            r, "the check could not be done: %s (%s)", broker_error_text(r), broker_error_name(r));
    else if (c->ctl->json && !c->ctl->quiet)
        code = print_report(c, &audit, rows);
    else
        code = print_problems(c, &audit, rows);
    broker_buffer_free(&buffer);
    broker_buffer_free(&c->rows);
    if (code == 0 && audit.n_problems > 0)
        code =
            ctl_fail(BROKER_CORRUPT, "problems found: %llu; `brokerctl rm` removes what is damaged",
                (unsigned long long)audit.n_problems);
    return code;
}

static int check_live(struct check *c)
{
    int code = ctl_connect(c->ctl);

    if (code != 0)
        return code;
    if (c->ctl->broker->read_only)
        return ctl_fail(BROKER_ACCESS, "checking takes every object's guard, which readers may "
                                       "not: open the broker without access=ro");
    return audit_arena(c, c->ctl->broker->arena, false);
}

static void image_path(const struct check *c, char *out, size_t size)
{
    const char *arena = c->arena != NULL ? c->arena : BRI_DEFAULT_ARENA;
    char instance[64];

    (void)snprintf(instance, sizeof(instance), "%s",
        c->instance != NULL ? c->instance
        : geteuid() == 0    ? "system"
                            : "user");
    if (strcmp(instance, "user") == 0)
        (void)snprintf(instance, sizeof(instance), "user-%u", (unsigned)geteuid());
    (void)snprintf(out, size, "/dev/shm/brokerd.%s.%s", instance, arena);
}

static int check_copy(struct check *c, const char *path)
{
    struct ctl_image image;
    uint32_t found[2];
    int code, r = ctl_image_open(path, &image, found);

    switch (r) {
    case 0:
        break;
    case BROKER_NOTFOUND:
        return ctl_fail(r,
            "there is no arena %s; say which with --instance and --arena, or give its file: `ls "
            "/dev/shm/brokerd.*`",
            path);
    case BROKER_VERSION:
        return ctl_fail(r,
            "%s has memory layout %u (ABI %#x); this program understands layout %u (ABI %#x)", path,
            found[0], found[1], BRI_LAYOUT_VERSION, BRI_ABI);
    case BROKER_CORRUPT:
        return ctl_fail(r,
            "the header of %s is damaged, or the file was cut short: nothing in it can be used; "
            "remove it",
            path);
    default:
        return ctl_fail(r, "cannot read %s: %s", path, broker_error_text(r));
    }
    if (image.in_use)
        ctl_note(c->ctl,
            "programs are attached to %s: what they are just changing may look like a problem",
            path);
    code = audit_arena(c, image.arena, !image.in_use);
    ctl_image_close(&image);
    return code;
}

int ctl_cmd_check(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"offline", OFFLINE, NULL, 0, "check a copy of the arena's memory, without a daemon", 0},
        {"instance", INSTANCE, "NAME", 0,
            "whose arena, with --offline: system, user, or a name (default: system for root, else "
            "user)",
            0},
        {"arena", ARENA, "NAME", 0, "which arena, with --offline (default: default)", 0},
        {0},
    };
    struct check c = {.ctl = ctl};
    const struct ctl_syntax syntax = {.title = "check",
        .args_doc = "[FILE]",
        .doc = "Check the structure of everything in the arena. Ends with 39 (CORRUPT) if it found "
               "something."
               "\vWith --offline nothing is changed and no daemon is needed: FILE, or the arena "
               "that --instance "
               "and --arena name, is copied, and what dead processes left half done is undone in "
               "the copy.",
        .options = options,
        .option = parse_option,
        .own = &c,
        .max_words = 1};
    struct ctl_words words;
    char path[256];

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    (void)snprintf(path, sizeof(path), "%s", words.n > 0 ? words.words[0] : "");
    free(words.words);
    if (!c.offline && (path[0] != '\0' || c.instance != NULL || c.arena != NULL))
        return ctl_fail_usage(
            "FILE, --instance and --arena need --offline; a live arena is chosen by --address");
    if (!c.offline)
        return check_live(&c);
    if (path[0] == '\0')
        image_path(&c, path, sizeof(path));
    return check_copy(&c, path);
}
