/*
 * reply.c - see reply.h
 */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <broker.h>

#include "daemon.h"

bool brokerd_reply_send(int sock, const void *packet, size_t size, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = size};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        struct cmsghdr *c = &control.align;

        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    return sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

struct bri_attach_reply brokerd_reply_good(enum bri_attach_kind kind)
{
    return (struct bri_attach_reply){.head = bri_attach_head(kind), .session = BROKERD_NO_SESSION};
}

struct bri_attach_reply brokerd_reply_bad(
    enum bri_attach_kind kind, int status, const char *format, ...)
{
    struct bri_attach_reply reply = brokerd_reply_good(kind);
    va_list args;

    reply.status = status;
    va_start(args, format);
    (void)vsnprintf(reply.text, sizeof(reply.text), format, args);
    va_end(args);
    return reply;
}

void brokerd_reply_refuse(struct brokerd_client *c, const struct bri_attach_reply *reply)
{
    struct brokerd *d = c->daemon;
    const struct brokerd_about about = {
        .pid = c->peer.pid, .uid = c->peer.uid, .code = reply->status};

    d->n_refused++;
    if (brokerd_log_allowed(&d->refused))
        brokerd_log(LOG_WARNING, &about, "turned a client away: %s", reply->text);
    (void)brokerd_reply_send(c->sock, reply, sizeof(*reply), -1);
    brokerd_client_disconnect(c);
}

void brokerd_reply_answer(struct brokerd_client *c, const void *packet, size_t size)
{
    if (!brokerd_reply_send(c->sock, packet, size, -1))
        brokerd_client_disconnect(c);
}

void brokerd_reply_status(struct brokerd_client *c, enum bri_attach_kind kind, int status)
{
    struct bri_attach_reply reply =
        status < 0 ? brokerd_reply_bad(kind, status, "%s", broker_error_text(status))
                   : brokerd_reply_good(kind);

    brokerd_reply_answer(c, &reply, sizeof(reply));
}
