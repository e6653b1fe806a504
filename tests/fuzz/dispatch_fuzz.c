/*
 * Fuzzing of brokerd-zmq's dispatcher: whole requests, from the bytes of a message to what they do
 * to an arena, and the bytes of the answers. Whatever comes, each request has one answer or waits
 * for it, what is sent is an answer, and the arena stays whole.
 *
 * An input is one message. Built with -fsanitize=fuzzer and DISPATCH_FUZZ_LIBFUZZER this is a
 * libFuzzer target, for the corpus in tests/fuzz/corpus/wire; else a program that tries the corpus,
 * and then inputs that it makes itself:
 *
 *     dispatch_fuzz [--runs N] [--seed S] [--first N] CORPUS
 *
 * What an input does depends on those before it. The arena is a fresh one every EPOCH inputs, so a
 * failure comes again from the last multiple of that before it: `--seed S --first MULTIPLE`.
 */
#include "dispatch_world.h"
#include "unit/value/random.h"
#include "wire/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_ops.h"

#define EPOCH 1000u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *data;
    size_t size;
    uint64_t seed, number;
    uint64_t n_done, n_good, n_waiting;
} input;

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "dispatch_fuzz: failed: %s\n  seed %llu, input %llu:", what,
        (unsigned long long)input.seed, (unsigned long long)input.number);
    for (size_t i = 0; i < input.size; i++)
        (void)fprintf(stderr, " %02x", input.data[i]);
    (void)fputc('\n', stderr);
    abort();
}

/* libFuzzer's beginning. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    world_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bri_wire_request request = {.id = 0};
    struct world_outcome outcome;
    int r = bri_wire_read_request(data, size, &request);

    input.data = data;
    input.size = size;
    world_take(data, size, request.id, &outcome);
    require(outcome.is_sound, "what is sent is an answer");
    require(outcome.n_answers <= 1, "a request has one answer");
    require(outcome.n_answers == 1 || outcome.is_waiting || (r == 0 && outcome.is_old),
        "a request is answered, or waits");
    require(r == 0 || outcome.status == r, "what is no request is told so");
    input.n_good += outcome.n_answers > 0 && outcome.status >= 0;
    input.n_waiting += outcome.is_waiting;
    if (++input.n_done % EPOCH == 0) {
        require(world_end(), "all ends, and the arena is whole");
        world_start();
    }
    return 0;
}

#ifndef DISPATCH_FUZZ_LIBFUZZER

#define MESSAGE_ROOM 600
#define ARGUMENT_ROOM 60
#define MAX_CORPUS 4096

struct corpus {
    uint8_t (*messages)[MESSAGE_ROOM];
    size_t sizes[MAX_CORPUS];
    size_t n;
};

static _Noreturn void die(const char *what, const char *name)
{
    (void)fprintf(stderr, "dispatch_fuzz: %s %s\n", what, name);
    exit(2);
}

static void read_file(struct corpus *corpus, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, corpus->messages[corpus->n], MESSAGE_ROOM) : -1;

    if (n < 0)
        die("cannot read", name);
    (void)close(fd);
    corpus->sizes[corpus->n++] = (size_t)n;
}

/* In the order of their names, so that a number always is the same input. */
static void read_corpus(struct corpus *corpus, const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    corpus->messages = calloc(MAX_CORPUS, sizeof(*corpus->messages));
    if (n < 0 || fd < 0 || corpus->messages == NULL)
        die("cannot read", folder);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && corpus->n < MAX_CORPUS)
            read_file(corpus, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    (void)close(fd);
    if (corpus->n == 0)
        die("there is nothing in", folder);
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

static size_t make_input(struct random *r, const struct corpus *corpus, uint8_t *out)
{
    size_t which = random_below(r, corpus->n), size;

    switch (random_below(r, 16)) {
    case 0:
        size = corpus->sizes[which];
        memcpy(out, corpus->messages[which], size);
        break;
    case 1:
        size = make_request(r, out);
        break;
    default:
        return make_request(r, out);
    }
    return random_damage(r, out, size, MESSAGE_ROOM);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0')
        die("not a number:", text);
    return number;
}

static void try_all(const struct corpus *corpus, uint64_t first, uint64_t n_runs)
{
    for (input.number = first; input.number < first + n_runs; input.number++) {
        struct random r = {input.seed + input.number};
        uint8_t data[MESSAGE_ROOM];

        (void)LLVMFuzzerTestOneInput(data, make_input(&r, corpus, data));
    }
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    uint64_t n_runs = 1000000, first = 0;

    input.seed = random_seed();
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *option = strcmp(argv[i], "--runs") == 0    ? &n_runs
                           : strcmp(argv[i], "--seed") == 0  ? &input.seed
                           : strcmp(argv[i], "--first") == 0 ? &first
                                                             : NULL;

        if (option == NULL)
            die("there is no option", argv[i]);
        *option = parse_number(argv[i + 1]);
    }
    if (argc % 2 != 0 || first % EPOCH != 0)
        die("usage:", "dispatch_fuzz [--runs N] [--seed S] [--first N] CORPUS");
    read_corpus(&corpus, argv[argc - 1]);
    (void)LLVMFuzzerInitialize(&argc, &argv);
    try_all(&corpus, first, n_runs);
    for (size_t i = 0; i < corpus.n; i++)
        (void)LLVMFuzzerTestOneInput(corpus.messages[i], corpus.sizes[i]);
    require(world_end(), "all ends, and the arena is whole");
    (void)printf("dispatch_fuzz: %llu inputs from seed %llu, %llu did something, %llu waited\n",
        (unsigned long long)n_runs, (unsigned long long)input.seed,
        (unsigned long long)input.n_good, (unsigned long long)input.n_waiting);
    free(corpus.messages);
    return 0;
}

#endif
