/*
 * ledger.c - see ledger.h
 */
#include "ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct ledger *ledger_new(uint64_t seed)
{
    struct ledger *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (l == MAP_FAILED) {
        perror("stress: mmap");
        exit(99);
    }
    l->seed = seed;
    return l;
}

uint32_t ledger_begin_life(struct ledger *l)
{
    uint32_t n = atomic_fetch_add(&l->n_lives, 1);

    if (n >= MAX_LIVES)
        ledger_fail(l, "the ledger is full: too long a run");
    return n;
}

void ledger_fail(struct ledger *l, const char *format, ...)
{
    va_list args;

    if (atomic_fetch_add(&l->has_failed, 1) == 0) {
        va_start(args, format);
        (void)vsnprintf(l->failure, sizeof(l->failure), format, args);
        va_end(args);
    }
    _exit(1);
}
