/*
 * peer.c - see peer.h
 */
#include "peer.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define LONG 2u
#define COMMAND 4u
#define GREETING 64

int peer_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(sock, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(sock, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return sock;
    (void)close(sock);
    return -1;
}

bool peer_send(int sock, const void *data, size_t size)
{
    const char *p = data;
    ssize_t n;

    while (size > 0) {
        n = send(sock, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static bool receive(int sock, void *out, size_t size)
{
    return size == 0 || recv(sock, out, size, MSG_WAITALL) == (ssize_t)size;
}

static bool receive_header(int sock, uint8_t *out_flags, uint64_t *out_size)
{
    uint8_t small;

    if (!receive(sock, out_flags, 1))
        return false;
    if ((*out_flags & LONG) == 0) {
        if (!receive(sock, &small, 1))
            return false;
        *out_size = small;
        return true;
    }
    if (!receive(sock, out_size, sizeof(*out_size)))
        return false;
    *out_size = be64toh(*out_size);
    return true;
}

static bool skip(int sock, uint64_t size)
{
    char bytes[256];

    for (size_t n; size > 0; size -= n) {
        n = size < sizeof(bytes) ? size : sizeof(bytes);
        if (!receive(sock, bytes, n))
            return false;
    }
    return true;
}

bool peer_shake_hands(int sock)
{
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
                                "DEALER";
    char greeting[GREETING] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL";
    uint8_t flags;
    uint64_t size;

    return peer_send(sock, greeting, sizeof(greeting)) && skip(sock, GREETING) &&
           peer_send(sock, ready, sizeof(ready) - 1) && receive_header(sock, &flags, &size) &&
           flags == COMMAND && skip(sock, size);
}

bool peer_send_header(int sock, unsigned flags, size_t size)
{
    uint8_t header[9] = {(uint8_t)flags, (uint8_t)size};
    uint64_t big = htobe64(size);

    if (size <= UINT8_MAX)
        return peer_send(sock, header, 2);
    header[0] |= LONG;
    memcpy(header + 1, &big, sizeof(big));
    return peer_send(sock, header, sizeof(header));
}

void peer_await_end(int sock)
{
    char bytes[256];

    while (recv(sock, bytes, sizeof(bytes), 0) > 0)
        continue;
}

long peer_receive(int sock, void *out, size_t room)
{
    uint8_t flags;
    uint64_t size;

    while (receive_header(sock, &flags, &size)) {
        if ((flags & COMMAND) == 0 && size <= room)
            return receive(sock, out, size) ? (long)size : -1;
        if (!skip(sock, size))
            return -1;
    }
    return -1;
}
