/*
 * picture.h - what can be seen of an arena, as text
 *
 * Two arenas in which no program could tell a difference give the same text. So nothing is in it
 * that may differ between two ways to the same state: no page numbers, sequence numbers, times, or
 * counts of repairs.
 */
#ifndef TESTS_CRASH_PICTURE_H
#define TESTS_CRASH_PICTURE_H

#include <stddef.h>

#include "core/guard.h"

struct text {
    char *data;
    size_t size, capacity;
};

void text_clear(struct text *x);
void text_free(struct text *x);
void text_bytes(struct text *x, const void *bytes, size_t size);
void text_add(struct text *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes as they are if they are few, else as a hash. */
void text_value(struct text *x, const void *bytes, size_t size);

/* A hash of our own: the library's may be what is broken. */
uint64_t text_hash(const void *bytes, size_t size);
/* Of these after others. */
uint64_t text_hash_on(uint64_t hash, const void *bytes, size_t size);

/* What lives in a slot: the registry, a session or an object. */
struct subject {
    uint32_t slot;
    uint64_t generation;
};

#define MAX_SUBJECTS 128

/* All that live now. Reads the registry without its guard if the arena is read-only. How many. */
unsigned picture_subjects(struct bri_arena *a, struct subject subjects[MAX_SUBJECTS]);

/*
 * What readers see of one subject without taking its guard, all of it covered by its sequence
 * number. Nothing for a type whose readers do not look at that number.
 */
void picture_reader(struct text *x, struct bri_arena *a, const struct subject *subject);

#define NOBODY UINT32_MAX

/* Everything that can be seen of the arena, holdings included, but not those of session @dead while
 * it is not reaped. */
void picture_arena(struct text *x, struct bri_arena *a, uint32_t dead);

/* The sessions that have reserved pages. Nobody sees that but the operator, and it matters only
 * when all is at rest. */
void picture_reserved(struct text *x, struct bri_arena *a);

#endif
