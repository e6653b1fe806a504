/*
 * wait_any.c - see wait_any.h
 *
 * Those who make an object ready wake as many sleepers as they made room for. One who sleeps for
 * several may be woken by two at once and use neither: so whoever leaves passes on what it was
 * woken with, and the next one looks.
 */
#include "core/wait_any.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/lock.h"
#include "core/monitor.h"
#include "core/stand_in.h"
#include "core/type.h"
#include "core/wait.h"

#define SLICE_NS BRI_SECOND /* a wake-up may have died with its waker */

bool bri_is_ready(struct bri_object *o, struct bri_wait_word *out)
{
    return bri_type_ops(o->type)->ready(o, out) || bri_read_state(o) < 0;
}

int bri_can_wait_any(const struct bri_object *o)
{
    const struct bri_type_ops *ops = bri_type_ops(o->type);

    if (ops == NULL || ops->ready == NULL)
        return BROKER_UNSUPPORTED;
    return o->att == NULL ? BROKER_ACCESS : 0;
}

struct counted {
    bool is;
    uint32_t seen; /* the word when we were counted */
};

struct sleeper {
    struct bri_object *const *objects;
    struct bri_wait_word *words;
    struct counted *counted;
    size_t n;
    const struct bri_call *call;
};

/* The first that is ready; @n if none is. */
static size_t find_ready(struct sleeper *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (bri_is_ready(s->objects[i], &s->words[i]))
            return i;
    return s->n;
}

static bool was_called(const struct sleeper *s)
{
    return s->call != NULL && atomic_load(s->call->word) != s->call->seen;
}

/* Wakers only wake where somebody is counted, so this comes before the last look. */
static bool count_all(struct sleeper *s)
{
    bool is_new = false;

    for (size_t i = 0; i < s->n; i++) {
        if (s->counted[i].is)
            continue;
        s->counted[i].is = bri_count_sleeper(s->objects[i], s->words[i].channel, true);
        s->counted[i].seen = s->words[i].seen;
        is_new |= s->counted[i].is;
    }
    return is_new;
}

static void leave(struct sleeper *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->counted[i].is)
            continue;
        (void)bri_count_sleeper(s->objects[i], s->words[i].channel, false);
        if (atomic_load(s->words[i].word) != s->counted[i].seen)
            bri_futex_wake(s->words[i].word, 1);
    }
}

/* True if it was the time. */
static bool sleep_once(struct sleeper *s, int64_t deadline_ns)
{
    struct futex_waitv all[BRI_WAIT_ANY_MAX + 1];
    int64_t now = bri_now(), until = now + SLICE_NS, since;
    struct timespec ts;
    unsigned n = 0;
    bool was_time;

    if (until > deadline_ns)
        until = deadline_ns;
    for (size_t i = 0; i < s->n; i++)
        if (until > s->words[i].look_again_ns)
            until = s->words[i].look_again_ns;
    ts = (struct timespec){.tv_sec = until / BRI_SECOND, .tv_nsec = until % BRI_SECOND};
    for (; n < s->n; n++)
        all[n] = (struct futex_waitv){
            .val = s->words[n].seen, .uaddr = (uintptr_t)s->words[n].word, .flags = FUTEX_32};
    if (s->call != NULL)
        all[n++] = (struct futex_waitv){.val = s->call->seen,
            .uaddr = (uintptr_t)s->call->word,
            .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
    since = bri_monitor_pause(now);
    if (bri_stand_in != NULL)
        was_time = bri_stand_in->sleep(
            bri_stand_in, &(struct bri_sleep){all, n, FUTEX_BITSET_MATCH_ANY, false, until});
    else
        was_time =
            syscall(SYS_futex_waitv, all, n, 0, &ts, CLOCK_MONOTONIC) < 0 && errno == ETIMEDOUT;
    bri_monitor_resume(since);
    return was_time;
}

int bri_wait_any(struct bri_object *const objects[], size_t n, int64_t deadline_ns,
    const struct bri_call *call, size_t *out_index)
{
    struct bri_wait_word words[BRI_WAIT_ANY_MAX];
    struct counted counted[BRI_WAIT_ANY_MAX] = {0};
    struct sleeper s = {
        .objects = objects, .words = words, .counted = counted, .n = n, .call = call};
    int r = BRI_AGAIN;
    size_t i;

    while (r == BRI_AGAIN) {
        i = find_ready(&s);
        if (bri_wait_is_lost()) {
            r = BROKER_LOST;
        } else if (i < n) {
            *out_index = i;
            r = 0;
        } else if (was_called(&s)) {
            r = BRI_WAIT;
        } else if (bri_wait_is_over(deadline_ns)) {
            r = BROKER_TIMEDOUT;
        } else if (!count_all(&s) && sleep_once(&s, deadline_ns)) {
            for (size_t k = 0; k < n; k++)
                bri_look_after_dead(objects[k]);
        }
    }
    leave(&s);
    return r;
}
