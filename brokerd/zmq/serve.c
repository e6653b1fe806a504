/*
 * serve.c - see serve.h
 *
 * Requests come through one descriptor, and sd-event would look at all that it has for each time
 * that it tells of some. So it is polled here beside that of sd-event, which has its turn when it
 * has something to do.
 *
 * libzmq's descriptor only tells that something has changed since one looked. So there is a look
 * before every sleep after something was sent, which also sees what came meanwhile; and what is
 * there is taken in portions, so that timers and waiting operations get their turn.
 */
#include "serve.h"

#include <errno.h>
#include <poll.h>

#include <zmq.h>

#include "park.h"
#include "worker.h"

#define PORTION 256 /* messages */

enum { SOCKET, OTHERS, N_FDS };

static bool has_input(struct zmqd *z)
{
    int events = 0;
    size_t size = sizeof(events);

    if (!z->is_drained)
        z->is_drained = zmq_getsockopt(z->router, ZMQ_EVENTS, &events, &size) != 0 ||
                        (events & ZMQ_POLLIN) == 0;
    return !z->is_drained;
}

/* One of the others' turns. */
static int run_others(struct zmqd *z)
{
    int r = sd_event_run(z->event, 0);

    z->is_stale = r > 0;
    return r < 0 ? r : 0;
}

int zmqd_serve(struct zmqd *z)
{
    struct pollfd fds[N_FDS] = {[SOCKET] = {.events = POLLIN},
        [OTHERS] = {.fd = sd_event_get_fd(z->event), .events = POLLIN}};
    size_t size = sizeof(fds[SOCKET].fd);
    int r = zmq_getsockopt(z->router, ZMQ_FD, &fds[SOCKET].fd, &size) == 0 ? 0 : -errno;
    bool has_more;

    z->is_stale = true;
    while (r == 0 && sd_event_get_state(z->event) != SD_EVENT_FINISHED) {
        z->is_stale |= zmqd_park_settle(z->park);
        has_more = has_input(z);
        if (poll(fds, N_FDS, z->is_stale || has_more ? 0 : -1) < 0)
            r = errno == EINTR ? 0 : -errno;
        else if (has_more || fds[SOCKET].revents != 0)
            zmqd_work(z, PORTION);
        if (z->is_stale || fds[OTHERS].revents != 0)
            r = run_others(z);
    }
    return r < 0 ? r : sd_event_get_exit_code(z->event, &r) < 0 ? -EIO : r;
}
