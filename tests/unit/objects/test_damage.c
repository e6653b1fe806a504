/*
 * test_damage.c - damage anywhere in an object: an error that names it, or an answer; never a crash
 * or a hang
 *
 * Bytes and words of everything that an object is made of are changed, one at a time, in copies of
 * one arena; then all operations are tried, and the audit. Damage in one object must not reach
 * others.
 */
#include "harm.h"

#include <stddef.h>
#include <stdio.h>

#include <criterion/criterion.h>

#include "core/pages.h"

TestSuite(damage, .init = victim_make, .fini = victim_free, .timeout = 120);

static bool flip_dict_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_slot(&victim.dict, view, number, text);
}

static bool flip_queue_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_slot(&victim.queue, view, number, text);
}

static bool flip_lock_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_slot(&victim.lock, view, number, text);
}

static bool flip_registry_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_slot(&victim.registry, view, number, text);
}

static bool flip_session_slot(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_slot(&victim.session, view, number, text);
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

static bool flip_dict_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_heap(&victim.dict, view, number, text);
}

static bool flip_queue_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_heap(&victim.queue, view, number, text);
}

static bool flip_session_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_heap(&victim.session, view, number, text);
}

static bool flip_registry_heap(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_heap(&victim.registry, view, number, text);
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
            return harm_range(view, bri_off(view, &view->pages[page]), size, number % size, text);
    }
    return false;
}

Test(damage, in_the_page_table)
{
    victim_suffer(flip_page_entry, false);
}

/* ---- what lies in the pages ---- */

static bool scribble_dict(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_pages(&victim.dict, view, number, harm_part(400), text);
}

static bool scribble_queue(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_pages(&victim.queue, view, number, harm_part(400), text);
}

static bool scribble_session(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_pages(&victim.session, view, number, harm_part(300), text);
}

static bool scribble_registry(struct bri_arena *view, unsigned number, char text[128])
{
    return harm_pages(&victim.registry, view, number, harm_part(300), text);
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
        view->names[bucket] = harm_word(&rng);
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
