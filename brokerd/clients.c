/*
 * clients.c - see clients.h
 *
 * A daemon killed in the middle of taking a session back leaves it marked as dead; the next one
 * goes on with it.
 */
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <broker/errors.h>

#include "collect.h"
#include "core/attachment.h"
#include "core/clock.h"
#include "core/session.h"
#include "image.h"
#include "snapshot.h"

#define REAP_PATIENCE (-5 * BRI_MILLISECOND)
/* Who is in the way mostly is not stopped at all but waits for a processor: others wait for what
 * the dead had no longer than about twice as long as they must. */
#define PAUSE_LEAST_NS (5 * BRI_MILLISECOND)
#define PAUSE_MOST_NS (160 * BRI_MILLISECOND)

struct brokerd_client *brokerd_client_new(struct brokerd *d)
{
    struct brokerd_client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->daemon = d;
    c->session = BROKERD_NO_SESSION;
    c->sock = c->pidfd = -1;
    c->next = d->clients;
    d->clients = c;
    return c;
}

void brokerd_client_disconnect(struct brokerd_client *c)
{
    if (c->sock < 0)
        return;
    c->on_message = sd_event_source_disable_unref(c->on_message);
    c->deadline = sd_event_source_disable_unref(c->deadline);
    (void)close(c->sock);
    c->sock = -1;
    c->daemon->n_connections -= !c->is_endpoint;
    c->daemon->must_sweep = true;
}

/* The session is this client's business from here on. */
static void own_session(struct brokerd_client *c, struct brokerd_arena *arena, uint32_t session,
    uint64_t generation, int pidfd)
{
    c->arena = arena;
    c->session = session;
    c->generation = generation;
    c->pidfd = pidfd;
    arena->watched[session] = generation;
}

static void forget_session(struct brokerd_client *c)
{
    if (c->session != BROKERD_NO_SESSION && c->arena->watched[c->session] == c->generation)
        c->arena->watched[c->session] = 0;
    c->on_death = sd_event_source_disable_unref(c->on_death);
    if (c->pidfd >= 0)
        (void)close(c->pidfd);
    c->pidfd = -1;
    c->session = BROKERD_NO_SESSION;
    c->is_over = false;
    c->daemon->must_sweep = true;
}

/* ---- taking sessions back ---- */

struct look {
    uint32_t session;
    uint64_t generation;
    struct bri_session_info info;
};

static int look(struct bri_arena *a, void *arg)
{
    struct look *l = arg;
    struct bri_object session;
    int r = bri_session_object(a, l->session, &session);

    if (r == 0)
        r = bri_session_info(a, l->session, &l->info);
    if (r == 0)
        l->generation = session.generation;
    return r;
}

/* 0 if it was the client's own session, and is no more. */
static int reap(struct bri_arena *a, void *arg)
{
    const struct brokerd_client *c = arg;
    struct look l = {.session = c->session};
    int r = look(a, &l);

    if (r < 0 || l.generation != c->generation)
        return r;
    return bri_session_reap(a, c->session, c->died, REAP_PATIENCE);
}

/* Who is in the way is told of once, when it has been there for long. */
static void try_again_later(struct brokerd_client *c, const struct brokerd_about *about)
{
    if (c->pause_ns == PAUSE_MOST_NS / 2 && brokerd_log_allowed(&c->daemon->stuck))
        brokerd_log(
            LOG_WARNING, about, "what session %u held waits for a stopped process", c->session);
    if (c->pause_ns < PAUSE_MOST_NS)
        c->pause_ns = c->pause_ns > 0 ? 2 * c->pause_ns : PAUSE_LEAST_NS;
    c->again_ns = bri_now() + c->pause_ns;
}

/* True when the session is dealt with, in whatever way. */
static bool try_reap(struct brokerd_client *c)
{
    const struct brokerd_about about = {
        .arena = c->arena->name, .pid = c->peer.pid, .uid = c->peer.uid};
    int r = brokerd_arena_run(c->arena, reap, c);

    if (r == BROKER_TIMEDOUT) {
        try_again_later(c, &about);
        return false;
    }
    c->arena->someone_died |= c->died;
    if (r < 0)
        brokerd_log(LOG_ERR, &about, "session %u cannot be taken back: %s", c->session,
            broker_error_text(r));
    else if (c->died && !c->is_own)
        brokerd_log(LOG_INFO, &about,
            "a client of the arena %s is gone; what it held was given back", c->arena->name);
    forget_session(c);
    return true;
}

void brokerd_client_end_session(struct brokerd_client *c, bool died)
{
    if (c->session == BROKERD_NO_SESSION)
        return;
    c->is_over = true;
    c->died |= died;
    if (died)
        c->on_death = sd_event_source_disable_unref(c->on_death);
    c->pause_ns = 0;
    if (!try_reap(c))
        brokerd_retry_at(c->daemon, c->again_ns);
    if (c->died)
        brokerd_retry_at(c->daemon, brokerd_arena_next_look(c->arena));
}

/*
 * After exec. Whoever has no part of the arena in its memory cannot be in the middle of anything
 * there, unless it is only about to map it: so this is asked when a connection ends, and for those
 * without one (of ours) when they have had the mapping.
 */
static bool is_another_program(const struct brokerd_client *c, bool thoroughly)
{
    const struct bri_arena *map = c->arena->map;

    return c->pidfd >= 0 &&
           (brokerd_image_is_smaller(c->peer.pid, map->size) ||
               (thoroughly && brokerd_image_lacks(c->peer.pid, map->fd))) &&
           !brokerd_pidfd_ended(c->pidfd); /* what we saw was this process, and no later one */
}

void brokerd_client_check_session(struct brokerd_client *c, bool thoroughly)
{
    struct look l = {.session = c->session};

    if (c->session == BROKERD_NO_SESSION || c->is_over || brokerd_arena_run(c->arena, look, &l) < 0)
        return;
    if (l.generation != c->generation)
        forget_session(c);
    else if (l.info.status == BRI_SESSION_DEAD) /* it began to leave, and could not finish */
        brokerd_client_end_session(c, false);
    else if (c->pidfd >= 0 && brokerd_pidfd_ended(c->pidfd)) /* should the event not have come */
        brokerd_client_end_session(c, true);
    else if ((l.info.mapped || c->sock >= 0) && is_another_program(c, thoroughly))
        brokerd_client_end_session(c, true);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t brokerd_clients_retry(struct brokerd *d)
{
    int64_t now = bri_now(), next = BRI_NEVER;

    for (struct brokerd_client *c = d->clients; c != NULL; c = c->next)
        if (c->is_over && c->session != BROKERD_NO_SESSION && (c->again_ns > now || !try_reap(c)))
            next = sooner(next, c->again_ns);
    for (struct brokerd_arena *arena = d->arenas; arena != NULL; arena = arena->next) {
        brokerd_arena_look(arena, now);
        next = sooner(next, brokerd_arena_next_look(arena));
    }
    return next;
}

/* ---- watching ---- */

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    brokerd_client_end_session(arg, true);
    return 0;
}

bool brokerd_client_watch(
    struct brokerd_client *c, struct brokerd_arena *arena, uint32_t session, int pidfd)
{
    struct look l = {.session = session};
    int r = brokerd_arena_run(arena, look, &l);

    own_session(c, arena, session, l.generation, pidfd);
    if (r == 0)
        r = sd_event_add_io(c->daemon->event, &c->on_death, pidfd, EPOLLIN, on_death, c);
    if (r >= 0)
        return true;
    brokerd_log(LOG_ERR,
        &(struct brokerd_about){.arena = arena->name, .pid = c->peer.pid, .uid = c->peer.uid},
        "cannot watch session %u", session);
    forget_session(c);
    return false;
}

/* A session that was there before us, or that its own process could not finish leaving. */
static void take_over(struct brokerd *d, struct brokerd_arena *arena, const struct look *l)
{
    int pidfd = brokerd_pidfd_of((pid_t)l->info.pid, l->info.start_time);
    struct brokerd_client *c = pidfd != BROKER_SYSTEM ? brokerd_client_new(d) : NULL;

    if (c == NULL) {
        if (pidfd >= 0)
            (void)close(pidfd);
        return; /* the next scan tries again */
    }
    c->peer =
        (struct brokerd_peer){.pid = (pid_t)l->info.pid, .uid = l->info.uid, .gid = l->info.gid};
    if (pidfd >= 0 && l->info.status == BRI_SESSION_LIVE) {
        if (brokerd_client_watch(c, arena, l->session, pidfd))
            brokerd_client_check_session(c, true);
        return;
    }
    own_session(c, arena, l->session, l->generation, pidfd >= 0 ? pidfd : -1);
    brokerd_client_end_session(c, pidfd < 0);
}

void brokerd_clients_scan(struct brokerd *d, struct brokerd_arena *arena)
{
    /* Those without a connection cannot tell us that they have left. */
    for (struct brokerd_client *c = d->clients; c != NULL; c = c->next)
        if (c->arena == arena && c->sock < 0)
            brokerd_client_check_session(c, false);
    for (uint32_t i = 0; arena->map != NULL && !arena->has_ended && i < arena->map->n_sessions;
         i++) {
        struct look l = {.session = i};

        if (brokerd_arena_run(arena, look, &l) == 0 && l.info.status != BRI_SESSION_FREE &&
            arena->watched[i] != l.generation)
            take_over(d, arena, &l);
    }
}

struct brokerd_counts brokerd_clients_count(const struct brokerd *d)
{
    struct brokerd_counts counts = {0};

    for (const struct brokerd_client *c = d->clients; c != NULL; c = c->next) {
        counts.n_sessions += c->session != BROKERD_NO_SESSION && !c->is_own;
        counts.n_readers += c->session == BROKERD_NO_SESSION && c->arena != NULL;
    }
    return counts;
}

/* ---- letting go ---- */

static void drop_arena(struct brokerd *d, struct brokerd_arena *arena)
{
    for (struct brokerd_client *c = d->clients; c != NULL; c = c->next) {
        if (c->arena != arena)
            continue;
        brokerd_client_disconnect(c);
        forget_session(c);
    }
    brokerd_snapshot_free(arena);
    brokerd_collect_stop(arena);
    bri_arena_unmap(arena->map);
    arena->map = NULL;
}

void brokerd_clients_sweep(struct brokerd *d)
{
    for (struct brokerd_arena *arena = d->arenas; arena != NULL; arena = arena->next)
        if (arena->has_ended && arena->map != NULL)
            drop_arena(d, arena);
    for (struct brokerd_client **link = &d->clients, *c; (c = *link) != NULL;) {
        if (c->sock >= 0 || c->session != BROKERD_NO_SESSION) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        free(c);
    }
}

void brokerd_clients_free(struct brokerd *d)
{
    for (struct brokerd_client *c = d->clients; c != NULL; c = c->next) {
        brokerd_client_disconnect(c);
        forget_session(c);
    }
    brokerd_clients_sweep(d);
}
