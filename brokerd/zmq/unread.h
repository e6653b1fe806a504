/*
 * unread.h - how many bytes of answers a client has not read yet
 *
 * Those that were given to libzmq, and that the connection has not taken. Short ones do not count:
 * their number is limited, too.
 */
#ifndef ZMQD_UNREAD_H
#define ZMQD_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

struct zmqd_unread;

/* NULL without memory. */
struct zmqd_unread *zmqd_unread_new(void);

/* Messages that it counts may still be there. NULL is allowed. */
void zmqd_unread_free(struct zmqd_unread *unread);

uint64_t zmqd_unread_bytes(const struct zmqd_unread *unread);

/* Makes a message with a copy of @data, which is counted by @unread (NULL: by nobody) until libzmq
 * is done with it. False without memory. */
bool zmqd_unread_message(
    struct zmqd_unread *unread, zmq_msg_t *out_message, const void *data, size_t size);

#endif
