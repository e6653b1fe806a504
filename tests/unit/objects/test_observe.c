/*
 * test_observe.c - what the public functions write down of themselves while somebody monitors
 */
#include "hand.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/observe.h"
#include "core/attachment.h"
#include "core/stand_in.h"
#include "unit/core/lab.h"

#define BUDGET 256u /* of a thread, in a tick */
#define MAX 2000u

static struct bri_arena *arena;
static broker *b;
static broker_dict *dict;
static broker_queue *queue;
static broker_buffer buffer;
static struct bri_monitor_place place;
static struct bri_record records[MAX];

static void start(void)
{
    arena = lab_arena(16 * MIB);
    b = hand_broker(arena);
    cr_assert_eq(broker_dict_open(b, "stock", NULL, &dict), 0);
    cr_assert_eq(broker_queue_open(b, "jobs", NULL, &queue), 0);
    cr_assert_eq(broker_dict_set(dict, broker_str("k"), broker_int(1)), 0);
    place = (struct bri_monitor_place){0};
}

static void stop(void)
{
    broker_buffer_free(&buffer);
    hand_free(b);
    bri_arena_unmap(arena);
}

TestSuite(observe, .init = start, .fini = stop, .timeout = 60);

static struct bri_monitor_look look(void)
{
    return bri_monitor_read(arena, &place, records, MAX);
}

/* The lease, so long after the last tick. A test has time in its own hands. */
static void monitor_until(uint64_t until)
{
    atomic_store(&arena->shm->monitored_until_ns, until);
}

static uint64_t lease(void)
{
    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    return atomic_load(&arena->shm->monitored_until_ns);
}

static void get(unsigned n)
{
    broker_value v;

    while (n-- > 0)
        cr_assert_eq(broker_dict_get(dict, broker_str("k"), &buffer, &v), 0);
}

Test(observe, while_nobody_monitors_nothing_is_written_or_counted)
{
    get(10000);
    cr_assert_null(bri_monitor_ring(arena));
    cr_assert_eq(bri_monitor_thread.n_left_out, 0);
}

Test(observe, a_record_tells_object_operation_result_and_time)
{
    const struct bri_handle *d = (const struct bri_handle *)dict;
    int64_t before = bri_now(), after;
    struct bri_monitor_look got;
    broker_value v;

    (void)lease();
    get(1);
    cr_assert_eq(broker_dict_get(dict, broker_str("none"), &buffer, &v), BROKER_NOTFOUND);
    cr_assert_eq(broker_queue_put(queue, broker_int(1), 0), 0);
    cr_assert_eq(broker_rename(b, "stock", "store"), 0);
    after = bri_now();
    got = look();
    cr_assert_eq(got.n, 4);
    cr_assert_eq(got.n_missed, 0);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_geq(records[i].end_ns - records[i].duration_ns, before);
        cr_assert_leq(records[i].end_ns, after);
        before = records[i].end_ns;
        cr_assert_eq(records[i].who.pid, (uint32_t)getpid());
        cr_assert_eq(records[i].who.uid, geteuid());
        cr_assert_eq(records[i].who.session, b->session_number);
        cr_assert_eq(records[i].who.ops, BRI_OPS_PRINT);
        cr_assert_str_not_empty(records[i].who.comm);
    }
    cr_assert_eq(records[0].op, BRI_OP_DICT_GET);
    cr_assert_eq(records[0].object, d->object.id);
    cr_assert_eq(records[0].generation, (uint32_t)d->object.generation);
    cr_assert_eq(records[0].result, 0);
    cr_assert_eq(records[1].result, BROKER_NOTFOUND);
    cr_assert_eq(records[2].op, BRI_OP_QUEUE_PUT);
    cr_assert_eq(records[3].op, BRI_OP_BROKER_RENAME);
    cr_assert_eq(records[3].object, 0, "an operation of the arena");
    lab_audit(arena);
}

Test(observe, opens_and_items_in_place_are_written_down)
{
    broker_list *list;
    broker_value v;
    uint64_t token;
    void *memory;

    (void)lease();
    cr_assert_eq(broker_list_open(b, "list", NULL, &list), 0);
    cr_assert_eq(broker_queue_reserve(queue, 100, &memory), 0);
    cr_assert_eq(broker_queue_commit(queue, memory, 100, 0), 0);
    cr_assert_eq(
        broker_queue_lease_in_place(queue, 0, BROKER_SECOND, &buffer, &v, &token, NULL), 0);
    cr_assert_eq(look().n, 3);
    cr_assert_eq(records[0].op, BRI_OP_LIST_OPEN);
    cr_assert_eq(records[0].object, ((const struct bri_handle *)list)->object.id);
    cr_assert_eq(records[1].op, BRI_OP_QUEUE_PUT);
    cr_assert_eq(records[2].op, BRI_OP_QUEUE_LEASE);
}

Test(observe, what_was_refused_for_its_arguments_is_no_operation)
{
    (void)lease();
    cr_assert_eq(broker_queue_put(queue, broker_int(1), -1), BROKER_INVALID);
    cr_assert_eq(look().n, 0);
}

/* The next one, as the daemon or whoever monitors would have it. */
static void next_tick(void)
{
    monitor_until(atomic_load(&arena->shm->monitored_until_ns) + (uint64_t)BRI_MONITOR_TICK_NS);
}

/* The first of a tick, and then all that is told of the rest is how many they are. */
Test(observe, each_tick_has_its_budget_and_the_rest_is_counted)
{
    struct bri_monitor_look got;

    (void)lease();
    get(BUDGET + BRI_OBSERVE_COUNT - 1);
    got = look();
    cr_assert_eq(got.n, BUDGET);
    cr_assert_eq(got.n_missed, 0);
    next_tick();
    get(1);
    got = look();
    cr_assert_eq(got.n, 1);
    cr_assert_eq(got.n_missed, BRI_OBSERVE_COUNT - 1, "told with the next record");
}

/* How many there are beyond that is reckoned from the processor's time, which the machine may
 * distort in some of the ticks. */
Test(observe, of_very_many_it_is_told_about_how_many)
{
    struct bri_monitor_look got;

    (void)lease();
    do {
        next_tick();
        get(BUDGET + BRI_OBSERVE_COUNT + 5000);
        (void)look();
        next_tick();
        get(1);
        got = look();
        cr_assert_geq(got.n_missed, BRI_OBSERVE_COUNT);
    } while (got.n_missed < BRI_OBSERVE_COUNT + 2500 || got.n_missed > BRI_OBSERVE_COUNT + 10000);
}

Test(observe, who_leaves_tells_what_was_left_out)
{
    broker *c = hand_broker(arena);
    struct bri_monitor_look got;

    (void)lease();
    get(BUDGET + 5);
    bri_observe_leave(c);
    got = look();
    cr_assert_eq(got.n, BUDGET);
    cr_assert_eq(got.n_missed, 5);
    hand_free(c);
}

Test(observe, whoever_waits_is_told_of_however_much_else_there_is)
{
    struct bri_monitor_look got;
    broker_value v;

    (void)lease();
    get(BUDGET + 5);
    (void)look();
    cr_assert_eq(broker_queue_get(queue, 5 * BRI_MILLISECOND, &buffer, &v), BROKER_TIMEDOUT);
    got = look();
    cr_assert_eq(got.n, 1);
    cr_assert_eq(got.n_missed, 5);
    cr_assert_eq(records[0].op, BRI_OP_QUEUE_GET);
    cr_assert_eq(records[0].result, BROKER_TIMEDOUT);
    cr_assert_geq(records[0].duration_ns, 4 * BRI_MILLISECOND, "without its first microseconds");
    get(1);
    cr_assert_eq(look().n, 0, "the wait was that operation's alone");
}

static bool do_other_things(struct bri_stand_in *self, const struct bri_sleep *sleep)
{
    bri_stand_in = NULL;
    get(1);
    bri_stand_in = self;
    while (bri_now() < sleep->until_ns)
        continue;
    return true;
}

/* Woken once for nothing, so that it has waited already when it waits. */
static bool do_other_things_twice(struct bri_stand_in *self, const struct bri_sleep *sleep)
{
    static unsigned n;

    if (n++ > 0)
        return do_other_things(self, sleep);
    bri_stand_in = NULL;
    get(1);
    bri_stand_in = self;
    return false;
}

static int wake_others(struct bri_stand_in *self, _Atomic uint32_t *word, int n, uint32_t bits)
{
    (void)self;
    (void)word;
    (void)bits;
    return n;
}

/* As in brokerd-zmq, where a thread carries out others while one waits. */
Test(observe, another_operation_meanwhile_does_not_hide_a_wait)
{
    struct bri_stand_in stand_in = {.sleep = do_other_things, .wake = wake_others, .thread = 1};
    struct bri_monitor_look got;
    broker_value v;
    int r;

    (void)lease();
    get(BUDGET + 5);
    (void)look();
    bri_stand_in = &stand_in;
    r = broker_queue_get(queue, 5 * BRI_MILLISECOND, &buffer, &v);
    bri_stand_in = NULL;
    cr_assert_eq(r, BROKER_TIMEDOUT);
    got = look();
    cr_assert_eq(got.n, 1);
    cr_assert_eq(got.n_missed, 6);
    cr_assert_eq(records[0].op, BRI_OP_QUEUE_GET);
    cr_assert_geq(records[0].duration_ns, 4 * BRI_MILLISECOND);
}

Test(observe, another_operation_meanwhile_does_not_take_the_wait_for_its_own)
{
    struct bri_stand_in stand_in = {
        .sleep = do_other_things_twice, .wake = wake_others, .thread = 1};
    broker_value v;
    int r;

    (void)lease();
    get(BUDGET + BRI_OBSERVE_COUNT);
    (void)look();
    bri_stand_in = &stand_in;
    r = broker_queue_get(queue, 5 * BRI_MILLISECOND, &buffer, &v);
    bri_stand_in = NULL;
    cr_assert_eq(r, BROKER_TIMEDOUT);
    cr_assert_eq(look().n, 1);
    cr_assert_eq(records[0].op, BRI_OP_QUEUE_GET);
}

/* When all that is to be timed or counted in a tick has been. */
Test(observe, whoever_waits_is_told_of_when_nothing_else_is_counted)
{
    broker_value v;

    (void)lease();
    get(BUDGET + BRI_OBSERVE_COUNT + 100);
    (void)look();
    cr_assert_eq(broker_queue_get(queue, 5 * BRI_MILLISECOND, &buffer, &v), BROKER_TIMEDOUT);
    cr_assert_eq(look().n, 1);
    cr_assert_eq(records[0].op, BRI_OP_QUEUE_GET);
    cr_assert_geq(records[0].duration_ns, 4 * BRI_MILLISECOND);
    get(1);
    cr_assert_eq(look().n, 0);
}

/* A wait in a function that is not observed, or while nobody monitors, is nobody's. */
Test(observe, a_wait_is_not_taken_for_the_next_operations)
{
    void *objects[] = {queue};
    broker_value v;
    size_t which;

    (void)lease();
    get(BUDGET + BRI_OBSERVE_COUNT + 1);
    (void)look();
    cr_assert_eq(broker_wait_any(objects, 1, BRI_MILLISECOND, &which), BROKER_TIMEDOUT);
    get(1);
    cr_assert_eq(look().n, 0);
    monitor_until(0);
    cr_assert_eq(broker_queue_get(queue, BRI_MILLISECOND, &buffer, &v), BROKER_TIMEDOUT);
    cr_assert_eq(bri_monitor_thread.since_ns, 0);
}

/* ---- the end of the lease ---- */

Test(observe, the_first_operation_after_its_end_clears_the_lease)
{
    broker_value v;

    monitor_until((uint64_t)bri_now());
    get(1);
    cr_assert_eq(atomic_load(&arena->shm->monitored_until_ns), 0);
    cr_assert_eq(look().n, 0);
    (void)lease();
    cr_assert_eq(broker_queue_get(queue, 0, &buffer, &v), BROKER_EMPTY);
    cr_assert_eq(look().n, 1, "another lease, as if there had been none");
}

/* It costs them nothing, and others look at the clock. */
Test(observe, who_has_nothing_to_do_leaves_the_lease_alone_until_he_waits)
{
    uint64_t past = (uint64_t)bri_now();
    broker_value v;

    (void)lease();
    get(BUDGET + BRI_OBSERVE_COUNT);
    monitor_until(past); /* as the thread would find it two seconds later */
    bri_monitor_thread.spent = past;
    get(10000);
    cr_assert_eq(atomic_load(&arena->shm->monitored_until_ns), past);
    cr_assert_eq(broker_queue_get(queue, BRI_MILLISECOND, &buffer, &v), BROKER_TIMEDOUT);
    cr_assert_eq(atomic_load(&arena->shm->monitored_until_ns), 0);
}

Test(observe, a_word_that_is_no_lease_stops_nobody_from_monitoring_later)
{
    const uint64_t wrong[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 62, 1};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        monitor_until(wrong[i]);
        get(BUDGET + 1);
        cr_assert_eq(look().n, 0);
        (void)lease();
        get(1);
        cr_assert_eq(look().n, 1, "%llu", (unsigned long long)wrong[i]);
    }
}

/* ---- threads, processes, arenas ---- */

static void *get_much(void *arg)
{
    broker_buffer own = BROKER_BUFFER_INIT;
    broker_value v;

    for (unsigned i = 0; i < BUDGET + BRI_OBSERVE_COUNT - 1; i++)
        cr_assert_eq(broker_dict_get(dict, broker_str("k"), &own, &v), 0);
    cr_assert_eq(broker_queue_get(queue, BRI_MILLISECOND, &own, &v), BROKER_TIMEDOUT);
    broker_buffer_free(&own);
    return arg;
}

Test(observe, each_thread_has_a_budget_and_all_write_to_one_ring)
{
    struct bri_monitor_look got;
    pthread_t threads[3];

    (void)lease();
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, get_much, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    got = look();
    cr_assert_eq(got.n, 3 * (BUDGET + 1));
    cr_assert_eq(got.n_missed, 3 * (BRI_OBSERVE_COUNT - 1));
    lab_audit(arena);
}

/* To and fro between two arenas that are monitored at a little different times. */
Test(observe, a_thread_in_two_arenas_has_one_budget)
{
    struct bri_arena *other = lab_arena(16 * MIB);
    broker *c = hand_broker(other);
    broker_dict *theirs;
    uint64_t until;

    cr_assert_eq(broker_dict_open(c, "d", NULL, &theirs), 0);
    until = lease();
    atomic_store(&other->shm->monitored_until_ns, until - (uint64_t)BRI_MONITOR_TICK_NS);
    for (unsigned i = 0; i < BUDGET; i++) {
        get(1);
        cr_assert_eq(broker_dict_clear(theirs), 0);
    }
    cr_assert_eq(look().n, BUDGET / 2);
    hand_free(c);
    bri_arena_unmap(other);
}

/* Short-lived programs are gone when somebody looks. */
Test(observe, what_a_session_did_outlives_it)
{
    broker *c = hand_broker(arena);
    uint32_t number = c->session_number;
    broker_lock *lock;

    (void)lease();
    cr_assert_eq(broker_lock_open(c, "till", NULL, &lock), 0);
    hand_free(c);
    cr_assert_eq(bri_session_reap(arena, number, false, BRI_PATIENCE), 0);
    cr_assert_eq(look().n, 1);
    cr_assert_eq(records[0].who.session, number);
    cr_assert_eq(records[0].op, BRI_OP_LOCK_OPEN);
}

Test(observe, a_lease_without_a_ring_harms_nobody)
{
    atomic_store(&arena->shm->monitored_until_ns, (uint64_t)(bri_now() + BRI_MONITOR_LEASE_NS));
    get(BUDGET + 2 * BRI_OBSERVE_COUNT);
    cr_assert_null(bri_monitor_ring(arena));
    lab_audit(arena);
}

Test(observe, who_may_only_read_writes_nothing)
{
    broker reader = *b;

    reader.read_only = true;
    bri_observe_begin(&reader);
    (void)lease();
    bri_observe(reader.monitored);
    cr_assert_eq(bri_monitor_thread.since_ns, 0);
}
