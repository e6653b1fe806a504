/*
 * cases_pipe.c - start states and operations of the pipe
 */
#include <broker.h>

#include "cases.h"
#include "core/attachment.h"
#include "core/wait.h"
#include "engine_ops.h"
#include "objects/pipe.h"
#include "value/value.h"

#define LARGE 5000u
#define MAX_ITEMS 4u

static uint8_t bytes[LARGE];
static broker_buffer out; /* the operations themselves are not to spend instructions on it */

static struct bri_handle *pipe_of(struct actor *who)
{
    return &who->handles[PIPE];
}

void pipe_make_arguments(void)
{
    crash_make_buffer(&out, 2 * LARGE);
}

void pipe_free_arguments(void)
{
    broker_buffer_free(&out);
}

/* ---- start states ---- */

static void open_pipe(struct world *w, const broker_pipe_options *options)
{
    for (int i = 0; i < N_ACTORS; i++)
        world_open_pipe(w, (enum who)i, options);
}

static void hold(struct world *w, enum who who, uint64_t end)
{
    MUST(bri_pipe_hold(pipe_of(&w->actors[who]), end));
}

static void send(struct world *w, enum who who, uint64_t end, broker_value v)
{
    MUST(bri_pipe_send(pipe_of(&w->actors[who]), end, v, 0));
}

static void receive(struct world *w, enum who who, uint64_t end)
{
    broker_value v;

    MUST(bri_pipe_recv(pipe_of(&w->actors[who]), end, 0, &out, &v));
}

static void fresh(struct world *w)
{
    open_pipe(w, NULL);
}

/* The victim is at end 0, the peer at end 1. */
static void met(struct world *w)
{
    fresh(w);
    hold(w, VICTIM, 0);
    hold(w, PEER, 1);
}

static void one(struct world *w)
{
    met(w);
    send(w, PEER, 1, broker_int(5));
    send(w, VICTIM, 0, broker_int(6));
}

static void few(struct world *w)
{
    one(w);
    send(w, PEER, 1, broker_str("a text of more than thirty bytes, all in all"));
    send(w, PEER, 1, broker_int(7));
    send(w, VICTIM, 0, broker_nil());
}

/* Some have gone through it. */
static void passed(struct world *w)
{
    few(w);
    receive(w, VICTIM, 0);
    receive(w, PEER, 1);
    send(w, OTHER, 1, broker_int(8));
}

static void others_too(struct world *w)
{
    few(w);
    hold(w, OTHER, 0);
    hold(w, OTHER, 1);
}

/* The victim has not used its end yet; first and last of their holders. */
static void unmet(struct world *w)
{
    fresh(w);
    send(w, PEER, 1, broker_int(5));
}

static void large_first(struct world *w)
{
    met(w);
    send(w, PEER, 1, broker_bin(bytes, LARGE));
    send(w, PEER, 1, broker_int(1));
}

static void large_alone(struct world *w)
{
    met(w);
    send(w, PEER, 1, broker_bin(bytes, LARGE));
}

static void large_twice(struct world *w)
{
    large_alone(w);
    send(w, PEER, 1, broker_bin(bytes, LARGE - 1));
}

static void large_unmet(struct world *w)
{
    fresh(w);
    send(w, PEER, 1, broker_bin(bytes, LARGE));
}

static void large_shared(struct world *w)
{
    large_first(w);
    hold(w, OTHER, 0);
}

/* The end of the file, after what is there still. */
static void deserted(struct world *w)
{
    few(w);
    MUST(bri_pipe_release(pipe_of(&w->actors[PEER]), 1));
}

static void full(struct world *w)
{
    const broker_pipe_options options = {.max_items = MAX_ITEMS};

    open_pipe(w, &options);
    for (unsigned i = 0; i < MAX_ITEMS; i++)
        send(w, VICTIM, 0, broker_int(i));
}

static void full_met(struct world *w)
{
    full(w);
    hold(w, PEER, 1);
}

static void full_again(struct world *w)
{
    full_met(w);
    receive(w, PEER, 1);
    send(w, OTHER, 0, broker_str("again"));
}

static void full_bytes(struct world *w)
{
    const broker_pipe_options options = {.max_bytes = LARGE + 3};

    open_pipe(w, &options);
    send(w, VICTIM, 0, broker_bin(bytes, LARGE));
}

static void full_one_way(struct world *w)
{
    const broker_pipe_options options = {.max_items = 1};

    open_pipe(w, &options);
    send(w, OTHER, 0, broker_int(1));
    hold(w, PEER, 1);
}

const struct crash_state pipe_any[7] = {{"fresh", fresh}, {"met", met}, {"few", few},
    {"passed", passed}, {"others_too", others_too}, {"unmet", unmet}, {"large_first", large_first}};
const struct crash_state pipe_filled[6] = {{"one", one}, {"few", few}, {"passed", passed},
    {"others_too", others_too}, {"unmet", unmet}, {"deserted", deserted}};
const struct crash_state pipe_large[5] = {{"large_first", large_first},
    {"large_alone", large_alone}, {"large_twice", large_twice}, {"large_unmet", large_unmet},
    {"large_shared", large_shared}};
const struct crash_state pipe_full[5] = {{"full", full}, {"full_met", full_met},
    {"full_again", full_again}, {"full_bytes", full_bytes}, {"full_one_way", full_one_way}};
const struct crash_state pipe_empty[5] = {{"fresh", fresh}, {"met", met}, {"full", full},
    {"full_met", full_met}, {"full_bytes", full_bytes}};
const struct crash_state pipe_held[6] = {{"met", met}, {"few", few}, {"passed", passed},
    {"others_too", others_too}, {"deserted", deserted}, {"large_twice", large_twice}};

/* ---- operations ---- */

int pipe_hold(struct actor *who)
{
    return bri_pipe_hold(pipe_of(who), 0);
}

int pipe_release(struct actor *who)
{
    return bri_pipe_release(pipe_of(who), 0);
}

int pipe_send(struct actor *who)
{
    return bri_pipe_send(pipe_of(who), 0, broker_int(1), 0);
}

int pipe_send_large(struct actor *who)
{
    return bri_pipe_send(pipe_of(who), 0, broker_bin(bytes, LARGE), 0);
}

/* Waits for room, registered as a sleeper, and gives up. */
int pipe_send_timeout(struct actor *who)
{
    return bri_pipe_send(pipe_of(who), 0, broker_bin(bytes, 3), 1000);
}

int pipe_recv(struct actor *who)
{
    broker_value v;

    who->out = &out;
    return bri_pipe_recv(pipe_of(who), 0, 0, &out, &v);
}

/* The victim has taken the first message, a large one, and dies before it has copied it. */
void pipe_recv_half(struct actor *victim)
{
    struct bri_pipe_receive x = {.out.buffer = &out};

    MUST(bri_pipe_hold(pipe_of(victim), 0));
    MUST(bri_section(&pipe_of(victim)->object, bri_pipe_receive_try, &x));
}

int pipe_recv_timeout(struct actor *who)
{
    broker_value v;

    return bri_pipe_recv(pipe_of(who), 0, 1000, &out, &v);
}

int pipe_poll(struct actor *who)
{
    return bri_pipe_poll(pipe_of(who), 0, 0);
}

int pipe_close(struct actor *who)
{
    return bri_detach(&who->broker->session, &pipe_of(who)->object);
}

int pipe_destroy(struct actor *who)
{
    return bri_broker_destroy(who->broker, "pipe");
}
