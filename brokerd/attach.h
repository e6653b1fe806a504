/*
 * attach.h - the daemon's side of the attach socket; the messages are in client/attach.h
 *
 * What comes from a peer is input: a message that is not exactly one of the protocol's gets an
 * error and ends the connection. A peer that does not read its answers is dropped; nothing here
 * waits for anybody.
 */
#ifndef BROKERD_ATTACH_H
#define BROKERD_ATTACH_H

#include "clients.h"
#include "daemon.h"

#define BROKERD_BACKLOG 512

/* Starts to accept connections at d->listen_fd. False, logged, if it cannot. */
bool brokerd_attach_start(struct brokerd *d);

/* Accepts again, if it had to stop for want of descriptors. */
void brokerd_attach_resume(struct brokerd *d);

/* Answers one who asked for his arena to be saved: @text says where to, or why not. */
void brokerd_attach_saved(struct brokerd_client *c, int status, const char *text);

#endif
