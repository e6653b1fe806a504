/*
 * sleeper.c - see sleeper.h
 *
 * The thread works from a copy of its slots. A wake-up for a word that is not among them any more
 * is another's: it is passed on here. The memory of a word must stay mapped for ever.
 */
#include "sleeper.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/lock.h"

struct set {
    struct futex_waitv words[ZMQD_SLEEPER_WORDS + 1];
    unsigned slot[ZMQD_SLEEPER_WORDS];
    unsigned n;
};

static _Atomic uint32_t *word_of(const struct set *set, unsigned i)
{
    return (_Atomic uint32_t *)(uintptr_t)set->words[i].uaddr;
}

static void copy_slots(struct zmqd_sleeper *s, struct set *set)
{
    set->n = 0;
    for (unsigned i = 0; i < ZMQD_SLEEPER_WORDS; i++) {
        const struct zmqd_slot *slot = &s->slots[i];

        if (!slot->is_armed)
            continue;
        set->words[set->n] = (struct futex_waitv){
            .val = slot->seen, .uaddr = (uintptr_t)slot->word, .flags = FUTEX_32};
        set->slot[set->n++] = i;
    }
    set->words[set->n] = (struct futex_waitv){.val = atomic_load(&s->call),
        .uaddr = (uintptr_t)&s->call,
        .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
}

/* The kernel says of one word that it was woken; others may have been, too. True if there is
 * something for the other thread to do. */
static bool look_at(struct zmqd_sleeper *s, const struct set *set, unsigned i, long woken)
{
    struct zmqd_slot *slot = &s->slots[set->slot[i]];
    uint32_t now = atomic_load(word_of(set, i));
    bool was_woken = woken == (long)i || (woken >= 0 && now != set->words[i].val);

    if (!was_woken && now == set->words[i].val)
        return false;
    if (slot->word != word_of(set, i) || !slot->is_armed ||
        (slot->seen == now && !(slot->is_lock && was_woken))) {
        if (was_woken) /* what the other thread knows of already, or does not wait for any more */
            bri_futex_wake(word_of(set, i), INT_MAX);
        return false;
    }
    slot->is_armed = false;
    slot->has_moved = true;
    slot->was_woken = was_woken;
    return true;
}

static void *run(void *arg)
{
    struct zmqd_sleeper *s = arg;
    struct set set;
    bool has_moved;
    long woken;

    (void)pthread_mutex_lock(&s->mutex);
    while (!s->must_end) {
        copy_slots(s, &set);
        (void)pthread_mutex_unlock(&s->mutex);
        woken = syscall(SYS_futex_waitv, set.words, set.n + 1, 0, NULL, 0);
        (void)pthread_mutex_lock(&s->mutex);
        has_moved = false;
        for (unsigned i = 0; i < set.n; i++)
            has_moved |= look_at(s, &set, i, woken);
        if (has_moved && !atomic_exchange(&s->has_moved, true))
            (void)eventfd_write(s->event_fd, 1);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return NULL;
}

struct zmqd_sleeper *zmqd_sleeper_start(int event_fd)
{
    struct zmqd_sleeper *s = calloc(1, sizeof(*s));
    sigset_t all, before;
    int r;

    if (s == NULL)
        return NULL;
    s->event_fd = event_fd;
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&s->thread, NULL, run, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return s;
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
    return NULL;
}

void zmqd_sleeper_call(struct zmqd_sleeper *s)
{
    (void)atomic_fetch_add(&s->call, 1);
    bri_futex_wake_private(&s->call, 1);
}

void zmqd_sleeper_stop(struct zmqd_sleeper *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->must_end = true;
    (void)pthread_mutex_unlock(&s->mutex);
    zmqd_sleeper_call(s);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}
