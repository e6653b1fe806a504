/*
 * router.c - see router.h
 */
#include "router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "engine/keys.h"
#include "log.h"
#include "session.h"
#include "zap.h"

#define HANDSHAKE_MS 3000
#define PING_MS 5000
#define SILENT_MS 15000
#define BACKLOG 1024
#define IPC "ipc://"
#define TCP "tcp://"

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static bool set_options(struct zmqd *z)
{
    void *s = z->router;
    int64_t max_message = (int64_t)z->settings.max_message;
    int queued = (int)z->settings.max_queued;

    return zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max_message, sizeof(max_message)) == 0 &&
           set(s, ZMQ_SNDHWM, queued) && set(s, ZMQ_RCVHWM, queued) && set(s, ZMQ_LINGER, 0) &&
           set(s, ZMQ_ROUTER_MANDATORY, 1) && set(s, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           set(s, ZMQ_HEARTBEAT_IVL, PING_MS) && set(s, ZMQ_HEARTBEAT_TIMEOUT, SILENT_MS) &&
           set(s, ZMQ_BACKLOG, BACKLOG);
}

/* Every user may connect; what each may do is decided by the arenas' rules. */
static bool bind_ipc(struct zmqd *z)
{
    char endpoint[sizeof(IPC) + 108];
    mode_t before;
    bool ok;

    if (snprintf(endpoint, sizeof(endpoint), IPC "%s", z->settings.ipc) >= (int)sizeof(endpoint)) {
        brokerd_log(LOG_ERR, NULL, "the path %s is too long for a socket", z->settings.ipc);
        return false;
    }
    before = umask(0);
    ok = set(z->router, ZMQ_USE_FD, z->settings.ipc_fd) && zmqd_zap_bind_ipc(z->router, endpoint) &&
         set(z->router, ZMQ_USE_FD, -1);
    (void)umask(before);
    return ok;
}

static bool bind_tcp(struct zmqd *z, const char *secret)
{
    char words[512], endpoint[sizeof(TCP) + sizeof(words)], *save = NULL;
    bool ok = snprintf(words, sizeof(words), "%s", z->settings.tcp) < (int)sizeof(words);

    for (char *w = strtok_r(words, " \t,", &save); ok && w != NULL;
         w = strtok_r(NULL, " \t,", &save)) {
        (void)snprintf(endpoint, sizeof(endpoint), TCP "%s", w);
        ok = zmqd_zap_bind_tcp(z->router, endpoint, secret);
    }
    return ok;
}

/* ipc first: what is set for tcp stays set. */
static bool bind_all(struct zmqd *z)
{
    struct bri_keys keys;
    bool ok = z->settings.ipc == NULL || bind_ipc(z);

    if (!ok || z->settings.tcp == NULL)
        return ok;
    if (bri_keys_read(z->settings.server_key, &keys) < 0 || keys.secret[0] == '\0') {
        brokerd_log(LOG_ERR, NULL, "there is no secret key to be had from %s: %s",
            z->settings.server_key, broker_last_error());
        return false;
    }
    ok = zmqd_clients_read(z->settings.clients, &z->clients);
    if (ok) {
        zmqd_zap_use(z->zap, z->clients);
        ok = set(z->router, ZMQ_IPV6, 1) && bind_tcp(z, keys.secret);
    }
    explicit_bzero(&keys, sizeof(keys));
    return ok;
}

void zmqd_router_reload(struct zmqd *z)
{
    struct zmqd_clients *clients, *old = z->clients;

    if (z->settings.tcp == NULL)
        return;
    if (!zmqd_clients_read(z->settings.clients, &clients)) {
        brokerd_log(LOG_WARNING, NULL, "the list of clients stays as it was");
        return;
    }
    z->clients = clients;
    zmqd_zap_use(z->zap, clients);
    zmqd_clients_free(old);
    zmqd_sessions_check(z);
    brokerd_log(LOG_INFO, NULL, "the list of clients was read anew");
}

bool zmqd_router_start(struct zmqd *z)
{
    z->context = zmq_ctx_new();
    if (z->context != NULL) {
        (void)zmq_ctx_set(z->context, ZMQ_BLOCKY, 0);
        (void)zmq_ctx_set(z->context, ZMQ_MAX_SOCKETS, 16);
        z->router = zmq_socket(z->context, ZMQ_ROUTER);
    }
    if (z->router == NULL || !zmqd_zap_start(z->event, z->context, &z->zap) || !set_options(z)) {
        brokerd_log(LOG_ERR, NULL, "cannot make a socket: %s", zmq_strerror(errno));
        return false;
    }
    return bind_all(z);
}

void zmqd_router_stop(struct zmqd *z)
{
    if (z->router != NULL)
        (void)zmq_close(z->router);
    zmqd_zap_stop(z->zap);
    zmqd_clients_free(z->clients);
    if (z->context != NULL)
        (void)zmq_ctx_term(z->context);
}
