/*
 * check.c - the full audit of an arena: of the one that is attached, or with --offline of a copy
 *
 * Both undo what dead processes left half done, as every operation does, before they look; the live
 * audit in the arena, the offline one in its copy only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "core/audit.h"
#include "ctl.h"
#include "fail.h"
#include "image.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"
#include "rows.h"
#include "value/value.h"

struct check {
    struct ctl *ctl;
    struct ctl_rows rows;
};

/* ---- what was found ---- */

static void note_problem(void *arg, const char *object, const char *problem)
{
    struct check *c = arg;

    ctl_rows_map(&c->rows, 2);
    bri_pack_entry(&c->rows.pack, "object", broker_str(object));
    bri_pack_entry(&c->rows.pack, "problem", broker_str(problem));
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
    static const struct ctl_table table = {.columns = columns, .n_columns = 2};
    char used[16];

    if (c->rows.n > 0)
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
    broker_value rows = broker_nil();
    int r, code;

    ctl_rows_start(&c->rows);
    r = bri_audit_arena(arena, &audit);
    if (r == 0)
        r = ctl_rows_end(&c->rows, &rows);
    if (r < 0)
        code = ctl_fail(
            r, "the check could not be done: %s (%s)", broker_error_text(r), broker_error_name(r));
    else if (c->ctl->json && !c->ctl->quiet)
        code = print_report(c, &audit, rows);
    else
        code = print_problems(c, &audit, rows);
    ctl_rows_free(&c->rows);
    if (code == 0 && audit.n_problems > 0)
        code =
            ctl_fail(BROKER_CORRUPT, "problems found: %llu; `brokerctl rm` removes what is damaged",
                (unsigned long long)audit.n_problems);
    return code;
}

int ctl_cmd_check(struct ctl *ctl, int argc, char **argv)
{
    struct check c = {.ctl = ctl};
    const struct ctl_syntax syntax = {.title = "check",
        .args_doc = "[FILE]",
        .doc = "Check the structure of everything in the arena. Ends with 39 (CORRUPT) if it found "
               "something."
               "\vWith --offline nothing is changed and no daemon is needed: FILE, or the arena "
               "that --instance "
               "and --arena name, is copied, and what dead processes left half done is undone in "
               "the copy.",
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    if (words.n > 0 && !ctl->offline)
        code = ctl_fail_usage("FILE needs --offline; a live arena is chosen by --address");
    else
        code = 0;
    if (words.n > 0)
        ctl->image_path = words.words[0];
    free(words.words);
    if (code == 0)
        code = ctl_connect_to_memory(ctl);
    if (code != 0)
        return code;
    if (ctl->image == NULL && ctl->broker->read_only)
        return ctl_fail(BROKER_ACCESS, "checking takes every object's guard, which readers may "
                                       "not: open the broker without access=ro");
    return audit_arena(&c, ctl->broker->arena, ctl->image != NULL && !ctl->image->in_use);
}
