/*
 * test_dict_shared.c - the dict between threads and processes
 */
#include "conformance/kit.h"

#include <stdlib.h>

TestSuite(dict_shared, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define N_OTHERS 4
#define TIMES 500

static void add_often(struct line *parent, void *arg)
{
    broker_dict *d = arg;
    int64_t total;

    (void)kit_hear(parent);
    for (int i = 0; i < TIMES; i++)
        REQUIRE(broker_dict_add(d, STR("n"), 1, &total) == 0);
}

/* [+= on an element] 4 processes of 500 additions: with CPython's Manager 903 of 2000 were left. */
Test(dict_shared, no_addition_of_four_processes_is_lost)
{
    broker_dict *d = kit_dict("d", NULL);
    struct line others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(add_often, d);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++)
        kit_end(&others[i]);
    cr_assert_str_eq(kit_dict_text(d), "{'n': 2000}");
}

static int add_in_thread(struct call *c)
{
    int64_t total;
    int r = 0;

    for (int i = 0; i < 2000 && r == 0; i++)
        r = broker_dict_add(c->object, STR("n"), 1, &total);
    return r;
}

#define N_FIRST 200

/* Says how often it was first, and fails if it was told of another value than the first one's. */
static void set_defaults(struct line *parent, void *arg)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_dict *d = arg;
    int64_t mine = (int64_t)kit_hear(parent);
    uint64_t n_first = 0;
    broker_value told, there;
    bool inserted;

    for (int i = 0; i < N_FIRST; i++) {
        REQUIRE(broker_dict_setdefault(d, INT(i), INT(mine), &buffer, &told, &inserted) == 0);
        n_first += inserted;
        REQUIRE(broker_dict_get(d, INT(i), &buffer, &there) == 0);
        REQUIRE(there.i == told.i && inserted == (told.i == mine));
    }
    broker_buffer_free(&buffer);
    kit_tell(parent, n_first);
}

/* [setdefault] atomic: of several one is the first, and all are told its value. */
Test(dict_shared, one_default_of_four_is_set)
{
    broker_dict *d = kit_dict("d", NULL);
    struct line others[N_OTHERS];
    uint64_t n = 0;

    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(set_defaults, d);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], (uint64_t)i);
    for (int i = 0; i < N_OTHERS; i++) {
        n += kit_hear(&others[i]);
        kit_end(&others[i]);
    }
    cr_assert_eq(n, N_FIRST);
}

/* [connection] a handle can be used from any thread, by several at a time. */
Test(dict_shared, no_addition_of_four_threads_on_one_handle_is_lost)
{
    broker_dict *d = kit_dict("d", NULL);
    struct call others[N_OTHERS];

    for (int i = 0; i < N_OTHERS; i++)
        kit_call(&others[i], add_in_thread, d, 0);
    for (int i = 0; i < N_OTHERS; i++)
        OK(kit_return(&others[i]));
    cr_assert_str_eq(kit_dict_text(d), "{'n': 8000}");
}

/* read and set_if: the change that is computed outside. */
static int multiply_in_thread(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint64_t revision;
    broker_value v;
    int r = 0;

    for (int i = 0; i < 300 && r == 0; i++)
        do {
            r = broker_dict_read(c->object, STR("n"), &buffer, &v, &revision);
            if (r == 0)
                r = broker_dict_set_if(c->object, STR("n"), INT(v.i + 2), revision);
        } while (r == BROKER_MISMATCH);
    broker_buffer_free(&buffer);
    return r;
}

Test(dict_shared, no_change_by_set_if_is_lost)
{
    broker_dict *d = kit_dict("d", NULL);
    struct call others[N_OTHERS];

    OK(broker_dict_set(d, STR("n"), INT(0)));
    for (int i = 0; i < N_OTHERS; i++)
        kit_call(&others[i], multiply_in_thread, d, 0);
    for (int i = 0; i < N_OTHERS; i++)
        OK(kit_return(&others[i]));
    cr_assert_str_eq(kit_dict_text(d), "{'n': 2400}");
}

/* One of them may: by compare_and_set, by setdefault. */
static void try_to_lead(struct line *parent, void *arg)
{
    broker_dict *d = arg;
    broker_value v;
    bool first;
    int r;

    (void)kit_hear(parent);
    r = broker_dict_compare_and_set(d, STR("leader"), broker_nil(), INT(1));
    REQUIRE(r == 0 || r == BROKER_MISMATCH);
    REQUIRE(broker_dict_setdefault(d, STR("first"), INT(1), &kit_buffer, &v, &first) == 0);
    kit_tell(parent, (r == 0 ? 1u : 0u) + (first ? 16u : 0u));
}

Test(dict_shared, of_four_processes_one_gets_there_first)
{
    broker_dict *d = kit_dict("d", NULL);
    struct line others[N_OTHERS];
    uint64_t sum = 0;

    OK(broker_dict_set(d, STR("leader"), broker_nil()));
    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(try_to_lead, d);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++) {
        sum += kit_hear(&others[i]);
        kit_end(&others[i]);
    }
    cr_assert_eq(sum, 17);
}

/* Takes what it can, until nothing is left; says how many it was. */
static void pop_all(struct line *parent, void *arg)
{
    broker_dict *d = arg;
    broker_value k, v;
    uint64_t n = 0, sum = 0;

    (void)kit_hear(parent);
    while (broker_dict_popitem(d, &kit_buffer, &k, &v) == 0) {
        n++;
        sum += (uint64_t)k.i;
    }
    kit_tell(parent, n);
    kit_tell(parent, sum);
}

Test(dict_shared, popitem_gives_each_pair_to_one_process)
{
    broker_dict *d = kit_dict("d", NULL);
    struct line others[N_OTHERS];
    uint64_t n = 0, sum = 0;

    for (int64_t i = 0; i < 2000; i++)
        OK(broker_dict_set(d, INT(i), broker_strn("0123456789abcdef", (size_t)i % 17)));
    for (int i = 0; i < N_OTHERS; i++)
        others[i] = kit_fork(pop_all, d);
    for (int i = 0; i < N_OTHERS; i++)
        kit_tell(&others[i], 0);
    for (int i = 0; i < N_OTHERS; i++) {
        n += kit_hear(&others[i]);
        sum += kit_hear(&others[i]);
        kit_end(&others[i]);
    }
    cr_assert_eq(n, 2000);
    cr_assert_eq(sum, 1999 * 1000);
    cr_assert_str_eq(kit_dict_text(d), "{}");
}

static const size_t lengths[] = {0, 10, 60, 500, 600, 3000, 70000};
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* Values that tell by themselves whether they are whole: one letter, again and again. */
static int write_whole(struct call *c)
{
    static const size_t longest = 70000;
    char *text = malloc(longest);
    int r = text != NULL ? 0 : BROKER_NOMEM;

    for (int i = 0; i < kit_often(3000) && r == 0; i++) {
        memset(text, 'a' + i % 26, longest);
        r = broker_dict_set(
            c->object, INT(i % 3), broker_strn(text, lengths[(size_t)i % N_LENGTHS]));
        if (r == 0 && i % 10 == 9)
            r = broker_dict_delete(c->object, INT(i % 3));
    }
    free(text);
    return r;
}

static int read_whole(struct call *c)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    int r = 0;

    for (int i = 0; i < kit_often(6000) && (r == 0 || r == BROKER_NOTFOUND); i++) {
        r = broker_dict_get(c->object, INT(i % 3), &buffer, &v);
        if (r != 0)
            continue;
        for (size_t k = 1; k < v.size; k++)
            if (((const char *)v.data)[k] != ((const char *)v.data)[0])
                r = BROKER_CORRUPT;
    }
    broker_buffer_free(&buffer);
    return r == BROKER_NOTFOUND ? 0 : r;
}

/* [get, set] readers that take no lock never see a mixture. */
Test(dict_shared, a_value_is_read_whole_while_it_is_written)
{
    broker_dict *d = kit_dict("d", NULL);
    struct call writer, readers[2];

    kit_call(&writer, write_whole, d, 0);
    for (int i = 0; i < 2; i++)
        kit_call(&readers[i], read_whole, d, 0);
    OK(kit_return(&writer));
    for (int i = 0; i < 2; i++)
        OK(kit_return(&readers[i]));
}
