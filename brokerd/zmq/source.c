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

static int look(sd_event_source *source, void *arg)
{
    const struct zmqd_source *s = arg;
    int events = 0;
    size_t size = sizeof(events);

    (void)source;
    if (zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0)
        return sd_event_source_set_enabled(s->on_input, SD_EVENT_ONESHOT);
    return 0;
}

/* What has changed is looked at before the next wait. */
static int on_change(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    (void)arg;
    return 0;
}

static int on_input(sd_event_source *source, void *arg)
{
    const struct zmqd_source *s = arg;

    (void)source;
    for (unsigned i = 0; i < IN_A_ROW && s->take(s->arg); i++)
        continue;
    return 0;
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
    if (r >= 0)
        r = sd_event_source_set_enabled(s->on_input, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_prepare(s->on_change, look);
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
