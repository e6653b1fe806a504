/*
 * in_place.c - items that are written and read where they lie in shared memory
 *
 * Pointers into the arena mean something only to a process that has it mapped, so these are no
 * operations of an engine. Killed inside any of them, what was reserved is given back and what was
 * leased returns, as with the session's end at any other moment.
 */
#include <broker.h>

#include "client/observe.h"
#include "engine_ops.h"
#include "objects/queue.h"

static int enter(struct bri_handle *h)
{
    int r = bri_enter(h, BRI_TYPE_QUEUE);

    if (r == 0 && h->engine != &bri_engine_shm)
        r = bri_fail_detail(BROKER_UNSUPPORTED,
            "items can be used in place only in shared memory, by unix: or private:");
    return r;
}

static int told(struct bri_handle *h, enum bri_op op, int r)
{
    bri_observe_forget();
    return r < 0 ? bri_fail(h, op, r) : r;
}

int broker_queue_reserve(broker_queue *queue, uint64_t size, void **out_memory)
{
    struct bri_handle *h = (struct bri_handle *)queue;
    int r = enter(h);

    if (r == 0)
        r = out_memory != NULL ? bri_queue_reserve(h, size, out_memory) : BROKER_INVALID;
    return told(h, BRI_OP_QUEUE_PUT, r);
}

int broker_queue_commit(broker_queue *queue, void *memory, uint64_t size, int64_t timeout_ns)
{
    struct bri_handle *h = (struct bri_handle *)queue;
    int r = enter(h);

    if (r == 0) {
        bri_observe(h->monitored);
        r = bri_queue_commit(h, memory, size, timeout_ns);
        bri_observed(h->broker, h, BRI_OP_QUEUE_PUT, r);
    }
    return told(h, BRI_OP_QUEUE_PUT, r);
}

int broker_queue_cancel(broker_queue *queue, void *memory)
{
    struct bri_handle *h = (struct bri_handle *)queue;
    int r = enter(h);

    if (r == 0 && memory != NULL)
        r = bri_queue_cancel(h, memory);
    return told(h, BRI_OP_QUEUE_PUT, r);
}

int broker_queue_lease_in_place(broker_queue *queue, int64_t timeout_ns, int64_t hold_ns,
    broker_buffer *buffer, broker_value *out_item, uint64_t *out_token, uint64_t *out_deliveries)
{
    struct bri_handle *h = (struct bri_handle *)queue;
    uint64_t ignored;
    int r = enter(h);

    if (r == 0 && (buffer == NULL || out_item == NULL || out_token == NULL))
        r = BROKER_INVALID;
    if (r == 0) {
        bri_observe(h->monitored);
        r = bri_queue_lease_in_place(h, timeout_ns, hold_ns, buffer, out_item, out_token,
            out_deliveries != NULL ? out_deliveries : &ignored);
        bri_observed(h->broker, h, BRI_OP_QUEUE_LEASE, r);
    }
    return told(h, BRI_OP_QUEUE_LEASE, r);
}
