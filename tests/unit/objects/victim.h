/*
 * victim.h - an arena full of objects, to be damaged; and everything that can be done with it
 * afterwards
 *
 * Damage is done to private copies of one arena, in child processes: a crash or an endless loop is
 * then one finding, with the place that was damaged, and the next place is tried.
 */
#ifndef TESTS_VICTIM_H
#define TESTS_VICTIM_H

#include <stdbool.h>

#include "core/guard.h"

/* What is in the arena. */
struct victim {
    struct bri_arena *arena;
    struct bri_object dict, queue, lock, registry; /* to be damaged */
    struct bri_object witness_dict, witness_queue; /* must not suffer */
    struct bri_object session; /* it has all of them open, leases and the lock */
};

extern struct victim victim;

/* Makes the arena. Once in a test. */
void victim_make(void);
void victim_free(void);

/* One damage to a copy of the arena. False: there are no more. Says in @out_text what it did. */
typedef bool victim_damage_fn(struct bri_arena *view, unsigned number, char out_text[128]);

/*
 * For each damage: reads, audits, writes, removes everything. No crash, no hang, no code that is
 * none. If @contained, the witnesses must be as they were, and usable. Fails the test if there were
 * findings.
 */
void victim_suffer(victim_damage_fn *damage, bool contained);

#endif
