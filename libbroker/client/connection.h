/*
 * connection.h - one connection to an attach socket: making it, and packets over it
 *
 * Every wait has its end. A thread that has a stand-in (core/stand_in.h) never sleeps in here.
 */
#ifndef BRI_CONNECTION_H
#define BRI_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

/*
 * Connects to the socket at @path, waiting until @until_ns where more wait already than it takes.
 * NODAEMON, ACCESS, ADDRESS, each with a sentence (bri_fail_text).
 */
int bri_connection_open(const char *path, int64_t until_ns, int *out_sock);

/* NODAEMON, and the sentence for who is there and says nothing. */
int bri_connection_fail_silent(const char *path);

/* NODAEMON if nobody takes it. */
int bri_connection_send(int sock, const void *packet, size_t size);

/*
 * One packet of at most @size bytes: how many (SIZE_MAX: more), and the descriptor that came with
 * it, or -1. GONE if the connection ended instead, NODAEMON if nothing came until @until_ns.
 */
int bri_connection_receive(
    int sock, int64_t until_ns, void *packet, size_t size, size_t *out_n, int *out_fd);

#endif
