/*
 * Fuzzing of libbroker/wire: what comes over the ZeroMQ road is read by it first. msgpack-c and a
 * second reading of schemas/protocol.md, on msgpack-c's objects, are the oracle; and what was read
 * is written and read again.
 *
 * An input is one message, tried as a request and as an answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <broker.h>
#include <msgpack.h>

#include "driver.h"
#include "value/value.h"
#include "wire/wire.h"

static uint64_t n_requests, n_answers; /* that were read */

/* ---- the protocol, read once more ---- */

static bool is_unsigned(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

static bool is_reference(const msgpack_object *o)
{
    static const uint8_t nothing[8];
    const uint8_t *body = (const uint8_t *)o->via.ext.ptr;

    return o->type == MSGPACK_OBJECT_EXT && o->via.ext.type == 1 && o->via.ext.size == 16 &&
           memcmp(body, nothing, 4) == 0 && memcmp(body + 8, nothing, 8) != 0;
}

static bool names_object(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_NIL || o->type == MSGPACK_OBJECT_STR || is_unsigned(o) ||
           is_reference(o);
}

static bool is_object(const msgpack_object *o)
{
    const msgpack_object *pair = o->via.array.ptr;

    if (o->type != MSGPACK_OBJECT_ARRAY)
        return names_object(o);
    return o->via.array.size == 2 && names_object(&pair[0]) && is_unsigned(&pair[1]) &&
           pair[1].via.u64 >= 1 && pair[1].via.u64 <= BRI_WIRE_MAX_THREAD;
}

static int judge_request(const msgpack_object *o, uint64_t *out_id)
{
    const msgpack_object *e = o->via.array.ptr;
    uint32_t n = o->type == MSGPACK_OBJECT_ARRAY ? o->via.array.size : 0;

    *out_id = 0;
    if (n < 1 || !is_unsigned(&e[0]))
        return BROKER_PROTO;
    if (e[0].via.u64 != BRI_WIRE_VERSION)
        return BROKER_VERSION;
    if (n < 2 || !is_unsigned(&e[1]))
        return BROKER_PROTO;
    *out_id = e[1].via.u64;
    return n >= 4 && n <= 4 + BRI_WIRE_MAX_VALUES && *out_id != 0 &&
                   e[2].type == MSGPACK_OBJECT_STR && is_object(&e[3])
               ? 0
               : BROKER_PROTO;
}

static bool is_status(const msgpack_object *o)
{
    return (is_unsigned(o) && o->via.u64 <= INT32_MAX) ||
           (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 >= INT32_MIN);
}

static int judge_answer(const msgpack_object *o)
{
    const msgpack_object *e = o->via.array.ptr;

    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 || !is_unsigned(&e[0]) ||
        !is_status(&e[1]))
        return BROKER_PROTO;
    if (e[1].type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return e[2].type == MSGPACK_OBJECT_STR ? 0 : BROKER_PROTO;
    return e[2].type == MSGPACK_OBJECT_ARRAY && e[2].via.array.size <= BRI_WIRE_MAX_VALUES
               ? 0
               : BROKER_PROTO;
}

/* ---- what is tried ---- */

static void compare_values(const broker_value *a, const broker_value *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        fuzz_require(a[i].type == b[i].type && a[i].size == b[i].size, "a value stays what it is");
        if (a[i].type >= BROKER_STR && a[i].type <= BROKER_PACKED)
            fuzz_require(memcmp(a[i].data, b[i].data, a[i].size) == 0, "bytes stay what they are");
        else
            fuzz_require(
                memcmp(&a[i].u, &b[i].u, sizeof(a[i].u)) == 0, "a number stays what it is");
    }
}

/* A value that came out of a message can be used, whatever it is. */
static void use_values(const broker_value *values, uint32_t n)
{
    size_t size;

    for (uint32_t i = 0; i < n; i++)
        fuzz_require(bri_value_measure(values[i], &size) == 0, "what was read is a value");
}

static int try_request(const uint8_t *data, size_t size, uint64_t *out_id)
{
    struct bri_wire_request request, again;
    broker_buffer written = BROKER_BUFFER_INIT;
    int r = bri_wire_read_request(data, size, &request);

    *out_id = request.id;
    fuzz_require(
        r == 0 || r == BROKER_PROTO || r == BROKER_VERSION, "a request gives one of its codes");
    if (r < 0)
        return r;
    n_requests++;
    use_values(&request.object, 1);
    use_values(request.args, request.n_args);
    fuzz_require(bri_wire_write_request(&written, &request) == 0, "what was read can be written");
    fuzz_require(bri_wire_read_request(written.data, written.size, &again) == 0, "and read");
    fuzz_require(again.id == request.id && again.thread == request.thread &&
                     again.n_args == request.n_args && again.op_size == request.op_size &&
                     memcmp(again.op, request.op, request.op_size) == 0,
        "a request stays what it is");
    compare_values(&request.object, &again.object, 1);
    compare_values(request.args, again.args, request.n_args);
    broker_buffer_free(&written);
    return 0;
}

static int try_answer(const uint8_t *data, size_t size)
{
    struct bri_wire_answer answer, again;
    broker_buffer written = BROKER_BUFFER_INIT;
    int r = bri_wire_read_answer(data, size, &answer);

    fuzz_require(r == 0 || r == BROKER_PROTO, "an answer gives one of its codes");
    if (r < 0)
        return r;
    n_answers++;
    use_values(&answer.text, 1);
    use_values(answer.results, answer.n_results);
    fuzz_require(bri_wire_write_answer(&written, &answer) == 0, "what was read can be written");
    fuzz_require(bri_wire_read_answer(written.data, written.size, &again) == 0, "and read");
    fuzz_require(again.id == answer.id && again.status == answer.status &&
                     again.n_results == answer.n_results,
        "an answer stays what it is");
    compare_values(&answer.text, &again.text, 1);
    compare_values(answer.results, again.results, answer.n_results);
    broker_buffer_free(&written);
    return 0;
}

static void try(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of exactly its size, for the sanitizer */
    msgpack_unpacked unpacked;
    uint64_t id, judged_id;
    int request, answer, whole;

    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    request = try_request(copy, size, &id);
    answer = try_answer(copy, size);
    whole = bri_value_check(copy, size);
    if (whole == 0) { /* else msgpack-c allocates whatever the counts announce */
        msgpack_unpacked_init(&unpacked);
        fuzz_require(msgpack_unpack_next(&unpacked, (const char *)copy, size, NULL) ==
                         MSGPACK_UNPACK_SUCCESS,
            "msgpack-c reads what is a value");
        fuzz_require(judge_request(&unpacked.data, &judged_id) == request && id == judged_id,
            "the protocol is read in one way");
        fuzz_require(judge_answer(&unpacked.data) == answer, "the protocol is read in one way");
        msgpack_unpacked_destroy(&unpacked);
    } else {
        fuzz_require(
            whole == BROKER_TOODEEP || (request != 0 && answer != 0), "a message is a value");
    }
    free(copy);
}

/* What mostly is good for an id, a handle and a thread. */
static size_t make_number(struct random *r, uint8_t *out)
{
    if (random_below(r, 8) == 0)
        return random_value(r, out, 20, 2);
    out[0] = (uint8_t)random_below(r, 128);
    return 1;
}

/* A request with anything in its places, and often with one more or one less of them. */
static size_t make_request(struct random *r, uint8_t *out)
{
    static const char *const operations[] = {"dict.get", "session.hello", "queue.put", "x"};
    const char *op = operations[random_below(r, 4)];
    size_t n_values = random_below(r, 6);
    size_t size = 0;

    out[size++] = (uint8_t)(0x94 + n_values - (random_below(r, 8) == 0));
    out[size++] = (uint8_t)(random_below(r, 16) != 0);
    size += make_number(r, out + size);
    out[size++] = (uint8_t)(0xa0 + strlen(op));
    memcpy(out + size, op, strlen(op));
    size += strlen(op);
    if (random_below(r, 4) == 0) {
        out[size++] = 0x92;
        size += make_number(r, out + size);
    }
    size += make_number(r, out + size);
    for (size_t i = 0; i < n_values; i++)
        size += random_value(r, out + size, 30, 1 + (unsigned)random_below(r, 34));
    return size;
}

static size_t make_input(struct random *r, const struct fuzz_corpus *corpus, uint8_t out[FUZZ_ROOM])
{
    size_t which = random_below(r, corpus->n);
    size_t size = corpus->sizes[which];

    switch (random_below(r, 4)) {
    case 0:
        return make_request(r, out);
    case 1:
        size = make_request(r, out);
        break;
    default:
        memcpy(out, corpus->inputs[which], size);
    }
    return random_damage(r, out, size, FUZZ_ROOM);
}

static void end(void)
{
    (void)printf("%llu were requests and %llu answers\n", (unsigned long long)n_requests,
        (unsigned long long)n_answers);
}

const struct fuzz_target fuzz_target = {
    .name = "wire_fuzz", .has_corpus = true, .try = try, .make = make_input, .end = end};
