/*
 * sequence.h - elements in an order, found by their place: a counted B+-tree in an object's heap
 *
 * A node is one block with up to BRI_SEQUENCE_WORDS words. In a leaf a word is an element: its
 * value, if that has at most seven bytes encoded, or where a block with the value is. In an inner
 * node it is a child and how many elements are below it. All leaves have the same depth, no node is
 * empty, and a node that removals left small is merged with a neighbour, so depth and memory are
 * bounded by what there is. Value blocks are never written again once they are linked. Functions
 * that take a bri_txn change the sequence and belong in a section; those that take a bri_object
 * only read, with everything checked and bounded, and may be used under the guard or
 * optimistically.
 */
#ifndef BRI_SEQUENCE_H
#define BRI_SEQUENCE_H

#include <stddef.h>

#include "core/guard.h"

struct bri_audit;
struct bri_collect_look;

#define BRI_SEQUENCE_WORDS                                                                         \
    55u /* with the head 448 bytes: nine nodes fill a slab without a rest                          \
         */
#define BRI_SEQUENCE_HEIGHT 12u
#define BRI_SEQUENCE_MAX UINT32_MAX         /* elements */
#define BRI_ELEMENT_MAX (UINT32_C(1) << 30) /* bytes of one encoded value */
#define BRI_ELEMENT_INLINE 7u               /* bytes that fit into the word */

/* Lies in the slot's state. */
struct bri_sequence_shm {
    uint64_t root;       /* [guard] where the tree begins: its height, and the top node; or 0 */
    uint64_t n_elements; /* [guard] */
    uint64_t n_bytes;    /* [guard] of all values */
    uint64_t n_changes;  /* [guard] ever */
};

struct bri_sequence_node_shm {
    uint32_t n;     /* [guard] children of an inner node; of a leaf its parent knows how many */
    uint32_t level; /* [const] 0 for a leaf */
    uint64_t words[BRI_SEQUENCE_WORDS]; /* [guard] */
};

_Static_assert(sizeof(struct bri_sequence_node_shm) == 448, "node size");

/* ---- elements ---- */

static inline bool bri_element_is_inline(uint64_t element)
{
    return (element & 1) != 0;
}

/* The block of an element that is not inline. */
static inline uint64_t bri_element_off(uint64_t element)
{
    return element >> 32 << BRI_UNIT_SHIFT;
}

/* Bytes of the value. */
static inline uint32_t bri_element_size(uint64_t element)
{
    return bri_element_is_inline(element) ? (uint32_t)element >> 1 & 7 : (uint32_t)element >> 1;
}

/* The element whose value is the block at @off. */
static inline uint64_t bri_element_of_block(uint64_t off, uint32_t size)
{
    return off >> BRI_UNIT_SHIFT << 32 | (uint64_t)size << 1;
}

/* Where the value of an inline element is; @element must stay where it is meanwhile. */
static inline uint8_t *bri_element_inline_bytes(uint64_t *element)
{
    return (uint8_t *)element + 1;
}

/* The value's bytes, in the arena or in *@element, which is the caller's copy; NULL if there can be
 * none there. */
static inline const uint8_t *bri_element_bytes(const struct bri_object *o, const uint64_t *element)
{
    if (bri_element_is_inline(*element))
        return (const uint8_t *)element + 1;
    return bri_at(o->arena, bri_element_off(*element), bri_element_size(*element), 1);
}

/* ---- reading ---- */

/* How many elements there are; for optimistic readers. */
static inline uint64_t bri_sequence_count(const struct bri_sequence_shm *s)
{
    return *(const volatile uint64_t *)&s->n_elements;
}

static inline uint64_t bri_sequence_load(const uint64_t *word)
{
    return *(const volatile uint64_t *)word;
}

/* Nodes from the top to a leaf. */
static inline uint32_t bri_sequence_height(const struct bri_sequence_shm *s)
{
    return (uint32_t)(s->root >> 32);
}

/* What one leaf has. */
struct bri_run {
    const uint64_t *words;
    uint64_t pos; /* of the first of them */
    uint32_t n;
};

/*
 * The word of element number @pos, and the leaf that it is in; NULL, and an empty leaf, if the tree
 * does not lead there (which for an optimistic reader only means: look again).
 */
const uint64_t *bri_sequence_at(const struct bri_object *o, const struct bri_sequence_shm *s,
    uint64_t pos, struct bri_run *out_leaf);

/* ---- changing ---- */

/* Puts any number of elements before number @pos. */
void bri_sequence_insert(
    struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, const uint64_t *words, uint64_t n);

/* Removes @n elements, number @pos and then every @step-th, and frees their values. */
void bri_sequence_remove(
    struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, uint64_t step, uint64_t n);

/* Puts another element in the place of number @pos, and frees the old one's value. */
void bri_sequence_set(
    struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, uint64_t element);

/* Frees an element's value, if it is a block. */
void bri_element_free(struct bri_txn *t, uint64_t element);

/* Makes @words, which are all the elements in another order, the whole sequence. */
void bri_sequence_rearrange(struct bri_txn *t, struct bri_sequence_shm *s, const uint64_t *words);

/* Forgets all elements and frees everything in the heap. */
void bri_sequence_clear(struct bri_txn *t, struct bri_sequence_shm *s);

/* Gives the values of some elements, from number look->scan on, to the collector. The functions
 * that change the sequence move that place along. */
void bri_sequence_refs(
    const struct bri_object *o, const struct bri_sequence_shm *s, struct bri_collect_look *look);

/* Checks everything: depth, counts, and that every node and value is a block of the heap. */
void bri_sequence_audit(
    const struct bri_object *o, const struct bri_sequence_shm *s, struct bri_audit *audit);

#endif
