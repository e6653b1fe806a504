/*
 * kinds.c - see kinds.h
 */
#include "kinds.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <criterion/criterion.h>

#include "client/handle.h"
#include "conformance/words.h"
#include "core/attachment.h"
#include "core/bury.h"
#include "core/clock.h"
#include "core/registry.h"

#define DO(call) VICTIM_DO(call)
#define MUST(call) victim_must((call), #call)
#define N_ELEMENTS 400
#define N_ATTRIBUTES 40

static const char *text_number(unsigned i)
{
    return filling(6000, i);
}

/* ---- those who wait ---- */

#define N_WAITERS 5u

static struct waiter {
    const char *name; /* of the object */
    int (*wait)(broker *b, const char *name);
    pthread_t thread;
    int result;
} waiters[N_WAITERS];

static unsigned n_waiters;

static void *run_waiter(void *arg)
{
    struct waiter *w = arg;

    w->result = w->wait(victim_maker(), w->name);
    return NULL;
}

static uint32_t sleepers_of(const struct bri_object *o)
{
    uint32_t n = 0;

    for (unsigned channel = 0; channel < BRI_N_CHANNELS; channel++)
        n += *(const volatile uint32_t *)&o->slot->n_waiters[channel];
    return n;
}

/* Has a thread wait for the object, and returns when it is asleep. */
static void start_waiter(const char *name, int (*wait)(broker *b, const char *name))
{
    struct waiter *w = &waiters[n_waiters++];
    struct bri_object o = victim_find(name);
    uint32_t before = sleepers_of(&o);

    w->name = name;
    w->wait = wait;
    cr_assert_eq(pthread_create(&w->thread, NULL, run_waiter, w), 0);
    while (sleepers_of(&o) == before)
        (void)sched_yield();
}

/* ---- list ---- */

static broker_value element_of(unsigned i)
{
    if (i % 3 == 0)
        return broker_int(i * INT64_C(1000003));
    return broker_strn(text_number(i), i % 50 == 49 ? 5000 : i % 40);
}

static void make_list(broker *b)
{
    broker_list *l, *inner;

    MUST(broker_list_open(b, "list", NULL, &l));
    MUST(broker_list_open(b, NULL, NULL, &inner));
    for (unsigned i = 0; i < N_ELEMENTS; i++)
        MUST(broker_list_append(l, i % 100 == 50 ? broker_ref(inner) : element_of(i)));
}

static void read_list(broker_list *l, broker_buffer *buffer)
{
    uint64_t n, cursor = 0;
    unsigned steps = 0;
    broker_value v;
    bool flag;

    (void)DO(broker_list_len(l, &n));
    for (int64_t i = -N_ELEMENTS; i < N_ELEMENTS; i += 37)
        (void)DO(broker_list_get(l, i, buffer, &v));
    (void)DO(broker_list_index(l, element_of(7), 0, BROKER_OMITTED, &n));
    (void)DO(broker_list_count(l, element_of(9), &n));
    (void)DO(broker_list_contains(l, broker_str("not there"), &flag));
    (void)DO(broker_list_get_slice(l, 350, 5, -3, buffer, &v));
    (void)DO(broker_list_concatenate(l, value_of("[1, [2]]"), buffer, &v));
    (void)DO(broker_list_multiply(l, 3, buffer, &v));
    (void)DO(broker_list_copy(l, buffer, &v));
    while (DO(broker_list_scan(l, cursor, 50, buffer, &v, &cursor)) == 0 && cursor != 0)
        if (++steps > N_ELEMENTS)
            (void)DO(BROKER_INTERNAL); /* it does not end */
}

static void use_list(broker *b, broker_buffer *buffer)
{
    broker_list *l;
    broker_value v;
    int64_t total;

    if (DO(broker_list_open(b, "list", NULL, &l)) < 0)
        return;
    read_list(l, buffer);
    for (int64_t i = 0; i < 390; i += 23) {
        (void)DO(broker_list_insert(l, i, element_of((unsigned)i + 49)));
        (void)DO(broker_list_set(l, i + 1, broker_strn(text_number(3), (size_t)i)));
        (void)DO(broker_list_delete(l, -i));
        (void)DO(broker_list_pop(l, i, buffer, &v));
    }
    (void)DO(broker_list_append(l, broker_int(1)));
    (void)DO(broker_list_add(l, -1, 1, &total));
    (void)DO(broker_list_compare_and_set(l, -1, broker_int(2), broker_nil()));
    (void)DO(broker_list_remove(l, element_of(3)));
    (void)DO(broker_list_set_slice(l, value_of("[1, 'two', {3: 4}]"), 10, 60, 1));
    (void)DO(broker_list_delete_slice(l, 0, 200, 2));
    (void)DO(broker_list_reverse(l));
    (void)DO(broker_list_sort(l, false, broker_nil()));
    (void)DO(broker_list_delete_slice(l, 20, BROKER_OMITTED, 1));
    (void)DO(broker_list_repeat(l, 3));
    (void)DO(broker_list_extend(l, value_of("[3, 1, 2]")));
    (void)DO(broker_list_copy(l, buffer, &v));
    (void)DO(broker_list_clear(l));
    (void)DO(broker_list_append(l, broker_int(1)));
    (void)DO(broker_list_sort(l, true, broker_nil()));
    broker_list_close(l);
}

/* ---- array, value, namespace ---- */

static void make_array(broker *b)
{
    broker_array *a;

    MUST(broker_array_open(
        b, "array", &(broker_array_options){.typecode = "H", .length = 5000}, &a));
    for (int64_t i = 0; i < 5000; i += 9)
        MUST(broker_array_set(a, i, broker_int(i)));
}

static void use_array(broker *b, broker_buffer *buffer)
{
    broker_array *a;
    broker_value v;
    uint64_t n;
    void *data;

    if (DO(broker_array_open(b, "array", NULL, &a)) < 0)
        return;
    (void)DO(broker_array_len(a, &n));
    for (int64_t i = -5000; i < 5000; i += 977) {
        (void)DO(broker_array_get(a, i, &v));
        (void)DO(broker_array_set(a, i, broker_int(7)));
        (void)DO(broker_array_add(a, i, broker_int(-1), &v));
        (void)DO(broker_array_exchange(a, i, broker_int(9), &v));
        (void)DO(broker_array_compare_and_set(a, i, broker_int(9), broker_int(10)));
    }
    (void)DO(broker_array_get_slice(a, 4000, 10, -7, buffer, &v));
    (void)DO(broker_array_set_slice(a, 100, 103, 1, value_of("[1, 2, 3]")));
    (void)DO(broker_array_read(a, buffer, &v));
    (void)DO(broker_array_write(a, value_of("[1, 2, 3]")));
    if (DO(broker_array_data(a, &data, &n)) == 0)
        memset(
            data, 1, n * 2); /* n is the array's own word on it: it was checked, or this faults */
    broker_array_close(a);
}

static void make_value(broker *b)
{
    broker_number *n;

    MUST(broker_number_open(b, "value", &(broker_number_options){.initial = broker_int(5)}, &n));
}

static void use_value(broker *b, broker_buffer *buffer)
{
    broker_number *n;
    broker_value v;

    (void)buffer;
    if (DO(broker_number_open(b, "value", NULL, &n)) < 0)
        return;
    (void)DO(broker_number_get(n, &v));
    (void)DO(broker_number_add(n, broker_int(2), &v));
    (void)DO(broker_number_exchange(n, broker_int(9), &v));
    (void)DO(broker_number_compare_and_set(n, broker_int(9), broker_int(10)));
    (void)DO(broker_number_set(n, broker_int(INT64_MAX)));
    (void)DO(broker_number_add(n, broker_int(2), &v));
    broker_number_close(n);
}

static const char *attribute_of(unsigned i)
{
    static char name[] = "a_00";

    name[2] = (char)('0' + i / 10);
    name[3] = (char)('0' + i % 10);
    return name;
}

static void make_namespace(broker *b)
{
    broker_namespace *n;

    MUST(broker_namespace_open(b, "namespace", NULL, &n));
    for (unsigned i = 0; i < N_ATTRIBUTES; i++)
        MUST(broker_namespace_set(n, attribute_of(i), element_of(i)));
}

static void use_namespace(broker *b, broker_buffer *buffer)
{
    broker_namespace *n;
    broker_value v;
    int64_t total;
    bool flag;

    if (DO(broker_namespace_open(b, "namespace", NULL, &n)) < 0)
        return;
    for (unsigned i = 0; i < N_ATTRIBUTES + 5; i += 4) {
        (void)DO(broker_namespace_get(n, attribute_of(i), buffer, &v));
        (void)DO(broker_namespace_contains(n, attribute_of(i + 1), &flag));
        (void)DO(broker_namespace_set(n, attribute_of(i + 2), element_of(i + 3)));
        (void)DO(broker_namespace_delete(n, attribute_of(i + 3)));
        (void)DO(broker_namespace_add(n, attribute_of(i), 1, &total));
        (void)DO(broker_namespace_compare_and_set(n, attribute_of(i), broker_nil(), v));
    }
    (void)DO(broker_namespace_update(n, value_of("{'a_01': 1, 'b': [2]}")));
    (void)DO(broker_namespace_keys(n, buffer, &v));
    (void)DO(broker_namespace_items(n, buffer, &v));
    (void)DO(broker_namespace_copy(n, buffer, &v));
    broker_namespace_close(n);
}

/* ---- rlock, semaphore, event ---- */

static void make_rlock(broker *b)
{
    broker_rlock *r;

    MUST(broker_rlock_open(b, "rlock", NULL, &r));
    MUST(broker_rlock_acquire(r, 0, NULL));
    MUST(broker_rlock_acquire(r, 0, NULL));
}

static void use_rlock(broker *b, broker_buffer *buffer)
{
    broker_rlock *r;
    broker_value v;
    bool flag;

    if (DO(broker_rlock_open(b, "rlock", NULL, &r)) < 0)
        return;
    for (int i = 0; i < 2; i++) {
        (void)DO(broker_rlock_locked(r, &flag));
        (void)DO(broker_rlock_owner(r, buffer, &v));
        (void)DO(broker_rlock_acquire(r, 0, NULL));
        (void)DO(broker_rlock_acquire(r, 0, NULL));
        (void)DO(broker_rlock_release(r));
        (void)DO(broker_rlock_release(r));
    }
    broker_rlock_close(r);
}

static int wait_semaphore(broker *b, const char *name)
{
    broker_semaphore *s;

    MUST(broker_semaphore_open(b, name, NULL, &s));
    return broker_semaphore_acquire(s, BROKER_FOREVER);
}

static void make_semaphore(broker *b)
{
    const broker_semaphore_options options = {.value = 3, .bounded = true};
    broker_semaphore *s;

    MUST(broker_semaphore_open(b, "semaphore", &options, &s));
    for (int i = 0; i < 3; i++)
        MUST(broker_semaphore_acquire(s, 0));
    start_waiter("semaphore", wait_semaphore);
}

static void use_semaphore(broker *b, broker_buffer *buffer)
{
    broker_semaphore *s;
    uint64_t n;

    (void)buffer;
    if (DO(broker_semaphore_open(b, "semaphore", NULL, &s)) < 0)
        return;
    (void)DO(broker_semaphore_value(s, &n));
    (void)DO(broker_semaphore_acquire(s, 0));
    (void)DO(broker_semaphore_release(s, 2));
    (void)DO(broker_semaphore_acquire(s, 0));
    (void)DO(broker_semaphore_acquire(s, 0));
    (void)DO(broker_semaphore_release(s, 5));
    (void)DO(broker_semaphore_value(s, &n));
    broker_semaphore_close(s);
}

static int wait_event(broker *b, const char *name)
{
    broker_event *e;

    MUST(broker_event_open(b, name, NULL, &e));
    return broker_event_wait(e, BROKER_FOREVER);
}

static void make_event(broker *b)
{
    broker_event *e;

    MUST(broker_event_open(b, "event", NULL, &e));
    MUST(broker_event_set(e));
    MUST(broker_event_clear(e));
    start_waiter("event", wait_event);
}

static void use_event(broker *b, broker_buffer *buffer)
{
    broker_event *e;
    bool flag;

    (void)buffer;
    if (DO(broker_event_open(b, "event", NULL, &e)) < 0)
        return;
    (void)DO(broker_event_is_set(e, &flag));
    (void)DO(broker_event_wait(e, 0));
    (void)DO(broker_event_set(e));
    (void)DO(broker_event_wait(e, 0));
    (void)DO(broker_event_clear(e));
    (void)DO(broker_event_is_set(e, &flag));
    broker_event_close(e);
}

/* ---- barrier, condition ---- */

static int wait_barrier(broker *b, const char *name)
{
    broker_barrier *barrier;

    MUST(broker_barrier_open(b, name, NULL, &barrier));
    return broker_barrier_wait(barrier, BROKER_FOREVER, NULL);
}

static void make_barrier(broker *b)
{
    broker_barrier *barrier;

    MUST(broker_barrier_open(b, "barrier", &(broker_barrier_options){.parties = 2}, &barrier));
    start_waiter("barrier", wait_barrier);
}

static void use_barrier(broker *b, broker_buffer *buffer)
{
    broker_barrier *barrier;
    uint64_t n;
    bool flag;

    (void)buffer;
    if (DO(broker_barrier_open(b, "barrier", NULL, &barrier)) < 0)
        return;
    (void)DO(broker_barrier_parties(barrier, &n));
    (void)DO(broker_barrier_n_waiting(barrier, &n));
    (void)DO(broker_barrier_broken(barrier, &flag));
    (void)DO(broker_barrier_wait(barrier, 0, &n));
    (void)DO(broker_barrier_pass(barrier));
    (void)DO(broker_barrier_abort(barrier));
    (void)DO(broker_barrier_reset(barrier));
    (void)DO(broker_barrier_wait(barrier, 0, &n));
    (void)DO(broker_barrier_reset(barrier));
    broker_barrier_close(barrier);
}

static int wait_condition(broker *b, const char *name)
{
    broker_condition *c;

    MUST(broker_condition_open(b, name, NULL, &c));
    MUST(broker_condition_acquire(c, BROKER_FOREVER, NULL));
    return broker_condition_wait(c, BROKER_FOREVER);
}

static void make_condition(broker *b)
{
    broker_condition *c;

    MUST(broker_condition_open(b, "condition", NULL, &c));
    start_waiter("condition", wait_condition);
}

static void use_condition(broker *b, broker_buffer *buffer)
{
    broker_condition *c;
    broker_value v;
    bool flag;

    if (DO(broker_condition_open(b, "condition", NULL, &c)) < 0)
        return;
    (void)DO(broker_condition_locked(c, &flag));
    (void)DO(broker_condition_acquire(c, 0, NULL));
    (void)DO(broker_condition_owner(c, buffer, &v));
    (void)DO(broker_condition_wait(c, 0));
    (void)DO(broker_condition_notify(c, 1));
    (void)DO(broker_condition_notify_all(c));
    (void)DO(broker_condition_wait(c, 0));
    (void)DO(broker_condition_release(c));
    broker_condition_close(c);
}

/* ---- pipe ---- */

static int wait_pipe(broker *b, const char *name)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_pipe *p;
    broker_value v;
    int r;

    MUST(broker_pipe_open(b, name, NULL, &p));
    do
        r = broker_pipe_recv(p, 0, BROKER_FOREVER, &buffer, &v);
    while (r == 0);
    broker_buffer_free(&buffer);
    return r;
}

/* Messages that nobody has received at one end, and somebody who waits for one at the other. */
static void make_pipe(broker *b)
{
    broker_pipe *p;

    MUST(broker_pipe_open(b, "pipe", &(broker_pipe_options){.max_items = 100}, &p));
    MUST(broker_pipe_hold(p, 0));
    MUST(broker_pipe_hold(p, 1));
    for (unsigned i = 0; i < 70; i++)
        MUST(broker_pipe_send(p, 0, element_of(i), 0));
    start_waiter("pipe", wait_pipe);
}

static void use_pipe(broker *b, broker_buffer *buffer)
{
    broker_pipe *p;
    broker_value v;
    uint64_t n;

    if (DO(broker_pipe_open(b, "pipe", NULL, &p)) < 0)
        return;
    for (uint64_t end = 0; end < 2; end++) {
        (void)DO(broker_pipe_hold(p, end));
        (void)DO(broker_pipe_len(p, end, &n));
        (void)DO(broker_pipe_poll(p, end, 0));
        for (unsigned i = 0; i < 80; i++) {
            (void)DO(broker_pipe_send(p, 1 - end, element_of(i), 0));
            (void)DO(broker_pipe_recv(p, end, 0, buffer, &v));
        }
        (void)DO(broker_pipe_release(p, end));
    }
    broker_pipe_close(p);
}

/* ---- a queue in another order, with leases by token ---- */

static void make_priority(broker *b)
{
    const broker_queue_options options = {.priority = true, .max_deliveries = 2};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint64_t token;
    broker_queue *q;
    broker_value v;

    MUST(broker_queue_open(b, "priority", &options, &q));
    for (unsigned i = 0; i < 60; i++)
        MUST(broker_queue_put(q, broker_strn(text_number(i), i % 20 == 19 ? 5000 : 30), 0));
    for (unsigned i = 0; i < 20; i++) {
        MUST(broker_queue_lease(
            q, 0, i % 2 == 0 ? BROKER_FOREVER : BROKER_SECOND * 3600, &buffer, &v, &token, NULL));
        if (i % 4 == 0)
            MUST(broker_queue_return(q, token, BROKER_SECOND * 3600));
        else if (i % 4 == 1)
            MUST(broker_queue_return(q, token, 0));
    }
    broker_buffer_free(&buffer);
}

static void use_priority(broker *b, broker_buffer *buffer)
{
    uint64_t token, n, cursor = 0;
    broker_queue *q;
    broker_value v;

    if (DO(broker_queue_open(b, "priority", NULL, &q)) < 0)
        return;
    (void)DO(broker_queue_peek(q, buffer, &v));
    /* Each page is bounded; of a ring of items there always is another one. */
    for (unsigned page = 0; page < 50; page++)
        if (DO(broker_queue_browse(q, cursor, 10, buffer, &v, &cursor)) < 0 || cursor == 0)
            break;
    for (unsigned i = 0; i < 40; i++) {
        (void)DO(broker_queue_put(q, broker_strn(text_number(i + 100), 40), 0));
        if (DO(broker_queue_lease(q, 0, BROKER_SECOND, buffer, &v, &token, &n)) == 0) {
            (void)DO(broker_queue_extend(q, token, BROKER_SECOND * 2));
            (void)DO(i % 2 == 0 ? broker_queue_done(q, token) : broker_queue_return(q, token, 0));
        }
        (void)DO(broker_queue_get(q, 0, buffer, &v));
    }
    (void)DO(broker_queue_take_dead(q, buffer, &v));
    (void)DO(broker_queue_revive(q, 5, &n));
    (void)DO(broker_queue_clear(q, &n));
    (void)DO(broker_queue_shutdown(q));
    broker_queue_close(q);
}

/* ---- all of them ---- */

const struct kind kinds[] = {{"list", make_list, use_list}, {"array", make_array, use_array},
    {"value", make_value, use_value}, {"namespace", make_namespace, use_namespace},
    {"rlock", make_rlock, use_rlock}, {"semaphore", make_semaphore, use_semaphore},
    {"event", make_event, use_event}, {"barrier", make_barrier, use_barrier},
    {"condition", make_condition, use_condition}, {"pipe", make_pipe, use_pipe},
    {"priority", make_priority, use_priority}};
const unsigned n_kinds = sizeof(kinds) / sizeof(kinds[0]);

void kinds_make(void)
{
    victim_make();
    for (unsigned i = 0; i < n_kinds; i++)
        kinds[i].make(victim_maker());
}

void kinds_free(void)
{
    for (unsigned i = 0; i < n_waiters; i++) {
        (void)bri_registry_destroy(victim.arena, waiters[i].name);
        (void)pthread_join(waiters[i].thread, NULL);
        cr_assert_eq(waiters[i].result, BROKER_GONE, "%s", waiters[i].name);
    }
    victim_free();
}

void kinds_use(const struct kind *kind, broker *b, broker_buffer *buffer)
{
    uint64_t freed;
    broker_value v;

    (void)DO(broker_stat(b, kind->name, buffer, &v));
    victim_look_around(b, buffer);
    kind->use(b, buffer);
    (void)DO(broker_stat(b, kind->name, buffer, &v));
    (void)DO(broker_collect(b, &freed));
    victim_look_around(b, buffer);
    (void)DO(bri_session_reap(b->arena, 0, true, -2 * BRI_MILLISECOND));
    kind->use(b, buffer);
    (void)DO(bri_registry_destroy(b->arena, kind->name));
    (void)DO(bri_bury(b->arena));
}
