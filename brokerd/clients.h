/*
 * clients.h - who is connected or attached, and what happens when they die
 *
 * A client here is a connection, a session, or both. A connection that ends tells nothing about its
 * process: the session stays until its pidfd says that the process is dead, or until the process
 * itself gave the session back. What a session is, is known here, in private memory: the table in
 * the arena is only what clients may see and write.
 */
#ifndef BROKERD_CLIENTS_H
#define BROKERD_CLIENTS_H

#include "access.h"
#include "daemon.h"

#define BROKERD_NO_SESSION UINT32_MAX

struct brokerd_client {
    struct brokerd_client *next;
    struct brokerd *daemon;
    struct brokerd_peer peer;
    struct brokerd_arena *arena; /* NULL until it has said hello */
    uint32_t session;            /* BROKERD_NO_SESSION for readers, and once it is given back */
    uint64_t generation;         /* of the session's slot */
    int sock;                    /* -1: no connection */
    int pidfd;                   /* -1: no session */
    bool is_endpoint;            /* the connection is brokerd-zmq's */
    bool on_behalf;              /* `peer` says of whom, but for the pid */
    bool is_over; /* the session is to be taken back: its process died, or wants it */
    bool died;
    bool is_own;                /* a process of the daemon's own */
    uint64_t awaits_save;       /* the number of the save whose end it is to be told; 0: none */
    int64_t pause_ns, again_ns; /* is_over: when it is tried again, and after how long a pause */
    sd_event_source *on_message, *on_death, *deadline;
};

/* A new client without connection or session, in the daemon's list; NULL without memory. */
struct brokerd_client *brokerd_client_new(struct brokerd *d);

/* Ends the connection. The client itself goes at the next sweep, if nothing else is left of it. */
void brokerd_client_disconnect(struct brokerd_client *c);

/* Gives the client its session; @pidfd is the client's from here on. False, logged, if it cannot be
 * watched. */
bool brokerd_client_watch(
    struct brokerd_client *c, struct brokerd_arena *arena, uint32_t session, int pidfd);

/* Takes the client's session back, now or when nobody is in the way any more. */
void brokerd_client_end_session(struct brokerd_client *c, bool died);

/*
 * For a client whose connection has ended: finds out whether the session was given back by its own
 * process, or the process runs another program since. @thoroughly also where that is dear to find
 * out.
 */
void brokerd_client_check_session(struct brokerd_client *c, bool thoroughly);

/* Looks through an arena's table for sessions that nobody watches: after a start, and to complete
 * what others began. */
void brokerd_clients_scan(struct brokerd *d, struct brokerd_arena *arena);

/* Tries again what was stuck. When to do so the next time: BRI_NEVER if nothing is any more. */
int64_t brokerd_clients_retry(struct brokerd *d);

/* How many there are. */
struct brokerd_counts {
    uint32_t n_sessions; /* of all arenas */
    uint32_t n_readers;
};

struct brokerd_counts brokerd_clients_count(const struct brokerd *d);

/* Lets go of clients and arenas that have ended. */
void brokerd_clients_sweep(struct brokerd *d);

/* Lets go of all, at the end; sessions stay as they are. */
void brokerd_clients_free(struct brokerd *d);

#endif
