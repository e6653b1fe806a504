/*
 * objects.h - what a session has open: by its handles' numbers, by name, by reference
 */
#ifndef ZMQD_OBJECTS_H
#define ZMQD_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include <broker.h>

#include "dispatch.h"
#include "map.h"

/* One thing by which a session knows an object. Stays until it is closed and not used any more. */
struct zmqd_object {
    struct zmqd_node node;      /* first: by number, name or reference */
    struct zmqd_node by_handle; /* with a number */
    struct bri_handle *handle;
    uint32_t number;  /* 0: it has none */
    uint32_t n_opens; /* with a number: how often */
    uint32_t n_uses;  /* by requests under way */
    bool is_known;    /* else it goes with the last use */
    uint32_t n_key;
    uint8_t key[];
};

struct zmqd_objects {
    struct zmqd_map known, handles;
    uint32_t last_number;
};

/*
 * What a request names: finds it, or opens it, and counts a use of it. INVALID if there is no such
 * handle, and what opening says.
 */
int zmqd_object_use(struct zmqd_objects *objects, broker *b, broker_value name, uint32_t type,
    struct zmqd_object **out);
void zmqd_object_unuse(struct zmqd_object *o);

/* Forgets what was opened by name or reference: the next use opens anew. It is still in use. */
void zmqd_object_forget(struct zmqd_objects *objects, struct zmqd_object *o);

/* TYPE.open: opens what @name says with @options (nil or a map), and gives it a number, or the one
 * that it has. Owned by @objects until it is closed. */
int zmqd_object_open(struct zmqd_objects *objects, broker *b, uint32_t type,
    const broker_value name_and_options[2], struct zmqd_object **out);

/* object.close of a number, once. INVALID. */
int zmqd_object_close(struct zmqd_objects *objects, broker_value number);

/* Forgets all; the handles end with their broker. Nothing is in use. */
void zmqd_objects_free(struct zmqd_objects *objects);

#endif
