/*
 * world.h - arenas to be saved and made again
 */
#ifndef SNAPSHOT_WORLD_H
#define SNAPSHOT_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include <broker.h>

#include "snapshot/load.h"
#include "snapshot/save.h"

/* Records, one behind the other; each with its size before it. */
struct dump {
    broker_buffer bytes;
    size_t at; /* of a reader */
    unsigned n;
};

/* An instance of the test's own; with bri_world_close() it is gone. */
broker *world_open(void);

/* Saves all, or what begins with @prefix. */
void world_dump(broker *b, const char *prefix, struct dump *out);
void dump_free(struct dump *dump);
bool dump_same(const struct dump *a, const struct dump *b);

/* Loads into @b; what bri_load_arena() says. */
int world_load(broker *b, struct dump *dump, struct bri_loading *loading);

/* Everything in @b is sound, seen from inside. */
void world_audit(broker *b);

/* Saves @b, loads that into another instance, which is given, and checks that it saves the same. */
broker *world_again(broker *b);

/* The record of the object called @name; the first without a name for NULL. */
broker_value dump_find(struct dump *dump, const char *name);

#endif
