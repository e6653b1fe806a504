/*
 * waiters.c - see waiters.h
 */
#include "objects/waiters.h"

#include <broker/errors.h>

#include "core/attachment.h"
#include "core/audit.h"
#include "core/heap.h"
#include "core/session.h"

_Static_assert(sizeof(struct bri_waiter_shm) == 48, "waiter size");

static struct bri_waiter_shm *waiter_at(const struct bri_object *o, uint64_t off)
{
    if (off == 0 || bri_block_capacity(o, off) < sizeof(struct bri_waiter_shm))
        return NULL;
    return BRI_AT(o->arena, off, struct bri_waiter_shm);
}

struct bri_waiter_shm *bri_waiters_find(const struct bri_object *o, struct bri_waiter waiter)
{
    struct bri_waiter_shm *found = waiter_at(o, waiter.off);

    return found != NULL && found->number == waiter.number &&
                   found->holder_off == bri_off(o->arena, o->att)
               ? found
               : NULL;
}

struct bri_waiter_shm *bri_waiters_mine(struct bri_txn *t)
{
    uint64_t off = t->o->att->first_lease;
    struct bri_waiter_shm *waiter = waiter_at(t->o, off);

    if (off != 0 && (waiter == NULL || waiter->holder_off != bri_off(t->o->arena, t->o->att)))
        (void)BRI_DAMAGED(t);
    return t->failed == 0 ? waiter : NULL;
}

/* ---- coming and going ---- */

static void join_list(struct bri_txn *t, struct bri_waiters_shm *w, uint64_t off)
{
    struct bri_waiter_shm *last = waiter_at(t->o, w->last_off);

    if ((w->last_off != 0) != (last != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, last != NULL ? &last->next_off : &w->first_off, off);
    bri_set64(t, &w->last_off, off);
    if (w->next_off == 0)
        bri_set64(t, &w->next_off, off);
}

static void join_mine(struct bri_txn *t, uint64_t off)
{
    struct bri_attachment_shm *att = t->o->att;
    struct bri_waiter_shm *last = waiter_at(t->o, att->last_lease);

    if ((att->last_lease != 0) != (last != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, last != NULL ? &last->next_mine_off : &att->first_lease, off);
    bri_set64(t, &att->last_lease, off);
    bri_set64(t, &att->held[0], att->held[0] + 1);
}

int bri_waiters_join(struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter *out_waiter)
{
    struct bri_attachment_shm *att = t->o->att;
    uint64_t off = bri_alloc(t, sizeof(struct bri_waiter_shm)), number = w->n_joined + 1;

    if (off == 0)
        return t->failed;
    *BRI_AT(t->o->arena, off, struct bri_waiter_shm) = (struct bri_waiter_shm){
        .number = number,
        .holder_off = bri_off(t->o->arena, att),
        .prev_off = w->last_off,
        .prev_mine_off = att->last_lease,
    };
    join_list(t, w, off);
    join_mine(t, off);
    bri_set64(t, &w->n_joined, number);
    bri_set64(t, &w->n, w->n + 1);
    *out_waiter = (struct bri_waiter){.off = off, .number = number};
    return t->failed;
}

static void leave_list(
    struct bri_txn *t, struct bri_waiters_shm *w, const struct bri_waiter_shm *waiter)
{
    struct bri_waiter_shm *next = waiter_at(t->o, waiter->next_off);
    struct bri_waiter_shm *prev = waiter_at(t->o, waiter->prev_off);

    if ((waiter->next_off != 0) != (next != NULL) || (waiter->prev_off != 0) != (prev != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, next != NULL ? &next->prev_off : &w->last_off, waiter->prev_off);
    bri_set64(t, prev != NULL ? &prev->next_off : &w->first_off, waiter->next_off);
    if (w->next_off == bri_off(t->o->arena, waiter))
        bri_set64(t, &w->next_off, waiter->next_off);
}

static void leave_mine(struct bri_txn *t, const struct bri_waiter_shm *waiter)
{
    struct bri_attachment_shm *att = t->o->att;
    struct bri_waiter_shm *next = waiter_at(t->o, waiter->next_mine_off);
    struct bri_waiter_shm *prev = waiter_at(t->o, waiter->prev_mine_off);

    if ((waiter->next_mine_off != 0) != (next != NULL) ||
        (waiter->prev_mine_off != 0) != (prev != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_set64(t, next != NULL ? &next->prev_mine_off : &att->last_lease, waiter->prev_mine_off);
    bri_set64(t, prev != NULL ? &prev->next_mine_off : &att->first_lease, waiter->next_mine_off);
    bri_set64(t, &att->held[0], att->held[0] - 1);
}

void bri_waiters_leave(struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter_shm *waiter)
{
    leave_list(t, w, waiter);
    leave_mine(t, waiter);
    bri_set64(t, &w->n, w->n - 1);
    bri_free(t, bri_off(t->o->arena, waiter));
}

/* ---- notifying ---- */

/* Marks the oldest @n, and has them woken; how many that were. The numbers must grow: so a damaged
 * list ends. */
static uint64_t mark(struct bri_txn *t, struct bri_waiters_shm *w, uint64_t n)
{
    uint64_t off = w->next_off, last = w->notified, i;

    for (i = 0; i < n && off != 0; i++) {
        const struct bri_waiter_shm *waiter = waiter_at(t->o, off);

        if (waiter == NULL || waiter->number <= last) {
            (void)BRI_DAMAGED(t);
            return 0;
        }
        last = waiter->number;
        off = waiter->next_off;
        t->only |= bri_waiters_bit(last);
    }
    if (i == 0)
        return 0;
    bri_set64(t, &w->notified, last);
    bri_set64(t, &w->next_off, off);
    bri_wake(t, BRI_WAITERS_CHANNEL, BRI_WAKE_ALL);
    return i;
}

void bri_waiters_notify(struct bri_txn *t, struct bri_waiters_shm *w, uint64_t n)
{
    uint64_t marked = mark(t, w, n);

    if (marked != 0)
        bri_set64(t, &w->n_notified, w->n_notified + marked);
}

void bri_waiters_give_up(
    struct bri_txn *t, struct bri_waiters_shm *w, struct bri_waiter_shm *waiter)
{
    bool was_notified = bri_waiters_is_notified(w, waiter);

    bri_waiters_leave(t, w, waiter);
    if (was_notified)
        (void)mark(t, w, 1);
}

/* ---- audit ---- */

/* The waiters of one session, each where its list says. */
static void audit_mine(const struct bri_object *o, const struct bri_attachment_shm *att,
    uint32_t session, struct bri_audit *audit)
{
    uint64_t off = att->first_lease, prev = 0, n = 0;

    for (; off != 0 && n <= att->held[0]; n++) {
        const struct bri_waiter_shm *waiter = waiter_at(o, off);

        if (waiter == NULL || waiter->holder_off != bri_off(o->arena, att) ||
            waiter->prev_mine_off != prev)
            break;
        prev = off;
        off = waiter->next_mine_off;
    }
    if (off != 0 || n != att->held[0] || prev != att->last_lease)
        bri_audit_fail(audit, o, "the waiters of session %u are broken at number %llu", session,
            (unsigned long long)n);
}

/* All sessions together must have as many as there are. */
static void audit_sessions(
    const struct bri_object *o, const struct bri_waiters_shm *w, struct bri_audit *audit)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < o->arena->n_sessions; i++) {
        const struct bri_attachment_shm *att;
        struct bri_object session;
        uint64_t off;

        if (bri_session_object(o->arena, i, &session) < 0 || session.root == NULL)
            continue;
        for (off = bri_session_state(&session)->first_attachment; off != 0; off = att->next_off) {
            att = bri_attachment_at(&session, off);
            if (att == NULL)
                break;
            if (att->object != o->id || att->generation != o->generation)
                continue;
            audit_mine(o, att, i, audit);
            n += att->held[0];
        }
    }
    if (n != w->n)
        bri_audit_fail(audit, o, "sessions have %llu waiters, but the count says %llu",
            (unsigned long long)n, (unsigned long long)w->n);
}

void bri_waiters_audit(
    const struct bri_object *o, const struct bri_waiters_shm *w, struct bri_audit *audit)
{
    uint64_t off = w->first_off, prev = 0, number = 0, n = 0, next = 0;

    for (; off != 0; n++) {
        const struct bri_waiter_shm *waiter = waiter_at(o, off);

        if (waiter == NULL || waiter->number <= number || waiter->prev_off != prev) {
            bri_audit_fail(
                audit, o, "the list of waiters is broken at number %llu", (unsigned long long)n);
            return;
        }
        bri_audit_block(audit, o, off);
        number = waiter->number;
        if (next == 0 && number > w->notified)
            next = off;
        prev = off;
        off = waiter->next_off;
    }
    if (n != w->n || prev != w->last_off || number > w->n_joined)
        bri_audit_fail(audit, o, "%llu waiters in the list, but the count says %llu",
            (unsigned long long)n, (unsigned long long)w->n);
    if (next != w->next_off)
        bri_audit_fail(audit, o, "the next waiter to be notified is not the oldest that is not");
    audit_sessions(o, w, audit);
}
