/*
 * hand.h - a broker made by hand around an arena, so that the public functions can be used without
 * a daemon
 */
#ifndef TESTS_HAND_H
#define TESTS_HAND_H

#include <broker.h>

#include "core/arena.h"

/* For this process, with a session of its own. */
broker *hand_broker(struct bri_arena *a);

/* Frees the broker and the handles that are still open; the arena, and the session in it, stay as
 * they are. */
void hand_free(broker *b);

#endif
