/*
 * lock.h - the robust process-shared lock that guards are made of
 *
 * One 32-bit futex word. The owner's thread id is in it, and while a thread locks, holds or unlocks
 * it, the word's address stands in the thread's robust-list head (list_op_pending), which glibc
 * registered with the kernel: when the thread dies, the kernel marks the word FUTEX_OWNER_DIED and
 * wakes one waiter. Nothing that lies in shared memory is ever dereferenced. At most one lock is
 * held by a thread at a time; a second attempt is refused with BROKER_BUSY, which also catches a
 * signal handler and a longjmp out of a section.
 *
 * Lock words must stay lock words (type-stable memory) and be shared only within one PID namespace.
 * Crash: killed at any instruction, the lock is either not taken, or free again and marked as died.
 */
#ifndef BRI_LOCK_H
#define BRI_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BRI_LOCK_DIED 1      /* held now, and the owner before us died holding it */
#define BRI_LOCK_CONTENDED 2 /* held now, after a wait (bit) */

/*
 * How long to wait for @word: an absolute deadline, or -n for at most n ns from the moment that
 * waiting begins, so that the common case never reads the clock. Gives 0 or a set of the bits above
 * with the lock held; BROKER_TIMEDOUT, or BROKER_BUSY if this thread is inside a section already.
 */
int bri_lock(_Atomic uint32_t *word, int64_t deadline_ns);

/* Frees a lock that this thread holds and wakes one waiter, if there are any. */
void bri_unlock(_Atomic uint32_t *word);

/*
 * The second line, for what the kernel misses: if the owner of @word is no living thread, mark it
 * as died and wake a waiter. True if it did.
 */
bool bri_lock_bury(_Atomic uint32_t *word);

/* The kernel's id of this thread, cached; right after fork too. */
uint32_t bri_thread_id(void);

/* Who does the present operation, for the eye and for those who look for deadlocks: the thread, or
 * whom it stands in for. */
uint32_t bri_caller_id(void);

/* True while this thread is inside a section. */
bool bri_lock_inside(void);

/* This thread jumped out of a section, whose lock word does not exist any more: it is in none now.
 */
void bri_lock_abandon(void);

/* Sleeps while a shared @word, of a lock, is @seen: until a wake, @deadline_ns or a second has
 * passed; true if it was the time. */
bool bri_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns);

/* FUTEX_WAKE of at most @n waiters. */
void bri_futex_wake(_Atomic uint32_t *word, int n);

/* The same for words of this process alone: sleeps until @word is not @seen. */
void bri_futex_wait_private(_Atomic uint32_t *word, uint32_t seen);
void bri_futex_wake_private(_Atomic uint32_t *word, int n);
/* The same among those alone who share one of @bits: a waiter sleeps under bits of its own, under
 * all unless it says so. */
bool bri_futex_wait_as(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns, uint32_t bits);
void bri_futex_wake_only(_Atomic uint32_t *word, int n, uint32_t bits);

#endif
