/*
 * driver.h - what a fuzz target is, and what is the same for all of them
 *
 * A target is a file that defines fuzz_target. Built with -fsanitize=fuzzer and FUZZ_LIBFUZZER it
 * is a libFuzzer target; else a program that makes its inputs itself, and then tries its corpus:
 *
 *     NAME [--runs N] [--seed S] [--first N] [CORPUS]
 *
 * Each input depends on the seed, its number and the corpus only. A failure prints the first two,
 * and the input.
 */
#ifndef TESTS_FUZZ_DRIVER_H
#define TESTS_FUZZ_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unit/value/random.h"

#define FUZZ_ROOM 1024u /* bytes of an input at most */
#define FUZZ_CORPUS_MAX 4096u

struct fuzz_corpus {
    uint8_t (*inputs)[FUZZ_ROOM];
    size_t sizes[FUZZ_CORPUS_MAX];
    size_t n;
};

struct fuzz_target {
    const char *name;
    bool has_corpus;
    unsigned epoch; /* what an input does depends on those before it, back to a multiple of this; 0:
                       it does not */
    void (*begin)(void); /* before the first input; may be NULL */
    void (*try)(const uint8_t *data, size_t size);
    size_t (*make)(struct random *r, const struct fuzz_corpus *corpus, uint8_t out[FUZZ_ROOM]);
    void (*end)(void); /* after the last one: what there is to say of them, on stdout */
};

/* The one of the program. */
extern const struct fuzz_target fuzz_target;

/* If it does not hold, says what and at which input, and ends the program. */
void fuzz_require(bool holds, const char *what);

#endif
