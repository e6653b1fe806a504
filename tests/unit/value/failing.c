/*
 * malloc() and realloc() that fail when told to.
 */
#include "failing.h"

#include <limits.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *data, size_t size);

static unsigned int n_left = UINT_MAX;

static bool fails(void)
{
    return n_left != UINT_MAX && n_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *data, size_t size)
{
    return fails() ? NULL : __real_realloc(data, size);
}

void failing_after(unsigned int n)
{
    n_left = n;
}

bool failing_end(void)
{
    bool failed = n_left == UINT_MAX;

    n_left = UINT_MAX;
    return failed;
}
