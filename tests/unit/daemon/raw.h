/*
 * raw.h - the attach socket as a peer that does what it likes sees it
 */
#ifndef TESTS_RAW_H
#define TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "client/attach.h"
#include "support/instance.h"

/* A new connection to the instance. */
int raw_connect(const struct instance *i);

/* A hello that is right in everything, for the default arena. */
struct bri_attach_hello raw_hello(enum bri_attach_access access);

void raw_send(int sock, const void *packet, size_t size);

/* The daemon's reply, and the descriptor with it or -1; gives the number of bytes, 0 at the end of
 * the connection. */
size_t raw_receive(int sock, struct bri_attach_reply *out_reply, int *out_fd);

/* The status of the daemon's reply to this packet, which must be a whole one without a descriptor.
 */
int raw_ask(int sock, const void *packet, size_t size);

/* As raw_ask(), but the connection must then end. */
int raw_ask_and_end(int sock, const void *packet, size_t size);

/* The daemon's status. */
struct bri_attach_status raw_status(const struct instance *i);

/* Asks for the status until there are @n sessions; false if that takes too long. */
bool raw_await_sessions(const struct instance *i, uint32_t n);

#endif
