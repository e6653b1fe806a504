/*
 * tree.h - a sorted set of nodes that lie in other structs, in an object's memory
 *
 * A treap: a binary search tree whose shape is that of a heap by a number mixed from each node's
 * place, so that its depth is that of a random tree, whatever comes in which order. Inserting and
 * removing change a few words besides the search, without allocating: what is given back when a
 * session ends needs no memory. All functions that take a section change through its journal; the
 * others may be used by readers too, since every step is checked and bounded.
 */
#ifndef BRI_TREE_H
#define BRI_TREE_H

#include "core/guard.h"

/* All in units of 16 bytes, 0 is none. The two words change at once each. */
struct bri_node_shm {
    uint32_t left;   /* [guard] */
    uint32_t right;  /* [guard] */
    uint32_t parent; /* [guard] */
    uint32_t user;   /* what the node's owner likes */
};

struct bri_tree_shm {
    uint32_t root;  /* [guard] */
    uint32_t first; /* [guard] the smallest */
};

/* The order of two different nodes, never 0; or a failure. */
typedef int bri_order_fn(const struct bri_object *o, const struct bri_node_shm *a,
    const struct bri_node_shm *b, int *out_order);

struct bri_node_shm *bri_node_at(const struct bri_object *o, uint32_t unit);

/* 0 if @node, which is not in @tree, can be compared with all that are; or what @order says. */
int bri_tree_check(const struct bri_object *o, const struct bri_tree_shm *tree,
    const struct bri_node_shm *node, bri_order_fn *order);

/* Puts @node into @tree. If it can't be compared, nothing was changed; @order's failure. */
int bri_tree_insert(
    struct bri_txn *t, struct bri_tree_shm *tree, struct bri_node_shm *node, bri_order_fn *order);

/* Takes @node out of @tree, in which it is. */
void bri_tree_remove(struct bri_txn *t, struct bri_tree_shm *tree, struct bri_node_shm *node);

/* The node behind @unit in the order, 0 at the end; UINT32_MAX if the tree is broken. */
uint32_t bri_tree_next(const struct bri_object *o, uint32_t unit);

/* How many nodes there are, all links and the order looked at; UINT64_MAX if they are broken, or if
 * there are more than @limit. */
uint64_t bri_tree_audit(const struct bri_object *o, const struct bri_tree_shm *tree,
    bri_order_fn *order, uint64_t limit);

#endif
