/*
 * inspect.c - the operations of the arena itself: what is in it
 *
 * Pictures of a living thing: each line is right for a moment of its own. Nothing here holds a
 * guard for longer than one object's numbers take.
 */
#include <stdlib.h>

#include <broker.h>

#include "client/open.h"
#include "core/attachment.h"
#include "core/collect.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/session.h"
#include "core/wait.h"
#include "engine_ops.h"
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
