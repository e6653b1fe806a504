/*
 * graph.h - the objects that a save has met, numbered in the order in which it met them
 */
#ifndef BRI_SNAPSHOT_GRAPH_H
#define BRI_SNAPSHOT_GRAPH_H

#include "client/handle.h"
#include "core/ref.h"

/* An object; its number is its place and 1. */
struct bri_graph_node {
    uint64_t generation;
    uint32_t slot;
    struct bri_attachment_shm *held; /* keeps an anonymous one until it was saved; or NULL */
};

struct bri_graph {
    broker *broker;
    struct bri_graph_node *nodes;
    uint32_t n, capacity;
    uint32_t *places; /* open addressing by generation: numbers, 0 is free */
    uint32_t n_places;
};

void bri_graph_init(struct bri_graph *g, broker *b);
void bri_graph_fini(struct bri_graph *g);

/* The number of an object, a new one if it was not met before. NOMEM, LIMIT. */
int bri_graph_add(struct bri_graph *g, uint32_t slot, uint64_t generation, uint32_t *out_number);

/*
 * The same of an object that is referred to. GONE; an anonymous one is held on to, if this session
 * may.
 */
int bri_graph_reach(struct bri_graph *g, struct bri_ref ref, uint32_t *out_number);

/* Binds the object of a number. GONE. */
int bri_graph_bind(const struct bri_graph *g, uint32_t number, struct bri_object *out_object);

/* It need not be held on to any more. */
void bri_graph_release(struct bri_graph *g, uint32_t number);

#endif
