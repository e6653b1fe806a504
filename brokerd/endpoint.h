/*
 * endpoint.h - brokerd-zmq, the process behind the ZeroMQ sockets: started, watched, started again
 *
 * libzmq can be made to abort or to take gigabytes by whoever may connect. So it runs in a process
 * of its own, of whose end the daemon only learns that its sessions are to be given back. It dies
 * with the daemon. The daemon trusts it in one thing: on whose behalf it attaches.
 */
#ifndef BROKERD_ENDPOINT_H
#define BROKERD_ENDPOINT_H

#include "daemon.h"

/* What the configuration says from now on: starts the process, ends it, or starts it anew if it
 * cannot take over a change as it runs. Failures are logged, and tried again. */
void brokerd_endpoint_configure(struct brokerd *d);

/* Whether this is the process that runs now. */
bool brokerd_endpoint_is(const struct brokerd *d, pid_t pid);

/* Ends the process, in good order if it does that soon. */
void brokerd_endpoint_stop(struct brokerd *d);

#endif
