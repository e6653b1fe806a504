/*
 * sigbus.h - touching memory that others can cut short
 *
 * Whoever has a writable descriptor of an arena can ftruncate it; the next access behind the new
 * end is a SIGBUS. All of the daemon's access to an arena goes through brokerd_guarded(), which
 * turns that signal into a failure.
 */
#ifndef BROKERD_SIGBUS_H
#define BROKERD_SIGBUS_H

#include <stdbool.h>

#include "core/arena.h"

typedef int brokerd_guarded_fn(struct bri_arena *a, void *arg);

/* Installs the handler, once, before the first guarded call. */
void brokerd_sigbus_install(void);

/*
 * Gives what @fn gives; or CORRUPT, with *@out_fault set, when memory of the arena was missing.
 * Then @fn was left in the middle: the arena is not to be touched any more. Not nested; @fn should
 * hold nothing but the arena's guards.
 */
int brokerd_guarded(struct bri_arena *a, brokerd_guarded_fn *fn, void *arg, bool *out_fault);

#endif
