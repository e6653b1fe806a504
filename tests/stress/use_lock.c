/*
 * use_lock.c - what the stress test does with locks
 *
 * Each lock protects two plain counters, which are the same but inside, and the name of who is
 * inside. Somebody may be found there only by one who was told that the last owner died (or on the
 * lock that stays locked after a death), and only somebody who is dead.
 */
#include "worker.h"

#define LONG_WORK 300000u

/* Who is found inside must be dead, and we must have been told. */
static void check_entry(struct worker *w, uint32_t n, int r)
{
    struct guarded *g = &w->ledger->guarded[n];
    uint32_t inside = g->inside;
    bool told = r == BROKER_OWNER_DIED || n == KEPT_LOCK;

    if (r == BROKER_OWNER_DIED)
        atomic_fetch_add(&w->ledger->n_notices, 1);
    if (inside != 0 && (!told || atomic_load(&w->ledger->lives[inside - 1].is_doomed) == 0))
        ledger_fail(w->ledger, "lock %u: life %u came in (%s) while life %u was inside", n,
            w->number, broker_error_name(r), inside - 1);
    if (g->first != g->second) {
        if (inside == 0 || g->first != g->second + 1)
            ledger_fail(w->ledger, "lock %u: life %u found %llu and %llu", n, w->number,
                (unsigned long long)g->first, (unsigned long long)g->second);
        g->second = g->first; /* what the dead owner had half done */
    }
}

static void work_inside(struct worker *w, uint32_t n)
{
    struct guarded *g = &w->ledger->guarded[n];
    struct tally *t = &w->life->locked[n];

    g->inside = w->number + 1;
    atomic_fetch_add(&t->begun, 1);
    g->first = g->first + 1;
    switch (worker_pick(w, 16)) {
    case 0: /* long enough to be killed or stopped here */
    case 1:
        for (volatile uint32_t i = worker_pick(w, LONG_WORK); i > 0; i = i - 1)
            continue;
        break;
    case 2:
        dict_count(w, 0);
        break;
    case 3:
        if (broker_lock_acquire(w->locks[n], BROKER_FOREVER, NULL) != BROKER_DEADLOCK)
            ledger_fail(w->ledger, "lock %u: taken twice by life %u", n, w->number);
        break;
    default:
        break;
    }
    g->second = g->second + 1;
    atomic_fetch_add(&t->done, 1);
    g->inside = 0;
}

/* The lock that a death leaves locked: anybody may open it again then, and somebody must. */
static void release_kept(struct worker *w)
{
    broker_value owner;
    int r = broker_lock_release(w->locks[KEPT_LOCK]);

    worker_expect(w, r, "lock release", ANSWER(BROKER_NOTOWNER) | ANSWER(BROKER_NOTLOCKED));
    worker_expect(w, broker_lock_owner(w->locks[KEPT_LOCK], &w->out, &owner), "lock owner", 0);
}

static int64_t patience(struct worker *w, uint32_t n)
{
    uint32_t pick = worker_pick(w, 4);

    if (pick == 0)
        return 0;
    /* On the lock that stays locked, waiting without end may have none. */
    return pick == 1 || n == KEPT_LOCK ? worker_pick(w, 20) * BROKER_MILLISECOND : BROKER_FOREVER;
}

void lock_use(struct worker *w)
{
    uint32_t n = worker_pick(w, N_LOCKS);
    struct guarded *g = &w->ledger->guarded[n];
    uint64_t token = 0;
    int r;

    worker_step(w, "lock acquire");
    r = broker_lock_acquire(w->locks[n], patience(w, n), &token);
    if (worker_expect(w, r, "lock acquire", ANSWER(BROKER_TIMEDOUT)) == BROKER_TIMEDOUT) {
        if (n == KEPT_LOCK)
            release_kept(w);
        return;
    }
    worker_step(w, "lock held");
    check_entry(w, n, r);
    if (token <= g->token)
        ledger_fail(w->ledger, "lock %u: token %llu after %llu", n, (unsigned long long)token,
            (unsigned long long)g->token);
    g->token = token;
    work_inside(w, n);
    worker_expect(w, broker_lock_release(w->locks[n]), "lock release", 0);
}
