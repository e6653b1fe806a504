/*
 * kernel.h - whether the kernel keeps what robust futexes promise
 */
#ifndef BROKERD_KERNEL_H
#define BROKERD_KERNEL_H

#include <stdbool.h>

/*
 * True for a kernel, by its release as uname() gives it, that does not lose the wake-up of one who
 * was killed while it was being woken: 6.2 and newer, and the stable series that have the fix.
 */
bool brokerd_kernel_ok(const char *release);

/* Warns if this kernel is none. */
void brokerd_kernel_check(void);

#endif
