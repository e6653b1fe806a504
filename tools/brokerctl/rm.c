/*
 * rm.c - `brokerctl rm`: destroying objects, by names and by patterns
 */
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "ctl.h"
#include "each.h"
#include "fail.h"
#include "options.h"
#include "view.h"

enum {
    YES = 'y',
    DRY_RUN = CTL_OPTION_OWN,
};

struct rm {
    struct ctl *ctl;
    struct ctl_consent consent;
    struct ctl_doomed doomed;
};

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct ctl_consent *consent = own;

    (void)arg;
    (void)state;
    if (key == YES)
        consent->yes = true;
    else if (key == DRY_RUN)
        consent->dry_run = true;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static int doom(void *arg, const char *name, broker_value stat)
{
    ctl_doom(arg, name, stat);
    return 0;
}

static int doom_matching(struct rm *rm, const char *glob)
{
    const struct ctl_filter filter = {.word = glob};
    uint32_t before = rm->doomed.rows.n;
    int r = ctl_each_object(rm->ctl, &filter, doom, &rm->doomed);

    if (r < 0)
        return ctl_fail_last(r);
    if (rm->doomed.rows.n == before)
        return ctl_fail(BROKER_NOTFOUND, "there is no object that matches \"%s\"", glob);
    rm->doomed.by_pattern = true;
    return 0;
}

/* What is called like a pattern is meant by its name. */
static int doom_word(struct rm *rm, const char *word)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value stat;
    int code = 0, r = broker_stat(rm->ctl->broker, word, &buffer, &stat);

    if (r >= 0)
        ctl_doom(&rm->doomed, word, stat);
    else if (r == BROKER_NOTFOUND && ctl_is_glob(word))
        code = doom_matching(rm, word);
    else
        code = r == BROKER_NOTFOUND ? ctl_fail_no_object(rm->ctl, NULL, word) : ctl_fail_last(r);
    broker_buffer_free(&buffer);
    return code;
}

/* One that is gone already, or named twice, is what was wanted. */
static int destroy_all(struct rm *rm)
{
    char name[BRI_NAME_MAX + 1];
    struct bri_iter walk;
    broker_value rows, row, v;
    int first = 0;

    if (ctl_rows_end(&rm->doomed.rows, &rows) < 0)
        return ctl_fail(BROKER_NOMEM, "no memory for the list");
    for (bool more = ctl_walk_start(&walk, rows); more && ctl_walk_next(&walk, &row);) {
        int r = ctl_map_get(row, "name", &v) && ctl_copy_text(v, name, sizeof(name))
                    ? broker_destroy(rm->ctl->broker, name)
                    : 0;
        int code = r < 0 && r != BROKER_NOTFOUND ? ctl_fail_last(r) : 0;

        first = first != 0 ? first : code; /* the others are destroyed all the same */
    }
    return first;
}

static int run(struct rm *rm, const struct ctl_words *words)
{
    int code = ctl_refuse_offline(rm->ctl, "rm"), first;
    bool stop;

    if (code == 0)
        code = ctl_connect(rm->ctl);
    if (code != 0)
        return code;
    first = 0;
    for (unsigned i = 0; i < words->n; i++) {
        code = doom_word(rm, words->words[i]);
        first = first != 0 ? first : code;
    }
    code = ctl_confirm(rm->ctl, &rm->consent, "destroy", &rm->doomed, &stop);
    if (!stop)
        code = destroy_all(rm);
    return first != 0 ? first : code;
}

int ctl_cmd_rm(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {{"yes", YES, NULL, 0, CTL_DOC_YES, 0},
        {"dry-run", DRY_RUN, NULL, 0, CTL_DOC_DRY_RUN, 0}, {0}};
    struct rm rm = {.ctl = ctl};
    const struct ctl_syntax syntax = {.title = "rm",
        .args_doc = "NAME|GLOB...",
        .doc =
            "Destroy objects: their names are free at once and their memory is given back. "
            "Programs that have one open get GONE."
            "\vOn a terminal it asks before anything goes that has contents, that other programs "
            "have open, or that is meant by a pattern. Elsewhere it never asks: what is named "
            "goes, unless other programs have it open; that, and patterns, need --yes.",
        .options = options,
        .option = parse_option,
        .own = &rm.consent,
        .min_words = 1,
        .max_words = (unsigned)argc};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    code = run(&rm, &words);
    ctl_doomed_free(&rm.doomed);
    free(words.words);
    return code;
}
