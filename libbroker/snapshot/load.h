/*
 * load.h - making objects again from their records
 *
 * Records are read several times: first all objects are made, then filled, so that references may
 * lead anywhere. Names come last: until then objects are called by names that nobody asks for, so
 * that what is seen under its own name is whole. A failure destroys what was made. A death in
 * between leaves objects with those names behind; who loads into an arena that nobody knows yet has
 * no need of them.
 */
#ifndef BRI_SNAPSHOT_LOAD_H
#define BRI_SNAPSHOT_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <broker/value.h>

#include "client/handle.h"

struct bri_loading {
    /* The next record, a packed map; from the first one on if @again. EMPTY after the last one. */
    int (*next)(void *arg, bool again, broker_value *out_record);
    void *arg;
    const char *unfinished; /* what the names begin with until all is there; NULL: they are final */
    bool replace;           /* objects that have the names already are destroyed */
    bool for_owners;        /* objects belong to those who made the saved ones */
    /* out */
    uint64_t n_objects;
    uint64_t n_cut;                /* references to objects that are not there: they are nil now */
    char failed[BRI_NAME_MAX + 1]; /* name of the object that could not be made, or empty */
};

/*
 * EXISTS: one of the names is taken, and nothing was done; INVALID: a record is none; NOMEM, QUOTA,
 * and what `next` and the types' operations say.
 */
int bri_load_arena(broker *b, struct bri_loading *loading);

#endif
