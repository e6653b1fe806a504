/*
 * save.h - saying what is in an arena, an object after the other
 *
 * Objects with names come first, in the order of their names, then what they refer to, as it is
 * met. Each is as it was at one moment. What was destroyed before its turn is not there; an
 * anonymous object that somebody referred to when he was saved is.
 */
#ifndef BRI_SNAPSHOT_SAVE_H
#define BRI_SNAPSHOT_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include <broker/value.h>

#include "client/handle.h"

struct bri_saving {
    /* Takes the record of one object, a packed map. A failure ends the whole. */
    int (*record)(void *arg, broker_value record);
    /* Says whether the object of this name is to be saved; NULL: all are. */
    bool (*wants)(void *arg, const char *name);
    /* Says which object could not be saved, and why; it goes on without it. May be NULL. */
    void (*leave_out)(void *arg, const char *name, int why);
    void *arg;
    bool with_owners; /* tell who made them: for one who may make objects for others */
    /* out */
    uint64_t n_objects, n_left_out;
    uint64_t longest_ns; /* that the picture of one object took */
};

/* UNSUPPORTED by brokers that are not attached to memory; 0, NOMEM, TIMEDOUT (somebody stopped is
 * in the way), and what `record` says. */
int bri_save_arena(broker *b, struct bri_saving *saving);

#endif
