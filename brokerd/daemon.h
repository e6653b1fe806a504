/*
 * daemon.h - the running daemon, as its parts see it
 */
#ifndef BROKERD_DAEMON_H
#define BROKERD_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "arenas.h"
#include "config.h"
#include "inherit.h"
#include "log.h"
#include "notify.h"
#include "place.h"
#include "selftest.h"

/* What `brokerd --version` says behind its version: "layout " and this brokerd's layout and ABI. */
#define BROKERD_LAYOUT_LINE "layout "

struct brokerd_client;
struct brokerd_endpoint;

struct brokerd {
    sd_event *event;
    struct brokerd_place place;
    struct brokerd_config_base base;
    struct brokerd_config_source config_source;
    struct brokerd_config *config;
    struct brokerd_arena *arenas;
    struct brokerd_client *clients;
    uint32_t n_connections;
    uint64_t n_accepted, n_refused;
    int64_t started_ns;
    int starter;       /* private: to who started us; else -1 */
    bool was_attached; /* private: somebody has been here */
    bool must_sweep;   /* clients or arenas are to be let go */
    bool is_stopping;  /* it ends when all arenas are saved */
    bool hands_over;   /* to a brokerd of another layout: nobody is let in any more */
    int listen_fd;
    int zmq_fd; /* where the endpoint listens by ipc, if the service manager has the socket; or -1
                 */
    sd_event_source *listener, *beat, *retry, *sweep;
    sd_event_source *pins; /* while a handover waits for who has pointers into an arena */
    int64_t pins_until_ns;
    struct brokerd_rate refused, stuck;
    struct brokerd_inherited inherited;
    struct brokerd_notify notify;
    struct brokerd_selftest selftest;
    struct brokerd_endpoint *endpoint; /* NULL: never wanted */
    const char *endpoint_program;      /* NULL: the usual one */
};

/* Has what is due looked at again at @when_ns at the latest: BRI_NEVER is not at all. */
void brokerd_retry_at(struct brokerd *d, int64_t when_ns);

#endif
