/*
 * known.c - see known.h
 */
#include "known.h"

#include <stddef.h>
#include <string.h>

#include "core/pages.h"
#include "picture.h"

/* Not what counts nothing: the rest of a journal that was written back. Nor what differs after
 * every repair, and readers have been asked about. */
static uint64_t hash_slot(uint64_t hash, const struct bri_slot_shm *slot)
{
    struct bri_slot_shm s;

    memcpy(&s, slot, sizeof(s));
    atomic_fetch_and(&s.seq, 1);
    memset(s.wait_word, 0, sizeof(s.wait_word));
    s.n_recovered = 0;
    if (atomic_load(&s.n_journal) == 0)
        memset(s.journal, 0, sizeof(s.journal));
    return text_hash_on(hash, &s, sizeof(s));
}

static uint64_t hash_page(uint64_t hash, const struct bri_arena *a, uint32_t page)
{
    const uint8_t *bytes = a->base + ((size_t)page << BRI_PAGE_SHIFT);
    const struct bri_slot_shm *slots = (const struct bri_slot_shm *)bytes;
    const struct bri_root_shm *root = (const struct bri_root_shm *)bytes;
    uint32_t first = a->first_slot / BRI_SLOTS_PER_PAGE;
    uint32_t last = (a->first_slot + a->n_sessions) / BRI_SLOTS_PER_PAGE;
    unsigned kind = bri_tag_kind(bri_page_tag(a, page));

    if (kind == BRI_PAGE_SLOTS || (page >= first && page <= last)) {
        for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE; i++)
            hash = hash_slot(hash, &slots[i]);
        return hash;
    }
    if (kind != BRI_PAGE_ROOT)
        return text_hash_on(hash, bytes, BRI_PAGE_SIZE);
    hash = text_hash_on(hash, bytes, offsetof(struct bri_root_shm, journal));
    return text_hash_on(hash, &root->sleeps, sizeof(root->sleeps));
}

uint64_t known_hash(const struct world *w)
{
    struct world_pages pages;
    uint64_t hash = 1;

    world_pages(w->arena, true, &pages);
    for (uint32_t i = 0; i < pages.n; i++)
        hash = hash_page(hash + pages.pages[i], w->arena, pages.pages[i]);
    return hash != 0 ? hash : 1;
}

void known_forget(struct known *k)
{
    memset(k, 0, sizeof(*k));
}

struct known_image *known_find(struct known *k, uint64_t hash)
{
    for (uint64_t i = 0; i < MAX_KNOWN; i++) {
        struct known_image *image = &k->images[(hash + i) % MAX_KNOWN];

        if (image->hash == hash || image->hash == 0)
            return image;
    }
    return NULL;
}
