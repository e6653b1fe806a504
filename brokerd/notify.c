/*
 * notify.c - see notify.h
 *
 * Nothing here can fail in a way that matters: who does not hear us would not act on it either.
 */
#include "notify.h"

#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "clients.h"
#include "core/clock.h"

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
    (void)sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
}

void brokerd_notify_patience(uint64_t usec)
{
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)usec);
}

void brokerd_notify_status(struct brokerd *d)
{
    char text[sizeof(d->notify.said)];

    compose(d, text, sizeof(text));
    if (strcmp(text, d->notify.said) == 0)
        return;
    memcpy(d->notify.said, text, sizeof(text));
    (void)sd_notifyf(0, "STATUS=%s", text);
}

void brokerd_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
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
