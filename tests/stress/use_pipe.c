/*
 * use_pipe.c - what the stress test does with pipes
 *
 * talk: each life is at one end, for its whole time. A message comes once or, if its receiver was
 * killed in the middle of a recv, not at all; those of one sender in their order. What nobody has
 * received when an end is over is there for who holds it next.
 */
#include "worker.h"

static uint64_t end_of(const struct worker *w)
{
    return w->number % 2;
}

static void send_one(struct worker *w)
{
    uint32_t number;
    broker_value message = queue_begin_item(w, ITEM_MESSAGE, &w->in, &number);
    int r = broker_pipe_send(w->talk, end_of(w), message, queue_some_time(w));

    worker_expect(
        w, r, "pipe send", ANSWER(BROKER_FULL) | ANSWER(BROKER_TIMEDOUT) | ANSWER(BROKER_CLOSED));
    queue_end_item(w, number, r);
}

static void receive_one(struct worker *w)
{
    broker_value message;
    int r;

    atomic_store(&w->life->taking_plain, 1);
    r = broker_pipe_recv(w->talk, end_of(w), queue_some_time(w), &w->out, &message);
    r = worker_expect(
        w, r, "pipe recv", ANSWER(BROKER_EMPTY) | ANSWER(BROKER_TIMEDOUT) | ANSWER(BROKER_CLOSED));
    if (r == 0)
        queue_note_plain(w, message, ITEM_MESSAGE);
    atomic_store(&w->life->taking_plain, 0);
}

void pipe_use(struct worker *w)
{
    uint32_t pick = worker_pick(w, 20);
    uint64_t n;
    int r;

    worker_step(w, "pipe");
    if (pick < 9) {
        send_one(w);
    } else if (pick < 18) {
        receive_one(w);
    } else if (pick == 18) {
        worker_expect(w, broker_pipe_len(w->talk, end_of(w), &n), "pipe len", 0);
    } else {
        r = broker_pipe_release(w->talk, end_of(w)); /* the next use holds it again */
        worker_expect(w, r, "pipe release", ANSWER(BROKER_NOTOWNER));
    }
}
