/*
 * calls.c - see calls.h
 */
#include "conformance/calls.h"

int call_elsewhere(int (*run)(struct call *c), void *object, int64_t number)
{
    struct call c;

    kit_call(&c, run, object, number);
    return kit_return(&c);
}

int call_get(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r = broker_queue_get(c->object, c->number, &buffer, &v);

    if (r == 0)
        c->number = v.type == BROKER_INT ? v.i : -1;
    broker_buffer_free(&buffer);
    return r;
}

int call_acquire(struct call *c)
{
    return broker_lock_acquire(c->object, c->number, NULL);
}

int call_wait(struct call *c)
{
    int r = broker_condition_acquire(c->object, KIT_SOON, NULL);

    if (r < 0)
        return r;
    c->result = broker_condition_wait(c->object, c->number);
    r = broker_condition_release(c->object);
    return r < 0 ? r : c->result;
}
