/*
 * park.c - see park.h
 *
 * Words are given to sleeper threads just before the loop sleeps (flush), so that whoever comes and
 * goes in between costs no system call. A word that nobody waits for any more goes then, too.
 */
#include "park.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/lock.h"
#include "log.h"
#include "map.h"
#include "sleeper.h"

#define LOOK_NS (BRI_SECOND / 2)
#define KERNEL_EVERY 16 /* wake-up is the kernel's to give: other processes wait, too */

struct zmqd_word {
    struct zmqd_node node; /* first */
    _Atomic uint32_t *word;
    uint32_t seen; /* those who wait are to be woken when it is not this */
    bool is_lock;
    bool has_bits;  /* some wait under bits of their own */
    bool is_dirty;  /* in the list of those to flush */
    bool is_trying; /* a lock: one after the other, until one has to wait again */
    bool owes_wake; /* the kernel's wake-up was not used yet */
    int left_n;     /* of a wake-up that was left to the kernel, when the word was `left_seen` */
    uint32_t left_bits, left_seen;
    int64_t looked_ns;
    struct zmqd_place *first, *last;
    struct zmqd_sleeper *sleeper; /* NULL: not watched */
    unsigned slot;
    struct zmqd_word *next_dirty;
};

struct zmqd_park {
    void (*resume)(struct zmqd_parked *p);
    struct zmqd_map words;
    struct zmqd_word *dirty;
    struct zmqd_sleeper *sleepers;
    struct zmqd_parked *first_ready, **last_ready;
    struct zmqd_parked **timers; /* a heap, [1] is the earliest */
    uint32_t n_timers, max_timers;
    uint32_t n_wakes;
    bool is_running;
    int event_fd;
    int64_t set_ns; /* what the time source is set to */
    sd_event_source *on_moved, *on_time;
};

/* ---- timers ---- */

static void put_timer(struct zmqd_park *park, uint32_t i, struct zmqd_parked *p)
{
    park->timers[i] = p;
    p->timer = i;
}

static void sift_up(struct zmqd_park *park, uint32_t i, struct zmqd_parked *p)
{
    for (; i > 1 && park->timers[i / 2]->until_ns > p->until_ns; i /= 2)
        put_timer(park, i, park->timers[i / 2]);
    put_timer(park, i, p);
}

static void sift_down(struct zmqd_park *park, uint32_t i, struct zmqd_parked *p)
{
    uint32_t child;

    while ((child = 2 * i) <= park->n_timers) {
        if (child < park->n_timers &&
            park->timers[child + 1]->until_ns < park->timers[child]->until_ns)
            child++;
        if (park->timers[child]->until_ns >= p->until_ns)
            break;
        put_timer(park, i, park->timers[child]);
        i = child;
    }
    put_timer(park, i, p);
}

/* False without memory. */
static bool add_timer(struct zmqd_park *park, struct zmqd_parked *p)
{
    if (park->n_timers + 1 >= park->max_timers) {
        uint32_t max = park->max_timers > 0 ? 2 * park->max_timers : 64;
        struct zmqd_parked **bigger = realloc(park->timers, max * sizeof(struct zmqd_parked *));

        if (bigger == NULL)
            return false;
        park->timers = bigger;
        park->max_timers = max;
    }
    sift_up(park, ++park->n_timers, p);
    return true;
}

static void remove_timer(struct zmqd_park *park, struct zmqd_parked *p)
{
    uint32_t i = p->timer;
    struct zmqd_parked *last = park->timers[park->n_timers];

    p->timer = 0;
    park->n_timers--;
    if (last == p)
        return;
    if (i > 1 && park->timers[i / 2]->until_ns > last->until_ns)
        sift_up(park, i, last);
    else
        sift_down(park, i, last);
}

/* ---- words ---- */

static struct zmqd_word *find_word(const struct zmqd_park *park, _Atomic uint32_t *word)
{
    struct zmqd_node *node;

    if (park->words.n == 0)
        return NULL;
    node = zmqd_map_first(&park->words, zmqd_hash(&word, sizeof(void *)));
    while (node != NULL && ((struct zmqd_word *)node)->word != word)
        node = zmqd_map_next(node);
    return (struct zmqd_word *)node;
}

static void make_dirty(struct zmqd_park *park, struct zmqd_word *w)
{
    if (w->is_dirty)
        return;
    w->is_dirty = true;
    w->next_dirty = park->dirty;
    park->dirty = w;
}

static struct zmqd_word *get_word(struct zmqd_park *park, _Atomic uint32_t *word)
{
    struct zmqd_word *w = find_word(park, word);

    if (w != NULL)
        return w;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->word = word;
    if (zmqd_map_add(&park->words, &w->node, zmqd_hash(&word, sizeof(void *))) == 0)
        return w;
    free(w);
    return NULL;
}

static void list_place(struct zmqd_word *w, struct zmqd_place *place)
{
    place->word = w;
    place->next = NULL;
    place->prev = w->last;
    if (w->last != NULL)
        w->last->next = place;
    else
        w->first = place;
    w->last = place;
}

static void unlist_place(struct zmqd_park *park, struct zmqd_place *place)
{
    struct zmqd_word *w = place->word;

    if (w == NULL)
        return;
    if (place->prev != NULL)
        place->prev->next = place->next;
    else
        w->first = place->next;
    if (place->next != NULL)
        place->next->prev = place->prev;
    else
        w->last = place->prev;
    place->word = NULL;
    if (w->first == NULL)
        make_dirty(park, w);
}

/* ---- being ready ---- */

static void make_ready(struct zmqd_park *park, struct zmqd_parked *p)
{
    if (p->is_ready)
        return;
    for (unsigned i = 0; i < p->n_places; i++)
        unlist_place(park, &p->places[i]);
    if (p->timer != 0)
        remove_timer(park, p);
    p->is_ready = true;
    p->next_ready = NULL;
    *park->last_ready = p;
    park->last_ready = &p->next_ready;
}

static void make_all_ready(struct zmqd_park *park, struct zmqd_word *w)
{
    while (w->first != NULL)
        make_ready(park, w->first->who);
}

/* The next one who waits for a lock tries it. */
static void try_next(struct zmqd_park *park, struct zmqd_word *w)
{
    struct zmqd_parked *p;

    w->is_trying = w->first != NULL;
    if (w->first == NULL)
        return;
    p = w->first->who;
    p->chain = w;
    make_ready(park, p);
}

/* Nobody here has use for it. */
static void pass_on(struct zmqd_word *w)
{
    if (w->owes_wake)
        bri_futex_wake(w->word, w->has_bits ? INT_MAX : 1);
    w->owes_wake = false;
}

void zmqd_park_hurry(struct zmqd_park *park, struct zmqd_parked *p)
{
    if (p->timer != 0)
        make_ready(park, p);
}

/* Up to @n of those who wait under one of @bits: how many were not found. */
static int make_some_ready(struct zmqd_park *park, struct zmqd_word *w, int n, uint32_t bits)
{
    struct zmqd_place *place, *next;

    for (place = w->first; place != NULL && n > 0; place = next) {
        next = place->next;
        if ((place->who->bits & bits) == 0)
            continue;
        make_ready(park, place->who);
        n -= n < INT_MAX;
    }
    return n;
}

int zmqd_park_wake(struct zmqd_park *park, _Atomic uint32_t *word, int n, uint32_t bits)
{
    struct zmqd_word *w = find_word(park, word);
    bool is_kernels;
    uint32_t now;
    int more;

    if (w == NULL || w->first == NULL)
        return n;
    is_kernels = n < INT_MAX && ++park->n_wakes % KERNEL_EVERY == 0;
    if (w->is_lock) {
        if (!is_kernels)
            try_next(park, w);
        return is_kernels || n == INT_MAX ? n : n - 1;
    }
    now = atomic_load(word);
    if (now != w->seen + 1 + (w->left_n > 0)) { /* somebody else moved it, too */
        w->left_n = 0;
        make_all_ready(park, w);
        return n;
    }
    if (is_kernels && w->left_n == 0) {
        w->left_n = n;
        return n;
    }
    more = w->left_n; /* the kernel's choice may have been nobody, while the thread was called */
    w->left_n = 0;
    w->seen = now;
    make_dirty(park, w);
    if (more > 0)
        (void)make_some_ready(park, w, more, FUTEX_BITSET_MATCH_ANY);
    return make_some_ready(park, w, n, bits);
}

static void word_moved(struct zmqd_park *park, struct zmqd_word *w, bool was_woken)
{
    uint32_t now = atomic_load(w->word);
    bool is_ours = w->left_n > 0 && now == w->seen + 1;
    int n = w->left_n;

    w->left_n = 0;
    w->seen = now;
    make_dirty(park, w);
    if (is_ours && !w->is_lock) {
        (void)make_some_ready(park, w, n, FUTEX_BITSET_MATCH_ANY);
        return;
    }
    w->owes_wake |= was_woken;
    if (w->is_lock && w->first != NULL) {
        try_next(park, w);
        return;
    }
    pass_on(w);
    make_all_ready(park, w);
}

/* One who was tried with a lock is parked again, or went on: then the next one is tried, for whom
 * the lock may be free again, or gone. */
static void went_on(struct zmqd_park *park, struct zmqd_word *w)
{
    if (!w->is_trying) {
        pass_on(w);
        return;
    }
    w->owes_wake = false;
    try_next(park, w);
}

void zmqd_park_run(struct zmqd_park *park)
{
    struct zmqd_parked *p;
    struct zmqd_word *w;

    if (park->is_running)
        return;
    park->is_running = true;
    while ((p = park->first_ready) != NULL) {
        park->first_ready = p->next_ready;
        if (p->next_ready == NULL)
            park->last_ready = &park->first_ready;
        p->is_ready = false;
        if (p->places != &p->one)
            free(p->places);
        p->places = NULL;
        p->n_places = 0;
        w = p->chain;
        p->chain = NULL;
        park->resume(p);
        if (w != NULL)
            went_on(park, w);
    }
    park->is_running = false;
}

/* ---- parking ---- */

/* Those who waited for another value are woken: it has moved. */
static void add_place(struct zmqd_park *park, struct zmqd_parked *p, struct zmqd_place *place,
    const struct futex_waitv *wanted, const struct bri_sleep *sleep)
{
    struct zmqd_word *w = get_word(park, (_Atomic uint32_t *)(uintptr_t)wanted->uaddr);

    place->who = p;
    place->word = NULL;
    if (w != NULL && w->last != NULL && w->last->who == p)
        return; /* it waits for the same word twice */
    if (w == NULL)
        return; /* without memory it is looked at again when the time is over */
    if (w->first != NULL && w->seen != (uint32_t)wanted->val && !sleep->is_lock)
        make_all_ready(park, w);
    w->is_trying = false;
    w->seen = (uint32_t)wanted->val;
    w->is_lock = sleep->is_lock;
    w->has_bits |= sleep->bits != FUTEX_BITSET_MATCH_ANY;
    list_place(w, place);
    make_dirty(park, w);
}

/* Then there is nothing to wait for. */
static bool has_moved(const struct bri_sleep *sleep)
{
    for (unsigned i = 0; i < sleep->n; i++)
        if (atomic_load((_Atomic uint32_t *)(uintptr_t)sleep->words[i].uaddr) !=
            (uint32_t)sleep->words[i].val)
            return true;
    return false;
}

void zmqd_park_add(struct zmqd_park *park, struct zmqd_parked *p, const struct bri_sleep *sleep)
{
    p->places = &p->one;
    p->n_places = sleep->n;
    if (sleep->n > 1) {
        p->places = calloc(sleep->n, sizeof(struct zmqd_place));
        p->n_places = p->places != NULL ? sleep->n : 0;
    }
    p->bits = sleep->bits;
    p->until_ns = sleep->until_ns;
    p->was_time = false;
    for (unsigned i = 0; i < p->n_places; i++)
        add_place(park, p, &p->places[i], &sleep->words[i], sleep);
    if (!add_timer(park, p) || has_moved(sleep))
        make_ready(park, p);
}

/* ---- events ---- */

static struct zmqd_sleeper *with_room(struct zmqd_park *park)
{
    struct zmqd_sleeper *s = park->sleepers;

    while (s != NULL && s->n_used == ZMQD_SLEEPER_WORDS)
        s = s->next;
    if (s != NULL)
        return s;
    s = zmqd_sleeper_start(park->event_fd);
    if (s != NULL) {
        s->next = park->sleepers;
        park->sleepers = s;
    }
    return s;
}

static void drop_word(struct zmqd_park *park, struct zmqd_word *w)
{
    struct zmqd_sleeper *s = w->sleeper;

    pass_on(w);
    if (s != NULL) {
        (void)pthread_mutex_lock(&s->mutex);
        s->slots[w->slot] = (struct zmqd_slot){0};
        (void)pthread_mutex_unlock(&s->mutex);
        s->n_used--;
    }
    zmqd_map_remove(&park->words, &w->node);
    free(w);
}

/* Without a thread the time alone wakes those who wait. */
static void watch_word(struct zmqd_park *park, struct zmqd_word *w)
{
    struct zmqd_sleeper *s = w->sleeper != NULL ? w->sleeper : with_room(park);
    struct zmqd_slot *slot;

    if (s == NULL)
        return;
    (void)pthread_mutex_lock(&s->mutex);
    if (w->sleeper == NULL) {
        for (w->slot = 0; s->slots[w->slot].owner != NULL;)
            w->slot++;
        w->sleeper = s;
        s->n_used++;
        s->slots[w->slot] = (struct zmqd_slot){.owner = w, .word = w->word};
    }
    slot = &s->slots[w->slot];
    if (!slot->has_moved) {
        s->is_changed |= !slot->is_armed; /* else it sleeps already, or is about to look */
        slot->is_armed = true;
        slot->seen = w->seen;
    }
    slot->is_lock = w->is_lock;
    (void)pthread_mutex_unlock(&s->mutex);
}

static void flush(struct zmqd_park *park)
{
    struct zmqd_word *w;

    while ((w = park->dirty) != NULL) {
        park->dirty = w->next_dirty;
        w->is_dirty = false;
        if (w->first == NULL)
            drop_word(park, w);
        else
            watch_word(park, w);
    }
    for (struct zmqd_sleeper *s = park->sleepers; s != NULL; s = s->next) {
        if (s->is_changed)
            zmqd_sleeper_call(s);
        s->is_changed = false;
    }
}

bool zmqd_park_settle(struct zmqd_park *park)
{
    int64_t next;

    zmqd_park_run(park);
    flush(park);
    next = park->n_timers > 0 ? park->timers[1]->until_ns : BRI_NEVER;
    if (next == park->set_ns)
        return false;
    park->set_ns = next;
    (void)sd_event_source_set_time(park->on_time, (uint64_t)(next / 1000 + (next % 1000 > 0)));
    (void)sd_event_source_set_enabled(
        park->on_time, next != BRI_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    return true;
}

/* Of all who wait for the same, one looks after the dead. For locks everybody has his own reasons.
 */
static bool is_to_look(const struct zmqd_parked *p, int64_t now)
{
    struct zmqd_word *w = p->n_places == 1 ? p->places[0].word : NULL;

    if (w == NULL || w->is_lock)
        return true;
    if (now - w->looked_ns < LOOK_NS)
        return false;
    w->looked_ns = now;
    return true;
}

static int on_time(sd_event_source *source, uint64_t usec, void *arg)
{
    struct zmqd_park *park = arg;
    int64_t now = bri_now();
    struct zmqd_parked *p;

    (void)source;
    (void)usec;
    park->set_ns = 0; /* to be set again */
    while (park->n_timers > 0 && (p = park->timers[1])->until_ns <= now) {
        p->was_time = is_to_look(p, now);
        make_ready(park, p);
    }
    zmqd_park_run(park);
    return 0;
}

static void take_moved(struct zmqd_park *park, struct zmqd_sleeper *s)
{
    struct moved {
        struct zmqd_word *word;
        bool was_woken;
    } moved[ZMQD_SLEEPER_WORDS];
    unsigned n = 0;

    (void)pthread_mutex_lock(&s->mutex);
    for (unsigned i = 0; i < ZMQD_SLEEPER_WORDS; i++) {
        struct zmqd_slot *slot = &s->slots[i];

        if (!slot->has_moved)
            continue;
        slot->has_moved = false;
        moved[n++] = (struct moved){slot->owner, slot->was_woken};
    }
    (void)pthread_mutex_unlock(&s->mutex);
    for (unsigned i = 0; i < n; i++)
        word_moved(park, moved[i].word, moved[i].was_woken);
}

static int on_moved(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    struct zmqd_park *park = arg;
    eventfd_t ignored;

    (void)source;
    (void)revents;
    (void)eventfd_read(fd, &ignored);
    for (struct zmqd_sleeper *s = park->sleepers; s != NULL; s = s->next)
        if (atomic_exchange(&s->has_moved, false))
            take_moved(park, s);
    zmqd_park_run(park);
    return 0;
}

struct zmqd_park *zmqd_park_new(sd_event *event, void (*resume)(struct zmqd_parked *p))
{
    struct zmqd_park *park = calloc(1, sizeof(*park));

    if (park == NULL) {
        brokerd_log(LOG_ERR, NULL, "no memory");
        return NULL;
    }
    park->resume = resume;
    park->last_ready = &park->first_ready;
    park->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (park->event_fd < 0 ||
        sd_event_add_io(event, &park->on_moved, park->event_fd, EPOLLIN, on_moved, park) < 0 ||
        sd_event_add_time(event, &park->on_time, CLOCK_MONOTONIC, 0, 1, on_time, park) < 0) {
        brokerd_log(LOG_ERR, NULL, "cannot watch for what is waited for");
        zmqd_park_free(park);
        return NULL;
    }
    return park;
}

void zmqd_park_free(struct zmqd_park *park)
{
    if (park == NULL)
        return;
    flush(park);
    for (struct zmqd_sleeper *s = park->sleepers, *next; s != NULL; s = next) {
        next = s->next;
        zmqd_sleeper_stop(s);
    }
    (void)sd_event_source_disable_unref(park->on_moved);
    (void)sd_event_source_disable_unref(park->on_time);
    if (park->event_fd >= 0)
        (void)close(park->event_fd);
    zmqd_map_clear(&park->words);
    free(park->timers);
    free(park);
}
