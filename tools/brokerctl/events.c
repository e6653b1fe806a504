/*
 * events.c - `brokerctl events`: what comes and goes in an arena
 *
 * Nobody keeps a log in the arena: two pictures of it are compared, again and again. What was made
 * and destroyed between two of them is not seen; a session that is gone has left in good order if
 * its process goes on, and otherwise ended with it, which looks alike whether it was killed or not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "core/listing.h"
#include "core/session.h"
#include "ctl.h"
#include "fail.h"
#include "follow.h"
#include "options.h"
#include "print.h"
#include "process.h"
#include "rows.h"

struct seen_object {
    struct bri_listing entry;
    uint64_t n_recovered;
    bool damaged;
};

struct picture {
    struct seen_object *objects; /* in order of slots */
    uint32_t n_objects;
    struct bri_session_info *sessions; /* by number */
    bool *dead;
};

struct events {
    struct ctl *ctl;
    struct ctl_follow follow;
    struct picture pictures[2];
    bool enough;
    int code;
};

/* ---- a picture ---- */

static int compare_slots(const void *a, const void *b)
{
    uint32_t x = ((const struct seen_object *)a)->entry.slot;
    uint32_t y = ((const struct seen_object *)b)->entry.slot;

    return (x > y) - (x < y);
}

static int take_objects(struct bri_arena *a, struct picture *p)
{
    struct bri_listings names = {0};
    struct bri_object o;
    int r = bri_listings_take_names(a, &names);

    free(p->objects);
    p->n_objects = 0;
    p->objects = calloc(names.n + 1u, sizeof(*p->objects));
    if (p->objects == NULL)
        r = r < 0 ? r : BROKER_NOMEM;
    for (const struct bri_listing *x = names.entries; r == 0 && x < names.entries + names.n; x++)
        if (bri_object_bind(a, x->slot, &o) == 0 && o.generation == x->generation)
            p->objects[p->n_objects++] = (struct seen_object){
                *x, *(volatile uint64_t *)&o.slot->n_recovered, bri_is_damaged(o.slot)};
    free(names.entries);
    if (p->n_objects > 0)
        qsort(p->objects, p->n_objects, sizeof(*p->objects), compare_slots);
    return r;
}

static int take_picture(struct bri_arena *a, struct picture *p)
{
    if (p->sessions == NULL)
        p->sessions = calloc(a->n_sessions, sizeof(*p->sessions));
    if (p->dead == NULL)
        p->dead = calloc(a->n_sessions, sizeof(*p->dead));
    if (p->sessions == NULL || p->dead == NULL)
        return BROKER_NOMEM;
    for (uint32_t i = 0; i < a->n_sessions; i++) {
        if (bri_session_info(a, i, &p->sessions[i]) < 0)
            p->sessions[i].status = BRI_SESSION_FREE;
        p->dead[i] = p->sessions[i].status != BRI_SESSION_FREE && bri_session_is_dead(a, i);
    }
    return take_objects(a, p);
}

static void free_picture(struct picture *p)
{
    free(p->objects);
    free(p->sessions);
    free(p->dead);
}

/* ---- an event ---- */

struct event {
    const char *event;
    const char *object, *type;
    const char *new_name;
    const struct bri_session_info *session;
};

static int print_json(struct events *x, const struct event *e, int64_t time_ns)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;
    broker_value line;
    int code;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, 2u + (e->object != NULL ? 2u : 0u) + (e->new_name != NULL) +
                         (e->session != NULL ? 4u : 0u));
    bri_pack_entry(&p, "time_ns", broker_int(time_ns));
    bri_pack_entry(&p, "event", broker_str(e->event));
    if (e->object != NULL) {
        bri_pack_entry(&p, "object", broker_str(e->object));
        bri_pack_entry(&p, "type", e->type != NULL ? broker_str(e->type) : broker_nil());
    }
    if (e->new_name != NULL)
        bri_pack_entry(&p, "new_name", broker_str(e->new_name));
    if (e->session != NULL) {
        bri_pack_entry(&p, "session", broker_uint(e->session->number));
        bri_pack_entry(&p, "pid", broker_uint(e->session->pid));
        bri_pack_entry(&p, "uid", broker_uint(e->session->uid));
        bri_pack_entry(&p, "command", broker_str(e->session->comm));
    }
    code = bri_pack_end(&p, &line) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the line")
                                       : ctl_print_json_line(x->ctl, line);
    broker_buffer_free(&buffer);
    return code;
}

static void print_words(const struct event *e, int64_t time_ns)
{
    char clock[32];

    ctl_format_clock(time_ns, clock);
    (void)printf("%s  %s", clock, e->event);
    if (e->object != NULL)
        ctl_say(stdout, "  %s \"%s\"", e->type != NULL ? e->type : "object", e->object);
    if (e->new_name != NULL)
        ctl_say(stdout, " -> \"%s\"", e->new_name);
    if (e->session != NULL)
        ctl_say(stdout, "  session %u, process %u (%s), uid %u", e->session->number,
            e->session->pid, e->session->comm, e->session->uid);
    (void)putchar('\n');
}

static void tell(struct events *x, const struct event *e)
{
    int64_t now = ctl_realtime_ns();

    if (x->enough || x->ctl->quiet)
        return;
    if (x->ctl->json)
        x->code = print_json(x, e, now);
    else
        print_words(e, now);
    x->enough = x->code != 0 || !ctl_follow_line(x->ctl, &x->follow);
}

static void tell_object(
    struct events *x, const char *event, const struct seen_object *o, const char *new_name)
{
    const struct bri_type_ops *ops = bri_type_ops(o->entry.type);

    tell(x, &(struct event){.event = event,
                .object = o->entry.name,
                .type = ops != NULL ? ops->name : NULL,
                .new_name = new_name});
}

/* ---- what is different ---- */

static void compare_object(
    struct events *x, const struct seen_object *before, const struct seen_object *after)
{
    if (strcmp(before->entry.name, after->entry.name) != 0)
        tell_object(x, "renamed", before, after->entry.name);
    if (before->n_recovered != after->n_recovered)
        tell_object(x, "recovered", after, NULL);
    if (!before->damaged && after->damaged)
        tell_object(x, "quarantined", after, NULL);
}

static void compare_objects(struct events *x, const struct picture *a, const struct picture *b)
{
    uint32_t i = 0, j = 0;

    while (i < a->n_objects || j < b->n_objects) {
        const struct seen_object *before = i < a->n_objects ? &a->objects[i] : NULL;
        const struct seen_object *after = j < b->n_objects ? &b->objects[j] : NULL;

        if (after == NULL || (before != NULL && before->entry.slot < after->entry.slot)) {
            tell_object(x, "destroyed", before, NULL);
            i++;
        } else if (before == NULL || after->entry.slot < before->entry.slot) {
            tell_object(x, "created", after, NULL);
            j++;
        } else if (before->entry.generation != after->entry.generation) {
            tell_object(x, "destroyed", before, NULL);
            tell_object(x, "created", after, NULL);
            i++;
            j++;
        } else {
            compare_object(x, before, after);
            i++;
            j++;
        }
    }
}

static void tell_end(struct events *x, const struct bri_session_info *session, bool was_dead)
{
    uint64_t start;
    bool goes_on = bri_process_start_time((pid_t)session->pid, &start) == 0 &&
                   start == session->start_time && ctl_process_state((pid_t)session->pid) != 'Z';

    tell(x, &(struct event){.event = !was_dead && goes_on ? "left" : "ended", .session = session});
}

static void compare_sessions(struct events *x, const struct picture *a, const struct picture *b)
{
    uint32_t n = x->ctl->broker->arena->n_sessions;

    for (uint32_t i = 0; i < n; i++) {
        const struct bri_session_info *before = &a->sessions[i], *after = &b->sessions[i];
        bool was = before->status != BRI_SESSION_FREE, is = after->status != BRI_SESSION_FREE;
        bool other =
            was && is && (before->pid != after->pid || before->attached_ns != after->attached_ns);

        if (i == x->ctl->broker->session_number)
            continue; /* our own */
        if (was && (!is || other))
            tell_end(x, before, a->dead[i]);
        if (is && (!was || other))
            tell(x, &(struct event){.event = "attached", .session = after});
        if (was && is && !other && !a->dead[i] && b->dead[i])
            tell(x, &(struct event){.event = "died", .session = after});
    }
}

static int follow(struct events *x)
{
    struct bri_arena *a = x->ctl->broker->arena;
    unsigned now = 0;
    int r = take_picture(a, &x->pictures[now]);

    ctl_follow_start(&x->follow);
    while (r == 0 && !x->enough && ctl_follow_sleep(&x->follow)) {
        now ^= 1;
        r = take_picture(a, &x->pictures[now]);
        if (r == 0) {
            compare_sessions(x, &x->pictures[now ^ 1], &x->pictures[now]);
            compare_objects(x, &x->pictures[now ^ 1], &x->pictures[now]);
        }
    }
    return r < 0 ? ctl_fail(r, "the arena cannot be looked at: %s", broker_error_text(r)) : x->code;
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    return ctl_follow_option(own, key, arg, state);
}

int ctl_cmd_events(struct ctl *ctl, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"interval", CTL_FOLLOW_INTERVAL, "DURATION", 0, "how often to look (default: 200ms)", 0},
        CTL_FOLLOW_OPTIONS, {0}};
    struct events x = {
        .ctl = ctl, .follow = {.interval_ns = BROKER_SECOND / 5, .timeout_ns = BROKER_FOREVER}};
    const struct ctl_syntax syntax = {.title = "events",
        .args_doc = "",
        .doc = "What comes and goes, a line an event: objects that are created, destroyed, "
               "renamed, recovered after a death or quarantined; sessions that attached, died, "
               "left in good order, or ended with their process."
               "\vThere is no log of these things: the arena is looked at again and again, and "
               "what came and went between two looks is not seen. Of a process that is gone "
               "nobody can tell whether it was killed, unless it was seen dead before the daemon "
               "cleared up. The daemon's own log has the deaths (`journalctl -u brokerd`).",
        .options = options,
        .option = parse_option,
        .own = &x.follow};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    free(words.words);
    code = ctl_refuse_offline(ctl, "events");
    if (code == 0)
        code = ctl_connect(ctl);
    if (code == 0)
        code = follow(&x);
    free_picture(&x.pictures[0]);
    free_picture(&x.pictures[1]);
    return code;
}
