/*
 * test_array_data.c - the pointer to an array's elements, and what it outlives
 */
#include "conformance/kit.h"

#include <stdio.h>

#define INT(number) broker_int(number)
#define N 2000
#define N_OTHERS 16

TestSuite(array_data, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

static broker_array *doubles(void)
{
    return kit_array("a", &(broker_array_options){.typecode = "d", .length = N});
}

static double *data_of(broker_array *a)
{
    uint64_t n = 0;
    void *data;

    OK(broker_array_data(a, &data, &n));
    cr_assert_eq(n, N);
    cr_assert_eq((uintptr_t)data % 4096, 0);
    return data;
}

/* Uses up memory as somebody who knows nothing of the array: destroyed arrays' too, if it were
 * free. */
static void scribble(void)
{
    for (int i = 0; i < N_OTHERS; i++) {
        char name[8] = {'o', (char)('a' + i)};
        broker_array *other =
            kit_array(name, &(broker_array_options){.typecode = "Q", .length = N});

        for (int64_t k = 0; k < N; k += 100)
            OK(broker_array_set(other, k, broker_uint(UINT64_MAX)));
    }
}

Test(array_data, the_pointer_and_the_operations_see_the_same)
{
    broker_array *a = doubles();
    double *data = data_of(a);
    broker_value v;

    cr_assert_eq(data[0], 0.0);
    cr_assert_eq(data[N - 1], 0.0);
    data[7] = 2.5;
    OK(broker_array_get(a, 7, &v));
    cr_assert_eq(v.d, 2.5);
    OK(broker_array_set(a, 8, INT(9)));
    cr_assert_eq(data[8], 9.0);
    OK(broker_array_set_slice(a, 0, 3, 1, value_of("[1, 2, 3]")));
    cr_assert_eq(data[2], 3.0);
    cr_assert_eq(data_of(a), data);
    cr_assert_eq(kit_stat(kit_name("a"), "pins"), 1);
}

Test(array_data, arguments_are_checked)
{
    broker_array *a = doubles();
    void *data;
    uint64_t n;

    GIVES(broker_array_data(NULL, &data, &n), BROKER_INVALID);
    GIVES(broker_array_data(a, NULL, &n), BROKER_INVALID);
    GIVES(broker_array_data(a, &data, NULL), BROKER_INVALID);
    GIVES(broker_array_data((broker_array *)kit_lock("l", NULL), &data, &n), BROKER_INVALID);
    cr_assert_eq(kit_stat(kit_name("a"), "pins"), 0);
}

/* The elements stay where they are, and nobody else's come there. */
Test(array_data, the_pointer_outlives_the_array)
{
    broker_array *a = doubles(), *again;
    double *data = data_of(a);
    broker_value v;

    for (int i = 0; i < N; i++)
        data[i] = i;
    OK(broker_destroy(kit_broker, kit_name("a")));
    GIVES(broker_array_get(a, 0, &v), BROKER_GONE);
    scribble();
    for (int i = 0; i < N; i++)
        cr_assert_eq(data[i], i);
    data[5] = 0.5;
    again = doubles();
    OK(broker_array_get(again, 5, &v));
    cr_assert_eq(v.d, 0.0);
    broker_array_close(a);
}

static void hold(struct line *parent, void *arg)
{
    broker_array *a = arg;
    void *data;
    uint64_t n;

    REQUIRE(broker_array_data(a, &data, &n) == 0);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
    for (int i = 0; i < N; i++)
        REQUIRE(((double *)data)[i] == i);
    kit_tell(parent, 0);
    (void)kit_hear(parent);
}

/* Each session has a pin of its own; the last one counts. */
Test(array_data, a_pin_of_another_process_counts_as_well)
{
    broker_array *a = doubles();
    struct line other = kit_fork(hold, a);
    double *data = data_of(a);

    (void)kit_hear(&other);
    cr_assert_eq(kit_stat(kit_name("a"), "pins"), 2);
    for (int i = 0; i < N; i++)
        data[i] = i;
    OK(broker_destroy(kit_broker, kit_name("a")));
    broker_array_close(a);
    scribble();
    kit_tell(&other, 0);
    (void)kit_hear(&other);
    kit_tell(&other, 0);
    kit_end(&other);
}

/* P2: what a dead session had pinned is given back, as soon as its death is known. */
Test(array_data, a_dead_sessions_pin_is_gone)
{
    broker_array *a = doubles();
    struct line other = kit_fork(hold, a);

    (void)kit_hear(&other);
    cr_assert_eq(kit_stat(kit_name("a"), "pins"), 1);
    kit_kill(&other);
    kit_await(kit_name("a"), "pins", 0);
}

/* Round after round, more than the arena has: each array's memory must have come back. */
Test(array_data, memory_comes_back_with_the_last_pin)
{
    enum { LARGE = 2 << 20, ROUNDS = 100 };

    for (int i = 0; i < ROUNDS; i++) {
        broker_array *a =
            kit_array("large", &(broker_array_options){.typecode = "d", .length = LARGE});
        void *data;
        uint64_t n;

        OK(broker_array_data(a, &data, &n));
        ((double *)data)[LARGE - 1] = i;
        OK(broker_destroy(kit_broker, kit_name("large")));
        cr_assert_eq(((double *)data)[LARGE - 1], i);
        broker_array_close(a);
    }
}

/* More pinned ones than are looked at at once must not keep the others from being given back. */
Test(array_data, many_pinned_arrays_are_in_nobodys_way)
{
    enum { MANY = 60 };
    broker_array *pinned[MANY];
    broker_value v;

    for (int i = 0; i < MANY; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "p%d", i);
        pinned[i] = NULL;
        OK(broker_array_open(
            kit_broker, name, &(broker_array_options){.typecode = "d", .length = N}, &pinned[i]));
        *data_of(pinned[i]) = i;
        OK(broker_destroy(kit_broker, name));
    }
    for (int i = 0; i < 300; i++) {
        broker_array *a =
            kit_array("large", &(broker_array_options){.typecode = "d", .length = 1 << 20});

        OK(broker_array_set(a, 0, INT(1)));
        OK(broker_destroy(kit_broker, kit_name("large")));
        broker_array_close(a);
    }
    for (int i = 0; i < MANY; i++) {
        GIVES(broker_array_get(pinned[i], 0, &v), BROKER_GONE);
        broker_array_close(pinned[i]);
    }
}
