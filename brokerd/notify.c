/*
 * notify.c - see notify.h
 *
 * Nothing here can fail in a way that matters: who does not hear us would not act on it either.
 * sd_notify() waits while the service manager's queue is full. A daemon that waits there serves
 * nobody, so what is said again and again, and what is said at the end, goes by tell(), which does
 * not; only what must arrive goes by sd_notify().
 */
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "clients.h"
#include "core/clock.h"

/* True if the service manager has it in its queue. */
static bool tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = path != NULL ? strlen(path) : 0;
    ssize_t sent;
    int sock;

    if (n < 2 || n > sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract name */
    sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return false;
    sent = sendto(sock, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    (void)close(sock);
    return sent >= 0;
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static void compose(const struct brokerd *d, char *text, size_t size)
{
    const struct brokerd_notify *n = &d->notify;
    struct brokerd_counts counts = brokerd_clients_count(d);
    static const char cut[] = "...";
    unsigned n_arenas = 0;
    int length;

    for (const struct brokerd_arena *a = d->arenas; a != NULL; a = a->next)
        n_arenas++;
    length = snprintf(text, size, "%s%s%s%s%u session%s, %u reader%s, %u arena%s; attach at %s",
        n->selftest_trouble, n->selftest_trouble[0] != '\0' ? "; " : "", n->config_trouble,
        n->config_trouble[0] != '\0' ? "; " : "", counts.n_sessions, plural(counts.n_sessions),
        counts.n_readers, plural(counts.n_readers), n_arenas, plural(n_arenas), d->place.socket);
    if (length < 0 || (size_t)length >= size)
        memcpy(text + size - sizeof(cut), cut, sizeof(cut));
}

void brokerd_notify_ready(struct brokerd *d)
{
    compose(d, d->notify.said, sizeof(d->notify.said));
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", d->notify.said);
}

void brokerd_notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(bri_now() / 1000));
}

void brokerd_notify_stopping(void)
{
    (void)tell("STOPPING=1\nSTATUS=Stopping");
}

void brokerd_notify_patience(uint64_t usec)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)usec);
    (void)tell(text);
}

void brokerd_notify_status(struct brokerd *d)
{
    char text[sizeof("STATUS=") + sizeof(d->notify.said)] = "STATUS=";
    char *status = text + strlen(text);

    compose(d, status, sizeof(d->notify.said));
    if (strcmp(status, d->notify.said) != 0 && tell(text))
        memcpy(d->notify.said, status, sizeof(d->notify.said));
}

void brokerd_notify_alive(void)
{
    (void)tell("WATCHDOG=1");
}

void brokerd_notify_store(const char *name, int fd)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
    (void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void brokerd_notify_forget(const char *name)
{
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}
