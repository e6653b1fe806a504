/*
 * tracer.h - a child process that stops after every machine instruction, or after every store to
 * the memory that it shares with us, and what its death would leave
 *
 * The child runs one function. It stands still between any two calls in here, so its memory, its
 * robust-list head and the arena that it shares with us can be looked at as they are at that
 * instruction.
 *
 * A death leaves what the shared memory and the robust-list head say. An instruction that stores to
 * neither leaves what the one before it left, so it is enough to stop behind those that do: that is
 * what watching does, a hundred times as fast. It sees all of them, since it takes the child the
 * right to write there; what a system call does to the memory it does not see.
 */
#ifndef TESTS_TRACER_H
#define TESTS_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* What the kernel does to the shared memory of a thread that dies: one robust futex is marked, or
 * none. */
struct tracer_death {
    bool marks;
    uint64_t off; /* of the word in the mapping */
    uint32_t word;
};

struct tracer {
    pid_t pid;                  /* 0 once it is gone */
    uint64_t head;              /* of its robust list, in its memory */
    uint64_t n_stores, n_steps; /* how often it was let go on, watched and stepped */
    bool watching;
    uint64_t mapping, size; /* that it is watched in */
    bool under_way; /* an instruction that has not come to its end: a system call that sleeps */
};

/*
 * Keeps this process, and the children it makes from now on, on one processor that no other sweep
 * of this machine has chosen: a step then is two switches on the spot, four times as fast as
 * between processors.
 */
void tracer_pin(void);

/*
 * Whether children can be watched on this processor. To be called before this thread locks anything
 * of the library's: it gives the thread a robust-list head that has a page of its own.
 */
bool tracer_prepare_watch(void);

/*
 * Starts a child. It stands before the first instruction of @fn, having run @before (may be NULL).
 * It ends with us, however we end.
 */
void tracer_start(struct tracer *t, void (*before)(void *), void (*fn)(void *), void *arg);

/* The same, and watches the @size bytes at @mapping. */
void tracer_start_watched(
    struct tracer *t, void *mapping, size_t size, void (*fn)(void *), void *arg);

/*
 * Lets it carry out one instruction (a system call is one), or all up to and with the next store if
 * it is watched. False when @fn has returned; it stands behind it then, and may not be killed for
 * its robust list any more if it was watched: the kernel could not write there.
 */
bool tracer_step(struct tracer *t);

/* From here, behind a store, it is stepped. */
void tracer_unwatch(struct tracer *t);

/*
 * The same for functions that wait for others: tells also when it sleeps, in the middle of an
 * instruction. Another call then goes on waiting for the end of that instruction.
 */
enum tracer_event { TRACER_STEPPED, TRACER_ENDED, TRACER_ASLEEP };
enum tracer_event tracer_step_or_sleep(struct tracer *t);

/* Whether a process, which we do not trace or have let run, sleeps. */
bool tracer_sleeps(pid_t pid);

/* Lets it run until @fn has returned. */
void tracer_finish(struct tracer *t);

/* Kills it, as by `kill -9`, and returns when the kernel has done all that it does at a death. */
void tracer_kill(struct tracer *t);

/*
 * What the kernel would do to the @size bytes that the child has mapped at @mapping, as we have, if
 * the child died now (kernel/futex/core.c, exit_robust_list). It does nothing else to memory.
 */
struct tracer_death tracer_death(const struct tracer *t, const void *mapping, uint64_t size);

/* Does it to an image of the mapping. */
static inline void tracer_apply(const struct tracer_death *death, uint8_t *image)
{
    if (death->marks)
        memcpy(image + death->off, &death->word, sizeof(death->word));
}

static inline bool tracer_same_death(const struct tracer_death *a, const struct tracer_death *b)
{
    return a->marks == b->marks && (!a->marks || (a->off == b->off && a->word == b->word));
}

#endif
