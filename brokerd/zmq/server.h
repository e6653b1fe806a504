/*
 * server.h - brokerd-zmq: acts for clients that speak msgpack over ZeroMQ
 *
 * To the broker it is a client like others, with one session of an arena for each session of its
 * own. One thread does everything: it takes requests from the socket, carries each out at once, and
 * answers it. An operation that has to wait is left in the middle (worker.h) and gone on with when
 * what it waits for has come (park.h). Nothing here is kept over a restart: when the process dies,
 * its sessions die, and brokerd gives back what they held.
 */
#ifndef ZMQD_SERVER_H
#define ZMQD_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <broker.h>

#include "map.h"
#include "settings.h"

struct zmqd_worker;
struct zmqd_park;
struct zmqd_job;
struct zmqd_session;
struct zmqd_peer;
struct zmqd_arena;
struct zmqd_zap;
struct zmqd_clients;

struct zmqd {
    struct zmqd_settings settings;
    sd_event *event;        /* everything but the socket; see loop.h */
    bool is_stale;          /* it has something to do, or a timer to set */
    void *context, *router; /* of libzmq */
    struct zmqd_zap *zap;
    struct zmqd_clients *clients; /* NULL: nobody may come over tcp */

    struct zmqd_park *park;
    struct zmqd_worker *idle; /* of workers */
    uint32_t n_idle, n_workers;
    struct zmqd_job *first_job, **last_job;
    uint32_t budget; /* messages to be taken before other events are looked at */

    struct zmqd_map peers;             /* by routing id */
    struct zmqd_peer *recent;          /* the one that was found last; NULL: none */
    struct zmqd_peer *oldest, *newest; /* of the peers without a session */
    uint32_t n_strays;
    struct zmqd_map sessions; /* by key */
    struct zmqd_session *first_session;
    uint32_t n_sessions;
    sd_event_source *on_beat;
    struct zmqd_arena *arenas;
    _Atomic uint32_t
        is_mapping; /* somebody gets a mapping of an arena; others wait for this word */
    uint64_t n_hellos;

    broker_buffer answer; /* the one under way */
    bool is_drained;      /* the socket's descriptor tells what comes from now on */
};

#endif
