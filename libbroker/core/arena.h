/*
 * arena.h - one shared memory object, mapped whole, and the checks that stand between it and us
 *
 * The mapping has the arena's maximum size from the start; memory comes behind it page by page
 * (pages.h), so nobody ever remaps. Sizes and table positions are checked once, at mapping, and
 * copied: from then on only the copies in struct bri_arena bound anything. Everything inside is
 * found by offset through bri_at().
 */
#ifndef BRI_ARENA_H
#define BRI_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/layout.h"

/* This process's view of an arena. */
struct bri_arena {
    uint8_t *base;
    uint64_t size;
    int fd; /* kept for growing; -1 for a copy in private memory */
    bool read_only;
    bool passes_seal;              /* may use what is sealed: see seal.h */
    _Atomic uint32_t n_more_users; /* who share this mapping; the last one unmaps */
    uint32_t n_pages;
    uint32_t n_sessions;
    uint32_t n_buckets;
    uint32_t first_page;
    uint32_t first_slot; /* the registry; sessions follow */
    struct bri_arena_shm *shm;
    struct bri_page_shm *pages;
    uint32_t *names;
    _Atomic uint64_t *chunks;
    uint32_t n_chunks;
    uint8_t secret[BRI_SECRET_SIZE];
    uint8_t id[16];
    char name[64];
};

struct bri_arena_options {
    const char *name;    /* of the arena, 1 to 63 bytes */
    uint64_t size;       /* maximum bytes; rounded up to pages; at most BRI_ARENA_MAX */
    uint32_t n_sessions; /* 1 to 8192; 0 for 256 */
};

/* NULL when [off, off+len) leaves the arena or is not aligned. Subtraction cannot wrap. */
static inline void *bri_at(const struct bri_arena *a, uint64_t off, size_t len, size_t align)
{
    if (__builtin_expect(
            off < BRI_PAGE_SIZE || off > a->size || len > a->size - off || (off & (align - 1)) != 0,
            0))
        return NULL;
    return a->base + off;
}
#define BRI_AT(arena, off, type) ((type *)bri_at((arena), (off), sizeof(type), _Alignof(type)))

static inline uint64_t bri_off(const struct bri_arena *a, const void *p)
{
    return (uint64_t)((const uint8_t *)p - a->base);
}

static inline void *bri_page_at(const struct bri_arena *a, uint32_t page)
{
    return bri_at(a, (uint64_t)page << BRI_PAGE_SHIFT, BRI_PAGE_SIZE, BRI_PAGE_SIZE);
}

/* A slot by number; NULL unless it lies in the arena. */
static inline struct bri_slot_shm *bri_slot_at(const struct bri_arena *a, uint32_t slot)
{
    return bri_at(a, (uint64_t)slot << BRI_SLOT_SHIFT, BRI_SLOT_SIZE, BRI_SLOT_SIZE);
}

/*
 * Makes the memory behind @fd (empty, just made, owned by the caller until success) a new arena and
 * maps it. INVALID for options out of range, NOMEM when the file system or our control group has no
 * room for the tables, SYSTEM.
 */
int bri_arena_create(int fd, const struct bri_arena_options *options, struct bri_arena **out_arena);

/*
 * Maps an arena that exists. Owns @fd on success.
 * VERSION when it was made by another layout or ABI (@out_found, if not NULL, then tells which:
 * layout, then abi), CORRUPT when its header contradicts itself or the file is shorter than it
 * says, SYSTEM.
 */
int bri_arena_map(int fd, bool read_only, struct bri_arena **out_arena, uint32_t out_found[2]);

/* A view of an arena image in private memory, page-aligned, for checks and tests; the caller keeps
 * the memory. */
int bri_arena_view(void *image, uint64_t size, struct bri_arena **out_arena);

/* True if what is mapped is the file behind @fd. */
bool bri_arena_is_file(const struct bri_arena *arena, int fd);

/* One more user of the same mapping, who unmaps it by itself. */
void bri_arena_share(struct bri_arena *arena);

/* Unmaps, if nobody else uses the mapping; the arena itself stays. NULL is allowed. */
void bri_arena_unmap(struct bri_arena *arena);

#endif
