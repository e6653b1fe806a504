/*
 * tree.c - see tree.h
 *
 * A parent's number is above its children's. Rotations keep the order and mend the numbers: a new
 * leaf goes up, one that is removed goes down to where it has one child at most; two steps either
 * way on average. The first node is kept, so that taking the smallest, or adding a smaller one,
 * costs no search.
 */
#include "objects/tree.h"

#include <broker/errors.h>

#define MAX_DEPTH 1000u /* a random tree of 2^32 nodes has a tenth of it */

struct bri_node_shm *bri_node_at(const struct bri_object *o, uint32_t unit)
{
    return unit != 0 ? BRI_AT(o->arena, (uint64_t)unit << BRI_UNIT_SHIFT, struct bri_node_shm)
                     : NULL;
}

static uint32_t unit_of(const struct bri_object *o, const struct bri_node_shm *node)
{
    return (uint32_t)(bri_off(o->arena, node) >> BRI_UNIT_SHIFT);
}

/* Different for each unit: every step can be undone. */
static uint32_t mixed(uint32_t unit)
{
    unit ^= unit >> 16;
    unit *= 0x7feb352du;
    unit ^= unit >> 15;
    unit *= 0x846ca68bu;
    return unit ^ unit >> 16;
}

/* ---- looking ---- */

/* Where a new node goes. */
struct seat {
    uint32_t parent; /* 0: the tree is empty */
    bool left;
    bool first; /* it is before all others */
};

static int find_seat(const struct bri_object *o, const struct bri_tree_shm *tree,
    const struct bri_node_shm *node, bri_order_fn *order, struct seat *out)
{
    uint32_t unit = tree->root, depth = 0;
    const struct bri_node_shm *at;
    int sign, r;

    *out = (struct seat){.first = true};
    while (unit != 0) {
        at = bri_node_at(o, unit);
        if (at == NULL || depth++ == MAX_DEPTH)
            return BROKER_CORRUPT;
        r = order(o, node, at, &sign);
        if (r < 0)
            return r;
        *out = (struct seat){unit, sign < 0, out->first && sign < 0};
        unit = sign < 0 ? at->left : at->right;
    }
    return 0;
}

int bri_tree_check(const struct bri_object *o, const struct bri_tree_shm *tree,
    const struct bri_node_shm *node, bri_order_fn *order)
{
    struct seat seat;

    return find_seat(o, tree, node, order, &seat);
}

uint32_t bri_tree_next(const struct bri_object *o, uint32_t unit)
{
    const struct bri_node_shm *at = bri_node_at(o, unit);
    uint32_t from = unit, depth = 0;

    if (at == NULL)
        return UINT32_MAX;
    if (at->right != 0) {
        for (unit = at->right; depth++ < MAX_DEPTH; unit = at->left) {
            at = bri_node_at(o, unit);
            if (at == NULL)
                return UINT32_MAX;
            if (at->left == 0)
                return unit;
        }
        return UINT32_MAX;
    }
    for (unit = at->parent; unit != 0 && depth++ < MAX_DEPTH; unit = at->parent) {
        at = bri_node_at(o, unit);
        if (at == NULL)
            return UINT32_MAX;
        if (at->left == from)
            return unit;
        from = unit;
    }
    return unit == 0 ? 0 : UINT32_MAX;
}

/* ---- changing ---- */

static void set_child(struct bri_txn *t, struct bri_node_shm *node, bool left, uint32_t unit)
{
    bri_set32(t, left ? &node->left : &node->right, unit);
}

/* @unit takes the place of @node's child, or of the root, that is @old now. */
static void replace(
    struct bri_txn *t, struct bri_tree_shm *tree, uint32_t parent, uint32_t old, uint32_t unit)
{
    struct bri_node_shm *p = bri_node_at(t->o, parent), *node = bri_node_at(t->o, unit);

    if ((parent != 0) != (p != NULL) || (unit != 0) != (node != NULL) ||
        (p != NULL ? p->left != old && p->right != old : tree->root != old)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    if (p != NULL)
        set_child(t, p, p->left == old, unit);
    else
        bri_set32(t, &tree->root, unit);
    if (node != NULL)
        bri_set32(t, &node->parent, parent);
}

/* @unit, a child, and its parent change places. */
static void rotate_up(struct bri_txn *t, struct bri_tree_shm *tree, uint32_t unit)
{
    struct bri_node_shm *node = bri_node_at(t->o, unit);
    uint32_t parent = node != NULL ? node->parent : 0, inner;
    struct bri_node_shm *p = bri_node_at(t->o, parent), *child;
    bool left;

    if (p == NULL) {
        (void)BRI_DAMAGED(t);
        return;
    }
    left = p->left == unit;
    inner = left ? node->right : node->left;
    child = bri_node_at(t->o, inner);
    if ((inner != 0) != (child != NULL)) {
        (void)BRI_DAMAGED(t);
        return;
    }
    replace(t, tree, p->parent, parent, unit);
    set_child(t, p, left, inner);
    if (child != NULL)
        bri_set32(t, &child->parent, parent);
    set_child(t, node, !left, parent);
    bri_set32(t, &p->parent, unit);
}

int bri_tree_insert(
    struct bri_txn *t, struct bri_tree_shm *tree, struct bri_node_shm *node, bri_order_fn *order)
{
    uint32_t unit = unit_of(t->o, node);
    const struct bri_node_shm *first = bri_node_at(t->o, tree->first);
    struct seat seat = {.parent = tree->first, .left = true, .first = true};
    int sign = 1, r = 0;

    if (first != NULL)
        r = order(t->o, node, first, &sign);
    if (r == 0 && sign > 0)
        r = find_seat(t->o, tree, node, order, &seat);
    if (r < 0)
        return r == BROKER_CORRUPT ? BRI_DAMAGED(t) : r;
    bri_set64(t, (uint64_t *)(void *)&node->left, 0);
    bri_set32(t, &node->parent, seat.parent);
    if (seat.parent == 0)
        bri_set32(t, &tree->root, unit);
    else
        set_child(t, bri_node_at(t->o, seat.parent), seat.left, unit);
    if (seat.first)
        bri_set32(t, &tree->first, unit);
    for (uint32_t depth = 0; node->parent != 0 && mixed(node->parent) < mixed(unit); depth++) {
        if (t->failed != 0 || depth == MAX_DEPTH)
            return t->failed != 0 ? t->failed : BRI_DAMAGED(t);
        rotate_up(t, tree, unit);
    }
    return t->failed;
}

void bri_tree_remove(struct bri_txn *t, struct bri_tree_shm *tree, struct bri_node_shm *node)
{
    uint32_t unit = unit_of(t->o, node), next = 0;

    if (tree->first == unit && (next = bri_tree_next(t->o, unit)) == UINT32_MAX) {
        (void)BRI_DAMAGED(t);
        return;
    }
    for (uint32_t depth = 0; node->left != 0 && node->right != 0; depth++) {
        if (t->failed != 0 || depth == MAX_DEPTH) {
            (void)BRI_DAMAGED(t);
            return;
        }
        rotate_up(t, tree, mixed(node->left) > mixed(node->right) ? node->left : node->right);
    }
    replace(t, tree, node->parent, unit, node->left != 0 ? node->left : node->right);
    if (tree->first == unit)
        bri_set32(t, &tree->first, next);
}

/* ---- audit ---- */

static bool is_linked(
    const struct bri_object *o, const struct bri_tree_shm *tree, uint32_t unit, uint32_t parent)
{
    const struct bri_node_shm *p = bri_node_at(o, parent);

    if (parent == 0)
        return tree->root == unit;
    return p != NULL && (p->left == unit || p->right == unit) && mixed(parent) > mixed(unit);
}

static uint32_t leftmost(const struct bri_object *o, const struct bri_tree_shm *tree)
{
    const struct bri_node_shm *at = bri_node_at(o, tree->root);
    uint32_t unit = tree->root;

    for (uint32_t depth = 0; at != NULL && at->left != 0 && depth < MAX_DEPTH; depth++) {
        unit = at->left;
        at = bri_node_at(o, unit);
    }
    return unit;
}

uint64_t bri_tree_audit(const struct bri_object *o, const struct bri_tree_shm *tree,
    bri_order_fn *order, uint64_t limit)
{
    uint32_t unit = tree->first, before = 0;
    uint64_t n = 0;
    int sign;

    if (tree->first != leftmost(o, tree))
        return UINT64_MAX;
    for (; unit != 0; unit = bri_tree_next(o, unit)) {
        const struct bri_node_shm *node = bri_node_at(o, unit);

        if (node == NULL || n++ == limit || !is_linked(o, tree, unit, node->parent))
            return UINT64_MAX;
        if (before != 0 && (order(o, bri_node_at(o, before), node, &sign) < 0 || sign >= 0))
            return UINT64_MAX;
        before = unit;
    }
    return n;
}
