/*
 * zap.h - who is let in, and who it is that sent a message
 *
 * libzmq asks about each new connection (ZAP, RFC 27): on ipc the kernel's word about the other
 * process counts, on tcp its CURVE key, if the allow list has it. All else is refused.
 *
 * libzmq by itself lets everybody in where it finds nobody to ask, and where a socket has no
 * domain. So sockets are bound here only, with everything that has to be set for it to ask; and a
 * message counts for nothing unless it bears what only the handler here gives.
 */
#ifndef ZMQD_ZAP_H
#define ZMQD_ZAP_H

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>
#include <zmq.h>

#include "keys.h"

struct zmqd_zap;

/*
 * Answers libzmq in @context from now on. It must be there before a socket is bound, and until all
 * are closed. False, logged, if it cannot.
 */
bool zmqd_zap_start(sd_event *event, void *context, struct zmqd_zap **out_zap);

/* NULL is allowed. */
void zmqd_zap_stop(struct zmqd_zap *zap);

/* The list that counts from now on, also for those who are connected; it stays the caller's. NULL:
 * nobody may come over tcp. */
void zmqd_zap_use(struct zmqd_zap *zap, const struct zmqd_clients *clients);

/* Binds a socket to "ipc://PATH", or with the server's secret key to "tcp://HOST:PORT". False,
 * logged, if it cannot, or not safely. */
bool zmqd_zap_bind_ipc(void *socket, const char *endpoint);
bool zmqd_zap_bind_tcp(void *socket, const char *endpoint, const char *secret);

/* Who sent a message. */
struct zmqd_caller {
    const struct zmqd_client *client; /* on tcp; NULL on ipc, where these say who it is: */
    uid_t uid;
    gid_t gid;
    pid_t pid; /* when it connected: it may be another one's by now; else 0 */
};

/* What the handler called the sender of @message when it let him in; NULL if it never did: then
 * the message is to be thrown away. */
const char *zmqd_zap_name(zmq_msg_t *message);

/* Who has this name. False: nobody who was let in, or who still may be here. */
bool zmqd_zap_caller(const struct zmqd_zap *zap, const char *name, struct zmqd_caller *out_caller);

#endif
