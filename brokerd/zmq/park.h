/*
 * park.h - operations that wait, without a thread each
 *
 * What an operation would sleep for are words of shared memory. All words that somebody here waits
 * for are watched by a few sleeper threads, each in the kernel for up to 127 of them (futex_waitv)
 * and for a call of our own. When a word moves, those who wait for it are gone on with, in the one
 * thread that all else happens in.
 *
 * To the kernel a sleeper thread is one waiter, whoever it stands for. A wake-up that it took away
 * from another process is passed on. Those who are woken by this process need neither the kernel
 * nor a thread in between.
 */
#ifndef ZMQD_PARK_H
#define ZMQD_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "core/stand_in.h"

struct zmqd_park;
struct zmqd_word;
struct zmqd_parked;

/* One who waits, among those who wait for one word. */
struct zmqd_place {
    struct zmqd_parked *who;
    struct zmqd_word *word;
    struct zmqd_place *next, *prev;
};

/* One who waits. Starts from zeros. */
struct zmqd_parked {
    struct zmqd_place one, *places; /* `places` is &one where there is one word */
    unsigned n_places;
    uint32_t bits;
    int64_t until_ns;
    uint32_t timer;          /* place among the timers, from 1; 0: none */
    bool is_ready;           /* to be gone on with */
    bool was_time;           /* its time was over, and it is to look after the dead */
    struct zmqd_word *chain; /* the lock that it is tried with, before the next one is */
    struct zmqd_parked *next_ready;
};

/* @resume goes on with one who waited; until it parks again or is done. NULL, logged, when there is
 * no memory or descriptor. */
struct zmqd_park *zmqd_park_new(sd_event *event, void (*resume)(struct zmqd_parked *p));

/* Nobody may wait any more. NULL is allowed. */
void zmqd_park_free(struct zmqd_park *park);

/* Lists @p as one who waits for @sleep; its stack may be left then. */
void zmqd_park_add(struct zmqd_park *park, struct zmqd_parked *p, const struct bri_sleep *sleep);

/* If it is parked it is to be gone on with, for another reason than a word or the time. */
void zmqd_park_hurry(struct zmqd_park *park, struct zmqd_parked *p);

/* Wakes up to @n who wait for @word under one of @bits: how many are left for the kernel to find.
 */
int zmqd_park_wake(struct zmqd_park *park, _Atomic uint32_t *word, int n, uint32_t bits);

/* Goes on with all who are ready. */
void zmqd_park_run(struct zmqd_park *park);

/* Before the loop sleeps. True if sd-event has a timer to set. */
bool zmqd_park_settle(struct zmqd_park *park);

#endif
