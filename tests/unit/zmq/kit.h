/*
 * kit.h - a brokerd with its ZeroMQ endpoint, and clients of it, for one test
 *
 * Clients are a plain DEALER and the codec. What fails in here ends the test with a message.
 */
#ifndef TESTS_ZMQ_KIT_H
#define TESTS_ZMQ_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "support/instance.h"
#include "wire/wire.h"

extern struct instance *instance;

/* For a suite's .init and .fini: an instance, and an endpoint with usual settings. */
void kit_start(void);
void kit_stop(void);

/* Instead: with further arguments for the endpoint; the last is NULL. */
void kit_start_with(const char *const arguments[]);

pid_t kit_endpoint_pid(void);

struct client;

/* A connection; on a silent one hello is yet to be said. */
struct client *client_open(void);
struct client *client_open_silent(void);

/* The same with room for one answer that was not taken, and hello said. */
struct client *client_open_narrow(void);
void client_close(struct client *c);

/* Waits until the broker has closed the connection. */
void client_await_loss(struct client *c);

/* Loses the connection and makes another one, on which nothing was said yet. */
void client_reconnect(struct client *c);

/* The key of the session, and its number, as hello agreed. */
broker_value client_key(const struct client *c);
int64_t client_number(const struct client *c);

/* What hello agreed, of the last answer. */
broker_value client_agreed(const struct client *c, const char *name);

/* Says hello with options (nil or a map), or to go on with the session: its status. */
int client_hello(struct client *c, broker_value options);
int client_resume(struct client *c, broker_value key);

/* Sends a request: its id. The id of the next one can be chosen. */
uint64_t client_ask_as(struct client *c, uint32_t thread, const char *op, broker_value object,
    const broker_value *args, uint32_t n_args);
void client_next_id(struct client *c, uint64_t id);

/* Sends any bytes, as a message of @n_parts equal parts. */
void client_send_raw(struct client *c, const void *data, size_t size, unsigned n_parts);

/* Waits for the answer to @id: its status. What it holds is good until the next call. */
int client_answer(struct client *c, uint64_t id);
const struct bri_wire_answer *client_last(const struct client *c);

/* True if an answer to @id is there already; it stays. */
bool client_has_answer(struct client *c, uint64_t id);

/* A result of the last answer. */
int64_t client_int(const struct client *c, unsigned i);

/* One request and its answer. */
#define ARGS(...)                                                                                  \
    (const broker_value[]){__VA_ARGS__},                                                           \
        (uint32_t)(sizeof((const broker_value[]){__VA_ARGS__}) / sizeof(broker_value))
#define NO_ARGS NULL, 0
#define ASK(c, op, object, ...) client_ask_as(c, 0, op, object, __VA_ARGS__)
#define CALL(c, op, object, ...) client_answer(c, ASK(c, op, object, __VA_ARGS__))
#define CALL_AS(c, thread, op, object, ...)                                                        \
    client_answer(c, client_ask_as(c, thread, op, object, __VA_ARGS__))

/* A map or an array of packed values, good until the test ends. */
broker_value packed_map(const char *const names[], const broker_value *values, uint32_t n);
broker_value packed_array(const broker_value *values, uint32_t n);

/* Opens an object: its handle. */
broker_value client_make(struct client *c, const char *type, const char *name);

#endif
