/*
 * wait_for.c - waiting on a condition until a function of the caller's says that it is there
 *
 * That function is the caller's and runs here, so this is no operation of an engine, but made of
 * one. Killed inside, it is as if killed in broker_condition_wait().
 */
#include <broker.h>

#include "client/handle.h"
#include "core/clock.h"
#include "engine_ops.h"

/* What is left of the time until @deadline_ns. */
static int64_t time_left(int64_t deadline_ns)
{
    int64_t left = deadline_ns == BRI_NEVER ? BROKER_FOREVER : deadline_ns - bri_now();

    return left > 0 ? left : 0;
}

int broker_condition_wait_for(
    broker_condition *condition, broker_predicate *predicate, void *arg, int64_t timeout_ns)
{
    struct bri_handle *h = (struct bri_handle *)condition;
    int64_t deadline_ns, left = timeout_ns;
    bool waited = false;
    int r = bri_enter(h, BRI_TYPE_CONDITION);

    if (r == 0 && (predicate == NULL || timeout_ns < 0))
        r = BROKER_INVALID;
    if (r < 0)
        return bri_fail(h, BRI_OP_CONDITION_WAIT, r);
    deadline_ns = bri_deadline(timeout_ns);
    while (!predicate(arg)) {
        if (waited && left == 0)
            return bri_fail(h, BRI_OP_CONDITION_WAIT, BROKER_TIMEDOUT);
        r = broker_condition_wait(condition, left);
        if (r != 0 && r != BROKER_TIMEDOUT)
            return r;
        left = time_left(deadline_ns);
        waited = true;
    }
    return 0;
}
