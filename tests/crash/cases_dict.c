/*
 * cases_dict.c - start states and operations of the dict
 *
 * Every start state but the empty one has the keys "a", "m" and "z", first, in the middle and last,
 * with small numbers, "big" with a value that has pages of its own, and "note" with a text. Entries
 * of short keys and numbers are blocks of 32 bytes, of which a slab has 126.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "cases.h"
#include "engine_ops.h"
#include "objects/dict.h"
#include "value/value.h"

#define SLAB 126u
#define BUCKETS 1024u /* of the first segment */
#define LARGE 5000u
#define NOTE 500u

static uint8_t large[LARGE];
static char note[NOTE];

static struct bri_handle *dict_of(struct actor *who)
{
    return &who->handles[DICT];
}

/* ---- start states ---- */

static void put(struct world *w, const char *key, broker_value value)
{
    MUST(bri_dict_set(dict_of(&w->actors[PEER]), broker_str(key), value));
}

static void drop(struct world *w, const char *key)
{
    MUST(bri_dict_delete(dict_of(&w->actors[PEER]), broker_str(key)));
}

static broker_value note_of(char letter)
{
    memset(note, letter, NOTE);
    return broker_strn(note, NOTE);
}

static const char *filler(unsigned i)
{
    static char key[16];

    (void)snprintf(key, sizeof(key), "k%04u", i);
    return key;
}

static void open_dict(struct world *w, uint64_t quota_bytes)
{
    world_open_dict(w, PEER, quota_bytes);
    world_open_dict(w, VICTIM, quota_bytes);
}

/* A dict with @n_small entries in small blocks, "a", "m" and "z" among them, and one large one. */
static void fill_within(struct world *w, unsigned n_small, uint64_t quota_bytes)
{
    open_dict(w, quota_bytes);
    put(w, "a", broker_int(1));
    for (unsigned i = 3; i < n_small; i++) {
        if (i == (n_small + 3) / 2)
            put(w, "m", broker_int(2));
        put(w, filler(i), broker_int(i % 100));
    }
    if (n_small <= 3)
        put(w, "m", broker_int(2));
    put(w, "big", broker_bin(large, LARGE));
    put(w, "note", note_of('x'));
    put(w, "z", broker_int(3));
}

static void fill(struct world *w, unsigned n_small)
{
    fill_within(w, n_small, 0);
}

static void empty(struct world *w)
{
    open_dict(w, 0);
}

static void few(struct world *w)
{
    fill(w, 3);
}

/* Keys whose bytes as they were given are not their canonical ones, and values of other kinds. */
static void typed(struct world *w)
{
    fill(w, 3);
    put(w, "text", broker_str("some text"));
    MUST(bri_dict_set(dict_of(&w->actors[PEER]), broker_bool(true), broker_nil()));
    MUST(bri_dict_set(dict_of(&w->actors[PEER]), broker_double(2.0), broker_double(0.5)));
}

/* The next entry takes the last block of its slab. */
static void slab_last(struct world *w)
{
    fill(w, SLAB - 1);
}

/* The next entry needs a new slab. */
static void slab_full(struct world *w)
{
    fill(w, SLAB);
}

/* Two slabs have free blocks, and the entry of "z" is alone in one: without it that one goes. */
static void slab_alone(struct world *w)
{
    fill(w, SLAB + 1);
    drop(w, filler(5));
}

/* No page with memory behind it is free: what needs one has the arena grow, and is done a second
 * time. */
static void exhausted(struct world *w)
{
    fill(w, SLAB);
    world_exhaust(w);
}

static uint64_t n_buckets(const struct world *w)
{
    return bri_dict_table(&w->actors[PEER].handles[DICT].object)->n_buckets;
}

/* How many entries a dict has when it gets its bucket number @n: it is asked, since how full
 * buckets are is its own matter. */
static unsigned entries_for(uint64_t n)
{
    static unsigned known[2][2]; /* the world is always the same */
    struct world w;
    unsigned i = 0;

    for (unsigned k = 0; k < 2; k++)
        if (known[k][0] == n)
            return known[k][1];
    world_new(&w, 1);
    fill(&w, 3);
    for (; n_buckets(&w) < n; i++)
        put(&w, filler(i), broker_int(1));
    world_free(&w);
    memmove(known[1], known[0], sizeof(known[0]));
    known[0][0] = (unsigned)n;
    return known[0][1] = i + 3;
}

/* The next entry splits a bucket and needs a second segment, so a higher tree. */
static void split(struct world *w)
{
    fill(w, entries_for(BUCKETS + 1) - 1);
}

/* The same in the middle of the second segment. */
static void split_again(struct world *w)
{
    fill(w, entries_for(BUCKETS + 4) - 1);
}

/* A dict that had @n buckets, and so few entries that with the next removal no more than @left are
 * left. */
static void shrink(struct world *w, uint64_t n, uint64_t left)
{
    unsigned n_entries = entries_for(n), n_dropped = 0;
    struct world scratch;

    world_new(&scratch, 1);
    fill(&scratch, n_entries);
    while (n_buckets(&scratch) > left)
        drop(&scratch, filler(3 + n_dropped++));
    world_free(&scratch);
    fill(w, n_entries);
    for (unsigned i = 0; i + 1 < n_dropped; i++)
        drop(w, filler(3 + i));
}

/* The next removal merges the last bucket of the second segment, which goes with it. */
static void merge(struct world *w)
{
    shrink(w, BUCKETS + 4, BUCKETS);
}

/* The next one merges some in the middle of the second segment. */
static void merge_again(struct world *w)
{
    shrink(w, BUCKETS + 40, BUCKETS + 30);
}

/* Nothing to do for buckets, but many entries in order. */
static void many(struct world *w)
{
    fill(w, 600);
}

/* A quota that leaves no page. How many such a dict needs, it says itself. */
static void tight(struct world *w, unsigned n_small)
{
    struct world other;
    uint64_t n_pages;

    world_new(&other, 1);
    fill(&other, n_small);
    n_pages = other.actors[PEER].handles[DICT].object.root->heap.n_pages;
    world_free(&other);
    fill_within(w, n_small, n_pages * BRI_PAGE_SIZE);
}

static void tight_at_once(struct world *w)
{
    tight(w, SLAB);
}

static void tight_after_one(struct world *w)
{
    tight(w, SLAB - 1);
}

static void tight_two_slabs(struct world *w)
{
    tight(w, 2 * SLAB);
}

static void tight_two_after_one(struct world *w)
{
    tight(w, 2 * SLAB - 1);
}

static void tight_split(struct world *w)
{
    tight(w, entries_for(BUCKETS + 1) - 2);
}

const struct crash_state dict_any[7] = {{"empty", empty}, {"few", few}, {"typed", typed},
    {"slab_last", slab_last}, {"slab_full", slab_full}, {"slab_alone", slab_alone},
    {"exhausted", exhausted}};
const struct crash_state dict_filled[5] = {{"few", few}, {"typed", typed}, {"slab_full", slab_full},
    {"slab_alone", slab_alone}, {"exhausted", exhausted}};
const struct crash_state dict_bulk[5] = {{"few", few}, {"typed", typed}, {"slab_last", slab_last},
    {"slab_full", slab_full}, {"exhausted", exhausted}};
const struct crash_state dict_sized[5] = {{"many", many}, {"split", split},
    {"split_again", split_again}, {"merge", merge}, {"merge_again", merge_again}};
const struct crash_state dict_tight[5] = {{"tight_at_once", tight_at_once},
    {"tight_after_one", tight_after_one}, {"tight_two_slabs", tight_two_slabs},
    {"tight_two_after_one", tight_two_after_one}, {"tight_split", tight_split}};

/* ---- operations ---- */

/* The operations themselves are not to spend instructions on these. */
static broker_buffer out;
static broker_value pairs_4, pairs_16, pairs_600, pairs_note;

/* A packed map of @n pairs: those of "a" and "m", then new ones; and before them a note, if it is
 * wanted. */
static broker_value map_of(unsigned n, bool with_note)
{
    uint8_t *bytes = malloc(16 * n + 2 * NOTE);
    size_t size;

    must(bytes == NULL ? BROKER_NOMEM : 0, "malloc");
    size = bri_map_header(n + with_note, bytes);
    if (with_note) {
        size += bri_value_encode(broker_str("note"), bytes + size);
        size += bri_value_encode(note_of('y'), bytes + size);
    }
    for (unsigned i = 0; i < n; i++) {
        const char *key = i == 0 ? "a" : i == 1 ? "m" : filler(9000 + i);

        size += bri_value_encode(broker_str(key), bytes + size);
        size += bri_value_encode(broker_int(10 * (int64_t)i), bytes + size);
    }
    return broker_packed(bytes, size);
}

void dict_make_arguments(void)
{
    crash_make_buffer(&out, 2 * LARGE);
    pairs_4 = map_of(4, false);
    pairs_16 = map_of(16, false);
    pairs_600 = map_of(600, false);
    pairs_note = map_of(4, true);
}

void dict_free_arguments(void)
{
    broker_buffer_free(&out);
    free((void *)(uintptr_t)pairs_4.data);
    free((void *)(uintptr_t)pairs_16.data);
    free((void *)(uintptr_t)pairs_600.data);
    free((void *)(uintptr_t)pairs_note.data);
}

int dict_set_new(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("n"), broker_int(50));
}

int dict_set_same(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("m"), broker_int(7));
}

int dict_set_longer(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("m"), broker_bin(large, 100));
}

int dict_set_large(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("n"), broker_bin(large, LARGE));
}

int dict_set_large_over(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("m"), broker_bin(large, LARGE));
}

int dict_set_small_over(struct actor *who)
{
    return bri_dict_set(dict_of(who), broker_str("big"), broker_int(8));
}

int dict_set_if(struct actor *who)
{
    uint64_t revision;
    broker_value v;
    int r = bri_dict_read(dict_of(who), broker_str("m"), &out, &v, &revision);

    return r < 0 ? r : bri_dict_set_if(dict_of(who), broker_str("m"), broker_int(9), revision);
}

int dict_delete_first(struct actor *who)
{
    return bri_dict_delete(dict_of(who), broker_str("a"));
}

int dict_delete_middle(struct actor *who)
{
    return bri_dict_delete(dict_of(who), broker_str("m"));
}

int dict_delete_last(struct actor *who)
{
    return bri_dict_delete(dict_of(who), broker_str("z"));
}

int dict_delete_large(struct actor *who)
{
    return bri_dict_delete(dict_of(who), broker_str("big"));
}

/* What came out, as the actor's answer. */
static int answer(struct actor *who, int r, broker_value v)
{
    if (r >= 0)
        who->answer = v.type == BROKER_INT ? v.i : (int64_t)v.size;
    return r;
}

int dict_pop(struct actor *who)
{
    broker_value v;
    int r = bri_dict_pop(dict_of(who), broker_str("m"), &out, &v);

    return answer(who, r, v);
}

int dict_popitem(struct actor *who)
{
    broker_value key, v;
    int r = bri_dict_popitem(dict_of(who), &out, &key, &v);

    return answer(who, r, v);
}

int dict_setdefault(struct actor *who)
{
    broker_value v;
    int r = bri_dict_setdefault(dict_of(who), broker_str("n"), broker_int(60), &out, &v, NULL);

    return answer(who, r, v);
}

int dict_get_and_set(struct actor *who)
{
    broker_value v;
    int r = bri_dict_get_and_set(dict_of(who), broker_str("m"), broker_int(61), &out, &v, NULL);

    return answer(who, r, v);
}

int dict_compare_and_set(struct actor *who)
{
    return bri_dict_compare_and_set(dict_of(who), broker_str("m"), broker_int(2), broker_int(62));
}

static int add(struct actor *who, const char *key, int64_t delta)
{
    int64_t total = 0;
    int r = bri_dict_add(dict_of(who), broker_str(key), delta, &total);

    return answer(who, r, broker_int(total));
}

int dict_add_new(struct actor *who)
{
    return add(who, "n", 5);
}

int dict_add_old(struct actor *who)
{
    return add(who, "m", 100000);
}

int dict_update(struct actor *who)
{
    return bri_dict_update(dict_of(who), pairs_4);
}

/* Each word of a text that is written over is an entry of the journal: the slot and the root page
 * have no room. */
int dict_update_note(struct actor *who)
{
    return bri_dict_update(dict_of(who), pairs_note);
}

int dict_update_16(struct actor *who)
{
    return bri_dict_update(dict_of(who), pairs_16);
}

/* More than the journal's first extent has room for. */
int dict_update_600(struct actor *who)
{
    return bri_dict_update(dict_of(who), pairs_600);
}

int dict_add_many(struct actor *who)
{
    return bri_dict_add_many(dict_of(who), pairs_4, broker_str("once"));
}

int dict_clear(struct actor *who)
{
    return bri_dict_clear(dict_of(who));
}
