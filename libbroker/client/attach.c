/*
 * attach.c - the client's side of the attach socket; see attach.h
 *
 * The connection is used when attaching and for the rare request after that; operations never look
 * at it. Killed anywhere in here, the process leaves at most a session without attachments, which
 * ends as its process did.
 *
 * How long to wait for an answer: a connection that is made and not answered is one that systemd
 * keeps for a daemon that is being stopped, started or upgraded, or a daemon is busy, or hangs. Who
 * keeps the socket ends the connection when nobody is to come any more. So it is worth waiting
 * longer than any of that takes; the address says how long.
 */
#include "client/attach.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/handle.h"
#include "client/observe.h"
#include "core/attachment.h"
#include "core/session.h"
#include "core/stand_in.h"
#include "engine_ops.h"

#define PATIENCE_NS (5 * BRI_SECOND) /* for the answer of a broker that has let us in */
#define HELLO_TRIES 4

static bool is_reply(const struct bri_attach_reply *reply, size_t n, enum bri_attach_kind kind)
{
    return n == sizeof(*reply) && reply->head.magic == BRI_ATTACH_MAGIC &&
           (reply->head.kind == kind || reply->status < 0) && reply->status <= 0;
}

static struct bri_attach_hello make_hello(const struct bri_address *address)
{
    const struct bri_behalf *behalf = address->behalf;
    struct bri_attach_hello hello = {
        .head = bri_attach_head(BRI_ATTACH_HELLO),
        .layout_version = bri_layout_version(),
        .abi = BRI_ABI,
        .access = address->read_only ? BRI_ATTACH_READ : BRI_ATTACH_WRITE,
    };

    memcpy(hello.arena, address->arena, sizeof(hello.arena));
    if (behalf != NULL) {
        hello.on_behalf = 1;
        hello.uid = behalf->uid;
        hello.gid = behalf->gid;
        if (behalf->name != NULL)
            memcpy(hello.name, behalf->name, strnlen(behalf->name, sizeof(hello.name) - 1));
    }
    return hello;
}

/* GONE: the daemon ended before it answered. */
static int say_hello(const char *path, int sock, const struct bri_attach_hello *hello,
    int64_t until_ns, struct bri_attach_reply *out_reply, int *out_fd)
{
    size_t n;
    int r;

    /* A daemon that turns us away may have closed already: its answer counts, not that we could not
     * send. */
    (void)bri_connection_send(sock, hello, sizeof(*hello));
    r = bri_connection_receive(sock, until_ns, out_reply, sizeof(*out_reply), &n, out_fd);
    if (r < 0) {
        (void)bri_connection_fail_silent(path);
        return r;
    }
    if (!is_reply(out_reply, n, BRI_ATTACH_HELLO) || (out_reply->status == 0) != (*out_fd >= 0)) {
        if (*out_fd >= 0)
            (void)close(*out_fd);
        return bri_fail_text(BROKER_PROTO, "what answers at %s is no broker", path);
    }
    if (out_reply->status == 0)
        return 0;
    if (*out_fd >= 0)
        (void)close(*out_fd);
    out_reply->text[sizeof(out_reply->text) - 1] = '\0';
    return bri_fail_text(out_reply->status, "%s", out_reply->text);
}

/* Owns @fd in any case. */
static int map_arena(int fd, bool read_only, struct bri_arena *mapped, struct bri_arena **out_arena)
{
    uint32_t found[2] = {0, 0};
    int r;

    if (mapped != NULL && mapped->read_only == read_only && bri_arena_is_file(mapped, fd)) {
        (void)close(fd);
        bri_arena_share(mapped);
        *out_arena = mapped;
        return 0;
    }
    r = bri_arena_map(fd, read_only, out_arena, found);
    if (r == 0)
        return 0;
    (void)close(fd);
    if (r == BROKER_VERSION)
        return bri_fail_text(r, "the arena has layout %u.%08x, this program knows %u.%08x",
            found[0], found[1], bri_layout_version(), BRI_ABI);
    return bri_fail_text(r, "the arena cannot be mapped: %s",
        r == BROKER_CORRUPT ? "its header is damaged" : "no memory, or the system refused");
}

/* What the daemon's @reply makes of the arena in @out. */
static int bind_session(
    bool read_only, const struct bri_attach_reply *reply, struct bri_attached *out)
{
    int r;

    out->number = reply->session;
    if (read_only)
        return 0;
    r = bri_session_object(out->arena, reply->session, &out->session);
    if (r == 0 && out->session.generation != reply->generation)
        r = BROKER_PROTO;
    if (r < 0) {
        bri_arena_unmap(out->arena);
        return bri_fail_text(r, "the broker gave a session that is none");
    }
    /* From here on a process without this mapping is another program: see is_another_program(). */
    atomic_store(&bri_session_state(&out->session)->mapped, 1);
    return 0;
}

static void leave(int sock)
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_LEAVE)};

    (void)bri_connection_send(sock, &request, sizeof(request));
}

static int try_to_attach(const char *path, const struct bri_attach_hello *hello, int64_t until_ns,
    struct bri_arena *mapped, struct bri_attached *out_attached)
{
    struct bri_attached attached = {.number = UINT32_MAX};
    bool read_only = hello->access == BRI_ATTACH_READ;
    struct bri_attach_reply reply;
    int fd = -1, r = bri_connection_open(path, until_ns, &attached.sock);

    if (r < 0)
        return r;
    r = say_hello(path, attached.sock, hello, until_ns, &reply, &fd);
    if (r == 0) {
        r = map_arena(fd, read_only, mapped, &attached.arena);
        if (r == 0)
            r = bind_session(read_only, &reply, &attached);
        if (r < 0)
            leave(attached.sock);
    }
    if (r < 0) {
        (void)close(attached.sock);
        return r;
    }
    *out_attached = attached;
    return 0;
}

/* A daemon that is killed takes with it the connections that it has not answered; where systemd has
 * the socket, the next ones wait for the next daemon. */
int bri_attach_to(
    const struct bri_address *address, struct bri_arena *mapped, struct bri_attached *out_attached)
{
    const struct bri_attach_hello hello = make_hello(address);
    int64_t until = bri_deadline(address->wait_ns != 0 ? address->wait_ns : BRI_ATTACH_WAIT_NS);
    int r = BROKER_GONE;

    for (unsigned i = 0; i < HELLO_TRIES && r == BROKER_GONE; i++)
        r = try_to_attach(address->path, &hello, until, mapped, out_attached);
    return r == BROKER_GONE ? BROKER_NODAEMON : r;
}

/* Once more as @b was. */
static int attach_again(const broker *b, bool read_only, struct bri_attached *out_attached)
{
    struct bri_address address = {.read_only = read_only, .wait_ns = atomic_load(&b->wait_ns)};

    memcpy(address.path, b->path, sizeof(address.path));
    memcpy(address.arena, b->arena_name, sizeof(address.arena));
    return bri_attach_to(&address, NULL, out_attached);
}

void bri_attach_undo(struct bri_attached *attached)
{
    leave(attached->sock);
    (void)close(attached->sock);
    bri_arena_unmap(attached->arena);
}

void bri_attach_forget(broker *b)
{
    b->monitored = &bri_observe_nothing;
    if (b->sock >= 0)
        (void)close(b->sock);
    b->sock = -1;
    if (b->arena == NULL)
        return;
    /* Not mapped in this process (MADV_DONTFORK): something else may lie there by now. */
    if (b->arena->fd >= 0)
        (void)close(b->arena->fd);
    b->arena->fd = -1;
    bri_arena_unmap(b->arena);
    b->arena = NULL;
}

/* ---- after fork ---- */

void bri_attach_take(broker *b, const struct bri_attached *attached)
{
    b->arena = attached->arena;
    b->session = attached->session;
    b->session_number = attached->number;
    b->sock = attached->sock;
    bri_observe_begin(b);
}

int bri_shm_reattach(broker *b)
{
    struct bri_attached attached;
    int r = attach_again(b, b->read_only, &attached);

    if (r < 0)
        return r;
    if (memcmp(attached.arena->id, b->arena->id, sizeof(b->arena->id)) != 0) {
        bri_attach_undo(&attached);
        return bri_fail_text(
            BROKER_GONE, "the broker at %s was restarted with a new arena", b->path);
    }
    bri_attach_forget(b);
    bri_attach_take(b, &attached);
    return 0;
}

/* The object may have been destroyed, and its slot used again, before we came. */
int bri_shm_reattach_handle(struct bri_handle *h)
{
    broker *b = h->broker;
    struct bri_object o;
    int r = bri_object_bind(b->arena, h->object.id, &o);

    if (r < 0)
        return r;
    if (o.generation != h->object.generation || o.type != h->type)
        return BROKER_GONE;
    if (!b->read_only) {
        r = bri_attach(&b->session, &o, &o.att);
        if (r < 0)
            return r;
    }
    h->object = o;
    h->monitored = b->monitored;
    atomic_store(&h->n_owed, 0); /* by the parent's session */
    return 0;
}

/* ---- requests ---- */

/* As a reader: a session is not needed to ask, and the one that we have lives on without its
 * connection. */
static int reconnect(broker *b)
{
    struct bri_attached attached;
    int r = attach_again(b, true, &attached);

    if (r < 0)
        return r;
    if (memcmp(attached.arena->id, b->arena->id, sizeof(b->arena->id)) != 0)
        r = bri_fail_text(BROKER_NODAEMON, "the broker at %s has another arena now", b->path);
    bri_arena_unmap(attached.arena);
    if (r < 0)
        (void)close(attached.sock);
    else
        b->sock = attached.sock;
    return r;
}

static int exchange_once(
    broker *b, const struct bri_attach_request *request, void *answer, size_t size, size_t *out_n)
{
    int fd = -1, r = b->sock >= 0 ? 0 : reconnect(b);

    if (r < 0)
        return r;
    r = bri_connection_send(b->sock, request, sizeof(*request));
    if (r == 0)
        r = bri_connection_receive(b->sock, bri_now() + PATIENCE_NS, answer, size, out_n, &fd);
    if (r == BROKER_GONE)
        r = BROKER_NODAEMON;
    if (fd >= 0)
        (void)close(fd);
    if (r < 0) {
        (void)close(b->sock);
        b->sock = -1;
    }
    return r;
}

/* One request and its answer. The daemon may have been replaced since: then the first try finds a
 * dead connection. */
static int exchange(
    broker *b, const struct bri_attach_request *request, void *answer, size_t size, size_t *out_n)
{
    struct bri_stand_in *stand_in = bri_stand_in_suspend();
    int r;

    (void)pthread_mutex_lock(&b->mutex);
    r = exchange_once(b, request, answer, size, out_n);
    if (r == BROKER_NODAEMON)
        r = exchange_once(b, request, answer, size, out_n);
    (void)pthread_mutex_unlock(&b->mutex);
    bri_stand_in_resume(stand_in);
    return r;
}

int bri_unstick(broker *b, uint32_t slot)
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_UNSTICK), .slot = slot};
    struct bri_attach_reply reply;
    size_t n;
    int r = exchange(b, &request, &reply, sizeof(reply), &n);

    if (r < 0)
        return r;
    if (!is_reply(&reply, n, BRI_ATTACH_UNSTICK))
        return BROKER_PROTO;
    return reply.status == BROKER_TIMEDOUT ? 0
                                           : reply.status; /* its owner lives: it is not stuck */
}

/* The one request whose answer may take long. */
int bri_attach_save(broker *b, char out_path[BRI_ATTACH_TEXT])
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_SAVE)};
    struct bri_attach_reply reply;
    int fd = -1, r;
    size_t n = 0;

    if (b->engine != &bri_engine_shm)
        return bri_fail_text(
            BROKER_UNSUPPORTED, "only on its own machine a broker can be told to save");
    (void)pthread_mutex_lock(&b->mutex);
    r = b->sock >= 0 ? bri_connection_send(b->sock, &request, sizeof(request)) : BROKER_NODAEMON;
    if (r == 0)
        r = bri_connection_receive(b->sock, BRI_NEVER, &reply, sizeof(reply), &n, &fd);
    (void)pthread_mutex_unlock(&b->mutex);
    if (fd >= 0)
        (void)close(fd);
    if (r < 0)
        return bri_fail_text(r, "the broker at %s went away", b->path);
    if (!is_reply(&reply, n, BRI_ATTACH_SAVE))
        return bri_fail_text(BROKER_PROTO, "what answers at %s is no broker", b->path);
    reply.text[sizeof(reply.text) - 1] = '\0';
    if (reply.status < 0)
        return bri_fail_text(reply.status, "%s", reply.text);
    memcpy(out_path, reply.text, sizeof(reply.text));
    return 0;
}

int bri_attach_monitor(broker *b)
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_MONITOR)};
    struct bri_attach_reply reply;
    size_t n;
    int r;

    if (!b->read_only)
        return bri_monitor_renew(b->arena, BRI_PATIENCE);
    r = exchange(b, &request, &reply, sizeof(reply), &n);
    if (r < 0)
        return r;
    return is_reply(&reply, n, BRI_ATTACH_MONITOR) ? reply.status : BROKER_PROTO;
}

int bri_attach_ask_status(broker *b, struct bri_attach_status *out_status)
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_STATUS)};
    union {
        struct bri_attach_reply reply;
        struct bri_attach_status status;
    } answer;
    size_t n;
    int r = exchange(b, &request, &answer, sizeof(answer), &n);

    if (r < 0)
        return r;
    if (n == sizeof(answer.reply) && is_reply(&answer.reply, n, BRI_ATTACH_STATUS))
        return answer.reply.status < 0 ? answer.reply.status : BROKER_PROTO;
    if (n != sizeof(answer.status) || answer.status.head.magic != BRI_ATTACH_MAGIC ||
        answer.status.status != 0)
        return BROKER_PROTO;
    answer.status.version[sizeof(answer.status.version) - 1] = '\0';
    *out_status = answer.status;
    return 0;
}
