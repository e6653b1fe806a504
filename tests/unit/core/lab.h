/*
 * lab.h - an arena for one test, without a daemon
 *
 * The arena lies in a memfd. A child process gets its own view of it with lab_map(): mappings are
 * not inherited. What must not fail here ends the test.
 */
#ifndef TESTS_LAB_H
#define TESTS_LAB_H

#include <pthread.h>
#include <sys/types.h>

#include "core/guard.h"
#include "core/registry.h"
#include "core/type.h"

#define MIB (UINT64_C(1) << 20)

/* A new memory file, empty. */
int lab_file(void);

/* A new arena of so many bytes, for eight sessions. */
struct bri_arena *lab_arena(uint64_t size);

/* The same arena, mapped once more. */
struct bri_arena *lab_map(const struct bri_arena *a);

/* A copy of the arena in private memory, as bri_arena_view() wants it; lab_unview() gives it back.
 */
struct bri_arena *lab_view(const struct bri_arena *a);
void lab_unview(struct bri_arena *view);

/* A session of this process. */
struct bri_object lab_session(struct bri_arena *a, uint32_t *out_number);

/* A new object of the type with this number, and this quota. */
struct bri_object lab_object(
    struct bri_arena *a, const char *name, uint32_t type, uint64_t quota_bytes);

/* Pages that somebody has. */
uint32_t lab_used(struct bri_arena *a);

/* Pages that have memory and that nobody has. Both repair the hints about them. */
uint32_t lab_free(struct bri_arena *a);

/* Checks the whole arena, in which nobody works: what is found fails the test. */
void lab_audit(struct bri_arena *a);

/* A thread that is inside an object. */
struct lab_holder {
    struct bri_object o;
    pthread_t thread;
    pthread_barrier_t inside, leave;
};

/* Goes into @h->o; it is there when this returns. */
void lab_hold(struct lab_holder *h);

/* Has it leave, and it has when this returns. */
void lab_let_go(struct lab_holder *h);

/* Runs @run in a child process and gives its exit status, or minus the signal that ended it. */
int lab_child(int (*run)(void *arg), void *arg);

#endif
