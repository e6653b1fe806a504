/*
 * contend_scenarios.c - who waits for whom; see contend.h
 */
#include <string.h>

#include <broker.h>

#include "contend.h"
#include "core/bury.h"
#include "core/lock.h"
#include "core/registry.h"
#include "core/type.h"
#include "engine_ops.h"
#include "value/value.h"

static broker_buffer out;
static uint8_t two[8];
static size_t two_size;

void contend_make_arguments(void)
{
    MUST(bri_buffer_reserve(&out, 4096));
    two_size = bri_array_header(2, two);
    two_size += bri_value_encode(broker_int(1), two + two_size);
    two_size += bri_value_encode(broker_int(2), two + two_size);
}

/* ---- a guard, as core/lock.h has it ---- */

static void guard(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++)
        world_open_dict(w, (enum who)i, 0);
}

static _Atomic uint32_t *word_of(struct actor *who)
{
    return &who->handles[DICT].object.slot->word;
}

static int guard_lock(struct actor *who)
{
    return bri_lock(word_of(who), BRI_NEVER);
}

static int guard_unlock(struct actor *who)
{
    bri_unlock(word_of(who));
    return 0;
}

static int guard_pass(struct actor *who)
{
    int r = guard_lock(who);

    if (r < 0)
        return r;
    return guard_unlock(who);
}

static int dict_set(struct actor *who)
{
    return bri_dict_set(&who->handles[DICT], broker_str("key"), broker_int(1));
}

/* ---- the lock ---- */

static void lock(struct world *w)
{
    for (int i = 0; i < N_ACTORS; i++)
        world_open_lock(w, (enum who)i, NULL);
}

static int lock_acquire(struct actor *who)
{
    return bri_lock_acquire(&who->handles[LOCK], BROKER_FOREVER, NULL);
}

static int lock_release(struct actor *who)
{
    return bri_lock_release(&who->handles[LOCK]);
}

static int lock_pass(struct actor *who)
{
    int r = lock_acquire(who);

    if (r >= 0)
        (void)lock_release(who);
    return r;
}

static int lock_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "lock");
}

/* ---- the queue ---- */

static struct bri_handle *queue_of(struct actor *who)
{
    return &who->handles[QUEUE];
}

static int put(struct actor *who)
{
    return bri_queue_put(queue_of(who), broker_int(7), BROKER_FOREVER);
}

static int get(struct actor *who)
{
    broker_value v;

    return bri_queue_get(queue_of(who), BROKER_FOREVER, &out, &v);
}

static int put_two(struct actor *who)
{
    return bri_queue_put_many(queue_of(who), broker_packed(two, two_size), BROKER_FOREVER);
}

static int get_two(struct actor *who)
{
    broker_value v;

    return bri_queue_get_many(queue_of(who), 2, BROKER_FOREVER, &out, &v);
}

static int task_done(struct actor *who)
{
    return bri_queue_task_done(queue_of(who));
}

static int join(struct actor *who)
{
    return bri_queue_join(queue_of(who), BROKER_FOREVER);
}

static int queue_shutdown(struct actor *who)
{
    return bri_queue_shutdown(queue_of(who));
}

static int queue_destroy(struct actor *who)
{
    return bri_registry_destroy(who->broker->arena, "queue");
}

static void open_queue(struct world *w, bool joinable, uint64_t max_items)
{
    broker_queue_options options = {.joinable = joinable, .max_items = max_items};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_queue(w, (enum who)i, &options);
}

static void empty(struct world *w)
{
    open_queue(w, false, 0);
}

static void joinable(struct world *w)
{
    open_queue(w, true, 0);
}

static void full(struct world *w)
{
    open_queue(w, false, 1);
    MUST(put(&w->actors[PEER]));
}

static void full_of_two(struct world *w)
{
    open_queue(w, false, 2);
    MUST(put_two(&w->actors[PEER]));
}

static void leased(struct world *w)
{
    joinable(w);
    MUST(put(&w->actors[PEER]));
    MUST(get(&w->actors[VICTIM]));
}

static uint64_t stat_of(struct actor *who, const char *name)
{
    const struct bri_object *o = &queue_of(who)->object;
    struct bri_stat stat = {0};

    bri_type_ops(o->type)->stat(o, &stat);
    for (uint32_t i = 0; i < stat.n; i++)
        if (strcmp(stat.entries[i].name, name) == 0)
            return stat.entries[i].value;
    must(BROKER_NOTFOUND, name);
    return 0;
}

/* The victim may have taken the only item with it. If one is there, the sleeper needs no other. */
static int put_if_empty(struct actor *who)
{
    return stat_of(who, "items") == 0 ? put(who) : 0;
}

/* The victim may have taken the only room. */
static int get_if_full(struct actor *who)
{
    while (stat_of(who, "items") != 0) {
        broker_value v;
        int r = bri_queue_get(queue_of(who), 0, &out, &v);

        if (r < 0)
            return r == BROKER_EMPTY ? 0 : r; /* the sleeper's own, and it was taken away at once */
    }
    return 0;
}

static int finish_item(struct actor *who)
{
    int r = stat_of(who, "unfinished") != 0 ? get(who) : 0;

    return r == 0 && stat_of(who, "unfinished") != 0 ? task_done(who) : r;
}

/* It has finished what it had: then nothing comes back. */
static int put_if_finished(struct actor *who)
{
    return stat_of(who, "unfinished") == 0 ? put(who) : 0;
}

static int shut_if_open(struct actor *who)
{
    return stat_of(who, "closed") == 0 ? queue_shutdown(who) : 0;
}

/* The daemon completes what somebody began; if nobody did, it begins now. */
static int destroy_again(struct actor *who)
{
    int r = bri_bury(who->broker->arena);

    if (r < 0)
        return r;
    r = who->handles[LOCK].magic != 0 ? lock_destroy(who) : queue_destroy(who);
    return r == BROKER_NOTFOUND ? 0 : r;
}

/* ---- the table ---- */

const struct contend_scenario contend_scenarios[] = {
    {.name = "guard: owner killed while it unlocks",
        .prepare = guard,
        .before = guard_lock,
        .victim = guard_unlock,
        .sleeper = OTHER,
        .sleep = guard_pass,
        .every = true,
        .bare = true},
    {.name = "guard: waiter killed, another behind it",
        .prepare = guard,
        .setup = guard_lock,
        .victim = guard_pass,
        .sleeper = OTHER,
        .sleep = guard_pass,
        .victim_first = true,
        .trigger = guard_unlock,
        .every = true,
        .bare = true},
    {.name = "guard: waiter killed after the owner",
        .prepare = guard,
        .holder = guard_lock,
        .victim = guard_pass,
        .sleeper = PEER,
        .sleep = guard_pass,
        .victim_first = true,
        .every = true,
        .bare = true},
    {.name = "section: killed in it, another waits for the guard",
        .prepare = guard,
        .victim = dict_set,
        .sleeper = OTHER,
        .sleep = dict_set,
        .victim_first = true},

    {.name = "lock: owner killed while it releases",
        .prepare = lock,
        .before = lock_acquire,
        .victim = lock_release,
        .sleeper = OTHER,
        .sleep = lock_pass,
        .every = true,
        .results = {0, BROKER_OWNER_DIED}},
    {.name = "lock: killed while it acquires",
        .prepare = lock,
        .victim = lock_pass,
        .sleeper = OTHER,
        .sleep = lock_pass,
        .victim_first = true,
        .every = true,
        .results = {0, BROKER_OWNER_DIED}},
    {.name = "lock: waiter killed, another behind it",
        .prepare = lock,
        .setup = lock_acquire,
        .victim = lock_pass,
        .sleeper = OTHER,
        .sleep = lock_pass,
        .victim_first = true,
        .trigger = lock_release,
        .results = {0, BROKER_OWNER_DIED}},
    {.name = "lock: waiter killed after the owner",
        .prepare = lock,
        .holder = lock_acquire,
        .victim = lock_pass,
        .sleeper = PEER,
        .sleep = lock_pass,
        .victim_first = true,
        .results = {0, BROKER_OWNER_DIED}},
    {.name = "lock: destroyer killed",
        .prepare = lock,
        .setup = lock_acquire,
        .victim = lock_destroy,
        .sleeper = OTHER,
        .sleep = lock_pass,
        .finish = destroy_again,
        .results = {BROKER_GONE}},
    {.name = "lock: owner killed, no daemon",
        .prepare = lock,
        .before = lock_acquire,
        .victim = lock_release,
        .sleeper = OTHER,
        .sleep = lock_pass,
        .no_daemon = true,
        .results = {0, BROKER_OWNER_DIED}},

    {.name = "queue: putter killed, another waits for an item",
        .prepare = empty,
        .victim = put,
        .sleeper = OTHER,
        .sleep = get,
        .finish = put_if_empty},
    {.name = "queue: getter killed, another behind it",
        .prepare = empty,
        .victim = get,
        .sleeper = OTHER,
        .sleep = get,
        .victim_first = true,
        .trigger = put,
        .finish = put_if_empty},
    {.name = "queue: getter killed, its lease goes to another",
        .prepare = joinable,
        .victim = get,
        .sleeper = OTHER,
        .sleep = get,
        .victim_first = true,
        .trigger = put},
    {.name = "queue: getter killed, another waits for room",
        .prepare = full,
        .victim = get,
        .sleeper = OTHER,
        .sleep = put,
        .finish = get_if_full},
    {.name = "queue: putter killed, another behind it",
        .prepare = full,
        .victim = put,
        .sleeper = OTHER,
        .sleep = put,
        .victim_first = true,
        .trigger = get,
        .finish = get_if_full},
    {.name = "queue: getter killed, another waits for much room",
        .prepare = full_of_two,
        .victim = get_two,
        .sleeper = OTHER,
        .sleep = put_two,
        .finish = get_if_full},
    {.name = "queue: finisher killed, another joins",
        .prepare = leased,
        .victim = task_done,
        .sleeper = OTHER,
        .sleep = join,
        .finish = finish_item},
    {.name = "queue: killed while it shuts down",
        .prepare = empty,
        .victim = queue_shutdown,
        .sleeper = OTHER,
        .sleep = get,
        .finish = shut_if_open,
        .results = {BROKER_CLOSED}},
    {.name = "queue: destroyer killed",
        .prepare = empty,
        .victim = queue_destroy,
        .sleeper = OTHER,
        .sleep = get,
        .finish = destroy_again,
        .results = {BROKER_GONE}},
    {.name = "queue: lessee killed, no daemon",
        .prepare = leased,
        .victim = task_done,
        .sleeper = OTHER,
        .sleep = get,
        .finish = put_if_finished,
        .no_daemon = true},
};
const unsigned n_contend_scenarios = sizeof(contend_scenarios) / sizeof(contend_scenarios[0]);
