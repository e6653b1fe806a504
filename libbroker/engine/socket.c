/*
 * socket.c - see socket.h
 */
#include "engine/socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/handle.h"
#include "core/errno.h"

#define EVENTS                                                                                     \
    (ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |            \
        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define HANDSHAKE_MS 2000

static bool set(struct bri_socket *s, int option, const void *value, size_t size)
{
    return s->zmq->setsockopt(s->dealer, option, value, size) == 0;
}

static bool set_int(struct bri_socket *s, int option, int value)
{
    return set(s, option, &value, sizeof(value));
}

/* How many are under way is bounded by the session, so no queue needs a limit. */
static bool set_options(struct bri_socket *s, const struct bri_endpoint *to)
{
    bool done = set_int(s, ZMQ_LINGER, 0) && set_int(s, ZMQ_RECONNECT_IVL, -1) &&
                set_int(s, ZMQ_SNDHWM, 0) && set_int(s, ZMQ_RCVHWM, 0) &&
                set_int(s, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) && set_int(s, ZMQ_IPV6, 1);

    if (!to->has_keys)
        return done;
    return done && set(s, ZMQ_CURVE_SERVERKEY, to->server, BRI_KEY_TEXT) &&
           set(s, ZMQ_CURVE_PUBLICKEY, to->own.public, BRI_KEY_TEXT) &&
           set(s, ZMQ_CURVE_SECRETKEY, to->own.secret, BRI_KEY_TEXT);
}

static bool get_fd(struct bri_socket *s, void *socket, int *out_fd)
{
    size_t size = sizeof(*out_fd);

    return s->zmq->getsockopt(socket, ZMQ_FD, out_fd, &size) == 0;
}

static bool monitor(struct bri_socket *s)
{
    char name[48];

    (void)snprintf(name, sizeof(name), "inproc://monitor-%u", s->n_opened++);
    if (s->zmq->socket_monitor(s->dealer, name, EVENTS) != 0)
        return false;
    s->monitor = s->zmq->socket(s->context, ZMQ_PAIR);
    return s->monitor != NULL && s->zmq->connect(s->monitor, name) == 0 &&
           get_fd(s, s->monitor, &s->monitor_fd);
}

int bri_socket_open(struct bri_socket *s, const struct bri_endpoint *to)
{
    int e;

    s->dealer = s->zmq->socket(s->context, ZMQ_DEALER);
    if (s->dealer != NULL && set_options(s, to) && get_fd(s, s->dealer, &s->fd) && monitor(s) &&
        s->zmq->connect(s->dealer, to->name) == 0)
        return 0;
    e = errno;
    bri_socket_close(s);
    return bri_from_errno(e);
}

void bri_socket_close(struct bri_socket *s)
{
    if (s->monitor != NULL)
        (void)s->zmq->close(s->monitor);
    if (s->dealer != NULL)
        (void)s->zmq->close(s->dealer);
    s->monitor = s->dealer = NULL;
}

bool bri_socket_send(struct bri_socket *s, const void *data, size_t size)
{
    int n;

    do
        n = s->zmq->send(s->dealer, data, size, ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

static bool receive(struct bri_socket *s, void *socket, zmq_msg_t *out)
{
    int n;

    (void)s->zmq->msg_init(out);
    do
        n = s->zmq->msg_recv(out, socket, ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        (void)s->zmq->msg_close(out);
    return n >= 0;
}

bool bri_socket_receive(struct bri_socket *s, zmq_msg_t *out_message)
{
    return s->dealer != NULL && receive(s, s->dealer, out_message);
}

/* An event is a part with its number and a value, and a part with an address. */
static bool next_event(struct bri_socket *s, uint16_t *out_event)
{
    zmq_msg_t part;
    bool more = true;

    *out_event = 0;
    if (s->monitor == NULL || !receive(s, s->monitor, &part))
        return false;
    while (more) {
        if (*out_event == 0 && s->zmq->msg_size(&part) >= sizeof(*out_event))
            memcpy(out_event, s->zmq->msg_data(&part), sizeof(*out_event));
        more = s->zmq->msg_more(&part) != 0;
        (void)s->zmq->msg_close(&part);
        more = more && receive(s, s->monitor, &part);
    }
    return true;
}

enum bri_socket_event bri_socket_look(struct bri_socket *s)
{
    enum bri_socket_event found = BRI_SOCKET_QUIET;
    uint16_t event;

    while (next_event(s, &event)) {
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            found = BRI_SOCKET_REFUSED;
        else if (found == BRI_SOCKET_QUIET)
            found = BRI_SOCKET_DOWN;
    }
    return found;
}
