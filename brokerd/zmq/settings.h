/*
 * settings.h - what the command line says
 */
#ifndef ZMQD_SETTINGS_H
#define ZMQD_SETTINGS_H

#include <stdint.h>

struct zmqd_settings {
    const char *attach;     /* path of brokerd's attach socket */
    const char *ipc;        /* path to listen at; NULL: none */
    int ipc_fd;             /* the socket that listens there; -1: it is to be made */
    const char *tcp;        /* HOST:PORT..., separated by blanks; NULL: none */
    const char *server_key; /* files, for tcp */
    const char *clients;
    uint64_t memory;      /* bytes, without arenas */
    uint64_t max_message; /* bytes */
    uint64_t max_sessions;
    uint64_t max_pending;                               /* requests of a session */
    uint64_t max_waiting;                               /* of all sessions together */
    uint64_t session_memory;                            /* bytes */
    uint64_t max_queued;                                /* answers that a client has not read */
    uint64_t max_unread;                                /* bytes of these */
    int64_t timeout_ns, min_timeout_ns, max_timeout_ns; /* of sessions */
    int log_level;
};

/* Reads the command line; ends the program when it is wrong. */
void zmqd_settings_parse(int argc, char **argv, struct zmqd_settings *out);

#endif
