/*
 * text.h - what the bytes of a text are: names come from whoever may write into the arena
 */
#ifndef BRI_CORE_TEXT_H
#define BRI_CORE_TEXT_H

#include <stddef.h>

/* Length of the UTF-8 sequence at @p, of which @n bytes are left; 0 if it is none (RFC 3629). */
size_t bri_utf8_length(const unsigned char *p, size_t n);

/*
 * Length of the control character at @p, of which @n bytes are left: U+0000 to U+001F, DEL, or
 * U+0080 to U+009F, some of which start terminal commands. 0 if there is none.
 */
size_t bri_control_length(const unsigned char *p, size_t n);

/* Makes of @n bytes text that does nothing to a terminal or to lines but show: each byte of a
 * control character, and each that is not UTF-8, becomes a question mark. */
void bri_tame(char *text, size_t n);

#endif
