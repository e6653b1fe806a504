/*
 * peer.h - connections: who sends a message, and whose session it is
 *
 * A routing id proves nothing: the other side chooses it, and after a connection was lost another
 * may have it. So who sends is taken from what libzmq says of each message, which comes from the
 * kernel or from a key.
 */
#ifndef ZMQD_PEER_H
#define ZMQD_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include <zmq.h>

#include "keys.h"
#include "server.h"
#include "unread.h"

#define ZMQD_ROUTING_MAX 255 /* bytes of a routing id */
#define ZMQD_SENDER_MAX 128

/* Who is behind a connection. Two connections of the same user have the same. */
struct zmqd_user {
    uid_t uid;
    gid_t gid;
    pid_t pid;                   /* of this machine, when it connected; else 0 */
    char name[ZMQD_CLIENT_NAME]; /* of its key; empty for a user of this machine */
};

struct zmqd_peer {
    struct zmqd_node node;           /* first: by routing id */
    struct zmqd_session *session;    /* NULL: it had one */
    struct zmqd_peer *older, *newer; /* among those without a session */
    struct zmqd_unread *unread;      /* of what was sent to it */
    int fd;                          /* of the connection, as far as libzmq says */
    uint64_t hello;                  /* number of the hello that it is for */
    bool is_lost;                    /* its session has ended, or another connection has it */
    uint8_t n_routing;
    char sender[ZMQD_SENDER_MAX]; /* what libzmq said of it */
    uint8_t routing[];
};

/* What was found out about who sent @message (zap.h); NULL if nothing: then it is to be thrown
 * away. */
const char *zmqd_sender(zmq_msg_t *message);

/* The user whom @sender names; false if he is none that may come in. */
bool zmqd_sender_user(const struct zmqd *z, const char *sender, struct zmqd_user *out_user);
bool zmqd_same_user(const struct zmqd_user *a, const struct zmqd_user *b);

/* The one that has this routing id and is this sender; NULL if there is none. */
struct zmqd_peer *zmqd_peer_find(
    struct zmqd *z, const void *routing, size_t n_routing, const char *sender);

/*
 * Gives @session to the connection that @message came from, instead of what either had before.
 * @hello: which hello it was; if a later one has the connection already that stays, and it is LOST.
 * NOMEM.
 */
int zmqd_peer_take(struct zmqd *z, struct zmqd_session *session, zmq_msg_t *routing,
    zmq_msg_t *message, uint64_t hello);

/* Takes a connection from its session. @is_lost: its requests are answered with LOST. */
void zmqd_peer_leave(struct zmqd *z, struct zmqd_peer *peer, bool is_lost);

/* Ends the connection of a client that does not read; its session stays. */
void zmqd_peer_drop(struct zmqd *z, struct zmqd_peer *peer);

/* Ends the connection that @message came from. */
void zmqd_drop(zmq_msg_t *message);

void zmqd_peers_free(struct zmqd *z);

#endif
