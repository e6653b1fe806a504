/*
 * queue_browse.c - the items of a queue, looked at where they are
 *
 * Both operations read as any reader does, after leases and delays that are over have been ended.
 * A page of a browse is gathered into memory of its own, in a walk of bounded length, and only when
 * that is known to be valid it is made an answer.
 */
#include <stdlib.h>

#include "core/session.h"
#include "engine_ops.h"
#include "objects/items_walk.h"
#include "objects/pack.h"
#include "objects/queue.h"
#include "value/value.h"

#define PAGE_MAX 1024u   /* items of one page */
#define WALK_MAX 16384u  /* items met for one page, those that are gone included */
#define SHOWN_BYTES 256u /* larger ones are not shown */

/* ---- peek ---- */

struct peek {
    struct bri_output out;
};

static int peek_try(struct bri_object *o, void *arg)
{
    const struct bri_queue_shm *q = bri_queue_of(o);
    struct bri_items_shm items = q->items;
    struct bri_items_cursor c;
    struct peek *x = arg;
    int r;

    bri_items_look(&items, &c);
    r = bri_items_next(o, &items, &c);
    if (r == BROKER_EMPTY)
        return (q->flags & BRI_QUEUE_CLOSED) != 0 ? BROKER_CLOSED : BROKER_EMPTY;
    if (r < 0)
        return r;
    if (bri_output_lacks(&x->out, c.size))
        return BRI_MORE;
    bri_copy(x->out.buffer->data, c.bytes, c.size);
    x->out.buffer->size = c.size;
    return 0;
}

int bri_queue_peek(struct bri_handle *h, broker_buffer *buffer, broker_value *out_value)
{
    struct peek x = {.out.buffer = buffer};
    int r = bri_queue_settle(&h->object);

    if (r == 0)
        r = bri_read_out(h, peek_try, &x, &x.out);
    return r < 0 ? r : bri_value_decode(buffer->data, buffer->size, out_value);
}

/* ---- browse ---- */

/* What is shown of an item. */
struct shown {
    uint64_t number;
    int64_t put_ns, due_ns;
    uint32_t session;
    uint32_t size;
    uint16_t deliveries;
    uint8_t state;
    uint8_t bytes[SHOWN_BYTES];
};

struct page {
    uint64_t cursor, limit;
    uint64_t next; /* out */
    uint64_t n;    /* out */
    struct shown *items;
};

static void show(const struct bri_object *o, const struct bri_items_met *met, struct shown *out)
{
    const struct bri_item_shm *item = met->item;

    *out = (struct shown){.number = item->number,
        .put_ns = item->put_ns,
        .due_ns = bri_item_due(o, item),
        .session = UINT32_MAX,
        .size = met->size,
        .deliveries = item->deliveries,
        .state = item->state};
    if (out->state == BRI_ITEM_LEASED)
        out->session = bri_item_session(o, item);
    if (met->size <= SHOWN_BYTES)
        memcpy(out->bytes, met->bytes, met->size);
}

static int browse_try(struct bri_object *o, void *arg)
{
    struct bri_items_shm items = bri_queue_of(o)->items;
    struct bri_items_walk walk;
    struct bri_items_met met;
    struct page *x = arg;
    int r = 0;

    x->n = 0;
    bri_items_walk_start(o, &items, x->cursor, &walk);
    for (uint32_t i = 0; i < WALK_MAX && x->n < x->limit; i++) {
        r = bri_items_walk_next(o, &items, &walk, &met);
        if (r < 0)
            break;
        if (!met.skip)
            show(o, &met, &x->items[x->n++]);
    }
    x->next = r == 0 ? bri_items_walk_cursor(o, &items, &walk) : 0;
    return r == BROKER_EMPTY ? 0 : r;
}

static const char *state_name(uint8_t state)
{
    static const char *const names[] = {[BRI_ITEM_READY] = "ready",
        [BRI_ITEM_LEASED] = "leased",
        [BRI_ITEM_DELAYED] = "delayed",
        [BRI_ITEM_DEAD] = "dead"};

    return state < sizeof(names) / sizeof(names[0]) ? names[state] : NULL;
}

/* Nil if it is too large to be shown, or no value. */
static broker_value shown_value(const struct shown *item)
{
    broker_value v = broker_packed(item->bytes, item->size);
    size_t size;

    return item->size <= SHOWN_BYTES && bri_value_measure(v, &size) == 0 ? v : broker_nil();
}

static void pack_item(
    struct bri_pack *p, struct bri_arena *a, const struct shown *item, int64_t now_ns)
{
    const char *state = state_name(item->state);
    struct bri_session_info info;
    bool held = bri_session_info(a, item->session, &info) == 0;
    int64_t age_ns = now_ns - item->put_ns, left_ns = item->due_ns - now_ns;

    bri_pack_map(p, 9);
    bri_pack_entry(p, "number", broker_uint(item->number));
    bri_pack_entry(p, "state", state != NULL ? broker_str(state) : broker_nil());
    bri_pack_entry(p, "session", held ? broker_uint(item->session) : broker_nil());
    bri_pack_entry(p, "pid", held ? broker_uint(info.pid) : broker_nil());
    bri_pack_entry(p, "deliveries", broker_uint(item->deliveries));
    bri_pack_entry(p, "age_ns", broker_int(age_ns > 0 ? age_ns : 0));
    bri_pack_entry(
        p, "left_ns", item->due_ns != 0 ? broker_int(left_ns > 0 ? left_ns : 0) : broker_nil());
    bri_pack_entry(p, "size_bytes", broker_uint(item->size));
    bri_pack_entry(p, "value", shown_value(item));
}

int bri_queue_browse(struct bri_handle *h, uint64_t cursor, uint64_t limit, broker_buffer *buffer,
    broker_value *out_items, uint64_t *out_next)
{
    struct page x = {.cursor = cursor, .limit = limit < PAGE_MAX ? limit : PAGE_MAX};
    struct bri_pack p;
    int64_t now_ns;
    int r = limit == 0 ? BROKER_INVALID : bri_queue_settle(&h->object);

    if (r == 0 && (x.items = calloc(x.limit, sizeof(*x.items))) == NULL)
        r = BROKER_NOMEM;
    if (r == 0)
        r = bri_read(h, browse_try, &x);
    if (r == 0) {
        now_ns = bri_now();
        bri_pack_start(&p, buffer);
        bri_pack_array(&p, (uint32_t)x.n);
        for (uint64_t i = 0; i < x.n; i++)
            pack_item(&p, h->object.arena, &x.items[i], now_ns);
        r = bri_pack_end(&p, out_items);
    }
    free(x.items);
    if (r == 0)
        *out_next = x.next;
    return r;
}
