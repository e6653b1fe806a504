/*
 * fiber.c - see fiber.h
 *
 * A fiber begins by setcontext() and changes by _longjmp(), which leaves the signal mask alone:
 * that is two system calls less.
 */
#undef _FORTIFY_SOURCE /* takes a jump to another stack for a mistake */

#include "fiber.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#define STACK_SIZE (256u * 1024) /* frames are several times as large */
#else
#define STACK_SIZE (64u * 1024)
#endif

struct zmqd_fiber {
    ucontext_t beginning;
    jmp_buf inside, outside;
    bool has_begun;
    void *memory; /* a page that is none, and the stack */
    size_t size;
    void (*run)(void *arg);
    void *arg;
    void *fake; /* AddressSanitizer's */
    const void *outer_stack;
    size_t outer_size;
};

/* AddressSanitizer must know on which stack it is. */
static void start_switch(void **fake, const void *stack, size_t size)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(fake, stack, size);
#else
    (void)fake;
    (void)stack;
    (void)size;
#endif
}

static void finish_switch(void *fake, const void **out_stack, size_t *out_size)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(fake, out_stack, out_size);
#else
    (void)fake;
    (void)out_stack;
    (void)out_size;
#endif
}

/* makecontext() passes nothing but ints. */
static void begin(unsigned high, unsigned low)
{
    struct zmqd_fiber *f = (struct zmqd_fiber *)((uintptr_t)high << 32 | low);

    finish_switch(NULL, &f->outer_stack, &f->outer_size);
    f->run(f->arg);
    abort();
}

static void *stack_of(const struct zmqd_fiber *f)
{
    return (char *)f->memory + (f->size - STACK_SIZE);
}

static bool prepare(struct zmqd_fiber *f)
{
    if (getcontext(&f->beginning) != 0)
        return false;
    f->beginning.uc_stack.ss_sp = stack_of(f);
    f->beginning.uc_stack.ss_size = STACK_SIZE;
    f->beginning.uc_link = NULL;
    makecontext(&f->beginning, (void (*)(void))begin, 2, (unsigned)((uintptr_t)f >> 32),
        (unsigned)(uintptr_t)f);
    return true;
}

struct zmqd_fiber *zmqd_fiber_new(void (*run)(void *arg), void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct zmqd_fiber *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->run = run;
    f->arg = arg;
    f->size = page + STACK_SIZE;
    f->memory = mmap(
        NULL, f->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (f->memory == MAP_FAILED) {
        free(f);
        return NULL;
    }
    if (mprotect(stack_of(f), STACK_SIZE, PROT_READ | PROT_WRITE) == 0 && prepare(f))
        return f;
    zmqd_fiber_free(f);
    return NULL;
}

void zmqd_fiber_enter(struct zmqd_fiber *f)
{
    void *fake = NULL;

    start_switch(&fake, stack_of(f), STACK_SIZE);
    if (_setjmp(f->outside) == 0) {
        if (f->has_begun)
            _longjmp(f->inside, 1);
        f->has_begun = true;
        (void)setcontext(&f->beginning);
        abort();
    }
    finish_switch(fake, NULL, NULL);
}

void zmqd_fiber_leave(struct zmqd_fiber *f)
{
    start_switch(&f->fake, f->outer_stack, f->outer_size);
    if (_setjmp(f->inside) == 0)
        _longjmp(f->outside, 1);
    finish_switch(f->fake, &f->outer_stack, &f->outer_size);
}

void zmqd_fiber_free(struct zmqd_fiber *f)
{
    if (f == NULL)
        return;
    (void)munmap(f->memory, f->size);
    free(f);
}
