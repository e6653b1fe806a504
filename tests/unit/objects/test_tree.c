/*
 * test_tree.c - the sorted set, against an array that is searched from end to end
 */
#include "unit/core/lab.h"

#include <stdlib.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/heap.h"
#include "engine_ops.h"
#include "objects/tree.h"
#include "unit/value/random.h"

#define N_NODES 700u
#define APART 1000000 /* keys so far from each other have no order */

struct entry {
    struct bri_node_shm node;
    int64_t key;
    bool in;
};

static struct bri_arena *arena;
static struct bri_object object;
static struct bri_tree_shm *tree;
static struct entry *entries[N_NODES];

static struct entry *entry_of(const struct bri_node_shm *node)
{
    return (struct entry *)(uintptr_t)node;
}

static int by_key(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order)
{
    int64_t ka = entry_of(a)->key, kb = entry_of(b)->key;

    (void)o;
    if (llabs(ka - kb) > APART)
        return BROKER_INCOMPARABLE;
    *out_order = ka != kb ? (ka > kb) - (ka < kb) : (a > b) - (a < b);
    return 0;
}

static void *block(size_t size)
{
    struct bri_txn t;
    uint64_t off;
    int r;

    do {
        cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
        off = bri_alloc(&t, size);
        r = bri_end(&t, t.failed);
    } while (r == BRI_AGAIN);
    cr_assert_eq(r, 0);
    memset(arena->base + off, 0, size);
    return arena->base + off;
}

static void start(void)
{
    arena = lab_arena(64 * MIB);
    object = lab_object(arena, "object", BRI_TYPE_DICT, 0);
    tree = block(sizeof(*tree));
    for (unsigned i = 0; i < N_NODES; i++)
        entries[i] = block(sizeof(*entries[i]));
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(tree, .init = start, .fini = stop, .timeout = 60);

static int insert(struct entry *e)
{
    struct bri_txn t;
    int r;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    r = bri_end(&t, bri_tree_insert(&t, tree, &e->node, by_key));
    e->in |= r == 0;
    return r;
}

static void take_out(struct entry *e)
{
    struct bri_txn t;

    cr_assert_eq(bri_begin(&t, &object, BRI_PATIENCE), 0);
    bri_tree_remove(&t, tree, &e->node);
    cr_assert_eq(bri_end(&t, t.failed), 0);
    e->in = false;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *const *ea = a, *const *eb = b;
    int order = 0;

    (void)by_key(NULL, &(*ea)->node, &(*eb)->node, &order);
    return order;
}

/* The tree has exactly what was put into it, in order. */
static void check(void)
{
    struct entry *model[N_NODES];
    unsigned n = 0, i = 0;

    for (unsigned k = 0; k < N_NODES; k++)
        if (entries[k]->in)
            model[n++] = entries[k];
    qsort(model, n, sizeof(model[0]), compare_entries);
    for (uint32_t unit = tree->first; unit != 0; unit = bri_tree_next(&object, unit), i++)
        cr_assert(i < n && bri_node_at(&object, unit) == &model[i]->node);
    cr_assert_eq(i, n);
    cr_assert_eq(bri_tree_audit(&object, tree, by_key, n), n);
}

Test(tree, keeps_what_comes_and_goes_in_order)
{
    struct random random = {.state = 20};

    for (unsigned i = 0; i < 6000; i++) {
        struct entry *e = entries[random_below(&random, N_NODES)];

        if (e->in) {
            take_out(e);
        } else {
            e->key = (int64_t)random_below(&random, 300);
            cr_assert_eq(insert(e), 0);
        }
        if (i % 16 == 0)
            check();
    }
}

Test(tree, takes_keys_that_only_rise_or_only_fall)
{
    for (int sign = -1; sign <= 1; sign += 2) {
        for (unsigned i = 0; i < N_NODES; i++) {
            entries[i]->key = sign * (int64_t)i;
            cr_assert_eq(insert(entries[i]), 0);
        }
        check();
        for (unsigned i = 0; i < N_NODES; i++)
            take_out(entry_of(bri_node_at(&object, tree->first)));
        check();
    }
}

Test(tree, refuses_what_has_no_order_and_stays_as_it_is)
{
    for (unsigned i = 0; i < 10; i++) {
        entries[i]->key = i;
        cr_assert_eq(insert(entries[i]), 0);
    }
    entries[10]->key = 2 * APART;
    entries[11]->key = 11;
    cr_assert_eq(insert(entries[10]), BROKER_INCOMPARABLE);
    cr_assert_eq(bri_tree_check(&object, tree, &entries[10]->node, by_key), BROKER_INCOMPARABLE);
    cr_assert_eq(bri_tree_check(&object, tree, &entries[11]->node, by_key), 0);
    check();
}

Test(tree, an_audit_finds_a_broken_one)
{
    uint32_t first;

    for (unsigned i = 0; i < 20; i++) {
        entries[i]->key = i;
        cr_assert_eq(insert(entries[i]), 0);
    }
    cr_assert_eq(bri_tree_audit(&object, tree, by_key, 19), UINT64_MAX, "more than there can be");
    entries[7]->key = 12;
    cr_assert_eq(bri_tree_audit(&object, tree, by_key, 20), UINT64_MAX, "out of order");
    entries[7]->key = 7;
    first = tree->first;
    tree->first = (uint32_t)(bri_off(arena, entries[1]) >> BRI_UNIT_SHIFT);
    cr_assert_eq(bri_tree_audit(&object, tree, by_key, 20), UINT64_MAX, "the first is another");
    tree->first = first;
    check();
}
