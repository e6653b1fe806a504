/*
 * router.h - the socket that all clients talk to
 */
#ifndef ZMQD_ROUTER_H
#define ZMQD_ROUTER_H

#include "server.h"

/* Listens where the settings say. False, logged, if that cannot be. */
bool zmqd_router_start(struct zmqd *z);
/* Reads the list of clients again; if it is no good, the one that was read before counts on. */
void zmqd_router_reload(struct zmqd *z);

void zmqd_router_stop(struct zmqd *z);

#endif
