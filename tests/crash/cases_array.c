/*
 * cases_array.c - start states and operations of the array
 */
#include <broker.h>

#include "cases.h"
#include "core/attachment.h"
#include "engine_ops.h"

#define LENGTH 5u
#define TWO_PAGES 600u /* of elements of eight bytes */

static struct bri_handle *array_of(struct actor *who)
{
    return &who->handles[ARRAY];
}

/* ---- start states ---- */

static void open_array(struct world *w, const char *typecode, uint64_t length)
{
    broker_array_options options = {.typecode = typecode, .length = length};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_array(w, (enum who)i, &options);
}

static void fill(struct world *w)
{
    for (int64_t i = 0; i < (int64_t)LENGTH; i++)
        MUST(bri_array_set(array_of(&w->actors[PEER]), i, broker_int(10 * i)));
}

static void pin(struct world *w, enum who who)
{
    uint64_t n;
    void *data;

    MUST(broker_array_data((broker_array *)array_of(&w->actors[who]), &data, &n));
}

/* Without memory for its elements. */
static void fresh(struct world *w)
{
    open_array(w, "q", LENGTH);
}

/* Neighbours in one word. */
static void bytes(struct world *w)
{
    open_array(w, "b", LENGTH);
    fill(w);
}

static void shorts(struct world *w)
{
    open_array(w, "H", LENGTH);
    fill(w);
}

static void reals(struct world *w)
{
    open_array(w, "f", LENGTH);
    fill(w);
}

static void long_one(struct world *w)
{
    open_array(w, "d", TWO_PAGES);
    fill(w);
}

/* The slot was another's before. */
static void second(struct world *w)
{
    long_one(w);
    MUST(bri_broker_destroy(w->actors[PEER].broker, "array"));
    for (int i = 0; i < N_ACTORS; i++)
        MUST(bri_detach(&w->actors[i].broker->session, &array_of(&w->actors[i])->object));
    open_array(w, "I", LENGTH);
}

static void others_pin(struct world *w)
{
    shorts(w);
    pin(w, OTHER);
}

static void mine_pin(struct world *w)
{
    reals(w);
    pin(w, VICTIM);
}

static void all_pin(struct world *w)
{
    bytes(w);
    for (int i = 0; i < N_ACTORS; i++)
        pin(w, (enum who)i);
}

/* Destroyed, and kept for the victim's pin alone ... */
static void gone_mine(struct world *w)
{
    mine_pin(w);
    MUST(bri_broker_destroy(w->actors[PEER].broker, "array"));
}

/* ... or for another's too. */
static void gone_shared(struct world *w)
{
    mine_pin(w);
    pin(w, OTHER);
    MUST(bri_broker_destroy(w->actors[PEER].broker, "array"));
}

const struct crash_state array_any[7] = {{"fresh", fresh}, {"bytes", bytes}, {"shorts", shorts},
    {"reals", reals}, {"long", long_one}, {"second", second}, {"others_pin", others_pin}};
const struct crash_state array_pinned[6] = {{"shorts", shorts}, {"others_pin", others_pin},
    {"mine_pin", mine_pin}, {"all_pin", all_pin}, {"gone_mine", gone_mine},
    {"gone_shared", gone_shared}};
const struct crash_state array_living[5] = {{"fresh", fresh}, {"long", long_one},
    {"others_pin", others_pin}, {"mine_pin", mine_pin}, {"all_pin", all_pin}};

/* ---- operations ---- */

int array_set(struct actor *who)
{
    return bri_array_set(array_of(who), -2, broker_int(17));
}

int array_set_bad(struct actor *who)
{
    return bri_array_set(array_of(who), 1, broker_str("17"));
}

int array_add(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_array_add(array_of(who), 1, broker_int(5), &v);

    who->answer = r == 0 ? v.i : 0;
    return r;
}

int array_exchange(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_array_exchange(array_of(who), 3, broker_int(18), &v);

    who->answer = r == 0 ? v.i : 0;
    return r;
}

int array_compare_and_set(struct actor *who)
{
    return bri_array_compare_and_set(array_of(who), 0, broker_int(0), broker_int(19));
}

int array_set_slice(struct actor *who)
{
    static const uint8_t three[] = {0x93, 0x07, 0x08, 0x09};

    return bri_array_set_slice(
        array_of(who), 4, INT64_MIN, -2, broker_packed(three, sizeof(three)));
}

int array_write(struct actor *who)
{
    static const uint8_t all[] = {0x95, 0x01, 0x02, 0x03, 0x04, 0x05};

    return bri_array_set_slice(array_of(who), 0, LENGTH, 1, broker_packed(all, sizeof(all)));
}

int array_data(struct actor *who)
{
    uint64_t n;
    void *data;

    return broker_array_data((broker_array *)array_of(who), &data, &n);
}

int array_close(struct actor *who)
{
    return bri_detach(&who->broker->session, &array_of(who)->object);
}

int array_destroy(struct actor *who)
{
    return bri_broker_destroy(who->broker, "array");
}
