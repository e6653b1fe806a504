/*
 * zmq.h - libzmq, loaded when the first remote address is opened
 *
 * Programs that work in shared memory alone never load it: it brings fifteen more libraries.
 */
#ifndef BRI_ENGINE_ZMQ_H
#define BRI_ENGINE_ZMQ_H

#include <zmq.h>

/* The functions that are used, by the types that zmq.h gives them. */
struct bri_zmq {
    __typeof__(zmq_ctx_new) *ctx_new;
    __typeof__(zmq_ctx_set) *ctx_set;
    __typeof__(zmq_ctx_term) *ctx_term;
    __typeof__(zmq_socket) *socket;
    __typeof__(zmq_close) *close;
    __typeof__(zmq_setsockopt) *setsockopt;
    __typeof__(zmq_getsockopt) *getsockopt;
    __typeof__(zmq_connect) *connect;
    __typeof__(zmq_socket_monitor) *socket_monitor;
    __typeof__(zmq_send) *send;
    __typeof__(zmq_msg_init) *msg_init;
    __typeof__(zmq_msg_recv) *msg_recv;
    __typeof__(zmq_msg_move) *msg_move;
    __typeof__(zmq_msg_close) *msg_close;
    __typeof__(zmq_msg_data) *msg_data;
    __typeof__(zmq_msg_size) *msg_size;
    __typeof__(zmq_msg_more) *msg_more;
};

/* The same for the whole process, for ever. SYSTEM, with a sentence, if it is not installed. */
int bri_zmq_load(const struct bri_zmq **out_zmq);

#endif
