/*
 * names.c - see names.h
 */
#include "core/names.h"

#include <string.h>

#include <broker/errors.h>

#include "core/hash.h"
#include "core/heap.h"
#include "core/text.h"

int bri_name_check(const char *name)
{
    const unsigned char *p = (const unsigned char *)name;
    size_t n, step;

    if (name == NULL)
        return BROKER_BADNAME;
    n = strnlen(name, BRI_NAME_MAX + 1);
    if (n == 0 || n > BRI_NAME_MAX)
        return BROKER_BADNAME;
    for (; n > 0; p += step, n -= step) {
        step = bri_utf8_length(p, n);
        if (step == 0 || *p < 0x20 || *p == 0x7f)
            return BROKER_BADNAME;
    }
    return 0;
}

static uint32_t *bucket_of(const struct bri_arena *a, const char *name, size_t n)
{
    return &a->names[bri_hash(a, name, n) & (a->n_buckets - 1)];
}

const char *bri_name_of(
    const struct bri_object *registry, const struct bri_slot_shm *s, uint16_t *out_n)
{
    uint64_t off = *(const volatile uint64_t *)&s->name_off;
    uint64_t capacity = bri_block_capacity(registry, off);
    const uint8_t *block = bri_at(registry->arena, off, sizeof(uint16_t), 2);
    uint16_t n;

    if (capacity < sizeof(n) || block == NULL)
        return NULL;
    memcpy(&n, block, sizeof(n));
    if (n == 0 || n > BRI_NAME_MAX || n > capacity - sizeof(n))
        return NULL;
    *out_n = n;
    return (const char *)block + sizeof(n);
}

int bri_name_find(
    const struct bri_object *registry, const char *name, uint32_t **out_link, uint32_t *out_slot)
{
    size_t n = strlen(name);
    uint32_t *link = bucket_of(registry->arena, name, n);
    struct bri_slot_shm *s;
    const char *other;
    uint16_t n_other;

    for (uint32_t left = BRI_REGISTRY_MAX_CHAIN; left > 0; left--) {
        uint32_t slot = *(volatile uint32_t *)link;

        if (slot == 0)
            return BROKER_NOTFOUND;
        s = bri_slot_at(registry->arena, slot);
        other = s != NULL ? bri_name_of(registry, s, &n_other) : NULL;
        if (other == NULL)
            return BROKER_CORRUPT;
        if (n_other == n && memcmp(other, name, n) == 0) {
            *out_link = link;
            *out_slot = slot;
            return 0;
        }
        link = &s->next;
    }
    return BROKER_CORRUPT;
}

static uint64_t store_name(struct bri_txn *t, const char *name)
{
    uint16_t n = (uint16_t)strlen(name);
    uint64_t off = bri_alloc(t, sizeof(n) + n);
    uint8_t *block;

    if (off == 0)
        return 0;
    block = t->o->arena->base + off;
    memcpy(block, &n, sizeof(n));
    memcpy(block + sizeof(n), name, n);
    return off;
}

int bri_name_give(struct bri_txn *t, const char *name, uint32_t slot, struct bri_slot_shm *s)
{
    uint32_t *bucket = bucket_of(t->o->arena, name, strlen(name));
    uint64_t name_off = store_name(t, name);

    if (name_off == 0)
        return t->failed;
    s->name_off = name_off;
    bri_set32(t, &s->next, *bucket);
    bri_set32(t, bucket, slot);
    return t->failed;
}

void bri_name_take(struct bri_txn *t, uint32_t *link, struct bri_slot_shm *s)
{
    bri_set32(t, link, s->next);
    bri_free(t, s->name_off);
    bri_set64(t, &s->name_off, 0);
}

int bri_name_change(struct bri_txn *t, const char *name, const char *new_name)
{
    uint32_t *link, *taken, *bucket = bucket_of(t->o->arena, new_name, strlen(new_name));
    uint32_t slot, other;
    struct bri_slot_shm *s;
    uint64_t name_off;
    int r = bri_name_find(t->o, name, &link, &slot);

    if (r == 0) {
        r = bri_name_find(t->o, new_name, &taken, &other);
        r = r == 0 ? BROKER_EXISTS : r == BROKER_NOTFOUND ? 0 : r;
    }
    if (r < 0)
        return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
    name_off = store_name(t, new_name);
    if (name_off == 0)
        return t->failed;
    s = bri_slot_at(t->o->arena, slot);
    bri_set32(t, link, s->next);
    bri_set32(t, &s->next, *bucket); /* which may be what `link` was */
    bri_set32(t, bucket, slot);
    bri_free(t, s->name_off);
    bri_set64(t, &s->name_off, name_off);
    return 0;
}
