/*
 * peer.c - see peer.h
 *
 * libzmq tells nobody that a connection has ended. Of those that have no session any more, as many
 * are remembered as there may be sessions; what is older is forgotten.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <broker/errors.h>

#include "client/handle.h"
#include "log.h"
#include "session.h"
#include "zap.h"

const char *zmqd_sender(zmq_msg_t *message)
{
    const char *sender = zmqd_zap_name(message);

    return sender != NULL && strlen(sender) < ZMQD_SENDER_MAX ? sender : NULL;
}

/* Who comes with a key is the broker's own user, with the rights of the key. */
bool zmqd_sender_user(const struct zmqd *z, const char *sender, struct zmqd_user *out_user)
{
    struct zmqd_caller caller;

    if (!zmqd_zap_caller(z->zap, sender, &caller))
        return false;
    *out_user = (struct zmqd_user){.uid = caller.uid, .gid = caller.gid, .pid = caller.pid};
    if (caller.client != NULL) {
        out_user->uid = geteuid();
        out_user->gid = getegid();
        memcpy(out_user->name, caller.client->name, sizeof(out_user->name));
    }
    return true;
}

bool zmqd_same_user(const struct zmqd_user *a, const struct zmqd_user *b)
{
    return a->uid == b->uid && strcmp(a->name, b->name) == 0;
}

/* ---- those without a session ---- */

static void unlist(struct zmqd *z, struct zmqd_peer *peer)
{
    *(peer->older != NULL ? &peer->older->newer : &z->oldest) = peer->newer;
    *(peer->newer != NULL ? &peer->newer->older : &z->newest) = peer->older;
    peer->older = peer->newer = NULL;
    z->n_strays--;
}

static void list(struct zmqd *z, struct zmqd_peer *peer)
{
    peer->older = z->newest;
    peer->newer = NULL;
    *(z->newest != NULL ? &z->newest->newer : &z->oldest) = peer;
    z->newest = peer;
    z->n_strays++;
}

static void free_peer(struct zmqd_peer *peer)
{
    zmqd_unread_free(peer->unread);
    free(peer);
}

static void forget(struct zmqd *z, struct zmqd_peer *peer)
{
    if (z->recent == peer)
        z->recent = NULL;
    unlist(z, peer);
    zmqd_map_remove(&z->peers, &peer->node);
    free_peer(peer);
}

void zmqd_peer_leave(struct zmqd *z, struct zmqd_peer *peer, bool is_lost)
{
    if (peer->session == NULL)
        return;
    peer->session->peer = NULL;
    peer->session = NULL;
    peer->is_lost = is_lost;
    list(z, peer);
    while (z->n_strays > z->settings.max_sessions)
        forget(z, z->oldest);
}

void zmqd_peers_free(struct zmqd *z)
{
    while (z->oldest != NULL)
        forget(z, z->oldest);
    zmqd_map_clear(&z->peers);
}

/* ---- finding ---- */

static bool has_routing(const struct zmqd_peer *peer, const void *routing, size_t n_routing)
{
    return peer->n_routing == n_routing && memcmp(peer->routing, routing, n_routing) == 0;
}

/* Most messages come several at a time from the same. */
static struct zmqd_peer *find(struct zmqd *z, const void *routing, size_t n_routing)
{
    struct zmqd_node *node;

    if (z->recent != NULL && has_routing(z->recent, routing, n_routing))
        return z->recent;
    node = zmqd_map_first(&z->peers, zmqd_hash(routing, n_routing));
    while (node != NULL && !has_routing((struct zmqd_peer *)node, routing, n_routing))
        node = zmqd_map_next(node);
    if (node != NULL)
        z->recent = (struct zmqd_peer *)node;
    return (struct zmqd_peer *)node;
}

struct zmqd_peer *zmqd_peer_find(
    struct zmqd *z, const void *routing, size_t n_routing, const char *sender)
{
    struct zmqd_peer *peer = find(z, routing, n_routing);

    return peer != NULL && strcmp(peer->sender, sender) == 0 ? peer : NULL;
}

static struct zmqd_peer *make(struct zmqd *z, const void *routing, size_t n_routing)
{
    struct zmqd_peer *peer = calloc(1, sizeof(*peer) + n_routing);

    if (peer == NULL)
        return NULL;
    memcpy(peer->routing, routing, n_routing);
    peer->n_routing = (uint8_t)n_routing;
    peer->unread = zmqd_unread_new();
    if (peer->unread == NULL ||
        zmqd_map_add(&z->peers, &peer->node, zmqd_hash(routing, n_routing)) < 0) {
        free_peer(peer);
        return NULL;
    }
    list(z, peer);
    return peer;
}

int zmqd_peer_take(struct zmqd *z, struct zmqd_session *session, zmq_msg_t *routing,
    zmq_msg_t *message, uint64_t hello)
{
    const char *sender = zmqd_sender(message);
    struct zmqd_peer *peer = find(z, zmq_msg_data(routing), zmq_msg_size(routing));

    if (peer == NULL)
        peer = make(z, zmq_msg_data(routing), zmq_msg_size(routing));
    if (peer == NULL || sender == NULL)
        return bri_fail_text(BROKER_NOMEM, "no memory for a connection");
    if (peer->hello > hello)
        return bri_fail_text(BROKER_LOST, "the connection has said hello again");
    peer->hello = hello;
    zmqd_peer_leave(z, peer, false);
    if (session->peer != NULL)
        zmqd_peer_leave(z, session->peer, true);
    unlist(z, peer);
    (void)snprintf(peer->sender, sizeof(peer->sender), "%s", sender);
    peer->fd = zmq_msg_get(message, ZMQ_SRCFD);
    peer->is_lost = false;
    peer->session = session;
    session->peer = peer;
    return 0;
}

/* ---- the end ---- */

void zmqd_peer_drop(struct zmqd *z, struct zmqd_peer *peer)
{
    static struct brokerd_rate rate;

    if (brokerd_log_allowed(&rate))
        brokerd_log(
            LOG_WARNING, NULL, "dropped a client that does not read its answers: %s", peer->sender);
    (void)shutdown(peer->fd, SHUT_RDWR);
    zmqd_peer_leave(z, peer, false);
}

void zmqd_drop(zmq_msg_t *message)
{
    (void)shutdown(zmq_msg_get(message, ZMQ_SRCFD), SHUT_RDWR);
}
