/*
 * use_lease.c - what the stress test does with leases by token, and with items in place
 *
 * All on the joinable queue, beside plain gets and task_done. An item that is returned belongs to
 * nobody from just before; it may come to another at once, or after a while.
 */
#include <string.h>

#include "worker.h"

#define LONG (3600 * BROKER_SECOND) /* no lease ends by itself in a run */
#define SHORT_US 2000u

static void lease_one(struct worker *w)
{
    int64_t hold_ns = worker_pick(w, 2) == 0 ? LONG : BROKER_FOREVER;
    int64_t timeout_ns = worker_pick(w, 4) != 0 ? 0 : worker_pick(w, 5000) * BROKER_MICROSECOND;
    uint64_t token;
    broker_value v;
    int r;

    atomic_store(&w->life->taking_tasks, 1);
    if (worker_pick(w, 2) == 0)
        r = broker_queue_lease_in_place(w->tasks, timeout_ns, hold_ns, &w->out, &v, &token, NULL);
    else
        r = broker_queue_lease(w->tasks, timeout_ns, hold_ns, &w->out, &v, &token, NULL);
    if (worker_expect(w, r, "queue lease", ANSWER(BROKER_EMPTY) | ANSWER(BROKER_TIMEDOUT)) == 0)
        w->tokens[w->n_tokens++] = (struct token){token, queue_note_task(w, v)};
    atomic_store(&w->life->taking_tasks, 0);
}

/* One of those that are leased, no longer in the list. */
static struct token pick_lease(struct worker *w)
{
    uint32_t i = worker_pick(w, w->n_tokens);
    struct token picked = w->tokens[i];

    w->tokens[i] = w->tokens[--w->n_tokens];
    return picked;
}

void lease_finish_one(struct worker *w)
{
    struct token lease = pick_lease(w);

    worker_step(w, "done");
    atomic_fetch_or(&w->ledger->items[lease.item].flags, ITEM_FINISHING);
    worker_expect(w, broker_queue_done(w->tasks, lease.token), "queue done", 0);
    queue_note_finished(w->ledger, lease.item);
}

static void return_one(struct worker *w)
{
    struct token lease = pick_lease(w);
    int64_t delay_ns = worker_pick(w, 2) * worker_pick(w, SHORT_US) * BROKER_MICROSECOND;

    worker_step(w, "return");
    atomic_store(&w->ledger->items[lease.item].holder, 0);
    worker_expect(w, broker_queue_return(w->tasks, lease.token, delay_ns), "queue return", 0);
    worker_expect(w, broker_queue_done(w->tasks, lease.token), "done of what was returned",
        ANSWER(BROKER_NOTFOUND));
}

static void extend_one(struct worker *w)
{
    uint64_t token = w->tokens[worker_pick(w, w->n_tokens)].token;
    int64_t hold_ns = worker_pick(w, 2) == 0 ? LONG : BROKER_FOREVER;

    worker_step(w, "extend");
    worker_expect(w, broker_queue_extend(w->tasks, token, hold_ns), "queue extend", 0);
}

static void look(struct worker *w)
{
    uint64_t next;
    broker_value v;
    int r;

    worker_step(w, "browse");
    worker_expect(w, broker_queue_browse(w->tasks, 0, 50, &w->out, &v, &next), "queue browse", 0);
    r = broker_queue_peek(w->tasks, &w->out, &v);
    if (worker_expect(w, r, "queue peek", ANSWER(BROKER_EMPTY)) == 0)
        (void)queue_check_item(w->ledger, v, ITEM_TASK);
}

void lease_use(struct worker *w)
{
    uint32_t pick = worker_pick(w, 10);

    worker_step(w, "lease");
    if (pick == 0)
        look(w);
    else if (w->n_tokens == 0 || (pick < 4 && w->n_tokens < MAX_LEASES))
        lease_one(w);
    else if (pick < 7)
        lease_finish_one(w);
    else if (pick < 9)
        return_one(w);
    else
        extend_one(w);
}

int lease_put_in_place(struct worker *w, broker_queue *q, broker_value item, int64_t timeout_ns)
{
    void *memory;
    int r = broker_queue_reserve(q, item.size, &memory);

    if (r < 0)
        return r;
    memcpy(memory, item.data, item.size);
    if (worker_pick(w, 16) == 0) {
        worker_expect(w, broker_queue_cancel(q, memory), "queue cancel", 0);
        return BROKER_FULL; /* as if it had been */
    }
    r = broker_queue_commit(q, memory, item.size, timeout_ns);
    if (r < 0)
        worker_expect(w, broker_queue_cancel(q, memory), "queue cancel", 0);
    return r;
}
