/*
 * image.c - see image.h
 *
 * The copy is a private mapping, so that only what is touched is read and only what is changed is
 * copied. Nobody in it lives: whoever holds a guard there counts as dead, and what he left half
 * done is undone as usual when the guard is next taken.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <broker/errors.h>

#include "client/local.h"
#include "core/errno.h"
#include "core/pages.h"
#include "core/session.h"

/* A guard that somebody holds: as the kernel leaves it when its owner dies. */
static void abandon(struct bri_slot_shm *slot)
{
    if (slot != NULL && (atomic_load(&slot->word) & FUTEX_TID_MASK) != 0)
        atomic_store(&slot->word, FUTEX_OWNER_DIED);
}

static void abandon_all(struct bri_arena *a)
{
    for (uint32_t i = 0; i <= a->n_sessions; i++)
        abandon(bri_slot_at(a, a->first_slot + i));
    for (uint32_t page = a->first_page; page < a->n_pages; page++) {
        if (bri_tag_kind(bri_page_tag(a, page)) != BRI_PAGE_SLOTS)
            continue;
        for (uint32_t i = 0; i < BRI_SLOTS_PER_PAGE; i++)
            abandon(bri_slot_at(a, page * BRI_SLOTS_PER_PAGE + i));
    }
}

static bool is_in_use(struct bri_arena *a)
{
    struct bri_session_info info;

    for (uint32_t i = 0; i < a->n_sessions; i++)
        if (bri_session_info(a, i, &info) == 0 && info.status != BRI_SESSION_FREE &&
            !bri_session_is_dead(a, i))
            return true;
    return false;
}

/* The size of the arena in the file, by its header, which is checked against the file itself. */
static int check_file(int fd, size_t *out_size, uint32_t out_found[2])
{
    struct bri_arena *checked;
    int r, copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return bri_from_errno(errno);
    r = bri_arena_map(copy, true, &checked, out_found);
    if (r < 0) {
        (void)close(copy);
        return r;
    }
    *out_size = checked->size;
    bri_arena_unmap(checked);
    return 0;
}

/* A file that was cut short is found before anything behind its end is touched. */
static int map(int fd, struct ctl_image *image, uint32_t out_found[2])
{
    int r = check_file(fd, &image->size, out_found);

    if (r < 0)
        return r;
    image->memory =
        mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    if (image->memory == MAP_FAILED)
        return bri_from_errno(errno);
    r = bri_arena_view(image->memory, image->size, &image->arena);
    if (r < 0)
        (void)munmap(image->memory, image->size);
    return r;
}

static int make_broker(struct ctl_image *image, const char *path)
{
    broker *b = &image->broker;
    int r = bri_local_open(image->arena, UINT32_MAX, b);

    if (r < 0)
        return r;
    (void)snprintf(b->arena_name, sizeof(b->arena_name), "%s", image->arena->name);
    (void)snprintf(b->address, sizeof(b->address), "file:%s", path);
    return 0;
}

int ctl_image_open(const char *path, struct ctl_image *out_image, uint32_t out_found[2])
{
    struct ctl_image image = {0};
    int r, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? BROKER_NOTFOUND : bri_from_errno(errno);
    r = map(fd, &image, out_found);
    (void)close(fd);
    if (r < 0)
        return r;
    image.in_use = is_in_use(image.arena);
    abandon_all(image.arena);
    *out_image = image;
    return make_broker(out_image, path);
}

void ctl_image_close(struct ctl_image *image)
{
    bri_local_close(&image->broker);
    bri_arena_unmap(image->arena);
    (void)munmap(image->memory, image->size);
    *image = (struct ctl_image){0};
}
