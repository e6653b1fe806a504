/*
 * test_dict_scan.c - the walk through a dict that others change meanwhile
 */
#include "conformance/kit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <msgpack.h>

TestSuite(scan, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)
#define MAX_KEY 40000

/* How often each number was met as a key; other keys are not expected. */
struct met {
    uint8_t times[MAX_KEY];
    size_t n;
};

/* Notes the keys of a part; each value must be what its key says. */
static void note(struct met *met, broker_value part)
{
    msgpack_unpacked u;

    msgpack_unpacked_init(&u);
    cr_assert_eq(part.type, BROKER_PACKED);
    cr_assert_eq(msgpack_unpack_next(&u, part.data, part.size, NULL), MSGPACK_UNPACK_SUCCESS);
    for (uint32_t i = 0; i < u.data.via.map.size; i++) {
        const msgpack_object_kv *pair = &u.data.via.map.ptr[i];

        if (pair->key.type != MSGPACK_OBJECT_POSITIVE_INTEGER || pair->key.via.u64 >= MAX_KEY ||
            pair->val.via.u64 != pair->key.via.u64 + 1)
            cr_assert_fail("a pair that is none of the dict's");
        met->times[pair->key.via.u64]++;
        met->n++;
    }
    msgpack_unpacked_destroy(&u);
}

static void add_keys(broker_dict *d, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_dict_set(d, INT(i), INT(i + 1)));
}

static void delete_keys(broker_dict *d, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++)
        OK(broker_dict_delete(d, INT(i)));
}

/* Those below @n were there all the time: once. Others: at most once. */
static void check(const struct met *met, int64_t n)
{
    for (int64_t i = 0; i < MAX_KEY; i++)
        if (i < n ? met->times[i] != 1 : met->times[i] > 1)
            cr_assert_fail("key %lld came %u times", (long long)i, met->times[i]);
}

Test(scan, an_empty_dict_is_one_empty_part)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value part;
    uint64_t cursor = 0;

    OK(broker_dict_scan(d, 0, 100, &kit_buffer, &part, &cursor));
    SAYS(part, "{}");
    cr_assert_eq(cursor, 0);
}

Test(scan, wrong_arguments_are_invalid)
{
    broker_dict *d = kit_dict("d", NULL);
    broker_value part = INT(77);
    uint64_t cursor = 77;

    add_keys(d, 0, 10);
    GIVES(broker_dict_scan(d, 0, 0, &kit_buffer, &part, &cursor), BROKER_INVALID);
    GIVES(broker_dict_scan(d, UINT64_MAX, 10, &kit_buffer, &part, &cursor), BROKER_INVALID);
    SAYS(part, "77");
    cr_assert_eq(cursor, 77);
}

/* [C extras: cursor scan that survives concurrent change] without any change. */
Test(scan, every_key_comes_exactly_once_whatever_the_limit)
{
    static const uint64_t limits[] = {1, 7, 100, 10000, UINT64_MAX};
    static struct met met;
    const int64_t n = kit_often(5000);
    broker_dict *d = kit_dict("d", NULL);
    broker_value part;

    add_keys(d, 0, n);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint64_t cursor = 0, parts = 0;

        memset(&met, 0, sizeof(met));
        do {
            OK(broker_dict_scan(d, cursor, limits[i], &kit_buffer, &part, &cursor));
            note(&met, part);
            parts++;
        } while (cursor != 0);
        check(&met, n);
        cr_assert_eq(met.n, (size_t)n);
        cr_assert(limits[i] < 100 ? parts > 10 : parts <= (uint64_t)n / 50, "%llu parts",
            (unsigned long long)parts);
    }
}

/* Between any two parts the dict changes: it doubles again and again, or shrinks to where it was.
 */
static void scan_while(broker_dict *d, int64_t constant, int64_t from, int64_t to)
{
    static struct met met;
    int64_t step = (to - from) / 40, at = from;
    broker_value part;
    uint64_t cursor = 0;

    memset(&met, 0, sizeof(met));
    do {
        OK(broker_dict_scan(d, cursor, (uint64_t)constant / 60, &kit_buffer, &part, &cursor));
        note(&met, part);
        if (step > 0 && at < to)
            add_keys(d, at, at + step);
        else if (step < 0 && at > to)
            delete_keys(d, at + step, at);
        at = at == to ? at : at + step;
    } while (cursor != 0);
    check(&met, constant);
    cr_assert_eq(at, to, "the walk ended before the dict had changed enough");
}

Test(scan, growth_meanwhile_neither_hides_nor_repeats_a_key)
{
    broker_dict *d = kit_dict("d", NULL);

    add_keys(d, 0, 1000);
    scan_while(d, 1000, 1000, 1000 + kit_often(30000));
}

Test(scan, shrinking_meanwhile_neither_hides_nor_repeats_a_key)
{
    broker_dict *d = kit_dict("d", NULL);

    add_keys(d, 0, 1000 + kit_often(30000));
    scan_while(d, 1000, 1000 + kit_often(30000), 1000);
}

/* Adds and removes keys above those that stay, in waves, and gives the others new values of other
 * sizes. */
static int make_waves(struct call *c)
{
    broker_dict *d = c->object;
    int r = 0;

    while (atomic_load((_Atomic int64_t *)&c->number) != 0) {
        for (int64_t i = 2000; i < 2000 + kit_often(10000) && r == 0; i++)
            r = broker_dict_set(d, INT(i), INT(i + 1));
        for (int64_t i = 2000; i < 2000 + kit_often(10000) && r == 0; i++)
            r = broker_dict_delete(d, INT(i));
        if (r < 0)
            return r;
    }
    return 0;
}

/* [C extras: cursor scan that survives concurrent change] [trap 12] */
Test(scan, concurrent_change_neither_hides_nor_repeats_a_key)
{
    static struct met met;
    broker_dict *d = kit_dict("d", NULL);
    struct call writer;
    broker_value part;

    add_keys(d, 0, 2000);
    kit_call(&writer, make_waves, d, 1);
    for (int64_t i = 0, n = kit_often(60); i < n; i++) {
        uint64_t cursor = 0;

        memset(&met, 0, sizeof(met));
        do {
            OK(broker_dict_scan(d, cursor, 50, &kit_buffer, &part, &cursor));
            note(&met, part);
        } while (cursor != 0);
        check(&met, 2000);
    }
    atomic_store((_Atomic int64_t *)&writer.number, 0);
    OK(kit_return(&writer));
}

/* [__iter__] unlike CPython's, a walk does not fail when the size changes; a cleared dict just
 * ends. */
Test(scan, a_dict_that_is_cleared_meanwhile_ends_the_walk)
{
    static struct met met;
    broker_dict *d = kit_dict("d", NULL);
    broker_value part;
    uint64_t cursor = 0;
    size_t n;

    add_keys(d, 0, 1000);
    OK(broker_dict_scan(d, 0, 10, &kit_buffer, &part, &cursor));
    note(&met, part);
    n = met.n;
    cr_assert_neq(cursor, 0);
    OK(broker_dict_clear(d));
    while (cursor != 0) {
        OK(broker_dict_scan(d, cursor, 10, &kit_buffer, &part, &cursor));
        note(&met, part);
    }
    cr_assert_eq(met.n, n);
}
