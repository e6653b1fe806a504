/*
 * test_log.c - what the daemon tells
 */
#include <criterion/criterion.h>

#include "log.h"

/* In a name that a client chose it would be another message, or play with a terminal. */
Test(log, a_message_is_one_line_without_control_characters)
{
    brokerd_log(LOG_ERR, NULL, "\"%s\" is left out", "a\nbrokerd: b\033[31m\xc2\x9b");
    cr_assert_str_eq(brokerd_log_last_error(), "\"a?brokerd: b?[31m??\" is left out");
}
