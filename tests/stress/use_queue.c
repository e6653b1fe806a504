/*
 * use_queue.c - what the stress test does with queues
 *
 * Each item has a number of its own, in the ledger and in its bytes. plain: an item comes once or,
 * if its consumer was killed in the middle of a get, not at all. tasks: an item comes until it is
 * finished; to a second one only when the first is gone, and never after it was finished.
 */
#include <stdlib.h>
#include <string.h>

#include "objects/pack.h"
#include "value/value.h"
#include "worker.h"

#define MAX_BATCH 12u
#define ITEM_MAGIC UINT32_C(0x17e417)

struct item_head {
    uint32_t magic, number, life, size;
};

/* ---- putting ---- */

static uint32_t item_size(struct worker *w)
{
    uint32_t pick = worker_pick(w, 1000);

    if (pick < 950)
        return (uint32_t)sizeof(struct item_head) + worker_pick(w, 300);
    return pick < 998 ? 1000 + worker_pick(w, 9000) : 50000 + worker_pick(w, 100000);
}

static broker_value make_item(struct worker *w, broker_buffer *buffer, uint32_t number)
{
    struct item_head head = {.magic = ITEM_MAGIC, .number = number, .life = w->number};

    head.size = item_size(w);
    if (bri_buffer_reserve(buffer, head.size) < 0)
        abort();
    memset(buffer->data, (int)(number & 0x7f), head.size);
    memcpy(buffer->data, &head, sizeof(head));
    return broker_bin(buffer->data, head.size);
}

static uint32_t begin_items(struct worker *w, uint32_t n, uint32_t kind)
{
    uint32_t first = atomic_fetch_add(&w->ledger->n_items, n);

    if (first > MAX_ITEMS - n)
        ledger_fail(w->ledger, "the ledger is full: too long a run");
    for (uint32_t i = first; i < first + n; i++) {
        w->ledger->items[i].batch = first;
        atomic_store(&w->ledger->items[i].flags, ITEM_PUT_BEGUN | kind);
    }
    return first;
}

static void end_items(struct worker *w, uint32_t first, uint32_t n, int r)
{
    for (uint32_t i = first; i < first + n; i++)
        atomic_fetch_or(&w->ledger->items[i].flags, r == 0 ? ITEM_PUT : ITEM_REFUSED);
}

broker_value queue_begin_item(
    struct worker *w, uint32_t kind, broker_buffer *buffer, uint32_t *out_number)
{
    *out_number = begin_items(w, 1, kind);
    return make_item(w, buffer, *out_number);
}

void queue_end_item(struct worker *w, uint32_t number, int r)
{
    end_items(w, number, 1, r);
}

int64_t queue_some_time(struct worker *w)
{
    return worker_pick(w, 4) != 0 ? 0 : worker_pick(w, 5000) * BROKER_MICROSECOND;
}

static void put_one(struct worker *w, broker_queue *q, uint32_t kind)
{
    uint32_t number;
    broker_value item = queue_begin_item(w, kind, &w->in, &number);
    int r;

    if (worker_pick(w, 8) == 0)
        r = lease_put_in_place(w, q, item, queue_some_time(w));
    else
        r = broker_queue_put(q, item, queue_some_time(w));

    worker_expect(w, r, "queue put", ANSWER(BROKER_FULL) | ANSWER(BROKER_TIMEDOUT));
    queue_end_item(w, number, r);
}

static void put_several(struct worker *w, broker_queue *q, uint32_t kind)
{
    uint32_t n = 1 + worker_pick(w, MAX_BATCH), first = begin_items(w, n, kind);
    broker_value items;
    struct bri_pack p;
    int r;

    bri_pack_start(&p, &w->out);
    bri_pack_array(&p, n);
    for (uint32_t i = 0; i < n; i++)
        bri_pack_value(&p, make_item(w, &w->in, first + i));
    if (bri_pack_end(&p, &items) < 0)
        abort();
    r = broker_queue_put_many(q, items, queue_some_time(w));
    /* A batch of large items may be more than the queue ever takes. */
    worker_expect(w, r, "queue put_many",
        ANSWER(BROKER_FULL) | ANSWER(BROKER_TIMEDOUT) | ANSWER(BROKER_TOOBIG));
    end_items(w, first, n, r);
}

/* ---- what came ---- */

static void head_of(struct ledger *l, broker_value item, struct item_head *out)
{
    const uint8_t *bytes = item.data;

    if (item.type != BROKER_BIN || item.size < sizeof(*out))
        ledger_fail(l, "an item is none");
    memcpy(out, bytes, sizeof(*out));
    if (out->magic != ITEM_MAGIC || out->size != item.size || out->number >= MAX_ITEMS ||
        out->life >= MAX_LIVES)
        ledger_fail(l, "an item of %u bytes is none", item.size);
    for (uint32_t i = sizeof(*out); i < item.size; i++)
        if (bytes[i] != (out->number & 0x7f))
            ledger_fail(l, "item %u is torn at byte %u", out->number, i);
}

uint32_t queue_check_item(struct ledger *l, broker_value item, uint32_t kind)
{
    struct item_head head;
    uint32_t flags;

    head_of(l, item, &head);
    flags = atomic_load(&l->items[head.number].flags);
    if ((flags & ITEM_PUT_BEGUN) == 0 || (flags & ITEM_REFUSED) != 0 ||
        (flags & ITEM_KINDS) != kind)
        ledger_fail(l, "item %u came, but its flags are %u", head.number, flags);
    return head.number;
}

/*
 * Items of one producer come in their order, but for those that a killed consumer was taking and
 * that went back to their place.
 */
static void note_order(struct worker *w, uint32_t kind, uint32_t number, broker_value item)
{
    unsigned road = kind == ITEM_TASK ? 1 : kind == ITEM_MESSAGE ? 2 : 0;
    struct item_head head;
    uint32_t *last;

    memcpy(&head, item.data, sizeof(head));
    last = &w->last_seen[road][head.life];
    if (number < *last)
        atomic_fetch_add(&w->ledger->n_out_of_order, 1);
    else
        *last = number + 1;
}

void queue_note_taken(struct ledger *l, uint32_t number)
{
    if ((atomic_fetch_or(&l->items[number].flags, ITEM_TAKEN) & ITEM_TAKEN) != 0)
        ledger_fail(l, "item %u came twice", number);
}

void queue_note_plain(struct worker *w, broker_value item, uint32_t kind)
{
    uint32_t number = queue_check_item(w->ledger, item, kind);

    queue_note_taken(w->ledger, number);
    note_order(w, kind, number, item);
}

static void note_plain(struct worker *w, broker_value item)
{
    queue_note_plain(w, item, 0);
}

uint32_t queue_note_task(struct worker *w, broker_value item)
{
    uint32_t number = queue_check_item(w->ledger, item, ITEM_TASK), holder, flags;
    struct item *i = &w->ledger->items[number];

    holder = atomic_exchange(&i->holder, w->number + 1);
    flags = atomic_fetch_or(&i->flags, ITEM_TAKEN);
    if ((flags & ITEM_FINISHED) != 0)
        ledger_fail(w->ledger, "item %u came after it was finished", number);
    if (holder != 0 && atomic_load(&w->ledger->lives[holder - 1].is_doomed) == 0)
        ledger_fail(w->ledger, "item %u came to life %u, but life %u has it", number, w->number,
            holder - 1);
    if ((flags & ITEM_TAKEN) != 0)
        atomic_fetch_add(&w->ledger->n_redelivered, 1);
    else
        note_order(w, ITEM_TASK, number, item);
    return number;
}

static void note_task(struct worker *w, broker_value item)
{
    w->leases[w->n_leases++] = queue_note_task(w, item);
}

/* ---- getting ---- */

typedef void note_item(struct worker *w, broker_value item);

static void note_all(struct worker *w, broker_value items, note_item *note)
{
    const void *bytes;
    struct bri_iter it;
    broker_value v;
    size_t size;

    worker_expect(w, bri_iter_array(&it, items.data, items.size), "walk", 0);
    while (bri_iter_next(&it, &bytes, &size) == 0) {
        worker_expect(w, bri_value_decode(bytes, size, &v), "decode", 0);
        note(w, v);
    }
}

#define NOTHING_CAME (ANSWER(BROKER_EMPTY) | ANSWER(BROKER_TIMEDOUT))

/* @taking tells the ledger how many may be gone if this process is killed here. */
static void get(
    struct worker *w, broker_queue *q, uint32_t n, _Atomic uint32_t *taking, note_item *note)
{
    broker_value v;
    int r;

    atomic_store(taking, n);
    if (n == 1)
        r = broker_queue_get(q, queue_some_time(w), &w->out, &v);
    else
        r = broker_queue_get_many(q, n, queue_some_time(w), &w->out, &v);
    if (worker_expect(w, r, "queue get", NOTHING_CAME) == 0 && n == 1)
        note(w, v);
    else if (r == 0)
        note_all(w, v, note);
    atomic_store(taking, 0);
}

void queue_use_plain(struct worker *w)
{
    uint32_t pick = worker_pick(w, 10);
    uint64_t n;

    worker_step(w, "plain queue");
    if (pick < 4)
        put_one(w, w->plain, 0);
    else if (pick == 4)
        put_several(w, w->plain, 0);
    else if (pick < 8)
        get(w, w->plain, 1, &w->life->taking_plain, note_plain);
    else if (pick == 8)
        get(w, w->plain, 2 + worker_pick(w, MAX_BATCH - 1), &w->life->taking_plain, note_plain);
    else
        worker_expect(w, broker_queue_qsize(w->plain, &n), "queue qsize", 0);
}

/* ---- tasks ---- */

void queue_note_finished(struct ledger *l, uint32_t number)
{
    if ((atomic_fetch_or(&l->items[number].flags, ITEM_FINISHED) & ITEM_FINISHED) != 0)
        ledger_fail(l, "item %u was finished twice", number);
}

void queue_finish_one(struct worker *w)
{
    uint32_t number = w->leases[0];

    worker_step(w, "task_done");
    atomic_fetch_or(&w->ledger->items[number].flags, ITEM_FINISHING);
    worker_expect(w, broker_queue_task_done(w->tasks), "queue task_done", 0);
    queue_note_finished(w->ledger, number);
    w->n_leases--;
    memmove(w->leases, w->leases + 1, w->n_leases * sizeof(w->leases[0]));
}

static void get_tasks(struct worker *w, uint32_t n)
{
    if (w->n_leases + n > MAX_LEASES)
        n = MAX_LEASES - w->n_leases;
    if (n > 0)
        get(w, w->tasks, n, &w->life->taking_tasks, note_task);
}

void queue_use_tasks(struct worker *w)
{
    uint32_t pick = worker_pick(w, 20);

    worker_step(w, "joinable queue");
    if (pick < 5)
        put_one(w, w->tasks, ITEM_TASK);
    else if (pick == 5)
        put_several(w, w->tasks, ITEM_TASK);
    else if (pick < 10)
        get_tasks(w, 1);
    else if (pick == 10)
        get_tasks(w, 2 + worker_pick(w, MAX_BATCH - 1));
    else if (pick == 11)
        worker_expect(w, broker_queue_join(w->tasks, queue_some_time(w)), "queue join",
            ANSWER(BROKER_TIMEDOUT));
    else if (w->n_leases > 0)
        queue_finish_one(w);
}
