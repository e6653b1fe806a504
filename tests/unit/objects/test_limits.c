/*
 * test_limits.c - too large, and full: the exact code, nothing changed, and usable again when there
 * is room
 */
#include "hand.h"

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "client/handle.h"
#include "conformance/words.h"
#include "support/gives.h"
#include "unit/core/lab.h"

static struct bri_arena *arena;
static broker *b;
static broker_dict *d;
static broker_queue *q;
static broker_buffer buffer = BROKER_BUFFER_INIT;

static void start(void)
{
    const broker_queue_options joinable = {.joinable = true};

    arena = lab_arena(MIB);
    b = hand_broker(arena);
    cr_assert_eq(broker_dict_open(b, "dict", NULL, &d), 0);
    cr_assert_eq(broker_queue_open(b, "queue", &joinable, &q), 0);
}

static void stop(void)
{
    lab_audit(arena);
    broker_buffer_free(&buffer);
    hand_free(b);
    bri_arena_unmap(arena);
    words_free();
}

TestSuite(limits, .init = start, .fini = stop, .timeout = 60);

/* ---- too large ---- */

/* Sizes are refused before anything is read: the bytes need not be there. */
Test(limits, values_that_are_larger_than_any_can_be)
{
    static const size_t sizes[] = {(size_t)1 << 30, ((size_t)1 << 30) + 1, UINT32_MAX, SIZE_MAX};
    broker_value v = broker_int(77);
    uint32_t used = lab_used(arena);
    const char *nothing = "";

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        broker_value large = broker_strn(nothing, sizes[i]), binary = broker_bin(nothing, sizes[i]);

        GIVES(broker_dict_set(d, broker_int(1), large), BROKER_TOOBIG);
        GIVES(broker_dict_set(d, broker_int(1), binary), BROKER_TOOBIG);
        GIVES(broker_dict_set_if(d, broker_int(1), large, 0), BROKER_TOOBIG);
        GIVES(broker_dict_get_and_set(d, broker_int(1), large, &buffer, &v, NULL), BROKER_TOOBIG);
        GIVES(broker_dict_compare_and_set(d, broker_int(1), broker_nil(), large), BROKER_TOOBIG);
        GIVES(broker_queue_put(q, large, BROKER_FOREVER), BROKER_TOOBIG);
        GIVES(broker_dict_set(d, large, broker_nil()), BROKER_TOOBIG);
        GIVES(broker_dict_get(d, large, &buffer, &v), BROKER_TOOBIG);
    }
    cr_assert_eq(v.i, 77);
    cr_assert_eq(lab_used(arena), used);
}

Test(limits, values_that_are_larger_than_the_arena_are_nomem)
{
    const size_t n = 3 * MIB;
    const char *text = filling(n, 0);
    uint32_t used = lab_used(arena);
    broker_value v;
    uint64_t size;

    GIVES(broker_dict_set(d, broker_int(1), broker_strn(text, n)), BROKER_NOMEM);
    GIVES(broker_dict_setdefault(d, broker_int(1), broker_strn(text, n), &buffer, &v, NULL),
        BROKER_NOMEM);
    GIVES(broker_queue_put(q, broker_strn(text, n), BROKER_FOREVER), BROKER_NOMEM);
    GIVES(broker_dict_len(d, &size), 0);
    cr_assert_eq(size, 0);
    GIVES(broker_queue_qsize(q, &size), 0);
    cr_assert_eq(size, 0);
    cr_assert_eq(lab_used(arena), used);
}

/* ---- a full arena ---- */

#define BLOCK 3000

/* Fills the arena with values of a dict of its own; how many there are. */
static int64_t fill(broker_dict **out_dict)
{
    const char *text = filling(BLOCK, 0);
    int64_t n = 0;
    int r;

    cr_assert_eq(broker_dict_open(b, "filler", NULL, out_dict), 0);
    while ((r = broker_dict_set(*out_dict, broker_int(n), broker_strn(text, BLOCK))) == 0)
        n++;
    GIVES(r, BROKER_NOMEM);
    cr_assert_gt(n, 100);
    return n;
}

static const char *dict_text(void)
{
    broker_value v;
    int r = broker_dict_copy(d, &buffer, &v);

    return r < 0 ? broker_error_name(r) : text_of(v);
}

Test(limits, in_a_full_arena_a_change_that_needs_memory_is_nomem_and_changes_nothing)
{
    const char *text = filling(BLOCK, 1), *before = "{'a': 1, 'b': 'two'}";
    broker_dict *filler, *other = NULL;
    broker_queue *queue = NULL;
    uint32_t used;
    broker_value v = broker_int(77);
    uint64_t n;

    GIVES(broker_dict_update(d, value_of(before)), 0);
    GIVES(broker_queue_put_many(q, value_of("[1, 2]"), 0), 0);
    (void)fill(&filler);
    used = lab_used(arena);
    GIVES(broker_dict_set(d, broker_str("c"), broker_strn(text, BLOCK)), BROKER_NOMEM);
    GIVES(broker_dict_set(d, broker_str("a"), broker_strn(text, BLOCK)), BROKER_NOMEM);
    GIVES(broker_dict_set(d, broker_str("a"), broker_strn(text, 1500)), BROKER_NOMEM);
    GIVES(broker_dict_get_and_set(d, broker_str("b"), broker_strn(text, BLOCK), &buffer, &v, NULL),
        BROKER_NOMEM);
    GIVES(broker_dict_compare_and_set(d, broker_str("a"), broker_int(1), broker_strn(text, BLOCK)),
        BROKER_NOMEM);
    GIVES(broker_dict_setdefault(d, broker_str("c"), broker_strn(text, BLOCK), &buffer, &v, NULL),
        BROKER_NOMEM);
    GIVES(broker_queue_put(q, broker_strn(text, BLOCK), BROKER_FOREVER), BROKER_NOMEM);
    GIVES(broker_dict_open(b, "new", NULL, &other), BROKER_NOMEM);
    GIVES(broker_queue_open(b, "new", NULL, &queue), BROKER_NOMEM);
    cr_assert(other == NULL && queue == NULL && v.i == 77);
    cr_assert_str_eq(dict_text(), before);
    GIVES(broker_queue_qsize(q, &n), 0);
    cr_assert_eq(n, 2);
    cr_assert_eq(lab_used(arena), used);
}

/* Many at once: all or none, also when memory ends in the middle, of the objects or of the journal.
 */
Test(limits, in_a_full_arena_bulk_changes_are_all_or_none)
{
    enum { N = 1000 };
    uint8_t *map = words_keep(3 + N * 6), *to = map;
    broker_dict *filler;
    const char *before;
    broker_value v;
    uint64_t n;

    *to++ = 0xde;
    *to++ = N >> 8;
    *to++ = N & 0xff;
    for (int i = 0; i < N; i++) {
        *to++ = 0xcd;
        *to++ = (uint8_t)(i >> 8);
        *to++ = (uint8_t)i;
        *to++ = 0xcd;
        *to++ = 1;
        *to++ = 2;
    }
    v = broker_packed(map, (size_t)(to - map));
    GIVES(broker_dict_update(d, value_of("{'a': 1, 7: 1, 900: 5}")), 0);
    before = dict_text();
    (void)fill(&filler);
    GIVES(broker_dict_update(d, v), BROKER_NOMEM);
    GIVES(broker_dict_add_many(d, v, broker_str("once")), BROKER_NOMEM);
    cr_assert_str_eq(dict_text(), before);
    map[0] = 0xdc; /* as an array: the keys and values alone */
    GIVES(broker_queue_put_many(q, broker_packed(map, 3 + N * 3), 0), BROKER_NOMEM);
    GIVES(broker_queue_qsize(q, &n), 0);
    cr_assert_eq(n, 0);
    GIVES(broker_destroy(b, "filler"), 0);
    GIVES(broker_queue_put_many(q, broker_packed(map, 3 + N * 3), 0), 0);
    map[0] = 0xde;
    GIVES(broker_dict_update(d, v), 0);
    GIVES(broker_dict_len(d, &n), 0);
    cr_assert_eq(n, N + 1);
}

/* What gives memory back must not need any. */
Test(limits, in_a_full_arena_reading_and_removing_go_on)
{
    const char *text = filling(BLOCK, 0);
    broker_dict *filler;
    broker_value k, v;
    int64_t n, total;

    GIVES(broker_dict_update(d, value_of("{'a': 1, 'b': 'two', 'c': 3, 'd': 4}")), 0);
    GIVES(broker_queue_put_many(q, value_of("[1, 2, 3]"), 0), 0);
    GIVES(broker_queue_put(q, broker_strn(text, BLOCK), 0), 0);
    n = fill(&filler);
    GIVES(broker_dict_get(filler, broker_int(n - 1), &buffer, &v), 0);
    cr_assert(v.size == BLOCK && memcmp(v.data, text, BLOCK) == 0);
    GIVES(broker_dict_set(d, broker_str("a"), broker_int(2)), 0);
    GIVES(broker_dict_add(d, broker_str("c"), 1, &total), 0);
    GIVES(broker_dict_delete(d, broker_str("b")), 0);
    GIVES(broker_dict_pop(d, broker_str("a"), &buffer, &v), 0);
    GIVES(broker_dict_popitem(d, &buffer, &k, &v), 0);
    cr_assert_str_eq(dict_text(), "{'c': 4}");
    GIVES(broker_dict_clear(d), 0);
    for (int i = 0; i < 4; i++) {
        GIVES(broker_queue_get(q, 0, &buffer, &v), 0);
        GIVES(broker_queue_task_done(q), 0);
    }
    cr_assert_eq(v.size, 0 + BLOCK);
    GIVES(broker_queue_join(q, 0), 0);
    GIVES(broker_queue_shutdown(q), 0);
    GIVES(broker_dict_delete(filler, broker_int(0)), 0);
    GIVES(broker_dict_set(filler, broker_int(0), broker_strn(text, BLOCK)), 0);
    GIVES(broker_dict_clear(filler), 0);
    GIVES(broker_dict_set(filler, broker_int(0), broker_strn(text, BLOCK)), 0);
}

Test(limits, a_full_arena_is_usable_again_after_deletes)
{
    const char *text = filling(100000, 0);
    broker_dict *filler;
    int64_t n = fill(&filler);
    broker_value v;

    GIVES(broker_queue_put(q, broker_strn(text, 100000), 0), BROKER_NOMEM);
    for (int64_t i = 0; i < n; i++)
        GIVES(broker_dict_delete(filler, broker_int(i)), 0);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++)
            GIVES(broker_queue_put(q, broker_strn(text, 100000), 0), 0);
        for (int i = 0; i < 4; i++) {
            GIVES(broker_queue_get(q, 0, &buffer, &v), 0);
            GIVES(broker_queue_task_done(q), 0);
        }
    }
    GIVES(broker_destroy(b, "filler"), 0);
    cr_assert_geq(
        fill(&filler), n - 8, "but for what the queue keeps in reserve, the same fits again");
}

/* Small objects: as many as there is room for, then NOMEM, and none half made. */
Test(limits, a_full_arena_takes_no_more_objects)
{
    broker_lock *l = NULL;
    broker_value v;
    char name[32];
    int n = 0, r;

    for (;;) {
        (void)snprintf(name, sizeof(name), "lock %d", n);
        r = broker_lock_open(b, name, NULL, &l);
        if (r < 0)
            break;
        broker_lock_close(l);
        n++;
    }
    GIVES(r, BROKER_NOMEM);
    cr_assert_gt(n, 500);
    GIVES(broker_stat(b, name, &buffer, &v), BROKER_NOTFOUND);
    GIVES(broker_destroy(b, "lock 0"), 0);
    GIVES(broker_lock_open(b, name, NULL, &l), 0);
    broker_lock_close(l);
}
