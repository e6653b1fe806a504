/*
 * test_array_shared.c - one array in the hands of several threads and processes
 */
#include "conformance/kit.h"

#include <sched.h>

#define INT(number) broker_int(number)

TestSuite(array_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define N_OTHERS 4
#define TIMES kit_often(3000)
#define N 5

static broker_array *shorts(void)
{
    return kit_array("a", &(broker_array_options){.typecode = "H", .length = N});
}

static int64_t at(broker_array *a, int64_t i)
{
    broker_value v;

    OK(broker_array_get(a, i, &v));
    return v.i;
}

static int count_in_thread(struct call *c)
{
    int r = 0;

    for (int i = 0; i < TIMES && r == 0; i++)
        r = broker_array_add(c->object, i % N, INT(1), NULL);
    return r;
}

static void count_in_process(struct line *parent, void *arg)
{
    struct call c = {.object = arg};

    (void)kit_hear(parent);
    REQUIRE(count_in_thread(&c) == 0);
}

/* Elements in one word, counted by several at once. */
Test(array_shared, no_increment_of_threads_and_processes_is_lost)
{
    broker_array *a = shorts();
    struct call threads[N_OTHERS];
    struct line processes[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        processes[i] = kit_fork(count_in_process, a);
    for (int i = 0; i < N_OTHERS; i++)
        kit_call(&threads[i], count_in_thread, a, 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&processes[i], 0);
    for (int i = 0; i < N_OTHERS; i++) {
        OK(kit_return(&threads[i]));
        kit_end(&processes[i]);
    }
    for (int i = 0; i < N; i++)
        cr_assert_eq(at(a, i), 2 * N_OTHERS * TIMES / N);
}

static void write_until_told(struct line *parent, void *arg)
{
    static const char *const all[] = {"[1, 1, 1, 1, 1]", "[2, 2, 2, 2, 2]", "[3, 3, 3, 3, 3]"};
    broker_value values[3];

    for (int i = 0; i < 3; i++)
        values[i] = value_of(all[i]);
    kit_tell(parent, 0);
    for (int i = 0;; i++)
        REQUIRE(broker_array_write(arg, values[i % 3]) == 0);
}

/* A reader sees all elements of one write, also of one whose writer was killed. */
Test(array_shared, a_write_is_seen_whole)
{
    broker_array *a = shorts();
    broker_value v;

    for (int round = 0; round < 10; round++) {
        struct line other = kit_fork(write_until_told, a);

        (void)kit_hear(&other);
        for (int64_t i = 0, n = kit_often(2000); i < n; i++) {
            const uint8_t *p;

            OK(broker_array_read(a, &kit_buffer, &v));
            p = v.data;
            for (int k = 2; k <= N; k++)
                cr_assert_eq(p[k], p[1], "a torn read: %s", text_of(v));
        }
        kit_kill(&other);
        OK(broker_array_read(a, &kit_buffer, &v));
        for (int k = 2; k <= N; k++)
            cr_assert_eq(((const uint8_t *)v.data)[k], ((const uint8_t *)v.data)[1]);
        OK(broker_array_add(a, 0, INT(0), NULL));
    }
    cr_assert_eq(kit_stat(kit_name("a"), "quarantined"), 0);
}

static void add_until_killed(struct line *parent, void *arg)
{
    kit_tell(parent, 0);
    for (;;)
        REQUIRE(broker_array_exchange(
                    arg, 1, INT(at(arg, 1) == 40000 ? 300 : 40000), &(broker_value){0}) == 0);
}

/* Killed anywhere, an element is one or the other, and its neighbours are what they were. */
Test(array_shared, a_killed_changer_leaves_whole_elements)
{
    broker_array *a = shorts();

    OK(broker_array_write(a, value_of("[7, 300, 8, 9, 10]")));
    for (int i = 0; i < 10; i++) {
        struct line other = kit_fork(add_until_killed, a);

        (void)kit_hear(&other);
        while (at(a, 1) == 300)
            (void)sched_yield();
        kit_kill(&other);
        cr_assert(at(a, 1) == 300 || at(a, 1) == 40000);
        OK(broker_array_set(a, 1, INT(300)));
        cr_assert(at(a, 0) == 7 && at(a, 2) == 8 && at(a, 3) == 9 && at(a, 4) == 10);
    }
}
