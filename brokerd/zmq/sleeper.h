/*
 * sleeper.h - a thread that stands in the kernel for words of shared memory; see park.h
 */
#ifndef ZMQD_SLEEPER_H
#define ZMQD_SLEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ZMQD_SLEEPER_WORDS 127u /* one less than the kernel takes */

struct zmqd_slot {
    void *owner; /* NULL: free */
    _Atomic uint32_t *word;
    uint32_t seen;
    bool is_lock; /* it may be again what it was when it is looked at */
    bool is_armed;
    bool has_moved;
    bool was_woken; /* the kernel woke this thread, maybe in another's place */
};

struct zmqd_sleeper {
    struct zmqd_sleeper *next;
    pthread_t thread;
    pthread_mutex_t mutex;
    int event_fd;                               /* told when words have moved */
    _Atomic uint32_t call;                      /* moves when the slots were changed */
    _Atomic bool has_moved;                     /* a slot has */
    bool must_end;                              /* [mutex] */
    bool is_changed;                            /* the other thread's: it has to be called */
    unsigned n_used;                            /* the other thread's */
    struct zmqd_slot slots[ZMQD_SLEEPER_WORDS]; /* [mutex] */
};

/* Starts one; it writes to @event_fd. NULL without memory or thread. */
struct zmqd_sleeper *zmqd_sleeper_start(int event_fd);

/* Has it look at its slots again. */
void zmqd_sleeper_call(struct zmqd_sleeper *s);

/* Ends the thread. */
void zmqd_sleeper_stop(struct zmqd_sleeper *s);

#endif
