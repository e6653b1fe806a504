/*
 * reply.h - answers at the attach socket
 *
 * Nothing here waits: a peer that does not read its answers is dropped.
 */
#ifndef BROKERD_REPLY_H
#define BROKERD_REPLY_H

#include "client/attach.h"
#include "clients.h"

/* Sends one packet, and a descriptor unless that is -1; false if it is not taken. */
bool brokerd_reply_send(int sock, const void *packet, size_t size, int fd);

struct bri_attach_reply brokerd_reply_good(enum bri_attach_kind kind);

/* With a sentence that says why. */
struct bri_attach_reply brokerd_reply_bad(enum bri_attach_kind kind, int status, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* Turns a peer away: it is told why, the connection ends. */
void brokerd_reply_refuse(struct brokerd_client *c, const struct bri_attach_reply *reply);

/* Both end the connection if it cannot be told. */
void brokerd_reply_answer(struct brokerd_client *c, const void *packet, size_t size);
void brokerd_reply_status(struct brokerd_client *c, enum bri_attach_kind kind, int status);

#endif
