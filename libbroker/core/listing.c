/*
 * listing.c - see listing.h
 */
#include "core/listing.h"

#include <stdlib.h>
#include <string.h>

#include <broker/errors.h>

#include "core/pages.h"

#define LISTINGS_FIRST 1024u

/* One bucket into @entries, all or nothing; how many. TOOBIG if they do not fit, CORRUPT if there
 * is no end. */
static int list_bucket(
    const struct bri_object *registry, uint32_t bucket, struct bri_listing *entries, uint32_t max)
{
    struct bri_arena *a = registry->arena;
    uint32_t n = 0;

    for (uint32_t slot = a->names[bucket]; slot != 0; n++) {
        const struct bri_slot_shm *s = bri_slot_at(a, slot);
        uint16_t len;
        const char *name = s != NULL ? bri_name_of(registry, s, &len) : NULL;

        if (n == BRI_REGISTRY_MAX_CHAIN)
            return BROKER_CORRUPT;
        if (name == NULL)
            break;
        if (n < max) {
            memcpy(entries[n].name, name, len);
            entries[n].name[len] = '\0';
            entries[n].slot = slot;
            entries[n].type = atomic_load(&s->type);
            entries[n].generation = atomic_load(&s->generation);
        }
        slot = *(const volatile uint32_t *)&s->next;
    }
    return n <= max ? (int)n : BROKER_TOOBIG;
}

int bri_registry_list(
    struct bri_arena *a, uint32_t *cursor, struct bri_listing *entries, uint32_t max)
{
    struct bri_object registry;
    struct bri_txn t;
    uint32_t bucket = *cursor, n = 0;
    int got = 0, r = bri_registry_bind(a, &registry);

    if (r < 0)
        return r;
    r = a->read_only ? 0 : bri_begin(&t, &registry, BRI_PATIENCE);
    if (r < 0)
        return r;
    for (; bucket < a->n_buckets; bucket++) {
        got = list_bucket(&registry, bucket, entries + n, max - n);
        if (got < 0)
            break;
        n += (uint32_t)got;
    }
    if (!a->read_only)
        bri_abort(&t);
    if (got == BROKER_CORRUPT || (got < 0 && n == 0))
        return got;
    *cursor = bucket < a->n_buckets ? bucket : 0;
    return (int)n;
}

int bri_registry_list_anonymous(
    struct bri_arena *a, uint32_t *cursor, struct bri_listing *entries, uint32_t max)
{
    uint32_t page = *cursor > a->first_page ? *cursor : a->first_page, n = 0;
    uint32_t end = atomic_load(&a->shm->committed);

    for (; page < end && page < a->n_pages && n + BRI_SLOTS_PER_PAGE <= max; page++) {
        if (bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
            continue;
        for (uint32_t slot = page * BRI_SLOTS_PER_PAGE; slot < (page + 1) * BRI_SLOTS_PER_PAGE;
             slot++) {
            const struct bri_slot_shm *s = bri_slot_at(a, slot);

            if (atomic_load(&s->status) != BRI_SLOT_LIVE || atomic_load(&s->anonymous) == 0)
                continue;
            entries[n++] = (struct bri_listing){.slot = slot,
                .type = atomic_load(&s->type),
                .generation = atomic_load(&s->generation)};
        }
    }
    *cursor = page < end && page < a->n_pages ? page : 0;
    return (int)n;
}

/* ---- all of them ---- */

static int more_room(struct bri_listings *x)
{
    uint32_t capacity = x->capacity != 0 ? x->capacity * 2 : LISTINGS_FIRST;
    struct bri_listing *entries = realloc(x->entries, capacity * sizeof(*entries));

    if (entries == NULL)
        return BROKER_NOMEM;
    x->entries = entries;
    x->capacity = capacity;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct bri_listing *)a)->name, ((const struct bri_listing *)b)->name);
}

int bri_listings_take_names(struct bri_arena *a, struct bri_listings *x)
{
    uint32_t cursor = 0;
    int n, r = 0;

    do {
        n = x->capacity > x->n
                ? bri_registry_list(a, &cursor, x->entries + x->n, x->capacity - x->n)
                : BROKER_TOOBIG;
        if (n >= 0)
            x->n += (uint32_t)n;
        else if (n != BROKER_TOOBIG)
            return n;
        /* Whole buckets are copied: when they stop fitting, there must be more room. */
        if (n < 0 || cursor != 0)
            r = more_room(x);
    } while (r == 0 && (n < 0 || cursor != 0));
    if (r == 0 && x->n > 0)
        qsort(x->entries, x->n, sizeof(*x->entries), compare_names);
    return r;
}

int bri_listings_add_anonymous(struct bri_arena *a, struct bri_listings *x)
{
    uint32_t cursor = 0;
    int r = 0;

    do {
        while (r == 0 && x->capacity - x->n < BRI_SLOTS_PER_PAGE)
            r = more_room(x);
        if (r == 0)
            x->n += (uint32_t)bri_registry_list_anonymous(
                a, &cursor, x->entries + x->n, x->capacity - x->n);
    } while (r == 0 && cursor != 0);
    return r;
}
