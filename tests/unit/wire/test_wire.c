/*
 * The codec of both sides against the golden vectors, byte by byte in both directions; and that
 * everything which is no message is refused.
 */
#include <broker.h>
#include <criterion/criterion.h>

#include "unit/wire/vectors.h"
#include "value/value.h"
#include "wire/wire.h"

#define N_BUFFERS (BRI_WIRE_MAX_VALUES + 1)

static const char *const files[] = {
    "operations.json", "protocol.json", "arguments.json", "errors.json"};
#define N_FILES (sizeof(files) / sizeof(files[0]))

/* Calls @check for each row of a file that has the field @name. */
static void each_row(const char *file, const char *name, void (*check)(json_object *row))
{
    json_object *rows = vectors_load(file);

    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        json_object *row = json_object_array_get_idx(rows, i);

        if (json_object_object_get_ex(row, name, NULL))
            check(row);
    }
    json_object_put(rows);
}

static void assert_same(const void *data, size_t size, const struct bytes *want, json_object *row)
{
    cr_assert(size == want->size && memcmp(data, want->data, size) == 0,
        "%s: other bytes than the vector's %zu", vectors_text(row, "name"), want->size);
}

static void assert_same_value(broker_value v, broker_value want, json_object *row)
{
    struct bytes one, other;
    size_t size;

    cr_assert_eq(bri_value_measure(v, &size), 0);
    one = (struct bytes){malloc(size), size};
    cr_assert_eq(bri_value_encode(v, one.data), size);
    cr_assert_eq(bri_value_measure(want, &size), 0);
    other = (struct bytes){malloc(size), size};
    cr_assert_eq(bri_value_encode(want, other.data), size);
    assert_same(one.data, one.size, &other, row);
    bytes_free(&one);
    bytes_free(&other);
}

/* ---- values ---- */

static void check_value(json_object *row)
{
    struct bytes want = bytes_of_hex(vectors_text(row, "hex"));
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v = vectors_value(vectors_field(row, "value"), &buffer), read;

    assert_same(buffer.data, buffer.size, &want, row);
    cr_assert_eq(bri_value_check(want.data, want.size), 0, "%s", vectors_text(row, "name"));
    cr_assert_eq(bri_value_decode(want.data, want.size, &read), 0);
    assert_same_value(read, v, row);
    cr_assert_eq(read.type, v.type);
    broker_buffer_free(&buffer);
    bytes_free(&want);
}

Test(values, are_the_bytes_of_the_vectors)
{
    each_row("values.json", "value", check_value);
}

/* ---- requests ---- */

/* The request that the JSON describes; it points into the row and the buffers. */
static void describe_request(
    json_object *json, struct bri_wire_request *out, broker_buffer buffers[N_BUFFERS])
{
    json_object *object = json_object_array_get_idx(json, 3);
    json_object *op = json_object_array_get_idx(json, 2);

    *out = (struct bri_wire_request){
        .id = json_object_get_uint64(json_object_array_get_idx(json, 1)),
        .op = json_object_get_string(op),
        .op_size = (uint32_t)json_object_get_string_len(op),
        .n_args = (uint32_t)json_object_array_length(json) - 4,
    };
    cr_assert_leq(out->n_args, BRI_WIRE_MAX_VALUES);
    if (json_object_get_type(object) == json_type_array) {
        out->thread = (uint32_t)json_object_get_int(json_object_array_get_idx(object, 1));
        object = json_object_array_get_idx(object, 0);
    }
    out->object = vectors_value(object, &buffers[BRI_WIRE_MAX_VALUES]);
    for (uint32_t i = 0; i < out->n_args; i++)
        out->args[i] = vectors_value(json_object_array_get_idx(json, 4 + i), &buffers[i]);
}

static void assert_same_request(
    const struct bri_wire_request *got, const struct bri_wire_request *want, json_object *row)
{
    const char *name = vectors_text(row, "name");

    cr_assert_eq(got->id, want->id, "%s", name);
    cr_assert_eq(got->thread, want->thread, "%s", name);
    cr_assert_eq(got->op_size, want->op_size, "%s", name);
    cr_assert_eq(memcmp(got->op, want->op, want->op_size), 0, "%s", name);
    cr_assert_eq(got->n_args, want->n_args, "%s", name);
    assert_same_value(got->object, want->object, row);
    for (uint32_t i = 0; i < want->n_args; i++)
        assert_same_value(got->args[i], want->args[i], row);
}

/* Every piece of a message that is cut short is none; nor is one with something behind it. */
static void assert_whole(const struct bytes *message, int (*read)(const struct bytes *bytes))
{
    struct bytes longer = bytes_of(message->data, message->size);

    for (size_t size = 0; size < message->size; size++) {
        struct bytes piece = bytes_of(message->data, size);

        cr_assert_eq(read(&piece), BROKER_PROTO);
        bytes_free(&piece);
    }
    longer.data = realloc(longer.data, longer.size + 1);
    longer.data[longer.size++] = 0xc0;
    cr_assert_eq(read(&longer), BROKER_PROTO);
    bytes_free(&longer);
}

static int read_request(const struct bytes *bytes)
{
    struct bri_wire_request request;

    return bri_wire_read_request(bytes->data, bytes->size, &request);
}

static void check_request(json_object *row)
{
    struct bytes want = bytes_of_hex(vectors_text(row, "request_hex"));
    broker_buffer buffers[N_BUFFERS] = {0}, written = BROKER_BUFFER_INIT;
    struct bri_wire_request described, read;

    describe_request(vectors_field(row, "request"), &described, buffers);
    cr_assert_eq(bri_wire_write_request(&written, &described), 0);
    assert_same(written.data, written.size, &want, row);
    written.size = 0;
    cr_assert_eq(
        bri_wire_read_request(want.data, want.size, &read), 0, "%s", vectors_text(row, "name"));
    assert_same_request(&read, &described, row);
    cr_assert_eq(bri_wire_write_request(&written, &read), 0);
    assert_same(written.data, written.size, &want, row);
    assert_whole(&want, read_request);
    for (size_t i = 0; i < N_BUFFERS; i++)
        broker_buffer_free(&buffers[i]);
    broker_buffer_free(&written);
    bytes_free(&want);
}

Test(requests, are_the_bytes_of_the_vectors)
{
    for (size_t i = 0; i < N_FILES; i++)
        each_row(files[i], "request", check_request);
}

/* A longer form is read as the same, and written in the shortest. */
static void check_wider(json_object *row)
{
    struct bytes given = bytes_of_hex(vectors_text(row, "request_hex"));
    struct bytes want = bytes_of_hex(vectors_text(row, "shortest_hex"));
    broker_buffer buffers[N_BUFFERS] = {0}, written = BROKER_BUFFER_INIT;
    struct bri_wire_request described, read;

    cr_assert_gt(given.size, 0);
    describe_request(vectors_field(row, "request"), &described, buffers);
    cr_assert_eq(
        bri_wire_read_request(given.data, given.size, &read), 0, "%s", vectors_text(row, "name"));
    assert_same_request(&read, &described, row);
    cr_assert_eq(bri_wire_write_request(&written, &read), 0);
    assert_same(written.data, written.size, &want, row);
    for (size_t i = 0; i < N_BUFFERS; i++)
        broker_buffer_free(&buffers[i]);
    broker_buffer_free(&written);
    bytes_free(&given);
    bytes_free(&want);
}

Test(requests, need_not_have_the_shortest_form)
{
    each_row("wider.json", "request", check_wider);
}

static void check_malformed_request(json_object *row)
{
    struct bytes bytes = bytes_of_hex(vectors_text(row, "request_hex"));
    struct bri_wire_request request = {.id = 99};
    int r = bri_wire_read_request(bytes.data, bytes.size, &request);

    cr_assert_str_eq(broker_error_name(r), vectors_text(row, "error"), "%s: %s",
        vectors_text(row, "name"), broker_error_name(r));
    cr_assert_eq(request.id, json_object_get_uint64(vectors_field(row, "id")), "%s: id %llu",
        vectors_text(row, "name"), (unsigned long long)request.id);
    bytes_free(&bytes);
}

Test(requests, that_are_none_are_refused_with_the_id_that_can_be_read)
{
    each_row("malformed_requests.json", "request_hex", check_malformed_request);
}

/* ---- answers ---- */

static void describe_answer(
    json_object *json, struct bri_wire_answer *out, broker_buffer buffers[N_BUFFERS])
{
    json_object *result = json_object_array_get_idx(json, 2);

    *out = (struct bri_wire_answer){
        .id = json_object_get_uint64(json_object_array_get_idx(json, 0)),
        .status = json_object_get_int(json_object_array_get_idx(json, 1)),
    };
    if (out->status < 0) {
        out->text = vectors_value(result, &buffers[BRI_WIRE_MAX_VALUES]);
        return;
    }
    out->n_results = (uint32_t)json_object_array_length(result);
    for (uint32_t i = 0; i < out->n_results; i++)
        out->results[i] = vectors_value(json_object_array_get_idx(result, i), &buffers[i]);
}

static void assert_same_answer(
    const struct bri_wire_answer *got, const struct bri_wire_answer *want, json_object *row)
{
    const char *name = vectors_text(row, "name");

    cr_assert_eq(got->id, want->id, "%s", name);
    cr_assert_eq(got->status, want->status, "%s", name);
    cr_assert_eq(got->n_results, want->n_results, "%s", name);
    assert_same_value(got->text, want->text, row);
    for (uint32_t i = 0; i < want->n_results; i++)
        assert_same_value(got->results[i], want->results[i], row);
}

static int read_answer(const struct bytes *bytes)
{
    struct bri_wire_answer answer;

    return bri_wire_read_answer(bytes->data, bytes->size, &answer);
}

static void check_answer(json_object *row)
{
    struct bytes want = bytes_of_hex(vectors_text(row, "answer_hex"));
    broker_buffer buffers[N_BUFFERS] = {0}, written = BROKER_BUFFER_INIT;
    struct bri_wire_answer described, read;

    describe_answer(vectors_field(row, "answer"), &described, buffers);
    cr_assert_eq(bri_wire_write_answer(&written, &described), 0);
    assert_same(written.data, written.size, &want, row);
    written.size = 0;
    cr_assert_eq(
        bri_wire_read_answer(want.data, want.size, &read), 0, "%s", vectors_text(row, "name"));
    assert_same_answer(&read, &described, row);
    cr_assert_eq(bri_wire_write_answer(&written, &read), 0);
    assert_same(written.data, written.size, &want, row);
    assert_whole(&want, read_answer);
    for (size_t i = 0; i < N_BUFFERS; i++)
        broker_buffer_free(&buffers[i]);
    broker_buffer_free(&written);
    bytes_free(&want);
}

Test(answers, are_the_bytes_of_the_vectors)
{
    for (size_t i = 0; i < N_FILES; i++)
        each_row(files[i], "answer", check_answer);
}

static void check_malformed_answer(json_object *row)
{
    struct bytes bytes = bytes_of_hex(vectors_text(row, "answer_hex"));

    cr_assert_eq(read_answer(&bytes), BROKER_PROTO, "%s", vectors_text(row, "name"));
    bytes_free(&bytes);
}

Test(answers, that_are_none_are_refused)
{
    each_row("malformed_answers.json", "answer_hex", check_malformed_answer);
}
