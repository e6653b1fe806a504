/*
 * sequence.c - see sequence.h
 *
 * A change of a node moves a few words in place, through the journal, or writes a new node in fresh
 * memory; either way one word of its parent then says so, up to the top. A crash anywhere is undone
 * by the journal of the section that calls us. Optimistic readers may walk through what is being
 * changed: every reference is checked, every walk ends, and what they found counts only if the
 * object's sequence number did not move.
 */
#include "objects/sequence.h"

#include <broker/errors.h>

#include "core/audit.h"
#include "core/heap.h"
#include "objects/refs.h"

#define IN_PLACE 24u                   /* words that go through the journal, not a new node */
#define SMALL (BRI_SEQUENCE_WORDS / 4) /* a node with so few words looks for a neighbour */
#define MERGED_MAX                                                                                 \
    (BRI_SEQUENCE_WORDS * 3 / 4) /* so that the next insert does not split it again */
#define NEARLY_FULL (BRI_SEQUENCE_WORDS * 3 / 4)

static inline uint32_t load32(const uint32_t *p)
{
    return *(const volatile uint32_t *)p;
}

static inline struct bri_sequence_node_shm *node_at(const struct bri_object *o, uint32_t unit)
{
    return bri_at(o->arena, (uint64_t)unit << BRI_UNIT_SHIFT, sizeof(struct bri_sequence_node_shm),
        sizeof(uint64_t));
}

/* ---- the words of inner nodes ---- */

static inline uint64_t child_word(uint32_t unit, uint32_t count)
{
    return (uint64_t)unit << 32 | count;
}

static inline uint32_t unit_of(uint64_t child)
{
    return (uint32_t)(child >> 32);
}

static inline uint32_t count_of(uint64_t child)
{
    return (uint32_t)child;
}

/* ---- the word of the root ---- */

static inline uint64_t root_word(uint32_t height, uint32_t unit)
{
    return (uint64_t)height << 32 | unit;
}

static inline uint32_t height_of(uint64_t root)
{
    return (uint32_t)(root >> 32);
}

static inline uint32_t top_unit(uint64_t root)
{
    return (uint32_t)root;
}

/* The top node as the child of a node above it. */
static inline uint64_t top_of(const struct bri_sequence_shm *s)
{
    return child_word(top_unit(s->root), (uint32_t)s->n_elements);
}

/* ---- reading ---- */

/* The child that has element number *@pos of its parent, *@pos becoming its number there; 0 if none
 * has. */
static inline uint64_t child_with(
    const struct bri_sequence_node_shm *node, uint64_t *pos, uint32_t *out_at)
{
    uint32_t n = load32(&node->n);
    uint64_t child;

    for (uint32_t i = 0; i < n && i < BRI_SEQUENCE_WORDS; i++) {
        child = bri_sequence_load(&node->words[i]);
        if (*pos < count_of(child)) {
            *out_at = i;
            return child;
        }
        *pos -= count_of(child);
    }
    return 0;
}

const uint64_t *bri_sequence_at(const struct bri_object *o, const struct bri_sequence_shm *s,
    uint64_t pos, struct bri_run *out_leaf)
{
    uint64_t root = bri_sequence_load(&s->root), wanted = pos;
    uint64_t child = child_word(top_unit(root), (uint32_t)bri_sequence_count(s));
    uint32_t height = height_of(root), at;
    const struct bri_sequence_node_shm *node;

    out_leaf->n = 0;
    if (height == 0 || height > BRI_SEQUENCE_HEIGHT)
        return NULL;
    for (;;) {
        node = node_at(o, unit_of(child));
        if (__builtin_expect(node == NULL, 0))
            return NULL;
        if (--height == 0)
            break;
        child = child_with(node, &pos, &at);
        if (child == 0)
            return NULL;
    }
    if (count_of(child) > BRI_SEQUENCE_WORDS || pos >= count_of(child))
        return NULL;
    *out_leaf = (struct bri_run){.words = node->words, .pos = wanted - pos, .n = count_of(child)};
    return &node->words[pos];
}

/* ---- the way to an element ---- */

struct step {
    struct bri_sequence_node_shm *node;
    uint32_t unit;
    uint32_t n;     /* words of the node */
    uint32_t count; /* elements below it */
    uint32_t at;    /* the word that the way goes on with */
};

/* From the leaf, which is steps[0], to the top. */
struct way {
    uint32_t height;
    struct step steps[BRI_SEQUENCE_HEIGHT];
};

/* Where an element can be put in before number @pos: behind the one before it, rather than in front
 * of the one that is there. */
static uint64_t child_before(
    const struct bri_sequence_node_shm *node, uint64_t *pos, uint32_t *out_at)
{
    uint64_t before = *pos - 1, child = child_with(node, &before, out_at);

    *pos = before + 1;
    return child;
}

/* The way to number @pos, or to where elements can be put in before it. False, and damaged, if it
 * does not lead there. */
static bool find_way(
    struct bri_txn *t, const struct bri_sequence_shm *s, uint64_t pos, bool to_add, struct way *way)
{
    uint64_t child = top_of(s);
    struct step *step;

    way->height = height_of(s->root);
    if (way->height == 0 || way->height > BRI_SEQUENCE_HEIGHT)
        return (void)BRI_DAMAGED(t), false;
    for (uint32_t level = way->height; level-- > 0;) {
        step = &way->steps[level];
        step->unit = unit_of(child);
        step->count = count_of(child);
        step->node = node_at(t->o, step->unit);
        if (step->node == NULL || step->node->level != level)
            return (void)BRI_DAMAGED(t), false;
        step->n = level == 0 ? step->count : step->node->n;
        if (step->n == 0 || step->n > BRI_SEQUENCE_WORDS || pos > step->count)
            return (void)BRI_DAMAGED(t), false;
        if (level == 0)
            break;
        if (to_add && pos == step->count) { /* the last child, without counting up to it */
            step->at = step->n - 1;
            child = step->node->words[step->at];
            pos = count_of(child);
        } else if (to_add && pos > 0) {
            child = child_before(step->node, &pos, &step->at);
        } else {
            child = child_with(step->node, &pos, &step->at);
        }
    }
    way->steps[0].at = (uint32_t)pos;
    return true;
}

/* ---- changing nodes ---- */

/* @n_new words in the place of @n_old; and how many elements more there are then. */
struct patch {
    const uint64_t *words;
    uint32_t n_old, n_new;
    int64_t more;
    bool at_start, at_end; /* of the sequence: where elements go in one after another */
};

/* What a node was turned into: words for its parent. */
struct pieces {
    uint32_t n;
    uint64_t words[2];
};

static uint32_t weigh(const uint64_t *words, uint32_t n, uint32_t level)
{
    uint32_t count = 0;

    if (level == 0)
        return n;
    for (uint32_t i = 0; i < n; i++)
        count += count_of(words[i]);
    return count;
}

static uint64_t new_node(struct bri_txn *t, uint32_t level, const uint64_t *words, uint32_t n)
{
    uint64_t off = bri_alloc(t, sizeof(struct bri_sequence_node_shm));
    struct bri_sequence_node_shm *node;

    if (off == 0)
        return 0;
    node = (struct bri_sequence_node_shm *)(t->o->arena->base + off);
    node->n = n;
    node->level = level;
    memcpy(node->words, words, n * sizeof(words[0]));
    return child_word((uint32_t)(off >> BRI_UNIT_SHIFT), weigh(words, n, level));
}

static void free_node(struct bri_txn *t, uint32_t unit)
{
    bri_free(t, (uint64_t)unit << BRI_UNIT_SHIFT);
}

/* The patch itself and all words behind it, which are @n_moved and fit. */
static void patch_in_place(
    struct bri_txn *t, struct step *step, const struct patch *patch, uint32_t n_moved)
{
    uint64_t words[IN_PLACE], *to = &step->node->words[step->at];
    uint32_t n = step->n - patch->n_old + patch->n_new;

    if (n_moved == 1 && patch->n_new == 1) {
        bri_set64(t, to, patch->words[0]);
    } else if (n_moved > 0) {
        if (patch->n_new > 0)
            memcpy(words, patch->words, patch->n_new * sizeof(words[0]));
        memcpy(
            words + patch->n_new, to + patch->n_old, (n_moved - patch->n_new) * sizeof(words[0]));
        bri_set_bytes(t, to, words, n_moved * sizeof(words[0]));
    }
    if (step->node->level > 0 && n != step->n)
        bri_set32(t, &step->node->n, n);
}

/* How many of @n words, too many for one node, go into the first of two. */
static uint32_t first_part(const struct patch *patch, uint32_t n)
{
    if (patch->at_end)
        return BRI_SEQUENCE_WORDS;
    return patch->at_start ? n - BRI_SEQUENCE_WORDS : (n + 1) / 2;
}

/* All words into one or two new nodes. */
static void rebuild(
    struct bri_txn *t, struct step *step, const struct patch *patch, struct pieces *out)
{
    uint64_t words[2 * BRI_SEQUENCE_WORDS];
    const uint64_t *old = step->node->words;
    uint32_t tail = step->n - step->at - patch->n_old, level = step->node->level;
    uint32_t n = step->at + patch->n_new + tail, first = n;

    memcpy(words, old, step->at * sizeof(words[0]));
    if (patch->n_new > 0)
        memcpy(words + step->at, patch->words, patch->n_new * sizeof(words[0]));
    memcpy(words + step->at + patch->n_new, old + step->at + patch->n_old, tail * sizeof(words[0]));
    if (n > BRI_SEQUENCE_WORDS)
        first = first_part(patch, n);
    out->words[0] = new_node(t, level, words, first);
    out->n = 1;
    if (first < n)
        out->words[out->n++] = new_node(t, level, words + first, n - first);
    free_node(t, step->unit);
}

/* Puts the patch into the node, or nodes in the place of it. */
static void patch_node(
    struct bri_txn *t, struct step *step, const struct patch *patch, struct pieces *out)
{
    uint32_t n = step->n - patch->n_old + patch->n_new;
    uint32_t tail = step->n - step->at - patch->n_old;
    uint32_t n_moved = patch->n_new + (patch->n_new != patch->n_old ? tail : 0);
    bool behind = tail == 0 && patch->n_old == 0;

    if (n == 0) {
        free_node(t, step->unit);
        out->n = 0;
    } else if (n <= BRI_SEQUENCE_WORDS && n_moved <= IN_PLACE) {
        patch_in_place(t, step, patch, n_moved);
        out->words[0] = child_word(step->unit, (uint32_t)(step->count + patch->more));
        out->n = 1;
    } else if (n > BRI_SEQUENCE_WORDS && behind && step->n >= NEARLY_FULL &&
               (patch->at_end || patch->n_new > SMALL)) {
        out->words[0] = child_word(step->unit, step->count);
        out->words[1] = new_node(t, step->node->level, patch->words, patch->n_new);
        out->n = 2;
    } else {
        rebuild(t, step, patch, out);
    }
}

/* What the top was turned into becomes the top. */
static void set_top(
    struct bri_txn *t, struct bri_sequence_shm *s, uint32_t height, const struct pieces *pieces)
{
    uint64_t top = pieces->words[0], root;

    if (t->failed != 0)
        return;
    if (pieces->n > 1 && height == BRI_SEQUENCE_HEIGHT) {
        t->failed = BROKER_LIMIT;
        return;
    }
    if (pieces->n > 1)
        top = new_node(t, height++, pieces->words, pieces->n);
    root = pieces->n > 0 ? root_word(height, unit_of(top)) : 0;
    if (root != s->root)
        bri_set64(t, &s->root, root);
}

static int64_t bytes_of(const uint64_t *words, uint32_t n)
{
    int64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += bri_element_size(words[i]);
    return bytes;
}

static void count(struct bri_txn *t, struct bri_sequence_shm *s, int64_t elements, int64_t bytes)
{
    if (elements != 0)
        bri_set64(t, &s->n_elements, s->n_elements + (uint64_t)elements);
    if (bytes != 0)
        bri_set64(t, &s->n_bytes, s->n_bytes + (uint64_t)bytes);
    bri_set64(t, &s->n_changes, s->n_changes + 1);
}

static void plant(struct bri_txn *t, struct bri_sequence_shm *s, const uint64_t *words, uint32_t n)
{
    struct pieces pieces = {.n = 1};

    pieces.words[0] = new_node(t, 0, words, n);
    set_top(t, s, 1, &pieces);
    count(t, s, n, bytes_of(words, n));
}

/* How many elements the leaf had in the end, if it is one still. */
/* The collector has been at all elements before its place, and what comes new need not be looked
 * at. */
static void move_scan(struct bri_txn *t, uint64_t pos, uint32_t n_old, uint32_t n_new)
{
    uint64_t *scan = &t->o->slot->scan;

    if (*scan >= pos + n_old)
        bri_set64(t, scan, *scan - n_old + n_new);
    else if (*scan > pos)
        bri_set64(t, scan, pos);
}

static uint32_t edit(struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, uint32_t n_old,
    const uint64_t *words, uint32_t n_new)
{
    struct patch patch = {.words = words, .n_old = n_old, .n_new = n_new};
    struct pieces pieces = {0};
    struct way way;
    uint64_t above[2];
    int64_t bytes;

    if (s->root == 0) {
        plant(t, s, words, n_new);
        return n_new;
    }
    if (!find_way(t, s, pos, n_old == 0, &way))
        return 0;
    if (way.steps[0].at + n_old > way.steps[0].n) {
        (void)BRI_DAMAGED(t);
        return 0;
    }
    patch.more = (int64_t)n_new - n_old;
    patch.at_start = pos == 0 && n_old == 0;
    patch.at_end = pos == s->n_elements;
    bytes = bytes_of(words, n_new) - bytes_of(way.steps[0].node->words + way.steps[0].at, n_old);
    for (uint32_t level = 0; level < way.height && t->failed == 0; level++) {
        patch_node(t, &way.steps[level], &patch, &pieces);
        memcpy(above, pieces.words, sizeof(above));
        patch.words = above;
        patch.n_old = 1;
        patch.n_new = pieces.n;
    }
    set_top(t, s, way.height, &pieces);
    count(t, s, patch.more, bytes);
    if (bri_scan_of(t))
        move_scan(t, pos, n_old, n_new);
    return way.steps[0].n - n_old + n_new;
}

void bri_sequence_insert(
    struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, const uint64_t *words, uint64_t n)
{
    if (n > BRI_SEQUENCE_MAX - s->n_elements) {
        t->failed = t->failed != 0 ? t->failed : BROKER_TOOBIG;
        return;
    }
    for (uint32_t now; n > 0 && t->failed == 0; n -= now) {
        now = n < BRI_SEQUENCE_WORDS ? (uint32_t)n : BRI_SEQUENCE_WORDS;
        (void)edit(t, s, pos, 0, words, now);
        pos += now;
        words += now;
    }
}

/* ---- merging ---- */

static uint32_t words_of(const struct bri_object *o, uint64_t child, uint32_t level)
{
    const struct bri_sequence_node_shm *node = level > 0 ? node_at(o, unit_of(child)) : NULL;

    if (level == 0)
        return count_of(child);
    return node != NULL ? node->n : UINT32_MAX;
}

/* Child number @at of @parent and the one after it become one, if they fit. */
static bool merge(struct bri_txn *t, struct bri_sequence_node_shm *parent, uint32_t at)
{
    const uint64_t *pair = &parent->words[at];
    uint32_t level = parent->level - 1;
    uint32_t n = words_of(t->o, pair[0], level), more = words_of(t->o, pair[1], level);
    const struct bri_sequence_node_shm *left = node_at(t->o, unit_of(pair[0]));
    const struct bri_sequence_node_shm *right = node_at(t->o, unit_of(pair[1]));
    uint64_t words[BRI_SEQUENCE_WORDS];
    uint32_t behind = parent->n - at - 2;

    if (n > BRI_SEQUENCE_WORDS || more > BRI_SEQUENCE_WORDS || n + more > MERGED_MAX ||
        left == NULL || right == NULL)
        return false;
    memcpy(words, left->words, n * sizeof(words[0]));
    memcpy(words + n, right->words, more * sizeof(words[0]));
    free_node(t, unit_of(pair[0]));
    free_node(t, unit_of(pair[1]));
    bri_set64(t, &parent->words[at], new_node(t, level, words, n + more));
    memcpy(words, pair + 2, behind * sizeof(words[0]));
    if (behind > 0)
        bri_set_bytes(t, &parent->words[at + 1], words, behind * sizeof(words[0]));
    bri_set32(t, &parent->n, parent->n - 1);
    return t->failed == 0;
}

/* Merges the child that has *@pos with a neighbour, if that can be. Its number, *@pos becoming that
 * within it. */
static uint32_t merge_around(struct bri_txn *t, struct bri_sequence_node_shm *parent, uint64_t *pos)
{
    uint32_t at = 0;
    uint64_t child = child_with(parent, pos, &at);

    if (child == 0) {
        (void)BRI_DAMAGED(t);
        return 0;
    }
    if (at + 1 < parent->n && merge(t, parent, at))
        return at;
    if (at > 0 && t->failed == 0) {
        uint32_t left = count_of(parent->words[at - 1]);

        if (merge(t, parent, at - 1)) {
            *pos += left;
            return at - 1;
        }
    }
    return at;
}

/*
 * Merges nodes on the way to @pos with their neighbours, from the top down: what two nodes have in
 * the middle, where elements were removed, are neighbours when these have become one.
 */
static void tidy(struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos)
{
    uint32_t unit = top_unit(s->root), at;
    struct bri_sequence_node_shm *node;

    if (pos >= s->n_elements)
        pos = s->n_elements - 1;
    for (uint32_t level = height_of(s->root); level-- > 1 && t->failed == 0;) {
        node = node_at(t->o, unit);
        if (node == NULL || node->level != level || node->n > BRI_SEQUENCE_WORDS) {
            (void)BRI_DAMAGED(t);
            return;
        }
        at = merge_around(t, node, &pos);
        if (t->failed != 0)
            return;
        if (node->n == 1 && unit == top_unit(s->root)) {
            bri_set64(t, &s->root, root_word(level, unit_of(node->words[0])));
            free_node(t, unit);
        }
        unit = unit_of(node->words[at]);
    }
}

/* ---- removing, replacing ---- */

void bri_element_free(struct bri_txn *t, uint64_t element)
{
    if (!bri_element_is_inline(element))
        bri_free(t, bri_element_off(element));
}

/* Takes away every @step-th of the leaf's @n words, the first one first, but no more than @most,
 * and frees their values. What is left up to the last one taken goes to @kept; how many were taken.
 */
static uint32_t thin_out(struct bri_txn *t, const uint64_t *words, uint32_t n, uint64_t step,
    uint64_t most, uint64_t *kept)
{
    uint32_t taken = 0, n_kept = 0;

    for (uint32_t i = 0; i < n && taken < most; i++) {
        if (i == taken * step) {
            bri_element_free(t, words[i]);
            taken++;
        } else {
            kept[n_kept++] = words[i];
        }
    }
    return taken;
}

void bri_sequence_remove(
    struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, uint64_t step, uint64_t n)
{
    uint64_t kept[BRI_SEQUENCE_WORDS];
    uint32_t taken, span, in_leaf;
    bool leaf_gone = false;
    struct bri_run leaf;

    while (n > 0 && t->failed == 0) {
        const uint64_t *words = bri_sequence_at(t->o, s, pos, &leaf);

        if (words == NULL) {
            (void)BRI_DAMAGED(t);
            return;
        }
        taken = thin_out(t, words, (uint32_t)(leaf.pos + leaf.n - pos), step, n, kept);
        span = (uint32_t)((taken - 1) * step) + 1;
        in_leaf = edit(t, s, pos, span, kept, span - taken);
        n -= taken;
        pos += taken * (step - 1);
        leaf_gone |= in_leaf == 0;
        if (in_leaf > 0 && in_leaf <= SMALL && t->failed == 0)
            tidy(t, s, pos);
    }
    if (leaf_gone && t->failed == 0 && s->n_elements > 0)
        tidy(t, s, pos);
}

void bri_sequence_set(struct bri_txn *t, struct bri_sequence_shm *s, uint64_t pos, uint64_t element)
{
    struct bri_run leaf;
    const uint64_t *word = bri_sequence_at(t->o, s, pos, &leaf);

    if (word == NULL) {
        (void)BRI_DAMAGED(t);
        return;
    }
    bri_element_free(t, *word);
    count(t, s, 0, (int64_t)bri_element_size(element) - bri_element_size(*word));
    bri_set64(t, (uint64_t *)(uintptr_t)word, element);
}

/* ---- the whole ---- */

static void free_nodes(struct bri_txn *t, uint32_t unit, uint32_t level, uint64_t *left)
{
    const struct bri_sequence_node_shm *node = node_at(t->o, unit);

    if (node == NULL || node->level != level || node->n > BRI_SEQUENCE_WORDS || (*left)-- == 0) {
        (void)BRI_DAMAGED(t);
        return;
    }
    for (uint32_t i = 0; level > 0 && i < node->n && t->failed == 0; i++)
        free_nodes(t, unit_of(node->words[i]), level - 1, left);
    if (t->failed == 0)
        free_node(t, unit);
}

/* What the collector would have met further on may come to be before its place: it need not look
 * any more. */
static void keep_all(struct bri_txn *t, const uint64_t *words, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *bytes = bri_element_bytes(t->o, &words[i]);

        if (bytes != NULL)
            bri_refs_moved(t->o, bytes, bri_element_size(words[i]));
    }
    bri_set64(t, &t->o->slot->scan, BRI_SCAN_END);
}

void bri_sequence_refs(
    const struct bri_object *o, const struct bri_sequence_shm *s, struct bri_collect_look *look)
{
    struct bri_run leaf;
    const uint64_t *words = NULL;

    if (look->scan < s->n_elements)
        words = bri_sequence_at(o, s, look->scan, &leaf);
    if (words == NULL) {
        look->scan = BRI_SCAN_END;
        return;
    }
    for (uint64_t left = leaf.pos + leaf.n - look->scan; left > 0; left--, words++) {
        const uint8_t *bytes = bri_element_bytes(o, words);

        if (bytes != NULL)
            bri_refs_look(look, bytes, bri_element_size(*words));
        look->scan++;
    }
}

void bri_sequence_rearrange(struct bri_txn *t, struct bri_sequence_shm *s, const uint64_t *words)
{
    uint64_t n = s->n_elements, left = t->o->arena->size / sizeof(struct bri_sequence_node_shm);
    uint64_t root = s->root;

    if (root == 0)
        return;
    if (bri_scan_of(t))
        keep_all(t, words, n);
    bri_set64(t, &s->root, 0);
    bri_set64(t, &s->n_elements, 0);
    bri_set64(t, &s->n_bytes, 0);
    bri_sequence_insert(t, s, 0, words, n);
    if (t->failed == 0)
        free_nodes(t, top_unit(root), height_of(root) - 1, &left);
}

void bri_sequence_clear(struct bri_txn *t, struct bri_sequence_shm *s)
{
    bri_heap_clear(t);
    bri_set64(t, &s->root, 0);
    bri_set64(t, &s->n_elements, 0);
    bri_set64(t, &s->n_bytes, 0);
    bri_set64(t, &s->n_changes, s->n_changes + 1);
}

/* ---- audit ---- */

struct check {
    const struct bri_object *o;
    struct bri_audit *audit;
    uint64_t n_elements, n_bytes;
    uint64_t n_nodes_left; /* of as many as fit into the arena: the bound of the walk */
};

static void audit_element(struct check *c, uint64_t element)
{
    uint32_t size = bri_element_size(element);

    c->n_elements++;
    c->n_bytes += size;
    if (bri_element_is_inline(element)) {
        if (size == 0 || (element & 0xf0) != 0)
            bri_audit_fail(c->audit, c->o, "element number %llu has no value",
                (unsigned long long)c->n_elements - 1);
        return;
    }
    if (size <= BRI_ELEMENT_INLINE || size > BRI_ELEMENT_MAX ||
        bri_block_capacity(c->o, bri_element_off(element)) < size) {
        bri_audit_fail(c->audit, c->o, "element number %llu is not within a block",
            (unsigned long long)c->n_elements - 1);
        return;
    }
    bri_audit_block(c->audit, c->o, bri_element_off(element));
}

/* False where there is no sense in going on. */
static bool audit_node(struct check *c, uint64_t child, uint32_t level)
{
    const struct bri_sequence_node_shm *node = node_at(c->o, unit_of(child));
    uint64_t off = (uint64_t)unit_of(child) << BRI_UNIT_SHIFT, before = c->n_elements;
    uint32_t n;

    if (node == NULL || bri_block_capacity(c->o, off) < sizeof(*node) || c->n_nodes_left-- == 0)
        return false;
    bri_audit_block(c->audit, c->o, off);
    n = level == 0 ? count_of(child) : node->n;
    if (node->level != level || n == 0 || n > BRI_SEQUENCE_WORDS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (level == 0)
            audit_element(c, node->words[i]);
        else if (!audit_node(c, node->words[i], level - 1))
            return false;
    }
    if (c->n_elements - before != count_of(child))
        bri_audit_fail(c->audit, c->o, "%llu elements below a node, but its count says %u",
            (unsigned long long)(c->n_elements - before), count_of(child));
    return true;
}

void bri_sequence_audit(
    const struct bri_object *o, const struct bri_sequence_shm *s, struct bri_audit *audit)
{
    struct check c = {.o = o,
        .audit = audit,
        .n_nodes_left = o->arena->size / sizeof(struct bri_sequence_node_shm)};
    uint32_t height = height_of(s->root);

    if (height > BRI_SEQUENCE_HEIGHT || (height == 0) != (s->root == 0)) {
        bri_audit_fail(audit, o, "the tree of elements has height %u", height);
        return;
    }
    if (height > 0 && !audit_node(&c, top_of(s), height - 1)) {
        bri_audit_fail(audit, o, "the tree of elements is broken at element number %llu",
            (unsigned long long)c.n_elements);
        return;
    }
    if (c.n_elements != s->n_elements || c.n_bytes != s->n_bytes)
        bri_audit_fail(audit, o, "%llu elements of %llu bytes, but the counts say %llu of %llu",
            (unsigned long long)c.n_elements, (unsigned long long)c.n_bytes,
            (unsigned long long)s->n_elements, (unsigned long long)s->n_bytes);
}
