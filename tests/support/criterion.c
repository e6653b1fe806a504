/*
 * criterion.c - what Criterion's processes are to leave out
 *
 * Criterion runs each test in a process of its own, which it starts anew and calls boxfort-worker.
 */
#include <errno.h>
#include <string.h>

#define INSTEAD __attribute__((visibility("default")))

/* Leaks are looked for where the tests run. The one that starts them has nothing of ours, and now
 * and then forgets 48 bytes of its own. */
INSTEAD int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return strcmp(program_invocation_short_name, "boxfort-worker") != 0;
}

/* Each process would start libgit2, which reads the certificates of the machine: more work than
 * most tests. Only cr_assert(eq()), which is not used, compares texts by it. */
INSTEAD int git_libgit2_init(void);
INSTEAD int git_libgit2_shutdown(void);

int git_libgit2_init(void)
{
    return 1;
}

int git_libgit2_shutdown(void)
{
    return 0;
}
