/*
 * test_queue_in_place.c - large items that are written and read where they lie
 *
 * An engine without shared memory says that it cannot do it; the cases are over then.
 */
#include <stdint.h>
#include <string.h>

#include "conformance/kit.h"

TestSuite(in_place, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define HOUR (3600 * BROKER_SECOND)
#define A_MOMENT (20 * BROKER_MILLISECOND)
#define SIZE (UINT64_C(1) << 20)
#define PAGE 4096u

static const broker_queue_options joinable = {.joinable = true};
static const broker_queue_options lifo = {.lifo = true};
static const broker_queue_options priority = {.priority = true};
static const broker_queue_options twice = {.max_deliveries = 2};
static const broker_queue_options one_item = {.max_items = 1};
static const broker_queue_options *const orders[] = {NULL, &lifo, &priority};

static uint8_t *reserve(broker_queue *q, uint64_t size)
{
    void *memory = NULL;
    int r = broker_queue_reserve(q, size, &memory);

    if (r == BROKER_UNSUPPORTED)
        cr_skip_test("not in shared memory");
    OK(r);
    cr_assert_eq((uintptr_t)memory % 64, 0);
    return memory;
}

/* Each item has a byte of its own all over. */
static void put(broker_queue *q, uint8_t byte, uint64_t size)
{
    uint8_t *memory = reserve(q, size);

    memset(memory, byte, size);
    OK(broker_queue_commit(q, memory, size, 0));
}

static void expect(broker_value v, uint8_t byte, uint64_t size)
{
    const uint8_t *p = v.data;

    cr_assert_eq(v.type, BROKER_BIN);
    cr_assert_eq(v.size, size);
    cr_assert(
        size == 0 || (p[0] == byte && memcmp(p, p + 1, size - 1) == 0), "not %u all over", byte);
}

static broker_value lease(broker_queue *q, int64_t hold_ns, uint64_t *out_token)
{
    broker_value v;

    OK(broker_queue_lease_in_place(q, 0, hold_ns, &kit_buffer, &v, out_token, NULL));
    return v;
}

static uint64_t memory_of(const char *base)
{
    return kit_stat(kit_name(base), "bytes");
}

/* [2.3 C extras: large items in place] */
Test(in_place, what_was_written_in_place_is_read_in_place)
{
    for (size_t i = 0; i < 3; i++) {
        broker_queue *q = kit_queue((char[2]){(char)('a' + i), 0}, orders[i]);
        uint64_t token;
        broker_value v;

        put(q, 5, SIZE);
        v = lease(q, BROKER_FOREVER, &token);
        expect(v, 5, SIZE);
        cr_assert_eq((uintptr_t)v.data % 64, 0);
        cr_assert_eq(kit_buffer.size, 0, "it was copied");
        OK(broker_queue_done(q, token));
        GIVES(broker_queue_peek(q, &kit_buffer, &v), BROKER_EMPTY);
        cr_assert_eq(kit_stat(kit_name((char[2]){(char)('a' + i), 0}), "unfinished"), 0);
    }
}

/* Around the sizes at which the memory takes another page, or as many as a segment has. */
Test(in_place, items_of_any_size)
{
    static const uint64_t sizes[] = {0, 1, 200, 4031, 4032, 4033, 3 * PAGE - 64, 3 * PAGE - 63,
        4 * PAGE - 64, 4 * PAGE - 63, 5 * PAGE - 64, 5 * PAGE, 100000};
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(q, (uint8_t)i, sizes[i]);
        expect(lease(q, BROKER_FOREVER, &token), (uint8_t)i, sizes[i]);
        OK(broker_queue_return(q, token, 0));
        expect(lease(q, BROKER_FOREVER, &token), (uint8_t)i, sizes[i]);
        OK(broker_queue_done(q, token));
    }
}

/* Both roads lead to the same items. */
Test(in_place, copies_and_items_in_place_mix)
{
    static uint8_t bytes[100000];
    broker_queue *q = kit_queue("q", &joinable);
    uint64_t token;
    broker_value v;

    memset(bytes, 2, sizeof(bytes));
    put(q, 1, SIZE);
    OK(broker_queue_put(q, broker_bin(bytes, sizeof(bytes)), 0));
    OK(broker_queue_put(q, broker_str("three"), 0));
    OK(broker_queue_peek(q, &kit_buffer, &v));
    expect(v, 1, SIZE);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    expect(v, 1, SIZE);
    OK(broker_queue_task_done(q));
    expect(lease(q, BROKER_FOREVER, &token), 2, sizeof(bytes));
    OK(broker_queue_done(q, token));
    SAYS(lease(q, BROKER_FOREVER, &token), "'three'");
    cr_assert_gt(kit_buffer.size, 0, "a small one lies in the buffer");
    OK(broker_queue_done(q, token));
    OK(broker_queue_join(q, 0));
}

Test(in_place, an_item_may_be_smaller_than_what_was_reserved)
{
    broker_queue *q = kit_queue("q", NULL);
    uint8_t *memory = reserve(q, SIZE);
    uint64_t token;

    memset(memory, 3, 1000);
    GIVES(broker_queue_commit(q, memory, SIZE + PAGE, 0), BROKER_INVALID);
    OK(broker_queue_commit(q, memory, 1000, 0));
    expect(lease(q, BROKER_FOREVER, &token), 3, 1000);
}

Test(in_place, what_was_cancelled_is_given_back)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t before = memory_of("q");
    uint8_t *memory = reserve(q, SIZE);

    cr_assert_gt(memory_of("q"), before + SIZE);
    OK(broker_queue_cancel(q, memory));
    cr_assert_eq(memory_of("q"), before);
    OK(broker_queue_cancel(q, NULL));
}

/* [2.3 in place, edges] */
Test(in_place, only_reserved_memory_can_be_committed)
{
    broker_queue *q = kit_queue("q", NULL), *other = kit_queue("o", NULL);
    uint8_t *memory = reserve(q, 5000), *second;
    void *nothing = NULL;
    broker_value lent;

    GIVES(broker_queue_reserve(q, 1, NULL), BROKER_INVALID);
    GIVES(broker_queue_reserve(NULL, 1, &nothing), BROKER_INVALID);
    GIVES(broker_queue_reserve(q, UINT64_MAX, &nothing), BROKER_TOOBIG);
    GIVES(broker_queue_reserve(q, UINT64_C(1) << 30, &nothing), BROKER_TOOBIG);
    cr_assert_null(nothing);
    GIVES(broker_queue_commit(q, memory, 5000, -1), BROKER_INVALID);
    GIVES(broker_queue_commit(q, memory, UINT64_MAX, 0), BROKER_TOOBIG);
    GIVES(broker_queue_commit(q, memory + 1, 1, 0), BROKER_INVALID);
    GIVES(broker_queue_commit(q, memory + PAGE, 1, 0), BROKER_INVALID);
    GIVES(broker_queue_commit(q, &memory, 1, 0), BROKER_INVALID);
    GIVES(broker_queue_commit(q, NULL, 1, 0), BROKER_INVALID);
    GIVES(broker_queue_commit(other, memory, 1, 0), BROKER_INVALID);
    GIVES(broker_queue_cancel(other, memory), BROKER_INVALID);
    memset(memory, 1, 5000);
    OK(broker_queue_commit(q, memory, 5000, 0));
    GIVES(broker_queue_commit(q, memory, 10, 0), BROKER_INVALID);
    GIVES(broker_queue_cancel(q, memory), BROKER_INVALID);
    second = reserve(q, 5000);
    OK(broker_queue_cancel(q, second));
    GIVES(broker_queue_cancel(q, second), BROKER_INVALID);
    GIVES(broker_queue_commit(q, second, 1, 0), BROKER_INVALID);
    lent = lease(q, BROKER_FOREVER, &(uint64_t){0});
    expect(lent, 1, 5000);
    GIVES(broker_queue_commit(q, (void *)lent.data, 5000, 0), BROKER_INVALID);
    GIVES(broker_queue_cancel(q, (void *)lent.data), BROKER_INVALID);
}

Test(in_place, what_could_not_be_put_is_still_reserved)
{
    broker_queue *q = kit_queue("q", &one_item);
    uint8_t *memory = reserve(q, SIZE);
    uint64_t token;
    void *refused;
    broker_value v;

    memset(memory, 4, SIZE);
    OK(broker_queue_put(q, broker_int(1), 0));
    GIVES(broker_queue_commit(q, memory, SIZE, 0), BROKER_FULL);
    GIVES(broker_queue_commit(q, memory, SIZE, A_MOMENT), BROKER_TIMEDOUT);
    OK(broker_queue_get(q, 0, &kit_buffer, &v));
    OK(broker_queue_commit(q, memory, SIZE, 0));
    expect(lease(q, BROKER_FOREVER, &token), 4, SIZE);
    memory = reserve(q, SIZE);
    OK(broker_queue_shutdown(q));
    GIVES(broker_queue_reserve(q, 1, &refused), BROKER_CLOSED);
    GIVES(broker_queue_commit(q, memory, SIZE, 0), BROKER_CLOSED);
    OK(broker_queue_cancel(q, memory));
}

Test(in_place, limits_and_quota_hold)
{
    broker_queue_options small = {.max_bytes = 10000, .quota_bytes = 4 * SIZE};
    broker_queue *q = kit_queue("q", &small), *p = kit_queue("p", &priority);
    void *memory;
    broker_value v;

    (void)reserve(q, 10000 - 5);
    GIVES(broker_queue_reserve(q, 10000 - 4, &memory), BROKER_TOOBIG);
    OK(broker_queue_put(p, broker_int(1), 0));
    memory = reserve(p, 100);
    GIVES(broker_queue_commit(p, memory, 100, 0), BROKER_INCOMPARABLE);
    OK(broker_queue_get(p, 0, &kit_buffer, &v));
    memset(memory, 9, 100);
    OK(broker_queue_commit(p, memory, 100, 0));
    small.max_bytes = 0;
    q = kit_queue("r", &small);
    (void)reserve(q, 3 * SIZE);
    GIVES(broker_queue_reserve(q, 2 * SIZE, &memory), BROKER_QUOTA);
}

/* ---- leases ---- */

Test(in_place, a_lease_in_place_fails_as_a_lease_does)
{
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token = 7;
    broker_value v = broker_int(7);

    (void)reserve(q, 1);
    GIVES(broker_queue_lease_in_place(q, 0, HOUR, &kit_buffer, &v, &token, NULL), BROKER_EMPTY);
    GIVES(
        broker_queue_lease_in_place(q, 1000, HOUR, &kit_buffer, &v, &token, NULL), BROKER_TIMEDOUT);
    GIVES(broker_queue_lease_in_place(q, -1, HOUR, &kit_buffer, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease_in_place(q, 0, 0, &kit_buffer, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease_in_place(q, 0, HOUR, NULL, &v, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease_in_place(q, 0, HOUR, &kit_buffer, NULL, &token, NULL), BROKER_INVALID);
    GIVES(broker_queue_lease_in_place(q, 0, HOUR, &kit_buffer, &v, NULL, NULL), BROKER_INVALID);
    OK(broker_queue_shutdown(q));
    GIVES(broker_queue_lease_in_place(q, HOUR, HOUR, &kit_buffer, &v, &token, NULL), BROKER_CLOSED);
    cr_assert(token == 7 && v.i == 7, "an output was written");
}

Test(in_place, what_is_lent_can_be_returned_delayed_limited_and_die)
{
    broker_queue *q = kit_queue("q", &twice);
    uint64_t token, before = memory_of("q"), deliveries;
    broker_value v;

    put(q, 6, SIZE);
    expect(lease(q, A_MOMENT, &token), 6, SIZE);
    OK(broker_queue_lease_in_place(
        q, KIT_SOON, BROKER_FOREVER, &kit_buffer, &v, &token, &deliveries));
    cr_assert_eq(deliveries, 2);
    expect(v, 6, SIZE);
    OK(broker_queue_extend(q, token, HOUR));
    OK(broker_queue_return(q, token, 0));
    cr_assert_eq(kit_stat(kit_name("q"), "dead"), 1);
    OK(broker_queue_revive(q, 1, &(uint64_t){0}));
    (void)lease(q, HOUR, &token);
    OK(broker_queue_return(q, token, A_MOMENT));
    OK(broker_queue_lease_in_place(q, KIT_SOON, HOUR, &kit_buffer, &v, &token, NULL));
    expect(v, 6, SIZE);
    OK(broker_queue_return(q, token, 0));
    OK(broker_queue_take_dead(q, &kit_buffer, &v));
    expect(v, 6, SIZE);
    cr_assert_leq(memory_of("q"), before + 8 * PAGE, "its memory was not given back");
}

/* ---- the end of a queue ---- */

/* [2.3 in place, destroyed meanwhile] Others take all the memory there is; what is lent and what is
 * reserved stay as they are until the handle is closed. */
Test(in_place, memory_stays_when_the_queue_is_destroyed)
{
    broker_queue *q = kit_queue("q", NULL), *other;
    uint8_t *memory = reserve(q, SIZE);
    uint64_t token;
    broker_value v;

    put(q, 8, SIZE);
    v = lease(q, BROKER_FOREVER, &token);
    memset(memory, 9, SIZE);
    OK(broker_destroy(kit_broker, kit_name("q")));
    other = kit_queue("other", &(broker_queue_options){.quota_bytes = 24 * SIZE});
    for (int i = 0; i < 20; i++)
        put(other, 1, SIZE);
    expect(v, 8, SIZE);
    expect(broker_bin(memory, SIZE), 9, SIZE);
    memset(memory, 10, SIZE);
    GIVES(broker_queue_commit(q, memory, SIZE, 0), BROKER_GONE);
    GIVES(broker_queue_cancel(q, memory), BROKER_GONE);
    GIVES(broker_queue_done(q, token), BROKER_GONE);
    for (int i = 0; i < 20; i++) {
        expect(lease(other, BROKER_FOREVER, &token), 1, SIZE);
        OK(broker_queue_done(other, token));
    }
}

/* ---- the dead ---- */

static void die_with_both(struct line *parent, void *arg)
{
    uint64_t token;
    broker_queue *q;
    broker_value v;
    void *memory;
    broker *b;

    REQUIRE(broker_open(kit_address(), &b) == 0);
    REQUIRE(broker_queue_open(b, arg, NULL, &q) == 0);
    REQUIRE(broker_queue_reserve(q, SIZE, &memory) == 0);
    REQUIRE(broker_queue_lease_in_place(q, 0, BROKER_FOREVER, &kit_buffer, &v, &token, NULL) == 0);
    REQUIRE(v.size == SIZE);
    kit_tell(parent, 1);
    (void)kit_hear(parent);
}

/* [2.3 in place, killed in between] */
Test(in_place, what_a_dead_session_had_comes_back)
{
    const char *name = kit_name("q");
    broker_queue *q = kit_queue("q", NULL);
    uint64_t token, before, deliveries;
    struct line line;
    broker_value v;

    put(q, 7, SIZE);
    before = memory_of("q");
    line = kit_fork(die_with_both, (void *)name);
    (void)kit_hear(&line);
    cr_assert_gt(memory_of("q"), before + SIZE);
    kit_kill(&line);
    OK(broker_queue_lease_in_place(
        q, KIT_SOON, BROKER_FOREVER, &kit_buffer, &v, &token, &deliveries));
    expect(v, 7, SIZE);
    cr_assert_eq(deliveries, 2);
    kit_await(name, "bytes", before);
}

/* A child has the memory of its parent mapped, but what the parent reserved is not the child's. */
static void commit_the_parents(struct line *parent, void *arg)
{
    void **both = arg;

    REQUIRE(broker_queue_commit(both[0], both[1], 1, 0) == BROKER_INVALID);
    REQUIRE(broker_queue_cancel(both[0], both[1]) == BROKER_INVALID);
    (void)parent;
}

Test(in_place, a_child_cannot_commit_what_its_parent_reserved)
{
    broker_queue *q = kit_queue("q", NULL);
    uint8_t *memory = reserve(q, 5000);
    void *both[] = {q, memory};
    struct line line = kit_fork(commit_the_parents, both);

    kit_end(&line);
    OK(broker_queue_commit(q, memory, 5000, 0));
}
