/*
 * snapshot.h - when arenas are saved, and when they are loaded
 *
 * Both are done by processes of their own (snapshot_child.h): they wait for disks, need as much
 * memory as the largest object, and read what others wrote; none of that is for the daemon. A save
 * is begun at the arena's interval, when it is asked for, and when the daemon is stopped; never two
 * of one arena at a time.
 */
#ifndef BROKERD_SNAPSHOT_H
#define BROKERD_SNAPSHOT_H

#include "clients.h"

/* Takes over what the configuration says of @arena; for a new arena as well. False, logged, if that
 * can't be. */
bool brokerd_snapshot_configure(
    struct brokerd *d, struct brokerd_arena *arena, const struct brokerd_arena_config *config);

/* Saves the client's arena, and answers him when that is done. */
void brokerd_snapshot_ask(struct brokerd_client *c);

/*
 * Has all arenas saved that are to be, and the event loop end after that. Until then everything
 * goes on.
 */
void brokerd_snapshot_stop(struct brokerd *d);

/* Has the event loop end, if all that was to be saved for that is. */
void brokerd_snapshot_end_if_stopped(struct brokerd *d);

/* Ends what is under way: no save goes on after this. */
void brokerd_snapshot_free(struct brokerd_arena *arena);

/*
 * Saves the arena, which is sealed, for a daemon that knows another layout. When that is done its
 * memory is removed with the end of this one; if it cannot be, it is unsealed and stays.
 */
void brokerd_snapshot_hand_over(
    struct brokerd *d, struct brokerd_arena *arena, const struct brokerd_arena_config *config);

#define BROKERD_SNAPSHOT_PREFIX (sizeof(((struct brokerd_arena *)0)->shm_name) + 16)

/* What the names of the arena's snapshots begin with, or those of what was handed over. */
void brokerd_snapshot_prefix(
    const struct brokerd_arena *arena, bool handed_over, char out[BROKERD_SNAPSHOT_PREFIX]);

/* What loading came to. */
enum brokerd_loaded {
    BROKERD_NOTHING_TO_LOAD,
    BROKERD_LOADED,     /* the arena is there, under its name, and whole */
    BROKERD_NOT_LOADED, /* logged; there is something that must not be lost: do not go on */
};

/*
 * Makes the memory of @arena from its last good snapshot, in a file that gets its name
 * @arena->shm_name when all is there.
 */
enum brokerd_loaded brokerd_snapshot_load(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config);

/* The same from what a daemon that knew another layout has handed over, if it has. */
enum brokerd_loaded brokerd_snapshot_take_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config);

/* Says whether there is something that was handed over; and removes it, for it is in memory. */
bool brokerd_snapshot_is_handed_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config);
void brokerd_snapshot_taken_over(
    const struct brokerd_arena *arena, const struct brokerd_arena_config *config);

/* What an earlier daemon's death left of a loading. */
void brokerd_snapshot_sweep(const struct brokerd_arena *arena);

#endif
