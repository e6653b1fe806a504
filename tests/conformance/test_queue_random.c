/*
 * test_queue_random.c - random operations on queues and on a naive model of one, compared
 *
 * $BROKER_TEST_SEED chooses other operations; a failure says which seed it was.
 */
#include "conformance/kit.h"

#include "unit/value/random.h"

TestSuite(queue_random, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define INT(number) broker_int(number)
#define OPERATIONS 5000
#define MODEL_MAX 100000

/*
 * An item is a number and so many bytes after it; the model keeps what was put, in order, and where
 * the leases end. One consumer: what it gives back by closing the queue are its oldest items, so
 * the queue is always a tail of this.
 */
static struct {
    uint32_t size[MODEL_MAX]; /* bytes of the string */
    uint64_t n_put, n_taken;  /* taken: those before are leased, done, or (on a plain queue) gone */
    uint64_t n_done;          /* of those that were taken */
    uint64_t unfinished;
    uint64_t bytes; /* of those that can be taken */
} model;

static struct random rng;
static uint64_t seed;
static const char *text;

static uint64_t packed_size(uint32_t n)
{
    return n + (n < 32 ? 1 : n < 256 ? 2 : n < 65536 ? 3 : 5);
}

static uint32_t some_size(void)
{
    switch (random_below(&rng, 10)) {
    case 0:
        return (uint32_t)random_below(&rng, 60000);
    case 1:
    case 2:
        return 1800 + (uint32_t)random_below(&rng, 500);
    default:
        return (uint32_t)random_below(&rng, 200);
    }
}

static void same(const char *what, int r, int expected)
{
    if (r != expected)
        cr_assert_fail("seed %llu: %s gave %s, the model %s", (unsigned long long)seed, what,
            broker_error_name(r), broker_error_name(expected));
}

/* Item number @number of the model. */
static void same_item(const char *what, broker_value v, uint64_t number)
{
    if (v.type != BROKER_STR || v.size != model.size[number] ||
        memcmp(v.data, text + number % 90, v.size) != 0)
        cr_assert_fail("seed %llu: %s gave another item than number %llu", (unsigned long long)seed,
            what, (unsigned long long)number);
}

static int room_for(const broker_queue_options *o, uint64_t n, uint64_t bytes)
{
    uint64_t items = model.n_put - model.n_taken;

    if ((o->max_items != 0 && n > o->max_items) || (o->max_bytes != 0 && bytes > o->max_bytes))
        return BROKER_TOOBIG;
    if ((o->max_items != 0 && items + n > o->max_items) ||
        (o->max_bytes != 0 && model.bytes + bytes > o->max_bytes))
        return BROKER_FULL;
    return 0;
}

static void was_put(uint32_t size)
{
    model.size[model.n_put++] = size;
    model.unfinished++;
    model.bytes += packed_size(size);
}

static void try_put(broker_queue *q, const broker_queue_options *o)
{
    uint32_t size = some_size();
    int expected = room_for(o, 1, packed_size(size));

    same("put", broker_queue_put(q, broker_strn(text + model.n_put % 90, size), 0), expected);
    if (expected == 0)
        was_put(size);
}

static void try_put_many(broker_queue *q, const broker_queue_options *o)
{
    uint32_t n = (uint32_t)random_below(&rng, 15), sizes[15];
    uint8_t *array = words_keep(1 + 15 * 2400), *to = array;
    uint64_t bytes = 0;
    int expected;

    *to++ = (uint8_t)(0x90 | n);
    for (uint32_t i = 0; i < n; i++) {
        sizes[i] = random_below(&rng, 5) == 0 ? 1900 + (uint32_t)random_below(&rng, 400)
                                              : (uint32_t)random_below(&rng, 32);
        bytes += packed_size(sizes[i]);
        if (sizes[i] < 32) {
            *to++ = (uint8_t)(0xa0 | sizes[i]);
        } else {
            *to++ = 0xda;
            *to++ = (uint8_t)(sizes[i] >> 8);
            *to++ = (uint8_t)sizes[i];
        }
        memcpy(to, text + (model.n_put + i) % 90, sizes[i]);
        to += sizes[i];
    }
    expected = n == 0 ? 0 : room_for(o, n, bytes);
    same("put_many", broker_queue_put_many(q, broker_packed(array, (size_t)(to - array)), 0),
        expected);
    for (uint32_t i = 0; i < n && expected == 0; i++)
        was_put(sizes[i]);
}

static void was_taken(bool joinable)
{
    model.bytes -= packed_size(model.size[model.n_taken++]);
    if (!joinable)
        model.n_done = model.n_taken;
}

static void try_get(broker_queue *q, const broker_queue_options *o)
{
    bool any = model.n_taken < model.n_put;
    broker_value v;

    same("get", broker_queue_get(q, 0, &kit_buffer, &v), any ? 0 : BROKER_EMPTY);
    if (!any)
        return;
    same_item("get", v, model.n_taken);
    was_taken(o->joinable);
}

static void try_get_many(broker_queue *q, const broker_queue_options *o)
{
    uint64_t limit = 1 + random_below(&rng, 20);
    bool any = model.n_taken < model.n_put;
    broker_value v;

    same("get_many", broker_queue_get_many(q, limit, 0, &kit_buffer, &v), any ? 0 : BROKER_EMPTY);
    if (!any)
        return;
    if (kit_count(v) > limit || kit_count(v) > model.n_put - model.n_taken)
        cr_assert_fail("seed %llu: get_many gave too many", (unsigned long long)seed);
    for (uint32_t i = 0; i < kit_count(v); i++) {
        same_item("get_many", kit_element(v, i), model.n_taken);
        was_taken(o->joinable);
    }
}

/* Ends the oldest lease, or only counts. */
static void try_task_done(broker_queue *q)
{
    bool leased = model.n_done < model.n_taken;

    if (!leased && model.unfinished == 0)
        return same("task_done", broker_queue_task_done(q), BROKER_OVERDONE);
    same("task_done", broker_queue_task_done(q), 0);
    model.n_done += leased;
    model.unfinished -= model.unfinished > 0;
}

/* The last close gives the leases back. */
static broker_queue *reopen(broker_queue *q, const char *base)
{
    broker_queue_close(q);
    while (model.n_taken > model.n_done)
        model.bytes += packed_size(model.size[--model.n_taken]);
    return kit_queue(base, NULL);
}

static void compare(broker_queue *q, const char *base, const broker_queue_options *o)
{
    uint64_t items = model.n_put - model.n_taken, n;
    bool empty, full;

    OK(broker_queue_qsize(q, &n));
    OK(broker_queue_empty(q, &empty));
    OK(broker_queue_full(q, &full));
    if (n != items || empty != (items == 0) || full != (room_for(o, 1, 1) == BROKER_FULL))
        cr_assert_fail("seed %llu: %llu items, the model has %llu", (unsigned long long)seed,
            (unsigned long long)n, (unsigned long long)items);
    same("join", broker_queue_join(q, 0), model.unfinished == 0 ? 0 : BROKER_TIMEDOUT);
    cr_assert_eq(kit_stat(kit_name(base), "payload_bytes"), model.bytes);
    cr_assert_eq(kit_stat(kit_name(base), "leased"), model.n_taken - model.n_done);
    cr_assert_eq(kit_stat(kit_name(base), "unfinished"), model.unfinished);
}

/* @puts of ten operations put something: below five the queue keeps running empty. */
static void run(const char *base, const broker_queue_options *o, size_t puts)
{
    broker_queue *q = kit_queue(base, o);

    memset(&model, 0, sizeof(model));
    for (int64_t i = 0, n = kit_often(OPERATIONS); i < n && model.n_put + 20 < MODEL_MAX; i++) {
        size_t what = random_below(&rng, 10);

        if (what < puts)
            random_below(&rng, 6) == 0 ? try_put_many(q, o) : try_put(q, o);
        else if (what < 8)
            random_below(&rng, 6) == 0 ? try_get_many(q, o) : try_get(q, o);
        else if (random_below(&rng, 50) != 0)
            try_task_done(q);
        else
            q = reopen(q, base);
        if (i % 100 == 99) {
            compare(q, base, o);
            words_free();
            text = filling(70000, 0);
        }
    }
    while (model.n_taken < model.n_put)
        try_get(q, o);
    compare(q, base, o);
}

Test(queue_random, queues_and_their_models_stay_the_same)
{
    static const broker_queue_options plain = {0}, bounded = {.max_items = 20, .joinable = true},
                                      bytes = {.max_bytes = 30000}, joinable = {.joinable = true};

    seed = random_seed();
    rng.state = seed;
    cr_log_info("seed %llu", (unsigned long long)seed);
    text = filling(70000, 0);
    run("plain", &plain, 4);
    run("bounded", &bounded, 5);
    run("bytes", &bytes, 5);
    run("joinable", &joinable, 4);
}
