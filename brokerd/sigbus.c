/*
 * sigbus.c - see sigbus.h
 */
#include "sigbus.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include <broker/errors.h>

#include "core/lock.h"

static __thread struct {
    sigjmp_buf back;
    const uint8_t *from, *to; /* what may be missing; NULL outside of a guarded call */
} current;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;

    (void)context;
    if (current.from != NULL && at >= current.from && at < current.to)
        siglongjmp(current.back, 1);
    /* A fault of our own: it comes again as soon as we return, and ends the process. */
    (void)signal(number, SIG_DFL);
}

void brokerd_sigbus_install(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
}

int brokerd_guarded(struct bri_arena *a, brokerd_guarded_fn *fn, void *arg, bool *out_fault)
{
    int r;

    *out_fault = false;
    if (sigsetjmp(current.back, 0) != 0) {
        current.from = NULL;
        bri_lock_abandon();
        *out_fault = true;
        return BROKER_CORRUPT;
    }
    current.to = a->base + a->size;
    current.from = a->base;
    r = fn(a, arg);
    current.from = NULL;
    return r;
}
