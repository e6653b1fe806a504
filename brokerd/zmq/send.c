/*
 * send.c - see send.h
 */
#include "send.h"

#include <errno.h>

#include "log.h"
#include "peer.h"

#define HELD_BACK_BYTES (32u * 1024)

static int send_part(struct zmqd *z, zmq_msg_t *part, int flags)
{
    int r;

    do
        r = zmq_msg_send(part, z->router, flags | ZMQ_DONTWAIT);
    while (r < 0 && errno == EINTR);
    return r < 0 ? errno : 0;
}

/* libzmq does not look at each send for what the other side has read meanwhile; when it is asked
 * for events it does. */
static int begin_answer(struct zmqd *z, zmq_msg_t *routing)
{
    int e = send_part(z, routing, ZMQ_SNDMORE), events;
    size_t size = sizeof(events);

    if (e != EAGAIN)
        return e;
    (void)zmq_getsockopt(z->router, ZMQ_EVENTS, &events, &size);
    return send_part(z, routing, ZMQ_SNDMORE);
}

static void transmit(struct zmqd *z, struct zmqd_letter *letter)
{
    int e = begin_answer(z, &letter->routing);

    if (e == 0)
        (void)send_part(z, &letter->body, 0);
    else if (e == EAGAIN && letter->is_peers) /* who is not there any more misses nothing */
        zmqd_peer_drop(z, zmq_msg_data(&letter->routing), zmq_msg_size(&letter->routing));
    (void)zmq_msg_close(&letter->routing);
    (void)zmq_msg_close(&letter->body);
}

bool zmqd_send_all(struct zmqd *z)
{
    struct zmqd_outbox *out = z->outbox;

    if (out->n == 0)
        return false;
    for (unsigned i = 0; i < out->n; i++)
        transmit(z, &out->letters[i]);
    out->n = 0;
    out->n_bytes = 0;
    z->is_drained = false; /* sending takes notice of what has come, and does not tell */
    return true;
}

/* Without memory an answer is lost, as with its connection. @unread: see zmqd_unread_message(). */
static void hold_back(struct zmqd *z, const void *routing, size_t n_routing, const void *data,
    size_t size, struct zmqd_unread *unread)
{
    struct zmqd_outbox *out = z->outbox;
    struct zmqd_letter *letter = &out->letters[out->n];

    if (!zmqd_unread_message(NULL, &letter->routing, routing, n_routing))
        return;
    if (!zmqd_unread_message(unread, &letter->body, data, size)) {
        (void)zmq_msg_close(&letter->routing);
        return;
    }
    letter->is_peers = unread != NULL;
    out->n++;
    out->n_bytes += size;
    if (out->n == ZMQD_HELD_BACK || out->n_bytes >= HELD_BACK_BYTES)
        (void)zmqd_send_all(z);
}

void zmqd_send(struct zmqd *z, const void *routing, size_t n_routing, const void *data, size_t size)
{
    hold_back(z, routing, n_routing, data, size, NULL);
}

void zmqd_peer_send(struct zmqd *z, struct zmqd_peer *peer, const void *data, size_t size)
{
    if (zmqd_unread_bytes(peer->unread) > z->settings.max_unread)
        zmqd_peer_drop(z, peer->routing, peer->n_routing);
    else
        hold_back(z, peer->routing, peer->n_routing, data, size, peer->unread);
}
