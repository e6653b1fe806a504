/*
 * picture.c - see picture.h
 */
#define XXH_INLINE_ALL
#include "picture.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "core/attachment.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/session.h"
#include "core/type.h"
#include "engine_ops.h"
#include "objects/condition.h"
#include "objects/items.h"
#include "objects/items_walk.h"
#include "objects/owner.h"
#include "world.h"

#define MAX_ITEMS 100000
#define MAX_SHOWN 48u

/* ---- text ---- */

void text_clear(struct text *x)
{
    x->size = 0;
}

void text_free(struct text *x)
{
    free(x->data);
    *x = (struct text){0};
}

static void reserve(struct text *x, size_t size)
{
    if (x->capacity - x->size >= size)
        return;
    x->capacity = 2 * (x->size + size) + 4096;
    x->data = realloc(x->data, x->capacity);
    must(x->data == NULL ? BROKER_NOMEM : 0, "realloc");
}

void text_bytes(struct text *x, const void *bytes, size_t size)
{
    reserve(x, size);
    memcpy(x->data + x->size, bytes, size);
    x->size += size;
}

void text_add(struct text *x, const char *format, ...)
{
    va_list args;
    int n;

    reserve(x, 512);
    va_start(args, format);
    n = vsnprintf(x->data + x->size, x->capacity - x->size, format, args);
    va_end(args);
    must(n < 0 || (size_t)n >= x->capacity - x->size ? BROKER_TOOBIG : 0, format);
    x->size += (size_t)n;
}

uint64_t text_hash(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

uint64_t text_hash_on(uint64_t hash, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, hash);
}

void text_value(struct text *x, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    if (size > MAX_SHOWN) {
        text_add(x, "<%zu bytes, %016llx>", size, (unsigned long long)text_hash(bytes, size));
        return;
    }
    reserve(x, 4 * size + 1);
    for (size_t i = 0; i < size; i++)
        if (isprint(p[i]))
            x->data[x->size++] = (char)p[i];
        else
            x->size += (size_t)sprintf(x->data + x->size, "\\%02x", p[i]);
}

/* ---- who is there ---- */

unsigned picture_subjects(struct bri_arena *a, struct subject subjects[MAX_SUBJECTS])
{
    static struct bri_listing entries[MAX_SUBJECTS];
    struct bri_object o;
    uint32_t cursor = 0;
    unsigned n = 0;
    int found;

    for (uint32_t slot = a->first_slot; slot <= a->first_slot + a->n_sessions; slot++)
        if (bri_object_bind(a, slot, &o) == 0)
            subjects[n++] = (struct subject){.slot = slot, .generation = o.generation};
    found = bri_registry_list(a, &cursor, entries, MAX_SUBJECTS - n);
    must(found >= 0 && cursor != 0 ? BROKER_TOOBIG : 0,
        "more objects than the harness has room for");
    for (int i = 0; i < found; i++)
        subjects[n++] =
            (struct subject){.slot = entries[i].slot, .generation = entries[i].generation};
    return n;
}

/* ---- what readers see ---- */

static void show_registry(struct text *x, struct bri_arena *a)
{
    static struct bri_listing entries[MAX_SUBJECTS];
    uint32_t cursor = 0;
    int n = bri_registry_list(a, &cursor, entries, MAX_SUBJECTS);

    text_add(x, "registry:");
    for (int i = 0; i < n; i++)
        text_add(x, " %s (%u)", entries[i].name, entries[i].type);
    text_add(x, n < 0 ? " failed: %d\n" : "\n", n);
}

static void show_session(struct text *x, const struct bri_object *session)
{
    const struct bri_session_shm *s = bri_session_state(session);
    const struct bri_attachment_shm *att;
    uint32_t left = MAX_SUBJECTS;

    text_add(x,
        "session %u: status %u, %u attachments:", session->id - session->arena->first_slot - 1,
        atomic_load(&s->status), s->n_attachments);
    for (uint64_t off = session->root != NULL ? s->first_attachment : 0; off != 0 && left-- > 0;
         off = att->next_off) {
        att = bri_attachment_at(session, off);
        if (att == NULL) {
            text_add(x, " broken");
            break;
        }
        text_add(x, " %u", att->object);
    }
    text_add(x, "\n");
}

/* All that a dict, a namespace or a list has. */
static void show_copy(struct text *x, const struct bri_object *o)
{
    static broker_buffer buffer;
    struct bri_handle h = {.object = *o};
    broker_value all;
    int r = o->type == BRI_TYPE_LIST ? bri_list_copy(&h, &buffer, &all)
                                     : bri_dict_copy(&h, &buffer, &all);

    if (r < 0) {
        text_add(x, " failed: %s", broker_error_name(r));
        return;
    }
    if (buffer.size > 256) {
        text_value(x, buffer.data, buffer.size);
        return;
    }
    for (size_t at = 0; at < buffer.size; at += MAX_SHOWN)
        text_value(x, (const char *)buffer.data + at,
            buffer.size - at < MAX_SHOWN ? buffer.size - at : MAX_SHOWN);
}

static void show_array(struct text *x, const struct bri_object *o)
{
    static broker_buffer buffer;
    struct bri_handle h = {.object = *o};
    broker_value values;
    int r = bri_array_read(&h, &buffer, &values);

    if (r < 0)
        text_add(x, " failed: %s", broker_error_name(r));
    else
        text_value(x, buffer.data, buffer.size);
    text_add(x, "\n"); /* its pins are holdings, which come and go */
}

/* How many messages there are, with those that are being copied. Who does that, and who holds the
 * ends, comes and goes. */
static void show_pipe(struct text *x, const struct bri_object *o)
{
    struct bri_stat stat = {0};
    uint64_t n = 0;

    bri_type_ops(o->type)->stat(o, &stat);
    for (uint32_t i = 0; i < stat.n; i++)
        if (strncmp(stat.entries[i].name, "messages_", 9) == 0 ||
            strncmp(stat.entries[i].name, "reading_", 8) == 0)
            n += stat.entries[i].value;
    text_add(x, " %llu messages\n", (unsigned long long)n);
}

/* Those that nobody can take now. */
static void show_away(struct text *x, const struct bri_object *o, const struct bri_items_shm *q)
{
    uint32_t left = MAX_ITEMS;
    struct bri_items_walk walk;
    struct bri_items_met met;

    bri_items_walk_start(o, q, 0, &walk);
    while (left-- > 0 && bri_items_walk_next(o, q, &walk, &met) == 0)
        if (!met.skip && met.item->state != BRI_ITEM_READY)
            text_add(x, " %llu:%u*%u%s", (unsigned long long)met.item->number, met.item->state,
                met.item->deliveries, met.item->timer != 0 ? "t" : "");
}

static void show_queue(struct text *x, const struct bri_object *o)
{
    const struct bri_items_shm *q = (const struct bri_items_shm *)o->slot->state;
    struct bri_items_cursor c;
    uint32_t left = MAX_ITEMS;
    int r = 0;

    bri_items_look(q, &c);
    while (left-- > 0 && (r = bri_items_next(o, q, &c)) == 0) {
        text_add(x, " %llu%s*%u=", (unsigned long long)c.item->number,
            (c.item->flags & BRI_ITEM_REDELIVERED) != 0 ? "r" : "", c.item->deliveries);
        text_value(x, c.bytes, c.size);
    }
    text_add(x, " then %s", r < 0 ? broker_error_name(r) : "no end");
    show_away(x, o, q);
}

static void show_stat(struct text *x, const struct bri_object *o)
{
    struct bri_stat stat = {0};

    bri_type_ops(o->type)->stat(o, &stat);
    for (uint32_t i = 0; i < stat.n; i++)
        if (stat.entries[i].text != NULL)
            text_add(x, " %s=%s", stat.entries[i].name, stat.entries[i].text);
        else
            text_add(
                x, " %s=%llu", stat.entries[i].name, (unsigned long long)stat.entries[i].value);
}

/* One of a list, whose links are offsets; NULL at the end. */
static const struct bri_waiter_shm *waiter_at(const struct bri_object *o, uint64_t off)
{
    if (off == 0 || bri_block_capacity(o, off) < sizeof(struct bri_waiter_shm))
        return NULL;
    return BRI_AT(o->arena, off, struct bri_waiter_shm);
}

/* Of the lock, which has no sequence, nothing. */
static void show_waiters(struct text *x, const struct bri_object *o)
{
    const struct bri_waiters_shm *w = &bri_condition_of(o)->waiters;
    const struct bri_waiter_shm *waiter = waiter_at(o, w->first_off);

    text_add(x, " %llu joined, %llu notified, %llu wait:", (unsigned long long)w->n_joined,
        (unsigned long long)w->n_notified, (unsigned long long)w->n);
    for (uint32_t left = MAX_ITEMS; waiter != NULL && left > 0; left--) {
        text_add(x, " %llu%s", (unsigned long long)waiter->number,
            bri_waiters_is_notified(w, waiter) ? "!" : "");
        waiter = waiter_at(o, waiter->next_off);
    }
}

static void show_object(struct text *x, const struct bri_object *o)
{
    text_add(x, "object %u:", o->id);
    if (o->type == BRI_TYPE_ARRAY) {
        show_array(x, o);
        return;
    }
    if (bri_type_ops(o->type)->is_word)
        return; /* it has no sequence */
    if (o->type == BRI_TYPE_PIPE) {
        show_pipe(x, o);
        return;
    }
    if (o->type == BRI_TYPE_DICT || o->type == BRI_TYPE_NAMESPACE || o->type == BRI_TYPE_LIST)
        show_copy(x, o);
    else if (o->type == BRI_TYPE_QUEUE)
        show_queue(x, o);
    if (o->type == BRI_TYPE_CONDITION)
        show_waiters(x, o);
    else
        show_stat(x, o);
    text_add(x, "\n");
}

void picture_reader(struct text *x, struct bri_arena *a, const struct subject *subject)
{
    struct bri_object o;
    int r = bri_object_bind(a, subject->slot, &o);

    if (r < 0 || o.generation != subject->generation) {
        text_add(x, "slot %u: gone\n", subject->slot);
        return;
    }
    if (subject->slot == a->first_slot)
        show_registry(x, a);
    else if (subject->slot <= a->first_slot + a->n_sessions)
        show_session(x, &o);
    else
        show_object(x, &o);
}

/* ---- all ---- */

/* How often it is held counts only for an owner that can go on. */
static void show_owner(struct text *x, const struct bri_object *o, uint32_t dead)
{
    struct bri_owner_look look;
    int r = bri_owner_look(o, &look);

    if (r < 0)
        text_add(x, "lock: failed: %s\n", broker_error_name(r));
    else if (!look.held)
        text_add(x, "lock: free\n");
    else if (look.kept)
        text_add(x, "lock: kept\n");
    else if (o->type == BRI_TYPE_LOCK || look.session == dead)
        text_add(x, "lock: held by session %u\n", look.session);
    else
        text_add(x, "lock: held by session %u, %llu times\n", look.session,
            (unsigned long long)look.depth);
}

static void show_value(struct text *x, const struct bri_object *o)
{
    struct bri_handle h = {.object = *o};
    broker_value v = broker_nil();
    int r = bri_value_get(&h, &v);

    text_add(x, "value: %d, %u: %llx\n", r, v.type, (unsigned long long)v.u);
}

/* The attachments of session @number, one after another; NULL at the end. */
static const struct bri_attachment_shm *next_attachment(
    struct bri_arena *a, uint32_t number, const struct bri_attachment_shm *before)
{
    struct bri_object session;

    if (bri_session_object(a, number, &session) < 0 || session.root == NULL)
        return NULL;
    return bri_attachment_at(&session,
        before != NULL ? before->next_off : bri_session_state(&session)->first_attachment);
}

static void show_holding(struct text *x, const struct bri_object *o, uint32_t session,
    const struct bri_attachment_shm *att)
{
    const struct bri_waiter_shm *waiter;

    text_add(x, "  session %u: %u leases, pinned %u, holds %llu and %llu", session, att->n_leases,
        att->pinned, (unsigned long long)att->held[0], (unsigned long long)att->held[1]);
    waiter = o->type == BRI_TYPE_CONDITION ? waiter_at(o, att->first_lease) : NULL;
    for (uint32_t left = MAX_ITEMS; waiter != NULL && left > 0; left--) {
        text_add(x, ", waits as %llu", (unsigned long long)waiter->number);
        waiter = waiter_at(o, waiter->next_mine_off);
    }
    text_add(x, "\n");
}

static void show_holdings(struct text *x, const struct bri_object *o, uint32_t dead)
{
    const struct bri_attachment_shm *att = NULL;

    for (unsigned i = 0; i < BRI_N_CHANNELS; i++)
        text_add(x, " %u", o->slot->n_waiters[i]);
    text_add(x, " sleep\n");
    for (uint32_t i = 0; i < o->arena->n_sessions; i++)
        for (uint32_t left = MAX_SUBJECTS;
             left > 0 && (att = next_attachment(o->arena, i, att)) != NULL; left--)
            if (i != dead && att->object == o->id && att->generation == o->generation)
                show_holding(x, o, i, att);
}

void picture_reserved(struct text *x, struct bri_arena *a)
{
    const struct bri_attachment_shm *att = NULL;

    for (uint32_t i = 0; i < a->n_sessions; i++)
        for (uint32_t left = MAX_SUBJECTS; left > 0 && (att = next_attachment(a, i, att)) != NULL;
             left--)
            if (att->n_reserved != 0)
                text_add(
                    x, "session %u: %u pages of %u reserved\n", i, att->n_reserved, att->object);
}

void picture_arena(struct text *x, struct bri_arena *a, uint32_t dead)
{
    struct subject subjects[MAX_SUBJECTS];
    unsigned n = picture_subjects(a, subjects);

    for (unsigned i = 0; i < n; i++) {
        struct bri_object o;

        if (subjects[i].slot != a->first_slot + 1 + dead)
            picture_reader(x, a, &subjects[i]);
        if (i <= a->n_sessions || bri_object_bind(a, subjects[i].slot, &o) < 0)
            continue;
        if (o.type == BRI_TYPE_LOCK || o.type == BRI_TYPE_RLOCK ||
            (o.type == BRI_TYPE_CONDITION && bri_condition_of(&o)->lock_generation == 0))
            show_owner(x, &o, dead);
        else if (o.type == BRI_TYPE_VALUE)
            show_value(x, &o);
        show_holdings(x, &o, dead);
    }
}
