/*
 * Makes an allocation fail. Works on the objects that are linked into the test (by the linker's
 * --wrap), not on the shared libraries that it uses.
 */
#ifndef VALUE_FAILING_H
#define VALUE_FAILING_H

#include <stdbool.h>

/* The allocation after the next @n gives NULL, those after it work again. */
void failing_after(unsigned int n);

/* Ends it. Whether an allocation has failed. */
bool failing_end(void);

#endif
