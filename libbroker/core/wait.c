/*
 * wait.c - see wait.h
 */
#include "core/wait.h"

#include <linux/futex.h>
#include <stddef.h>

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/lock.h"
#include "core/monitor.h"
#include "core/pages.h"
#include "core/session.h"
#include "core/spin.h"
#include "core/stand_in.h"
#include "core/type.h"

#define BRIEF_NS 2000 /* spun by everybody: the other side is often just about to act */
#define LONG_NS 50000 /* about the price of a sleep and a wake-up */
#define PATIENCE_AT_ONCE                                                                           \
    (-100 * BRI_MILLISECOND) /* for a guard, by those who do not want to wait */
#define SLEEPS_WORDS ((ptrdiff_t)(sizeof(struct bri_sleeps_shm) / sizeof(uint64_t)))
#define SCORE_MAX 16
#define LOOK_AT_CLOCK 16
#define BURST_PAUSES 16 /* about a microsecond */
#define BURST_MOVES 4
#define BURST_MAX 8
#define BURST_PROBE 32

/* Where this session counts its own spinning threads; NULL for one that may only read. */
static _Atomic uint32_t *own_spinners(const struct bri_object *o)
{
    struct bri_arena *a = o->arena;
    uint32_t slot;

    if (a->read_only || o->att == NULL)
        return NULL;
    /* An attachment lies in its session's heap. */
    slot = bri_tag_owner(bri_page_tag(a, (uint32_t)(bri_off(a, o->att) >> BRI_PAGE_SHIFT)));
    if (slot <= a->first_slot || slot > a->first_slot + a->n_sessions)
        return NULL;
    return &((struct bri_session_shm *)bri_slot_at(a, slot)->state)->spinning;
}

void bri_stop_spinning(struct bri_arena *a, uint32_t n)
{
    uint32_t all = atomic_load_explicit(&a->shm->spinners, memory_order_relaxed);

    while (n > 0 && all > 0 &&
           !atomic_compare_exchange_weak(&a->shm->spinners, &all, all > n ? all - n : 0))
        continue;
}

/*
 * A place among those that spin long: one processor must be left for the side that is waited for. A
 * thread that dies here stays counted in its session, and with that it ends.
 */
static bool enter_spinners(struct bri_arena *a, _Atomic uint32_t *own)
{
    if (own == NULL)
        return true;
    atomic_fetch_add_explicit(own, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&a->shm->spinners, 1, memory_order_relaxed) + 1 <
        bri_n_processors())
        return true;
    bri_stop_spinning(a, 1);
    atomic_fetch_sub_explicit(own, 1, memory_order_relaxed);
    return false;
}

static void leave_spinners(struct bri_arena *a, _Atomic uint32_t *own)
{
    if (own == NULL)
        return;
    bri_stop_spinning(a, 1);
    atomic_fetch_sub_explicit(own, 1, memory_order_relaxed);
}

static bool spin_until(_Atomic uint32_t *word, uint32_t seen, int64_t until_ns)
{
    for (unsigned i = 0;; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != seen)
            return true;
        if (i % LOOK_AT_CLOCK == LOOK_AT_CLOCK - 1 && bri_now() >= until_ns)
            return false;
        bri_pause(1);
    }
}

/*
 * The word moved. Where it moves in bursts, as with a producer at full speed, it pays to let some
 * more changes come before asking for the guard again: both sides then work several times in a row
 * on lines that stay with them. Where it moves once, as in a conversation, it does not; so this
 * learns, and asks again only now and then.
 */
static void let_burst_come(_Atomic uint32_t *word, uint32_t seen)
{
    static __thread int burst;
    static __thread unsigned n;
    bool probe = n++ % BURST_PROBE == 0;

    if (burst == 0 && !probe)
        return;
    bri_pause(BURST_PAUSES);
    if (atomic_load_explicit(word, memory_order_relaxed) - seen >= BURST_MOVES)
        burst = burst < BURST_MAX ? burst + 1 : burst;
    else if (burst > 0)
        burst--;
}

bool bri_spin(struct bri_object *o, _Atomic uint32_t *word, uint32_t seen, _Atomic int32_t *score)
{
    struct bri_arena *a = o->arena;
    _Atomic uint32_t *own = own_spinners(o);
    int32_t s = atomic_load_explicit(score, memory_order_relaxed);
    int64_t start;
    bool moved;

    if (bri_stand_in != NULL || !bri_may_spin())
        return false;
    start = bri_now();
    moved = spin_until(word, seen, start + BRIEF_NS);
    if (!moved)
        bri_monitor_resume(bri_monitor_pause(start));
    /* Where long spinning has kept failing, it is tried again only now and then. */
    if (!moved && (s > -SCORE_MAX || start % 8 == 0) && enter_spinners(a, own)) {
        moved = spin_until(word, seen, start + LONG_NS);
        leave_spinners(a, own);
    }
    if (moved)
        let_burst_come(word, seen);
    if (moved ? s < SCORE_MAX : s > -SCORE_MAX)
        atomic_store_explicit(score, moved ? s + 4 : s - 1, memory_order_relaxed);
    return moved;
}

/* The thread's note is made, or taken off. */
static void note_thread(struct bri_txn *t, unsigned channel, bool in)
{
    uint64_t *waits = t->o->att->waits;
    uint64_t who = (bri_caller_id() & UINT64_C(0x3fffff)) | (uint64_t)channel << 22;
    uint64_t note = who | (uint64_t)(bri_now() / BRI_MILLISECOND) << 25;
    unsigned i = 0;

    while (i < BRI_N_WAIT_NOTES && (in ? waits[i] != 0 : (waits[i] & 0x1ffffff) != who))
        i++;
    if (i < BRI_N_WAIT_NOTES)
        bri_set64(t, &waits[i], in ? note : 0);
}

/* Alone in its section it is no change: those who wait for changes would wake each other for ever.
 */
static void count_waiter(struct bri_txn *t, unsigned channel, bool in)
{
    struct bri_slot_shm *s = t->o->slot;
    struct bri_attachment_shm *att = t->o->att;
    uint32_t one = in ? 1 : UINT32_MAX;

    if (t->n == 0) {
        t->silent = true;
        bri_set64(t, &s->n_silent, s->n_silent + 1);
    }
    bri_set32(t, &s->n_waiters[channel], s->n_waiters[channel] + one);
    bri_set32(t, &att->n_waiting[channel], att->n_waiting[channel] + one);
    note_thread(t, channel, in);
}

bool bri_count_sleeper(struct bri_object *o, unsigned channel, bool in)
{
    struct bri_txn t;

    if (o->att == NULL || bri_begin(&t, o, PATIENCE_AT_ONCE) < 0)
        return false;
    count_waiter(&t, channel, in);
    return bri_end(&t, 0) == 0;
}

void bri_forget_waiters(struct bri_txn *t, struct bri_attachment_shm *att)
{
    struct bri_slot_shm *s = t->o->slot;

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++) {
        uint32_t n = att->n_waiting[i];

        if (n == 0)
            continue;
        bri_set32(t, &s->n_waiters[i], s->n_waiters[i] >= n ? s->n_waiters[i] - n : 0);
        bri_set32(t, &att->n_waiting[i], 0);
    }
}

int bri_section(struct bri_object *o, bri_try_fn *try, void *arg)
{
    struct bri_txn t;
    int r;

    do {
        r = bri_begin(&t, o, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = bri_end(&t, try(&t, arg));
    } while (r == BRI_AGAIN);
    return r;
}

/* What one wait has come to: one per call of bri_blocking(). */
struct waiting {
    struct bri_object *o;
    unsigned channel;
    int64_t deadline_ns;   /* set at the first wait */
    int64_t look_again_ns; /* as the last try said */
    int if_now;
    uint32_t seen;
    uint32_t bits;    /* to sleep under */
    int64_t since_ns; /* of the first sleep */
    bool spun;
    bool registered;
    bool over; /* time is up: one last try */
};

/* The condition was false: says what to do. BRI_WAIT: sleep or spin; anything else ends the
 * operation. */
static int must_wait(struct waiting *w, struct bri_txn *t, int64_t timeout_ns)
{
    if (timeout_ns == 0)
        return w->if_now;
    if (w->deadline_ns == 0)
        w->deadline_ns = bri_deadline(timeout_ns);
    if (w->over)
        return BROKER_TIMEDOUT;
    w->look_again_ns = t->look_again_ns;
    w->seen = atomic_load_explicit(&w->o->slot->wait_word[w->channel], memory_order_relaxed);
    w->bits = t->only != 0 ? t->only : FUTEX_BITSET_MATCH_ANY;
    if (w->spun && !w->registered) {
        if (w->o->att == NULL)
            return BROKER_INTERNAL;
        count_waiter(t, w->channel, true);
    }
    return BRI_WAIT;
}

static void pass_time(struct waiting *w, _Atomic int32_t *score)
{
    _Atomic uint32_t *word = &w->o->slot->wait_word[w->channel];
    int64_t until = w->look_again_ns < w->deadline_ns ? w->look_again_ns : w->deadline_ns;

    if (!w->registered)
        w->spun = !bri_spin(w->o, word, w->seen, score);
    else if (bri_futex_wait_as(word, w->seen, until, w->bits))
        bri_look_after_dead(w->o); /* what we wait for may be in dead hands */
    w->over = bri_wait_is_over(w->deadline_ns);
}

/* How long the guard itself may keep us. */
static int64_t patience(const struct waiting *w, int64_t timeout_ns)
{
    if (timeout_ns == 0 || w->over)
        return PATIENCE_AT_ONCE;
    if (w->deadline_ns != 0 || timeout_ns == BRI_NEVER)
        return w->deadline_ns != 0 ? w->deadline_ns : BRI_NEVER;
    return -timeout_ns;
}

struct bri_sleeps_shm *bri_sleeps_of(const struct bri_object *o)
{
    const struct bri_type_ops *ops;

    if (o->root != NULL)
        return &o->root->sleeps;
    ops = bri_type_ops(atomic_load_explicit(&o->slot->type, memory_order_relaxed));
    if (ops == NULL || ops->sleeps_off == 0)
        return NULL;
    return (struct bri_sleeps_shm *)((uint8_t *)o->slot->state + ops->sleeps_off);
}

/* A sleeper goes on. No operation fails for want of a journal for statistics: without a heap there
 * are only the entries of the slot. */
static void count_out(struct waiting *w, struct bri_txn *t)
{
    int64_t ns = bri_now() - w->since_ns;
    struct bri_sleeps_shm *sleeps = bri_sleeps_of(w->o);

    count_waiter(t, w->channel, false);
    if (sleeps == NULL || ns < 0 || (w->o->root == NULL && t->end - t->next < SLEEPS_WORDS))
        return;
    bri_set64(t, &sleeps->n, sleeps->n + 1);
    bri_set64(t, &sleeps->wait_ns, sleeps->wait_ns + (uint64_t)ns);
    if ((uint64_t)ns > sleeps->longest_ns)
        bri_set64(t, &sleeps->longest_ns, (uint64_t)ns);
}

/* A registered waiter gives up. If it can't, the end of its session or of the object takes the
 * count back. */
static int give_up(struct waiting *w, int r)
{
    struct bri_txn t;

    if (w->registered && r != BROKER_GONE && bri_begin(&t, w->o, PATIENCE_AT_ONCE) == 0) {
        count_out(w, &t);
        (void)bri_end(&t, 0);
    }
    return r;
}

int bri_blocking(struct bri_object *o, unsigned channel, int64_t timeout_ns, int if_now,
    bri_try_fn *try, void *arg)
{
    static _Atomic int32_t
        scores[64]; /* shared by objects that fall together: only speed is at stake */
    struct waiting w = {.o = o, .channel = channel, .if_now = if_now};
    struct bri_txn t;
    bool wait;
    int r;

    for (;;) {
        r = bri_begin(&t, o, patience(&w, timeout_ns));
        if (r < 0)
            return give_up(&w, r);
        r = try(&t, arg);
        if (r == BRI_WAIT && t.failed == 0)
            r = must_wait(&w, &t, timeout_ns);
        wait = r == BRI_WAIT;
        if (!wait && r >= 0 && w.registered)
            count_out(&w, &t);
        r = bri_end(&t, wait ? 0 : r);
        if (r == BRI_AGAIN)
            continue;
        if (r < 0)
            return give_up(&w, r);
        if (!wait)
            return r;
        if (w.spun && !w.registered) {
            w.registered = true;
            w.since_ns = bri_now();
        }
        pass_time(&w, &scores[o->id % 64]);
        if (bri_wait_is_lost())
            return give_up(&w, BROKER_LOST);
    }
}

struct change {
    uint64_t seen, version;
};

static int try_change(struct bri_txn *t, void *arg)
{
    struct change *c = arg;

    c->version = bri_version(t->o);
    return c->version != c->seen ? 0 : BRI_WAIT;
}

int bri_wait_change(struct bri_object *o, uint64_t seen, int64_t timeout_ns, uint64_t *out_version)
{
    struct change c = {.seen = seen};
    int r = bri_blocking(o, BRI_CHANGES, timeout_ns, BROKER_TIMEDOUT, try_change, &c);

    if (r == 0)
        *out_version = c.version;
    return r;
}
