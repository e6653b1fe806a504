/*
 * connection.c - see connection.h
 */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/handle.h"
#include "core/errno.h"
#include "core/spin.h"
#include "core/stand_in.h"

#define SPIN_NS (300 * INT64_C(1000))
#define CONNECT_AGAIN_NS (10 * BRI_MILLISECOND)
#define POLL_MOST_NS (INT32_MAX * BRI_MILLISECOND)

/* ---- connecting ---- */

int bri_connection_fail_silent(const char *path)
{
    return bri_fail_text(BROKER_NODAEMON,
        "the broker at %s is there, but does not answer: it is starting, stopping, or hangs; its "
        "log "
        "tells which",
        path);
}

static int fail_connect(const char *path, int e)
{
    const char *user_dir = secure_getenv("XDG_RUNTIME_DIR");
    size_t n = user_dir != NULL ? strlen(user_dir) : 0;
    const char *start = "start a brokerd there";

    if (e == EACCES || e == EPERM)
        return bri_fail_text(BROKER_ACCESS, "this user may not use the broker at %s", path);
    if (e == EAGAIN)
        return bri_connection_fail_silent(path);
    if (e != ENOENT && e != ECONNREFUSED && e != ENOTDIR)
        return bri_fail_text(bri_from_errno(e), "cannot connect to %s: %s", path, strerror(e));
    if (strcmp(path, BRI_SYSTEM_DIR "/" BRI_ATTACH_NAME) == 0)
        start = "start it with `systemctl start brokerd`";
    else if (n > 0 && strncmp(path, user_dir, n) == 0 &&
             strcmp(path + n, "/brokerd/" BRI_ATTACH_NAME) == 0)
        start = "start it with `systemctl --user start brokerd`";
    return bri_fail_text(
        BROKER_NODAEMON, "no broker answers at %s: %s, or open \"private:\"", path, start);
}

/* Where too many wait to be let in, the kernel does not say when there is room again. */
static int connect_while_standing_in(
    int sock, const struct sockaddr *address, socklen_t size, int64_t until_ns)
{
    int r, flags = fcntl(sock, F_GETFL);

    (void)fcntl(sock, F_SETFL, flags | O_NONBLOCK);
    for (;;) {
        r = connect(sock, address, size);
        if (r == 0 || errno != EAGAIN || bri_now() >= until_ns)
            break;
        (void)bri_stand_in->await(bri_stand_in, -1, bri_now() + CONNECT_AGAIN_NS);
        errno = EAGAIN;
    }
    if (r == 0)
        (void)fcntl(sock, F_SETFL, flags);
    return r;
}

/* The end of waiting for room. */
static void set_send_end(int sock, int64_t until_ns)
{
    int64_t left = until_ns - bri_now();
    struct timeval end;

    if (left < BRI_MILLISECOND)
        left = BRI_MILLISECOND; /* 0 would be without end */
    end = (struct timeval){.tv_sec = left / BRI_SECOND, .tv_usec = left % BRI_SECOND / 1000};
    (void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &end, sizeof(end));
}

static int try_to_connect(
    int sock, const struct sockaddr *address, socklen_t size, int64_t until_ns)
{
    int r;

    if (bri_stand_in != NULL)
        return connect_while_standing_in(sock, address, size, until_ns);
    do {
        set_send_end(sock, until_ns);
        r = connect(sock, address, size);
    } while (r != 0 && errno == EINTR);
    return r;
}

int bri_connection_open(const char *path, int64_t until_ns, int *out_sock)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock, r, e;

    if (strlen(path) >= sizeof(address.sun_path))
        return bri_fail_text(BROKER_ADDRESS, "the path %s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return bri_fail_text(bri_from_errno(errno), "cannot make a socket: %s", strerror(errno));
    r = try_to_connect(sock, (const struct sockaddr *)&address, sizeof(address), until_ns);
    if (r != 0) {
        e = errno;
        (void)close(sock);
        return fail_connect(path, e);
    }
    *out_sock = sock;
    return 0;
}

/* ---- packets ---- */

/* Takes the one descriptor out of a message; any others are closed. */
static int take_fd(struct msghdr *m)
{
    int fd = -1, each;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            memcpy(&each, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (fd >= 0)
                (void)close(fd);
            fd = each;
        }
    }
    return fd;
}

static ssize_t receive_while_standing_in(int sock, struct msghdr *m, int64_t until_ns)
{
    ssize_t n;

    for (;;) {
        n = recvmsg(sock, m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
        if (!bri_stand_in->await(bri_stand_in, sock, until_ns)) {
            errno = EAGAIN;
            return n;
        }
    }
}

static ssize_t receive_while_asleep(int sock, struct msghdr *m, int64_t until_ns)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    int64_t left;
    ssize_t n;

    for (;;) {
        n = recvmsg(sock, m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        left = until_ns - bri_now();
        if (n >= 0 || errno != EAGAIN || left <= 0)
            return n;
        left = left < POLL_MOST_NS ? left : POLL_MOST_NS;
        (void)poll(&p, 1, (int)((left + BRI_MILLISECOND - 1) / BRI_MILLISECOND));
    }
}

/*
 * The daemon answers within some tens of microseconds, and to be woken costs as much again: look
 * for the answer a while before sleeping.
 */
static ssize_t receive_soon(int sock, struct msghdr *m, int64_t until_ns)
{
    int64_t spin_until = bri_now() + SPIN_NS;
    ssize_t n;

    if (bri_stand_in != NULL)
        return receive_while_standing_in(sock, m, until_ns);
    while (bri_may_spin()) {
        n = recvmsg(sock, m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
        if (bri_now() >= spin_until)
            break;
        bri_pause(4);
    }
    return receive_while_asleep(sock, m, until_ns);
}

int bri_connection_receive(
    int sock, int64_t until_ns, void *packet, size_t size, size_t *out_n, int *out_fd)
{
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = packet, .iov_len = size};
    struct msghdr m = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    bool reset = false;
    ssize_t n;

    for (;;) {
        n = receive_soon(sock, &m, until_ns);
        if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
            break;
        /* Turned away before our message was read: why may still be there to be read. */
        reset = reset || errno == ECONNRESET;
    }
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? BROKER_GONE : BROKER_NODAEMON;
    *out_fd = take_fd(&m);
    *out_n = (m.msg_flags & MSG_TRUNC) != 0 ? SIZE_MAX : (size_t)n;
    return 0;
}

int bri_connection_send(int sock, const void *packet, size_t size)
{
    ssize_t n;

    do
        n = send(sock, packet, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size ? 0 : BROKER_NODAEMON;
}
