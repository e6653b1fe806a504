/*
 * inspect.c - the operations of the arena itself: what is in it, and who uses it
 *
 * Pictures of a living thing: each line is right for a moment of its own. Nothing here holds a
 * guard for longer than one object's numbers take.
 */
#include <stdlib.h>

#include <broker.h>

#include "client/open.h"
#include "core/collect.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/session.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/deadlock.h"
#include "objects/open.h"
#include "objects/owner.h"
#include "objects/pack.h"
#include "value/value.h"

/* ---- names ---- */

static uint64_t object_bytes(const struct bri_object *o)
{
    return BRI_SLOT_SIZE +
           (o->root != NULL ? *(volatile uint64_t *)&o->root->heap.n_pages * BRI_PAGE_SIZE : 0);
}

static bool wanted(const struct bri_listing *entry, uint32_t type, const char *prefix)
{
    return (type == 0 || entry->type == type) &&
           (prefix == NULL || strncmp(entry->name, prefix, strlen(prefix)) == 0);
}

static void pack_listed(struct bri_pack *p, struct bri_arena *a, const struct bri_listing *entry)
{
    const struct bri_type_ops *ops = bri_type_ops(entry->type);
    struct bri_object o;
    uint64_t bytes = 0;

    if (bri_object_bind(a, entry->slot, &o) == 0 && o.generation == entry->generation)
        bytes = object_bytes(&o);
    bri_pack_map(p, 3);
    bri_pack_entry(p, "name", broker_str(entry->name));
    bri_pack_entry(p, "type", ops != NULL ? broker_str(ops->name) : broker_nil());
    bri_pack_entry(p, "bytes", broker_uint(bytes));
}

int bri_broker_objects(broker *b, const char *type, const char *prefix, broker_buffer *buffer,
    broker_value *out_objects)
{
    uint32_t number = type != NULL ? bri_type_number(type) : 0, n = 0;
    struct bri_listings names = {0};
    struct bri_pack p;
    int r;

    if (type != NULL && bri_type_ops(number) == NULL)
        return BROKER_WRONGTYPE;
    r = bri_listings_take_names(b->arena, &names);
    if (r == 0) {
        for (uint32_t i = 0; i < names.n; i++)
            n += wanted(&names.entries[i], number, prefix);
        bri_pack_start(&p, buffer);
        bri_pack_array(&p, n);
        for (uint32_t i = 0; i < names.n; i++)
            if (wanted(&names.entries[i], number, prefix))
                pack_listed(&p, b->arena, &names.entries[i]);
        r = bri_pack_end(&p, out_objects);
    }
    free(names.entries);
    return r;
}

/* ---- objects without names ---- */

static void pack_anonymous(struct bri_pack *p, struct bri_arena *a, const struct bri_listing *entry)
{
    const struct bri_type_ops *ops = bri_type_ops(entry->type);
    struct bri_object now, o = {.arena = a, .id = entry->slot, .generation = entry->generation};
    uint64_t bytes = 0;

    if (bri_object_bind(a, entry->slot, &now) == 0 && now.generation == entry->generation)
        bytes = object_bytes(&now);
    bri_pack_map(p, 3);
    bri_pack_entry(p, "ref", bri_ref_value(bri_ref_of(&o)));
    bri_pack_entry(p, "type", ops != NULL ? broker_str(ops->name) : broker_nil());
    bri_pack_entry(p, "bytes", broker_uint(bytes));
}

int bri_broker_anonymous(broker *b, broker_buffer *buffer, broker_value *out_objects)
{
    struct bri_listings found = {0};
    struct bri_pack p;
    int r = bri_listings_add_anonymous(b->arena, &found);

    if (r == 0) {
        bri_pack_start(&p, buffer);
        bri_pack_array(&p, found.n);
        for (uint32_t i = 0; i < found.n; i++)
            pack_anonymous(&p, b->arena, &found.entries[i]);
        r = bri_pack_end(&p, out_objects);
    }
    free(found.entries);
    return r;
}

/* ---- one object ---- */

/* Sessions that have an object open, and those that hold something of it. */
struct users {
    uint64_t sessions, holders;
};

static void add_user(const struct bri_object *session, const struct bri_object *o,
    const struct bri_owner_look *owner, struct users *users)
{
    uint32_t number = session->id - session->arena->first_slot - 1, left = 100000;
    const struct bri_attachment_shm *att;

    for (uint64_t off = bri_session_state(session)->first_attachment; off != 0 && left-- > 0;
         off = att->next_off) {
        att = bri_attachment_at(session, off);
        if (att == NULL)
            return;
        if (att->object != o->id || att->generation != o->generation)
            continue;
        users->sessions++;
        users->holders += (att->held[0] | att->held[1] | att->n_leases) != 0 ||
                          (owner->held && owner->session == number);
        return;
    }
}

/* Read without the sessions' guards: a picture. */
static struct users find_users(const struct bri_object *o)
{
    struct bri_owner_look owner = {0};
    struct bri_object session;
    struct users users = {0};

    (void)bri_owner_look_at_any(o, &owner);
    for (uint32_t i = 0; i < o->arena->n_sessions; i++)
        if (bri_session_object(o->arena, i, &session) == 0 && session.root != NULL)
            add_user(&session, o, &owner, &users);
    return users;
}

/* The numbers that every object has. */
static void common_stat(
    const struct bri_object *o, const struct users *users, struct bri_stat *stat)
{
    const struct bri_slot_shm *s = o->slot;
    const struct bri_sleeps_shm *sleeps = bri_sleeps_of(o);
    uint64_t sleepers = 0;

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        sleepers += *(const volatile uint32_t *)&s->n_waiters[i];
    bri_stat_add(stat, "bytes", object_bytes(o));
    if (o->root != NULL && o->root->heap.max_pages != 0)
        bri_stat_add(stat, "quota_bytes", o->root->heap.max_pages * BRI_PAGE_SIZE);
    bri_stat_add(stat, "created_ns", s->created_ns);
    bri_stat_add(stat, "creator_uid", s->creator_uid);
    bri_stat_add(stat, "sessions", users->sessions);
    bri_stat_add(stat, "holders", users->holders);
    bri_stat_add(stat, "waiters", sleepers);
    if (sleeps != NULL) {
        bri_stat_add(stat, "sleeps", sleeps->n);
        bri_stat_add(stat, "wait_ns", sleeps->wait_ns);
        bri_stat_add(stat, "longest_wait_ns", sleeps->longest_ns);
    }
    bri_stat_add(stat, "guard_contended", s->n_contended);
    bri_stat_add(stat, "recoveries", s->n_recovered);
    bri_stat_add(stat, "quarantined", bri_is_damaged(s));
}

/* Under the guard where that is possible, so that the numbers belong together. */
static int collect(struct bri_object *o, const struct bri_type_ops *ops, struct bri_stat *stat)
{
    struct users users = find_users(o);
    struct bri_txn t;
    int r = o->arena->read_only ? BROKER_ACCESS : bri_begin(&t, o, -100 * BRI_MILLISECOND);

    if (r == BROKER_GONE)
        return BROKER_NOTFOUND;
    common_stat(o, &users, stat);
    ops->stat(o, stat);
    if (r == 0)
        bri_abort(&t);
    return 0; /* a guard that somebody stopped holds is no reason to say nothing */
}

int bri_broker_stat(broker *b, const char *name, broker_buffer *buffer, broker_value *out_stat)
{
    struct bri_stat stat = {0};
    const struct bri_type_ops *ops;
    struct bri_object o;
    struct bri_pack p;
    int r = bri_registry_find(b->arena, name, &o);

    if (r < 0)
        return r;
    ops = bri_type_ops(o.type);
    if (ops == NULL)
        return BROKER_CORRUPT;
    r = collect(&o, ops, &stat);
    if (r < 0)
        return r;
    bri_pack_start(&p, buffer);
    bri_pack_map(&p, stat.n + 2);
    bri_pack_entry(&p, "name", broker_str(name));
    bri_pack_entry(&p, "type", broker_str(ops->name));
    for (uint32_t i = 0; i < stat.n; i++)
        bri_pack_entry(&p, stat.entries[i].name,
            stat.entries[i].text != NULL ? broker_str(stat.entries[i].text)
                                         : broker_uint(stat.entries[i].value));
    return bri_pack_end(&p, out_stat);
}

int bri_broker_destroy(broker *b, const char *name)
{
    return b->read_only ? BROKER_ACCESS : bri_registry_destroy(b->arena, name);
}

int bri_broker_collect(broker *b, uint64_t *out_freed)
{
    return b->read_only ? BROKER_ACCESS : bri_collect(b->arena, out_freed);
}

int bri_broker_rename(broker *b, const char *name, const char *new_name)
{
    return b->read_only ? BROKER_ACCESS : bri_registry_rename(b->arena, name, new_name);
}

static int open_any(broker *b, const char *name, struct bri_handle **out_handle)
{
    struct bri_open open = {.name = name, .mode = BRI_OPEN_EXISTING};
    struct bri_object found;
    int r = bri_registry_find(b->arena, name, &found);

    if (r < 0)
        return r;
    open.type = bri_type_ops(found.type);
    if (open.type == NULL)
        return BROKER_CORRUPT;
    if (open.type->is_word)
        return BROKER_UNSUPPORTED;
    return bri_shm_open_handle(b, &open, out_handle);
}

int bri_broker_wait_change(
    broker *b, const char *name, uint64_t seen, int64_t timeout_ns, uint64_t *out_version)
{
    struct bri_handle *h;
    int r = b->read_only ? BROKER_ACCESS : open_any(b, name, &h);

    if (r < 0)
        return r;
    r = bri_enter(h, h->type); /* the handle may be one from before a fork */
    if (r == 0)
        r = bri_wait_change(&h->object, seen, timeout_ns, out_version);
    bri_shm_close_handle(h);
    return r;
}

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
