/*
 * source.h - a ZeroMQ socket in an sd-event loop
 *
 * A socket's descriptor tells once that something has changed, and not that there is something to
 * read; sending can swallow what it told. So everything is taken that is there, and what is sent is
 * sent while taking.
 */
#ifndef ZMQD_SOURCE_H
#define ZMQD_SOURCE_H

#include <stdbool.h>

#include <systemd/sd-event.h>

struct zmqd_source;

/*
 * Calls @take while @socket has something to be received, a few dozen times in a row at most; @take
 * receives one message without waiting, and says whether there was one. Nobody else uses @socket.
 * A negative errno.
 */
int zmqd_source_new(sd_event *event, void *socket, bool (*take)(void *arg), void *arg,
    struct zmqd_source **out_source);

/* Before the socket is closed. NULL is allowed. */
void zmqd_source_free(struct zmqd_source *source);

#endif
