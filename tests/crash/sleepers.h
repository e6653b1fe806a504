/*
 * sleepers.h - those who sleep for something while somebody dies
 *
 * Each runs on a stack of its own in this thread; in the place of the kernel, which would put it to
 * sleep, it comes back to us (core/stand_in.h), and goes on when we say so. Who is woken is decided
 * as the kernel does it: the first to have fallen asleep on the word, if it shares a bit.
 *
 * They can begin once more in a copy of the world as it was before, and come to sleep as they did;
 * the memory may then become what a waker has left of it at its death.
 */
#ifndef TESTS_CRASH_SLEEPERS_H
#define TESTS_CRASH_SLEEPERS_H

#include <stdbool.h>
#include <stdint.h>

#include "cases.h"
#include "picture.h"

/* What a waker has asked of the kernel up to its death. */
#define MAX_WAKES 64u
struct wakes {
    _Atomic uint32_t n;
    struct wake {
        uint64_t off; /* of the word in the arena */
        int n;
        uint32_t bits;
    } wakes[MAX_WAKES];
};

/*
 * From now on whatever is woken by this thread is noted in @wakes, which may lie in memory that is
 * shared with the parent, and @noted (may be NULL) is called behind each. @base is the arena's.
 */
void sleepers_note_wakes(struct wakes *wakes, uint8_t *base, void (*noted)(void));

/* Has the operation's sleepers fall asleep in @w, and the rest happen that comes before it. Until
 * sleepers_end() this thread wakes them, and never sleeps. */
void sleepers_begin(struct world *w, const struct crash_operation *operation);
void sleepers_end(void);

/* What was asked of the kernel. */
void sleepers_wake(const struct world *w, const struct wakes *wakes);

/* The second after which each looks for himself is over. */
void sleepers_wait(void);

/* Lets those who were woken go on until they have come to their end or sleep. How many sleep. */
unsigned sleepers_run(void);

/* How far each is. */
void sleepers_show(struct text *x);

#endif
