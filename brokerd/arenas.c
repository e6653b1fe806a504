/*
 * arenas.c - see arenas.h
 */
#include "arenas.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>

#include "collect.h"
#include "core/bury.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/monitor.h"
#include "core/pages.h"
#include "core/quota.h"
#include "core/room.h"
#include "inherit.h"
#include "log.h"
#include "snapshot.h"

#define LOOKS 8u
#define LOOK_PAUSE_NS (200 * BRI_MILLISECOND)
#define COUNT_TICKS 10u /* the count of free pages is repaired this often, and after each death */
#define COUNT_AT_ONCE 1024u /* chunks, a gigabyte: a third of a millisecond */
#define TRIM_AT_ONCE 256u
#define UNSTICK_PATIENCE (-BRI_MILLISECOND)

static int set_limits(struct bri_arena *a, void *arg)
{
    const struct brokerd_arena_config *config = arg;

    bri_set_limits(a, &(struct bri_limits){.user_bytes = config->max_user_bytes,
                          .user_objects = config->max_user_objects,
                          .user_sessions = (uint32_t)config->max_user_sessions,
                          .session_objects = (uint32_t)config->max_session_objects});
    return 0;
}

void brokerd_arena_configure(struct brokerd_arena *arena, const struct brokerd_arena_config *config)
{
    const struct bri_arena *map = arena->map;

    arena->persist = config->persist;
    arena->keep_free_bytes = config->keep_free_bytes;
    arena->read = config->read;
    arena->write = config->write;
    (void)brokerd_arena_run(arena, set_limits, (void *)(uintptr_t)config);
    if (map != NULL && (map->n_sessions != config->n_sessions ||
                           map->size >> BRI_PAGE_SHIFT !=
                               (config->size_bytes + BRI_PAGE_SIZE - 1) >> BRI_PAGE_SHIFT))
        brokerd_log(LOG_WARNING, &(struct brokerd_about){.arena = arena->name},
            "the arena %s keeps its %llu bytes and %u sessions until it is made anew", arena->name,
            (unsigned long long)map->size, map->n_sessions);
}

void brokerd_arenas_check_room(const struct brokerd_arena *arenas)
{
    struct bri_room room = bri_room_look(NULL);
    uint64_t sum = 0;

    for (const struct brokerd_arena *a = arenas; a != NULL; a = a->next)
        sum += a->map != NULL ? a->map->size : 0;
    if (sum > room.limit_bytes)
        brokerd_log(LOG_WARNING, NULL,
            "the arenas may grow to %llu bytes together, but the control group of brokerd has a "
            "memory limit of %llu: an operation that lacks memory for it will fail with NOMEM",
            (unsigned long long)sum, (unsigned long long)room.limit_bytes);
}

static int say_stopped(struct bri_arena *a, void *arg)
{
    (void)arg;
    atomic_store(&a->shm->daemon_pid, 0);
    return 0;
}

void brokerd_arena_spare(struct brokerd_arena *arena)
{
    arena->persist |= arena->was_there;
}

void brokerd_arena_close(struct brokerd_arena *arena)
{
    if (arena->map != NULL && !arena->has_ended)
        (void)brokerd_arena_run(arena, say_stopped, NULL);
    if (!arena->persist && !arena->unlinked)
        (void)shm_unlink(arena->shm_name);
    brokerd_snapshot_free(arena);
    brokerd_collect_stop(arena);
    bri_arena_unmap(arena->map);
    if (arena->read_fd >= 0)
        (void)close(arena->read_fd);
    free(arena->watched);
    free(arena);
}

/* ---- running ---- */

static void end_arena(struct brokerd_arena *arena)
{
    arena->has_ended = true;
    brokerd_inherit_forget(arena->name);
    brokerd_log(LOG_ERR, &(struct brokerd_about){.arena = arena->name, .code = BROKER_CORRUPT},
        "a client has cut the memory of the arena %s short: it has ended, and its clients are "
        "dropped; a restart of "
        "brokerd after removing /dev/shm%s makes it anew",
        arena->name, arena->shm_name);
}

int brokerd_arena_run(struct brokerd_arena *arena, brokerd_guarded_fn *fn, void *arg)
{
    bool fault;
    int r;

    if (arena->map == NULL || arena->has_ended)
        return BROKER_CORRUPT;
    r = brokerd_guarded(arena->map, fn, arg, &fault);
    if (fault)
        end_arena(arena);
    return r;
}

static int unstick(struct bri_arena *a, void *arg)
{
    const uint32_t *slot = arg;
    struct bri_object o;
    struct bri_txn t;
    int r = bri_object_bind(a, *slot, &o);

    if (r < 0)
        return r;
    (void)bri_lock_bury(&o.slot->word);
    r = bri_begin(&t, &o, UNSTICK_PATIENCE);
    if (r == 0)
        bri_abort(&t);
    return r;
}

int brokerd_arena_unstick(struct brokerd_arena *arena, uint32_t slot)
{
    return brokerd_arena_run(arena, unstick, &slot);
}

static int monitor(struct bri_arena *a, void *arg)
{
    (void)arg;
    return bri_monitor_renew(a, UNSTICK_PATIENCE);
}

int brokerd_arena_monitor(struct brokerd_arena *arena)
{
    return brokerd_arena_run(arena, monitor, NULL);
}

/* ---- upkeep ---- */

/* Who died while spinning is still counted: then the count never gets below what the dead left. */
static int look_at_spinners(struct bri_arena *a, void *arg)
{
    struct brokerd_arena *arena = arg;
    uint32_t n = atomic_load(&a->shm->spinners);

    if (n > INT32_MAX) { /* more were taken off than were there */
        (void)atomic_compare_exchange_strong(&a->shm->spinners, &n, 0);
        n = 0;
    }
    if (arena->n_looks == 0 || n < arena->fewest_spinners)
        arena->fewest_spinners = n;
    if (++arena->n_looks == LOOKS && arena->fewest_spinners > 0)
        (void)atomic_fetch_sub(&a->shm->spinners, arena->fewest_spinners);
    return 0;
}

void brokerd_arena_look(struct brokerd_arena *arena, int64_t now_ns)
{
    if (brokerd_arena_next_look(arena) > now_ns)
        return;
    if (arena->someone_died) {
        arena->someone_died = false;
        arena->n_looks = 0;
        arena->n_ticks = 0;
    }
    arena->look_ns = now_ns + LOOK_PAUSE_NS;
    (void)brokerd_arena_run(arena, look_at_spinners, arena);
}

int64_t brokerd_arena_next_look(const struct brokerd_arena *arena)
{
    bool is_wanted = arena->someone_died || arena->n_looks < LOOKS;

    return is_wanted && arena->map != NULL && !arena->has_ended ? arena->look_ns : BRI_NEVER;
}

/* Memory goes back only while nobody uses up what is free. */
static void trim(struct brokerd_arena *arena, struct bri_arena *a)
{
    uint32_t n_free = atomic_load(&a->shm->n_free);
    uint64_t keep = arena->keep_free_bytes >> BRI_PAGE_SHIFT;

    if (n_free > keep && n_free >= arena->last_free && n_free <= a->n_pages)
        (void)bri_pages_trim(
            a, n_free - keep < TRIM_AT_ONCE ? (uint32_t)(n_free - keep) : TRIM_AT_ONCE);
    arena->last_free = n_free;
}

/* Who is stopped inside the registry must not stop us: then the burials wait for the next tick. */
static bool registry_is_held(struct bri_arena *a)
{
    struct bri_slot_shm *registry = bri_slot_at(a, a->first_slot);

    (void)bri_lock_bury(&registry->word);
    return (atomic_load(&registry->word) & FUTEX_TID_MASK) != 0;
}

static int tick(struct bri_arena *a, void *arg)
{
    struct brokerd_arena *arena = arg;

    atomic_store(&a->shm->daemon_beat_ns, (uint64_t)bri_now());
    (void)bri_monitor_check(a, bri_now());
    if (!registry_is_held(a))
        (void)bri_bury(a);
    arena->is_counting |= arena->n_ticks++ % COUNT_TICKS == 0;
    if (arena->is_counting)
        arena->is_counting = !bri_pages_count_on(a, &arena->count, COUNT_AT_ONCE);
    trim(arena, a);
    return 0;
}

void brokerd_arena_tick(struct brokerd_arena *arena)
{
    struct stat st;

    if (arena->map == NULL || arena->has_ended)
        return;
    /* Found here before somebody steps on it. */
    if (fstat(arena->map->fd, &st) == 0 && (uint64_t)st.st_size < arena->map->size) {
        end_arena(arena);
        return;
    }
    (void)brokerd_arena_run(arena, tick, arena);
}
