/*
 * serve.h - what the thread waits for: the socket, and everything else behind sd-event
 */
#ifndef ZMQD_SERVE_H
#define ZMQD_SERVE_H

#include "server.h"

/* Serves until sd-event is told to exit: with which status, or a negative errno. */
int zmqd_serve(struct zmqd *z);

#endif
