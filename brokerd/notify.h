/*
 * notify.h - what the service manager is told: ready, reloading, stopping, and how things are
 *
 * Everything here does nothing when no service manager listens ($NOTIFY_SOCKET).
 */
#ifndef BROKERD_NOTIFY_H
#define BROKERD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct brokerd;

/* What was said last, and what is to be said along with the counts. Start from zeros. */
struct brokerd_notify {
    char said[512];
    char config_trouble[320];   /* why the configuration files are not in force; empty: they are */
    char selftest_trouble[160]; /* what the self-test found; empty: nothing */
};

/* Clients can attach. Also ends a reload. */
void brokerd_notify_ready(struct brokerd *d);

/* To be called as the first thing of a reload: systemd waits for READY only when it came soon. */
void brokerd_notify_reloading(void);

void brokerd_notify_stopping(void);

/* So long it may take from now on to start or to stop, before the service manager ends it. */
void brokerd_notify_patience(uint64_t usec);

/* The one line of `systemctl status`: counts and troubles. Says it only when it is another one. */
void brokerd_notify_status(struct brokerd *d);

/* The watchdog's ping. */
void brokerd_notify_alive(void);

/*
 * Has the service manager keep @fd, called @name, until the service has stopped for good: the next
 * daemon gets it after a crash or a restart.
 */
void brokerd_notify_store(const char *name, int fd);

/* Has it forget what it keeps by this name. */
void brokerd_notify_forget(const char *name);

#endif
