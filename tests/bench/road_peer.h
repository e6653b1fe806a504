/*
 * road_peer.h - a client of the ZeroMQ road for the benchmark: as little as can be
 *
 * The requests are made once; of each that is sent only the id is new. What comes back is looked
 * at as far as it takes to know that it is the answer.
 */
#ifndef BENCH_ROAD_PEER_H
#define BENCH_ROAD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_REQUEST_MAX 8192

struct peer_keys {
    char server[41]; /* Z85; empty: no CURVE */
    char own_public[41], own_secret[41];
};

struct peer {
    const char *endpoint;
    void *socket;
    uint32_t next_id;
};

/* The bytes of a request; its id is at a fixed place. */
struct peer_request {
    uint8_t bytes[PEER_REQUEST_MAX];
    size_t size;
};

/* Connects and says hello. @context may be shared by many peers. */
void peer_connect(
    struct peer *p, void *context, const char *endpoint, const struct peer_keys *keys);
/* Ends the session. */
void peer_close(struct peer *p);

/* "dict.get" and "dict.get_many" of keys from @first on, of the dict "road". */
void peer_make_get(struct peer_request *r, uint64_t first);
void peer_make_get_many(struct peer_request *r, uint64_t first, unsigned n);

void peer_send(struct peer *p, struct peer_request *r);

/* Takes one answer, waiting for it: it must be a good one, of @n values of 64 bytes. */
void peer_take(struct peer *p, unsigned n);

#endif
