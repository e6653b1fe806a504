/*
 * send.h - answers on their way
 */
#ifndef ZMQD_SEND_H
#define ZMQD_SEND_H

#include <stddef.h>

#include "server.h"

/* Sends an answer. A peer whose client does not read its answers is dropped. */
void zmqd_send(
    struct zmqd *z, const void *routing, size_t n_routing, const void *data, size_t size);
void zmqd_peer_send(struct zmqd *z, struct zmqd_peer *peer, const void *data, size_t size);

#endif
