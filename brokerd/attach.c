/*
 * attach.c - see attach.h
 *
 * The order of an attach: who asks, whether he may, then the session in the arena, then the pidfd
 * is watched, then the answer. A daemon killed in between leaves a session whose process will die
 * or leave; the next daemon watches it.
 */
#include "attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <broker.h>

#include "client/attach.h"
#include "clients.h"
#include "core/quota.h"
#include "core/session.h"
#include "endpoint.h"
#include "reply.h"
#include "snapshot.h"

#define ACCEPT_AT_ONCE 16

union request {
    struct bri_attach_head head;
    struct bri_attach_hello hello;
    struct bri_attach_request request;
    char bytes[sizeof(struct bri_attach_hello) + 1]; /* one more, to see what is too long */
};

/* ---- HELLO ---- */

static struct brokerd_arena *find_arena(struct brokerd *d, const char *name)
{
    struct brokerd_arena *arena = d->arenas;

    while (arena != NULL && strcmp(arena->name, name) != 0)
        arena = arena->next;
    return arena;
}

/* Takes over on whose behalf the hello is. False if the peer may not do that. */
static bool take_user(struct brokerd_client *c, const struct bri_attach_hello *hello)
{
    if (hello->on_behalf == 0)
        return true;
    if (!brokerd_endpoint_is(c->daemon, c->peer.pid))
        return false;
    c->peer.uid = hello->uid;
    c->peer.gid = hello->gid;
    c->on_behalf = true;
    return true;
}

static bool allows(const struct brokerd_rule *rule, const struct brokerd_client *c)
{
    return c->on_behalf ? brokerd_rule_allows_user(rule, c->peer.uid, c->peer.gid)
                        : brokerd_rule_allows(rule, c->sock, &c->peer);
}

/* What is wrong with a hello that is one: status 0 if nothing is. */
static struct bri_attach_reply check_hello(
    struct brokerd_client *c, struct bri_attach_hello *hello, struct brokerd_arena **out_arena)
{
    struct brokerd_arena *arena;
    bool may_write, may_read;

    if (hello->layout_version != bri_layout_version() || hello->abi != BRI_ABI)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_VERSION,
            "the program knows layout %u.%08x, the broker has %u.%08x: they need the same version "
            "of libbroker",
            hello->layout_version, hello->abi, bri_layout_version(), BRI_ABI);
    hello->arena[sizeof(hello->arena) - 1] = '\0';
    arena = brokerd_name_ok(hello->arena) ? find_arena(c->daemon, hello->arena) : NULL;
    if (arena == NULL && !brokerd_name_ok(hello->arena))
        return brokerd_reply_bad(
            BRI_ATTACH_HELLO, BROKER_NOTFOUND, "the broker has no arena of that name");
    if (arena == NULL)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_NOTFOUND,
            "the broker has no arena %s: its configuration names those that it has", hello->arena);
    if (!take_user(c, hello))
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_ACCESS,
            "only the broker's own endpoint may attach on behalf of others");
    may_write = allows(&arena->write, c);
    may_read = may_write || allows(&arena->read, c);
    if (!may_read)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_ACCESS,
            "user %u may not use the arena %s", (unsigned)c->peer.uid, arena->name);
    if (!may_write && hello->access == BRI_ATTACH_WRITE)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_ACCESS,
            "user %u may only read the arena %s: open it with \"access=ro\"", (unsigned)c->peer.uid,
            arena->name);
    if (arena->map == NULL || arena->has_ended)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_CORRUPT,
            "the memory of the arena %s is damaged: see the log of brokerd", arena->name);
    *out_arena = arena;
    return brokerd_reply_good(BRI_ATTACH_HELLO);
}

struct creation {
    struct bri_peer peer;
    uint32_t session;
    uint64_t generation;
};

static int create_session(struct bri_arena *a, void *arg)
{
    struct creation *x = arg;
    struct bri_object session;
    int r = bri_session_create(a, &x->peer, &x->session);

    if (r == 0)
        r = bri_session_object(a, x->session, &session);
    if (r == 0)
        x->generation = session.generation;
    return r;
}

static struct bri_attach_reply session_failure(const struct brokerd_arena *arena, int r)
{
    struct bri_refusal refusal = bri_refusal_take();

    if (r == BROKER_LIMIT)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, r,
            "the arena %s has %u sessions already, as many as it can", arena->name,
            arena->map->n_sessions);
    if (r == BROKER_QUOTA)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, r,
            "user %u may have %llu sessions in the arena %s, and has %llu", refusal.who,
            (unsigned long long)refusal.allowed, arena->name, (unsigned long long)refusal.used);
    if (r == BROKER_NOMEM)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, r,
            "there is no memory left for a session in the arena %s", arena->name);
    return brokerd_reply_bad(
        BRI_ATTACH_HELLO, r, "the broker could not make a session: %s", broker_error_text(r));
}

/* For one who writes: a session, watched. Owns @pidfd. */
static struct bri_attach_reply give_session(
    struct brokerd_client *c, struct brokerd_arena *arena, const char *name, int pidfd)
{
    struct creation x = {
        .peer = {.pid = c->peer.pid, .uid = c->peer.uid, .gid = c->peer.gid, .may_write = true}};
    struct bri_attach_reply reply = brokerd_reply_good(BRI_ATTACH_HELLO);
    int r;

    memcpy(x.peer.name, name, sizeof(x.peer.name));
    r = brokerd_arena_run(arena, create_session, &x);
    if (r < 0) {
        (void)close(pidfd);
        return session_failure(arena, r);
    }
    if (!brokerd_client_watch(c, arena, x.session, pidfd))
        return brokerd_reply_bad(
            BRI_ATTACH_HELLO, BROKER_SYSTEM, "the broker cannot watch the process");
    reply.session = x.session;
    reply.generation = x.generation;
    return reply;
}

/* Lets the peer in, if it may: status 0, or why not. */
static struct bri_attach_reply admit(struct brokerd_client *c, struct bri_attach_hello *hello)
{
    struct brokerd_arena *arena = NULL;
    struct bri_attach_reply reply = check_hello(c, hello, &arena);
    const char *reason;
    int pidfd;

    if (reply.status < 0)
        return reply;
    pidfd = brokerd_peer_pidfd(c->sock, &c->peer, &reason);
    if (pidfd < 0)
        return brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_ACCESS,
            "the process cannot share memory with the broker: %s", reason);
    if (hello->access == BRI_ATTACH_WRITE)
        reply = give_session(c, arena, hello->name, pidfd);
    else
        (void)close(pidfd); /* readers hold nothing that their death would leave behind */
    if (reply.status == 0) {
        reply.arena_size = arena->map->size;
        c->arena = arena;
    }
    return reply;
}

static void on_hello(struct brokerd_client *c, struct bri_attach_hello *hello)
{
    struct bri_attach_reply reply = admit(c, hello);

    if (reply.status < 0) {
        brokerd_reply_refuse(c, &reply);
        return;
    }
    c->deadline = sd_event_source_disable_unref(c->deadline);
    c->daemon->was_attached = true;
    if (!brokerd_reply_send(c->sock, &reply, sizeof(reply),
            hello->access == BRI_ATTACH_WRITE ? c->arena->map->fd : c->arena->read_fd)) {
        brokerd_client_end_session(c, false); /* it never had it */
        brokerd_client_disconnect(c);
    }
}

/* ---- the other requests ---- */

static void on_status(struct brokerd_client *c)
{
    const struct brokerd *d = c->daemon;
    struct brokerd_counts counts = brokerd_clients_count(d);
    struct bri_attach_status status = {
        .head = bri_attach_head(BRI_ATTACH_STATUS),
        .pid = (uint32_t)getpid(),
        .n_sessions = counts.n_sessions,
        .n_readers = counts.n_readers,
        .uptime_ns = (uint64_t)(bri_now() - d->started_ns),
        .n_refused = d->n_refused,
    };

    (void)snprintf(status.version, sizeof(status.version), "%s", broker_version());
    brokerd_reply_answer(c, &status, sizeof(status));
}

static void on_request(struct brokerd_client *c, const struct bri_attach_request *request)
{
    switch (request->head.kind) {
    case BRI_ATTACH_UNSTICK:
        brokerd_reply_status(c, BRI_ATTACH_UNSTICK, brokerd_arena_unstick(c->arena, request->slot));
        break;
    case BRI_ATTACH_MONITOR:
        brokerd_reply_status(c, BRI_ATTACH_MONITOR, brokerd_arena_monitor(c->arena));
        break;
    case BRI_ATTACH_SAVE:
        if (c->session == BROKERD_NO_SESSION)
            brokerd_reply_status(c, BRI_ATTACH_SAVE, BROKER_ACCESS);
        else
            brokerd_snapshot_ask(c);
        break;
    case BRI_ATTACH_LEAVE:
        brokerd_client_end_session(c, false);
        brokerd_reply_status(c, BRI_ATTACH_LEAVE, 0);
        break;
    default:
        on_status(c);
    }
}

static bool is_plain_or_on_behalf(const struct bri_attach_hello *hello)
{
    static const char no_name[sizeof(hello->name)];

    if (hello->on_behalf == 1)
        return memchr(hello->name, '\0', sizeof(hello->name)) != NULL;
    return hello->on_behalf == 0 && hello->uid == 0 && hello->gid == 0 &&
           memcmp(hello->name, no_name, sizeof(no_name)) == 0;
}

/* What is wrong with the form of a message: NULL if nothing is. */
static const char *bad_form(const struct brokerd_client *c, const union request *m, size_t n)
{
    if (n < sizeof(m->head) || m->head.magic != BRI_ATTACH_MAGIC)
        return "this is no message of the protocol";
    switch (m->head.kind) {
    case BRI_ATTACH_HELLO:
        if (n != sizeof(m->hello) || !is_plain_or_on_behalf(&m->hello) ||
            (m->hello.access != BRI_ATTACH_READ && m->hello.access != BRI_ATTACH_WRITE))
            return "this is no hello";
        return c->arena != NULL ? "a connection says hello once" : NULL;
    case BRI_ATTACH_UNSTICK:
    case BRI_ATTACH_MONITOR:
    case BRI_ATTACH_LEAVE:
    case BRI_ATTACH_SAVE:
        if (c->arena == NULL)
            return "a connection says hello first";
        return n == sizeof(m->request) && m->request.zero == 0 ? NULL : "this is no request";
    case BRI_ATTACH_STATUS:
        return n == sizeof(m->request) && m->request.zero == 0 && m->request.slot == 0
                   ? NULL
                   : "this is no request";
    default:
        return "there is no such request";
    }
}

static void take_message(struct brokerd_client *c, union request *m, size_t n)
{
    enum bri_attach_kind kind = n >= sizeof(m->head) ? m->head.kind : 0;
    struct bri_attach_reply reply;
    const char *why;

    /* Before anything that another version may have changed. */
    if (n >= sizeof(m->head) && m->head.magic == BRI_ATTACH_MAGIC &&
        m->head.version != BRI_ATTACH_VERSION) {
        reply = brokerd_reply_bad(kind, BROKER_VERSION,
            "the program speaks version %u of the attach protocol, the broker %u", m->head.version,
            BRI_ATTACH_VERSION);
        brokerd_reply_refuse(c, &reply);
        return;
    }
    why = bad_form(c, m, n);
    if (why != NULL) {
        reply = brokerd_reply_bad(kind, BROKER_PROTO, "%s", why);
        brokerd_reply_refuse(c, &reply);
        return;
    }
    if (kind == BRI_ATTACH_HELLO)
        on_hello(c, &m->hello);
    else
        on_request(c, &m->request);
}

void brokerd_attach_saved(struct brokerd_client *c, int status, const char *text)
{
    struct bri_attach_reply reply = brokerd_reply_good(BRI_ATTACH_SAVE);

    reply.status = status;
    (void)snprintf(reply.text, sizeof(reply.text), "%s", text);
    c->awaits_save = 0;
    if (c->sock >= 0)
        brokerd_reply_answer(c, &reply, sizeof(reply));
}

/* ---- connections ---- */

/* One message, if there is one. Descriptors that come along are closed by the kernel. */
static int on_message(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd_client *c = arg;
    union request m;
    ssize_t n;

    (void)source;
    (void)events;
    n = recv(fd, &m, sizeof(m.bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0) {
        take_message(c, &m, (size_t)n);
        return 0;
    }
    brokerd_client_check_session(c, true);
    brokerd_client_disconnect(c);
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *arg)
{
    struct bri_attach_reply reply =
        brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_PROTO, "no hello came in time");

    (void)source;
    (void)usec;
    brokerd_reply_refuse(arg, &reply);
    return 0;
}

static uint64_t count_of_user(const struct brokerd *d, uid_t uid)
{
    uint64_t n = 0;

    for (const struct brokerd_client *c = d->clients; c != NULL; c = c->next)
        n += c->sock >= 0 && !c->is_endpoint && c->peer.uid == uid;
    return n;
}

/* Owns @sock. */
static void begin_connection(struct brokerd *d, int sock)
{
    struct brokerd_client *c = brokerd_client_new(d);
    struct bri_attach_reply reply;

    if (c == NULL || !brokerd_peer_get(sock, &c->peer)) {
        (void)close(sock);
        d->must_sweep = true;
        return;
    }
    c->sock = sock;
    c->is_endpoint = brokerd_endpoint_is(d, c->peer.pid);
    d->n_connections += !c->is_endpoint;
    /* The self-test must not depend on how many there are; the endpoint counts its clients itself.
     */
    if (c->peer.pid != getpid() && !c->is_endpoint &&
        (d->n_connections > d->config->max_clients ||
            count_of_user(d, c->peer.uid) > d->config->max_clients_per_user)) {
        reply = brokerd_reply_bad(BRI_ATTACH_HELLO, BROKER_LIMIT,
            "the broker has as many clients as its configuration allows");
        brokerd_reply_refuse(c, &reply);
        return;
    }
    if (sd_event_add_io(d->event, &c->on_message, sock, EPOLLIN, on_message, c) < 0 ||
        sd_event_add_time_relative(d->event, &c->deadline, CLOCK_MONOTONIC,
            BRI_ATTACH_PATIENCE_NS / 1000, 0, on_deadline, c) < 0) {
        reply = brokerd_reply_bad(
            BRI_ATTACH_HELLO, BROKER_SYSTEM, "the broker cannot watch the connection");
        brokerd_reply_refuse(c, &reply);
        return;
    }
    (void)on_message(NULL, sock, EPOLLIN, c); /* the hello often is there already */
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct brokerd *d = arg;
    int sock;

    (void)events;
    for (unsigned i = 0; i < ACCEPT_AT_ONCE; i++) {
        sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (sock >= 0) {
            d->n_accepted++;
            begin_connection(d, sock);
            continue;
        }
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return 0;
        /* No descriptors: the peer waits, and would wake us all the time. Accepting goes on at the
         * next beat. */
        if (brokerd_log_allowed(&d->refused))
            brokerd_log(LOG_WARNING, NULL, "cannot accept clients for now: %s", strerror(errno));
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    return 0;
}

bool brokerd_attach_start(struct brokerd *d)
{
    if (sd_event_add_io(d->event, &d->listener, d->listen_fd, EPOLLIN, on_connect, d) >= 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot watch the attach socket");
    return false;
}

void brokerd_attach_resume(struct brokerd *d)
{
    if (!d->hands_over)
        (void)sd_event_source_set_enabled(d->listener, SD_EVENT_ON);
}
