/*
 * deadlock.c - see deadlock.h
 *
 * Nothing is locked and nothing is changed: all that is read is checked as input, and every walk
 * has an end.
 */
#include "objects/deadlock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/lock.h"
#include "core/session.h"
#include "core/type.h"
#include "core/wait.h"

#define ATTACHMENTS_MAX (1u << 20)
#define NOBODY UINT32_MAX

/* One object that a session has open. */
struct tie {
    uint32_t session, object;
    uint64_t generation;
    uint64_t held;
    uint32_t n_leases;
};

/* One object that a thread waits for: several if it waits for any of them. */
struct wait {
    uint32_t session;
    struct bri_wait_note note;
    uint32_t object;
    uint64_t generation;
    bool can_end; /* and later: it was told of already */
    struct bri_ends ends;
};

struct party {
    uint32_t n_threads; /* of its process; 0 unknown */
    uint32_t n_stuck;
    bool counted;
};

struct picture {
    struct bri_arena *arena;
    struct tie *ties; /* by object */
    struct wait *waits;
    struct party *parties; /* by session */
    uint32_t n_ties, n_waits;
};

/* ---- taking the picture ---- */

/* Room for one more in an array whose size is a power of two. */
static void *more(void *array, uint32_t n, size_t size)
{
    if (n != 0 && (n < 64 || (n & (n - 1)) != 0))
        return array;
    return realloc(array, (n < 64 ? 64 : (size_t)n * 2) * size);
}

static int add_tie(struct picture *p, uint32_t session, const struct bri_attachment_shm *att)
{
    struct tie *ties = more(p->ties, p->n_ties, sizeof(*ties));

    if (ties == NULL)
        return BROKER_NOMEM;
    p->ties = ties;
    ties[p->n_ties++] = (struct tie){.session = session,
        .object = att->object,
        .generation = att->generation,
        .held = att->held[0],
        .n_leases = att->n_leases};
    return 0;
}

static int add_waits(struct picture *p, uint32_t session, const struct bri_attachment_shm *att)
{
    for (unsigned i = 0; i < BRI_N_WAIT_NOTES; i++) {
        uint64_t noted = *(const volatile uint64_t *)&att->waits[i];
        struct wait *waits;

        if (noted == 0)
            continue;
        waits = more(p->waits, p->n_waits, sizeof(*waits));
        if (waits == NULL)
            return BROKER_NOMEM;
        p->waits = waits;
        waits[p->n_waits++] = (struct wait){.session = session,
            .note = bri_wait_note(noted),
            .object = att->object,
            .generation = att->generation};
    }
    return 0;
}

static int add_session(struct picture *p, uint32_t number)
{
    const struct bri_attachment_shm *att;
    struct bri_session_info info;
    struct bri_object session;
    uint32_t left = ATTACHMENTS_MAX;
    uint64_t off;
    int r = 0;

    if (bri_session_info(p->arena, number, &info) < 0 || info.status != BRI_SESSION_LIVE ||
        bri_session_object(p->arena, number, &session) < 0 || session.root == NULL)
        return 0;
    for (off = bri_session_state(&session)->first_attachment; off != 0 && left-- > 0 && r == 0;
         off = att->next_off) {
        att = bri_attachment_at(&session, off);
        if (att == NULL)
            return 0;
        r = add_tie(p, number, att);
        if (r == 0)
            r = add_waits(p, number, att);
    }
    return r;
}

static int by_object(const void *a, const void *b)
{
    const struct tie *x = a, *y = b;

    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->session < y->session ? -1 : x->session > y->session;
}

/* Waits of one thread come to lie side by side. */
static int by_thread(const void *a, const void *b)
{
    const struct wait *x = a, *y = b;

    if (x->session != y->session)
        return x->session < y->session ? -1 : 1;
    return x->note.thread < y->note.thread ? -1 : x->note.thread > y->note.thread;
}

/* Threads of the session's process; 0 if that cannot be known, or it is dead. */
static uint32_t count_threads(struct bri_arena *a, uint32_t session)
{
    struct bri_session_info info;
    const struct dirent *entry;
    char path[48];
    uint32_t n = 0;
    DIR *dir;

    if (bri_session_info(a, session, &info) < 0 || bri_session_is_dead(a, session))
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%u/task", info.pid);
    dir = opendir(path);
    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

/* Who could end it, as the object's type says; nobody in particular if the object is gone. */
static void look_at_wait(struct bri_arena *a, struct wait *w)
{
    const struct bri_type_ops *ops;
    struct bri_object o;

    w->can_end = true;
    w->ends = (struct bri_ends){.by = BRI_BY_ANYBODY};
    if (bri_object_bind(a, w->object, &o) < 0 || o.generation != w->generation)
        return;
    ops = bri_type_ops(o.type);
    if (ops == NULL || ops->ends == NULL)
        return;
    ops->ends(&o, w->note.channel, &w->ends);
    w->can_end = w->ends.by == BRI_BY_ANYBODY;
}

static int take_picture(struct bri_arena *a, struct picture *p)
{
    int r = 0;

    *p = (struct picture){.arena = a, .parties = calloc(a->n_sessions, sizeof(*p->parties))};
    if (p->parties == NULL)
        return BROKER_NOMEM;
    for (uint32_t i = 0; i < a->n_sessions && r == 0; i++)
        r = add_session(p, i);
    if (p->n_ties > 0)
        qsort(p->ties, p->n_ties, sizeof(*p->ties), by_object);
    if (p->n_waits > 0)
        qsort(p->waits, p->n_waits, sizeof(*p->waits), by_thread);
    for (uint32_t i = 0; i < p->n_waits; i++)
        look_at_wait(a, &p->waits[i]);
    return r;
}

static void drop_picture(struct picture *p)
{
    free(p->ties);
    free(p->waits);
    free(p->parties);
}

/* ---- striking off ---- */

static bool same_thread(const struct wait *a, const struct wait *b)
{
    return a->session == b->session && a->note.thread == b->note.thread;
}

/* The first wait of a thread; n_waits if it does not wait, or can go on. 0 stands for the first of
 * the session. */
static uint32_t wait_of(const struct picture *p, uint32_t session, uint32_t thread)
{
    const struct wait key = {.session = session, .note.thread = thread};
    uint32_t low = 0, high = p->n_waits;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (by_thread(&p->waits[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < p->n_waits && p->waits[low].session == session &&
        (thread == 0 || p->waits[low].note.thread == thread))
        return low;
    return p->n_waits;
}

static void count_stuck(struct picture *p)
{
    for (uint32_t i = 0; i < p->arena->n_sessions; i++)
        p->parties[i].n_stuck = 0;
    for (uint32_t i = 0; i < p->n_waits; i++)
        if (i == 0 || !same_thread(&p->waits[i], &p->waits[i - 1]))
            p->parties[p->waits[i].session].n_stuck++;
}

/* Takes out who can go on: a thread of which one wait can end. */
static bool drop_free(struct picture *p)
{
    uint32_t n = 0, end;

    for (uint32_t i = 0; i < p->n_waits; i = end) {
        bool is_free = false;

        for (end = i; end < p->n_waits && same_thread(&p->waits[i], &p->waits[end]); end++)
            is_free |= p->waits[end].can_end;
        for (uint32_t k = i; !is_free && k < end; k++)
            p->waits[n++] = p->waits[k];
    }
    end = p->n_waits;
    p->n_waits = n;
    return n < end;
}

static bool session_can_go_on(struct picture *p, uint32_t session)
{
    struct party *party;

    if (session >= p->arena->n_sessions)
        return true;
    party = &p->parties[session];
    if (!party->counted) {
        party->n_threads = count_threads(p->arena, session);
        party->counted = true;
    }
    return party->n_threads == 0 || party->n_threads > party->n_stuck;
}

static bool is_one_of(const struct tie *tie, enum bri_by by)
{
    return by == BRI_BY_USERS || (by == BRI_BY_HOLDERS && tie->held != 0) ||
           (by == BRI_BY_LEASEHOLDERS && tie->n_leases != 0);
}

static uint32_t first_tie(const struct picture *p, uint32_t object)
{
    uint32_t low = 0, high = p->n_ties;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (p->ties[middle].object < object)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The next session from *@at on that could end the wait; NOBODY at the end. */
static uint32_t next_ender(const struct picture *p, const struct wait *w, uint32_t *at)
{
    for (; *at < p->n_ties && p->ties[*at].object == w->object; ++*at) {
        const struct tie *tie = &p->ties[*at];

        if (tie->generation == w->generation && is_one_of(tie, w->ends.by)) {
            ++*at;
            return tie->session;
        }
    }
    return NOBODY;
}

/* Somebody who is not stuck could end it. */
static bool can_end(struct picture *p, const struct wait *w)
{
    uint32_t at = first_tie(p, w->object), session;

    if (w->ends.by == BRI_BY_THREAD)
        return wait_of(p, w->ends.session, w->ends.thread) == p->n_waits;
    while ((session = next_ender(p, w, &at)) != NOBODY)
        if (session_can_go_on(p, session))
            return true;
    return false;
}

static void strike_off(struct picture *p)
{
    (void)drop_free(p);
    do {
        count_stuck(p);
        for (uint32_t i = 0; i < p->n_waits; i++)
            p->waits[i].can_end = can_end(p, &p->waits[i]);
    } while (drop_free(p));
}

/* ---- circles ---- */

struct circles {
    struct bri_stuck *stuck;
    uint32_t n, n_circles; /* numbered from 1 */
};

/* The wait that this one waits for: of the thread that holds it, or of the first other session. */
static uint32_t waits_for(const struct picture *p, const struct wait *w)
{
    uint32_t at = first_tie(p, w->object), session;

    if (w->ends.by == BRI_BY_THREAD)
        return wait_of(p, w->ends.session, w->ends.thread);
    do {
        session = next_ender(p, w, &at);
    } while (session == w->session);
    return session != NOBODY ? wait_of(p, session, 0) : p->n_waits;
}

static int add_stuck(struct picture *p, struct circles *c, const struct wait *w)
{
    struct bri_stuck *stuck = more(c->stuck, c->n, sizeof(*stuck));
    uint32_t next = waits_for(p, w);

    if (stuck == NULL)
        return BROKER_NOMEM;
    if (next == p->n_waits)
        return BROKER_INTERNAL;
    c->stuck = stuck;
    stuck[c->n++] = (struct bri_stuck){.circle = c->n_circles,
        .session = w->session,
        .thread = w->note.thread,
        .object = w->object,
        .generation = w->generation,
        .channel = w->note.channel,
        .since_ms = w->note.since_ms,
        .proof = w->ends.proof,
        .by_session = p->waits[next].session,
        .by_thread = p->waits[next].note.thread};
    return 0;
}

/* From @from on, each to the next, until one comes again: from that one on it is a circle. Where
 * nobody else could end a wait, somebody may still come: that is none. */
static int follow(struct picture *p, struct circles *c, uint32_t from)
{
    uint32_t i = from;
    int r = 0;

    for (uint32_t left = p->n_waits; left > 0 && i < p->n_waits; left--)
        i = waits_for(p, &p->waits[i]);
    if (i == p->n_waits || p->waits[i].can_end)
        return 0; /* of a circle that was found before */
    c->n_circles++;
    while (r == 0 && i < p->n_waits && !p->waits[i].can_end) {
        r = add_stuck(p, c, &p->waits[i]);
        p->waits[i].can_end = true;
        i = waits_for(p, &p->waits[i]);
    }
    return r;
}

static int find_once(struct bri_arena *a, struct circles *c)
{
    struct picture p;
    int r = take_picture(a, &p);

    *c = (struct circles){0};
    if (r == 0)
        strike_off(&p);
    for (uint32_t i = 0; r == 0 && i < p.n_waits; i++)
        if (!p.waits[i].can_end)
            r = follow(&p, c, i);
    drop_picture(&p);
    if (r < 0)
        free(c->stuck);
    return r;
}

static bool same_stuck(const struct bri_stuck *a, const struct bri_stuck *b)
{
    return a->session == b->session && a->thread == b->thread && a->object == b->object &&
           a->generation == b->generation && a->channel == b->channel &&
           a->since_ms == b->since_ms && a->proof == b->proof;
}

static bool seen_before(const struct circles *before, const struct bri_stuck *one)
{
    for (uint32_t i = 0; i < before->n; i++)
        if (same_stuck(&before->stuck[i], one))
            return true;
    return false;
}

/* Keeps the circles of which every one was seen before. */
static void keep_proved(struct circles *c, const struct circles *before)
{
    uint32_t n = 0, first = 0, circle = 0;

    for (uint32_t end = 1; end <= c->n; end++) {
        bool proved = true;

        if (end < c->n && c->stuck[end].circle == c->stuck[first].circle)
            continue;
        for (uint32_t i = first; i < end; i++)
            proved &= seen_before(before, &c->stuck[i]);
        circle += proved;
        for (uint32_t i = first; proved && i < end; i++) {
            c->stuck[n] = c->stuck[i];
            c->stuck[n++].circle = circle;
        }
        first = end;
    }
    c->n = n;
    c->n_circles = circle;
}

int bri_find_deadlocks(struct bri_arena *a, struct bri_stuck **out_stuck, uint32_t *out_n)
{
    struct circles before, c = {0};
    int r = find_once(a, &before);

    if (r == 0 && before.n > 0) {
        r = find_once(a, &c);
        if (r == 0)
            keep_proved(&c, &before);
        free(before.stuck);
    }
    if (r < 0)
        return r;
    *out_stuck = c.stuck;
    *out_n = c.n;
    return 0;
}

/* ---- one thread ---- */

/* Without this, no circle: whoever has it waits as well. Costs a walk over what that one has open,
 * where all of the picture costs a walk over everything. */
static bool owner_waits(const struct bri_object *o)
{
    const struct bri_attachment_shm *att;
    uint32_t left = ATTACHMENTS_MAX;
    struct bri_object session;
    struct bri_ends ends;
    uint64_t off;

    bri_type_ops(o->type)->ends(o, 0, &ends);
    if (ends.by != BRI_BY_THREAD || bri_session_object(o->arena, ends.session, &session) < 0 ||
        session.root == NULL)
        return false;
    for (off = bri_session_state(&session)->first_attachment; off != 0 && left-- > 0;
         off = att->next_off) {
        att = bri_attachment_at(&session, off);
        if (att == NULL)
            return false;
        for (unsigned i = 0; i < BRI_N_WAIT_NOTES; i++)
            if (bri_wait_note(att->waits[i]).thread == ends.thread)
                return true;
    }
    return false;
}

static bool is_younger(const struct bri_stuck *a, const struct bri_stuck *b)
{
    return a->since_ms != b->since_ms ? a->since_ms > b->since_ms : a->thread > b->thread;
}

static bool is_youngest(const struct bri_stuck *stuck, uint32_t n, const struct bri_stuck *me)
{
    for (uint32_t i = 0; i < n; i++)
        if (stuck[i].circle == me->circle && is_younger(&stuck[i], me))
            return false;
    return true;
}

bool bri_is_youngest_in_deadlock(const struct bri_object *o)
{
    uint32_t n = 0, thread = bri_caller_id();
    struct bri_stuck *stuck = NULL;
    bool is = false;

    if (!owner_waits(o) || bri_find_deadlocks(o->arena, &stuck, &n) < 0)
        return false;
    for (uint32_t i = 0; i < n && !is; i++)
        is = stuck[i].thread == thread && stuck[i].object == o->id &&
             stuck[i].generation == o->generation && is_youngest(stuck, n, &stuck[i]);
    free(stuck);
    return is;
}
