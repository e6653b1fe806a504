/*
 * kernel.c - see kernel.h
 *
 * The fix is Linux commit 90d758896787 ("futex: Resend potentially swallowed owner death
 * notification").
 */
#include "kernel.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "log.h"

bool brokerd_kernel_ok(const char *release)
{
    static const struct {
        unsigned major, minor, patch; /* first good one of its series */
    } stable[] = {{5, 15, 86}, {6, 1, 2}};
    unsigned major, minor, patch = 0;

    if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2)
        return true; /* nothing to judge by */
    for (size_t i = 0; i < sizeof(stable) / sizeof(stable[0]); i++)
        if (major == stable[i].major && minor == stable[i].minor)
            return patch >= stable[i].patch;
    return major > 6 || (major == 6 && minor >= 2);
}

void brokerd_kernel_check(void)
{
    struct utsname name;

    if (uname(&name) == 0 && !brokerd_kernel_ok(name.release))
        brokerd_log(LOG_WARNING, NULL,
            "Linux %s can lose a wake-up when a client is killed, and others then wait up to a "
            "second longer: use "
            "6.2 or newer, or a newer release of this series",
            name.release);
}
