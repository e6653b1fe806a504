/*
 * source.c - see source.h
 */
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <zmq.h>

#define IN_A_ROW 64 /* then others have their turn */

struct zmqd_source {
    void *socket;
    bool (*take)(void *arg);
    void *arg;
    sd_event_source *on_change, *on_input;
};

/* Until there is nothing: then the descriptor tells what comes next. */
static int take_all(struct zmqd_source *s)
{
    for (unsigned i = 0; i < IN_A_ROW; i++)
        if (!s->take(s->arg))
            return 0;
    return sd_event_source_set_enabled(s->on_input, SD_EVENT_ONESHOT);
}

static int on_change(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    return take_all(arg);
}

static int on_input(sd_event_source *source, void *arg)
{
    (void)source;
    return take_all(arg);
}

int zmqd_source_new(sd_event *event, void *socket, bool (*take)(void *arg), void *arg,
    struct zmqd_source **out_source)
{
    struct zmqd_source *s = calloc(1, sizeof(*s));
    size_t size = sizeof(int);
    int fd, r;

    if (s == NULL)
        return -ENOMEM;
    *s = (struct zmqd_source){.socket = socket, .take = take, .arg = arg};
    r = zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? 0 : -zmq_errno();
    if (r >= 0)
        r = sd_event_add_io(event, &s->on_change, fd, EPOLLIN, on_change, s);
    if (r >= 0)
        r = sd_event_add_defer(event, &s->on_input, on_input, s);
    if (r < 0) {
        zmqd_source_free(s);
        return r;
    }
    *out_source = s;
    return 0;
}

void zmqd_source_free(struct zmqd_source *source)
{
    if (source == NULL)
        return;
    (void)sd_event_source_disable_unref(source->on_change);
    (void)sd_event_source_disable_unref(source->on_input);
    free(source);
}
