/*
 * words.h - values as text, so that a case can say what it puts in and what must come out
 *
 *     nil  true  17  -1  2.5  1.0  'text'  b'00ff'  [1, 'a']  {'a': 1, 2: [nil]}  ext(1, 'beef')
 *
 * Strings show a byte that is no printable ASCII, or one of '\, as \xNN. What these functions give
 * lives until words_free(). For one thread.
 */
#ifndef TESTS_WORDS_H
#define TESTS_WORDS_H

#include <stddef.h>

#include <broker.h>
#include <msgpack.h>

/* Any value as text; "?" and why if its bytes are not msgpack. */
const char *text_of(broker_value v);

/* The value that a text says; containers become BROKER_PACKED. The program ends if there is none.
 */
broker_value value_of(const char *text);

/* @n bytes that differ from place to place and from one @seed to another. */
const char *filling(size_t n, unsigned int seed);

/* What was packed into @buffer, which ends. */
broker_value words_packed(msgpack_sbuffer *buffer);

/* Memory that words_free() gives back; never NULL. */
void *words_keep(size_t size);

void words_free(void);

#endif
