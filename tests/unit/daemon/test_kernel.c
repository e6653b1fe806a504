/*
 * test_kernel.c - which kernels are good enough
 */
#include <criterion/criterion.h>

#include "kernel.h"

Test(kernel, releases_with_the_futex_fix_are_good)
{
    static const char *const good[] = {
        "6.2.0", "6.2.0-rc1", "6.18.44-fc-v445", "7.0", "5.15.86", "5.15.167.4-microsoft", "6.1.2"};
    static const char *const bad[] = {
        "5.15.85", "5.15", "5.4.300", "6.0.19", "6.1.1", "4.19.0", "5.16.20"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert(brokerd_kernel_ok(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(brokerd_kernel_ok(bad[i]), "%s", bad[i]);
    cr_assert(brokerd_kernel_ok("strange"));
}
