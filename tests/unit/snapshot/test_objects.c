/*
 * Every type is made again as it was, less what sessions had.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "objects/save.h"
#include "world.h"

static broker *b, *again;
static broker_buffer buffer;

static void open_worlds(void)
{
    b = world_open();
}

static void close_worlds(void)
{
    broker_buffer_free(&buffer);
    broker_close(again);
    broker_close(b);
}

TestSuite(snapshot_objects, .init = open_worlds, .fini = close_worlds, .timeout = 60);

#define OK(call) cr_assert_eq((call), 0, "%s: %s", #call, broker_last_error())

static bool is_packed(broker_value v, const char *bytes, size_t n)
{
    return v.type == BROKER_PACKED && v.size == n && memcmp(v.data, bytes, n) == 0;
}

/* An empty arena is saved as nothing, and made again of it. */
Test(snapshot_objects, nothing)
{
    struct dump d;

    world_dump(b, NULL, &d);
    cr_assert_eq(d.n, 0);
    again = world_again(b);
    dump_free(&d);
}

Test(snapshot_objects, dict)
{
    static const char pair[] = {(char)0x92, 1, 2};
    broker_value nan, v;
    uint64_t revision, before;
    broker_dict *d;

    OK(broker_dict_open(b, "stock", &(broker_dict_options){.quota_bytes = 1 << 20}, &d));
    OK(broker_dict_set(d, broker_str("z"), broker_int(-1)));
    OK(broker_dict_set(d, broker_double(2.0), broker_str("two")));
    OK(broker_dict_set(d, broker_bool(true), broker_nil()));
    OK(broker_dict_set(d, broker_nil(), broker_uint(UINT64_MAX)));
    OK(broker_dict_set(d, broker_packed(pair, 3), broker_packed(pair, 3)));
    OK(broker_dict_set(d, broker_str("nan"), broker_double(NAN)));
    OK(broker_dict_set(d, broker_str("a"), broker_int(0)));
    OK(broker_dict_delete(d, broker_str("a")));
    OK(broker_dict_read(d, broker_str("z"), &buffer, &v, &before));
    broker_dict_close(d);
    again = world_again(b);
    OK(broker_dict_open(again, "stock", &(broker_dict_options){.quota_bytes = 1 << 20}, &d));
    OK(broker_dict_read(d, broker_int(1), &buffer, &v, &revision));
    cr_assert_eq(revision, before);
    cr_assert_eq(v.type, BROKER_NIL);
    OK(broker_dict_get(d, broker_packed(pair, 3), &buffer, &v));
    cr_assert(is_packed(v, pair, 3));
    OK(broker_dict_get(d, broker_str("nan"), &buffer, &nan));
    cr_assert(isnan(nan.d));
    OK(broker_dict_keys(d, &buffer, &v));
    cr_assert(is_packed(v, "\x96\xa1z\xcb\x40\0\0\0\0\0\0\0\xc3\xc0\x92\x01\x02\xa3nan", 21));
    broker_dict_close(d);
}

/* More than is loaded at a time, and a value with pages of its own. */
Test(snapshot_objects, large_dict_and_list)
{
    char *text = malloc(3000000);
    broker_dict *d;
    broker_list *l;
    uint64_t n;

    cr_assert_not_null(text);
    memset(text, 'x', 3000000);
    OK(broker_dict_open(b, "d", NULL, &d));
    OK(broker_list_open(b, "l", NULL, &l));
    for (int64_t i = 0; i < 10001; i++) {
        OK(broker_dict_set(d, broker_int(i * 7919 % 10007), broker_int(i)));
        OK(broker_list_append(l, i % 3 == 0 ? broker_str("an element") : broker_int(i)));
    }
    OK(broker_dict_set(d, broker_str("large"), broker_bin(text, 3000000)));
    OK(broker_list_insert(l, 5000, broker_bin(text, 3000000)));
    broker_dict_close(d);
    broker_list_close(l);
    again = world_again(b);
    OK(broker_dict_open(again, "d", NULL, &d));
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, 10002);
    OK(broker_list_open(again, "l", NULL, &l));
    OK(broker_list_len(l, &n));
    cr_assert_eq(n, 10002);
    broker_dict_close(d);
    broker_list_close(l);
    free(text);
}

static void put(broker_queue *q, int64_t from, int64_t to)
{
    for (int64_t i = from; i <= to; i++)
        OK(broker_queue_put(q, broker_int(i), 0));
}

static void expect(broker_queue *q, int64_t item, uint64_t deliveries)
{
    uint64_t token, n;
    broker_value v;

    OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &token, &n));
    cr_assert_eq(v.i, item, "%lld", (long long)v.i);
    cr_assert_eq(n, deliveries + 1, "item %lld: %llu", (long long)item, (unsigned long long)n);
    OK(broker_queue_done(q, token));
}

/* What is leased comes back to its place, as one that was delivered. */
Test(snapshot_objects, queue_with_leases)
{
    uint64_t tokens[3], n;
    broker_queue *q;
    broker_value v;

    OK(broker_queue_open(b, "jobs", &(broker_queue_options){.joinable = true, .max_items = 6}, &q));
    put(q, 1, 6);
    for (int i = 0; i < 3; i++)
        OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &tokens[i], &n));
    OK(broker_queue_done(q, tokens[1]));
    OK(broker_queue_return(q, tokens[2], 0));
    put(q, 7, 8);
    again = world_again(b);
    broker_queue_close(q);
    OK(broker_queue_open(again, "jobs", NULL, &q));
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 7, "as many as there are when all sessions have ended, and more than fit");
    expect(q, 1, 1);
    expect(q, 3, 1);
    for (int64_t i = 4; i <= 8; i++)
        expect(q, i, 0);
    OK(broker_queue_join(q, 0));
    broker_queue_close(q);
}

/* One item each: @options' queue with items that wait, are delayed, dead and leased. */
static void check_states(const broker_queue_options *options, const int64_t order[3])
{
    uint64_t tokens[6], n;
    broker_queue *q;
    broker_value v;

    OK(broker_queue_open(b, "q", options, &q));
    put(q, 1, 6);
    for (int i = 0; i < 6; i++)
        OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &tokens[i], &n));
    /* By value: the tokens came in the queue's order. */
    for (int i = 0; i < 3; i++)
        OK(broker_queue_return(q, tokens[i], i == 1 ? 3600 * BROKER_SECOND : 0));
    OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &tokens[0], &n));
    OK(broker_queue_return(q, tokens[0], 0)); /* twice: dead */
    OK(broker_queue_shutdown(q));
    again = world_again(b);
    world_audit(again);
    broker_queue_close(q);
    OK(broker_queue_open(again, "q", options, &q));
    OK(broker_queue_take_dead(q, &buffer, &v));
    cr_assert_eq(broker_queue_take_dead(q, &buffer, &v), BROKER_EMPTY);
    OK(broker_queue_qsize(q, &n));
    cr_assert_eq(n, 4);
    for (int i = 0; i < 3; i++)
        expect(q, order[i], 1);
    cr_assert_eq(broker_queue_put(q, broker_nil(), 0), BROKER_CLOSED);
    broker_queue_close(q);
}

Test(snapshot_objects, queue_fifo)
{
    check_states(
        &(broker_queue_options){.max_deliveries = 2, .joinable = true}, (int64_t[]){3, 4, 5});
}

Test(snapshot_objects, queue_lifo)
{
    check_states(&(broker_queue_options){.max_deliveries = 2, .lifo = true}, (int64_t[]){4, 3, 2});
}

Test(snapshot_objects, queue_priority)
{
    check_states(
        &(broker_queue_options){.max_deliveries = 2, .priority = true}, (int64_t[]){3, 4, 5});
}

/* The dead in the order in which they died; and who would die with his session is dead. */
Test(snapshot_objects, queue_of_dead)
{
    static const int order[] = {2, 0, 1};
    uint64_t tokens[4], n;
    broker_queue *q;
    broker_value v;

    OK(broker_queue_open(b, "q", &(broker_queue_options){.max_deliveries = 1}, &q));
    put(q, 0, 3);
    for (int i = 0; i < 4; i++)
        OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &tokens[i], &n));
    for (int i = 0; i < 3; i++)
        OK(broker_queue_return(q, tokens[order[i]], 0));
    again = world_again(b);
    broker_queue_close(q);
    OK(broker_queue_open(again, "q", NULL, &q));
    for (int i = 0; i < 4; i++) {
        OK(broker_queue_take_dead(q, &buffer, &v));
        cr_assert_eq(v.i, i < 3 ? order[i] : 3);
    }
    broker_queue_close(q);
}

/* Items with pages of their own, one of them lent to a session that looks at it. */
Test(snapshot_objects, queue_of_large_items)
{
    char *text = calloc(1, 100000);
    uint64_t token, n;
    broker_queue *q;
    broker_value v;

    cr_assert_not_null(text);
    OK(broker_queue_open(b, "q", NULL, &q));
    for (char i = 'a'; i < 'e'; i++) {
        text[0] = i;
        OK(broker_queue_put(q, broker_bin(text, 100000), 0));
    }
    OK(broker_queue_lease_in_place(q, 0, BROKER_FOREVER, &buffer, &v, &token, &n));
    again = world_again(b);
    broker_queue_close(q);
    OK(broker_queue_open(again, "q", NULL, &q));
    for (char i = 'a'; i < 'e'; i++) {
        OK(broker_queue_get(q, 0, &buffer, &v));
        cr_assert(v.type == BROKER_BIN && v.size == 100000 && *(const char *)v.data == i);
    }
    broker_queue_close(q);
    free(text);
}

/* Unfinished are also those that were taken from a queue that does not lease them. */
Test(snapshot_objects, queue_unfinished)
{
    broker_queue *q;
    broker_value v;

    OK(broker_queue_open(b, "q", NULL, &q));
    put(q, 1, 3);
    OK(broker_queue_get(q, 0, &buffer, &v));
    OK(broker_queue_get(q, 0, &buffer, &v));
    again = world_again(b);
    broker_queue_close(q);
    OK(broker_queue_open(again, "q", NULL, &q));
    for (int i = 0; i < 3; i++) {
        cr_assert_neq(broker_queue_join(q, 0), 0);
        OK(broker_queue_task_done(q));
    }
    OK(broker_queue_join(q, 0));
    broker_queue_close(q);
}

Test(snapshot_objects, locks)
{
    broker_lock *held, *free_one, *kept;
    broker_rlock *rlock;
    uint64_t token;
    bool locked;

    OK(broker_lock_open(b, "held", NULL, &held));
    OK(broker_lock_open(b, "free", &(broker_lock_options){.handover = true}, &free_one));
    OK(broker_lock_open(b, "kept", &(broker_lock_options){.keep_on_death = true}, &kept));
    OK(broker_rlock_open(b, "rlock", &(broker_rlock_options){.detect_deadlock = true}, &rlock));
    OK(broker_lock_acquire(free_one, 0, &token));
    OK(broker_lock_release(free_one));
    OK(broker_lock_acquire(held, 0, &token));
    OK(broker_lock_acquire(kept, 0, &token));
    OK(broker_rlock_acquire(rlock, 0, &token));
    OK(broker_rlock_acquire(rlock, 0, &token));
    again = world_again(b);
    OK(broker_lock_open(again, "held", NULL, &held));
    cr_assert_eq(broker_lock_acquire(held, 0, &token), BROKER_OWNER_DIED);
    cr_assert_eq(token, 2, "a fencing token never comes twice");
    OK(broker_lock_open(again, "free", &(broker_lock_options){.handover = true}, &free_one));
    OK(broker_lock_acquire(free_one, 0, &token));
    cr_assert_eq(token, 2);
    OK(broker_lock_open(again, "kept", &(broker_lock_options){.keep_on_death = true}, &kept));
    OK(broker_lock_locked(kept, &locked));
    cr_assert(locked);
    OK(broker_lock_release(kept));
    OK(broker_rlock_open(again, "rlock", &(broker_rlock_options){.detect_deadlock = true}, &rlock));
    cr_assert_eq(broker_rlock_acquire(rlock, 0, &token), BROKER_OWNER_DIED);
    OK(broker_rlock_release(rlock));
    cr_assert_eq(broker_rlock_release(rlock), BROKER_NOTLOCKED);
}

Test(snapshot_objects, semaphores)
{
    broker_semaphore *bounded, *open_one, *kept, *empty;
    uint64_t n;

    OK(broker_semaphore_open(
        b, "bounded", &(broker_semaphore_options){.value = 4, .bounded = true}, &bounded));
    OK(broker_semaphore_open(b, "open", &(broker_semaphore_options){.value = 4}, &open_one));
    OK(broker_semaphore_open(b, "kept",
        &(broker_semaphore_options){.value = 4, .bounded = true, .keep_on_death = true}, &kept));
    OK(broker_semaphore_open(b, "empty", &(broker_semaphore_options){.empty = true}, &empty));
    OK(broker_semaphore_acquire(bounded, 0));
    OK(broker_semaphore_acquire(open_one, 0));
    OK(broker_semaphore_acquire(kept, 0));
    again = world_again(b);
    OK(broker_semaphore_open(
        again, "bounded", &(broker_semaphore_options){.value = 4, .bounded = true}, &bounded));
    cr_assert_eq(broker_semaphore_acquire(bounded, 0), BROKER_OWNER_DIED);
    for (int i = 0; i < 3; i++)
        OK(broker_semaphore_acquire(bounded, 0));
    cr_assert_eq(broker_semaphore_acquire(bounded, 0), BROKER_TIMEDOUT);
    OK(broker_semaphore_open(again, "open", NULL, &open_one));
    OK(broker_semaphore_value(open_one, &n));
    cr_assert_eq(n, 3);
    OK(broker_semaphore_open(again, "kept", NULL, &kept));
    OK(broker_semaphore_value(kept, &n));
    cr_assert_eq(n, 3);
    OK(broker_semaphore_release(kept, 1));
    OK(broker_semaphore_open(again, "empty", NULL, &empty));
    OK(broker_semaphore_value(empty, &n));
    cr_assert_eq(n, 0);
}

Test(snapshot_objects, event_and_barriers)
{
    broker_barrier_options three = {.parties = 3, .timeout_ns = BROKER_SECOND, .action = true};
    broker_barrier *whole, *broken;
    broker_event *set, *clear;
    bool yes;

    OK(broker_event_open(b, "set", NULL, &set));
    OK(broker_event_open(b, "clear", NULL, &clear));
    OK(broker_event_set(set));
    OK(broker_event_set(clear));
    OK(broker_event_clear(clear));
    OK(broker_barrier_open(b, "whole", &three, &whole));
    OK(broker_barrier_open(b, "broken", &three, &broken));
    OK(broker_barrier_abort(broken));
    again = world_again(b);
    OK(broker_event_open(again, "set", NULL, &set));
    OK(broker_event_is_set(set, &yes));
    cr_assert(yes);
    OK(broker_event_open(again, "clear", NULL, &clear));
    OK(broker_event_is_set(clear, &yes));
    cr_assert_not(yes);
    OK(broker_barrier_open(again, "whole", &three, &whole));
    OK(broker_barrier_broken(whole, &yes));
    cr_assert_not(yes);
    OK(broker_barrier_open(again, "broken", &three, &broken));
    OK(broker_barrier_broken(broken, &yes));
    cr_assert(yes);
}

/* A lock that is shared comes later in the order of names, and is there first all the same. */
Test(snapshot_objects, conditions)
{
    broker_condition *own, *shared;
    broker_rlock *lock;
    uint64_t token;

    OK(broker_rlock_open(b, "zlock", NULL, &lock));
    OK(broker_condition_open(b, "own", NULL, &own));
    OK(broker_condition_open(b, "shared", &(broker_condition_options){.lock = "zlock"}, &shared));
    OK(broker_condition_acquire(own, 0, &token));
    OK(broker_condition_acquire(shared, 0, &token));
    again = world_again(b);
    OK(broker_condition_open(again, "own", NULL, &own));
    cr_assert_eq(broker_condition_acquire(own, 0, &token), BROKER_OWNER_DIED);
    OK(broker_condition_notify_all(own));
    OK(broker_condition_open(
        again, "shared", &(broker_condition_options){.lock = "zlock"}, &shared));
    cr_assert_eq(broker_condition_acquire(shared, 0, &token), BROKER_OWNER_DIED);
    OK(broker_condition_release(shared));
}

Test(snapshot_objects, values_and_arrays)
{
    static const char codes[] = "bBuhHiIlLqQfd";
    char name[] = "value x";
    broker_number *number;
    broker_array *array;
    broker_value v;

    for (const char *c = codes; *c != '\0'; c++) {
        char code[] = {*c, '\0'};

        name[6] = *c;
        OK(broker_number_open(b, name,
            &(broker_number_options){.typecode = code, .initial = broker_int(7)}, &number));
        if (*c != 'b')
            OK(broker_number_set(
                number, strchr("fd", *c) != NULL ? broker_double(0.1) : broker_int(99)));
        memcpy(name, "array", 5);
        OK(broker_array_open(
            b, name, &(broker_array_options){.typecode = code, .length = 9}, &array));
        if (*c != 'B')
            OK(broker_array_set(array, 8, broker_int(42)));
        memcpy(name, "value", 5);
    }
    again = world_again(b);
    OK(broker_number_open(again, "value d", NULL, &number));
    OK(broker_number_get(number, &v));
    cr_assert_eq(v.d, 0.1);
    OK(broker_number_open(again, "value b",
        &(broker_number_options){.typecode = "b", .initial = broker_int(7)}, &number));
    OK(broker_number_get(number, &v));
    cr_assert_eq(v.i, 7);
    OK(broker_array_open(again, "array q", &(broker_array_options){.length = 9}, &array));
    OK(broker_array_get(array, 8, &v));
    cr_assert_eq(v.i, 42);
}

/* More elements than one change can have. */
Test(snapshot_objects, large_array)
{
    uint64_t length;
    broker_array *a;
    broker_value v;

    OK(broker_array_open(b, "a", &(broker_array_options){.typecode = "b", .length = 1200000}, &a));
    for (int64_t i = 0; i < 1200000; i += 99991)
        OK(broker_array_set(a, i, broker_int(i % 100)));
    again = world_again(b);
    OK(broker_array_open(again, "a", &(broker_array_options){.typecode = "b"}, &a));
    OK(broker_array_len(a, &length));
    cr_assert_eq(length, 1200000);
    OK(broker_array_get(a, 99991, &v));
    cr_assert_eq(v.i, 91);
}

Test(snapshot_objects, namespace_and_pipe)
{
    broker_pipe_options options = {.max_items = 5};
    broker_namespace *space;
    broker_pipe *talk;
    broker_value v;

    OK(broker_namespace_open(b, "settings", NULL, &space));
    OK(broker_namespace_set(space, "colour", broker_str("red")));
    OK(broker_namespace_set(space, "size", broker_int(3)));
    OK(broker_pipe_open(b, "talk", &options, &talk));
    for (int64_t i = 0; i < 3; i++)
        OK(broker_pipe_send(talk, 0, broker_int(i), 0));
    OK(broker_pipe_send(talk, 1, broker_str("back"), 0));
    again = world_again(b);
    OK(broker_namespace_open(again, "settings", NULL, &space));
    OK(broker_namespace_get(space, "size", &buffer, &v));
    cr_assert_eq(v.i, 3);
    OK(broker_pipe_open(again, "talk", &options, &talk));
    for (int64_t i = 0; i < 3; i++) {
        OK(broker_pipe_recv(talk, 1, 0, &buffer, &v));
        cr_assert_eq(v.i, i);
    }
    cr_assert_eq(broker_pipe_recv(talk, 1, 0, &buffer, &v), BROKER_EMPTY, "it is no end of file");
    OK(broker_pipe_recv(talk, 0, 0, &buffer, &v));
    cr_assert_eq(v.size, 4);
}

/* Records are input: whatever is changed in one, it is refused or made, and the arena is sound. */
Test(snapshot_objects, damaged_records_do_no_harm, .timeout = 120)
{
    unsigned n_refused = 0, n_made = 0;
    struct dump d;
    broker_queue *q;
    broker_dict *dict;
    broker_value v;
    uint64_t token, n;

    OK(broker_queue_open(b, "q", &(broker_queue_options){.max_deliveries = 1}, &q));
    put(q, 1, 3);
    OK(broker_queue_lease(q, 0, BROKER_FOREVER, &buffer, &v, &token, &n));
    OK(broker_queue_return(q, token, 0));
    OK(broker_dict_open(b, NULL, NULL, &dict));
    OK(broker_queue_put(q, broker_ref(dict), 0));
    OK(broker_dict_set(dict, broker_str("q"), broker_ref(q)));
    world_dump(b, NULL, &d);
    again = world_open();
    for (size_t at = sizeof(uint32_t); at < d.bytes.size; at++) {
        uint8_t *byte = (uint8_t *)d.bytes.data + at, good = *byte;

        for (unsigned bit = 0; bit < 8; bit++) {
            struct bri_loading loading = {.unfinished = ".new"};
            uint32_t size;

            memcpy(&size, d.bytes.data, sizeof(size));
            if (at >= sizeof(size) + size && at < 2 * sizeof(size) + size)
                continue; /* the test's own */
            *byte = good ^ (uint8_t)(1u << bit);
            if (world_load(again, &d, &loading) < 0)
                n_refused++;
            else
                n_made++;
            (void)broker_destroy(again, "q");
            *byte = good;
        }
    }
    world_audit(again);
    cr_assert_gt(n_refused, 200);
    cr_assert_gt(n_made, 50);
    dump_free(&d);
}
