/*
 * peer.h - a peer that speaks ZMTP 3.0 by itself, because libzmq would not do what it does
 *
 * Sending gives false once the other side has ended the connection.
 */
#ifndef TESTS_STRESS_HOSTILE_PEER_H
#define TESTS_STRESS_HOSTILE_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define PEER_MORE 1u /* flags of a frame */

/* Connects to a unix socket: -1 if nobody is there. Says nothing yet. */
int peer_connect(const char *path);

/* The greeting and the handshake of a DEALER without security. */
bool peer_shake_hands(int sock);

bool peer_send(int sock, const void *data, size_t size);

/* The header of a frame of @size bytes, which the caller sends, or not. */
bool peer_send_header(int sock, unsigned flags, size_t size);

/* Reads until the other side ends the connection. */
void peer_await_end(int sock);

/* Reads one frame that is no command into @out: its size, or -1 if the connection has ended. */
long peer_receive(int sock, void *out, size_t room);

#endif
