/*
 * observe.c - see observe.h
 *
 * Timing an operation costs some tens of nanoseconds, as much as a dict's get takes. So each thread
 * has a budget of operations that it times in a tick. It keeps the cost below a hundredth, however
 * slow the clock, and everything is seen of programs that do less than that. Of those that do more,
 * as many are counted as show how fast it goes on; the rest of the tick is reckoned from that and
 * the processor's time. Killed in here, a thread leaves at most a torn record, and operations that
 * nobody is told of.
 */
#include "client/observe.h"

#include <string.h>
#include <time.h>

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

/* ---- ticks ---- */

/* What was not even counted, if it went on as before; at most as much as a tick has room for. */
static uint64_t reckon(const struct bri_monitor_thread *t)
{
    int64_t took = t->spent_cpu_ns - t->count_cpu_ns;
    int64_t since = bri_clock(CLOCK_THREAD_CPUTIME_ID) - t->spent_cpu_ns;

    if (took <= 0 || since <= 0)
        return 0;
    since = since < BRI_MONITOR_TICK_NS ? since : BRI_MONITOR_TICK_NS;
    return (uint64_t)since * BRI_OBSERVE_COUNT / (uint64_t)took;
}

static void begin_tick(struct bri_monitor_thread *t, uint64_t until)
{
    if (t->spent_cpu_ns != 0 && until - t->tick <= BRI_MONITOR_LEASE_NS)
        t->n_left_out += reckon(t);
    t->tick = until;
    t->budget = BUDGET;
    t->n_counted = 0;
    t->spent_cpu_ns = 0;
}

static void count(struct bri_monitor_thread *t, uint64_t until)
{
    t->n_left_out++;
    if (t->n_counted++ == 0)
        t->count_cpu_ns = bri_clock(CLOCK_THREAD_CPUTIME_ID);
    t->is_counted = true;
    if (t->n_counted < BRI_OBSERVE_COUNT)
        return;
    if (t->n_counted == BRI_OBSERVE_COUNT)
        t->spent_cpu_ns = bri_clock(CLOCK_THREAD_CPUTIME_ID);
    t->spent = until;
}

void bri_observe_start(uint64_t until)
{
    struct bri_monitor_thread *t = &bri_monitor_thread;
    int64_t ahead = (int64_t)(until - t->tick);

    t->since_ns = 0;
    if (until ==
        0) { /* the end of the lease, or another arena: then each is counted from here on */
        t->spent = 0;
        t->spent_cpu_ns = 0;
        return;
    }
    /* One behind is another arena's; one far behind means that what we saw was no lease. */
    if (ahead > 0 || ahead < -BRI_MONITOR_LEASE_NS)
        begin_tick(t, until);
    if (t->budget == 0) {
        count(t, until);
        return;
    }
    t->budget--;
    t->is_counted = false;
    t->since_ns = bri_now();
}

void bri_observe_forget(void)
{
    bri_monitor_thread.since_ns = 0;
}

/* ---- records ---- */

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

void bri_observe_end(broker *b, const struct bri_handle *h, enum bri_op op, int r)
{
    struct bri_monitor_thread *t = &bri_monitor_thread;
    int64_t now, since = t->since_ns;

    t->since_ns = 0;
    if (b->monitored == &bri_observe_nothing)
        return;
    if (t->is_counted && t->n_left_out > 0) /* before it had to wait */
        t->n_left_out--;
    t->is_counted = false;
    tell_left_out(t, b);
    now = bri_now();
    if (bri_monitor_check(b->arena, now))
        write_down(b, h,
            &(struct bri_record){
                .end_ns = now, .duration_ns = now - since, .op = (uint32_t)op, .result = r});
}

void bri_observe_leave(broker *b)
{
    struct bri_monitor_thread *t = &bri_monitor_thread;

    t->since_ns = 0;
    if (b->monitored == &bri_observe_nothing)
        return;
    if (t->spent_cpu_ns != 0)
        t->n_left_out += reckon(t);
    t->spent_cpu_ns = 0;
    tell_left_out(t, b);
}
