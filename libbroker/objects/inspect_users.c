/*
 * inspect_users.c - the operations of the arena itself: who uses it, and who waits for whom
 *
 * Pictures of a living thing, as in inspect.c.
 */
#include <stdlib.h>

#include <broker.h>

#include "client/handle.h"
#include "core/attachment.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/session.h"
#include "engine_ops.h"
#include "objects/deadlock.h"
#include "objects/owner.h"
#include "objects/pack.h"
#include "value/value.h"

/* ---- sessions ---- */

/* What a session holds, summed over its attachments. Read without its guard: a picture. */
static void sum_holdings(struct bri_arena *a, uint32_t number, uint64_t *out_leases,
    uint64_t *out_waiting, uint64_t *out_locks)
{
    struct bri_object session, o;
    const struct bri_attachment_shm *att;
    struct bri_owner_look owner;
    uint32_t left = 100000;
    uint64_t off;

    *out_leases = *out_waiting = *out_locks = 0;
    if (bri_session_object(a, number, &session) < 0 || session.root == NULL)
        return;
    for (off = bri_session_state(&session)->first_attachment; off != 0 && left-- > 0;
         off = att->next_off) {
        att = bri_attachment_at(&session, off);
        if (att == NULL)
            return;
        *out_leases += att->n_leases;
        for (unsigned c = 0; c < BRI_N_CHANNELS; c++)
            *out_waiting += att->n_waiting[c];
        if (bri_object_bind(a, att->object, &o) == 0 && o.generation == att->generation &&
            bri_owner_look_at_any(&o, &owner))
            *out_locks += owner.session == number;
    }
}

static void pack_session(
    struct bri_pack *p, struct bri_arena *a, const struct bri_session_info *info)
{
    uint64_t leases, waiting, locks;

    sum_holdings(a, info->number, &leases, &waiting, &locks);
    bri_pack_map(p, 11);
    bri_pack_entry(p, "session", broker_uint(info->number));
    bri_pack_entry(p, "pid", broker_uint(info->pid));
    bri_pack_entry(p, "uid", broker_uint(info->uid));
    bri_pack_entry(p, "gid", broker_uint(info->gid));
    bri_pack_entry(p, "command", broker_str(info->comm));
    bri_pack_entry(p, "alive", broker_bool(!bri_session_is_dead(a, info->number)));
    bri_pack_entry(p, "attached_ns", broker_uint(info->attached_ns));
    bri_pack_entry(p, "objects", broker_uint(info->n_attachments));
    bri_pack_entry(p, "leases", broker_uint(leases));
    bri_pack_entry(p, "locks", broker_uint(locks));
    bri_pack_entry(p, "waiting", broker_uint(waiting));
}

int bri_broker_clients(broker *b, broker_buffer *buffer, broker_value *out_clients)
{
    struct bri_arena *a = b->arena;
    struct bri_session_info *infos = calloc(a->n_sessions, sizeof(*infos));
    struct bri_pack p;
    uint32_t n = 0;

    if (infos == NULL)
        return BROKER_NOMEM;
    for (uint32_t i = 0; i < a->n_sessions; i++)
        if (bri_session_info(a, i, &infos[n]) == 0 && infos[n].status != BRI_SESSION_FREE)
            n++;
    bri_pack_start(&p, buffer);
    bri_pack_array(&p, n);
    for (uint32_t i = 0; i < n; i++)
        pack_session(&p, a, &infos[i]);
    free(infos);
    return bri_pack_end(&p, out_clients);
}

/* ---- quotas ---- */

struct usage {
    uint32_t uid;
    uint64_t objects, pages, sessions;
};

/* One line an object and a session; then one a user. */
struct usages {
    struct usage *users;
    uint32_t n;
};

static int compare_users(const void *a, const void *b)
{
    uint32_t x = ((const struct usage *)a)->uid, y = ((const struct usage *)b)->uid;

    return (x > y) - (x < y);
}

static void sum_users(struct usages *x)
{
    uint32_t n = 0;

    if (x->n > 0)
        qsort(x->users, x->n, sizeof(*x->users), compare_users);
    for (uint32_t i = 0; i < x->n; i++) {
        struct usage *sum, line = x->users[i];

        if (n == 0 || x->users[n - 1].uid != line.uid)
            x->users[n++] = (struct usage){.uid = line.uid};
        sum = &x->users[n - 1];
        sum->objects += line.objects;
        sum->pages += line.pages;
        sum->sessions += line.sessions;
    }
    x->n = n;
}

static void add_sessions(struct usages *x, struct bri_arena *a)
{
    struct bri_session_info info;

    for (uint32_t i = 0; i < a->n_sessions; i++)
        if (bri_session_info(a, i, &info) == 0 && info.status != BRI_SESSION_FREE)
            x->users[x->n++] = (struct usage){.uid = info.uid, .sessions = 1};
}

static int all_users(struct bri_arena *a, struct usages *x)
{
    struct bri_listings names = {0};
    struct bri_object o;
    int r = bri_listings_take_names(a, &names);

    if (r == 0)
        r = bri_listings_add_anonymous(a, &names);
    if (r == 0) {
        x->users = calloc((size_t)names.n + a->n_sessions, sizeof(*x->users));
        r = x->users != NULL ? 0 : BROKER_NOMEM;
    }
    for (uint32_t i = 0; i < names.n && r == 0; i++)
        if (bri_object_bind(a, names.entries[i].slot, &o) == 0 &&
            o.generation == names.entries[i].generation)
            x->users[x->n++] = (struct usage){.uid = o.slot->creator_uid,
                .objects = 1,
                .pages = o.root != NULL ? *(volatile uint64_t *)&o.root->heap.n_pages : 0};
    if (r == 0)
        add_sessions(x, a);
    free(names.entries);
    return r;
}

static void pack_user(struct bri_pack *p, struct bri_arena *a, const struct usage *user)
{
    bri_pack_map(p, 7);
    bri_pack_entry(p, "uid", broker_uint(user->uid));
    bri_pack_entry(p, "objects", broker_uint(user->objects));
    bri_pack_entry(p, "max_objects", broker_uint(atomic_load(&a->shm->max_user_objects)));
    bri_pack_entry(p, "bytes", broker_uint(user->pages * BRI_PAGE_SIZE));
    bri_pack_entry(
        p, "max_bytes", broker_uint(atomic_load(&a->shm->max_user_pages) * BRI_PAGE_SIZE));
    bri_pack_entry(p, "sessions", broker_uint(user->sessions));
    bri_pack_entry(p, "max_sessions", broker_uint(atomic_load(&a->shm->max_user_sessions)));
}

int bri_broker_quotas(broker *b, broker_buffer *buffer, broker_value *out_quotas)
{
    struct usages usages = {0};
    struct bri_pack p;
    int r = all_users(b->arena, &usages);

    if (r == 0) {
        sum_users(&usages);
        bri_pack_start(&p, buffer);
        bri_pack_array(&p, usages.n);
        for (uint32_t i = 0; i < usages.n; i++)
            pack_user(&p, b->arena, &usages.users[i]);
        r = bri_pack_end(&p, out_quotas);
    }
    free(usages.users);
    return r;
}

/* ---- locks ---- */

struct held {
    struct bri_owner_look look;
    uint32_t waiters;
};

static bool look_at_lock(struct bri_arena *a, const struct bri_listing *entry, struct held *out)
{
    struct bri_object o;

    if (bri_object_bind(a, entry->slot, &o) < 0 || o.generation != entry->generation ||
        !bri_owner_look_at_any(&o, &out->look))
        return false;
    out->waiters = *(volatile uint32_t *)&o.slot->n_waiters[BRI_OWNER_CHANNEL];
    return true;
}

static void pack_lock(
    struct bri_pack *p, struct bri_arena *a, const char *name, const struct held *held)
{
    struct bri_session_info info = {0};
    bool known = !held->look.kept && bri_session_info(a, held->look.session, &info) == 0;

    bri_pack_map(p, 8);
    bri_pack_entry(p, "name", broker_str(name));
    bri_pack_entry(p, "session", known ? broker_uint(held->look.session) : broker_nil());
    bri_pack_entry(p, "pid", known ? broker_uint(info.pid) : broker_nil());
    bri_pack_entry(p, "command", known ? broker_str(info.comm) : broker_nil());
    bri_pack_entry(p, "thread", known ? broker_uint(held->look.thread) : broker_nil());
    bri_pack_entry(p, "alive", broker_bool(known && !bri_session_is_dead(a, held->look.session)));
    bri_pack_entry(p, "token", broker_uint(held->look.token));
    bri_pack_entry(p, "waiters", broker_uint(held->waiters));
}

int bri_broker_locks(broker *b, broker_buffer *buffer, broker_value *out_locks)
{
    struct bri_listings names = {0};
    struct held *held = NULL;
    struct bri_pack p;
    uint32_t n = 0;
    int r = bri_listings_take_names(b->arena, &names);

    if (r == 0 && names.n > 0 && (held = calloc(names.n, sizeof(*held))) == NULL)
        r = BROKER_NOMEM;
    for (uint32_t i = 0; i < names.n && r == 0; i++)
        n += look_at_lock(b->arena, &names.entries[i], &held[i]);
    if (r == 0) {
        bri_pack_start(&p, buffer);
        bri_pack_array(&p, n);
        for (uint32_t i = 0; i < names.n; i++)
            if (held[i].look.held)
                pack_lock(&p, b->arena, names.entries[i].name, &held[i]);
        r = bri_pack_end(&p, out_locks);
    }
    free(held);
    free(names.entries);
    return r;
}

/* ---- deadlocks ---- */

static void pack_stuck(struct bri_pack *p, struct bri_arena *a, const struct bri_stuck *stuck)
{
    uint64_t now_ms = (uint64_t)(bri_now() / BRI_MILLISECOND);
    struct bri_session_info info = {0}, by = {0};
    const struct bri_type_ops *ops = NULL;
    char name[BRI_NAME_MAX + 1] = "";
    struct bri_object o;

    (void)bri_session_info(a, stuck->session, &info);
    (void)bri_session_info(a, stuck->by_session, &by);
    if (bri_object_bind(a, stuck->object, &o) == 0 && o.generation == stuck->generation) {
        bri_registry_name(&o, name);
        ops = bri_type_ops(o.type);
    }
    bri_pack_map(p, 10);
    bri_pack_entry(p, "circle", broker_uint(stuck->circle));
    bri_pack_entry(p, "session", broker_uint(stuck->session));
    bri_pack_entry(p, "pid", broker_uint(info.pid));
    bri_pack_entry(p, "command", broker_str(info.comm));
    bri_pack_entry(p, "thread", broker_uint(stuck->thread));
    bri_pack_entry(p, "name", broker_str(name));
    bri_pack_entry(p, "type", ops != NULL ? broker_str(ops->name) : broker_nil());
    bri_pack_entry(
        p, "waited_ms", broker_uint(now_ms > stuck->since_ms ? now_ms - stuck->since_ms : 0));
    bri_pack_entry(p, "by_pid", broker_uint(by.pid));
    bri_pack_entry(p, "by_thread", broker_uint(stuck->by_thread));
}

int bri_broker_deadlocks(broker *b, broker_buffer *buffer, broker_value *out_deadlocks)
{
    struct bri_stuck *stuck;
    struct bri_pack p;
    uint32_t n;
    int r = bri_find_deadlocks(b->arena, &stuck, &n);

    if (r < 0)
        return r;
    bri_pack_start(&p, buffer);
    bri_pack_array(&p, n);
    for (uint32_t i = 0; i < n; i++)
        pack_stuck(&p, b->arena, &stuck[i]);
    free(stuck);
    return bri_pack_end(&p, out_deadlocks);
}
