/*
 * request.h - requests: reading, carrying out, answering
 */
#ifndef ZMQD_REQUEST_H
#define ZMQD_REQUEST_H

#include <stdbool.h>

#include "session.h"
#include "wire/wire.h"

/* Where an answer goes. */
struct zmqd_incoming {
    struct zmqd *z;
    zmq_msg_t routing, message;
    const char *name; /* see zmqd_sender() */
};

/* Gets ready for requests. 0, or NOMEM. */
int zmqd_requests_start(void);
void zmqd_requests_free(void);

/* On a worker: takes the next message from the socket and does what it asks for. False if there is
 * none. */
bool zmqd_request_next(struct zmqd *z);

/* On a worker: does what a message of one part asks for. It stays the caller's. */
void zmqd_request_take(struct zmqd_incoming *from);

/* Answers outside of a session. */
void zmqd_answer(struct zmqd_incoming *to, const struct bri_wire_answer *answer);

/* A failure; @text says more. */
struct bri_wire_answer zmqd_failure(uint64_t id, int status, const char *text);

/* Tells a request of an ending session that it is lost. */
void zmqd_answer_lost(struct zmqd_session *s, uint64_t id);

/* session.hello. hello.c */
void zmqd_hello(struct zmqd_incoming *from, const struct bri_wire_request *request);

#endif
