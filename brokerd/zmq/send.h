/*
 * send.h - answers on their way
 *
 * libzmq has a thread that writes to the connections. It is woken for what it is given while it
 * sleeps, and for each answer if each is given to it by itself. So answers are held back while
 * there are requests to be taken, and given to it together.
 */
#ifndef ZMQD_SEND_H
#define ZMQD_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "server.h"

#define ZMQD_HELD_BACK 32

/* An answer that is held back. */
struct zmqd_letter {
    zmq_msg_t routing, body;
    bool is_peers; /* who does not read it is dropped */
};

struct zmqd_outbox {
    struct zmqd_letter letters[ZMQD_HELD_BACK];
    unsigned n;
    size_t n_bytes;
};

/* Holds an answer back until zmqd_send_all(), which may be here. A peer whose client does not read
 * its answers is dropped. */
void zmqd_send(
    struct zmqd *z, const void *routing, size_t n_routing, const void *data, size_t size);
void zmqd_peer_send(struct zmqd *z, struct zmqd_peer *peer, const void *data, size_t size);

/* Sends all that is held back. False if that is nothing. */
bool zmqd_send_all(struct zmqd *z);

#endif
