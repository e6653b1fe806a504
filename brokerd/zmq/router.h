/*
 * router.h - the socket that all clients talk to
 */
#ifndef ZMQD_ROUTER_H
#define ZMQD_ROUTER_H

#include "server.h"

/* Listens where the settings say. False, logged, if that cannot be. */
bool zmqd_router_start(struct zmqd *z);
void zmqd_router_stop(struct zmqd *z);

#endif
