/*
 * test_arguments.c - each wrong argument of each function: its code, no output, nothing changed
 */
#include "hand.h"

#include <stdio.h>

#include <criterion/criterion.h>

#include "core/arena.h"
#include "unit/core/lab.h"

static struct bri_arena *arena;
static broker *b;
static broker_dict *d;
static broker_queue *q;
static broker_lock *l;
static broker_buffer buffer = BROKER_BUFFER_INIT;

static void start(void)
{
    const broker_queue_options joinable = {.joinable = true};

    arena = lab_arena(4 * MIB);
    b = hand_broker(arena);
    cr_assert_eq(broker_dict_open(b, "dict", NULL, &d), 0);
    cr_assert_eq(broker_queue_open(b, "queue", &joinable, &q), 0);
    cr_assert_eq(broker_lock_open(b, "lock", NULL, &l), 0);
    cr_assert_eq(broker_dict_set(d, broker_str("a"), broker_int(1)), 0);
    cr_assert_eq(broker_queue_put(q, broker_int(1), 0), 0);
}

/* Whatever was refused has left everything as it was. */
static void stop(void)
{
    bool locked = true;
    broker_value v;
    uint64_t n;

    cr_assert_eq(broker_dict_len(d, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(broker_dict_get(d, broker_str("a"), &buffer, &v), 0);
    cr_assert(v.type == BROKER_INT && v.i == 1);
    cr_assert_eq(broker_queue_qsize(q, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(broker_lock_locked(l, &locked), 0);
    cr_assert_not(locked);
    broker_dict_close(d);
    broker_queue_close(q);
    broker_lock_close(l);
    lab_audit(arena);
    broker_buffer_free(&buffer);
    hand_free(b);
    bri_arena_unmap(arena);
}

TestSuite(arguments, .init = start, .fini = stop, .timeout = 20);

#define INVALID(call)                                                                              \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_ != BROKER_INVALID)                                                                  \
            cr_assert_fail("%s gave %s", #call, broker_error_name(r_));                            \
    } while (0)

/* Outputs, and what they must still be afterwards. */
static struct {
    broker_value value, other;
    uint64_t number;
    int64_t total;
    bool flag;
} out;

static void reset(void)
{
    out.value = out.other = broker_int(77);
    out.number = 77;
    out.total = 77;
    out.flag = true;
}

static void untouched(void)
{
    cr_assert(
        out.value.i == 77 && out.other.i == 77 && out.number == 77 && out.total == 77 && out.flag);
}

#define K broker_str("a")
#define V broker_int(2)

/* NULL, and what is a handle of another type, in the place of @h. */
static void dict_handle(broker_dict *h)
{
    static const uint8_t map[] = {0x81, 0xa1, 'a', 0x02};
    broker_value packed = broker_packed(map, sizeof(map));

    INVALID(broker_dict_get(h, K, &buffer, &out.value));
    INVALID(broker_dict_read(h, K, &buffer, &out.value, &out.number));
    INVALID(broker_dict_get_many(h, packed, &buffer, &out.value));
    INVALID(broker_dict_set(h, K, V));
    INVALID(broker_dict_set_if(h, K, V, 0));
    INVALID(broker_dict_delete(h, K));
    INVALID(broker_dict_contains(h, K, &out.flag));
    INVALID(broker_dict_len(h, &out.number));
    INVALID(broker_dict_pop(h, K, &buffer, &out.value));
    INVALID(broker_dict_popitem(h, &buffer, &out.value, &out.other));
    INVALID(broker_dict_setdefault(h, K, V, &buffer, &out.value, &out.flag));
    INVALID(broker_dict_update(h, packed));
    INVALID(broker_dict_clear(h));
    INVALID(broker_dict_keys(h, &buffer, &out.value));
    INVALID(broker_dict_values(h, &buffer, &out.value));
    INVALID(broker_dict_items(h, &buffer, &out.value));
    INVALID(broker_dict_copy(h, &buffer, &out.value));
    INVALID(broker_dict_scan(h, 0, 1, &buffer, &out.value, &out.number));
    INVALID(broker_dict_add(h, K, 1, &out.total));
    INVALID(broker_dict_add_many(h, packed, broker_nil()));
    INVALID(broker_dict_compare_and_set(h, K, broker_int(1), V));
    INVALID(broker_dict_get_and_set(h, K, V, &buffer, &out.value, &out.flag));
}

static void queue_handle(broker_queue *h)
{
    static const uint8_t array[] = {0x91, 0x02};

    INVALID(broker_queue_put(h, V, 0));
    INVALID(broker_queue_get(h, 0, &buffer, &out.value));
    INVALID(broker_queue_put_many(h, broker_packed(array, sizeof(array)), 0));
    INVALID(broker_queue_get_many(h, 1, 0, &buffer, &out.value));
    INVALID(broker_queue_qsize(h, &out.number));
    INVALID(broker_queue_empty(h, &out.flag));
    INVALID(broker_queue_full(h, &out.flag));
    INVALID(broker_queue_task_done(h));
    INVALID(broker_queue_join(h, 0));
    INVALID(broker_queue_shutdown(h));
}

static void lock_handle(broker_lock *h)
{
    INVALID(broker_lock_acquire(h, 0, &out.number));
    INVALID(broker_lock_release(h));
    INVALID(broker_lock_locked(h, &out.flag));
    INVALID(broker_lock_owner(h, &buffer, &out.value));
}

Test(arguments, handles_that_are_null_or_of_another_type)
{
    reset();
    dict_handle(NULL);
    dict_handle((broker_dict *)q);
    dict_handle((broker_dict *)l);
    queue_handle(NULL);
    queue_handle((broker_queue *)d);
    queue_handle((broker_queue *)l);
    lock_handle(NULL);
    lock_handle((broker_lock *)d);
    lock_handle((broker_lock *)q);
    untouched();
}

Test(arguments, brokers_that_are_none)
{
    broker_dict *dict = NULL;
    broker_queue *queue = NULL;
    broker_lock *lock = NULL;
    broker *none[] = {NULL, (broker *)d};

    reset();
    for (int i = 0; i < 2; i++) {
        INVALID(broker_dict_open(none[i], "x", NULL, &dict));
        INVALID(broker_queue_open(none[i], "x", NULL, &queue));
        INVALID(broker_lock_open(none[i], "x", NULL, &lock));
        INVALID(broker_objects(none[i], NULL, NULL, &buffer, &out.value));
        INVALID(broker_stat(none[i], "dict", &buffer, &out.value));
        INVALID(broker_destroy(none[i], "dict"));
        INVALID(broker_clients(none[i], &buffer, &out.value));
        INVALID(broker_locks(none[i], &buffer, &out.value));
    }
    cr_assert(dict == NULL && queue == NULL && lock == NULL);
    untouched();
}

Test(arguments, dict_outputs_that_are_null)
{
    reset();
    INVALID(broker_dict_get(d, K, NULL, &out.value));
    INVALID(broker_dict_get(d, K, &buffer, NULL));
    INVALID(broker_dict_read(d, K, NULL, &out.value, &out.number));
    INVALID(broker_dict_read(d, K, &buffer, NULL, &out.number));
    INVALID(broker_dict_read(d, K, &buffer, &out.value, NULL));
    INVALID(broker_dict_contains(d, K, NULL));
    INVALID(broker_dict_len(d, NULL));
    INVALID(broker_dict_pop(d, K, NULL, &out.value));
    INVALID(broker_dict_pop(d, K, &buffer, NULL));
    INVALID(broker_dict_popitem(d, NULL, &out.value, &out.other));
    INVALID(broker_dict_popitem(d, &buffer, NULL, &out.other));
    INVALID(broker_dict_popitem(d, &buffer, &out.value, NULL));
    INVALID(broker_dict_setdefault(d, K, V, NULL, &out.value, &out.flag));
    INVALID(broker_dict_setdefault(d, K, V, &buffer, NULL, &out.flag));
    INVALID(broker_dict_keys(d, NULL, &out.value));
    INVALID(broker_dict_keys(d, &buffer, NULL));
    INVALID(broker_dict_values(d, NULL, &out.value));
    INVALID(broker_dict_values(d, &buffer, NULL));
    INVALID(broker_dict_items(d, NULL, &out.value));
    INVALID(broker_dict_items(d, &buffer, NULL));
    INVALID(broker_dict_copy(d, NULL, &out.value));
    INVALID(broker_dict_copy(d, &buffer, NULL));
    INVALID(broker_dict_scan(d, 0, 1, NULL, &out.value, &out.number));
    INVALID(broker_dict_scan(d, 0, 1, &buffer, NULL, &out.number));
    INVALID(broker_dict_scan(d, 0, 1, &buffer, &out.value, NULL));
    INVALID(broker_dict_scan(d, 0, 0, &buffer, &out.value, &out.number));
    INVALID(broker_dict_scan(d, UINT64_C(1) << 32, 1, &buffer, &out.value, &out.number));
    INVALID(broker_dict_add(d, K, 1, NULL));
    INVALID(broker_dict_get_and_set(d, K, V, NULL, &out.value, &out.flag));
    INVALID(broker_dict_get_and_set(d, K, V, &buffer, NULL, &out.flag));
    untouched();
}

Test(arguments, queue_and_lock_outputs_that_are_null_and_times_that_are_none)
{
    static const uint8_t array[] = {0x91, 0x02};
    static const int64_t never[] = {-1, -BROKER_SECOND, INT64_MIN};

    reset();
    INVALID(broker_queue_get(q, 0, NULL, &out.value));
    INVALID(broker_queue_get(q, 0, &buffer, NULL));
    INVALID(broker_queue_get_many(q, 1, 0, NULL, &out.value));
    INVALID(broker_queue_get_many(q, 1, 0, &buffer, NULL));
    INVALID(broker_queue_get_many(q, 0, 0, &buffer, &out.value));
    INVALID(broker_queue_qsize(q, NULL));
    INVALID(broker_queue_empty(q, NULL));
    INVALID(broker_queue_full(q, NULL));
    INVALID(broker_lock_locked(l, NULL));
    INVALID(broker_lock_owner(l, NULL, &out.value));
    INVALID(broker_lock_owner(l, &buffer, NULL));
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        INVALID(broker_queue_put(q, V, never[i]));
        INVALID(broker_queue_get(q, never[i], &buffer, &out.value));
        INVALID(broker_queue_put_many(q, broker_packed(array, sizeof(array)), never[i]));
        INVALID(broker_queue_get_many(q, 1, never[i], &buffer, &out.value));
        INVALID(broker_queue_join(q, never[i]));
        INVALID(broker_lock_acquire(l, never[i], &out.number));
    }
    untouched();
}

Test(arguments, names_options_and_outputs_of_the_broker_that_are_null)
{
    const broker_dict_options bad_mode = {.mode = (broker_mode)3}, existing = {.mode = BROKER_OPEN};

    reset();
    INVALID(broker_dict_open(b, NULL, &existing, &d));
    INVALID(broker_dict_open_ref(b, broker_str("dict"), &d));
    INVALID(broker_dict_open_ref(b, broker_ref(NULL), &d));
    INVALID(broker_dict_open_ref(b, broker_ref(d), NULL));
    INVALID(broker_dict_open(b, "x", NULL, NULL));
    INVALID(broker_queue_open(b, "x", NULL, NULL));
    INVALID(broker_lock_open(b, "x", NULL, NULL));
    INVALID(broker_dict_open(b, "x", &bad_mode, &d));
    INVALID(broker_objects(b, NULL, NULL, NULL, &out.value));
    INVALID(broker_objects(b, NULL, NULL, &buffer, NULL));
    INVALID(broker_stat(b, NULL, &buffer, &out.value));
    INVALID(broker_stat(b, "dict", NULL, &out.value));
    INVALID(broker_stat(b, "dict", &buffer, NULL));
    INVALID(broker_destroy(b, NULL));
    INVALID(broker_clients(b, NULL, &out.value));
    INVALID(broker_clients(b, &buffer, NULL));
    INVALID(broker_locks(b, NULL, &out.value));
    INVALID(broker_locks(b, &buffer, NULL));
    INVALID(broker_open("private:", NULL));
    untouched();
}

/* Each value that is none, in each place where a value or a key goes. */
Test(arguments, values_that_are_none)
{
    static const uint8_t cut[] = {0x92, 0x01}, two[] = {0x01, 0x02}, never[] = {0xc1};
    const broker_value bad[] = {broker_packed(cut, sizeof(cut)), broker_packed(two, sizeof(two)),
        broker_packed(never, sizeof(never)), broker_packed("", 0), broker_packed(NULL, 5),
        broker_strn(NULL, 3), broker_bin(NULL, 3), {.type = 8}, {.type = UINT32_MAX}};

    reset();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        INVALID(broker_dict_set(d, K, bad[i]));
        INVALID(broker_dict_set(d, bad[i], V));
        INVALID(broker_dict_set_if(d, K, bad[i], 0));
        INVALID(broker_dict_get(d, bad[i], &buffer, &out.value));
        INVALID(broker_dict_contains(d, bad[i], &out.flag));
        INVALID(broker_dict_delete(d, bad[i]));
        INVALID(broker_dict_pop(d, bad[i], &buffer, &out.value));
        INVALID(broker_dict_add(d, bad[i], 1, &out.total));
        INVALID(broker_dict_setdefault(d, broker_str("b"), bad[i], &buffer, &out.value, &out.flag));
        INVALID(broker_dict_setdefault(d, bad[i], V, &buffer, &out.value, &out.flag));
        INVALID(broker_dict_get_and_set(d, K, bad[i], &buffer, &out.value, &out.flag));
        INVALID(broker_dict_compare_and_set(d, K, bad[i], V));
        INVALID(broker_dict_compare_and_set(d, K, broker_int(1), bad[i]));
        INVALID(broker_dict_update(d, bad[i]));
        INVALID(broker_dict_get_many(d, bad[i], &buffer, &out.value));
        INVALID(broker_dict_add_many(d, bad[i], broker_nil()));
        INVALID(broker_queue_put(q, bad[i], 0));
        INVALID(broker_queue_put_many(q, bad[i], 0));
    }
    untouched();
}
