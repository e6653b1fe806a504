/*
 * use_object.c - objects that come and go in the stress test: made, opened, used and destroyed by
 * everybody at once, under few names
 *
 * Nothing is certain about them but what an answer may be.
 */
#include <stdio.h>

#include "objects.h"
#include "worker.h"

#define COMES_AND_GOES (ANSWER(BROKER_GONE) | ANSWER(BROKER_WRONGTYPE) | ANSWER(BROKER_MISMATCH))
#define ANY_BYTES 3000u

static void use_dict(struct worker *w, const char *name)
{
    static uint8_t bytes[ANY_BYTES];
    broker_value v;
    broker_dict *d;

    if (worker_expect(w, broker_dict_open(w->b, name, NULL, &d), "dict open", COMES_AND_GOES) < 0)
        return;
    for (uint32_t i = worker_pick(w, 6); i > 0; i--) {
        broker_value key = broker_int(worker_pick(w, 50));
        int r;

        if (worker_pick(w, 2) == 0)
            r = broker_dict_set(d, key, broker_bin(bytes, worker_pick(w, ANY_BYTES)));
        else
            r = broker_dict_get(d, key, &w->out, &v);
        worker_expect(w, r, "dict", COMES_AND_GOES | ANSWER(BROKER_NOTFOUND));
    }
    broker_dict_close(d);
}

static void use_list(struct worker *w, const char *name)
{
    static uint8_t bytes[ANY_BYTES];
    broker_value v;
    broker_list *l;

    if (worker_expect(w, broker_list_open(w->b, name, NULL, &l), "list open", COMES_AND_GOES) < 0)
        return;
    for (uint32_t i = worker_pick(w, 6); i > 0; i--) {
        int64_t index = worker_pick(w, 8);
        int r;

        if (worker_pick(w, 3) != 0)
            r = broker_list_insert(l, index, broker_bin(bytes, worker_pick(w, ANY_BYTES)));
        else
            r = broker_list_pop(l, index, &w->out, &v);
        worker_expect(
            w, r, "list", COMES_AND_GOES | ANSWER(BROKER_NOTFOUND) | ANSWER(BROKER_EMPTY));
    }
    broker_list_close(l);
}

static void use_queue(struct worker *w, const char *name)
{
    static uint8_t bytes[ANY_BYTES];
    const broker_queue_options options = {.max_items = 20, .joinable = true};
    broker_value v;
    broker_queue *q;

    if (worker_expect(
            w, broker_queue_open(w->b, name, &options, &q), "queue open", COMES_AND_GOES) < 0)
        return;
    for (uint32_t i = worker_pick(w, 6); i > 0; i--) {
        int64_t timeout_ns = worker_pick(w, 2) * BROKER_MILLISECOND;
        int r;

        if (worker_pick(w, 2) == 0)
            r = broker_queue_put(q, broker_bin(bytes, worker_pick(w, ANY_BYTES)), timeout_ns);
        else
            r = broker_queue_get(q, timeout_ns, &w->out, &v);
        worker_expect(w, r, "queue",
            COMES_AND_GOES | ANSWER(BROKER_FULL) | ANSWER(BROKER_EMPTY) | ANSWER(BROKER_TIMEDOUT));
    }
    broker_queue_close(q);
}

static void use_array(struct worker *w, const char *name)
{
    const broker_array_options options = {.typecode = "i", .length = 1 + worker_pick(w, 3000)};
    broker_array *a;
    broker_value v;
    int r;

    r = broker_array_open(w->b, name, &options, &a);
    if (worker_expect(w, r, "array open", COMES_AND_GOES) < 0)
        return;
    for (uint32_t i = worker_pick(w, 6); i > 0; i--) {
        int64_t index = worker_pick(w, (uint32_t)options.length);

        if (worker_pick(w, 2) == 0)
            r = broker_array_exchange(a, index, broker_int(1), &v);
        else
            r = broker_array_read(a, &w->out, &v);
        worker_expect(w, r, "array", COMES_AND_GOES);
    }
    broker_array_close(a);
}

static void use_pipe(struct worker *w, const char *name)
{
    static uint8_t bytes[ANY_BYTES];
    uint64_t end = worker_pick(w, 2);
    broker_value v;
    broker_pipe *p;

    if (worker_expect(w, broker_pipe_open(w->b, name, NULL, &p), "pipe open", COMES_AND_GOES) < 0)
        return;
    for (uint32_t i = worker_pick(w, 6); i > 0; i--) {
        int64_t timeout_ns = worker_pick(w, 2) * BROKER_MILLISECOND;
        int r;

        if (worker_pick(w, 2) == 0)
            r = broker_pipe_send(p, end, broker_bin(bytes, worker_pick(w, ANY_BYTES)), timeout_ns);
        else
            r = broker_pipe_recv(p, end, timeout_ns, &w->out, &v);
        worker_expect(w, r, "pipe",
            COMES_AND_GOES | ANSWER(BROKER_CLOSED) | ANSWER(BROKER_EMPTY) |
                ANSWER(BROKER_TIMEDOUT));
    }
    broker_pipe_close(p);
}

static void use_lock(struct worker *w, const char *name)
{
    broker_lock *lock;
    int r;

    if (worker_expect(w, broker_lock_open(w->b, name, NULL, &lock), "lock open", COMES_AND_GOES) <
        0)
        return;
    r = broker_lock_acquire(lock, worker_pick(w, 2) * BROKER_MILLISECOND, NULL);
    worker_expect(w, r, "lock acquire", COMES_AND_GOES | ANSWER(BROKER_TIMEDOUT));
    if (r >= 0 && worker_pick(w, 2) == 0) /* else closing gives it back */
        worker_expect(w, broker_lock_release(lock), "lock release", COMES_AND_GOES);
    broker_lock_close(lock);
}

void object_use_any(struct worker *w)
{
    uint32_t n = worker_pick(w, STRESS_ANY);
    broker_value v;
    char name[16];

    (void)snprintf(name, sizeof(name), "any-%u", n);
    worker_step(w, "any object");
    switch (worker_pick(w, 9)) {
    case 0:
    case 1:
        worker_expect(w, broker_destroy(w->b, name), "destroy", ANSWER(BROKER_NOTFOUND));
        return;
    case 2:
        use_dict(w, name);
        return;
    case 3:
        use_queue(w, name);
        return;
    case 4:
        use_list(w, name);
        return;
    case 5:
        use_lock(w, name);
        return;
    case 6:
        use_array(w, name);
        return;
    case 7:
        use_pipe(w, name);
        return;
    default:
        worker_expect(w, broker_stat(w->b, name, &w->out, &v), "stat",
            ANSWER(BROKER_NOTFOUND) | COMES_AND_GOES);
        return;
    }
}
