/*
 * queue_look.c - what can be seen of a queue without changing it
 */
#include <string.h>

#include "core/type.h"
#include "engine_ops.h"
#include "objects/queue.h"
#include "value/value.h"

/* ---- counting ---- */

struct size {
    uint64_t ready, max_items, bytes, max_bytes;
};

static int size_try(struct bri_object *o, void *arg)
{
    const volatile struct bri_queue_shm *q = bri_queue_of(o);
    struct size *x = arg;

    x->ready = q->items.n_put + q->items.n_returned - q->items.n_taken;
    x->bytes = q->items.n_bytes;
    x->max_items = q->max_items;
    x->max_bytes = q->max_bytes;
    return 0;
}

static int look(struct bri_handle *h, struct size *out)
{
    int r = bri_queue_settle(&h->object);

    return r < 0 ? r : bri_read(h, size_try, out);
}

int bri_queue_qsize(struct bri_handle *h, uint64_t *out_count)
{
    struct size x = {0};
    int r = look(h, &x);

    if (r == 0)
        *out_count = x.ready;
    return r;
}

int bri_queue_empty(struct bri_handle *h, bool *out_empty)
{
    struct size x = {0};
    int r = look(h, &x);

    if (r == 0)
        *out_empty = x.ready == 0;
    return r;
}

int bri_queue_full(struct bri_handle *h, bool *out_full)
{
    struct size x = {0};
    int r = look(h, &x);

    if (r == 0)
        *out_full = (x.max_items != 0 && x.ready >= x.max_items) ||
                    (x.max_bytes != 0 && x.bytes >= x.max_bytes);
    return r;
}

/* ---- the statistic ---- */

void bri_queue_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_queue_shm *q = bri_queue_of(o);

    bri_stat_add(stat, "items", bri_items_ready(&q->items));
    bri_stat_add(stat, "payload_bytes", q->items.n_bytes);
    bri_stat_add(stat, "leased", q->items.n_leased);
    bri_stat_add(stat, "delayed", q->items.n_delayed);
    bri_stat_add(stat, "dead", q->items.n_dead);
    bri_stat_add(stat, "unfinished", bri_items_unfinished(&q->items));
    bri_stat_add(stat, "puts", q->items.n_put);
    bri_stat_add(stat, "takes", q->items.n_taken);
    bri_stat_add(stat, "returned", q->items.n_returned);
    bri_stat_add(stat, "max_items", q->max_items);
    bri_stat_add(stat, "max_bytes", q->max_bytes);
    bri_stat_add(stat, "max_deliveries", q->items.max_deliveries);
    bri_stat_add(stat, "lifo", q->items.order == BRI_LIFO);
    bri_stat_add(stat, "priority", q->items.order == BRI_PRIORITY);
    bri_stat_add(stat, "joinable", (q->flags & BRI_QUEUE_JOINABLE) != 0);
    bri_stat_add(stat, "closed", (q->flags & BRI_QUEUE_CLOSED) != 0);
}
