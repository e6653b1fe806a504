/*
 * test_public.c - the generated public functions and tables: what is checked before an engine is
 * called, and what comes back from it
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ctl_table.h"
#include "recorder.h"

TestSuite(public, .init = recorder_setup, .timeout = 10);

Test(public, every_error_has_its_name_and_a_sentence)
{
    for (unsigned i = 0; i < ctl_n_errors; i++) {
        const struct ctl_error *e = &ctl_errors[i];

        cr_assert_str_eq(broker_error_name(e->error), e->name);
        cr_assert_str_eq(broker_error_text(e->error), e->text);
        cr_assert_eq(e->text[strlen(e->text) - 1], '.');
    }
    cr_assert_str_eq(broker_error_name(BROKER_NOTFOUND), "NOTFOUND");
    cr_assert_str_eq(broker_error_name(BROKER_OWNER_DIED), "OWNER_DIED");
    cr_assert_str_eq(broker_error_name(0), "OK");
    cr_assert_str_eq(broker_error_name(1000), "?");
    cr_assert_str_eq(broker_error_name(INT32_MIN), "?");
    cr_assert_not_null(broker_error_text(-10000));
}

Test(public, types_and_operations_know_their_names)
{
    cr_assert_str_eq(bri_type_name(BRI_TYPE_QUEUE), "queue");
    cr_assert_null(bri_type_name(UINT32_MAX));
    cr_assert_eq(bri_type_number("lock"), BRI_TYPE_LOCK);
    cr_assert_eq(bri_type_number("broker"), 0, "the arena is no type of object");
    cr_assert_eq(bri_type_number("loc"), 0);
    for (unsigned i = 0; i < BRI_N_OPS; i++) {
        const char *type = bri_type_name(bri_op_info[i].type);

        cr_assert_not_null(bri_op_info[i].name);
        cr_assert_eq(strncmp(bri_op_info[i].name, type, strlen(type)), 0);
    }
    cr_assert_str_eq(bri_op_info[BRI_OP_QUEUE_TASK_DONE].name, "queue.task_done");
    cr_assert(bri_op_info[BRI_OP_QUEUE_TASK_DONE].changes);
    cr_assert_not(bri_op_info[BRI_OP_QUEUE_TASK_DONE].blocks);
    cr_assert(bri_op_info[BRI_OP_QUEUE_JOIN].blocks);
    cr_assert_not(bri_op_info[BRI_OP_QUEUE_JOIN].changes);
    cr_assert_str_eq(bri_op_info[BRI_OP_LOCK_OPEN].name, "lock.open");
}

Test(public, shm_engine_has_every_operation)
{
    const char *table = (const char *)&bri_engine_shm;

    for (size_t at = 0; at < sizeof(bri_engine_shm); at += sizeof(void (*)(void))) {
        void (*function)(void);

        memcpy(&function, table + at, sizeof(function));
        cr_assert(function != NULL, "entry %zu is missing", at / sizeof(function));
    }
    cr_assert_eq(bri_engine_shm.dict_get, bri_dict_get);
    cr_assert_eq(bri_engine_shm.broker_stat, bri_broker_stat);
    cr_assert_eq(bri_engine_shm.close, bri_shm_close_handle);
}

Test(public, call_reaches_the_engine_and_its_answer_comes_back)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value value;
    uint64_t revision;

    seen.answer_u = 7;
    cr_assert_eq(broker_dict_read(DICT, broker_int(3), &buffer, &value, &revision), 0);
    cr_assert_eq(seen.values[0].i, 3);
    cr_assert_eq(value.size, 4);
    cr_assert_eq(revision, 7);
}

Test(public, failure_leaves_the_outputs_and_names_the_object)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value value = broker_int(42);
    uint64_t revision = 42;

    seen.answer = BROKER_NOTFOUND;
    cr_assert_eq(
        broker_dict_read(DICT, broker_int(3), &buffer, &value, &revision), BROKER_NOTFOUND);
    cr_assert_eq(value.i, 42);
    cr_assert_eq(revision, 42);
    cr_assert_not_null(strstr(broker_last_error(), "stock"));
    cr_assert_not_null(strstr(broker_last_error(), "NOTFOUND"));
}

Test(public, notice_is_a_success)
{
    uint64_t token = 0;

    seen.answer = BROKER_OWNER_DIED;
    seen.answer_u = 5;
    cr_assert_eq(broker_lock_acquire(LOCK, 0, &token), BROKER_OWNER_DIED);
    cr_assert_eq(token, 5);
}

Test(public, null_and_foreign_handles_never_reach_an_engine)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value value;
    int64_t total;

    cr_assert_eq(broker_dict_add(NULL, broker_nil(), 1, &total), BROKER_INVALID);
    cr_assert_eq(broker_dict_add((broker_dict *)&queue, broker_nil(), 1, &total), BROKER_INVALID);
    dict.magic = 0;
    cr_assert_eq(broker_dict_add(DICT, broker_nil(), 1, &total), BROKER_INVALID);
    cr_assert_eq(broker_objects(NULL, NULL, NULL, &buffer, &value), BROKER_INVALID);
    cr_assert_eq(broker_dict_open(NULL, "stock", NULL, &(broker_dict *){NULL}), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
}

Test(public, null_outputs_and_negative_timeouts_never_reach_an_engine)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value value;
    uint64_t revision;

    cr_assert_eq(broker_dict_read(DICT, broker_nil(), NULL, &value, &revision), BROKER_INVALID);
    cr_assert_eq(broker_dict_read(DICT, broker_nil(), &buffer, NULL, &revision), BROKER_INVALID);
    cr_assert_eq(broker_dict_read(DICT, broker_nil(), &buffer, &value, NULL), BROKER_INVALID);
    cr_assert_eq(broker_lock_acquire(LOCK, -1, NULL), BROKER_INVALID);
    cr_assert_eq(broker_destroy(&arena, NULL), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
    cr_assert_eq(broker_lock_acquire(LOCK, BROKER_FOREVER, NULL), 0);
    cr_assert_eq(seen.i, INT64_MAX);
}

Test(public, input_that_lies_in_the_buffer_to_be_filled_never_reaches_an_engine)
{
    char text[] = "some bytes";
    broker_buffer buffer = {.data = text, .size = sizeof(text), .capacity = sizeof(text)};
    broker_value first = broker_str(text), last = broker_bin(text + sizeof(text) - 1, 1);
    broker_value behind = broker_bin(text + sizeof(text), 1), none = broker_strn(text, 0), value;
    uint64_t n;

    cr_assert_eq(broker_dict_read(DICT, first, &buffer, &value, &n), BROKER_INVALID);
    cr_assert_eq(broker_dict_read(DICT, last, &buffer, &value, &n), BROKER_INVALID);
    cr_assert_eq(
        broker_dict_setdefault(DICT, broker_nil(), first, &buffer, &value, NULL), BROKER_INVALID);
    cr_assert_eq(
        broker_dict_read(DICT, broker_packed(text, 1), &buffer, &value, &n), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
    cr_assert_eq(broker_dict_read(DICT, behind, &buffer, &value, &n), 0);
    cr_assert_eq(broker_dict_read(DICT, none, &buffer, &value, &n), 0);
    cr_assert_eq(broker_dict_read(DICT, broker_int((intptr_t)text), &buffer, &value, &n), 0);
    cr_assert_eq(seen.n_calls, 3);
}

Test(public, optional_outputs_may_be_null)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value value;
    bool inserted = false;

    cr_assert_eq(
        broker_dict_setdefault(DICT, broker_nil(), broker_int(1), &buffer, &value, NULL), 0);
    cr_assert_eq(
        broker_dict_setdefault(DICT, broker_nil(), broker_int(1), &buffer, &value, &inserted), 0);
    cr_assert(inserted);
    cr_assert_eq(seen.n_calls, 2);
}

Test(public, open_gives_the_engine_options_and_the_caller_a_handle)
{
    broker_dict *opened = NULL;
    broker_queue *jobs = NULL;
    broker_queue_options options = {.mode = BROKER_CREATE, .max_items = 5, .joinable = true};

    cr_assert_eq(broker_dict_open(&arena, "stock", NULL, &opened), 0);
    cr_assert_eq(opened, DICT);
    cr_assert_str_eq(seen.text[0], "stock");
    cr_assert_eq(seen.dict_options.mode, BROKER_OPEN_OR_CREATE);
    cr_assert_eq(seen.dict_options.quota_bytes, 0);
    cr_assert_eq(broker_queue_open(&arena, "jobs", &options, &jobs), 0);
    cr_assert_eq(seen.queue_options.mode, BROKER_CREATE);
    cr_assert_eq(seen.queue_options.max_items, 5);
    cr_assert(seen.queue_options.joinable);
}

#define REF ((broker_value){.type = BROKER_REF, .size = 5, .u = 7})

Test(public, open_without_a_name_and_by_reference)
{
    broker_dict *opened = NULL;

    cr_assert_eq(broker_dict_open(&arena, NULL, NULL, &opened), 0);
    cr_assert(seen.text_null[0]);
    opened = NULL;
    cr_assert_eq(broker_dict_open_ref(&arena, REF, &opened), 0);
    cr_assert_eq(opened, DICT);
    cr_assert_eq(seen.type, BRI_TYPE_DICT);
    cr_assert_eq(seen.ref.u, REF.u);
    seen.answer = BROKER_GONE;
    cr_assert_eq(broker_dict_open_ref(&arena, REF, &opened), BROKER_GONE);
}

Test(public, open_refuses_bad_arguments_and_passes_failures_on)
{
    broker_dict_options options = {.mode = (broker_mode)3};
    broker_dict *opened = NULL;

    cr_assert_eq(broker_dict_open_ref(&arena, broker_str("stock"), &opened), BROKER_INVALID);
    cr_assert_eq(broker_dict_open_ref(&arena, REF, NULL), BROKER_INVALID);
    cr_assert_eq(broker_dict_open(&arena, "stock", NULL, NULL), BROKER_INVALID);
    cr_assert_eq(broker_dict_open(&arena, "stock", &options, &opened), BROKER_INVALID);
    cr_assert_eq(seen.n_calls, 0);
    seen.answer = BROKER_WRONGTYPE;
    cr_assert_eq(broker_dict_open(&arena, "stock", NULL, &opened), BROKER_WRONGTYPE);
    cr_assert_null(opened);
    cr_assert_not_null(strstr(broker_last_error(), "stock"));
}

Test(public, close_takes_null_and_calls_the_engine)
{
    broker_dict_close(NULL);
    cr_assert_eq(seen.n_calls, 0);
    broker_dict_close(DICT);
    cr_assert_eq(seen.n_calls, 1);
}

Test(public, table_of_brokerctl_has_every_operation_once)
{
    unsigned found[BRI_N_OPS] = {0};
    unsigned n_opens = 0;

    for (unsigned t = 0; t < ctl_n_types; t++) {
        const struct ctl_type *type = &ctl_types[t];

        cr_assert_str_eq(type->name, bri_type_name(type->number));
        n_opens += type->number != BRI_TYPE_BROKER;
        for (unsigned i = 0; i < type->n_operations; i++) {
            const struct ctl_operation *op = &type->operations[i];
            const struct bri_op_info *info = &bri_op_info[op->op];

            found[op->op]++;
            cr_assert_eq(info->type, type->number);
            cr_assert_str_eq(strchr(info->name, '.') + 1, op->name);
            cr_assert_eq(info->blocks, op->blocks);
            cr_assert_eq(info->changes, op->changes);
            cr_assert_leq(op->n_specific, op->n_errors);
            cr_assert_not_null(strstr(op->usage, op->command));
        }
    }
    for (unsigned i = 0; i < BRI_N_OPS; i++) {
        cr_assert_leq(found[i], 1, "%s is there more than once", bri_op_info[i].name);
        n_opens -= found[i] == 0;
    }
    cr_assert_eq(n_opens, 0, "an operation is missing");
}
