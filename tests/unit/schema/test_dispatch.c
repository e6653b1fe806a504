/*
 * test_dispatch.c - the generated dispatcher: what it makes of values, and what it refuses
 */
#include <criterion/criterion.h>
#include <string.h>

#include "dispatch.h"
#include "recorder.h"

TestSuite(dispatch, .init = recorder_setup, .timeout = 10);

/* Calls @op on @h with @args; the results stay in the call. */
static int dispatch(struct bri_call *call, struct bri_handle *h, enum bri_op op,
    const broker_value *args, uint32_t n)
{
    static broker_buffer buffer;

    *call = (struct bri_call){.broker = &arena,
        .handle = h,
        .op = op,
        .args = args,
        .n_args = n,
        .buffer = &buffer,
        .n_results = 9};
    return bri_dispatch(call);
}

#define DISPATCH(call, h, op, ...)                                                                 \
    dispatch((call), (h), (op), (const broker_value[]){__VA_ARGS__},                               \
        (uint32_t)(sizeof((const broker_value[]){__VA_ARGS__}) / sizeof(broker_value)))

Test(dispatch, converts_arguments_and_results)
{
    struct bri_call call;

    seen.answer_u = 8;
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_READ, broker_str("key")), 0);
    cr_assert_eq(seen.values[0].type, BROKER_STR);
    cr_assert_eq(call.n_results, 2);
    cr_assert_eq(call.results[0].type, BROKER_STR);
    cr_assert_eq(call.results[1].type, BROKER_INT);
    cr_assert_eq(call.results[1].i, 8);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_nil(), broker_int(-4)), 0);
    cr_assert_eq(call.results[0].i, -4);
    cr_assert_eq(dispatch(&call, &queue, BRI_OP_QUEUE_EMPTY, NULL, 0), 0);
    cr_assert_eq(call.results[0].type, BROKER_BOOL);
    cr_assert(call.results[0].b);
    seen.answer = BROKER_OWNER_DIED;
    cr_assert_eq(DISPATCH(&call, &lock, BRI_OP_LOCK_ACQUIRE, broker_int(20)), BROKER_OWNER_DIED);
    cr_assert_eq(seen.i, 20);
    cr_assert_eq(call.n_results, 1);
}

Test(dispatch, gives_unsigned_results_only_above_int64)
{
    struct bri_call call;

    seen.answer_u = INT64_MAX;
    cr_assert_eq(DISPATCH(&call, &lock, BRI_OP_LOCK_ACQUIRE, broker_int(0)), 0);
    cr_assert_eq(call.results[0].type, BROKER_INT);
    seen.answer_u = UINT64_C(1) << 63;
    cr_assert_eq(DISPATCH(&call, &lock, BRI_OP_LOCK_ACQUIRE, broker_int(0)), 0);
    cr_assert_eq(call.results[0].type, BROKER_UINT);
    cr_assert_eq(call.results[0].u, UINT64_C(1) << 63);
}

Test(dispatch, fills_in_defaults)
{
    struct bri_call call;

    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_int(1)), 0);
    cr_assert_eq(seen.i, 1);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_int(1), broker_nil()), 0);
    cr_assert_eq(seen.i, 1);
    cr_assert_eq(dispatch(&call, &lock, BRI_OP_LOCK_ACQUIRE, NULL, 0), 0);
    cr_assert_eq(seen.i, BROKER_FOREVER);
    cr_assert_eq(dispatch(&call, &dict, BRI_OP_DICT_SCAN, NULL, 0), 0);
    cr_assert_eq(seen.u, 0);
    cr_assert_eq(seen.i, 100);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_SETDEFAULT, broker_int(1)), 0);
    cr_assert_eq(seen.values[1].type, BROKER_NIL);
    cr_assert_eq(dispatch(&call, NULL, BRI_OP_BROKER_OBJECTS, NULL, 0), 0);
    cr_assert(seen.text_null[0]);
    cr_assert(seen.text_null[1]);
}

Test(dispatch, refuses_wrong_numbers_of_arguments)
{
    struct bri_call call;

    cr_assert_eq(dispatch(&call, &dict, BRI_OP_DICT_ADD, NULL, 0), BROKER_INVALID);
    cr_assert_eq(call.n_results, 0);
    cr_assert_eq(dispatch(&call, &dict, BRI_OP_DICT_ADD, NULL, 1), BROKER_INVALID);
    cr_assert_eq(
        DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_nil(), broker_int(1), broker_int(1)),
        BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, &queue, BRI_OP_QUEUE_EMPTY, broker_nil()), BROKER_INVALID);
    cr_assert_eq(dispatch(&call, &dict, BRI_N_OPS, NULL, 0), BROKER_INVALID);
    cr_assert_eq(dispatch(&call, &dict, (enum bri_op) - 1, NULL, 0), BROKER_INVALID);
    cr_assert_eq(dispatch(&call, &dict, BRI_OP_DICT_OPEN, NULL, 0), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
}

Test(dispatch, refuses_wrong_kinds)
{
    struct bri_call call;

    cr_assert_eq(
        DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_nil(), broker_double(1)), BROKER_INVALID);
    cr_assert_eq(
        DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_nil(), broker_bool(true)), BROKER_INVALID);
    cr_assert_eq(
        DISPATCH(&call, &dict, BRI_OP_DICT_ADD, broker_nil(), broker_uint(UINT64_C(1) << 63)),
        BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_SCAN, broker_int(-1)), BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, &lock, BRI_OP_LOCK_ACQUIRE, broker_int(-1)), BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_int(1)), BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_nil()), BROKER_INVALID);
    cr_assert_eq(
        DISPATCH(&call, NULL, BRI_OP_DICT_ADD, broker_nil(), broker_int(1)), BROKER_INVALID);
    cr_assert_eq(
        DISPATCH(&call, &queue, BRI_OP_DICT_ADD, broker_nil(), broker_int(1)), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_SCAN, broker_uint(UINT64_MAX)), 0);
    cr_assert_eq(seen.u, UINT64_MAX);
}

Test(dispatch, tells_maps_from_arrays)
{
    static const struct {
        uint8_t first;
        int as_map, as_array;
    } cases[] = {
        {0x80, 0, BROKER_INVALID},
        {0x8f, 0, BROKER_INVALID},
        {0xde, 0, BROKER_INVALID},
        {0xdf, 0, BROKER_INVALID},
        {0x90, BROKER_INVALID, 0},
        {0x9f, BROKER_INVALID, 0},
        {0xdc, BROKER_INVALID, 0},
        {0xdd, BROKER_INVALID, 0},
        {0xa0, BROKER_INVALID, BROKER_INVALID},
        {0x7f, BROKER_INVALID, BROKER_INVALID},
        {0xdb, BROKER_INVALID, BROKER_INVALID},
        {0xe0, BROKER_INVALID, BROKER_INVALID},
    };
    struct bri_call call;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        broker_value packed = broker_packed(&cases[i].first, 1);

        cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_UPDATE, packed), cases[i].as_map);
        cr_assert_eq(DISPATCH(&call, &queue, BRI_OP_QUEUE_PUT_MANY, packed), cases[i].as_array);
    }
    cr_assert_eq(seen.n_calls, 8);
    cr_assert_eq(
        DISPATCH(&call, &dict, BRI_OP_DICT_UPDATE, broker_packed(NULL, 0)), BROKER_INVALID);
    cr_assert_eq(DISPATCH(&call, &dict, BRI_OP_DICT_UPDATE, broker_bin("\x80", 1)), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 8);
}

Test(dispatch, ends_texts_and_refuses_what_is_no_name)
{
    struct bri_call call;
    char name[257];

    memset(name, 'n', sizeof(name));
    cr_assert_eq(DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_strn("jobs and more", 4)), 0);
    cr_assert_str_eq(seen.text[0], "jobs");
    cr_assert_eq(DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_strn(name, 255)), 0);
    cr_assert_eq(DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_strn(NULL, 0)), 0);
    cr_assert_str_eq(seen.text[0], "");
    cr_assert_eq(seen.n_calls, 3);
    cr_assert_eq(
        DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_strn(name, 256)), BROKER_BADNAME);
    cr_assert_eq(
        DISPATCH(&call, NULL, BRI_OP_BROKER_DESTROY, broker_strn("a\0b", 3)), BROKER_BADNAME);
    cr_assert_eq(seen.n_calls, 3);
}

Test(dispatch, opens_with_options_in_order)
{
    const broker_value values[] = {
        broker_int(BROKER_CREATE), broker_nil(), broker_int(5), broker_uint(6), broker_bool(true)};
    struct bri_handle *h = NULL;

    cr_assert_eq(bri_dispatch_open(&arena, BRI_TYPE_QUEUE, "jobs", values, 5, &h), 0);
    cr_assert_eq(h, &queue);
    cr_assert_eq(seen.queue_options.mode, BROKER_CREATE);
    cr_assert_eq(seen.queue_options.quota_bytes, 0);
    cr_assert_eq(seen.queue_options.max_items, 5);
    cr_assert_eq(seen.queue_options.max_bytes, 6);
    cr_assert(seen.queue_options.joinable);
    cr_assert_eq(bri_dispatch_open(&arena, BRI_TYPE_QUEUE, "jobs", NULL, 0, &h), 0);
    cr_assert_eq(seen.queue_options.mode, BROKER_OPEN_OR_CREATE);
    cr_assert_not(seen.queue_options.joinable);
}

Test(dispatch, open_refuses_bad_options)
{
    const broker_value mode = broker_int(3), number = broker_str("5");
    const broker_value too_many[32] = {{.type = BROKER_NIL}};
    struct bri_handle *h = NULL;

    cr_assert_eq(bri_dispatch_open(&arena, BRI_TYPE_QUEUE, "jobs", &mode, 1, &h), BROKER_INVALID);
    cr_assert_eq(bri_dispatch_open(&arena, BRI_TYPE_QUEUE, "jobs", &number, 1, &h), BROKER_INVALID);
    cr_assert_eq(
        bri_dispatch_open(&arena, BRI_TYPE_QUEUE, "jobs", too_many, 32, &h), BROKER_INVALID);
    cr_assert_eq(bri_dispatch_open(&arena, BRI_TYPE_BROKER, "jobs", NULL, 0, &h), BROKER_INVALID);
    cr_assert_eq(bri_dispatch_open(&arena, UINT32_MAX, "jobs", NULL, 0, &h), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
    cr_assert_null(h);
}

Test(dispatch, close_takes_null_and_calls_the_engine)
{
    bri_dispatch_close(NULL);
    cr_assert_eq(seen.n_calls, 0);
    bri_dispatch_close(&dict);
    cr_assert_eq(seen.n_calls, 1);
}
