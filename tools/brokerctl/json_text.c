/*
 * What JSON needs on the level of text: a check of the tokens, UTF-8, and base64.
 * The text is whatever a user typed or piped in. Nothing here allocates or keeps state.
 */
#include "json_text.h"

#include <broker/errors.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

/* The text that is left to check. */
struct scan {
    const char *p;
    const char *end;
    const char *message;
};

static int refuse(struct scan *scan, const char *message)
{
    scan->message = message;
    return BROKER_INVALID;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The character @ahead of the next one; NUL, which no token contains, at the end. */
static char peek(const struct scan *scan, size_t ahead)
{
    return ahead < (size_t)(scan->end - scan->p) ? scan->p[ahead] : '\0';
}

static size_t skip_digits(struct scan *scan)
{
    const char *first = scan->p;

    while (is_digit(peek(scan, 0)))
        scan->p++;
    return (size_t)(scan->p - first);
}

/* Whether the digits are a number of at most @limit. */
static bool fits(const char *digits, size_t n, uint64_t limit)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');

        if (number > (limit - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    return true;
}

static int check_number(struct scan *scan)
{
    bool negative = peek(scan, 0) == '-';
    bool integer = true;
    const char *digits;
    size_t n_digits;

    if (negative)
        scan->p++;
    digits = scan->p;
    n_digits = skip_digits(scan);
    if (n_digits == 0)
        return refuse(scan, "a number needs a digit before anything else");
    if (n_digits > 1 && digits[0] == '0')
        return refuse(scan, "a number cannot begin with 0");
    if (peek(scan, 0) == '.') {
        integer = false;
        scan->p++;
        if (skip_digits(scan) == 0)
            return refuse(scan, "a number needs a digit after its point");
    }
    if (peek(scan, 0) == 'e' || peek(scan, 0) == 'E') {
        integer = false;
        scan->p++;
        if (peek(scan, 0) == '+' || peek(scan, 0) == '-')
            scan->p++;
        if (skip_digits(scan) == 0)
            return refuse(scan, "a number needs a digit in its exponent");
    }
    if (integer && !fits(digits, n_digits, negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX))
        return refuse(scan, "the integer does not fit into 64 bits");
    return 0;
}

/* The four hexadecimal digits at @ahead as a number, or -1. */
static int32_t hex4(const struct scan *scan, size_t ahead)
{
    static const char lower[] = "0123456789abcdef";
    static const char upper[] = "0123456789ABCDEF";
    int32_t number = 0;

    for (size_t i = 0; i < 4; i++) {
        char c = peek(scan, ahead + i);
        const char *at = c != '\0' ? strchr(lower, c) : NULL;

        if (at == NULL) {
            at = c != '\0' ? strchr(upper, c) : NULL;
            if (at == NULL)
                return -1;
            number = 16 * number + (int32_t)(at - upper);
        } else {
            number = 16 * number + (int32_t)(at - lower);
        }
    }
    return number;
}

/* An escape; the scan is at its backslash. */
static int check_escape(struct scan *scan, bool *out_nul)
{
    char c = peek(scan, 1);
    int32_t unit;
    int32_t low;

    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
            return refuse(scan, "a string has an unknown escape");
        scan->p += 2;
        return 0;
    }
    unit = hex4(scan, 2);
    if (unit < 0)
        return refuse(scan, "\\u needs four hexadecimal digits");
    *out_nul = *out_nul || unit == 0;
    scan->p += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    low = peek(scan, 0) == '\\' && peek(scan, 1) == 'u' ? hex4(scan, 2) : -1;
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return refuse(scan, "half of a surrogate pair is missing");
    scan->p += 6;
    return 0;
}

static int check_string(struct scan *scan)
{
    bool has_nul = false;
    int r;

    scan->p++;
    while (peek(scan, 0) != '"') {
        if (scan->p == scan->end)
            return refuse(scan, "a string has no end");
        if ((unsigned char)*scan->p < 0x20)
            return refuse(scan, "a string has a control character that is not escaped");
        if (*scan->p != '\\') {
            scan->p++;
            continue;
        }
        r = check_escape(scan, &has_nul);
        if (r < 0)
            return r;
    }
    scan->p++;
    while (is_space(peek(scan, 0)))
        scan->p++;
    if (has_nul && peek(scan, 0) == ':')
        return refuse(scan, "a key with \\u0000 must be given by {\"$map\": [[key, value], ...]}");
    return 0;
}

static int check_literal(struct scan *scan)
{
    static const char *const literals[] = {"null", "true", "false"};
    size_t left = (size_t)(scan->end - scan->p);

    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        size_t size = strlen(literals[i]);

        if (size <= left && memcmp(scan->p, literals[i], size) == 0) {
            scan->p += size;
            return 0;
        }
    }
    return refuse(scan, "not JSON; text must be in double quotes");
}

static int check_token(struct scan *scan)
{
    char c = *scan->p;
    int r;

    if (is_space(c) || (c != '\0' && strchr("{}[],:", c) != NULL)) {
        scan->p++;
        return 0;
    }
    if (c == '"')
        return check_string(scan);
    if (c == '-' || is_digit(c))
        r = check_number(scan);
    else
        r = check_literal(scan);
    if (r < 0)
        return r;
    c = peek(scan, 0);
    if (scan->p < scan->end && !is_space(c) && (c == '\0' || strchr(",:]}", c) == NULL))
        return refuse(scan, "not JSON; text must be in double quotes");
    return 0;
}

int ctl_text_check(const char *text, size_t n, const char **out_message)
{
    struct scan scan = {.p = text, .end = text};
    bool blank = true;
    int r = 0;

    if (n > 0)
        scan.end += n;
    if (!ctl_utf8_valid(text, n))
        r = refuse(&scan, "the text is not UTF-8");
    while (r == 0 && scan.p < scan.end) {
        blank = blank && is_space(*scan.p);
        r = check_token(&scan);
    }
    if (r == 0 && blank)
        r = refuse(&scan, "there is no value");
    if (r < 0)
        *out_message = scan.message;
    return r;
}

bool ctl_utf8_valid(const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t size;

    for (size_t at = 0; at < n; at += size) {
        size = bri_utf8_length(p + at, n - at);
        if (size == 0)
            return false;
    }
    return true;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t ctl_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

void ctl_base64_encode(const void *data, size_t n, char *out)
{
    const uint8_t *p = data;

    for (size_t at = 0; at < n; at += 3) {
        uint32_t bits = (uint32_t)p[at] << 16;

        if (at + 1 < n)
            bits |= (uint32_t)p[at + 1] << 8;
        if (at + 2 < n)
            bits |= p[at + 2];
        *out++ = base64[bits >> 18];
        *out++ = base64[bits >> 12 & 63];
        *out++ = at + 1 < n ? base64[bits >> 6 & 63] : '=';
        *out++ = at + 2 < n ? base64[bits & 63] : '=';
    }
}

/* The 24 bits of four characters of which the last @n_padding are padding; -1 if one is foreign. */
static int32_t base64_bits(const char *text, size_t n_padding)
{
    int32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        const char *at = text[i] != '\0' ? strchr(base64, text[i]) : NULL;

        if (i >= 4 - n_padding)
            at = base64;
        if (at == NULL)
            return -1;
        bits = bits << 6 | (int32_t)(at - base64);
    }
    return bits;
}

int ctl_base64_decode(const char *text, size_t n, void *out, size_t *out_size)
{
    uint8_t *p = out;

    if (n % 4 != 0)
        return BROKER_INVALID;
    for (size_t at = 0; at < n; at += 4) {
        size_t n_padding = 0;
        int32_t bits;

        if (at + 4 == n && text[n - 1] == '=')
            n_padding = text[n - 2] == '=' ? 2 : 1;
        bits = base64_bits(text + at, n_padding);
        if (bits < 0 || (bits & ((1 << 8 * n_padding) - 1)) != 0)
            return BROKER_INVALID;
        *p++ = (uint8_t)(bits >> 16);
        if (n_padding < 2)
            *p++ = (uint8_t)(bits >> 8);
        if (n_padding < 1)
            *p++ = (uint8_t)bits;
    }
    *out_size = (size_t)(p - (uint8_t *)out);
    return 0;
}

/* ---- references ---- */

void ctl_ref_print(struct bri_ref ref, char text[CTL_REF_TEXT])
{
    (void)snprintf(text, CTL_REF_TEXT, "%" PRIu32 ":%" PRIu64 ":%04x", ref.slot,
        bri_ref_generation(ref), (unsigned)(ref.identity >> BRI_GENERATION_BITS));
}

bool ctl_ref_parse(const char *text, struct bri_ref *out)
{
    uint64_t generation;
    uint32_t slot;
    unsigned arena;
    int end = -1;
    char again[CTL_REF_TEXT];

    if (sscanf(text, "%" SCNu32 ":%" SCNu64 ":%4x%n", &slot, &generation, &arena, &end) != 3 ||
        end < 0 || generation == 0 || generation > BRI_GENERATION_MAX)
        return false;
    *out = (struct bri_ref){
        .slot = slot, .identity = (uint64_t)arena << BRI_GENERATION_BITS | generation};
    ctl_ref_print(*out, again); /* as it is printed, and no other way */
    return strcmp(again, text) == 0;
}
