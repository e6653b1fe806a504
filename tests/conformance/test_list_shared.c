/*
 * test_list_shared.c - the list between threads and processes
 *
 * The names in brackets are the rows of CPython's ListProxy whose rule a case shows.
 */
#include "conformance/kit.h"

#include <stdio.h>

TestSuite(list_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define N_OTHERS 4
#define TIMES kit_often(500)
#define FIRST BROKER_OMITTED
#define END BROKER_OMITTED

static uint64_t length_of(broker_list *l)
{
    uint64_t n;

    OK(broker_list_len(l, &n));
    return n;
}

static int64_t number_at(broker_list *l, int64_t index)
{
    broker_value v;

    OK(broker_list_get(l, index, &kit_buffer, &v));
    cr_assert_eq(v.type, BROKER_INT);
    return v.i;
}

static void start(struct line *others, void (*run)(struct line *parent, void *arg), void *arg)
{
    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(run, arg);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], (uint64_t)i);
}

static void add_often(struct line *parent, void *arg)
{
    int64_t total;

    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++)
        REQUIRE(broker_list_add(arg, 0, 1, &total) == 0);
}

/* [+= on an element] no update is lost. */
Test(list_shared, no_addition_of_four_processes_is_lost)
{
    broker_list *l = kit_list("l", NULL);
    struct line others[N_OTHERS];

    OK(broker_list_append(l, INT(0)));
    start(others, add_often, l);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    cr_assert_eq(number_at(l, 0), N_OTHERS * TIMES);
    cr_assert_eq(length_of(l), 1);
}

static void append_often(struct line *parent, void *arg)
{
    int64_t mine = (int64_t)kit_hear(parent) * TIMES;

    for (int64_t i = 0; i < TIMES; i++)
        REQUIRE(broker_list_append(arg, INT(mine + i)) == 0);
}

/* [append extend insert] of several at a time: all elements are there, those of each in order. */
Test(list_shared, what_four_processes_append_is_there)
{
    broker_list *l = kit_list("l", NULL);
    int64_t seen[N_OTHERS] = {0};
    struct line others[N_OTHERS];

    start(others, append_often, l);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    cr_assert_eq(length_of(l), (uint64_t)(N_OTHERS * TIMES));
    for (int64_t i = 0; i < N_OTHERS * TIMES; i++) {
        int64_t number = number_at(l, i);

        cr_assert_eq(number % TIMES, seen[number / TIMES]++);
    }
}

/* Takes from the end what it can, until nothing is left; says how many it was, and their sum. */
static void pop_all(struct line *parent, void *arg)
{
    uint64_t n = 0, sum = 0;
    broker_value v;

    (void)kit_hear(parent);
    while (broker_list_pop(arg, -1, &kit_buffer, &v) == 0) {
        n++;
        sum += (uint64_t)v.i;
    }
    kit_tell(parent, n);
    kit_tell(parent, sum);
}

/* [pop] each element to one of those who pop. */
Test(list_shared, pop_gives_each_element_to_one_process)
{
    broker_list *l = kit_list("l", NULL);
    struct line others[N_OTHERS];
    uint64_t n = 0, sum = 0;

    for (int64_t i = 0; i < 2000; i++)
        OK(broker_list_append(l, INT(i)));
    start(others, pop_all, l);
    for (int i = 0; i < N_OTHERS; i++) {
        n += kit_hear(&others[i]);
        sum += kit_hear(&others[i]);
        kit_end(&others[i]);
    }
    cr_assert_eq(n, 2000);
    cr_assert_eq(sum, 1999000);
}

#define TEN "['a', 'bb', 'a text in a block', 4, 5, 6, 7, 8, 9, 10]"

/* Adds and removes ten elements at a time, at either end, until it is killed. */
static void change_by_tens(struct line *parent, void *arg)
{
    for (uint64_t i = 0;; i++) {
        REQUIRE(broker_list_extend(arg, value_of(TEN)) == 0);
        REQUIRE(broker_list_set_slice(arg, value_of(TEN), 0, 0, 1) == 0);
        REQUIRE(broker_list_delete_slice(arg, -10, END, 1) == 0);
        REQUIRE(broker_list_repeat(arg, 2) == 0);
        REQUIRE(broker_list_delete_slice(arg, FIRST, END, 2) == 0);
        REQUIRE(broker_list_set_slice(arg, value_of(TEN), FIRST, END, 1) == 0);
        if (i == 0)
            kit_tell(parent, 0);
        words_free();
    }
}

/* [atomic] nobody sees half of a change of many, whatever becomes of who makes it. */
Test(list_shared, bulk_changes_are_seen_wholly_or_not_at_all)
{
    broker_list *l = kit_list("l", NULL);
    broker_value all;

    for (int round = 0; round < 20; round++) {
        struct line other = kit_fork(change_by_tens, l);

        (void)kit_hear(&other);
        for (int64_t i = 0, n = kit_often(100); i < n; i++) {
            cr_assert_eq(length_of(l) % 10, 0);
            OK(broker_list_copy(l, &kit_buffer, &all));
            cr_assert_eq(kit_count(all) % 10, 0);
        }
        kit_kill(&other);
        cr_assert_eq(length_of(l) % 10, 0);
        OK(broker_list_clear(l));
    }
}

#define N_SORTED 300

/* Turns the list about until it is killed. */
static void rearrange(struct line *parent, void *arg)
{
    for (uint64_t i = 0;; i++) {
        REQUIRE(broker_list_sort(arg, i % 2 != 0, broker_nil()) == 0);
        REQUIRE(broker_list_reverse(arg) == 0);
        if (i == 0)
            kit_tell(parent, 0);
    }
}

/* The numbers from 0 on, rising or falling, as an array. */
static const char *numbers_text(int n, bool falling)
{
    char *text = words_keep((size_t)n * 8 + 3);
    size_t used = (size_t)sprintf(text, "[");

    for (int i = 0; i < n; i++)
        used += (size_t)sprintf(text + used, "%s%d", i > 0 ? ", " : "", falling ? n - 1 - i : i);
    (void)strcpy(text + used, "]");
    return text;
}

/* [sort, reverse] in one step: a reader finds one order or the other. */
Test(list_shared, a_list_that_is_sorted_is_always_in_some_order)
{
    const char *rising = numbers_text(N_SORTED, false), *falling = numbers_text(N_SORTED, true);
    broker_list *l = kit_list("l", NULL);
    struct line other;

    for (int64_t i = 0; i < N_SORTED; i++)
        OK(broker_list_append(l, INT(i * INT64_C(1000000007) % N_SORTED)));
    other = kit_fork(rearrange, l);
    (void)kit_hear(&other);
    for (int i = 0; i < 200; i++) {
        const char *text = kit_list_text(l);

        if (strcmp(text, rising) != 0 && strcmp(text, falling) != 0)
            cr_assert_fail("neither order: %s", text);
    }
    kit_bury(&other);
    OK(broker_list_sort(l, false, broker_nil()));
    cr_assert_str_eq(kit_list_text(l), rising);
}

/* [sort] finishes while others do not stop changing the list, and loses nothing of theirs. */
Test(list_shared, a_sort_among_changes_loses_nothing)
{
    broker_list *l = kit_list("l", NULL);
    struct line others[N_OTHERS];

    start(others, append_often, l);
    for (int i = 0; i < 50; i++)
        OK(broker_list_sort(l, false, broker_nil()));
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    OK(broker_list_sort(l, false, broker_nil()));
    cr_assert_eq(length_of(l), (uint64_t)(N_OTHERS * TIMES));
    for (int64_t i = 0; i < N_OTHERS * TIMES; i++)
        cr_assert_eq(number_at(l, i), i);
}

static void remove_marks(struct line *parent, void *arg)
{
    uint64_t n = 0;
    int r;

    (void)kit_hear(parent);
    while ((r = broker_list_remove(arg, broker_str("a mark to be removed"))) == 0)
        n++;
    REQUIRE(r == BROKER_NOTFOUND);
    kit_tell(parent, n);
}

/* [remove] what is found before the change is still the first that is equal when it is removed. */
Test(list_shared, each_element_is_removed_once)
{
    broker_list *l = kit_list("l", NULL);
    struct line others[N_OTHERS];
    uint64_t n = 0;

    for (int i = 0; i < 600; i++)
        OK(broker_list_append(l, i % 3 == 0 ? INT(i) : broker_str("a mark to be removed")));
    start(others, remove_marks, l);
    for (int i = 0; i < N_OTHERS; i++) {
        n += kit_hear(&others[i]);
        kit_end(&others[i]);
    }
    cr_assert_eq(n, 400);
    cr_assert_eq(length_of(l), 200);
    for (int64_t i = 0; i < 200; i++)
        cr_assert_eq(number_at(l, i), 3 * i);
}
