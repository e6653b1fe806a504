/*
 * arenas.h - the daemon's arenas: making or adopting them, and what is done for them once a second
 *
 * All access to the memory goes through brokerd_arena_run(). An arena that was cut short has ended:
 * it is not touched any more, and nobody can attach to it until brokerd starts anew.
 */
#ifndef BROKERD_ARENAS_H
#define BROKERD_ARENAS_H

#include "config.h"
#include "core/arena.h"
#include "core/pages.h"
#include "place.h"
#include "sigbus.h"

struct brokerd_collect;
struct brokerd_snapshots;

struct brokerd_arena {
    struct brokerd_arena *next;
    char name[BROKERD_NAME_MAX + 1];
    char shm_name[2 * BROKERD_NAME_MAX + 16];
    struct bri_arena *map; /* NULL once it has ended */
    uint64_t *watched; /* by number of session: generation of the one that a client here stands for;
                          0 is none */
    int read_fd;       /* opened for reading only: what readers are given */
    bool persist;
    bool was_there; /* made by an earlier daemon */
    bool unlinked;  /* it has no name: a private one, or one that only the service manager kept */
    bool is_pinned; /* sealed for a handover, and somebody has pointers into it */
    bool has_ended; /* found cut short; the clients are to be dropped */
    uint64_t keep_free_bytes;
    struct brokerd_rule read, write;
    struct brokerd_collect *collect;     /* NULL when the memory is not looked after */
    struct brokerd_snapshots *snapshots; /* NULL: it is not saved */
    /* upkeep */
    bool someone_died; /* since the counters were last repaired */
    unsigned n_looks;  /* at the count of spinners, since somebody died */
    int64_t look_ns;   /* when the next one is due */
    uint32_t fewest_spinners;
    uint32_t last_free;
    unsigned n_ticks;
    bool is_counting;
    struct bri_page_count count;
};

/*
 * Opens the arena that is left from an earlier daemon, or makes it. @kept is its memory as the
 * service manager kept it, or -1; ours from here on. False, logged, when it cannot: then nothing of
 * what is there was changed.
 */
bool brokerd_arena_open(const struct brokerd_arena_config *config,
    const struct brokerd_place *place, int kept, struct brokerd_arena **out_arena);

/*
 * Warns if the arenas could become larger than the memory limit of our control group: what they
 * lack then is told to clients as NOMEM. @arenas is a list.
 */
void brokerd_arenas_check_room(const struct brokerd_arena *arenas);

/* Takes over what may change while it runs: rules, `persist`, `keep_free`. Names what would need a
 * restart. */
void brokerd_arena_configure(
    struct brokerd_arena *arena, const struct brokerd_arena_config *config);

/* From here on what an earlier daemon made is not removed: we could not start, and nobody asked for
 * a stop. */
void brokerd_arena_spare(struct brokerd_arena *arena);

/* Lets go of it, in good order; its memory stays if it is persistent. */
void brokerd_arena_close(struct brokerd_arena *arena);

/* Runs @fn on the memory. CORRUPT when the arena has ended, be it just now. */
int brokerd_arena_run(struct brokerd_arena *arena, brokerd_guarded_fn *fn, void *arg);

/*
 * Recovers what a dead owner left in the object in @slot. Somebody alive, who is stopped perhaps,
 * is not waited for: TIMEDOUT. And what bri_begin() says.
 */
int brokerd_arena_unstick(struct brokerd_arena *arena, uint32_t slot);

/* Renews the lease of who monitors, for one who may not write. NOMEM, TIMEDOUT. */
int brokerd_arena_monitor(struct brokerd_arena *arena);

/* The work of every second. */
void brokerd_arena_tick(struct brokerd_arena *arena);

/* A look at the count of spinners, to find those that died, if it is time for one. */
void brokerd_arena_look(struct brokerd_arena *arena, int64_t now_ns);

/* When the next one is due; BRI_NEVER if there is nothing to look for. */
int64_t brokerd_arena_next_look(const struct brokerd_arena *arena);

#endif
