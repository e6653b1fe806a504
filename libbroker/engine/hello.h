/*
 * hello.h - the first request of a connection, and what is agreed by it
 */
#ifndef BRI_ENGINE_HELLO_H
#define BRI_ENGINE_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define BRI_SESSION_KEY 16u
#define BRI_CLIENT_NAME_MAX 15u

struct bri_hello {
    const char *arena;
    bool read_only;
    const uint8_t *resume; /* the key of the session to go on with; NULL for a new one */
};

struct bri_agreed {
    uint8_t session[BRI_SESSION_KEY];
    uint8_t arena[BRI_SESSION_KEY];
    bool resumed;
    int64_t timeout_ns;
    uint64_t max_message; /* bytes */
    uint64_t max_pending;
};

/* Appends the request. NOMEM. */
int bri_hello_write(broker_buffer *buffer, uint64_t id, const struct bri_hello *hello);

/* Of a good answer: PROTO if anything is missing, of another kind, or out of range. */
int bri_hello_read(const struct bri_wire_answer *answer, struct bri_agreed *out_agreed);

#endif
