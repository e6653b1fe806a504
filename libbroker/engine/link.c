/*
 * link.c - see link.h
 *
 * Asking, the thread that keeps the session, beginning and ending; how threads share the connection
 * is in link_lead.c. A process killed in here leaves a session, which ends when the broker has not
 * heard of it for long enough.
 */
#include "engine/link.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <broker.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/errno.h"
#include "engine/link_state.h"
#include "value/value.h"

#define CLOSE_PATIENCE_NS (2 * BRI_SECOND)
#define SMALL_PLACES 4 /* of max_pending, kept for what is_small */

static __thread bool inside;

/* ---- asking ---- */

static int submit(struct bri_link *l, struct bri_exchange *x)
{
    uint64_t places = l->agreed.max_pending;

    if (l->state == BRI_LINK_ENDED)
        return bri_fail_detail(l->end_code, l->end_text);
    if (x->request.size > l->agreed.max_message)
        return bri_fail_detail(
            BROKER_TOOBIG, "the request is larger than the broker takes in one message");
    if (!x->is_small && places > 2 * SMALL_PLACES)
        places -= SMALL_PLACES;
    if (l->n_pending >= places)
        return bri_fail_detail(
            BROKER_LIMIT, "as many requests wait for their answers as the broker allows");
    bri_link_append(l, x);
    if (l->state == BRI_LINK_UP)
        bri_link_receive(l);
    return 0;
}

int bri_link_enter(void)
{
    if (inside)
        return BROKER_BUSY;
    inside = true;
    return 0;
}

void bri_link_leave(void)
{
    inside = false;
}

int bri_link_ask(struct bri_link *l, struct bri_exchange *x)
{
    int r;

    atomic_store(&x->word, BRI_EXCHANGE_WAITING);
    x->was_sent = x->is_waiting = x->is_detached = false;
    (void)pthread_mutex_lock(&l->mutex);
    r = submit(l, x);
    if (r == 0) {
        bri_link_await(l, x);
        r = x->failure;
        if (r < 0 && l->state == BRI_LINK_ENDED)
            (void)bri_fail_detail(r, l->end_text);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return r;
}

void bri_link_done(struct bri_link *l, struct bri_exchange *x)
{
    if (x->failure == 0)
        (void)l->socket.zmq->msg_close(&x->message);
}

size_t bri_link_message(struct bri_link *l, struct bri_exchange *x, const void **out_data)
{
    *out_data = l->socket.zmq->msg_data(&x->message);
    return l->socket.zmq->msg_size(&x->message);
}

const struct bri_agreed *bri_link_agreed(const struct bri_link *l)
{
    return &l->agreed;
}

bool bri_link_has_ended(struct bri_link *l)
{
    bool has_ended;

    (void)pthread_mutex_lock(&l->mutex);
    has_ended = l->state == BRI_LINK_ENDED;
    (void)pthread_mutex_unlock(&l->mutex);
    return has_ended;
}

/* ---- the thread that keeps the session ---- */

static int ask_plainly(struct bri_link *l, const char *op, int64_t overdue_ns)
{
    struct bri_exchange x = {
        .is_small = true, .may_abandon = overdue_ns != BRI_NEVER, .overdue_ns = overdue_ns};
    struct bri_wire_request request = {
        .id = BRI_WIRE_FIXED_ID, .op = op, .op_size = (uint32_t)strlen(op), .object = broker_nil()};
    int r = bri_wire_write_request(&x.request, &request);

    if (r == 0) {
        r = bri_link_ask(l, &x);
        if (r == 0)
            bri_link_done(l, &x);
    }
    broker_buffer_free(&x.request);
    return r;
}

static int64_t next_ping_ns(const struct bri_link *l)
{
    return (l->sent_ns < l->heard_ns ? l->sent_ns : l->heard_ns) + bri_link_third(l);
}

static void *keep(void *arg)
{
    struct bri_link *l = arg;
    struct timespec ts;
    int64_t at;

    (void)pthread_mutex_lock(&l->mutex);
    while (!l->must_end && l->state != BRI_LINK_ENDED) {
        at = next_ping_ns(l);
        if (bri_now() >= at) {
            (void)pthread_mutex_unlock(&l->mutex);
            (void)ask_plainly(l, "session.ping", BRI_NEVER);
            (void)pthread_mutex_lock(&l->mutex);
        } else {
            ts = (struct timespec){.tv_sec = at / BRI_SECOND, .tv_nsec = at % BRI_SECOND};
            (void)pthread_cond_timedwait(&l->keeper_called, &l->mutex, &ts);
        }
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* Without the program's signals: they are for its own threads. */
static int start_keeper(struct bri_link *l)
{
    sigset_t every, before;
    int e;

    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    e = pthread_create(&l->keeper, NULL, keep, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    l->has_keeper = e == 0;
    return e == 0 ? 0 : bri_fail_text(bri_from_errno(e), "cannot start a thread: %s", strerror(e));
}

/* ---- beginning and ending ---- */

static int set_endpoint(const struct bri_address *address, struct bri_endpoint *out)
{
    struct bri_keys server;
    int r;

    out->has_keys = address->road == BRI_ROAD_TCP;
    (void)snprintf(out->name, sizeof(out->name), "%s%s", out->has_keys ? "tcp://" : "ipc://",
        out->has_keys ? address->host : address->path);
    if (!out->has_keys)
        return 0;
    r = bri_keys_read(address->server_key, &server);
    if (r == 0)
        r = bri_keys_read(address->own_key, &out->own);
    if (r == 0 && out->own.secret[0] == '\0')
        r = bri_fail_text(BROKER_ADDRESS, "there is no secret key in %s", address->own_key);
    if (r == 0)
        memcpy(out->server, server.public, sizeof(out->server));
    return r;
}

static void destroy(struct bri_link *l)
{
    bri_socket_close(&l->socket);
    if (l->socket.context != NULL)
        (void)l->socket.zmq->ctx_term(l->socket.context);
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
    (void)pthread_cond_destroy(&l->keeper_called);
    (void)pthread_mutex_destroy(&l->mutex);
    explicit_bzero(l, sizeof(*l));
    free(l);
}

static int make(const struct bri_address *address, const struct bri_zmq *zmq, struct bri_link **out)
{
    struct bri_link *l = calloc(1, sizeof(*l));
    pthread_condattr_t monotonic;

    if (l == NULL)
        return bri_fail_text(BROKER_NOMEM, "no memory for a session");
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->keeper_called, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    l->address = *address;
    l->socket.zmq = zmq;
    l->retry_pause_ns = BRI_LINK_RETRY_NS;
    l->last_id = BRI_WIRE_FIXED_ID;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->socket.context = zmq->ctx_new();
    if (l->wake_fd < 0 || l->socket.context == NULL) {
        int r = bri_from_errno(errno);

        destroy(l);
        return bri_fail_text(r, "cannot make a ZeroMQ context");
    }
    (void)zmq->ctx_set(l->socket.context, ZMQ_BLOCKY, 0);
    *out = l;
    return 0;
}

/* Until there is a session. Nobody else knows the link yet. */
static int begin(struct bri_link *l)
{
    int64_t until;

    l->give_up_ns = bri_now() + bri_link_patience(l);
    (void)pthread_mutex_lock(&l->mutex);
    for (;;) {
        until = bri_link_tend(l);
        if (l->state == BRI_LINK_UP || l->state == BRI_LINK_ENDED)
            break;
        bri_link_sleep(l, until);
        bri_link_receive(l);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    if (l->state == BRI_LINK_UP)
        return 0;
    return l->end_text == NULL
               ? l->end_code
               : bri_fail_text(l->end_code, "the broker at %s: %s", l->endpoint.name, l->end_text);
}

int bri_link_open(const struct bri_address *address, struct bri_link **out_link)
{
    const struct bri_zmq *zmq;
    struct bri_link *l = NULL;
    int r = bri_zmq_load(&zmq);

    if (r == 0)
        r = make(address, zmq, &l);
    if (r < 0)
        return r;
    r = set_endpoint(address, &l->endpoint);
    if (r == 0)
        r = begin(l);
    if (r == 0)
        r = start_keeper(l);
    if (r < 0) {
        bri_link_close(l);
        return r;
    }
    *out_link = l;
    return 0;
}

void bri_link_close(struct bri_link *l)
{
    if (l == NULL)
        return;
    if (l->has_session)
        (void)ask_plainly(l, "session.end", bri_now() + CLOSE_PATIENCE_NS);
    (void)pthread_mutex_lock(&l->mutex);
    l->must_end = true;
    if (l->state != BRI_LINK_ENDED)
        bri_link_fail(l, BROKER_LOST, NULL);
    bri_link_pass_on(l);
    (void)pthread_mutex_unlock(&l->mutex);
    if (l->has_keeper)
        (void)pthread_join(l->keeper, NULL);
    destroy(l);
}

/* Kept, so that nothing of it looks lost. */
void bri_link_forget(struct bri_link *l)
{
    static _Atomic(struct bri_link *) forgotten;

    if (l == NULL)
        return;
    (void)close(l->wake_fd);
    l->next_forgotten = atomic_load(&forgotten);
    while (!atomic_compare_exchange_weak(&forgotten, &l->next_forgotten, l))
        continue;
}
