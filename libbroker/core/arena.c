/*
 * arena.c - see arena.h
 *
 * A creator that dies leaves a file without magic, which nobody maps; the daemon removes it and
 * starts again.
 */
#include "core/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/clock.h"
#include "core/errno.h"
#include "core/registry.h"
#include "core/room.h"

#define MIN_BUCKETS 64u
#define MAX_BUCKETS 65536u
#define PAGES_PER_BUCKET 8u
#define DEFAULT_SESSIONS 256u
#define MAX_SESSIONS 8192u
#define FIXED_TAG ((uint64_t)UINT32_MAX << 32) /* owner of the tables: nobody's slot */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint32_t count_chunks(uint32_t n_pages)
{
    return (n_pages + BRI_CHUNK_PAGES - 1) / BRI_CHUNK_PAGES;
}

/* Where the fixed tables lie; the one place that knows. */
static void plan(struct bri_arena_shm *h)
{
    uint64_t off = BRI_PAGE_SIZE;

    h->n_buckets = MIN_BUCKETS;
    while (h->n_buckets < h->n_pages / PAGES_PER_BUCKET && h->n_buckets < MAX_BUCKETS)
        h->n_buckets *= 2;
    h->pages_off = off;
    off = round_up(off + (uint64_t)h->n_pages * sizeof(struct bri_page_shm), BRI_PAGE_SIZE);
    h->slots_off = off;
    off = round_up(off + (1 + (uint64_t)h->n_sessions) * BRI_SLOT_SIZE, BRI_PAGE_SIZE);
    h->names_off = off;
    off = round_up(off + (uint64_t)h->n_buckets * sizeof(uint32_t), sizeof(uint64_t));
    h->chunks_off = off;
    off = round_up(off + (uint64_t)count_chunks(h->n_pages) * sizeof(uint64_t), BRI_PAGE_SIZE);
    h->first_page = (uint32_t)(off >> BRI_PAGE_SHIFT);
}

static void copy_bounds(struct bri_arena *a, const struct bri_arena_shm *h)
{
    a->n_pages = h->n_pages;
    a->n_sessions = h->n_sessions;
    a->n_buckets = h->n_buckets;
    a->first_page = h->first_page;
    a->first_slot = (uint32_t)(h->slots_off >> BRI_SLOT_SHIFT);
    a->pages = (struct bri_page_shm *)(a->base + h->pages_off);
    a->names = (uint32_t *)(a->base + h->names_off);
    a->chunks = (_Atomic uint64_t *)(a->base + h->chunks_off);
    a->n_chunks = count_chunks(h->n_pages);
    memcpy(a->secret, h->secret, sizeof(a->secret));
    memcpy(a->id, h->id, sizeof(a->id));
    memcpy(a->name, h->name, sizeof(a->name) - 1);
}

/* The header against itself: what it says must be what plan() would have made of its sizes. */
static int check_header(const struct bri_arena_shm *h, uint64_t size)
{
    struct bri_arena_shm wanted;

    if (h->size != size || h->size % BRI_PAGE_SIZE != 0 || h->size > BRI_ARENA_MAX ||
        h->n_pages != h->size >> BRI_PAGE_SHIFT || h->n_sessions == 0 ||
        h->n_sessions > MAX_SESSIONS)
        return BROKER_CORRUPT;
    wanted.n_pages = h->n_pages;
    wanted.n_sessions = h->n_sessions;
    plan(&wanted);
    if (h->n_buckets != wanted.n_buckets || h->pages_off != wanted.pages_off ||
        h->slots_off != wanted.slots_off || h->names_off != wanted.names_off ||
        h->chunks_off != wanted.chunks_off || h->first_page != wanted.first_page ||
        h->first_page >= h->n_pages)
        return BROKER_CORRUPT;
    return 0;
}

static int new_view(void *base, uint64_t size, struct bri_arena **out_arena)
{
    struct bri_arena *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return BROKER_NOMEM;
    a->base = base;
    a->size = size;
    a->fd = -1;
    a->shm = base;
    *out_arena = a;
    return 0;
}

static int map_fd(int fd, uint64_t size, bool read_only, struct bri_arena **out_arena)
{
    int prot = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void *base = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
    int r;

    if (base == MAP_FAILED)
        return bri_from_errno(errno);
    /* A forked child is a session of its own and attaches anew: it must not write as its parent. */
    (void)madvise(base, size, MADV_DONTFORK);
    r = new_view(base, size, out_arena);
    if (r < 0)
        (void)munmap(base, size);
    else
        (*out_arena)->read_only = read_only;
    return r;
}

static int fill_header(struct bri_arena_shm *h, const struct bri_arena_options *o, uint64_t size)
{
    h->layout_version = bri_layout_version();
    h->abi = BRI_ABI;
    h->size = size;
    h->n_pages = (uint32_t)(size >> BRI_PAGE_SHIFT);
    h->n_sessions = o->n_sessions != 0 ? o->n_sessions : DEFAULT_SESSIONS;
    plan(h);
    if (getrandom(h->id, sizeof(h->id), 0) != sizeof(h->id) ||
        getrandom(h->secret, sizeof(h->secret), 0) != sizeof(h->secret))
        return BROKER_SYSTEM;
    (void)snprintf(h->name, sizeof(h->name), "%s", o->name);
    (void)snprintf(h->libc, sizeof(h->libc), "%s", gnu_get_libc_version());
    h->created_ns = (uint64_t)bri_clock(CLOCK_REALTIME);
    h->committed = h->first_page + 1; /* the registry's root page */
    return 0;
}

int bri_arena_create(int fd, const struct bri_arena_options *options, struct bri_arena **out_arena)
{
    uint64_t size = round_up(options->size, BRI_PAGE_SIZE);
    struct bri_arena_shm header = {0};
    struct bri_arena *a;
    int r;

    if (options->name == NULL || options->name[0] == '\0' || strlen(options->name) > 63 ||
        options->size > BRI_ARENA_MAX || options->n_sessions > MAX_SESSIONS)
        return BROKER_INVALID;
    r = fill_header(&header, options, size);
    if (r < 0)
        return r;
    if (check_header(&header, size) < 0)
        return BROKER_INVALID; /* too small for its own tables */
    if (ftruncate(fd, (off_t)size) != 0)
        return bri_from_errno(errno);
    if (!bri_room_for((uint64_t)header.committed << BRI_PAGE_SHIFT))
        return BROKER_NOMEM;
    /* Reserve now: a full file system must fail here, not as SIGBUS at the first touch. */
    r = posix_fallocate(fd, 0, (off_t)header.committed << BRI_PAGE_SHIFT);
    if (r != 0)
        return bri_from_errno(r);
    r = map_fd(fd, size, false, &a);
    if (r < 0)
        return r;
    memcpy(a->base, &header, sizeof(header));
    copy_bounds(a, a->shm);
    for (uint32_t i = 0; i < a->first_page; i++)
        a->pages[i].tag = FIXED_TAG;
    bri_registry_format(a);
    atomic_store_explicit(&a->shm->magic, BRI_MAGIC, memory_order_release);
    a->fd = fd;
    *out_arena = a;
    return 0;
}

/* Which layout made it decides first: the rest of a foreign header means nothing to us. */
static int check_maker(const struct bri_arena_shm *h, uint32_t out_found[2])
{
    if (h->magic != BRI_MAGIC)
        return BROKER_CORRUPT;
    if (h->layout_version == bri_layout_version() && h->abi == BRI_ABI)
        return 0;
    if (out_found != NULL) {
        out_found[0] = h->layout_version;
        out_found[1] = h->abi;
    }
    return BROKER_VERSION;
}

int bri_arena_map(int fd, bool read_only, struct bri_arena **out_arena, uint32_t out_found[2])
{
    struct bri_arena_shm header;
    struct bri_arena *a;
    struct stat st;
    ssize_t n;
    int r;

    if (fstat(fd, &st) != 0)
        return bri_from_errno(errno);
    n = pread(fd, &header, sizeof(header), 0); /* a copy: nobody changes it between check and use */
    if (n < 0)
        return bri_from_errno(errno);
    if (n != sizeof(header))
        return BROKER_CORRUPT;
    r = check_maker(&header, out_found);
    if (r == 0)
        r = check_header(&header, (uint64_t)st.st_size);
    if (r < 0)
        return r;
    r = map_fd(fd, header.size, read_only, &a);
    if (r < 0)
        return r;
    copy_bounds(a, &header);
    a->fd = fd;
    *out_arena = a;
    return 0;
}

int bri_arena_view(void *image, uint64_t size, struct bri_arena **out_arena)
{
    struct bri_arena_shm header;
    int r;

    if (size < sizeof(header))
        return BROKER_CORRUPT;
    memcpy(&header, image, sizeof(header));
    r = check_maker(&header, NULL);
    if (r == 0)
        r = check_header(&header, size);
    if (r == 0)
        r = new_view(image, size, out_arena);
    if (r == 0) {
        copy_bounds(*out_arena, &header);
        (*out_arena)->passes_seal = true; /* nobody else uses it */
    }
    return r;
}

bool bri_arena_is_file(const struct bri_arena *arena, int fd)
{
    struct stat ours, other;

    return arena->fd >= 0 && fstat(arena->fd, &ours) == 0 && fstat(fd, &other) == 0 &&
           ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}

void bri_arena_share(struct bri_arena *arena)
{
    (void)atomic_fetch_add(&arena->n_more_users, 1);
}

void bri_arena_unmap(struct bri_arena *arena)
{
    if (arena == NULL || atomic_fetch_sub(&arena->n_more_users, 1) > 0)
        return;
    if (arena->fd >= 0) {
        (void)munmap(arena->base, arena->size);
        (void)close(arena->fd);
    }
    free(arena);
}
