/*
 * raw.c - see raw.h
 */
#include "raw.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/clock.h"

#define PATIENCE_S 10

int raw_connect(const struct instance *i)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/attach", instance_dir(i));
    (void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    cr_assert_eq(connect(sock, (const struct sockaddr *)&address, sizeof(address)), 0);
    return sock;
}

struct bri_attach_hello raw_hello(enum bri_attach_access access)
{
    return (struct bri_attach_hello){
        .head = bri_attach_head(BRI_ATTACH_HELLO),
        .layout_version = BRI_LAYOUT_VERSION,
        .abi = BRI_ABI,
        .access = access,
        .arena = BRI_DEFAULT_ARENA,
    };
}

void raw_send(int sock, const void *packet, size_t size)
{
    cr_assert_eq(send(sock, packet, size, MSG_NOSIGNAL), (ssize_t)size);
}

size_t raw_receive(int sock, struct bri_attach_reply *out_reply, int *out_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = out_reply, .iov_len = sizeof(*out_reply)};
    struct msghdr m = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);

    cr_assert_geq(n, 0, "no answer came");
    *out_fd = -1;
    if (CMSG_FIRSTHDR(&m) != NULL)
        memcpy(out_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    return (size_t)n;
}

int raw_ask(int sock, const void *packet, size_t size)
{
    struct bri_attach_reply reply;
    int fd;

    raw_send(sock, packet, size);
    cr_assert_eq(raw_receive(sock, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.head.magic, BRI_ATTACH_MAGIC);
    cr_assert_eq(fd, -1);
    cr_assert(reply.status == 0 || reply.text[0] != '\0', "a refusal without a reason");
    return reply.status;
}

int raw_ask_and_end(int sock, const void *packet, size_t size)
{
    int status = raw_ask(sock, packet, size);
    struct bri_attach_reply reply;
    int fd;

    cr_assert_eq(raw_receive(sock, &reply, &fd), 0, "the connection should have ended");
    (void)close(sock);
    return status;
}

struct bri_attach_status raw_status(const struct instance *i)
{
    struct bri_attach_request request = {.head = bri_attach_head(BRI_ATTACH_STATUS)};
    struct bri_attach_status status;
    int sock = raw_connect(i);

    raw_send(sock, &request, sizeof(request));
    cr_assert_eq(recv(sock, &status, sizeof(status), MSG_TRUNC), (ssize_t)sizeof(status));
    cr_assert_eq(status.status, 0);
    (void)close(sock);
    return status;
}

bool raw_await_sessions(const struct instance *i, uint32_t n)
{
    int64_t deadline = bri_deadline(PATIENCE_S * BRI_SECOND);

    while (raw_status(i).n_sessions != n)
        if (bri_now() >= deadline)
            return false;
    return true;
}
