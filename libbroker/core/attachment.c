/*
 * attachment.c - see attachment.h
 */
#include "core/attachment.h"

#include <broker/errors.h>

#include "core/bury.h"
#include "core/collect.h"
#include "core/heap.h"
#include "core/lock.h"
#include "core/pages.h"
#include "core/quota.h"
#include "core/type.h"
#include "core/wait.h"

#define MAX_ATTACHMENTS 1000000u
#define MAX_WALKS 16u
#define DAEMON_SILENT_NS (5 * BRI_SECOND)

struct bri_attachment_shm *bri_attachment_at(const struct bri_object *session, uint64_t off)
{
    if (off == 0 || bri_block_capacity(session, off) < sizeof(struct bri_attachment_shm))
        return NULL;
    return BRI_AT(session->arena, off, struct bri_attachment_shm);
}

int bri_session_check_objects(const struct bri_object *session)
{
    uint32_t limit = atomic_load(&session->arena->shm->max_session_objects);
    uint32_t n = *(const volatile uint32_t *)&bri_session_state(session)->n_attachments;

    if (limit == 0 || n < limit)
        return 0;
    return bri_refuse(
        BRI_LIMIT_SESSION_OBJECTS, session->id - session->arena->first_slot - 1, limit, n);
}

struct attach {
    const struct bri_object *o;
    struct bri_attachment_shm *att;
};

static int attach_try(struct bri_txn *t, void *arg)
{
    struct attach *x = arg;
    struct bri_arena *a = t->o->arena;
    struct bri_session_shm *s = bri_session_state(t->o);
    struct bri_attachment_shm *next;
    uint64_t off;
    int r;

    if (atomic_load(&s->status) != BRI_SESSION_LIVE)
        return BROKER_GONE;
    if (s->n_attachments >= MAX_ATTACHMENTS)
        return BROKER_LIMIT;
    r = bri_session_check_objects(t->o);
    if (r < 0)
        return r;
    off = bri_alloc(t, sizeof(*x->att));
    if (off == 0)
        return t->failed;
    x->att = BRI_AT(a, off, struct bri_attachment_shm);
    memset(x->att, 0, sizeof(*x->att));
    x->att->object = x->o->id;
    x->att->generation = x->o->generation;
    r = bri_collect_keep(a, x->o->id, x->o->generation);
    if (r < 0)
        return r;
    x->att->next_off = s->first_attachment;
    next = bri_attachment_at(t->o, s->first_attachment);
    if (s->first_attachment != 0 && next == NULL)
        return BRI_DAMAGED(t);
    if (next != NULL)
        bri_set64(t, &next->prev_off, off);
    bri_set64(t, &s->first_attachment, off);
    bri_set32(t, &s->n_attachments, s->n_attachments + 1);
    return 0;
}

int bri_attach(
    struct bri_object *session, const struct bri_object *o, struct bri_attachment_shm **out_att)
{
    struct attach x = {.o = o};
    struct bri_txn t;
    int r;

    do {
        r = bri_begin(&t, session, BRI_PATIENCE);
        if (r < 0)
            return r;
        r = bri_end(&t, attach_try(&t, &x));
    } while (r == BRI_AGAIN);
    if (r == 0)
        *out_att = x.att;
    return r;
}

/* Whether both neighbours know it: of one that another has taken out they do not. */
static bool is_linked(const struct bri_object *session, const struct bri_attachment_shm *att)
{
    const struct bri_attachment_shm *next = bri_attachment_at(session, att->next_off);
    const struct bri_attachment_shm *prev = bri_attachment_at(session, att->prev_off);
    uint64_t off = bri_off(session->arena, att);

    if (bri_attachment_at(session, off) == NULL || (att->prev_off != 0) != (prev != NULL) ||
        (att->next_off != 0) != (next != NULL) || (next != NULL && next->prev_off != off))
        return false;
    return (prev != NULL ? prev->next_off : bri_session_state(session)->first_attachment) == off;
}

/* Of a session that is over, another who reaps may have taken it out already. */
static int unlink_attachment(
    struct bri_object *session, struct bri_attachment_shm *att, int64_t patience_ns)
{
    struct bri_session_shm *s = bri_session_state(session);
    struct bri_attachment_shm *next, *prev;
    uint64_t off = bri_off(session->arena, att);
    bool was_kept = bri_collect_is_anonymous(session->arena, att->object);
    struct bri_txn t;
    int r = bri_begin(&t, session, patience_ns);

    if (r < 0)
        return r;
    if (!is_linked(session, att)) {
        if (atomic_load(&s->status) == BRI_SESSION_LIVE)
            r = BRI_DAMAGED(&t);
    } else {
        next = bri_attachment_at(session, att->next_off);
        prev = bri_attachment_at(session, att->prev_off);
        if (next != NULL)
            bri_set64(&t, &next->prev_off, att->prev_off);
        if (prev != NULL)
            bri_set64(&t, &prev->next_off, att->next_off);
        else
            bri_set64(&t, &s->first_attachment, att->next_off);
        bri_set32(&t, &s->n_attachments, s->n_attachments - 1);
        if (session->slot->scan == off)
            bri_set64(&t, &session->slot->scan, att->next_off != 0 ? att->next_off : BRI_SCAN_END);
        bri_free(&t, off);
    }
    r = bri_end(&t, r);
    if (r == 0 && was_kept)
        bri_collect_want(session->arena);
    return r;
}

/* One run reserved of an object that is gone: out of the list, and given back by its slot. */
static int give_orphan(
    const struct bri_object *session, struct bri_attachment_shm *att, int64_t patience_ns)
{
    struct bri_arena *a = session->arena;
    uint32_t page = *(volatile uint32_t *)&att->reserved;
    uint64_t tag = bri_page_tag(a, page);
    struct bri_object bare = {.arena = a, .slot = bri_slot_at(a, att->object), .id = att->object};
    struct bri_txn t;
    int r;

    if (bare.slot == NULL ||
        (bri_tag_kind(tag) != BRI_PAGE_RESERVED && bri_tag_kind(tag) != BRI_PAGE_LENT) ||
        bri_tag_owner(tag) != att->object)
        return BROKER_CORRUPT;
    bare.generation = atomic_load(&bare.slot->generation); /* whatever lives there now */
    r = bri_begin(&t, &bare, patience_ns);
    if (r < 0)
        return r == BROKER_GONE ? 0 : r; /* it changed just now: look again */
    if (atomic_load(&session->slot->generation) != session->generation || att->reserved != page) {
        bri_abort(&t);
        return BROKER_NOTFOUND; /* another did it */
    }
    bri_give_back(&t, page, bri_tag_aux(tag));
    bri_set32(&t, &att->reserved, a->pages[page].next);
    return bri_end(&t, 0);
}

static int give_orphans(
    const struct bri_object *session, struct bri_attachment_shm *att, int64_t patience_ns)
{
    uint32_t left = session->arena->n_pages;
    int r = 0;

    while (att->reserved != 0 && r == 0 && left-- > 0)
        r = give_orphan(session, att, patience_ns);
    return r == BROKER_CORRUPT || r == BROKER_NOTFOUND ? 0 : r;
}

/* ---- pins ---- */

static void set_pinned(struct bri_txn *t, struct bri_attachment_shm *att, uint32_t pinned)
{
    struct bri_slot_shm *slot = t->o->slot;

    if (att->pinned == pinned)
        return;
    bri_set_atomic32(t, &slot->n_pins, atomic_load(&slot->n_pins) + pinned - att->pinned);
    bri_set32(t, &att->pinned, pinned);
}

void bri_pin(struct bri_txn *t)
{
    set_pinned(t, t->o->att, 1);
}

/*
 * The object is destroyed, or quarantined and waits for that: its slot is nobody else's while this
 * pin, among others, is there.
 */
static int unpin_gone(
    const struct bri_object *session, struct bri_attachment_shm *att, int64_t patience_ns)
{
    struct bri_arena *a = session->arena;
    struct bri_object bare = {
        .arena = a, .slot = bri_slot_at(a, att->object), .id = att->object, .burying = true};
    struct bri_txn t;
    int r;

    if (*(volatile uint32_t *)&att->pinned == 0 || bare.slot == NULL)
        return 0;
    bare.generation = atomic_load(&bare.slot->generation); /* 0, or that of one quarantined */
    r = bri_begin(&t, &bare, patience_ns);
    if (r < 0)
        return r == BROKER_GONE ? 0 : r;
    if (atomic_load(&session->slot->generation) != session->generation) {
        bri_abort(&t);
        return 0; /* another did it */
    }
    set_pinned(&t, att, 0);
    r = bri_end(&t, 0);
    if (r == 0)
        (void)bri_bury(a); /* if it is stuck, the daemon goes on with it */
    return r;
}

/* What an attachment has of an object that is gone. */
static int reap_gone(
    const struct bri_object *session, struct bri_attachment_shm *att, int64_t patience_ns)
{
    int r = give_orphans(session, att, patience_ns);

    return r < 0 ? r : unpin_gone(session, att, patience_ns);
}

int bri_reap_begin(struct bri_txn *t, struct bri_object *o)
{
    int r = bri_begin(t, o, o->reaped_patience_ns);

    if (r == 0 &&
        (atomic_load(&o->reaped->generation) != o->reaped_generation ||
            ((volatile struct bri_session_shm *)o->reaped->state)->first_attachment == 0 ||
            o->att->generation != o->generation || o->att->object != o->id)) {
        bri_abort(t);
        return BROKER_NOTFOUND;
    }
    return r;
}

/* Sleepers, pins and reservations: what every type has. */
static int reap_common(struct bri_object *o)
{
    struct bri_txn t;
    int r;

    do {
        r = bri_reap_begin(&t, o);
        if (r < 0)
            return r;
        bri_forget_waiters(&t, o->att);
        set_pinned(&t, o->att, 0);
        if (o->root != NULL)
            bri_release_all_reserved(&t, o->att);
        /* It may have died between a change and its wake-up, or after eating one. */
        for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
            bri_wake(&t, i, BRI_WAKE_ALL);
        r = bri_end(&t, 0);
    } while (r == BRI_AGAIN);
    return r;
}

/* Gives back what one attachment holds. TIMEDOUT if somebody stopped holds the object's guard. */
static int reap_attachment(const struct bri_object *session, struct bri_attachment_shm *att,
    bool died, int64_t patience_ns)
{
    struct bri_arena *a = session->arena;
    const struct bri_type_ops *ops;
    struct bri_object o;
    int r = bri_object_bind(a, att->object, &o);

    if (r < 0 || o.generation != att->generation)
        return reap_gone(session, att, patience_ns);
    o.att = att;
    o.reaped = session->slot;
    o.reaped_generation = session->generation;
    o.reaped_patience_ns = patience_ns;
    o.reaped_number = session->id - a->first_slot - 1;
    ops = bri_type_ops(o.type);
    if (died)
        (void)bri_lock_bury(&o.slot->word);
    r = ops != NULL && ops->reap != NULL ? ops->reap(&o, died) : 0;
    if (r == 0)
        r = reap_common(&o);
    if (r == BROKER_GONE)
        return reap_gone(session, att, patience_ns);
    if (r == BROKER_CORRUPT)
        r = unpin_gone(session, att, patience_ns);
    /* Done by another; or quarantined, and then nothing comes back but by destroying it. */
    return r == BROKER_NOTFOUND || r == BROKER_CORRUPT ? 0 : r;
}

int bri_detach(struct bri_object *session, struct bri_object *o)
{
    int r = reap_attachment(session, o->att, false, BRI_PATIENCE);

    return r < 0 ? r : unlink_attachment(session, o->att, BRI_PATIENCE);
}

static int set_dead(struct bri_object *session, int64_t patience_ns)
{
    struct bri_session_shm *s = bri_session_state(session);
    struct bri_txn t;
    int r = bri_begin(&t, session, patience_ns);

    if (r < 0)
        return r;
    if (atomic_load(&s->status) == BRI_SESSION_LIVE)
        bri_set_atomic32(&t, &s->status, BRI_SESSION_DEAD);
    r = atomic_load(&s->status) == BRI_SESSION_FREE ? BROKER_NOTFOUND : 0;
    return bri_end(&t, r);
}

/* The last step: the slot is free, its memory given back; also when it is damaged. */
static int free_session(struct bri_object *session, int64_t patience_ns)
{
    struct bri_slot_shm *slot = session->slot;
    struct bri_object bare = *session;
    struct bri_txn t;
    int r = bri_begin(&t, session, patience_ns);

    if (r < 0)
        return r;
    bri_heap_clear(&t);
    r = bri_end(&t, 0);
    if (r == 0)
        r = bri_heap_finish_chores(session, patience_ns);
    if (r < 0 && r != BROKER_CORRUPT)
        return r;
    bri_stop_spinning(bare.arena, atomic_exchange(&bri_session_state(&bare)->spinning, 0));
    bare.root = NULL; /* the root page itself goes: this section must not need its journal */
    r = bri_begin(&t, &bare, patience_ns);
    if (r < 0)
        return r;
    atomic_store(&slot->damaged, 0); /* the place is used again */
    atomic_store(&slot->chores, 0);
    bri_give_back(&t, atomic_load(&slot->root_page), 1);
    bri_set_atomic32(&t, &slot->root_page, 0);
    bri_set_atomic64(&t, &slot->generation, bare.generation + 1);
    bri_set_atomic32(&t, &bri_session_state(&bare)->status, BRI_SESSION_FREE);
    return bri_end(&t, 0);
}

/*
 * One walk over all attachments. TIMEDOUT when some are stuck. Others may be at it, too, and take
 * out what we are just looking at, so that the walk ends before the list does.
 */
static int reap_attachments(struct bri_object *session, bool died, int64_t patience_ns)
{
    struct bri_attachment_shm *att;
    uint32_t n_stuck = 0, left = MAX_ATTACHMENTS + 1;
    uint64_t off, next;
    int r;

    for (off = bri_session_state(session)->first_attachment; off != 0 && left-- > 0; off = next) {
        att = bri_attachment_at(session, off);
        if (att == NULL)
            break;
        next = att->next_off;
        r = reap_attachment(session, att, died, patience_ns);
        if (r == 0)
            r = unlink_attachment(session, att, patience_ns);
        if (r == BROKER_TIMEDOUT)
            n_stuck++; /* the others need not wait for it */
        else if (r < 0 && r != BROKER_CORRUPT)
            return r;
    }
    return n_stuck > 0 ? BROKER_TIMEDOUT : 0;
}

int bri_session_reap(struct bri_arena *a, uint32_t number, bool died, int64_t patience_ns)
{
    struct bri_session_shm *s;
    struct bri_object session;
    uint32_t n, walks = MAX_WALKS;
    int r = bri_session_object(a, number, &session);

    if (r < 0)
        return r;
    s = bri_session_state(&session);
    session.burying = true;
    if (died)
        (void)bri_lock_bury(&session.slot->word);
    r = set_dead(&session, patience_ns);
    if (r < 0)
        return r == BROKER_NOTFOUND ? 0 : r;
    do {
        n = *(volatile uint32_t *)&s->n_attachments;
        r = reap_attachments(&session, died, patience_ns);
    } while (r == 0 && *(volatile uint64_t *)&s->first_attachment != 0 &&
             *(volatile uint32_t *)&s->n_attachments < n && --walks > 0);
    /* What is left now is damaged: the pages go with the session. */
    if (r == 0)
        r = free_session(&session, patience_ns);
    return r == BROKER_GONE ? 0 : r; /* another finished it */
}

int bri_session_reap_object(struct bri_object *o, uint32_t number)
{
    struct bri_object session;
    struct bri_attachment_shm *att;
    uint32_t left = MAX_ATTACHMENTS + 1;
    uint64_t off;
    int r = bri_session_object(o->arena, number, &session);

    if (r < 0)
        return r;
    off = bri_session_state(&session)->first_attachment;
    while (off != 0 && left-- > 0) {
        att = bri_attachment_at(&session, off);
        if (att == NULL)
            return BROKER_CORRUPT;
        if (att->object == o->id && att->generation == o->generation)
            return reap_attachment(&session, att, true, -2 * BRI_MILLISECOND);
        off = att->next_off;
    }
    return 0;
}

/* A daemon that has stopped beating does no reaping either, whatever it is busy with. */
static bool daemon_lives(const struct bri_arena *a)
{
    pid_t pid = (pid_t)atomic_load(&a->shm->daemon_pid);
    int64_t beat = (int64_t)atomic_load(&a->shm->daemon_beat_ns);

    return pid > 0 && bri_now() - beat < DAEMON_SILENT_NS && !bri_process_ended(pid);
}

void bri_look_after_dead(struct bri_object *o)
{
    struct bri_arena *a = o->arena;

    if (daemon_lives(a))
        return;
    for (uint32_t i = 0; i < a->n_sessions; i++)
        if (bri_session_is_dead(a, i))
            (void)bri_session_reap_object(o, i);
}
