/*
 * test_text.c - what of a text is harmless
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/text.h"

Test(text, control_characters_and_what_is_not_utf8_are_tamed)
{
    static const struct {
        const char *text, *tame;
    } cases[] = {{"", ""}, {"plain \"text\"", "plain \"text\""}, {"\033[31mred", "?[31mred"},
        {"a\nb\tc\rd\x7f", "a?b?c?d?"},
        {"\xc2\x9b"
         "1m",
            "??1m"},
        {"\x9b"
         "1m",
            "?1m"},
        {"\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
            "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc0\x9b\xed\xa0\x80\xf4\x90\x80\x80", "?????????"}, {"cut \xe2\x82", "cut ??"},
        {"\xc2\x80\xc2\x9f\xc2", "?????"}};
    char text[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s", cases[i].text);
        bri_tame(text, strlen(text));
        cr_assert_str_eq(text, cases[i].tame, "case %zu: %s", i, text);
    }
}

Test(text, control_characters_are_measured_within_what_is_left)
{
    const unsigned char c1[] = {0xc2, 0x9b};

    cr_assert_eq(bri_control_length(c1, 2), 2);
    cr_assert_eq(bri_control_length(c1, 1), 0);
    cr_assert_eq(bri_control_length(c1, 0), 0);
    cr_assert_eq(bri_control_length((const unsigned char *)"\0", 1), 1);
}
