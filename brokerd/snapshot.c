/*
 * snapshot.c - see snapshot.h
 */
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "attach.h"
#include "core/seal.h"
#include "core/session.h"
#include "handover.h"
#include "snapshot_child.h"

struct brokerd_snapshots {
    struct brokerd *daemon;
    struct brokerd_arena *arena;
    char dir[BROKERD_PATH_MAX];
    bool hands_over; /* what is saved is for the next daemon, and sealed */
    unsigned keep;
    uint64_t interval_s;
    uint64_t n_wanted, n_begun; /* saves; the last one that was begun may be under way */
    bool was_asked;             /* the one under way was not begun by the clock */
    pid_t pid;
    int sock; /* -1: none is under way */
    sd_event_source *timer, *on_packet;
};

static const char *or_what(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

/* ---- a session for the child ---- */

struct session {
    struct bri_peer peer;
    uint32_t number;
};

static int create_session(struct bri_arena *a, void *arg)
{
    struct session *x = arg;

    return bri_session_create(a, &x->peer, &x->number);
}

static struct session session_for(pid_t pid)
{
    return (struct session){
        .peer = {.pid = pid, .uid = geteuid(), .gid = getegid(), .may_write = true}};
}

/* Watched like a client's: its end gives back what the child has. */
static bool admit(struct brokerd_snapshots *s)
{
    struct session x = session_for(s->pid);
    struct brokerd_client *c = brokerd_client_new(s->daemon);
    int pidfd = c != NULL ? (int)syscall(SYS_pidfd_open, s->pid, 0) : -1;

    if (pidfd < 0 || brokerd_arena_run(s->arena, create_session, &x) < 0) {
        if (pidfd >= 0)
            (void)close(pidfd);
        s->daemon->must_sweep = true;
        return false;
    }
    c->is_own = true;
    c->peer = (struct brokerd_peer){.pid = s->pid, .uid = x.peer.uid, .gid = x.peer.gid};
    return brokerd_client_watch(c, s->arena, x.number, pidfd) &&
           brokerd_snapshot_tell(s->sock, x.number);
}

/* ---- saving ---- */

static void begin(struct brokerd_snapshots *s);

static void answer(struct brokerd_snapshots *s, int status, const char *text)
{
    for (struct brokerd_client *c = s->daemon->clients; c != NULL; c = c->next)
        if (c->arena == s->arena && c->awaits_save != 0 && c->awaits_save <= s->n_begun)
            brokerd_attach_saved(c, status, text);
}

static bool is_under_way(const struct brokerd *d)
{
    for (const struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        if (a->is_pinned || (a->snapshots != NULL && a->snapshots->sock >= 0))
            return true;
    return false;
}

void brokerd_snapshot_end_if_stopped(struct brokerd *d)
{
    if (d->is_stopping && !is_under_way(d))
        (void)sd_event_exit(d->event, EXIT_SUCCESS);
}

static int unseal(struct bri_arena *a, void *arg)
{
    (void)arg;
    return bri_unseal(a);
}

/* What was sealed and could not be saved is its users' again. */
static void give_back(struct brokerd_snapshots *s)
{
    s->hands_over = false;
    s->arena->persist = true;
    (void)brokerd_arena_run(s->arena, unseal, NULL);
    brokerd_log(LOG_WARNING, &(struct brokerd_about){.arena = s->arena->name},
        "the arena %s stays in memory, for the brokerd that made it", s->arena->name);
}

/* The file has it all: the memory goes. */
static void let_end(struct brokerd_snapshots *s)
{
    s->hands_over = false;
    s->arena->persist = false;
    brokerd_inherit_forget(s->arena->name);
}

/* What would be lost with the memory stays there, for the next brokerd to adopt. */
static void note_failure(struct brokerd_snapshots *s)
{
    if (!s->daemon->is_stopping || s->arena->persist)
        return;
    s->arena->persist = true;
    brokerd_log(LOG_WARNING, &(struct brokerd_about){.arena = s->arena->name},
        "the arena %s stays in memory: it could not be saved", s->arena->name);
}

static void finish(struct brokerd_snapshots *s, int status, const char *text)
{
    const struct brokerd_about about = {.arena = s->arena->name, .code = status};

    if (status < 0) {
        brokerd_log(LOG_ERR, &about, "%s", text);
        note_failure(s);
    }
    if (s->hands_over && status < 0)
        give_back(s);
    else if (s->hands_over)
        let_end(s);
    answer(s, status, text);
    s->was_asked = false;
    if (s->n_wanted > s->n_begun)
        begin(s);
    brokerd_snapshot_end_if_stopped(s->daemon);
}

static void let_go(struct brokerd_snapshots *s, bool kill_it, char out_text[64])
{
    s->on_packet = sd_event_source_disable_unref(s->on_packet);
    brokerd_snapshot_end(s->pid, kill_it, out_text);
    (void)close(s->sock);
    s->sock = -1;
}

static void on_result(struct brokerd_snapshots *s, const struct brokerd_snapshot_packet *p)
{
    char died[64];

    let_go(s, false, died);
    if (p->status == 0)
        brokerd_log(s->was_asked ? LOG_INFO : LOG_DEBUG,
            &(struct brokerd_about){.arena = s->arena->name},
            "saved the arena %s to %s (objects: %llu, longest copy of one: %llu us)",
            s->arena->name, p->text, (unsigned long long)p->n_objects,
            (unsigned long long)(p->longest_ns / 1000));
    finish(s, p->status, p->text);
}

static int on_packet(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd_snapshots *s = arg;
    struct brokerd_snapshot_packet p;
    char died[64], text[256];

    (void)source;
    (void)events;
    if (!brokerd_snapshot_receive(fd, &p)) {
        let_go(s, true, died);
        (void)snprintf(text, sizeof(text), "saving the arena %s came to no end: %s", s->arena->name,
            or_what(died, "it gave no result"));
        finish(s, BROKER_SYSTEM, text);
    } else if (p.kind == BROKERD_SNAPSHOT_RESULT) {
        on_result(s, &p);
    } else {
        brokerd_log(LOG_WARNING, &(struct brokerd_about){.arena = s->arena->name}, "%s", p.text);
    }
    return 0;
}

/* Begins a save: one that is under way is followed by another. */
static void begin(struct brokerd_snapshots *s)
{
    char died[64], prefix[BROKERD_SNAPSHOT_PREFIX];
    const struct brokerd_snapshot_job job = {.arena_fd = s->arena->map->fd,
        .arena = s->arena->name,
        .store = {.dir = s->dir, .prefix = prefix, .keep = s->keep}};

    if (s->sock >= 0)
        return;
    brokerd_snapshot_prefix(s->arena, s->hands_over, prefix);
    s->n_begun = s->n_wanted;
    s->pid = brokerd_snapshot_start(&job, &s->sock);
    if (s->pid < 0) {
        s->sock = -1;
    } else if (!admit(s) || sd_event_add_io(s->daemon->event, &s->on_packet, s->sock, EPOLLIN,
                                on_packet, s) < 0) {
        let_go(s, true, died);
    }
    if (s->sock < 0)
        finish(s, BROKER_SYSTEM, "cannot start a process that saves the arena");
}

static void want(struct brokerd_snapshots *s)
{
    s->n_wanted++;
    begin(s);
}

void brokerd_snapshot_ask(struct brokerd_client *c)
{
    struct brokerd_snapshots *s = c->arena->snapshots;
    char text[128];

    if (s == NULL || s->arena->map == NULL || s->arena->has_ended) {
        (void)snprintf(text, sizeof(text),
            "the arena %s keeps no snapshots: its configuration needs snapshots = yes",
            c->arena->name);
        brokerd_attach_saved(c, BROKER_UNSUPPORTED, text);
        return;
    }
    s->was_asked = true;
    c->awaits_save = s->n_wanted + 1;
    want(s);
}

void brokerd_snapshot_hand_over(
    struct brokerd *d, struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    struct brokerd_arena_config once = *config;

    once.snapshots = true;
    once.snapshot_interval_s = 0;
    once.snapshot_keep = 1;
    if (!brokerd_snapshot_configure(d, arena, &once)) {
        arena->persist = true;
        (void)brokerd_arena_run(arena, unseal, NULL);
        return;
    }
    arena->snapshots->hands_over = true;
    arena->snapshots->was_asked = true;
    want(arena->snapshots);
}

static void arm(struct brokerd_snapshots *s)
{
    if (s->interval_s == 0) {
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time_relative(s->timer, s->interval_s * 1000000);
    (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
    struct brokerd_snapshots *s = arg;

    (void)source;
    (void)usec;
    if (s->arena->map != NULL && !s->arena->has_ended && s->sock < 0)
        want(s);
    arm(s);
    return 0;
}

void brokerd_snapshot_stop(struct brokerd *d)
{
    if (d->is_stopping) { /* asked again: at once */
        (void)sd_event_exit(d->event, EXIT_SUCCESS);
        return;
    }
    d->is_stopping = true;
    if (brokerd_handover_is_due(d)) {
        brokerd_handover_begin(d);
        brokerd_snapshot_end_if_stopped(d);
        return;
    }
    for (struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        if (a->snapshots != NULL && a->map != NULL && !a->has_ended) {
            a->snapshots->was_asked = true;
            want(a->snapshots);
        }
    brokerd_snapshot_end_if_stopped(d);
}

/* ---- the configuration ---- */

bool brokerd_snapshot_configure(
    struct brokerd *d, struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    struct brokerd_snapshots *s = arena->snapshots;

    if (!config->snapshots) {
        brokerd_snapshot_free(arena);
        return true;
    }
    if (s == NULL) {
        s = calloc(1, sizeof(*s));
        if (s == NULL || sd_event_add_time(d->event, &s->timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
                             on_timer, s) < 0) {
            free(s);
            brokerd_log(LOG_ERR, NULL, "cannot save the arena %s at its times", arena->name);
            return false;
        }
        s->daemon = d;
        s->arena = arena;
        s->sock = -1;
        arena->snapshots = s;
    }
    memcpy(s->dir, config->snapshot_dir, sizeof(s->dir));
    s->keep = (unsigned)config->snapshot_keep;
    if (s->interval_s != config->snapshot_interval_s) {
        s->interval_s = config->snapshot_interval_s;
        arm(s);
    }
    return true;
}

void brokerd_snapshot_free(struct brokerd_arena *arena)
{
    struct brokerd_snapshots *s = arena->snapshots;
    char died[64];

    if (s == NULL)
        return;
    if (s->sock >= 0)
        let_go(s, true, died);
    if (s->hands_over)
        give_back(s);
    s->timer = sd_event_source_disable_unref(s->timer);
    arena->snapshots = NULL;
    free(s);
}
