/*
 * cases_wait_queue.c - who waits for queues and pipes, and who wakes them
 */
#include "cases_wait.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "value/value.h"

static broker_buffer out;
static uint8_t two[8];
static size_t two_size;

void wait_make_arguments(void)
{
    crash_make_buffer(&out, 4096);
    two_size = bri_array_header(2, two);
    two_size += bri_value_encode(broker_int(1), two + two_size);
    two_size += bri_value_encode(broker_int(2), two + two_size);
}

void wait_free_arguments(void)
{
    broker_buffer_free(&out);
}

/* ---- queues ---- */

static struct bri_handle *queue_of(struct actor *who)
{
    return &who->handles[QUEUE];
}

static uint64_t victims_lease;
static void *victims_room;

static void open_queues(struct world *w, bool joinable, uint64_t max_items)
{
    broker_queue_options options = {.joinable = joinable, .max_items = max_items};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_queue(w, (enum who)i, &options);
}

int item_put(struct actor *who)
{
    return bri_queue_put(queue_of(who), own_number(who), BROKER_FOREVER);
}

int items_put(struct actor *who)
{
    return bri_queue_put_many(queue_of(who), broker_packed(two, two_size), BROKER_FOREVER);
}

int item_get(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_queue_get(queue_of(who), BROKER_FOREVER, &out, &v);

    who->answer = (int64_t)v.u;
    return r;
}

int item_get_now(struct actor *who)
{
    broker_value v;

    return bri_queue_get(queue_of(who), 0, &out, &v);
}

int items_get(struct actor *who)
{
    broker_value v;

    return bri_queue_get_many(queue_of(who), 2, BROKER_FOREVER, &out, &v);
}

int item_lease(struct actor *who)
{
    uint64_t token, deliveries = 0;
    broker_value v = broker_nil();
    int r = bri_queue_lease(
        queue_of(who), BROKER_FOREVER, BROKER_FOREVER, &out, &v, &token, &deliveries);

    who->answer = (int64_t)(v.u + 1000 * deliveries);
    return r < 0 ? r : bri_queue_done(queue_of(who), token);
}

int item_done(struct actor *who)
{
    return bri_queue_done(queue_of(who), victims_lease);
}

int item_return(struct actor *who)
{
    return bri_queue_return(queue_of(who), victims_lease, 0);
}

int item_finish(struct actor *who)
{
    return bri_queue_task_done(queue_of(who));
}

int all_join(struct actor *who)
{
    return bri_queue_join(queue_of(who), BROKER_FOREVER);
}

int queue_shut(struct actor *who)
{
    return bri_queue_shutdown(queue_of(who));
}

int queue_empty_it(struct actor *who)
{
    uint64_t n;

    return bri_queue_clear(queue_of(who), &n);
}

/* Takes what there is, and finishes it. */
int item_use_up(struct actor *who)
{
    int r = item_get_now(who);

    return r < 0 ? r : item_finish(who);
}

void no_item(struct world *w)
{
    open_queues(w, false, 0);
}

void no_room(struct world *w)
{
    open_queues(w, false, 1);
    MUST(item_put(&w->actors[PEER]));
}

void no_room_for_two(struct world *w)
{
    open_queues(w, false, 2);
    MUST(items_put(&w->actors[PEER]));
}

void item_taken(struct world *w)
{
    open_queues(w, true, 0);
    MUST(item_put(&w->actors[PEER]));
    MUST(item_get(victim_of(w)));
}

void item_leased(struct world *w)
{
    uint64_t deliveries;
    broker_value v;

    open_queues(w, false, 1);
    MUST(item_put(&w->actors[PEER]));
    MUST(bri_queue_lease(
        queue_of(victim_of(w)), 0, BROKER_FOREVER, &out, &v, &victims_lease, &deliveries));
}

void item_leased_joinable(struct world *w)
{
    uint64_t deliveries;
    broker_value v;

    open_queues(w, true, 0);
    MUST(item_put(&w->actors[PEER]));
    MUST(bri_queue_lease(
        queue_of(victim_of(w)), 0, BROKER_FOREVER, &out, &v, &victims_lease, &deliveries));
}

int item_commit(struct actor *who)
{
    return bri_queue_commit(queue_of(who), victims_room, 3000, 0);
}

int item_revive(struct actor *who)
{
    uint64_t n;

    return bri_queue_revive(queue_of(who), 1, &n);
}

void room_reserved(struct world *w)
{
    open_queues(w, false, 0);
    MUST(bri_queue_reserve(queue_of(victim_of(w)), 3000, &victims_room));
}

/* Too often delivered. */
void item_dead(struct world *w)
{
    broker_queue_options options = {.max_deliveries = 1};
    uint64_t token, deliveries;
    broker_value v;

    for (int i = 0; i < N_ACTORS; i++)
        world_open_queue(w, (enum who)i, &options);
    MUST(item_put(&w->actors[PEER]));
    MUST(bri_queue_lease(
        queue_of(&w->actors[PEER]), 0, BROKER_FOREVER, &out, &v, &token, &deliveries));
    MUST(bri_queue_return(queue_of(&w->actors[PEER]), token, 0));
}

/* ---- pipes ---- */

static struct bri_handle *pipe_of(struct actor *who)
{
    return &who->handles[PIPE];
}

/* The victim is at end 0, all others at end 1; the peer at both, so that it can do the same. */
static void open_pipes(struct world *w, uint64_t max_items)
{
    broker_pipe_options options = {.max_items = max_items};

    for (int i = 0; i < N_ACTORS; i++)
        world_open_pipe(w, (enum who)i, &options);
    MUST(bri_pipe_hold(pipe_of(victim_of(w)), 0));
    MUST(bri_pipe_hold(pipe_of(&w->actors[OTHER]), 1));
    MUST(bri_pipe_hold(pipe_of(&w->actors[PEER]), 1));
}

void pipe_shared(struct world *w)
{
    open_pipes(w, 0);
    MUST(bri_pipe_hold(pipe_of(&w->actors[PEER]), 0));
}

void pipe_alone(struct world *w)
{
    open_pipes(w, 0);
}

void pipe_without_room(struct world *w)
{
    open_pipes(w, 1);
    MUST(bri_pipe_hold(pipe_of(&w->actors[PEER]), 0));
    MUST(bri_pipe_send(pipe_of(&w->actors[PEER]), 1, broker_int(1), 0));
}

int message_send(struct actor *who)
{
    return bri_pipe_send(pipe_of(who), 0, own_number(who), 0);
}

int message_take(struct actor *who)
{
    broker_value v;

    return bri_pipe_recv(pipe_of(who), 0, 0, &out, &v);
}

int end_leave(struct actor *who)
{
    return bri_pipe_release(pipe_of(who), 0);
}

int message_receive(struct actor *who)
{
    broker_value v = broker_nil();
    int r = bri_pipe_recv(pipe_of(who), 1, BROKER_FOREVER, &out, &v);

    who->answer = (int64_t)v.u;
    return r;
}

int message_await(struct actor *who)
{
    return bri_pipe_poll(pipe_of(who), 1, BROKER_FOREVER);
}

int room_await(struct actor *who)
{
    return bri_pipe_send(pipe_of(who), 1, own_number(who), BROKER_FOREVER);
}
