/*
 * gives.h - what a call must give, told with what it gave
 */
#ifndef TESTS_GIVES_H
#define TESTS_GIVES_H

#include <broker.h>
#include <criterion/criterion.h>

#define GIVES(call, code)                                                                          \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        cr_assert_eq(r_, (code), "%s gave %s: %s", #call, broker_error_name(r_),                   \
            r_ < 0 ? broker_last_error() : "");                                                    \
    } while (0)
#define OK(call) GIVES(call, 0)

#endif
