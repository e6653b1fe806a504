/*
 * contend.h - killing one of several processes that wait for each other
 *
 * A victim goes through its part instruction by instruction and is killed at one of them, while
 * another process sleeps: for what the victim has, for what it is about to do, or for the same as
 * the victim. The sleeper must wake in time, and not only because every sleep of the library ends
 * after a second: once the daemon has seen to the dead, a sleeper whose turn it is may not be found
 * asleep.
 */
#ifndef TESTS_CRASH_CONTEND_H
#define TESTS_CRASH_CONTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "world.h"

/* The part of a process. Gives a result, which the sleeper ends with. */
typedef int contend_part(struct actor *who);

struct contend_scenario {
    const char *name;
    void (*prepare)(struct world *w);

    contend_part *setup;  /* before all, as PEER, each time; may be NULL */
    contend_part *before; /* what the victim does before it is stepped; may be NULL */
    contend_part *victim;

    enum who sleeper;
    contend_part *sleep;
    bool victim_first; /* the victim falls asleep first, and is woken first */

    /*
     * What happens when both sleep, or the victim is dead: by somebody else. And what must happen
     * so that the sleeper can go on if the victim took with it what it waited for. Both may be
     * NULL. They work as PEER.
     */
    contend_part *trigger;
    contend_part *finish;

    contend_part *holder; /* by a third process, before all; killed by the trigger; may be NULL */
    bool no_daemon;       /* nobody reaps: the sleeper finds out by itself, within its second */
    bool bare;            /* a guard alone: the kernel does all, there is nothing to reap */
    bool every;           /* so short that every instruction is a point, not every change */
    int results[2];       /* with which the sleeper may end; the second one if it is not 0 */
};

/* Makes what the parts take as arguments. */
void contend_make_arguments(void);

extern const struct contend_scenario contend_scenarios[];
extern const unsigned n_contend_scenarios;

#endif
