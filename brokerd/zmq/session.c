/*
 * session.c - see session.h
 *
 * The mapping of an arena is kept for as long as the process lives, whoever uses it: sleeper
 * threads may still look at its words. There is a further one only when a broker was restarted with
 * a new arena, or for those who may only read.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "client/attach.h"
#include "client/open.h"
#include "core/lock.h"
#include "keys.h"
#include "log.h"
#include "request.h"

#define BEAT_ACCURACY_USEC 1000
#define REQUEST_BYTES (16u * 1024) /* beside its message a waiting request costs its stack */
#define MAX_MAPPINGS 64
#define ATTACH_WAIT_NS (5 * BRI_SECOND) /* a client that is not answered asks again */

struct zmqd_arena {
    struct zmqd_arena *next;
    struct bri_arena *mapping;
    char name[64];
};

/* ---- arenas ---- */

static struct bri_arena *find_mapping(const struct zmqd *z, const struct zmqd_wish *wish)
{
    for (const struct zmqd_arena *a = z->arenas; a != NULL; a = a->next)
        if (a->mapping->read_only == wish->read_only && strcmp(a->name, wish->arena) == 0)
            return a->mapping;
    return NULL;
}

static bool keep_mapping(struct zmqd *z, const struct zmqd_wish *wish, struct bri_arena *mapping)
{
    struct zmqd_arena *a;
    unsigned n = 0;

    for (a = z->arenas; a != NULL; a = a->next, n++)
        if (a->mapping == mapping)
            return true;
    a = n < MAX_MAPPINGS ? calloc(1, sizeof(*a)) : NULL;
    if (a == NULL)
        return false;
    (void)snprintf(a->name, sizeof(a->name), "%s", wish->arena);
    bri_arena_share(mapping);
    a->mapping = mapping;
    a->next = z->arenas;
    z->arenas = a;
    return true;
}

/* What a key may do is known here alone; what a user of this machine may, the broker knows. */
static int check_key(const struct zmqd *z, const struct zmqd_wish *wish)
{
    const struct zmqd_client *client =
        wish->user.name[0] != '\0' ? zmqd_clients_by_name(z->clients, wish->user.name) : NULL;
    enum zmqd_access access;

    if (wish->user.name[0] == '\0')
        return 0;
    access = client != NULL ? zmqd_client_access(client, wish->arena) : ZMQD_ACCESS_NONE;
    if (access == ZMQD_ACCESS_NONE)
        return bri_fail_text(
            BROKER_ACCESS, "the key of %s may not use the arena %s", wish->user.name, wish->arena);
    if (access == ZMQD_ACCESS_READ && !wish->read_only)
        return bri_fail_text(BROKER_ACCESS,
            "the key of %s may only read the arena %s: open it with \"access=ro\"", wish->user.name,
            wish->arena);
    return 0;
}

static int attach_mapped(struct zmqd *z, const struct zmqd_wish *wish,
    const struct bri_address *address, broker **out_broker)
{
    int r = bri_open_session(address, find_mapping(z, wish), out_broker);

    if (r < 0 || keep_mapping(z, wish, (*out_broker)->arena))
        return r;
    bri_close_session(*out_broker, false);
    *out_broker = NULL;
    return bri_fail_text(BROKER_NOMEM, "no memory for another arena");
}

/* The first of several who want the same arena maps it for all. */
static int attach_first(struct zmqd *z, const struct zmqd_wish *wish,
    const struct bri_address *address, broker **out_broker)
{
    int r;

    while (find_mapping(z, wish) == NULL && atomic_load(&z->is_mapping) != 0)
        (void)bri_futex_wait_as(&z->is_mapping, 1, BRI_NEVER, FUTEX_BITSET_MATCH_ANY);
    if (find_mapping(z, wish) != NULL)
        return attach_mapped(z, wish, address, out_broker);
    atomic_store(&z->is_mapping, 1);
    r = attach_mapped(z, wish, address, out_broker);
    atomic_store(&z->is_mapping, 0);
    bri_futex_wake(&z->is_mapping, INT_MAX);
    return r;
}

static int attach(struct zmqd *z, const struct zmqd_wish *wish, broker **out_broker)
{
    struct bri_address address = {.read_only = wish->read_only, .wait_ns = ATTACH_WAIT_NS};
    const struct bri_behalf behalf = {.uid = wish->user.uid,
        .gid = wish->user.gid,
        .name = wish->user.name[0] != '\0' ? wish->user.name : wish->client};
    bool is_self = wish->user.uid == geteuid() && behalf.name[0] == '\0';
    int r = check_key(z, wish);

    if (r < 0)
        return r;
    if (strlen(z->settings.attach) >= sizeof(address.path))
        return bri_fail_text(BROKER_ADDRESS, "the broker's path is too long");
    memcpy(address.path, z->settings.attach, strlen(z->settings.attach) + 1);
    memcpy(address.arena, wish->arena, sizeof(address.arena));
    address.behalf = is_self ? NULL : &behalf;
    return attach_first(z, wish, &address, out_broker);
}

/* ---- the heartbeat ---- */

static void set_beat(struct zmqd *z, int64_t at_ns)
{
    (void)sd_event_source_set_time(z->on_beat, (uint64_t)(at_ns / 1000 + 1));
    (void)sd_event_source_set_enabled(z->on_beat, SD_EVENT_ONESHOT);
    z->is_stale = true;
}

static int64_t expires_ns(const struct zmqd_session *s)
{
    return s->heard_ns + s->timeout_ns;
}

/* When a session was heard of moves on without the timer being set anew: it looks, and comes again.
 */
static int on_beat(sd_event_source *source, uint64_t usec, void *arg)
{
    struct zmqd *z = arg;
    int64_t now = bri_now(), next = BRI_NEVER;

    (void)source;
    (void)usec;
    for (struct zmqd_session *s = z->first_session, *after; s != NULL; s = after) {
        after = s->next;
        if (s->is_ending)
            continue;
        if (expires_ns(s) <= now)
            zmqd_session_end(s, true);
        else if (expires_ns(s) < next)
            next = expires_ns(s);
    }
    if (next != BRI_NEVER)
        set_beat(z, next);
    zmqd_work(z, 0);
    return 0;
}

bool zmqd_sessions_start(struct zmqd *z)
{
    if (sd_event_add_time(
            z->event, &z->on_beat, CLOCK_MONOTONIC, 0, BEAT_ACCURACY_USEC, on_beat, z) >= 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot watch for sessions that are silent");
    return false;
}

void zmqd_session_heard(struct zmqd_session *s)
{
    s->heard_ns = bri_now_coarse();
}

/* ---- the process ---- */

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct zmqd_session *s = arg;
    struct zmqd *z = s->z;

    (void)source;
    (void)fd;
    (void)events;
    zmqd_session_end(s, true);
    zmqd_work(z, 0);
    return 0;
}

/* The end of one that cannot be watched is found out by its silence. */
bool zmqd_session_watch(struct zmqd_session *s, pid_t pid)
{
    int fd = pid != 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

    s->on_death = sd_event_source_disable_unref(s->on_death);
    if (fd < 0)
        return pid == 0 || errno != ESRCH;
    if (sd_event_add_io(s->z->event, &s->on_death, fd, EPOLLIN, on_death, s) < 0)
        (void)close(fd);
    else
        (void)sd_event_source_set_io_fd_own(s->on_death, true);
    return true;
}

/* ---- beginning ---- */

static int make_key(struct zmqd *z, struct zmqd_session *s)
{
    if (getrandom(s->key, sizeof(s->key), 0) != (ssize_t)sizeof(s->key))
        return BROKER_SYSTEM;
    return zmqd_map_add(&z->sessions, &s->node, zmqd_hash(s->key, sizeof(s->key)));
}

static void list_session(struct zmqd *z, struct zmqd_session *s)
{
    uint64_t beat = 0;

    (void)sd_event_source_get_time(z->on_beat, &beat);
    if (z->first_session == NULL || (uint64_t)expires_ns(s) / 1000 < beat)
        set_beat(z, expires_ns(s));
    s->next = z->first_session;
    if (s->next != NULL)
        s->next->previous = s;
    z->first_session = s;
}

int zmqd_session_new(struct zmqd *z, const struct zmqd_wish *wish, struct zmqd_session **out)
{
    struct zmqd_session *s;
    int r;

    if (z->n_sessions >= z->settings.max_sessions)
        return bri_fail_text(BROKER_LIMIT, "there are as many sessions as there may be");
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return bri_fail_text(BROKER_NOMEM, "no memory for a session");
    z->n_sessions++; /* others may begin before the broker has answered */
    r = attach(z, wish, &s->broker);
    if (r == 0)
        r = make_key(z, s);
    if (r < 0) {
        bri_close_session(s->broker, false);
        z->n_sessions--;
        free(s);
        return r;
    }
    s->z = z;
    s->user = wish->user;
    s->timeout_ns = wish->timeout_ns;
    zmqd_session_heard(s);
    list_session(z, s);
    *out = s;
    return 0;
}

struct zmqd_session *zmqd_session_find(struct zmqd *z, const uint8_t key[ZMQD_KEY_SIZE])
{
    struct zmqd_node *node = zmqd_map_first(&z->sessions, zmqd_hash(key, ZMQD_KEY_SIZE));

    for (; node != NULL; node = zmqd_map_next(node)) {
        struct zmqd_session *s = (struct zmqd_session *)node;

        if (memcmp(s->key, key, ZMQD_KEY_SIZE) == 0)
            return s;
    }
    return NULL;
}

/* ---- requests under way ---- */

static size_t cost(const struct zmqd_pending *p)
{
    return p->is_aside ? 0 : p->size + REQUEST_BYTES;
}

int zmqd_pending_add(struct zmqd_session *s, struct zmqd_pending *p)
{
    const struct zmqd_settings *settings = &s->z->settings;
    uint32_t n = p->is_aside ? s->n_aside : s->n_pending - s->n_aside;
    size_t bytes = s->pending_bytes + cost(p);

    if (n >= settings->max_pending || bytes > settings->session_memory)
        return BROKER_LIMIT;
    zmqd_record_shrink(&s->records, settings->session_memory - bytes);
    s->pending_bytes = bytes;
    s->n_pending++;
    s->n_aside += p->is_aside;
    p->next = s->pending;
    p->link = &s->pending;
    if (p->next != NULL)
        p->next->link = &p->next;
    s->pending = p;
    return 0;
}

static void finish(struct zmqd_session *s);

void zmqd_pending_remove(struct zmqd_session *s, struct zmqd_pending *p)
{
    *p->link = p->next;
    if (p->next != NULL)
        p->next->link = p->link;
    s->pending_bytes -= cost(p);
    s->n_pending--;
    s->n_aside -= p->is_aside;
    if (s->is_ending)
        finish(s);
}

struct zmqd_pending *zmqd_pending_find(const struct zmqd_session *s, uint64_t id)
{
    struct zmqd_pending *p = s->pending;

    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

/* ---- the end ---- */

/* On a worker: who is in the way of giving something back is waited for. */
static void end(struct zmqd *z, struct zmqd_job *job)
{
    struct zmqd_session *s =
        (struct zmqd_session *)((char *)job - offsetof(struct zmqd_session, end));
    struct zmqd_worker *w = zmqd_operation_begin(0);

    zmqd_objects_free(&s->objects);
    bri_close_session(s->broker, s->died);
    zmqd_operation_end(w);
    *(s->previous != NULL ? &s->previous->next : &z->first_session) = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
    z->n_sessions--;
    zmqd_record_free(&s->records);
    free(s);
}

/* Once nothing of it is under way any more. */
static void finish(struct zmqd_session *s)
{
    if (s->n_pending > 0)
        return;
    s->end.run = end;
    zmqd_job_add(s->z, &s->end);
}

void zmqd_session_end(struct zmqd_session *s, bool died)
{
    struct zmqd *z = s->z;

    if (s->is_ending)
        return;
    s->is_ending = true;
    s->died = died;
    s->on_death = sd_event_source_disable_unref(s->on_death);
    zmqd_map_remove(&z->sessions, &s->node);
    for (struct zmqd_pending *p = s->pending; p != NULL; p = p->next) {
        zmqd_answer_lost(s, p->id);
        p->is_answered = true;
        zmqd_order(z, p->worker, BRI_IS_LOST);
    }
    if (s->peer != NULL)
        zmqd_peer_leave(z, s->peer, true);
    finish(s);
}

void zmqd_sessions_check(struct zmqd *z)
{
    for (struct zmqd_session *s = z->first_session, *next; s != NULL; s = next) {
        struct zmqd_wish wish = {.read_only = s->broker->read_only, .user = s->user};

        next = s->next;
        (void)snprintf(wish.arena, sizeof(wish.arena), "%s", s->broker->arena_name);
        if (check_key(z, &wish) < 0)
            zmqd_session_end(s, true);
    }
}

void zmqd_sessions_free(struct zmqd *z)
{
    for (struct zmqd_arena *a = z->arenas, *next; a != NULL; a = next) {
        next = a->next;
        bri_arena_unmap(a->mapping);
        free(a);
    }
    zmqd_map_clear(&z->sessions);
    z->on_beat = sd_event_source_disable_unref(z->on_beat);
}
