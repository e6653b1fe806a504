/*
 * discard.h - removing what a stopped instance left
 */
#ifndef BROKERD_DISCARD_H
#define BROKERD_DISCARD_H

#include <stdbool.h>

#include "place.h"

/*
 * Removes the arenas of the instance, with all that is in them, and its runtime folder if nothing
 * else is in there. False, logged, if a brokerd runs it or something could not be removed. @dir as
 * for brokerd_place_take().
 */
bool brokerd_discard(struct brokerd_place *place, const char *dir);

#endif
