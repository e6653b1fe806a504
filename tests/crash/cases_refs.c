/*
 * cases_refs.c - start states and operations of references, anonymous objects and their collection
 *
 * What the collector does cannot be seen by who may see it: that it did no more and no less is told
 * by the audit, and by the empty arena in the end.
 */
#include "cases.h"
#include "core/collect.h"
#include "core/registry.h"
#include "engine_ops.h"
#include "value/value.h"

/* What the operations refer to; the same in all copies of a world. */
static broker_value ref;

static struct bri_handle *dict_of(struct actor *who)
{
    return &who->handles[DICT];
}

/* ---- start states ---- */

static struct bri_handle *make(struct world *w)
{
    struct bri_handle *h;

    MUST(bri_dict_open(w->actors[PEER].broker, NULL, &(broker_dict_options){0}, &h));
    return h;
}

static void store(struct bri_handle *in, const char *key, const struct bri_handle *what)
{
    MUST(bri_dict_set(in, broker_str(key), bri_ref_value(bri_ref_of(&what->object))));
}

static void open_all(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++) {
        world_open_dict(w, (enum who)i, 0);
        world_open_queue(w, (enum who)i, NULL);
        world_open_list(w, (enum who)i, 0);
    }
}

/* The peer has an object open that nothing refers to. */
static void held(struct world *w)
{
    open_all(w);
    ref = bri_ref_value(bri_ref_of(&make(w)->object));
}

static void stored(struct world *w)
{
    struct bri_handle *inner;

    open_all(w);
    inner = make(w);
    ref = bri_ref_value(bri_ref_of(&inner->object));
    store(dict_of(&w->actors[PEER]), "r", inner);
    bri_shm_close_handle(inner);
}

/* Two objects in a circle that begins in the dict, and one beside it. */
static void nested(struct world *w)
{
    struct bri_handle *a, *b;

    open_all(w);
    a = make(w);
    b = make(w);
    ref = bri_ref_value(bri_ref_of(&a->object));
    store(dict_of(&w->actors[PEER]), "r", a);
    store(a, "b", b);
    store(b, "a", a);
    bri_shm_close_handle(a);
    bri_shm_close_handle(b);
    bri_shm_close_handle(make(w));
}

/* A circle that nothing refers to, and what the peer still has. */
static void garbage(struct world *w)
{
    struct bri_handle *a, *b;

    held(w);
    a = make(w);
    b = make(w);
    store(a, "b", b);
    store(b, "a", a);
    bri_shm_close_handle(a);
    bri_shm_close_handle(b);
}

static void under_way(struct world *w)
{
    garbage(w);
    bri_collect_begin(w->arena);
}

static void nested_under_way(struct world *w)
{
    nested(w);
    bri_collect_begin(w->arena);
}

const struct crash_state refs_held[5] = {{"held", held}, {"stored", stored}, {"nested", nested},
    {"garbage", garbage}, {"under_way", under_way}};
const struct crash_state refs_stored[3] = {
    {"stored", stored}, {"nested", nested}, {"nested_under_way", nested_under_way}};
const struct crash_state refs_any[6] = {{"held", held}, {"stored", stored}, {"nested", nested},
    {"garbage", garbage}, {"under_way", under_way}, {"nested_under_way", nested_under_way}};

/* ---- operations ---- */

int refs_set(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("k"), ref);
}

int refs_set_gone(struct actor *who)
{
    broker_value gone = ref;

    gone.u++;
    return bri_dict_set(dict_of(who), broker_str("k"), gone);
}

int refs_put(struct actor *who)
{
    return bri_queue_put(&who->handles[QUEUE], ref, 0);
}

int refs_append(struct actor *who)
{
    return bri_list_append(&who->handles[LIST], ref);
}

int refs_overwrite(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("r"), broker_int(1));
}

int refs_open(struct actor *who)
{
    struct bri_handle *h;

    return bri_open_ref(who->broker, BRI_TYPE_DICT, ref, &h);
}

int refs_create(struct actor *who)
{
    struct bri_handle *h;

    return bri_dict_open(who->broker, NULL, &(broker_dict_options){0}, &h);
}

int refs_collect(struct actor *who)
{
    uint64_t freed;

    return bri_collect(who->broker->arena, &freed);
}
