/*
 * observe.c - see observe.h
 *
 * Timing an operation costs some tens of nanoseconds, as much as a dict's get takes. So each thread
 * has a budget of operations that it times in a tick. It keeps the cost below a hundredth, however
 * slow the clock, and everything is seen of programs that do less than that. Killed in here, a
 * thread leaves at most a torn record, and operations that nobody is told of.
 */
#include "client/observe.h"

#include <string.h>

#include "core/session.h"
#include "engine_ops.h"

#define BUDGET 256u /* sixteen threads do not fill the ring before somebody looks at it */

_Static_assert(BRI_N_OPS < 4096, "operations fit a record");

const _Atomic uint64_t bri_observe_nothing;

void bri_observe_begin(broker *b)
{
    struct bri_session_info info;

    b->monitored = &bri_observe_nothing;
    if (b->read_only || bri_session_info(b->arena, b->session_number, &info) < 0)
        return;
    b->who = (struct bri_record_who){
        .session = info.number, .pid = info.pid, .uid = info.uid, .ops = BRI_OPS_PRINT};
    memcpy(b->who.comm, info.comm, sizeof(b->who.comm) - 1);
    b->monitored = &b->arena->shm->monitored_until_ns;
}

void bri_observe_start(uint64_t until)
{
    struct bri_monitor_thread *t = &bri_monitor_thread;
    int64_t ahead = (int64_t)(until - t->tick);

    /* One behind is another arena's; one far behind means that what we saw was no lease. */
    if (ahead > 0 || ahead < -BRI_MONITOR_LEASE_NS) {
        t->tick = until;
        t->budget = BUDGET;
    }
    if (t->budget == 0) {
        t->spent = until;
        return;
    }
    t->budget--;
    t->since_ns = bri_now();
}

static void write_down(broker *b, const struct bri_handle *h, struct bri_record *record)
{
    struct bri_ring_shm *ring = bri_monitor_ring(b->arena);

    record->who = b->who;
    if (h != NULL) {
        record->object = h->object.id;
        record->generation = (uint32_t)h->object.generation;
    }
    if (ring != NULL)
        bri_monitor_write(ring, record);
}

static void tell_left_out(struct bri_monitor_thread *t, broker *b)
{
    struct bri_ring_shm *ring = t->n_left_out > 0 ? bri_monitor_ring(b->arena) : NULL;

    if (ring != NULL)
        bri_monitor_leave_out(ring, t->n_left_out);
    t->n_left_out = 0;
}

void bri_observe_end(broker *b, const struct bri_handle *h, enum bri_op op, int r, uint64_t until)
{
    struct bri_monitor_thread *t = &bri_monitor_thread;
    uint64_t passed = atomic_load_explicit(b->monitored, memory_order_relaxed) - until;
    int64_t now = bri_now(), since = t->since_ns;
    bool was_slow = since == 0 && (int64_t)passed >= BRI_OBSERVE_SLOW_NS;

    t->since_ns = 0;
    tell_left_out(t, b);
    if (!bri_monitor_check(b->arena, now) || (since == 0 && !was_slow))
        return;
    if (was_slow)
        since = now - (int64_t)passed;
    write_down(b, h,
        &(struct bri_record){
            .end_ns = now, .duration_ns = now - since, .op = (uint32_t)op, .result = r});
}
