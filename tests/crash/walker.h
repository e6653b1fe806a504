/*
 * walker.h - a function that this thread carries out store by store
 *
 * What a death leaves is said by the shared memory and the head of the thread's robust list alone,
 * so it is enough to look behind each store to those. The function runs on a stack of its own,
 * without the right to write there. Its store faults; the handler opens the memory and sets the
 * trap flag; and behind the store the trap's handler gets back to us, who may do as we like until
 * we have it walk on. Nobody else takes part, so this is ten times as fast as stopping a child.
 *
 * It has the number of another thread, and thread-local variables and a robust list of its own.
 * What a system call does to the memory is not seen: it fails with EFAULT.
 */
#ifndef TESTS_CRASH_WALKER_H
#define TESTS_CRASH_WALKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracer.h"

/* Whether that works on this processor. */
bool walker_init(void);

/* While it walks, the @size bytes at @p are @its, which are copied, and then what it makes of them.
 */
void walker_own(void *p, const void *its, size_t size);

/* Has it stand before @fn. Its stores to the @size bytes at @mapping count; nobody else may store
 * there before it has ended or was stopped. */
void walker_start(void *mapping, size_t size, void (*fn)(void *), void *arg);

/* By whoever walks, and by nobody else if it does not: stand here as behind a store. */
void walker_pause(void);

/* To behind the next store. False when @fn has returned. */
bool walker_step(void);

/* The pages of the mapping that the last store may have gone to; how many. */
#define WALKER_PAGES 4
unsigned walker_pages(uint32_t pages[WALKER_PAGES]);

/* It goes no farther. */
void walker_stop(void);

/* What its death would do to the mapping now. */
struct tracer_death walker_death(void);

/*
 * Makes this thread the one that stands there, so that it can be killed. Nothing may be done then
 * but walker_go_on(), which carries out the rest without stopping. The first instruction of that is
 * at *walker_at, in memory that is shared with children.
 */
void walker_become(void);
void walker_go_on(void);
extern uint64_t *walker_at;

#endif
