/*
 * map.h - hash tables of things that carry their own links
 *
 * The hash is the caller's, and so is the comparison: zmqd_map_first() and zmqd_map_next() give
 * what has the same hash. Growing needs memory; without it the table stays as it is and becomes
 * slower.
 */
#ifndef ZMQD_MAP_H
#define ZMQD_MAP_H

#include <stddef.h>
#include <stdint.h>

struct zmqd_node {
    struct zmqd_node *next;
    uint64_t hash;
};

/* Starts from zeros. */
struct zmqd_map {
    struct zmqd_node **buckets;
    size_t n_buckets; /* 0, or a power of two */
    size_t n;
};

/* The hash of some bytes, other ones in every process: peers choose what is hashed. */
uint64_t zmqd_hash(const void *data, size_t size);

/* The first, and the next, that has @hash; NULL when there is none. */
struct zmqd_node *zmqd_map_first(const struct zmqd_map *m, uint64_t hash);
struct zmqd_node *zmqd_map_next(const struct zmqd_node *node);

/* 0, or NOMEM: for the first there must be memory. */
int zmqd_map_add(struct zmqd_map *m, struct zmqd_node *node, uint64_t hash);
void zmqd_map_remove(struct zmqd_map *m, struct zmqd_node *node);

/* Any one of them, to empty the table; NULL when it is empty. */
struct zmqd_node *zmqd_map_any(const struct zmqd_map *m);

/* Frees the table; what is in it stays. */
void zmqd_map_clear(struct zmqd_map *m);

#endif
