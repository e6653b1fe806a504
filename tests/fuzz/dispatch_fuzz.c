/*
 * Fuzzing of brokerd-zmq's dispatcher: whole requests, from the bytes of a message to what they do
 * to an arena, and the bytes of the answers. Whatever comes, each request has one answer or waits
 * for it, what is sent is an answer, and the arena stays whole.
 *
 * An input is one message. What it does depends on those before it. The arena is a fresh one every
 * EPOCH inputs, so a failure comes again from the last multiple of that before it: `--seed S
 * --first MULTIPLE`.
 */
#include <stdio.h>
#include <string.h>

#include "dispatch_world.h"
#include "driver.h"
#include "engine_ops.h"
#include "wire/wire.h"

#define EPOCH 1000u

#define ARGUMENT_ROOM 60

static uint64_t n_done, n_good, n_waiting;

static void try(const uint8_t *data, size_t size)
{
    struct bri_wire_request request = {.id = 0};
    struct world_outcome outcome;
    int r = bri_wire_read_request(data, size, &request);

    world_take(data, size, request.id, &outcome);
    fuzz_require(outcome.is_sound, "what is sent is an answer");
    fuzz_require(outcome.n_answers <= 1, "a request has one answer");
    fuzz_require(outcome.n_answers == 1 || outcome.is_waiting || (r == 0 && outcome.is_old),
        "a request is answered, or waits");
    fuzz_require(r == 0 || outcome.status == r, "what is no request is told so");
    n_good += outcome.n_answers > 0 && outcome.status >= 0;
    n_waiting += outcome.is_waiting;
    if (++n_done % EPOCH == 0) {
        fuzz_require(world_end(), "all ends, and the arena is whole");
        world_start();
    }
}

/* ---- requests ---- */

static size_t put_text(uint8_t *out, const char *text)
{
    size_t n = strlen(text);

    out[0] = 0xd9;
    out[1] = (uint8_t)n;
    memcpy(out + 2, text, n);
    return n + 2;
}

/* Greater than all before it, mostly. */
static size_t put_id(struct random *r, uint8_t *out)
{
    uint64_t id = world_next_id();

    if (random_below(r, 16) == 0) /* one of the last few, or a later one */
        id = id > 8 ? id - 8 + random_below(r, 12) : 1;

    id = __builtin_bswap64(id);
    out[0] = 0xcf;
    memcpy(out + 1, &id, sizeof(id));
    return 9;
}

static const char *name_operation(struct random *r)
{
    static const char *const own[] = {"session.ping", "session.cancel", "session.end",
        "session.hello", "object.close", "object.wait_any"};
    size_t i = random_below(r, BRI_N_OPS + 2);

    if (i < BRI_N_OPS)
        return bri_op_info[i].name;
    /* An end throws away what there is: rarely. */
    i = random_below(r, sizeof(own) / sizeof(own[0]));
    return i == 2 && random_below(r, 8) != 0 ? own[0] : own[i];
}

/* One of few objects: nil, by number, or by a name that tells its type. */
static size_t put_object(struct random *r, uint8_t *out, const char *operation)
{
    char name[40];

    switch (random_below(r, 32)) {
    case 0:
        out[0] = 0xc0;
        return 1;
    case 1:
    case 2:
        out[0] = (uint8_t)random_below(r, 32);
        return 1;
    case 3:
        return random_value(r, out, ARGUMENT_ROOM, 2);
    default:
        (void)snprintf(name, sizeof(name), "%.*s%zu", (int)strcspn(operation, "."), operation,
            random_below(r, 16) != 0 ? random_below(r, 2) : 2);
        return put_text(out, name);
    }
}

static size_t put_argument(struct random *r, uint8_t *out)
{
    static const char *const words[] = {"a", "b", "", "dict0", "list1", "i64", "abc\xff"};
    size_t size;

    switch (random_below(r, 12)) {
    case 0:
        out[0] = (const uint8_t[]){0xc0, 0xc2, 0xc3}[random_below(r, 3)]; /* nil, false, true */
        return 1;
    case 1:
    case 2:
    case 8:
    case 9:
        out[0] = (uint8_t)random_below(r, 8);
        return 1;
    case 3:
        out[0] = (uint8_t)(0xf8 + random_below(r, 8)); /* -8 to -1 */
        return 1;
    case 4:
    case 5:
        return put_text(out, words[random_below(r, sizeof(words) / sizeof(words[0]))]);
    case 6:
    case 7: /* an array or a map of few values */
        out[0] = (uint8_t)((random_below(r, 2) == 0 ? 0x90 : 0x80) + random_below(r, 4));
        size = 1;
        for (unsigned i = 0; i < (out[0] & 3u) * ((out[0] & 0x10) != 0 ? 1 : 2); i++)
            size += random_value(r, out + size, 12, 1);
        return size;
    default:
        return random_value(r, out, ARGUMENT_ROOM, 1 + (unsigned)random_below(r, 4));
    }
}

static size_t make_request(struct random *r, uint8_t *out)
{
    const char *operation = name_operation(r);
    size_t n_arguments = random_below(r, 1 + random_below(r, 6)), size = 0;

    out[size++] = (uint8_t)(0x94 + n_arguments);
    out[size++] = 1;
    size += put_id(r, out + size);
    size += put_text(out + size, operation);
    if (random_below(r, 4) == 0) {
        out[size++] = 0x92;
        size += put_object(r, out + size, operation);
        out[size++] = (uint8_t)(1 + random_below(r, 3));
    } else {
        size += put_object(r, out + size, operation);
    }
    for (size_t i = 0; i < n_arguments; i++)
        size += put_argument(r, out + size);
    return size;
}

static size_t make_input(struct random *r, const struct fuzz_corpus *corpus, uint8_t out[FUZZ_ROOM])
{
    size_t which = random_below(r, corpus->n), size;

    switch (random_below(r, 16)) {
    case 0:
        size = corpus->sizes[which];
        memcpy(out, corpus->inputs[which], size);
        break;
    case 1:
        size = make_request(r, out);
        break;
    default:
        return make_request(r, out);
    }
    return random_damage(r, out, size, FUZZ_ROOM);
}

static void end(void)
{
    fuzz_require(world_end(), "all ends, and the arena is whole");
    (void)printf("%llu did something, %llu waited\n", (unsigned long long)n_good,
        (unsigned long long)n_waiting);
}

const struct fuzz_target fuzz_target = {.name = "dispatch_fuzz",
    .has_corpus = true,
    .epoch = EPOCH,
    .begin = world_start,
    .try = try,
    .make = make_input,
    .end = end};
