/*
 * arenas_open.c - the memory of an arena: adopted from the daemon before, made from what it left on
 * the disk, or made empty; see arenas.h
 *
 * A daemon that dies in here leaves at most a file without magic, which the next one removes and
 * makes again.
 */
#include "arenas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/clock.h"
#include "core/seal.h"
#include "inherit.h"
#include "log.h"
#include "snapshot.h"

/* True if nobody but us can have made it, or given others access. */
static bool is_ours(const struct brokerd_arena *arena, int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        (st.st_mode & 077) == 0)
        return true;
    brokerd_log(LOG_ERR, &(struct brokerd_about){.arena = arena->name},
        "/dev/shm%s is there but does not belong to this user alone: remove it", arena->shm_name);
    return false;
}

/* A creator died before it was done: there is no magic. */
static bool is_unfinished(int fd)
{
    uint64_t magic = 0;

    return pread(fd, &magic, sizeof(magic), 0) != sizeof(magic) || magic == 0;
}

static void tell_unusable(const struct brokerd_arena *arena, int r, const uint32_t found[2])
{
    const struct brokerd_about about = {.arena = arena->name};

    if (r == BROKER_VERSION)
        brokerd_log(LOG_ERR, &about,
            "the arena %s was made with layout %u.%08x, this brokerd has %u.%08x: install the "
            "brokerd that made it again, start it, and upgrade while it runs, so that it hands "
            "over what is in it; or remove /dev/shm%s to lose that",
            arena->name, found[0], found[1], bri_layout_version(), BRI_ABI, arena->shm_name);
    else if (r == BROKER_CORRUPT)
        brokerd_log(LOG_ERR, &about,
            "the header of the arena %s is damaged: look at it with `brokerctl check --offline`, "
            "or remove /dev/shm%s to lose what is in it",
            arena->name, arena->shm_name);
    else
        brokerd_log(
            LOG_ERR, &about, "cannot map the arena %s: %s", arena->name, broker_error_text(r));
}

/* Owns @fd. 0, or what is wrong: told, but for VERSION of what was handed over to us. */
static int map_there(struct brokerd_arena *arena, const struct brokerd_arena_config *config, int fd)
{
    uint32_t found[2] = {0, 0};
    int r = bri_arena_map(fd, false, &arena->map, found);

    if (r == 0)
        return 0;
    (void)close(fd);
    if (r != BROKER_VERSION || !brokerd_snapshot_is_handed_over(arena, config))
        tell_unusable(arena, r, found);
    else
        r = BROKER_MISMATCH;
    return r;
}

static int unseal(struct bri_arena *a, void *arg)
{
    (void)arg;
    return bri_is_sealed(a) ? bri_unseal(a) : 0;
}

/* What is in memory is what counts: a handover that came to nothing, or that has been carried out,
 * leaves a seal and a file. As map_there(). */
static int adopt(struct brokerd_arena *arena, const struct brokerd_arena_config *config, int fd)
{
    int r = map_there(arena, config, fd);

    if (r < 0)
        return r;
    (void)brokerd_arena_run(arena, unseal, NULL);
    brokerd_snapshot_taken_over(arena, config);
    arena->was_there = true;
    brokerd_log(LOG_INFO, &(struct brokerd_about){.arena = arena->name}, "adopted the arena %s",
        arena->name);
    return 0;
}

static bool create(struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    const struct brokerd_about about = {.arena = arena->name};
    const struct bri_arena_options options = {
        .name = arena->name,
        .size = config->size_bytes,
        .n_sessions = (uint32_t)config->n_sessions,
    };
    int fd = shm_open(arena->shm_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r;

    if (fd < 0) {
        brokerd_log(
            LOG_ERR, &about, "cannot make /dev/shm%s: %s", arena->shm_name, strerror(errno));
        return false;
    }
    r = bri_arena_create(fd, &options, &arena->map);
    if (r == 0)
        return true;
    (void)close(fd);
    (void)shm_unlink(arena->shm_name);
    if (r == BROKER_INVALID)
        brokerd_log(LOG_ERR, &about, "the arena %s is too small for %u sessions", arena->name,
            options.n_sessions);
    else
        brokerd_log(LOG_ERR, &about, "cannot make the arena %s: %s", arena->name,
            r == BROKER_NOMEM ? "/dev/shm is full, or the service's memory limit is reached"
                              : broker_error_text(r));
    return false;
}

/* From what was handed over, its last snapshot, or empty. */
static bool make(
    struct brokerd_arena *arena, const struct brokerd_arena_config *config, bool is_private)
{
    enum brokerd_loaded loaded = BROKERD_NOTHING_TO_LOAD;
    int fd;

    if (!is_private)
        loaded = brokerd_snapshot_take_over(arena, config);
    if (!is_private && loaded == BROKERD_NOTHING_TO_LOAD && config->snapshots)
        loaded = brokerd_snapshot_load(arena, config);
    if (loaded == BROKERD_NOTHING_TO_LOAD)
        return create(arena, config);
    if (loaded == BROKERD_NOT_LOADED)
        return false;
    fd = shm_open(arena->shm_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0 || map_there(arena, config, fd) < 0)
        return false;
    brokerd_snapshot_taken_over(arena, config);
    return true;
}

/*
 * What the service manager kept is what attached programs have, also where its name is gone: the
 * arena was not persistent and the daemon is being restarted, or somebody has removed the file.
 */
static int adopt_kept(
    struct brokerd_arena *arena, const struct brokerd_arena_config *config, int fd)
{
    const struct brokerd_about about = {.arena = arena->name};
    int named = shm_open(arena->shm_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    struct stat kept, st;
    int r;

    if (!is_ours(arena, fd)) {
        (void)close(fd);
        if (named >= 0)
            (void)close(named);
        return BROKER_ACCESS;
    }
    arena->unlinked = named < 0 || fstat(named, &st) != 0 || fstat(fd, &kept) != 0 ||
                      st.st_dev != kept.st_dev || st.st_ino != kept.st_ino;
    if (named >= 0 && arena->unlinked)
        brokerd_log(LOG_WARNING, &about,
            "/dev/shm%s is not the memory that programs are attached to: it is left alone",
            arena->shm_name);
    if (named >= 0)
        (void)close(named);
    r = adopt(arena, config, fd);
    if (r == 0 && arena->unlinked)
        brokerd_log(LOG_INFO, &about, "the arena %s has no name: it ends when brokerd is stopped",
            arena->name);
    return r;
}

/* MISMATCH: what is there was handed over to us. NOTFOUND. Otherwise a failure that was told. */
static int adopt_named(struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    int fd = shm_open(arena->shm_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);

    if (fd < 0 && errno == ENOENT)
        return BROKER_NOTFOUND;
    if (fd < 0) {
        brokerd_log(LOG_ERR, &(struct brokerd_about){.arena = arena->name},
            "cannot open /dev/shm%s: %s", arena->shm_name, strerror(errno));
        return BROKER_SYSTEM;
    }
    if (!is_ours(arena, fd)) {
        (void)close(fd);
        return BROKER_ACCESS;
    }
    if (!is_unfinished(fd))
        return adopt(arena, config, fd);
    (void)close(fd);
    (void)shm_unlink(arena->shm_name);
    return BROKER_NOTFOUND;
}

static bool open_memory(struct brokerd_arena *arena, const struct brokerd_arena_config *config,
    bool is_private, int kept)
{
    int r = kept >= 0 ? adopt_kept(arena, config, kept) : adopt_named(arena, config);

    if (r == BROKER_MISMATCH) { /* the last one died before it had removed it */
        brokerd_inherit_forget(arena->name);
        if (!arena->unlinked)
            (void)shm_unlink(arena->shm_name);
        arena->unlinked = false;
    }
    return r == 0 ||
           ((r == BROKER_NOTFOUND || r == BROKER_MISMATCH) && make(arena, config, is_private));
}

static int announce(struct bri_arena *a, void *arg)
{
    (void)arg;
    atomic_store(&a->shm->daemon_beat_ns, (uint64_t)bri_now());
    atomic_store(&a->shm->daemon_pid, (uint32_t)getpid());
    return 0;
}

/* Not the same description with less rights: one that never had more. */
static int open_for_reading(int fd)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* A private one is adopted by nobody: without a name it cannot be left behind. */
static void secure(struct brokerd_arena *arena, const struct brokerd_place *place, bool was_kept)
{
    if (place->kind == BROKERD_PRIVATE) {
        (void)shm_unlink(arena->shm_name);
        arena->unlinked = true;
    } else if (!was_kept) {
        brokerd_inherit_keep(arena->name, arena->map->fd);
    }
}

bool brokerd_arena_open(const struct brokerd_arena_config *config,
    const struct brokerd_place *place, int kept, struct brokerd_arena **out_arena)
{
    struct brokerd_arena *arena = calloc(1, sizeof(*arena));

    if (arena == NULL) {
        brokerd_log(LOG_ERR, NULL, "no memory");
        return false;
    }
    arena->read_fd = -1;
    memcpy(arena->name, config->name, sizeof(arena->name));
    (void)snprintf(
        arena->shm_name, sizeof(arena->shm_name), "/brokerd.%s.%s", place->name, config->name);
    brokerd_snapshot_sweep(arena);
    if (!open_memory(arena, config, place->kind == BROKERD_PRIVATE, kept)) {
        free(arena);
        return false;
    }
    arena->read_fd = open_for_reading(arena->map->fd);
    secure(arena, place, kept >= 0);
    arena->watched = calloc(arena->map->n_sessions, sizeof(*arena->watched));
    brokerd_arena_configure(arena, config);
    if (arena->read_fd < 0 || arena->watched == NULL ||
        brokerd_arena_run(arena, announce, NULL) < 0) {
        brokerd_log(LOG_ERR, NULL, "cannot use /dev/shm%s", arena->shm_name);
        brokerd_arena_close(arena);
        return false;
    }
    *out_arena = arena;
    return true;
}
