/*
 * wait.h - blocking operations
 *
 * A condition that others wait for is an event count: a word of the object's slot that moves, under
 * the guard, with every change that may matter. Whoever finds its condition false reads the word
 * under the guard, spins on it for a while, and then sleeps in the kernel until it moves. Sleepers
 * are registered, in the object and in the session's attachment, by a section: so a killed sleeper
 * is counted off exactly when its session is reaped, and the waker knows without a system call that
 * nobody sleeps. A sleep ends after a second at most, for wake-ups that died with their waker.
 */
#ifndef BRI_WAIT_H
#define BRI_WAIT_H

#include "core/guard.h"

/*
 * One try of a blocking operation, inside a section: 0 or a notice (done), BRI_WAIT (the condition
 * is false and nothing was changed), or a failure. With BRI_WAIT, t->only are the bits under which
 * it sleeps: a waker that knows them need not wake the others; and it is repeated at
 * t->look_again_ns, although nobody moved the channel.
 */
typedef int bri_try_fn(struct bri_txn *t, void *arg);

/*
 * Tries until it is done or @timeout_ns (0 or more, BRI_NEVER) is over. @if_now is what to return
 * when the timeout is 0 and the condition is false (EMPTY, FULL, ...); otherwise TIMEDOUT. All that
 * bri_begin() and @try may return.
 */
int bri_blocking(struct bri_object *o, unsigned channel, int64_t timeout_ns, int if_now,
    bri_try_fn *try, void *arg);

/* As bri_blocking() for what never waits: retries only after growing. */
int bri_section(struct bri_object *o, bri_try_fn *try, void *arg);

/*
 * Waits until bri_version() of the object is not @seen, and gives it. TIMEDOUT, and what
 * bri_begin() may return.
 */
int bri_wait_change(struct bri_object *o, uint64_t seen, int64_t timeout_ns, uint64_t *out_version);

/*
 * Spins while @word is @seen, as long as waiting here has paid so far and processors are free.
 * @score is the place's memory, private to the process. True if the word moved.
 */
bool bri_spin(struct bri_object *o, _Atomic uint32_t *word, uint32_t seen, _Atomic int32_t *score);

/* Takes @n spinning threads off the arena's count: for a session that ended with them. */
void bri_stop_spinning(struct bri_arena *a, uint32_t n);

/*
 * Counts this session in (or out) as one that sleeps for @o, for types that sleep on a word of
 * their own. Only for the eye: a failure is not worth reporting. The end of the session counts it
 * out too.
 */
bool bri_count_sleeper(struct bri_object *o, unsigned channel, bool in);

/* Where it is noted how long operations slept for @o; NULL if nowhere here. */
struct bri_sleeps_shm *bri_sleeps_of(const struct bri_object *o);

/* What a session notes of one of its threads that sleeps for an object, for those who look for
 * deadlocks. It has few places for that: of those who find none nobody knows whom they wait for. */
struct bri_wait_note {
    uint32_t thread; /* the kernel's id; 0 is no note */
    unsigned channel;
    uint64_t since_ms; /* CLOCK_MONOTONIC */
};

static inline struct bri_wait_note bri_wait_note(uint64_t noted)
{
    return (struct bri_wait_note){.thread = noted & 0x3fffff, /* the kernel's largest */
        .channel = noted >> 22 & 7,
        .since_ms = noted >> 25};
}

/* Takes @att's sleepers off the object: for a session that died or left. */
void bri_forget_waiters(struct bri_txn *t, struct bri_attachment_shm *att);

#endif
