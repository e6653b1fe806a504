/*
 * recorder.c - see recorder.h
 */
#include "recorder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "client/observe.h"

struct recorder seen;
struct bri_handle dict, queue, lock;
struct broker arena;

static void see_text(unsigned n, const char *text)
{
    seen.text_null[n] = text == NULL;
    if (text != NULL)
        (void)snprintf(seen.text[n], sizeof(seen.text[n]), "%s", text);
}

static int engine_dict_open(
    broker *b, const char *name, const broker_dict_options *options, struct bri_handle **out)
{
    cr_assert_eq(b, &arena);
    seen.n_calls++;
    see_text(0, name);
    seen.dict_options = *options;
    if (seen.answer >= 0)
        *out = &dict;
    return seen.answer;
}

static int engine_open_ref(broker *b, uint32_t type, broker_value ref, struct bri_handle **out)
{
    cr_assert_eq(b, &arena);
    seen.n_calls++;
    seen.type = type;
    seen.ref = ref;
    if (seen.answer >= 0)
        *out = &dict;
    return seen.answer;
}

static int engine_queue_open(
    broker *b, const char *name, const broker_queue_options *options, struct bri_handle **out)
{
    cr_assert_eq(b, &arena);
    seen.n_calls++;
    see_text(0, name);
    seen.queue_options = *options;
    if (seen.answer >= 0)
        *out = &queue;
    return seen.answer;
}

static int engine_dict_read(struct bri_handle *h, broker_value key, broker_buffer *buffer,
    broker_value *out_value, uint64_t *out_revision)
{
    cr_assert_eq(h, &dict);
    cr_assert_not_null(buffer);
    seen.n_calls++;
    seen.values[0] = key;
    if (seen.answer >= 0) {
        *out_value = broker_str("read");
        *out_revision = seen.answer_u;
    }
    return seen.answer;
}

static int engine_dict_setdefault(struct bri_handle *h, broker_value key, broker_value value,
    broker_buffer *buffer, broker_value *out_value, bool *out_inserted)
{
    cr_assert_eq(h, &dict);
    cr_assert_not_null(buffer);
    seen.n_calls++;
    seen.values[0] = key;
    seen.values[1] = value;
    if (seen.answer >= 0) {
        *out_value = value;
        *out_inserted = true; /* would crash if the caller's NULL came through */
    }
    return seen.answer;
}

static int engine_dict_update(struct bri_handle *h, broker_value pairs)
{
    cr_assert_eq(h, &dict);
    seen.n_calls++;
    seen.values[0] = pairs;
    return seen.answer;
}

static int engine_dict_add(
    struct bri_handle *h, broker_value key, int64_t delta, int64_t *out_total)
{
    cr_assert_eq(h, &dict);
    seen.n_calls++;
    seen.values[0] = key;
    seen.i = delta;
    if (seen.answer >= 0)
        *out_total = delta;
    return seen.answer;
}

static int engine_dict_scan(struct bri_handle *h, uint64_t cursor, uint64_t limit,
    broker_buffer *buffer, broker_value *out_map, uint64_t *out_next)
{
    cr_assert_eq(h, &dict);
    cr_assert_not_null(buffer);
    seen.n_calls++;
    seen.i = (int64_t)limit;
    seen.u = cursor;
    *out_map = broker_nil();
    *out_next = cursor;
    return seen.answer;
}

static int engine_queue_put_many(struct bri_handle *h, broker_value items, int64_t timeout_ns)
{
    cr_assert_eq(h, &queue);
    seen.n_calls++;
    seen.values[0] = items;
    seen.i = timeout_ns;
    return seen.answer;
}

static int engine_queue_empty(struct bri_handle *h, bool *out_empty)
{
    cr_assert_eq(h, &queue);
    seen.n_calls++;
    *out_empty = true;
    return seen.answer;
}

static int engine_lock_acquire(struct bri_handle *h, int64_t timeout_ns, uint64_t *out_token)
{
    cr_assert_eq(h, &lock);
    seen.n_calls++;
    seen.i = timeout_ns;
    if (seen.answer >= 0)
        *out_token = seen.answer_u; /* would crash if the caller's NULL came through */
    return seen.answer;
}

static int engine_objects(broker *b, const char *type, const char *prefix, broker_buffer *buffer,
    broker_value *out_objects)
{
    cr_assert_eq(b, &arena);
    cr_assert_not_null(buffer);
    seen.n_calls++;
    see_text(0, type);
    see_text(1, prefix);
    *out_objects = broker_nil();
    return seen.answer;
}

static int engine_destroy(broker *b, const char *name)
{
    cr_assert_eq(b, &arena);
    seen.n_calls++;
    see_text(0, name);
    return seen.answer;
}

static void engine_close(struct bri_handle *h)
{
    cr_assert_eq(h, &dict);
    seen.n_calls++;
}

static const struct bri_engine_ops engine = {
    .open_ref = engine_open_ref,
    .dict_open = engine_dict_open,
    .dict_read = engine_dict_read,
    .dict_setdefault = engine_dict_setdefault,
    .dict_update = engine_dict_update,
    .dict_add = engine_dict_add,
    .dict_scan = engine_dict_scan,
    .queue_open = engine_queue_open,
    .queue_put_many = engine_queue_put_many,
    .queue_empty = engine_queue_empty,
    .lock_acquire = engine_lock_acquire,
    .broker_objects = engine_objects,
    .broker_destroy = engine_destroy,
    .close = engine_close,
};

static void init_handle(struct bri_handle *h, uint32_t type, const char *name)
{
    memset(h, 0, sizeof(*h));
    h->magic = BRI_HANDLE_MAGIC;
    h->type = type;
    h->engine = &engine;
    h->broker = &arena;
    h->monitored = &bri_observe_nothing;
    atomic_store(&h->process, bri_process());
    (void)snprintf(h->name, sizeof(h->name), "%s", name);
}

void recorder_setup(void)
{
    memset(&seen, 0, sizeof(seen));
    memset(&arena, 0, sizeof(arena));
    arena.magic = BRI_BROKER_MAGIC;
    arena.engine = &engine;
    arena.monitored = &bri_observe_nothing;
    atomic_store(&arena.process, bri_process());
    init_handle(&dict, BRI_TYPE_DICT, "stock");
    init_handle(&queue, BRI_TYPE_QUEUE, "jobs");
    init_handle(&lock, BRI_TYPE_LOCK, "till");
}
