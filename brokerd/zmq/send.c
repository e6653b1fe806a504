/*
 * send.c - see send.h
 */
#include "send.h"

#include <errno.h>

#include <zmq.h>

#include "peer.h"
#include "unread.h"

static int send_routing(struct zmqd *z, const void *routing, size_t n_routing)
{
    int r;

    do
        r = zmq_send(z->router, routing, n_routing, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    while (r < 0 && errno == EINTR);
    return r < 0 ? errno : 0;
}

/* libzmq does not look at each send for what the other side has read meanwhile; when it is asked
 * for events it does. */
static int begin_answer(struct zmqd *z, const void *routing, size_t n_routing)
{
    int e = send_routing(z, routing, n_routing), events;
    size_t size = sizeof(events);

    z->is_drained = false; /* sending takes notice of what has come, and does not tell */
    if (e != EAGAIN)
        return e;
    (void)zmq_getsockopt(z->router, ZMQ_EVENTS, &events, &size);
    return send_routing(z, routing, n_routing);
}

static void send_body(struct zmqd *z, zmq_msg_t *body)
{
    int r;

    do
        r = zmq_msg_send(body, z->router, ZMQ_DONTWAIT);
    while (r < 0 && errno == EINTR);
}

/* 0, or an errno: EAGAIN if there is no room for what the other side does not read. Without memory
 * an answer is lost, as with its connection. */
static int transmit(struct zmqd *z, const void *routing, size_t n_routing, const void *data,
    size_t size, struct zmqd_unread *unread)
{
    zmq_msg_t body;
    int e;

    if (!zmqd_unread_message(unread, &body, data, size))
        return ENOMEM;
    e = begin_answer(z, routing, n_routing);
    if (e == 0)
        send_body(z, &body);
    (void)zmq_msg_close(&body);
    return e;
}

void zmqd_send(struct zmqd *z, const void *routing, size_t n_routing, const void *data, size_t size)
{
    (void)transmit(z, routing, n_routing, data, size, NULL);
}

/* Who is not there any more misses nothing. */
void zmqd_peer_send(struct zmqd *z, struct zmqd_peer *peer, const void *data, size_t size)
{
    if (zmqd_unread_bytes(peer->unread) > z->settings.max_unread ||
        transmit(z, peer->routing, peer->n_routing, data, size, peer->unread) == EAGAIN)
        zmqd_peer_drop(z, peer);
}
