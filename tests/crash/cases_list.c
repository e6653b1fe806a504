/*
 * cases_list.c - start states and operations of the list
 *
 * Every start state but the empty ones and those to be sorted has numbers, with a value that has
 * pages of its own in second place and a text in third. Elements that are appended one by one fill
 * one leaf after the other, a leaf having as many words as a node.
 */
#include <string.h>

#include <broker.h>

#include "cases.h"
#include "engine_ops.h"
#include "objects/sequence.h"
#include "value/value.h"

#define LEAF ((int)BRI_SEQUENCE_WORDS)
#define SMALL (LEAF / 4) /* with so many words a node looks for a neighbour to merge with */
#define LARGE 5000u
#define NOTE 500u
#define BULK (BRI_SEQUENCE_WORDS + 5)
#define LONG_NUMBER (INT64_C(1) << 40)

static uint8_t large[LARGE], note[NOTE];

/* The operations themselves are not to spend instructions on these. */
static broker_buffer out;
static uint8_t three[3100], bulk[BULK + 5];
static size_t three_size, bulk_size;

static struct bri_handle *list_of(struct actor *who)
{
    return &who->handles[LIST];
}

void list_make_arguments(void)
{
    crash_make_buffer(&out, 2 * LARGE);
    three_size = bri_array_header(3, three);
    three_size += bri_value_encode(broker_int(1), three + three_size);
    three_size += bri_value_encode(broker_bin(large, 3000), three + three_size);
    three_size += bri_value_encode(broker_str("the third"), three + three_size);
    bulk_size = bri_array_header(BULK, bulk);
    for (int i = 0; i < (int)BULK; i++)
        bulk_size += bri_value_encode(broker_int(i), bulk + bulk_size);
}

void list_free_arguments(void)
{
    broker_buffer_free(&out);
}

/* ---- start states ---- */

static void put(struct world *w, broker_value value)
{
    MUST(bri_list_append(list_of(&w->actors[PEER]), value));
}

static void cut(struct world *w, int start, int stop)
{
    MUST(bri_list_delete_slice(list_of(&w->actors[PEER]), start, stop, 1));
}

static void open_list(struct world *w, uint64_t quota_bytes)
{
    world_open_list(w, PEER, quota_bytes);
    world_open_list(w, VICTIM, quota_bytes);
}

static void fill(struct world *w, int n)
{
    open_list(w, 0);
    put(w, broker_int(0));
    put(w, broker_bin(large, LARGE));
    put(w, broker_strn((const char *)note, NOTE));
    for (int i = 3; i < n; i++)
        put(w, broker_int(i % 100));
}

static void empty(struct world *w)
{
    open_list(w, 0);
}

static void emptied(struct world *w)
{
    fill(w, 2 * LEAF);
    cut(w, 0, 2 * LEAF);
}

static void few(struct world *w)
{
    fill(w, 5);
}

static void leaf_full(struct world *w)
{
    fill(w, LEAF);
}

/* A full leaf, and one that is not. */
static void several(struct world *w)
{
    fill(w, LEAF + 20);
}

/* Two leaves that are merged as soon as one loses an element. */
static void thin(struct world *w)
{
    fill(w, 2 * LEAF);
    cut(w, SMALL + 1, LEAF);
    cut(w, 2 * (SMALL + 1), BRI_PAGE_SIZE);
}

/* No page with memory behind it is free: what needs one has the arena grow, and is done a second
 * time. */
static void exhausted(struct world *w)
{
    fill(w, LEAF);
    world_exhaust(w);
}

/* A full top node over full leaves: one more element, and the tree is higher. */
static void top_full(struct world *w)
{
    fill(w, LEAF * LEAF);
}

/* The same one level higher and back: one element less, and its leaf goes, and the top with it. */
static void top_alone(struct world *w)
{
    fill(w, LEAF * LEAF + 1);
}

/* There is no room for a large value any more. */
static void tight(struct world *w)
{
    open_list(w, 16 * 1024);
    for (int i = 0; i < 5; i++)
        put(w, broker_int(i));
    put(w, broker_bin(large, LARGE));
}

static void tight_leaf_full(struct world *w)
{
    tight(w);
    for (int i = 6; i < LEAF; i++)
        put(w, broker_int(i));
}

/* ---- start states to be sorted ---- */

/* Rising numbers, but with the second half first: so there is little to compare. Some have blocks
 * of their own. */
static void turn(struct world *w, int n)
{
    open_list(w, 0);
    for (int i = 0; i < n; i++) {
        int number = (i + n / 2) % n;

        put(w, broker_int(number > n - 4 ? LONG_NUMBER + number : number));
    }
}

static void turned_two(struct world *w)
{
    turn(w, 2);
}

static void turned_three(struct world *w)
{
    turn(w, 3);
}

static void turned_few(struct world *w)
{
    turn(w, 12);
}

static void turned_leaves(struct world *w)
{
    turn(w, LEAF + 5);
}

static void turned_exhausted(struct world *w)
{
    turn(w, 12);
    world_exhaust(w);
}

/* ---- the lists ---- */

#define STATE(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

const struct crash_state list_any[7] = {STATE(empty), STATE(emptied), STATE(few), STATE(leaf_full),
    STATE(several), STATE(thin), STATE(exhausted)};
const struct crash_state list_filled[5] = {
    STATE(few), STATE(leaf_full), STATE(several), STATE(thin), STATE(exhausted)};
const struct crash_state list_high[2] = {STATE(top_full), STATE(top_alone)};
const struct crash_state list_tight[2] = {STATE(tight), STATE(tight_leaf_full)};
const struct crash_state list_turned[5] = {STATE(turned_two), STATE(turned_three),
    STATE(turned_few), STATE(turned_leaves), STATE(turned_exhausted)};

/* ---- operations on one element ---- */

int list_append(struct actor *who)
{
    return bri_list_append(list_of(who), broker_int(1));
}

int list_append_block(struct actor *who)
{
    return bri_list_append(list_of(who), broker_bin(note, 100));
}

int list_append_large(struct actor *who)
{
    return bri_list_append(list_of(who), broker_bin(large, LARGE));
}

int list_insert_first(struct actor *who)
{
    return bri_list_insert(list_of(who), 0, broker_int(1));
}

int list_insert(struct actor *who)
{
    return bri_list_insert(list_of(who), 4, broker_int(1));
}

int list_set(struct actor *who)
{
    return bri_list_set(list_of(who), -1, broker_int(1));
}

int list_set_longer(struct actor *who)
{
    return bri_list_set(list_of(who), 2, broker_bin(note, NOTE));
}

int list_set_large(struct actor *who)
{
    return bri_list_set(list_of(who), 0, broker_bin(large, LARGE));
}

int list_set_small_over(struct actor *who)
{
    return bri_list_set(list_of(who), 1, broker_int(1));
}

int list_delete_first(struct actor *who)
{
    return bri_list_delete(list_of(who), 0);
}

int list_delete_last(struct actor *who)
{
    return bri_list_delete(list_of(who), -1);
}

int list_delete_large(struct actor *who)
{
    return bri_list_delete(list_of(who), 1);
}

int list_pop(struct actor *who)
{
    broker_value v;

    who->out = &out;
    return bri_list_pop(list_of(who), 2, &out, &v);
}

int list_remove(struct actor *who)
{
    return bri_list_remove(list_of(who), broker_strn((const char *)note, NOTE));
}

int list_add(struct actor *who)
{
    return bri_list_add(list_of(who), 0, LONG_NUMBER, &who->answer);
}

int list_compare_and_set(struct actor *who)
{
    return bri_list_compare_and_set(list_of(who), 0, broker_int(0), broker_bin(note, 20));
}

/* ---- operations on many ---- */

int list_extend(struct actor *who)
{
    return bri_list_extend(list_of(who), broker_packed(three, three_size));
}

int list_extend_bulk(struct actor *who)
{
    return bri_list_extend(list_of(who), broker_packed(bulk, bulk_size));
}

int list_set_slice(struct actor *who)
{
    return bri_list_set_slice(list_of(who), broker_packed(three, three_size), 1, 3, 1);
}

int list_set_slice_bulk(struct actor *who)
{
    return bri_list_set_slice(list_of(who), broker_packed(bulk, bulk_size), 2, -1, 1);
}

/* The elements 4, 2 and 0. */
int list_set_slice_step(struct actor *who)
{
    return bri_list_set_slice(
        list_of(who), broker_packed(three, three_size), 4, BROKER_OMITTED, -2);
}

int list_delete_slice(struct actor *who)
{
    return bri_list_delete_slice(list_of(who), 1, -1, 1);
}

int list_delete_slice_step(struct actor *who)
{
    return bri_list_delete_slice(list_of(who), BROKER_OMITTED, BROKER_OMITTED, 3);
}

int list_reverse(struct actor *who)
{
    return bri_list_reverse(list_of(who));
}

int list_sort(struct actor *who)
{
    return bri_list_sort(list_of(who), false, broker_nil());
}

int list_repeat(struct actor *who)
{
    return bri_list_repeat(list_of(who), 2);
}

int list_clear(struct actor *who)
{
    return bri_list_clear(list_of(who));
}
