/*
 * cases_namespace.c - start states and operations of the namespace
 *
 * What a namespace is made of is the dict's, whose cases kill it in every state that a table can
 * have. These show that the road through names leads there.
 */
#include <stdio.h>

#include "cases.h"
#include "engine_ops.h"

static struct bri_handle *space_of(struct actor *who)
{
    return &who->handles[NAMESPACE];
}

/* ---- start states ---- */

static void put(struct world *w, const char *name, broker_value v)
{
    MUST(bri_namespace_set(space_of(&w->actors[PEER]), name, v));
}

static void empty(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++)
        world_open_namespace(w, (enum who)i, NULL);
}

static void one(struct world *w)
{
    empty(w);
    put(w, "m", broker_int(2));
}

static void few(struct world *w)
{
    empty(w);
    put(w, "a", broker_int(1));
    put(w, "m", broker_int(2));
    put(w, "z", broker_int(3));
}

static void texts(struct world *w)
{
    few(w);
    put(w, "a", broker_str("a text of more than thirty bytes, all in all"));
    put(w, "a_longer_name", broker_str(""));
}

static void many(struct world *w)
{
    char name[16];

    few(w);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "name_%d", i);
        put(w, name, broker_int(i));
    }
}

static void renewed(struct world *w)
{
    many(w);
    for (int i = 0; i < 100; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "name_%d", i);
        MUST(bri_namespace_delete(space_of(&w->actors[PEER]), name));
    }
}

const struct crash_state namespace_any[5] = {
    {"empty", empty}, {"few", few}, {"texts", texts}, {"many", many}, {"renewed", renewed}};
const struct crash_state namespace_filled[5] = {
    {"one", one}, {"few", few}, {"texts", texts}, {"many", many}, {"renewed", renewed}};

/* ---- operations ---- */

int namespace_set_new(struct actor *who)
{
    return bri_namespace_set(space_of(who), "fresh", broker_str("new"));
}

int namespace_set_old(struct actor *who)
{
    return bri_namespace_set(space_of(who), "m", broker_str("a longer value than it has had"));
}

int namespace_set_bad(struct actor *who)
{
    return bri_namespace_set(space_of(who), "_m", broker_int(1));
}

int namespace_delete(struct actor *who)
{
    return bri_namespace_delete(space_of(who), "m");
}

int namespace_update(struct actor *who)
{
    static const uint8_t pairs[] = {0x83, 0xa1, 'm', 0x09, 0xa1, 'n', 0x08, 0xa1, 'o', 0x07};

    return bri_namespace_update(space_of(who), broker_packed(pairs, sizeof(pairs)));
}

int namespace_add(struct actor *who)
{
    return bri_namespace_add(space_of(who), "m", 40, &who->answer);
}

int namespace_compare_and_set(struct actor *who)
{
    return bri_namespace_compare_and_set(space_of(who), "m", broker_int(2), broker_int(63));
}
