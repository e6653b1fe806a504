/*
 * driver.c - see driver.h
 */
#include "driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input at hand, for the message. */
static struct {
    const uint8_t *data;
    size_t size;
    uint64_t seed, number;
} input;

void fuzz_require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "%s: failed: %s\n  seed %llu, input %llu:", fuzz_target.name, what,
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
    if (fuzz_target.begin != NULL)
        fuzz_target.begin();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input.data = data;
    input.size = size;
    fuzz_target.try(data, size);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

struct run {
    uint64_t n, first;
    struct fuzz_corpus corpus;
};

static _Noreturn void die(const char *what, const char *name)
{
    (void)fprintf(stderr, "%s: %s %s\n", fuzz_target.name, what, name);
    exit(2);
}

static void read_file(struct fuzz_corpus *corpus, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, corpus->inputs[corpus->n], FUZZ_ROOM) : -1;

    if (n < 0)
        die("cannot read", name);
    (void)close(fd);
    corpus->sizes[corpus->n++] = (size_t)n;
}

/* In the order of their names, so that a number always is the same input. */
static void read_corpus(struct fuzz_corpus *corpus, const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    corpus->inputs = calloc(FUZZ_CORPUS_MAX, sizeof(*corpus->inputs));
    if (n < 0 || fd < 0 || corpus->inputs == NULL)
        die("cannot read", folder);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && corpus->n < FUZZ_CORPUS_MAX)
            read_file(corpus, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    (void)close(fd);
    if (corpus->n == 0)
        die("there is nothing in", folder);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0')
        die("not a number:", text);
    return number;
}

static void parse(int argc, char **argv, struct run *out)
{
    int n = argc - fuzz_target.has_corpus;

    for (int i = 1; i + 1 < n; i += 2) {
        uint64_t *option = strcmp(argv[i], "--runs") == 0    ? &out->n
                           : strcmp(argv[i], "--seed") == 0  ? &input.seed
                           : strcmp(argv[i], "--first") == 0 ? &out->first
                                                             : NULL;

        if (option == NULL)
            die("there is no option", argv[i]);
        *option = parse_number(argv[i + 1]);
    }
    if (n < 1 || n % 2 == 0)
        die("options: [--runs N] [--seed S] [--first N]", fuzz_target.has_corpus ? "CORPUS" : "");
    if (fuzz_target.epoch != 0 && out->first % fuzz_target.epoch != 0)
        die("--first begins amid what belongs together:", fuzz_target.name);
    if (fuzz_target.has_corpus)
        read_corpus(&out->corpus, argv[argc - 1]);
}

int main(int argc, char **argv)
{
    static struct run run = {.n = 1000000};

    input.seed = random_seed();
    parse(argc, argv, &run);
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (input.number = run.first; input.number < run.first + run.n; input.number++) {
        struct random r = {input.seed + input.number};
        uint8_t data[FUZZ_ROOM];

        (void)LLVMFuzzerTestOneInput(data, fuzz_target.make(&r, &run.corpus, data));
    }
    for (size_t i = 0; i < run.corpus.n; i++)
        (void)LLVMFuzzerTestOneInput(run.corpus.inputs[i], run.corpus.sizes[i]);
    (void)printf("%s: %llu inputs from seed %llu, ", fuzz_target.name, (unsigned long long)run.n,
        (unsigned long long)input.seed);
    fuzz_target.end();
    free(run.corpus.inputs);
    return 0;
}

#endif
