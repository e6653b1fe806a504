/*
 * tracer.h - a child process that stops after every machine instruction, and what its death would
 * leave
 *
 * The child runs one function. It stands still between any two calls in here, so its memory, its
 * robust-list head and the arena that it shares with us can be looked at as they are at that
 * instruction.
 */
#ifndef TESTS_TRACER_H
#define TESTS_TRACER_H

#include <linux/futex.h>
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
    pid_t pid;     /* 0 once it is gone */
    uint64_t head; /* of its robust list, in its memory */
    uint64_t n_steps;
    bool under_way; /* an instruction that has not come to its end: a system call that sleeps */
};

/*
 * Keeps this process, and the children it makes from now on, on one processor that no other sweep
 * of this machine has chosen: a step then is two switches on the spot, four times as fast as
 * between processors.
 */
void tracer_pin(void);

/* The same on the processor where it happens to be, for as long as somebody is stepped. */
void tracer_stay(bool here);

/*
 * Starts a child. It stands before the first instruction of @fn, having run @before (may be NULL),
 * which nobody traces. It ends with us, however we end.
 */
void tracer_start(struct tracer *t, void (*before)(void *), void (*fn)(void *), void *arg);

/* Lets it carry out one instruction; a system call is one. False when @fn has returned; it stands
 * behind it then. */
bool tracer_step(struct tracer *t);

/* Up to the instruction at @address, which it gets to from a signal handler. False if @fn returned
 * before. */
bool tracer_run_to(struct tracer *t, uint64_t address);

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

/* The same of a thread, by its robust list, whose head lies at @head_at for it. */
struct tracer_death tracer_death_of(const struct robust_list_head *head, const void *head_at,
    uint32_t thread, const void *mapping, uint64_t size);

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
