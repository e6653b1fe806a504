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
typedef int contend_run(struct actor *who);

struct contend_scenario {
    const char *name;
    void (*prepare)(struct world *w);

    contend_run *before; /* what the victim does before it is stepped; may be NULL */
    contend_run *victim;

    enum who sleeper;
    contend_run *sleep;
    bool victim_first; /* the victim falls asleep first, and is woken first */

    /*
     * What happens when both sleep, or the victim is dead: by somebody else. And what must happen
     * so that the sleeper can go on if the victim took with it what it waited for. Both may be
     * NULL. They work as PEER.
     */
    contend_run *trigger;
    contend_run *finish;

    contend_run
        *holder;    /* by a third process, before all; killed by the trigger; NULL: there is none */
    bool no_daemon; /* nobody reaps: the sleeper finds out by itself, within its second */
    int results[3]; /* with which the sleeper may end, up to the first 0 and with it */
};

extern const struct contend_scenario contend_scenarios[];
extern const unsigned n_contend_scenarios;

#endif
