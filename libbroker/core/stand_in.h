/*
 * stand_in.h - waiting without keeping the thread
 *
 * A thread that carries out the operations of many sessions must not go to sleep in one of them. It
 * runs each on a stack of its own, and names, while it does, a stand-in: whatever would sleep in
 * the kernel then calls that, which lets the thread do other things and comes back when the sleep
 * would have been over. No operation sleeps inside a section, so another one may always begin.
 */
#ifndef BRI_STAND_IN_H
#define BRI_STAND_IN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

struct futex_waitv;

/* What it is asked to stand in for: a sleep until one of the words is not what was seen. */
struct bri_sleep {
    const struct futex_waitv *words;
    unsigned n;
    uint32_t bits; /* FUTEX_BITSET_MATCH_ANY, or those under which the only word's sleeper sleeps */
    bool is_lock;  /* of sleepers for the word one can go on, and whoever comes first may be it */
    int64_t until_ns;
};

/* What an operation is to do with its wait. */
enum bri_wait_order {
    BRI_GO_ON = 0,
    BRI_TIME_IS_UP, /* as if its timeout were over: it tries once more */
    BRI_IS_LOST,    /* nobody is there for its outcome: it ends without another try */
};

/* One operation under way. */
struct bri_stand_in {
    /* True if it was the time, and no word moved. */
    bool (*sleep)(struct bri_stand_in *self, const struct bri_sleep *sleep);
    /* Waits until @fd (-1: none) has something to be read, or the time is over: then false. */
    bool (*await)(struct bri_stand_in *self, int fd, int64_t until_ns);
    /* This thread is to wake @n who sleep for @word under one of @bits: how many are left to find
     * for the kernel. */
    int (*wake)(struct bri_stand_in *self, _Atomic uint32_t *word, int n, uint32_t bits);
    enum bri_wait_order order;
    uint32_t n_firm; /* more than 0: in a wait that no timeout ends */
    uint32_t thread; /* in the place of the kernel's id of the thread; not 0 */
};

/* Of the operation that this thread is in; NULL: it may sleep. */
extern __thread struct bri_stand_in *bri_stand_in __attribute__((tls_model("initial-exec")));

static inline bool bri_wait_is_lost(void)
{
    return bri_stand_in != NULL && bri_stand_in->order == BRI_IS_LOST;
}

static inline bool bri_wait_is_cancelled(void)
{
    return bri_stand_in != NULL && bri_stand_in->order != BRI_GO_ON && bri_stand_in->n_firm == 0;
}

/* True once a wait until @deadline_ns is over. */
static inline bool bri_wait_is_over(int64_t deadline_ns)
{
    return (deadline_ns != BRI_NEVER && bri_now() >= deadline_ns) || bri_wait_is_cancelled();
}

/* Around a wait that has no timeout of its own, inside an operation that has one. */
static inline void bri_wait_firmly(bool firmly)
{
    if (bri_stand_in != NULL)
        bri_stand_in->n_firm += firmly ? 1 : UINT32_MAX;
}

/* While the thread holds what the next operation may need, such as a mutex, it really sleeps:
 * returns what to give to bri_stand_in_resume(). */
static inline struct bri_stand_in *bri_stand_in_suspend(void)
{
    struct bri_stand_in *s = bri_stand_in;

    bri_stand_in = NULL;
    return s;
}

static inline void bri_stand_in_resume(struct bri_stand_in *s)
{
    bri_stand_in = s;
}

#endif
