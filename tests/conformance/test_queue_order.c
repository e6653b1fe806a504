/*
 * test_queue_order.c - queues that give the last item first, or the smallest
 */
#include <stdio.h>

#include "conformance/kit.h"

#include "unit/value/random.h"

TestSuite(order, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define HOUR (3600 * BROKER_SECOND)

static const broker_queue_options lifo = {.lifo = true};
static const broker_queue_options priority = {.priority = true};

static void put_all(broker_queue *q, const char *array)
{
    broker_value items = value_of(array);

    for (uint32_t i = 0; i < kit_count(items); i++)
        OK(broker_queue_put(q, kit_element(items, i), 0));
}

static uint64_t lease(broker_queue *q, const char *text)
{
    uint64_t token;
    broker_value v;

    OK(broker_queue_lease(q, 0, BROKER_FOREVER, &kit_buffer, &v, &token, NULL));
    SAYS(v, text);
    return token;
}

/* [2.3 LIFO] */
Test(order, lifo_gives_the_last_item_first)
{
    broker_queue *q = kit_queue("q", &lifo);
    broker_value v;

    put_all(q, "[1, 'b', [nil], {'x': 2}]");
    cr_assert_eq(kit_stat(kit_name("q"), "lifo"), 1);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    SAYS(v, "{'x': 2}");
    put_all(q, "[5]");
    cr_assert_str_eq(kit_drain(q), "[5, [nil], 'b', 1]");
    GIVES(broker_queue_get(q, 0, &kit_buffer, &v), BROKER_EMPTY);
}

Test(order, lifo_keeps_the_place_of_what_is_away)
{
    broker_queue *q = kit_queue("q", &lifo);
    uint64_t three, two;

    put_all(q, "[1, 2, 3]");
    three = lease(q, "3");
    two = lease(q, "2");
    put_all(q, "[4]");
    OK(broker_queue_return(q, two, 0));
    OK(broker_queue_return(q, three, 0));
    cr_assert_str_eq(kit_drain(q), "[4, 3, 2, 1]");
}

/* [2.3 priority queue: lowest first, FIFO among equals] */
Test(order, priority_gives_the_smallest_first_and_equal_ones_in_order)
{
    broker_queue *q = kit_queue("q", &priority);

    put_all(q, "[5, -1, 3.5, 5, 1, 1.0, true, 18446744073709551615]");
    cr_assert_str_eq(kit_drain(q), "[-1, 1, 1.0, true, 3.5, 5, 5, 18446744073709551615]");
    put_all(q, "['b', 'a', '', 'ab']");
    cr_assert_str_eq(kit_drain(q), "['', 'a', 'ab', 'b']");
    put_all(q, "[[2, 'x'], [1, 'z'], [1, 'y'], [1], []]");
    cr_assert_str_eq(kit_drain(q), "[[], [1], [1, 'y'], [1, 'z'], [2, 'x']]");
}

/* [2.3 incomparable items: all or nothing] CPython leaves the item in the heap. */
Test(order, an_item_without_an_order_is_refused_and_nothing_changes)
{
    broker_queue *q = kit_queue("q", &priority);
    const char *name = kit_name("q");

    put_all(q, "[2, 1]");
    GIVES(broker_queue_put(q, broker_str("x"), 0), BROKER_INCOMPARABLE);
    GIVES(broker_queue_put(q, value_of("{}"), 0), BROKER_INCOMPARABLE);
    GIVES(broker_queue_put(q, broker_nil(), HOUR), BROKER_INCOMPARABLE);
    GIVES(broker_queue_put(q, broker_strn(filling(9000, 0), 9000), 0), BROKER_INCOMPARABLE);
    GIVES(broker_queue_put_many(q, value_of("[0, 3, 'x']"), 0), BROKER_INCOMPARABLE);
    GIVES(broker_queue_put_many(q, value_of("['x', 'y']"), 0), BROKER_INCOMPARABLE);
    cr_assert_eq(kit_stat(name, "items"), 2);
    cr_assert_eq(kit_stat(name, "unfinished"), 2);
    OK(broker_queue_put_many(q, value_of("[0, 3]"), 0));
    cr_assert_str_eq(kit_drain(q), "[0, 1, 2, 3]");
}

/* One alone needs no order, as in Python; a second one of its kind has none. */
Test(order, what_has_no_order_can_be_alone)
{
    broker_queue *q = kit_queue("q", &priority);

    put_all(q, "[{'a': 1}]");
    GIVES(broker_queue_put(q, value_of("{'b': 1}"), 0), BROKER_INCOMPARABLE);
    cr_assert_str_eq(kit_drain(q), "[{'a': 1}]");
    put_all(q, "[[1, {'a': 1}]]");
    GIVES(broker_queue_put(q, value_of("[1, {'a': 2}]"), 0), BROKER_INCOMPARABLE);
    put_all(q, "[[1, {'a': 1}], [0, 'x']]");
    cr_assert_str_eq(kit_drain(q), "[[0, 'x'], [1, {'a': 1}], [1, {'a': 1}]]");
}

/* The conflict lies deep among others that have an order with all. */
Test(order, a_conflict_anywhere_is_found)
{
    broker_queue *q = kit_queue("q", &priority);

    for (int i = 0; i < 100; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), i % 2 == 0 ? "[%d, 'x']" : "[%d, 1]", i * 37 % 100);
        OK(broker_queue_put(q, value_of(text), 0));
    }
    for (int i = 0; i < 100; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), i % 2 == 0 ? "[%d, 1]" : "[%d, 'x']", i * 37 % 100);
        GIVES(broker_queue_put(q, value_of(text), 0), BROKER_INCOMPARABLE);
    }
}

/* What is leased, delayed or dead comes back: it counts. */
Test(order, what_is_away_must_be_comparable_too)
{
    broker_queue *q =
        kit_queue("q", &(broker_queue_options){.priority = true, .max_deliveries = 1});
    uint64_t token, n;
    broker_value v;

    put_all(q, "['x']");
    token = lease(q, "'x'");
    GIVES(broker_queue_put(q, INT(1), 0), BROKER_INCOMPARABLE);
    OK(broker_queue_return(q, token, 0));
    GIVES(broker_queue_put(q, INT(1), 0), BROKER_INCOMPARABLE);
    OK(broker_queue_revive(q, 1, &n));
    put_all(q, "['a']");
    token = lease(q, "'a'");
    OK(broker_queue_return(q, token, 0));
    token = lease(q, "'x'");
    OK(broker_queue_done(q, token));
    OK(broker_queue_take_dead(q, &kit_buffer, &v));
    put_all(q, "[1]");
    cr_assert_str_eq(kit_drain(q), "[1]");
}

Test(order, limits_hold_in_every_order)
{
    const broker_queue_options orders[2] = {
        {.lifo = true, .max_items = 2}, {.priority = true, .max_items = 2}};
    const char *const names[2] = {"lifo", "priority"};

    for (int i = 0; i < 2; i++) {
        broker_queue *q = kit_queue(names[i], &orders[i]);

        put_all(q, "[1, 2]");
        GIVES(broker_queue_put(q, INT(3), 0), BROKER_FULL);
        GIVES(broker_queue_put(q, INT(3), 1000), BROKER_TIMEDOUT);
        GIVES(broker_queue_put_many(q, value_of("[1, 2, 3]"), 0), BROKER_TOOBIG);
        OK(broker_queue_shutdown(q));
        GIVES(broker_queue_put(q, INT(3), 0), BROKER_CLOSED);
    }
}

Test(order, large_items_have_their_places)
{
    broker_queue *q = kit_queue("q", &priority);
    const char *text = filling(1 << 20, 0);
    static const uint32_t sizes[] = {100000, 1900, 3, 1 << 20, 1984, 16000, 2048, 5000};
    broker_value v;

    for (size_t i = 0; i < 8; i++)
        OK(broker_queue_put(q, broker_strn(text, sizes[i]), 0));
    for (uint32_t last = 0, i = 0; i < 8; i++) {
        OK(broker_queue_get(q, 0, &kit_buffer, &v));
        cr_assert(v.size > last && memcmp(v.data, text, v.size) == 0);
        last = v.size;
    }
    cr_assert_leq(kit_stat(kit_name("q"), "bytes"), 65536, "the memory was not given back");
}

/* get_many and task_done know no difference. */
Test(order, joinable_queues_lease_in_every_order)
{
    broker_queue *q = kit_queue("q", &(broker_queue_options){.priority = true, .joinable = true});
    broker_value items;

    OK(broker_queue_put_many(q, value_of("[3, 1, 2]"), 0));
    OK(broker_queue_get_many(q, 2, 0, &kit_buffer, &items));
    SAYS(items, "[1, 2]");
    OK(broker_queue_task_done(q));
    OK(broker_queue_task_done(q));
    GIVES(broker_queue_join(q, 0), BROKER_TIMEDOUT);
    cr_assert_str_eq(kit_drain(q), "[3]");
    OK(broker_queue_task_done(q));
    OK(broker_queue_join(q, 0));
}

Test(order, options_are_checked)
{
    broker_queue_options both = {.lifo = true, .priority = true};
    broker_queue *q;

    GIVES(broker_queue_open(kit_broker, kit_name("both"), &both, &q), BROKER_INVALID);
    (void)kit_queue("q", &lifo);
    GIVES(broker_queue_open(kit_broker, kit_name("q"), &priority, &q), BROKER_MISMATCH);
    (void)kit_queue("plain", NULL);
    GIVES(broker_queue_open(kit_broker, kit_name("plain"), &lifo, &q), BROKER_MISMATCH);
}

/* ---- against a model ---- */

#define N_MODEL 300

struct model {
    int64_t value[N_MODEL]; /* in order of their places */
    uint64_t number[N_MODEL];
    unsigned n;
};

static void model_put(struct model *m, int64_t value, uint64_t number)
{
    unsigned i = m->n++;

    for (; i > 0 &&
           (m->value[i - 1] > value || (m->value[i - 1] == value && m->number[i - 1] > number));
         i--) {
        m->value[i] = m->value[i - 1];
        m->number[i] = m->number[i - 1];
    }
    m->value[i] = value;
    m->number[i] = number;
}

static int64_t model_take(struct model *m, uint64_t *out_number)
{
    int64_t value = m->value[0];

    *out_number = m->number[0];
    m->n--;
    for (unsigned i = 0; i < m->n; i++) {
        m->value[i] = m->value[i + 1];
        m->number[i] = m->number[i + 1];
    }
    return value;
}

/* Items are [value, number], so that equal ones can be told apart; only the value is random. */
Test(order, priority_agrees_with_a_model)
{
    struct random random = {.state = random_seed()};
    broker_queue *q = kit_queue("q", &priority);
    static struct model ready;
    static struct {
        int64_t value;
        uint64_t number, token;
    } away[N_MODEL];
    unsigned n_away = 0;
    uint64_t number = 0;

    for (int64_t i = 0, often = kit_often(8000); i < often; i++) {
        size_t pick = random_below(&random, 8);

        if (pick < 3 && ready.n + n_away < N_MODEL) {
            int64_t value = (int64_t)random_below(&random, 20);

            OK(broker_queue_put(q, broker_int(value), 0));
            model_put(&ready, value, number++);
        } else if (pick < 5 && ready.n > 0) {
            broker_value v;

            OK(broker_queue_lease(q, 0, HOUR, &kit_buffer, &v, &away[n_away].token, NULL));
            away[n_away].value = model_take(&ready, &away[n_away].number);
            cr_assert_eq(v.i, away[n_away].value, "seed %llu", (unsigned long long)random_seed());
            n_away++;
        } else if (pick > 4 && n_away > 0) {
            size_t k = random_below(&random, n_away);

            if (pick == 5) {
                OK(broker_queue_done(q, away[k].token));
            } else {
                OK(broker_queue_return(q, away[k].token, 0));
                model_put(&ready, away[k].value, away[k].number);
            }
            away[k] = away[--n_away];
        }
        if (i % 500 == 0) {
            cr_assert_eq(kit_stat(kit_name("q"), "items"), ready.n);
            cr_assert_eq(kit_stat(kit_name("q"), "leased"), n_away);
        }
    }
}
