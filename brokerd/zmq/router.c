/*
 * router.c - see router.h
 *
 * libzmq's descriptor only tells that something has changed since one looked. So there is a look
 * before every sleep, which also sees what came while something was sent; and what is there is
 * taken in portions, so that timers and waiting operations get their turn.
 */
#include "router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "log.h"
#include "worker.h"

#define PORTION 256 /* messages */
#define HANDSHAKE_MS 3000
#define PING_MS 5000
#define SILENT_MS 15000
#define BACKLOG 1024
#define IPC "ipc://"

static bool has_input(const struct zmqd *z)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(z->router, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

static int on_prepare(sd_event_source *source, void *arg)
{
    struct zmqd *z = arg;

    (void)source;
    if (has_input(z))
        (void)sd_event_source_set_enabled(z->on_more, SD_EVENT_ONESHOT);
    return 0;
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    (void)source;
    (void)fd;
    (void)revents;
    zmqd_work(arg, PORTION);
    return 0;
}

static int on_more(sd_event_source *source, void *arg)
{
    (void)source;
    zmqd_work(arg, PORTION);
    return 0;
}

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

/* Who may come in is for the folder to say, and for the credentials of each. */
static bool bind_ipc(struct zmqd *z)
{
    char endpoint[sizeof(IPC) + 108];
    mode_t before;
    int r;

    if (snprintf(endpoint, sizeof(endpoint), IPC "%s", z->settings.ipc) >= (int)sizeof(endpoint)) {
        brokerd_log(LOG_ERR, NULL, "the path %s is too long for a socket", z->settings.ipc);
        return false;
    }
    before = umask(077);
    r = zmq_bind(z->router, endpoint);
    (void)umask(before);
    if (r == 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot listen at %s: %s", endpoint, zmq_strerror(errno));
    return false;
}

static bool watch(struct zmqd *z)
{
    int fd;
    size_t size = sizeof(fd);

    return zmq_getsockopt(z->router, ZMQ_FD, &fd, &size) == 0 &&
           sd_event_add_io(z->event, &z->on_router, fd, EPOLLIN, on_input, z) >= 0 &&
           sd_event_source_set_prepare(z->on_router, on_prepare) >= 0 &&
           sd_event_add_defer(z->event, &z->on_more, on_more, z) >= 0;
}

bool zmqd_router_start(struct zmqd *z)
{
    z->context = zmq_ctx_new();
    if (z->context != NULL) {
        (void)zmq_ctx_set(z->context, ZMQ_BLOCKY, 0);
        (void)zmq_ctx_set(z->context, ZMQ_MAX_SOCKETS, 16);
        z->router = zmq_socket(z->context, ZMQ_ROUTER);
    }
    if (z->router == NULL || !set_options(z) || !watch(z)) {
        brokerd_log(LOG_ERR, NULL, "cannot make a socket: %s", zmq_strerror(errno));
        return false;
    }
    return bind_ipc(z);
}

void zmqd_router_stop(struct zmqd *z)
{
    z->on_router = sd_event_source_disable_unref(z->on_router);
    z->on_more = sd_event_source_disable_unref(z->on_more);
    if (z->router != NULL)
        (void)zmq_close(z->router);
    if (z->context != NULL)
        (void)zmq_ctx_term(z->context);
}
