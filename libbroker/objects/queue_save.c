/*
 * queue_save.c - saving queues: what their items are, whatever has become of them
 *
 * Contents are an array of items in the order in which they were put, each an array of its value,
 * how often it was delivered, and if it cannot be taken now "delayed" and the time of the clock
 * (nanoseconds since 1970, to a tenth of a second) at which it can, or "dead" and its rank among
 * the dead. What is as usual is left out at the end. An item that a session has leased is one that
 * came back.
 */
#include <stdlib.h>

#include "core/clock.h"
#include "objects/items_walk.h"
#include "objects/queue.h"
#include "objects/queue_save.h"
#include "objects/save.h"

/* Fine enough for what was put off, and the same again after a restart, whatever the clocks do. */
#define DUE_GRID_NS (BRI_SECOND / 10)
#define NOT_DEAD UINT64_MAX

struct saved {
    uint64_t number;
    uint64_t rank; /* among the dead */
    const struct bri_item_shm *item;
    const uint8_t *bytes;
    uint32_t size;
};

struct saving {
    struct saved *items;
    uint64_t n, capacity;
    uint64_t n_dead, n_died; /* all, and those that are only because their session ended */
};

static int add_item(struct saving *x, const struct bri_items_met *met)
{
    if (x->n == x->capacity) {
        uint64_t more = x->capacity != 0 ? 2 * x->capacity : 64;
        struct saved *items = realloc(x->items, more * sizeof(*items));

        if (items == NULL)
            return BROKER_NOMEM;
        x->items = items;
        x->capacity = more;
    }
    x->items[x->n++] = (struct saved){
        .number = met->item->number,
        .rank = NOT_DEAD,
        .item = met->item,
        .bytes = met->bytes,
        .size = met->size,
    };
    return 0;
}

/* As they were put. */
static int by_number(const void *a, const void *b)
{
    const struct saved *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static int find_items(const struct bri_object *o, struct saving *x)
{
    struct bri_items_shm items = bri_queue_of(o)->items;
    uint64_t limit = o->arena->size / sizeof(struct bri_item_shm);
    struct bri_items_walk walk;
    struct bri_items_met met;
    int r = 0;

    bri_items_walk_start(o, &items, 0, &walk);
    for (uint64_t met_all = 0; r == 0; met_all++) {
        r = met_all < limit ? bri_items_walk_next(o, &items, &walk, &met) : BROKER_CORRUPT;
        if (r == 0 && !met.skip)
            r = add_item(x, &met);
    }
    if (r != BROKER_EMPTY)
        return r;
    if (x->n > 0)
        qsort(x->items, x->n, sizeof(*x->items), by_number);
    return x->n <= UINT32_MAX ? 0 : BROKER_TOOBIG;
}

static struct saved *find_saved(struct saving *x, uint64_t number)
{
    const struct saved key = {.number = number};

    return x->n > 0 ? bsearch(&key, x->items, x->n, sizeof(key), by_number) : NULL;
}

/* Those who died first, and behind them those who die with their session. */
static int rank_dead(const struct bri_object *o, struct saving *x)
{
    const struct bri_items_shm *q = &bri_queue_of(o)->items;
    uint32_t unit = bri_items_rest(o)->first_dead;
    const struct bri_item_shm *item;
    struct saved *found;

    for (; unit != 0; unit = item->next) {
        item = bri_item_of_unit(o, unit);
        found = item != NULL ? find_saved(x, item->number) : NULL;
        if (found == NULL || item->state != BRI_ITEM_DEAD || found->rank != NOT_DEAD)
            return BROKER_CORRUPT;
        found->rank = x->n_dead++;
    }
    for (uint64_t i = 0; q->max_deliveries != 0 && i < x->n; i++) {
        item = x->items[i].item;
        if (item->state != BRI_ITEM_LEASED || item->deliveries < q->max_deliveries)
            continue;
        x->items[i].rank = x->n_dead++;
        x->n_died++;
    }
    return 0;
}

static int64_t due_on_clock(const struct bri_object *o, const struct bri_item_shm *item)
{
    int64_t due_ns = bri_item_due(o, item) + bri_clock(CLOCK_REALTIME) - bri_now();

    return (due_ns + DUE_GRID_NS / 2) / DUE_GRID_NS * DUE_GRID_NS;
}

static void pack_item(const struct bri_object *o, const struct saved *s, struct bri_pack *p)
{
    bool delayed = s->item->state == BRI_ITEM_DELAYED, dead = s->rank != NOT_DEAD;

    bri_pack_array(p, delayed || dead ? 4 : s->item->deliveries != 0 ? 2 : 1);
    bri_pack_value(p, broker_packed(s->bytes, s->size));
    if (delayed || dead || s->item->deliveries != 0)
        bri_pack_value(p, broker_uint(s->item->deliveries));
    if (delayed) {
        bri_pack_value(p, broker_str("delayed"));
        bri_pack_value(p, broker_int(due_on_clock(o, s->item)));
    } else if (dead) {
        bri_pack_value(p, broker_str("dead"));
        bri_pack_value(p, broker_uint(s->rank));
    }
}

static void save_options(const struct bri_queue_shm *q, struct bri_save *save)
{
    bri_save_option(save, "max_items", broker_uint(q->max_items));
    bri_save_option(save, "max_bytes", broker_uint(q->max_bytes));
    bri_save_option(save, "joinable", broker_bool((q->flags & BRI_QUEUE_JOINABLE) != 0));
    bri_save_option(save, "lifo", broker_bool(q->items.order == BRI_LIFO));
    bri_save_option(save, "priority", broker_bool(q->items.order == BRI_PRIORITY));
    bri_save_option(save, "max_deliveries", broker_uint(q->items.max_deliveries));
}

static int save_items(const struct bri_object *o, struct saving *x, struct bri_save *save)
{
    const struct bri_queue_shm *q = bri_queue_of(o);
    uint64_t unfinished = bri_items_unfinished(&q->items);
    int r = find_items(o, x);

    if (r == 0)
        r = rank_dead(o, x);
    if (r < 0)
        return r;
    /* Who dies counts as finished. */
    bri_save_state(
        save, "unfinished", broker_uint(unfinished > x->n_died ? unfinished - x->n_died : 0));
    bri_save_state(save, "closed", broker_bool((q->flags & BRI_QUEUE_CLOSED) != 0));
    if (x->n == 0)
        return 0;
    bri_pack_array(&save->contents.pack, (uint32_t)x->n);
    for (uint64_t i = 0; i < x->n && save->contents.pack.failed == 0; i++)
        pack_item(o, &x->items[i], &save->contents.pack);
    return 0;
}

int bri_queue_save(const struct bri_object *o, struct bri_save *save)
{
    struct saving x = {0};
    int r;

    save_options(bri_queue_of(o), save);
    r = save_items(o, &x, save);
    free(x.items);
    return r;
}
