/*
 * connection.h - packets between a client and the attach socket
 *
 * Every wait ends after some seconds. Whoever stands in for the thread (core/stand_in.h) is asked
 * to wait instead.
 */
#ifndef BRI_CONNECTION_H
#define BRI_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

/* Each failure leaves a sentence (bri_fail_text): NODAEMON, ACCESS, ADDRESS, SYSTEM, ... */
int bri_connection_open(const char *path, int *out_sock);

/* NODAEMON if it is not taken. */
int bri_connection_send(int sock, const void *packet, size_t size);

/* One packet of at most @size bytes: how many, and the descriptor that came with it, or -1. GONE if
 * the connection ended instead, NODAEMON if nothing came. */
int bri_connection_receive(int sock, void *packet, size_t size, size_t *out_n, int *out_fd);

/* From now on a packet is waited for as long as it takes, or for some seconds again. */
void bri_connection_wait(int sock, bool for_ever);

#endif
