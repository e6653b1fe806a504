/*
 * metrics.c - numbers for Prometheus and its like, as OpenMetrics text
 *
 * For the node exporter's textfile collector, which reads the older format, the few lines in which
 * the two differ are written as it wants them: the type of a counter is told under the name with
 * _total, and units are left out. The file is complete at every moment: it is written beside its
 * place, and renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "ctl.h"
#include "each.h"
#include "fail.h"
#include "options.h"
#include "view.h"

#define NS_PER_SECOND 1000000000u

enum {
    TEXTFILE = CTL_OPTION_OWN,
    NO_OBJECTS,
};

struct metrics {
    struct ctl *ctl;
    FILE *f;
    bool classic; /* the older format */
    bool no_objects;
    const char *textfile;
    struct ctl_filter filter;
    char arena[64];
    struct ctl_rows stats; /* of all objects */
};

/* One number of objects: `key` of their stat. */
struct family {
    const char *name; /* without _total */
    const char *key;
    const char *help;
    const char *unit; /* NULL: none */
    const char *type; /* of objects that have it; NULL: any that has the key */
    bool is_counter;
};

static const struct family families[] = {
    {"broker_object_bytes", "bytes", "Memory of an object.", "bytes", NULL, false},
    {"broker_object_sessions", "sessions", "Sessions that have an object open.", NULL, NULL, false},
    {"broker_object_waiters", "waiters", "Threads that sleep for an object.", NULL, NULL, false},
    {"broker_object_quarantined", "quarantined", "1 if an object is damaged.", NULL, NULL, false},
    {"broker_object_guard_contended", "guard_contended",
        "Operations that had to wait for another one.", NULL, NULL, true},
    {"broker_object_recoveries", "recoveries", "Operations cut short by a death, and undone.", NULL,
        NULL, true},
    {"broker_object_sleeps", "sleeps", "Operations that had to sleep.", NULL, NULL, true},
    {"broker_object_wait_seconds", "wait_ns", "How long they slept, together.", "seconds", NULL,
        true},
    {"broker_dict_entries", "entries", "Entries of a dict.", NULL, "dict", false},
    {"broker_list_elements", "elements", "Elements of a list.", NULL, "list", false},
    {"broker_queue_items", "items", "Items that can be taken.", NULL, "queue", false},
    {"broker_queue_leased", "leased", "Items that are leased.", NULL, "queue", false},
    {"broker_queue_delayed", "delayed", "Items that are delayed.", NULL, "queue", false},
    {"broker_queue_dead", "dead", "Items that failed too often.", NULL, "queue", false},
    {"broker_queue_unfinished", "unfinished", "Items that are not finished.", NULL, "queue", false},
    {"broker_queue_puts", "puts", "Items that were put.", NULL, "queue", true},
    {"broker_queue_takes", "takes", "Items that were taken.", NULL, "queue", true},
    {"broker_queue_returned", "returned", "Items that came back.", NULL, "queue", true},
    {"broker_lock_locked", "locked", "1 if somebody holds a lock.", NULL, "lock", false},
    {"broker_lock_acquired", "acquired", "Times that a lock was acquired.", NULL, "lock", true},
    {"broker_lock_contended", "contended", "Times that a lock was not free.", NULL, "lock", true},
    {"broker_lock_owner_deaths", "owner_deaths", "Owners that died holding a lock.", NULL, "lock",
        true},
    {"broker_lock_hold_seconds", "hold_ns",
        "How long a lock was held by those who had slept for it.", "seconds", "lock", true},
    {"broker_semaphore_value", "value", "Permits that are left.", NULL, "semaphore", false},
};

/* ---- text ---- */

static void write_escaped(FILE *f, broker_value v)
{
    const char *p = v.data;

    for (uint32_t i = 0; v.type == BROKER_STR && i < v.size; i++) {
        if (p[i] == '\\' || p[i] == '"')
            (void)fputc('\\', f);
        if (p[i] == '\n')
            (void)fputs("\\n", f);
        else
            (void)fputc(p[i], f);
    }
}

static void write_label(FILE *f, const char *before, const char *name, broker_value v)
{
    (void)fprintf(f, "%s%s=\"", before, name);
    write_escaped(f, v);
    (void)fputc('"', f);
}

static void begin_family(struct metrics *m, const struct family *x)
{
    const char *suffix = x->is_counter && m->classic ? "_total" : "";

    (void)fprintf(m->f, "# TYPE %s%s %s\n", x->name, suffix, x->is_counter ? "counter" : "gauge");
    if (x->unit != NULL && !m->classic)
        (void)fprintf(m->f, "# UNIT %s %s\n", x->name, x->unit);
    (void)fprintf(m->f, "# HELP %s%s %s\n", x->name, suffix, x->help);
}

static void end_sample(struct metrics *m, const struct family *x, uint64_t value)
{
    if (x->unit != NULL && strcmp(x->unit, "seconds") == 0)
        (void)fprintf(m->f, "} %llu.%09u\n", (unsigned long long)(value / NS_PER_SECOND),
            (unsigned)(value % NS_PER_SECOND));
    else
        (void)fprintf(m->f, "} %llu\n", (unsigned long long)value);
}

/* ---- the arena ---- */

static void write_one(
    struct metrics *m, const char *name, const char *unit, const char *help, uint64_t value)
{
    const struct family x = {name, NULL, help, unit, NULL, false};

    begin_family(m, &x);
    (void)fprintf(m->f, "%s", name);
    write_label(m->f, "{", "arena", broker_str(m->arena));
    end_sample(m, &x, value);
}

static void write_up(struct metrics *m, bool up)
{
    static const struct family x = {
        "broker_up", NULL, "1 if the daemon answers.", NULL, NULL, false};

    begin_family(m, &x);
    (void)fprintf(m->f, "broker_up %d\n", up);
}

static void write_arena(struct metrics *m)
{
    struct ctl_arena a;

    ctl_look_at_arena(m->ctl, &a);
    memcpy(m->arena, a.name, sizeof(m->arena));
    write_one(
        m, "broker_arena_size_bytes", "bytes", "The most that the arena may have.", a.size_bytes);
    write_one(m, "broker_arena_used_bytes", "bytes", "What of it is used.", a.used_bytes);
    write_one(m, "broker_arena_backed_bytes", "bytes", "What of it has memory behind it.",
        a.backed_bytes);
    write_one(m, "broker_objects", NULL, "Objects that have names.", a.n_named);
    write_one(m, "broker_anonymous_objects", NULL, "Objects without names.", a.n_anonymous);
    write_one(m, "broker_sessions", NULL, "Programs that are attached.", a.n_sessions);
    write_one(m, "broker_sessions_max", NULL, "Programs that can be attached.", a.max_sessions);
    if (a.has_disk)
        write_one(m, "broker_file_system_free_bytes", "bytes",
            "What is left of the file system behind the arena.", a.disk_free_bytes);
}

/* ---- objects ---- */

static int keep_stat(void *arg, const char *name, broker_value stat)
{
    (void)name;
    ctl_rows_value(&((struct metrics *)arg)->stats, stat);
    return 0;
}

static bool has(const struct family *x, broker_value stat)
{
    broker_value type, v;

    return ctl_map_get(stat, x->key, &v) &&
           (x->type == NULL || (ctl_map_get(stat, "type", &type) && ctl_is_text(type, x->type)));
}

static void write_sample(struct metrics *m, const struct family *x, broker_value stat)
{
    broker_value name = broker_nil(), type = broker_nil();

    (void)ctl_map_get(stat, "name", &name);
    (void)ctl_map_get(stat, "type", &type);
    (void)fprintf(m->f, "%s%s", x->name, x->is_counter ? "_total" : "");
    write_label(m->f, "{", "arena", broker_str(m->arena));
    write_label(m->f, ",", "object", name);
    write_label(m->f, ",", "type", type);
    end_sample(m, x, ctl_map_number(stat, x->key));
}

/* All samples of a family stand together. */
static void write_family(struct metrics *m, const struct family *x, broker_value stats)
{
    struct bri_iter walk;
    broker_value stat;
    bool begun = false;

    for (bool more = ctl_walk_start(&walk, stats); more && ctl_walk_next(&walk, &stat);) {
        if (!has(x, stat))
            continue;
        if (!begun)
            begin_family(m, x);
        begun = true;
        write_sample(m, x, stat);
    }
}

static int write_objects(struct metrics *m)
{
    broker_value stats;
    int r;

    ctl_rows_start(&m->stats);
    r = ctl_each_object(m->ctl, &m->filter, keep_stat, m);
    if (r >= 0)
        r = ctl_rows_end(&m->stats, &stats);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r >= 0; i++)
        write_family(m, &families[i], stats);
    ctl_rows_free(&m->stats);
    return r < 0 ? ctl_fail_last(r) : 0;
}

/* ---- where to ---- */

/* Without a daemon there is one number, which says so. */
static int write_metrics(struct metrics *m)
{
    int code;

    m->ctl->wait_ns = CTL_LOOK_NS;
    code = ctl_connect_to_memory(m->ctl);
    if (code != 0 && code != ctl_exit_code(BROKER_NODAEMON))
        return code;
    write_up(m, code == 0 && m->ctl->image == NULL);
    if (code == 0) {
        write_arena(m);
        if (!m->no_objects)
            code = write_objects(m);
    }
    (void)fputs("# EOF\n", m->f);
    return code;
}

/* Anybody may read it, as the node exporter must. */
static FILE *create_beside(const char *path, char *out_temporary, size_t size)
{
    int fd, n = snprintf(out_temporary, size, "%s.XXXXXX", path);
    FILE *f;

    if (n < 0 || (size_t)n >= size) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    fd = mkostemp(out_temporary, O_CLOEXEC);
    if (fd < 0)
        return NULL;
    (void)fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
    f = fdopen(fd, "w");
    if (f == NULL) {
        (void)close(fd);
        (void)unlink(out_temporary);
    }
    return f;
}

static int fail_file(const char *path)
{
    return ctl_fail(BROKER_SYSTEM, "cannot write %s: %s", path, strerror(errno));
}

static int write_textfile(struct metrics *m)
{
    char temporary[4096];
    bool written;
    int code;

    m->f = create_beside(m->textfile, temporary, sizeof(temporary));
    if (m->f == NULL)
        return fail_file(m->textfile);
    m->classic = true;
    code = write_metrics(m);
    written = ferror(m->f) == 0;
    written = fclose(m->f) == 0 && written;
    if ((code == 0 || code == ctl_exit_code(BROKER_NODAEMON)) && written &&
        rename(temporary, m->textfile) == 0)
        return code;
    if (code == 0 || code == ctl_exit_code(BROKER_NODAEMON))
        code = fail_file(m->textfile);
    (void)unlink(temporary);
    return code;
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct metrics *m = own;

    (void)state;
    if (key == TEXTFILE)
        m->textfile = arg;
    else if (key == NO_OBJECTS)
        m->no_objects = true;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

int ctl_cmd_metrics(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"textfile", TEXTFILE, "FILE", 0,
            "write to FILE, at once, for the node exporter's textfile collector", 0},
        {"no-objects", NO_OBJECTS, NULL, 0, "only the numbers of the arena", 0}, {0}};
    struct metrics m = {.ctl = ctl, .f = stdout};
    const struct ctl_syntax syntax = {.title = "metrics",
        .args_doc = "[PREFIX|GLOB]",
        .doc = "Numbers for Prometheus and its like, as OpenMetrics text: of the arena, and of the "
               "objects whose names begin with PREFIX or match GLOB."
               "\vIf no daemon answers, broker_up is 0 and the exit code 41. With --textfile the "
               "file is replaced at once, with the few differences of the older format that the "
               "collector reads.",
        .options = options,
        .option = parse_option,
        .own = &m,
        .max_words = 1};
    struct ctl_words words;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    m.filter.word = words.n > 0 ? words.words[0] : NULL;
    free(words.words);
    return m.textfile != NULL ? write_textfile(&m) : write_metrics(&m);
}
