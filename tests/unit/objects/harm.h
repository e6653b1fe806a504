/*
 * harm.h - ways to damage an object: bytes of what it is made of, and words that mean something
 * elsewhere
 *
 * Each makes damage number @number of a copy, says in @text what it did, and gives false when there
 * are no more. Which places are chosen follows from the seed; in a campaign there are twenty times
 * as many.
 */
#ifndef TESTS_HARM_H
#define TESTS_HARM_H

#include "victim.h"

#include "unit/value/random.h"

#define HARM_TEXT 128

/* How many damages of each kind: @n here, more in a campaign. */
unsigned harm_part(unsigned n);

/* One byte in three of a range, as another value; in a campaign each byte, as several. */
bool harm_range(
    struct bri_arena *view, uint64_t start, uint64_t size, unsigned number, char text[HARM_TEXT]);

/* All of a slot but its futex: to hold that is no damage, and a wait. */
bool harm_slot(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[HARM_TEXT]);

/* The heap in an object's root page. */
bool harm_heap(
    const struct bri_object *o, struct bri_arena *view, unsigned number, char text[HARM_TEXT]);

/* A bit or a word at a random place of the object's pages, @times times. Nothing if it has none but
 * its root. */
bool harm_pages(const struct bri_object *o, struct bri_arena *view, unsigned number, unsigned times,
    char text[HARM_TEXT]);

/* A number that means something elsewhere: the end of a range, a place of another object's. */
uint32_t harm_word(struct random *rng);

#endif
