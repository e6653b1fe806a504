/*
 * worker.h - one life of the stress test: a process that does random things until it is killed
 */
#ifndef STRESS_WORKER_H
#define STRESS_WORKER_H

#include <broker.h>

#include "ledger.h"

#define MAX_LEASES 64u

struct token {
    uint64_t token;
    uint32_t item;
};

/* Ways for items: the plain queue, the joinable one, the pipe. */
#define N_ROADS 3u

struct worker {
    struct ledger *ledger;
    struct life *life;
    uint32_t number; /* of the life */
    uint64_t random;
    broker *b;
    broker_dict *counters, *sums, *records, *groups;
    broker_list *rows;
    broker_queue *plain, *tasks;
    broker_lock *locks[N_LOCKS];
    broker_array *sums_array, *stripes;
    broker_pipe *talk;
    broker_buffer in, out;       /* for arguments and for results */
    uint32_t leases[MAX_LEASES]; /* items of the joinable queue, oldest first */
    uint32_t n_leases;
    struct token tokens[MAX_LEASES]; /* those that are leased by token */
    uint32_t n_tokens;
    uint32_t *last_seen[N_ROADS]; /* by life: its last item that came that way, plus one */
};

/* Sets of answers, for worker_expect(). */
#define ANSWER(error) (UINT64_C(1) << -(error))

/* Ends the test unless @r is 0, a notice, or one of the @allowed answers. Gives @r. */
int worker_expect(struct worker *w, int r, const char *what, uint64_t allowed);

/* Notes what is done now, for the case that it never ends. */
static inline void worker_step(struct worker *w, const char *what)
{
    atomic_store_explicit(&w->life->step, what, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->life->n_steps, 1, memory_order_relaxed);
}

static inline uint32_t worker_pick(struct worker *w, uint32_t n)
{
    return ledger_pick(&w->random, n);
}

/* A process's whole life; never returns. */
_Noreturn void worker_run(struct ledger *ledger, uint32_t number, const char *address);

/* One random operation of each kind. */
void dict_count(struct worker *w, unsigned thread);
void dict_count_many(struct worker *w);
void dict_use_records(struct worker *w);
void dict_use_groups(struct worker *w);
void list_use_rows(struct worker *w);
void queue_use_plain(struct worker *w);
void queue_use_tasks(struct worker *w);
void lease_use(struct worker *w);
void lock_use(struct worker *w);
void array_use(struct worker *w);
void pipe_use(struct worker *w);
void object_use_any(struct worker *w);

/* Finishes the oldest item that is leased; one that is leased by token. */
void queue_finish_one(struct worker *w);
void lease_finish_one(struct worker *w);

/* Puts an item, a byte string, without a copy; what a put gives. */
int lease_put_in_place(struct worker *w, broker_queue *q, broker_value item, int64_t timeout_ns);

/* Notes that an item of the joinable queue came, and gives its number. */
uint32_t queue_note_task(struct worker *w, broker_value item);

/* The arguments of the @n-th add_many of @life: a map in @buffer, and the key under which it is
 * remembered in @once. */
void dict_many_arguments(uint32_t life, uint64_t n, broker_buffer *buffer, broker_buffer *once,
    broker_value *out_deltas, broker_value *out_once);

/* Notes that an item of this kind (ITEM_TASK, ITEM_MESSAGE, 0) is about to be put and makes it, in
 * @buffer; and what became of the put. */
broker_value queue_begin_item(
    struct worker *w, uint32_t kind, broker_buffer *buffer, uint32_t *out_number);
void queue_end_item(struct worker *w, uint32_t number, int r);

/* Notes that a plain item or a message came. */
void queue_note_plain(struct worker *w, broker_value item, uint32_t kind);

/* How long a put or a get waits: mostly not at all. */
int64_t queue_some_time(struct worker *w);

/* Checks an item of this kind and gives its number. */
uint32_t queue_check_item(struct ledger *l, broker_value item, uint32_t kind);

/* Notes that an item that comes once came, and that one of the joinable queue was finished. */
void queue_note_taken(struct ledger *l, uint32_t item);
void queue_note_finished(struct ledger *l, uint32_t item);

#endif
