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

#include <broker.h>

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

/* The broker by whose session the arena was filled: for who puts more into it. */
broker *victim_maker(void);

/* The object of this name. */
struct bri_object victim_find(const char *name);

/* Ends the test unless @r is 0 or a notice. */
void victim_must(int r, const char *what);

/* One damage to a copy of the arena. False: there are no more. Says in @out_text what it did. */
typedef bool victim_damage_fn(struct bri_arena *view, unsigned number, char out_text[128]);

/*
 * For each damage: reads, audits, writes, removes everything. No crash, no hang, no code that is
 * none. If @contained, the witnesses must be as they were, and usable. Fails the test if there were
 * findings.
 */
void victim_suffer(victim_damage_fn *damage, bool contained);

/* The same, with another use of the damaged arena instead of what is done with the dict, the queue
 * and the lock. */
typedef void victim_use_fn(broker *b, broker_buffer *buffer);
void victim_suffer_using(victim_damage_fn *damage, victim_use_fn *use, bool contained);

/* In a victim_use_fn: any answer and any fault is right, but for codes that must never leave the
 * library. Gives what @call gave. */
#define VICTIM_DO(call) (victim_doing(#call), victim_judge((call)))
void victim_doing(const char *what); /* a literal */
int victim_judge(int r);

/* In a victim_use_fn: what can be seen of the whole arena; and its audit. */
void victim_look_around(broker *b, broker_buffer *buffer);

#endif
