/*
 * harm.c - see harm.h
 */
#include "harm.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/pages.h"

unsigned harm_part(unsigned n)
{
    return getenv("BROKER_CAMPAIGN") != NULL ? n * 20 : (n + 11) / 12;
}

bool harm_range(
    struct bri_arena *view, uint64_t start, uint64_t size, unsigned number, char text[HARM_TEXT])
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x10, 0x40};
    bool all = harm_part(1) != 1;
    uint64_t i = all ? number : number * UINT64_C(6) + random_seed() % 6;
    uint64_t off = start + i % size;
    uint8_t mask = masks[(i % size + i / size) % sizeof(masks)];

    if (i / size >= (all ? sizeof(masks) : 1))
        return false;
    view->base[off] ^= mask;
    (void)snprintf(text, HARM_TEXT, "byte %llu of %llu at offset %llu, xor %02x",
        (unsigned long long)(off - start), (unsigned long long)size, (unsigned long long)off, mask);
    return true;
}

bool harm_slot(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    const uint64_t skip = sizeof(o->slot->word);

    return harm_range(
        view, ((uint64_t)o->id << BRI_SLOT_SHIFT) + skip, BRI_SLOT_SIZE - skip, number, text);
}

bool harm_heap(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    return harm_range(
        view, bri_off(victim.arena, o->root), sizeof(struct bri_heap_shm), number, text);
}

/* Page number @n of those that @o has, its root not counted; 0 if there is none. */
static uint32_t page_of(const struct bri_object *o, unsigned n)
{
    for (uint32_t page = o->arena->first_page; page < o->arena->n_pages; page++) {
        uint64_t tag = bri_page_tag(o->arena, page);

        if (bri_tag_owner(tag) == o->id && bri_tag_kind(tag) != BRI_PAGE_ROOT && n-- == 0)
            return page;
    }
    return 0;
}

static unsigned pages_of(const struct bri_object *o)
{
    unsigned n = 0;

    while (page_of(o, n) != 0)
        n++;
    return n;
}

uint32_t harm_word(struct random *rng)
{
    const struct bri_object *others[] = {
        &victim.witness_dict, &victim.witness_queue, &victim.dict, &victim.queue};
    const struct bri_object *o = others[random_below(rng, 4)];
    uint32_t page = page_of(o, (unsigned)random_below(rng, pages_of(o)));

    switch (random_below(rng, 6)) {
    case 0:
        return (uint32_t)random_below(rng, 3);
    case 1:
        return UINT32_MAX - (uint32_t)random_below(rng, 3);
    case 2:
        return page;
    case 3:
        return (page << (BRI_PAGE_SHIFT - BRI_UNIT_SHIFT)) + (uint32_t)random_below(rng, 256);
    case 4:
        return victim.arena->n_pages - (uint32_t)random_below(rng, 3);
    default:
        return (uint32_t)random_next(rng);
    }
}

/*
 * At a random place of the object's pages: near a slab's or a segment's head rather than anywhere,
 * since most of the rest are the bytes of values, which may be anything.
 */
bool harm_pages(const struct bri_object *o, struct bri_arena *view, unsigned number, unsigned times,
    char text[HARM_TEXT])
{
    struct random rng = {random_seed() + number * UINT64_C(1000003)};
    unsigned n_pages = pages_of(o);
    uint32_t page = n_pages > 0 ? page_of(o, (unsigned)random_below(&rng, n_pages)) : 0;
    uint32_t at = (uint32_t)random_below(&rng, random_below(&rng, 2) == 0 ? 256 : BRI_PAGE_SIZE);
    uint64_t off;
    uint32_t word;

    if (number >= times || n_pages == 0)
        return false;
    if (bri_tag_kind(bri_page_tag(view, page)) == BRI_PAGE_SLOTS && at % BRI_SLOT_SIZE < 4)
        at += 4; /* a futex */
    off = ((uint64_t)page << BRI_PAGE_SHIFT) + at;
    if (random_below(&rng, 2) == 0) {
        view->base[off] ^= (uint8_t)(1u << random_below(&rng, 8));
        (void)snprintf(text, HARM_TEXT, "page %u, byte %u is %02x", page, at, view->base[off]);
        return true;
    }
    word = harm_word(&rng);
    off &= ~UINT64_C(3);
    memcpy(view->base + off, &word, sizeof(word));
    (void)snprintf(text, HARM_TEXT, "page %u, word at %u is %u", page, at & ~3u, word);
    return true;
}
