/*
 * cases_value.c - start states and operations of the value
 */
#include "cases.h"
#include "core/attachment.h"
#include "engine_ops.h"

static struct bri_handle *value_of_actor(struct actor *who)
{
    return &who->handles[VALUE];
}

/* ---- start states ---- */

static void open_value(struct world *w, const char *typecode, broker_value initial)
{
    broker_number_options options = {.typecode = typecode, .initial = initial};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_value(w, (enum who)i, &options);
}

static void fresh(struct world *w)
{
    open_value(w, "q", broker_nil());
}

static void used(struct world *w)
{
    broker_value v;

    fresh(w);
    for (int i = 0; i < N_ACTORS; i++)
        MUST(bri_value_add(value_of_actor(&w->actors[i]), broker_int(i), &v));
}

static void negative(struct world *w)
{
    open_value(w, "h", broker_int(-300));
}

static void large(struct world *w)
{
    open_value(w, "Q", broker_uint(UINT64_MAX - 9));
}

static void real(struct world *w)
{
    open_value(w, "d", broker_double(0.25));
}

/* The slot was another's before. */
static void second(struct world *w)
{
    fresh(w);
    MUST(bri_broker_destroy(w->actors[PEER].broker, "value"));
    for (int i = 0; i < N_ACTORS; i++)
        MUST(bri_detach(&w->actors[i].broker->session, &value_of_actor(&w->actors[i])->object));
    open_value(w, "i", broker_int(5));
}

static void edge_b(struct world *w)
{
    open_value(w, "b", broker_int(INT8_MAX));
}

static void edge_h(struct world *w)
{
    open_value(w, "H", broker_int(UINT16_MAX - 1));
}

static void edge_i(struct world *w)
{
    open_value(w, "i", broker_int(INT32_MAX - 2));
}

static void edge_q(struct world *w)
{
    open_value(w, "q", broker_int(INT64_MAX));
}

static void edge_u(struct world *w)
{
    open_value(w, "u", broker_int(0x10ffff));
}

const struct crash_state value_any[6] = {{"fresh", fresh}, {"used", used}, {"negative", negative},
    {"large", large}, {"real", real}, {"second", second}};
const struct crash_state value_edge[5] = {
    {"b", edge_b}, {"H", edge_h}, {"i", edge_i}, {"q", edge_q}, {"u", edge_u}};

/* ---- operations ---- */

int value_set(struct actor *who)
{
    return bri_value_set(value_of_actor(who), broker_int(17));
}

/* The answer as its 64 bits. */
static int answered(struct actor *who, int r, broker_value v)
{
    who->answer = r == 0 ? v.i : 0;
    return r;
}

int value_add(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_value_add(value_of_actor(who), broker_int(5), &v);

    return answered(who, r, v);
}

int value_add_over(struct actor *who)
{
    return bri_value_add(value_of_actor(who), broker_int(3), &(broker_value){0});
}

int value_exchange(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_value_exchange(value_of_actor(who), broker_int(18), &v);

    return answered(who, r, v);
}

int value_compare_and_set(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_value_get(value_of_actor(who), &v);

    return r < 0 ? r : bri_value_compare_and_set(value_of_actor(who), v, broker_int(19));
}

int value_compare_other(struct actor *who)
{
    return bri_value_compare_and_set(value_of_actor(who), broker_int(111), broker_int(19));
}
