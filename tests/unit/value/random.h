/*
 * Random msgpack for tests: the same values again for the same seed.
 */
#ifndef VALUE_RANDOM_H
#define VALUE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* $BROKER_TEST_SEED, or one that never changes. Tests print it when they fail. */
uint64_t random_seed(void);

uint64_t random_next(struct random *r);

/* A number below @n. */
size_t random_below(struct random *r, size_t n);

/*
 * Write one value of at most @room bytes (not 0) to @out and return its size. Containers nest
 * @depth deep at most. Every format comes up, numbers near the bounds of their formats, and headers
 * longer than they must be.
 */
size_t random_value(struct random *r, uint8_t *out, size_t room, unsigned int depth);

/*
 * Damage the @size bytes at @data, which has @room: change, cut, repeat or insert some. Returns the
 * new size.
 */
size_t random_damage(struct random *r, uint8_t *data, size_t size, size_t room);

#endif
