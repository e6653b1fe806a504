/*
 * listing.h - which objects there are, with and without names
 *
 * What is listed is copied: it may be something else when it is looked at, which the generation
 * tells.
 */
#ifndef BRI_LISTING_H
#define BRI_LISTING_H

#include "core/registry.h"

/* One line of a listing. */
struct bri_listing {
    char name[BRI_NAME_MAX + 1]; /* empty if it has none */
    uint32_t slot;
    uint32_t type;
    uint64_t generation;
};

/*
 * Copies whole buckets of names from *@cursor (start with 0) until @max entries do not surely fit
 * any more.
 * *@cursor is 0 at the end. Returns how many, or a failure. What is made or removed meanwhile may
 * be missed.
 */
int bri_registry_list(
    struct bri_arena *a, uint32_t *cursor, struct bri_listing *entries, uint32_t max);

/*
 * The anonymous objects, from *@cursor (start with 0) as far as @entries go, at least 8. *@cursor
 * is 0 at the end. Returns how many. What is made or removed meanwhile may be missed.
 */
int bri_registry_list_anonymous(
    struct bri_arena *a, uint32_t *cursor, struct bri_listing *entries, uint32_t max);

/* Many of them. Start from zeros; the caller frees the entries, also after a failure. */
struct bri_listings {
    struct bri_listing *entries;
    uint32_t n, capacity;
};

/* All objects with a name, in the order of names. NOMEM, and what bri_registry_list() says. */
int bri_listings_take_names(struct bri_arena *a, struct bri_listings *x);

/* All others, in the order of slots, behind what is there. NOMEM. */
int bri_listings_add_anonymous(struct bri_arena *a, struct bri_listings *x);

#endif
