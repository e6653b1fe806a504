/*
 * socket.h - one connection to a broker's ZeroMQ socket, from connecting to its end
 *
 * libzmq would connect again by itself and pour old requests into a connection that has said no
 * hello; so each connection is a socket of its own, which ends with it. To be used by one thread at
 * a time, but for polling its descriptors: something was received before they were polled for the
 * last time, or bri_socket_receive() has said false since.
 */
#ifndef BRI_ENGINE_SOCKET_H
#define BRI_ENGINE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/keys.h"
#include "engine/zmq.h"

struct bri_endpoint {
    char name[280]; /* ipc://PATH, tcp://HOST:PORT */
    bool has_keys;  /* CURVE */
    char server[BRI_KEY_TEXT];
    struct bri_keys own;
};

enum bri_socket_event {
    BRI_SOCKET_QUIET,
    BRI_SOCKET_DOWN,    /* it could not connect, or is not connected any more */
    BRI_SOCKET_REFUSED, /* the broker knows who we are and does not want us */
};

struct bri_socket {
    const struct bri_zmq *zmq;
    void *context;
    void *dealer, *monitor; /* NULL while there is no connection */
    int fd, monitor_fd;     /* to be polled for reading */
    unsigned n_opened;
};

/* Begins to connect; what is sent waits for that. SYSTEM, NOMEM, LIMIT. */
int bri_socket_open(struct bri_socket *s, const struct bri_endpoint *to);

/* Without waiting for anything; nothing is sent any more. */
void bri_socket_close(struct bri_socket *s);

/* False if that can't be: then the connection is of no use any more. */
bool bri_socket_send(struct bri_socket *s, const void *data, size_t size);

/* True with the next message, which is initialised then; false if there is none now. */
bool bri_socket_receive(struct bri_socket *s, zmq_msg_t *out_message);

/* What has become of the connection; to be asked when monitor_fd can be read, and once after
 * opening. */
enum bri_socket_event bri_socket_look(struct bri_socket *s);

#endif
