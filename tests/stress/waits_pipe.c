/*
 * waits_pipe.c - waiting for messages and for room, until the other end has nobody left
 *
 * The survivors hold one end of a pipe; who holds, and who wakes, has the other. What it sent
 * before it died is received, then comes the end of the file; what was received is gone.
 */
#include "waits.h"

#define N_MESSAGES 3u /* one for each who waits */
#define ROOM 2u

#define WAKERS_END 0u /* who waits has the other one */
#define WAITERS_END 1u

static void close_pipe(struct round *r)
{
    broker_pipe_close(r->object);
}

static void open_pipe(struct round *r, uint64_t max_items)
{
    const broker_pipe_options options = {.max_items = max_items};
    broker_pipe *p;

    (void)MUST(r, broker_pipe_open(r->waits->broker, r->name, &options, &p));
    r->object = p;
}

static int send_number(struct round *r, unsigned end, unsigned number, int64_t timeout_ns)
{
    return broker_pipe_send(r->object, end, broker_int(number), timeout_ns);
}

/* 0, and counts the message; or what came instead. */
static int receive(struct round *r, unsigned end, int64_t timeout_ns, bool count)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int result = broker_pipe_recv(r->object, end, timeout_ns, &buffer, &v);

    if (result != BROKER_CLOSED && result != BROKER_EMPTY) {
        (void)MUST(r, result);
        REQUIRE(r, v.i >= 0 && v.i < N_ITEMS);
        if (count)
            atomic_fetch_add(&r->shm->n_taken[v.i], 1);
    }
    broker_buffer_free(&buffer);
    return result;
}

static unsigned n_closed(const struct round *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_SURVIVORS; i++)
        n += r->shm->actors[i].result == BROKER_CLOSED;
    return n;
}

/* By a message or by the end of the file, by room or because nobody is there to make it. */
static unsigned all_are_due(struct round *r)
{
    (void)r;
    return N_SURVIVORS;
}

/* ---- messages ---- */

/* One was there before: what a pipe needs for its first message is not made in the wake. */
static void open_for_messages(struct round *r)
{
    open_pipe(r, 0);
    (void)MUST(r, send_number(r, WAKERS_END, 0, 0));
    (void)MUST(r, receive(r, WAITERS_END, 0, false));
    (void)MUST(r, broker_pipe_release(r->object, WAKERS_END));
    (void)MUST(r, broker_pipe_release(r->object, WAITERS_END));
}

static void hold_end(struct round *r)
{
    (void)MUST(r, broker_pipe_hold(r->object, WAKERS_END));
}

static void wait_for_message(struct round *r, enum actor who)
{
    r->shm->actors[who].result = receive(r, WAITERS_END, BROKER_FOREVER, who != VICTIM);
}

static void wake_by_messages(struct round *r, enum actor who)
{
    (void)who;
    for (unsigned i = 0; i < N_MESSAGES; i++)
        (void)MUST(r, send_number(r, WAKERS_END, i, 0));
}

/* A message that the victim has received is gone with it, if it can have received one. */
static void check_messages(struct round *r)
{
    uint64_t n_sent = waits_stat(r, "sent_1") - 1;
    unsigned n_came = 0, n_gone;

    while (receive(r, WAITERS_END, 0, true) == 0)
        continue;
    for (unsigned i = 0; i < N_ITEMS; i++) {
        REQUIRE(r, r->shm->n_taken[i] <= (i < n_sent ? 1 : 0));
        n_came += r->shm->n_taken[i];
    }
    n_gone = (unsigned)n_sent - n_came;
    REQUIRE(r, n_gone <= (r->death == WAITER && !r->is_stopped ? 1 : 0));
    REQUIRE(r, r->death != HOLDER || n_sent == 0);
    REQUIRE(r, n_closed(r) == (n_sent < N_SURVIVORS ? N_SURVIVORS - n_sent : 0));
    REQUIRE(r, waits_stat(r, "holders_0") == 0 && waits_stat(r, "reading_1") == 0);
}

const struct waits_type waits_receive = {
    .name = "pipe recv",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .open = open_for_messages,
    .close = close_pipe,
    .hold = hold_end,
    .wait = wait_for_message,
    .wake = wake_by_messages,
    .due = all_are_due,
    .check = check_messages,
};

/* ---- room ---- */

/* Messages 0 to ROOM - 1 are there from the start; each who waits then sends one of its own. */
static void open_for_room(struct round *r)
{
    open_pipe(r, ROOM);
    for (unsigned i = 0; i < ROOM; i++)
        (void)MUST(r, send_number(r, WAITERS_END, i, 0));
}

static void wait_for_room(struct round *r, enum actor who)
{
    struct actor_shm *me = &r->shm->actors[who];

    me->result = send_number(r, WAITERS_END, ROOM + who, BROKER_FOREVER);
    if (me->result != BROKER_CLOSED)
        (void)MUST(r, me->result);
}

/* The victim takes those of the start only: so it is known which it has, if not how many. */
static void wake_by_room(struct round *r, enum actor who)
{
    for (unsigned i = 0; i < (who == VICTIM ? ROOM : N_MESSAGES); i++)
        (void)MUST(r, receive(r, WAKERS_END, who == VICTIM ? 0 : BROKER_FOREVER, who != VICTIM));
}

static void check_room(struct round *r)
{
    uint64_t n_sent = waits_stat(r, "sent_0"), n_left = waits_stat(r, "messages_0");
    uint64_t by_victim = r->death == WAKER ? n_sent - n_left : 0;

    REQUIRE(r, n_left <= ROOM && by_victim <= ROOM);
    REQUIRE(r, n_closed(r) == 0 || r->death != WAITER);
    REQUIRE(r, n_closed(r) == N_SURVIVORS || r->death != HOLDER);
    while (receive(r, WAKERS_END, 0, true) == 0)
        continue;
    for (unsigned i = 0; i < N_ITEMS; i++) {
        bool sent = i < ROOM || (i < ROOM + N_SURVIVORS && r->shm->actors[i - ROOM].result == 0);
        unsigned n = r->shm->n_taken[i];

        if (n != (sent && i >= by_victim) && !(i == ROOM + VICTIM && r->death == WAITER && n == 1))
            waits_fail(r, "message %u came %u times, and %u were received by the dead", i, n,
                (unsigned)by_victim);
    }
}

const struct waits_type waits_send = {
    .name = "pipe send",
    .deaths = 1 << HOLDER | 1 << WAITER | 1 << WAKER,
    .open = open_for_room,
    .close = close_pipe,
    .hold = hold_end,
    .wait = wait_for_room,
    .wake = wake_by_room,
    .due = all_are_due,
    .check = check_room,
};
