/*
 * doctor.c - whether all is well: doctor for people, health for those who watch many machines
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "client/open.h"
#include "ctl.h"
#include "diagnose.h"
#include "each.h"
#include "fail.h"
#include "options.h"
#include "page.h"
#include "print.h"
#include "view.h"
#include "words.h"

#define WARNING_PERCENT 80
#define CRITICAL_PERCENT 95

/* ---- doctor ---- */

static void print_finding(const struct ctl *ctl, broker_value row)
{
    static const char *const colors[] = {"", "\033[33m", "\033[31m"};
    char level[16] = "", object[BRI_NAME_MAX + 1] = "", finding[512] = "";
    const char *color = "";
    broker_value v;

    if (ctl_map_get(row, "level", &v))
        (void)ctl_copy_text(v, level, sizeof(level));
    if (ctl_map_get(row, "object", &v))
        (void)ctl_copy_text(v, object, sizeof(object));
    if (ctl_map_get(row, "finding", &v))
        (void)ctl_copy_text(v, finding, sizeof(finding));
    for (int i = 0; i < 3 && ctl_wants_color(ctl); i++)
        if (strcmp(level, ctl_level_name((enum ctl_level)i)) == 0)
            color = colors[i];
    (void)printf("%s%s%s: ", color, level, color[0] != '\0' ? "\033[0m" : "");
    if (object[0] != '\0')
        ctl_say(stdout, "\"%s\": ", object);
    ctl_say(stdout, "%s", finding);
    (void)putchar('\n');
}

static int print_findings(struct ctl *ctl, struct ctl_diagnosis *d)
{
    static const struct ctl_column columns[] = {{"level", "LEVEL", CTL_CELL_TEXT},
        {"object", "OBJECT", CTL_CELL_TEXT}, {"finding", "FINDING", CTL_CELL_TEXT}};
    static const struct ctl_table table = {.columns = columns, .n_columns = 3};
    struct bri_iter walk;
    broker_value rows, row;

    if (ctl_rows_end(&d->rows, &rows) < 0)
        return ctl_fail(BROKER_NOMEM, "no memory for the findings");
    if (ctl->quiet || ctl->json || ctl->csv || !ctl->out_is_tty)
        return ctl_print_rows(ctl, &table, rows);
    for (bool more = ctl_walk_start(&walk, rows); more && ctl_walk_next(&walk, &row);)
        print_finding(ctl, row);
    if (d->rows.n == 0)
        (void)puts("all is well");
    return 0;
}

int ctl_cmd_doctor(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_diagnosis d = {.ctl = ctl, .full = {WARNING_PERCENT, CRITICAL_PERCENT}};
    int r, code;

    if (!ctl_parse_for_table(ctl, "doctor",
            "Look for what is wrong or soon will be, and tell it in words: the dead that were not "
            "cleared up after, damaged objects, memory and quotas that are nearly used up, queues "
            "that nobody takes from, dead items, deadlocks, processes that are stopped. Ends with "
            "1 if there is a warning or worse. `brokerctl check` looks deeper, for damage only.",
            argc, argv))
        return 0;
    ctl->wait_ns = CTL_LOOK_NS;
    code = ctl_connect_to_memory(ctl);
    if (code != 0)
        return code;
    r = ctl_diagnose(&d);
    code = r < 0 ? ctl_fail_last(r) : print_findings(ctl, &d);
    if (code == 0 && d.n[CTL_LEVEL_WARNING] + d.n[CTL_LEVEL_CRITICAL] > 0)
        code = CTL_EXIT_FAILURE;
    ctl_diagnosis_free(&d);
    return code;
}

/* ---- health ---- */

/* As Nagios and all that came after it have them. */
enum {
    HEALTH_OK,
    HEALTH_WARNING,
    HEALTH_CRITICAL,
    HEALTH_UNKNOWN,
};

enum {
    WARNING = 'w',
    CRITICAL = 'c',
    DEPTH = CTL_OPTION_OWN,
};

_Static_assert((int)HEALTH_WARNING == (int)CTL_LEVEL_WARNING, "a finding's level is a state");
_Static_assert((int)HEALTH_CRITICAL == (int)CTL_LEVEL_CRITICAL, "a finding's level is a state");

#define MAX_DEPTHS 64

struct depth {
    const char *name; /* not terminated by a NUL but by an equals sign */
    int n;
    uint64_t warning, critical, found;
};

struct health {
    struct ctl_diagnosis d;
    struct depth depths[MAX_DEPTHS];
    unsigned n_depths;
};

static int say(int state, const char *text)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

    ctl_say(stdout, "BROKER %s - %s", words[state], text);
    return state;
}

/* The same as all there is to say. */
static int say_only(int state, const char *text)
{
    (void)say(state, text);
    (void)putchar('\n');
    return state;
}

static bool read_depth(const char *arg, struct depth *out)
{
    const char *numbers = strrchr(arg, '=');
    unsigned long long warning, critical;
    int end = 0;

    if (numbers == NULL || numbers == arg ||
        sscanf(numbers, "=%llu,%llu%n", &warning, &critical, &end) != 2 || numbers[end] != '\0')
        return false;
    *out = (struct depth){
        .name = arg, .n = (int)(numbers - arg), .warning = warning, .critical = critical};
    return warning <= critical;
}

static error_t parse_health(int key, char *arg, struct argp_state *state, void *own)
{
    struct health *h = own;
    struct ctl_remark why;
    uint64_t *percent = key == WARNING ? &h->d.full.warning : &h->d.full.critical;

    switch (key) {
    case WARNING:
    case CRITICAL:
        if (ctl_read_count(arg, percent, &why) < 0)
            argp_error(state, "-%c: %s", key, why.text);
        return 0;
    case DEPTH:
        if (h->n_depths == MAX_DEPTHS || !read_depth(arg, &h->depths[h->n_depths++]))
            argp_error(
                state, "--depth is written as NAME=WARNING,CRITICAL, at most %d times", MAX_DEPTHS);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* An object that is not there is worse than one that is too full. */
static void look_at_depth(struct health *h, struct depth *depth)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    char name[BRI_NAME_MAX + 1];
    broker_value stat;

    (void)snprintf(name, sizeof(name), "%.*s", depth->n, depth->name);
    if (broker_stat(h->d.ctl->broker, name, &buffer, &stat) < 0 ||
        !ctl_contents(stat, &depth->found))
        ctl_find(&h->d, CTL_LEVEL_CRITICAL, name, "there is no such object");
    else if (depth->found >= depth->warning)
        ctl_find(&h->d, depth->found >= depth->critical ? CTL_LEVEL_CRITICAL : CTL_LEVEL_WARNING,
            name, "%llu items", (unsigned long long)depth->found);
    broker_buffer_free(&buffer);
}

/* 'label'=value;warning;critical;minimum;maximum. A quote in a label is written twice. */
static void print_label(const struct depth *depth)
{
    (void)fputs(" '", stdout);
    for (int i = 0; i < depth->n; i++) {
        char c = depth->name[i];

        if (c == '\'')
            (void)putchar('\'');
        (void)putchar(c == '=' || c == '|' ? '_' : c);
    }
    (void)putchar('\'');
}

static void print_performance(const struct health *h)
{
    const struct ctl_arena *a = &h->d.arena;

    (void)printf(" | used=%lluB;%llu;%llu;0;%llu objects=%llu;;;0 sessions=%u;;;0;%u "
                 "dead_sessions=%llu;;;0 deadlocked=%llu;;;0 dead_items=%llu;;;0",
        (unsigned long long)a->used_bytes,
        (unsigned long long)(a->size_bytes / 100 * h->d.full.warning),
        (unsigned long long)(a->size_bytes / 100 * h->d.full.critical),
        (unsigned long long)a->size_bytes, (unsigned long long)(a->n_named + a->n_anonymous),
        a->n_sessions, a->max_sessions, (unsigned long long)h->d.n_dead_sessions,
        (unsigned long long)h->d.n_deadlocked, (unsigned long long)h->d.n_dead_items);
    for (unsigned i = 0; i < h->n_depths; i++) {
        print_label(&h->depths[i]);
        (void)printf("=%llu;%llu;%llu;0", (unsigned long long)h->depths[i].found,
            (unsigned long long)h->depths[i].warning, (unsigned long long)h->depths[i].critical);
    }
    (void)putchar('\n');
}

/* The worst finding is the headline. */
static int print_health(struct health *h)
{
    int state = h->d.n[CTL_LEVEL_CRITICAL] > 0  ? HEALTH_CRITICAL
                : h->d.n[CTL_LEVEL_WARNING] > 0 ? HEALTH_WARNING
                                                : HEALTH_OK;
    unsigned n = h->d.n[CTL_LEVEL_CRITICAL] + h->d.n[CTL_LEVEL_WARNING];
    char name[BRI_NAME_MAX + 1] = "", text[512] = "", line[1024], used[16], size[16];
    struct bri_iter walk;
    broker_value rows, row, v;

    if (ctl_rows_end(&h->d.rows, &rows) < 0)
        return say_only(HEALTH_UNKNOWN, "no memory for the findings");
    for (bool more = state != HEALTH_OK && ctl_walk_start(&walk, rows);
         more && text[0] == '\0' && ctl_walk_next(&walk, &row);)
        if (ctl_map_get(row, "level", &v) &&
            ctl_is_text(v, ctl_level_name((enum ctl_level)state))) {
            if (ctl_map_get(row, "object", &v))
                (void)ctl_copy_text(v, name, sizeof(name));
            if (ctl_map_get(row, "finding", &v))
                (void)ctl_copy_text(v, text, sizeof(text));
        }
    ctl_format_bytes(h->d.arena.used_bytes, used);
    ctl_format_bytes(h->d.arena.size_bytes, size);
    if (state == HEALTH_OK)
        (void)snprintf(line, sizeof(line), "arena %s: %s of %s used, %u sessions", h->d.arena.name,
            used, size, h->d.arena.n_sessions);
    else
        (void)snprintf(line, sizeof(line), "%s%s%s%s", name, name[0] != '\0' ? ": " : "", text,
            n > 1 ? " (and more: `brokerctl doctor`)" : "");
    for (char *c = line; *c != '\0'; c++)
        if (*c == '|')
            *c = '_'; /* it would begin the numbers */
    (void)say(state, line);
    print_performance(h);
    return state;
}

static int examine(struct ctl *ctl, struct health *h)
{
    int r = bri_open_within(ctl->address, CTL_LOOK_NS, &ctl->broker);

    if (r < 0)
        return say_only(
            r == BROKER_NODAEMON ? HEALTH_CRITICAL : HEALTH_UNKNOWN, broker_last_error());
    if (ctl->broker->arena == NULL)
        return say_only(HEALTH_UNKNOWN, "only a unix: address gives the memory to be looked at");
    r = ctl_diagnose(&h->d);
    if (r < 0)
        return say_only(HEALTH_UNKNOWN, "the arena cannot be looked at");
    for (unsigned i = 0; i < h->n_depths; i++)
        look_at_depth(h, &h->depths[i]);
    return print_health(h);
}

int ctl_cmd_health(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"warning", WARNING, "PERCENT", 0, "the arena is nearly full (default: 80)", 0},
        {"critical", CRITICAL, "PERCENT", 0, "the arena is as good as full (default: 95)", 0},
        {"depth", DEPTH, "NAME=WARNING,CRITICAL", 0,
            "so many things in an object are a warning, and critical; may be given again", 0},
        {0}};
    struct health h = {.d = {.ctl = ctl, .full = {WARNING_PERCENT, CRITICAL_PERCENT}}};
    const struct ctl_syntax syntax = {.title = "health",
        .args_doc = "",
        .doc =
            "Whether all is well, in one line and an exit code, for Nagios, Icinga and their "
            "like: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
            "\vIt finds what `brokerctl doctor` finds. That no daemon answers is critical: within "
            "five seconds, or wait=SECONDS of the address. Behind the | stand numbers to be "
            "drawn.",
        .options = options,
        .option = parse_health,
        .own = &h};
    struct ctl_words words;
    int state;

    argp_err_exit_status = HEALTH_UNKNOWN;
    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    free(words.words);
    if (ctl->offline || ctl->json) {
        (void)ctl_fail_usage("health knows neither --offline nor --json; `brokerctl doctor` does");
        return HEALTH_UNKNOWN;
    }
    state = examine(ctl, &h);
    ctl_diagnosis_free(&h.d);
    return state;
}
