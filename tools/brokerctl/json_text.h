/*
 * What JSON needs on the level of text: the rules that json-c does not enforce, UTF-8, and base64.
 */
#ifndef CTL_JSON_TEXT_H
#define CTL_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ref.h"

/*
 * Check the tokens of @text. json-c accepts more than JSON, and silently changes what it cannot
 * hold: integers of more than 64 bits, lone surrogates, NUL in the keys of objects. All that is
 * BROKER_INVALID here, with the reason in *out_message. How the tokens are put together is left to
 * json-c.
 */
int ctl_text_check(const char *text, size_t n, const char **out_message);

/* Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool ctl_utf8_valid(const void *data, size_t n);

/*
 * Base64 with padding, RFC 4648. The size of the text for @n bytes, and the text itself, without a
 * terminator.
 */
size_t ctl_base64_size(size_t n);
void ctl_base64_encode(const void *data, size_t n, char *out);

/*
 * The bytes for which @text stands, at most 3 / 4 of @n. BROKER_INVALID if it is not what
 * ctl_base64_encode() writes: foreign characters, missing padding, bits that are left over.
 */
int ctl_base64_decode(const char *text, size_t n, void *out, size_t *out_size);

/* A reference as slot:generation:arena; the text has at most CTL_REF_TEXT bytes, with its NUL. */
#define CTL_REF_TEXT 40
void ctl_ref_print(struct bri_ref ref, char text[CTL_REF_TEXT]);
bool ctl_ref_parse(const char *text, struct bri_ref *out);

#endif
