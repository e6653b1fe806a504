/*
 * deep_sleep.c - see deep_sleep.h
 *
 * The linker has the library call this instead of syscall() (--wrap).
 */
#include "deep_sleep.h"

#include <linux/futex.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

/* The names are the linker's. */
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

static bool is_deep;

void deep_sleep(void)
{
    is_deep = true;
}

static bool sleeps(long number, long operation)
{
    return number == SYS_futex_waitv ||
           (number == SYS_futex && (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET);
}

long __wrap_syscall(long number, ...)
{
    va_list args;
    long a[6];

    va_start(args, number);
    for (unsigned i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (is_deep && sleeps(number, a[1]))
        a[3] = 0; /* till when, for both */
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
