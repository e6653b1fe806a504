/*
 * seal.h - taking an arena away from all who use it
 *
 * When the next daemon knows another layout, what is in the arena goes on in another one. From
 * when an object is sealed on nobody can read or change it any more: every operation on it, those
 * that wait too, answers LOST, as after the end of a session. What had happened before that is in
 * it, and nothing else: so what is saved then is all there ever was.
 *
 * The seal is a bit beside the guard, which is looked at anyway. Who saves what is sealed sets
 * `passes_seal` in his view of the arena.
 */
#ifndef BRI_SEAL_H
#define BRI_SEAL_H

#include "core/guard.h"

/*
 * Seals everything, names first: nothing is made or renamed from then on. Sets `passes_seal` in
 * @a. TIMEDOUT, with a part sealed, if somebody who is stopped holds a guard; also what bri_begin()
 * says. Repeatable.
 */
int bri_seal(struct bri_arena *a);

/* Gives everything back to its users, names last. As above. */
int bri_unseal(struct bri_arena *a);

/* Who has pointers into an object that still is there: broker_array_data(). */
struct bri_pin {
    uint32_t session; /* its number */
    uint32_t object;  /* slot */
};

/* One of those who have, while the arena is sealed; false if nobody has. What they store there is
 * no operation: no seal stops it, and nobody is told that it was too late. */
bool bri_find_pin(struct bri_arena *a, struct bri_pin *out_pin);

/* True from the first moment of the one to the last of the other. */
bool bri_is_sealed(const struct bri_arena *a);

#endif
