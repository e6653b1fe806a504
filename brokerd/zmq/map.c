/*
 * map.c - see map.h
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "map.h"

#include <stdlib.h>
#include <sys/random.h>

#include <broker/errors.h>

#define FIRST_BUCKETS 16u

uint64_t zmqd_hash(const void *data, size_t size)
{
    static uint64_t seed;

    while (seed == 0)
        if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
            seed = 0;
    return XXH3_64bits_withSeed(data, size, seed);
}

static struct zmqd_node **bucket_of(const struct zmqd_map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->n_buckets - 1)];
}

static struct zmqd_node *with_hash(struct zmqd_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct zmqd_node *zmqd_map_first(const struct zmqd_map *m, uint64_t hash)
{
    return m->n_buckets > 0 ? with_hash(*bucket_of(m, hash), hash) : NULL;
}

struct zmqd_node *zmqd_map_next(const struct zmqd_node *node)
{
    return with_hash(node->next, node->hash);
}

static void grow(struct zmqd_map *m)
{
    struct zmqd_map bigger = {
        .n_buckets = m->n_buckets > 0 ? 2 * m->n_buckets : FIRST_BUCKETS, .n = m->n};

    bigger.buckets = calloc(bigger.n_buckets, sizeof(struct zmqd_node *));
    if (bigger.buckets == NULL)
        return;
    for (size_t i = 0; i < m->n_buckets; i++)
        for (struct zmqd_node *node = m->buckets[i], *next; node != NULL; node = next) {
            struct zmqd_node **bucket = bucket_of(&bigger, node->hash);

            next = node->next;
            node->next = *bucket;
            *bucket = node;
        }
    free(m->buckets);
    *m = bigger;
}

int zmqd_map_add(struct zmqd_map *m, struct zmqd_node *node, uint64_t hash)
{
    struct zmqd_node **bucket;

    if (m->n >= m->n_buckets)
        grow(m);
    if (m->n_buckets == 0)
        return BROKER_NOMEM;
    bucket = bucket_of(m, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    m->n++;
    return 0;
}

void zmqd_map_remove(struct zmqd_map *m, struct zmqd_node *node)
{
    struct zmqd_node **link = bucket_of(m, node->hash);

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    m->n--;
}

struct zmqd_node *zmqd_map_any(const struct zmqd_map *m)
{
    for (size_t i = 0; i < m->n_buckets; i++)
        if (m->buckets[i] != NULL)
            return m->buckets[i];
    return NULL;
}

void zmqd_map_clear(struct zmqd_map *m)
{
    free(m->buckets);
    *m = (struct zmqd_map){0};
}
