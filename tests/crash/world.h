/*
 * world.h - the arena that operations are killed in, and copies of it
 *
 * A world is an arena and three sessions in it: of the victim, who is killed; of a peer, who goes
 * on; and of a third, who has holdings of its own in some start states. Copies of the live world
 * are seen through bri_arena_view(), and the same actors stand at the same offsets in them.
 */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <broker/options.h>

#include "client/handle.h"

#define WORLD_PAGES 256u
#define WORLD_SESSIONS 6u /* as many slots as fit into the page that four would take */

enum who { PEER, VICTIM, OTHER, N_ACTORS };
enum what {
    DICT,
    QUEUE,
    LOCK,
    SEMAPHORE,
    EVENT,
    BARRIER,
    RLOCK,
    CONDITION,
    LIST,
    VALUE,
    ARRAY,
    NAMESPACE,
    PIPE,
    CONDITION_LOCK, /* that a condition shares */
    N_HANDLES
};

struct actor {
    broker *broker;
    struct bri_handle
        handles[N_HANDLES];   /* of the objects "dict", "queue", ...; zero if it has none */
    int64_t answer;           /* what its last operation gave besides its result: a number, ... */
    const broker_buffer *out; /* ... or bytes */
};

struct world {
    struct bri_arena *arena;
    struct actor actors[N_ACTORS];
};

/* What a start state is made of. All of these end the program when they fail. */
void world_new(struct world *w, uint64_t seed);
void world_free(struct world *w);
void world_open_dict(struct world *w, enum who who, uint64_t quota_bytes);
void world_open_queue(struct world *w, enum who who, const broker_queue_options *options);
void world_open_lock(struct world *w, enum who who, const broker_lock_options *options);
void world_open_list(struct world *w, enum who who, uint64_t quota_bytes);

/* Fills a dict until no page that has memory is free. */
void world_exhaust(struct world *w);
void world_open_array(struct world *w, enum who who, const broker_array_options *options);
void world_open_pipe(struct world *w, enum who who, const broker_pipe_options *options);
void world_open_namespace(struct world *w, enum who who, const broker_namespace_options *options);
void world_open_value(struct world *w, enum who who, const broker_number_options *options);

/*
 * Makes what @who has just opened its own, and has the broker forget it: what opens the object
 * again then attaches again.
 */
void world_keep_handle(struct world *w, enum who who, enum what what, struct bri_handle *h);

/*
 * A process that does @run as @who, falls asleep in it, for @what, and is killed then. Nobody reaps
 * the session, so what it was counted for stays.
 */
void world_die_asleep(struct actor *who, enum what what, int (*run)(struct actor *who));

/* A world with no contents yet. */
void world_new_copy(struct world *copy);
void world_free_copy(struct world *copy);

/* Forgets the handles that operations have opened since; what they had attached stays. */
void world_forget_handles(struct world *w);

/* Makes the actors of @copy, whose memory has contents of @w's arena already, those of @w. */
void world_copy_actors(struct world *copy, const struct world *w);

/* The bytes of a world's arena, all WORLD_PAGES of them. */
static inline uint8_t *world_bytes(const struct world *w)
{
    return w->arena->base;
}

/*
 * The pages of an arena that count: the fixed tables and those that somebody has. Not the ones that
 * a session fills outside the guard, unless @reserved: until they are linked in, nobody else may
 * read a byte of them.
 */
struct world_pages {
    uint32_t n;
    uint16_t pages[WORLD_PAGES];
};
void world_pages(const struct bri_arena *a, bool reserved, struct world_pages *out);

/* Copies the pages that count. */
void world_copy_pages(const struct world_pages *pages, const uint8_t *from, uint8_t *to);

/*
 * Brings the pages of @seen up to what @now has. True if something was different. @out_pages are
 * the pages that count in it then; they must be those of @seen before.
 */
bool world_follow(
    const struct bri_arena *now, uint8_t *seen, bool reserved, struct world_pages *pages);

/* The same if nothing can be different but @page. */
bool world_follow_page(const struct bri_arena *now, uint8_t *seen, bool reserved, uint32_t page,
    struct world_pages *pages);

/* Ends the program, with a message, unless @r is 0 or a notice. */
void must(int r, const char *what);
#define MUST(expression) must((expression), #expression)

#endif
