/*
 * test_damage.c - damage anywhere in an object: an error that names it, or an answer; never a crash
 * or a hang
 *
 * Bytes and words of everything that an object is made of are changed, one at a time, in copies of
 * one arena; then all operations are tried, and the audit. Damage in one object must not reach
 * others.
 */
#include "victim.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/pages.h"
#include "unit/value/random.h"

TestSuite(damage, .init = victim_make, .fini = victim_free, .timeout = 120);

/* How many damages of each kind: some of them here, all in a campaign. */
static unsigned part(unsigned n)
{
    return getenv("BROKER_CAMPAIGN") != NULL ? n * 20 : n;
}

/* One byte in three of a range, as the seed says, as another value; in a campaign each byte, as
 * several. */
static bool flip(
    struct bri_arena *view, uint64_t start, uint64_t size, unsigned number, char text[128])
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x10, 0x40};
    bool all = part(1) != 1;
    uint64_t i = all ? number : number * UINT64_C(3) + random_seed() % 3;
    uint64_t off = start + i % size;
    uint8_t mask = masks[(i % size + i / size) % sizeof(masks)];

    if (i / size >= (all ? sizeof(masks) : 1))
        return false;
    view->base[off] ^= mask;
    (void)snprintf(text, 128, "byte %llu of %llu at offset %llu, xor %02x",
        (unsigned long long)(off - start), (unsigned long long)size, (unsigned long long)off, mask);
    return true;
}

/* All of a slot but its futex: to hold that is no damage, and a wait. */
static bool flip_slot(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[128])
{
    const uint64_t skip = sizeof(o->slot->word);

    return flip(
        view, ((uint64_t)o->id << BRI_SLOT_SHIFT) + skip, BRI_SLOT_SIZE - skip, number, text);
}

static bool flip_dict_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_slot(&victim.dict, view, number, text);
}

static bool flip_queue_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_slot(&victim.queue, view, number, text);
}

static bool flip_lock_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_slot(&victim.lock, view, number, text);
}

static bool flip_registry_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_slot(&victim.registry, view, number, text);
}

static bool flip_session_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_slot(&victim.session, view, number, text);
}

Test(damage, in_the_slot_of_a_dict)
{
    victim_suffer(flip_dict_slot, false);
}

Test(damage, in_the_slot_of_a_queue)
{
    victim_suffer(flip_queue_slot, false);
}

Test(damage, in_the_slot_of_a_lock)
{
    victim_suffer(flip_lock_slot, false);
}

Test(damage, in_the_slot_of_the_registry)
{
    victim_suffer(flip_registry_slot, false);
}

Test(damage, in_the_slot_of_a_session)
{
    victim_suffer(flip_session_slot, false);
}

/* ---- heaps ---- */

static bool flip_heap(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[128])
{
    return flip(view, bri_off(victim.arena, o->root), sizeof(struct bri_heap_shm), number, text);
}

static bool flip_dict_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_heap(&victim.dict, view, number, text);
}

static bool flip_queue_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_heap(&victim.queue, view, number, text);
}

static bool flip_session_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_heap(&victim.session, view, number, text);
}

static bool flip_registry_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return flip_heap(&victim.registry, view, number, text);
}

Test(damage, in_the_heap_of_a_dict)
{
    victim_suffer(flip_dict_heap, true);
}

Test(damage, in_the_heap_of_a_queue)
{
    victim_suffer(flip_queue_heap, true);
}

Test(damage, in_the_heap_of_a_session)
{
    victim_suffer(flip_session_heap, false);
}

Test(damage, in_the_heap_of_the_registry)
{
    victim_suffer(flip_registry_heap, false);
}

/* ---- the page table ---- */

/* Pages of the damaged objects: each byte of their entries. */
static bool flip_page_entry(struct bri_arena *view, unsigned number, char text[128])
{
    const unsigned size = sizeof(struct bri_page_shm);
    unsigned n_pages = 0, wanted = number / size;

    for (uint32_t page = view->first_page; page < view->n_pages; page++) {
        uint32_t owner = bri_tag_owner(bri_page_tag(victim.arena, page));

        if (owner != victim.dict.id && owner != victim.queue.id)
            continue;
        if (n_pages++ == wanted)
            return flip(view, bri_off(view, &view->pages[page]), size, number % size, text);
    }
    return false;
}

Test(damage, in_the_page_table)
{
    victim_suffer(flip_page_entry, false);
}

/* ---- what lies in the pages ---- */

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

/* Words that mean something elsewhere: the ends of ranges, and places of others. */
static uint32_t strange_word(struct random *rng)
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
static bool scribble(const struct bri_object *o, struct bri_arena *view, unsigned number,
    unsigned times, char text[128])
{
    struct random rng = {random_seed() + number * UINT64_C(1000003)};
    uint32_t page = page_of(o, (unsigned)random_below(&rng, pages_of(o)));
    uint32_t at = (uint32_t)random_below(&rng, random_below(&rng, 2) == 0 ? 256 : BRI_PAGE_SIZE);
    uint64_t off;
    uint32_t word;

    if (number >= times)
        return false;
    if (bri_tag_kind(bri_page_tag(view, page)) == BRI_PAGE_SLOTS && at % BRI_SLOT_SIZE < 4)
        at += 4; /* a futex */
    off = ((uint64_t)page << BRI_PAGE_SHIFT) + at;
    if (random_below(&rng, 2) == 0) {
        view->base[off] ^= (uint8_t)(1u << random_below(&rng, 8));
        (void)snprintf(text, 128, "page %u, byte %u is %02x", page, at, view->base[off]);
        return true;
    }
    word = strange_word(&rng);
    off &= ~UINT64_C(3);
    memcpy(view->base + off, &word, sizeof(word));
    (void)snprintf(text, 128, "page %u, word at %u is %u", page, at & ~3u, word);
    return true;
}

static bool scribble_dict(struct bri_arena *view, unsigned number, char text[128])
{
    return scribble(&victim.dict, view, number, part(400), text);
}

static bool scribble_queue(struct bri_arena *view, unsigned number, char text[128])
{
    return scribble(&victim.queue, view, number, part(400), text);
}

static bool scribble_session(struct bri_arena *view, unsigned number, char text[128])
{
    return scribble(&victim.session, view, number, part(300), text);
}

static bool scribble_registry(struct bri_arena *view, unsigned number, char text[128])
{
    return scribble(&victim.registry, view, number, part(300), text);
}

Test(damage, in_the_entries_buckets_and_slabs_of_a_dict)
{
    victim_suffer(scribble_dict, true);
}

Test(damage, in_the_segments_and_items_of_a_queue)
{
    victim_suffer(scribble_queue, true);
}

Test(damage, in_the_attachments_of_a_session)
{
    victim_suffer(scribble_session, false);
}

Test(damage, in_the_slots_and_names_of_the_registry)
{
    victim_suffer(scribble_registry, false);
}

/* The table of names: references to slots. */
static bool strange_bucket(struct bri_arena *view, unsigned number, char text[128])
{
    struct random rng = {random_seed() + number};
    uint32_t bucket = number % view->n_buckets;

    if (number >= 4 * view->n_buckets)
        return false;
    switch (number / view->n_buckets) {
    case 0:
        view->names[bucket] = strange_word(&rng);
        break;
    case 1:
        view->names[bucket] = victim.dict.id;
        break;
    case 2:
        view->names[bucket] = view->first_slot + (uint32_t)random_below(&rng, 9);
        break;
    default:
        view->names[bucket] ^= 1u << random_below(&rng, 32);
    }
    (void)snprintf(text, 128, "bucket %u of the names is %u", bucket, view->names[bucket]);
    return true;
}

Test(damage, in_the_table_of_names)
{
    victim_suffer(strange_bucket, false);
}
