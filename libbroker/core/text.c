/*
 * text.c - see text.h
 */
#include "core/text.h"

#include <stdint.h>

size_t bri_utf8_length(const unsigned char *p, size_t n)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t code = length == 1 ? p[0] : p[0] & (0x7fu >> length);
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if ((p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0
                                                                                        : length;
}

size_t bri_control_length(const unsigned char *p, size_t n)
{
    if (n > 0 && (p[0] < ' ' || p[0] == 0x7f))
        return 1;
    return n > 1 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

void bri_tame(char *text, size_t n)
{
    unsigned char *p = (unsigned char *)text;
    size_t size;

    for (; n > 0; p += size, n -= size) {
        size = bri_utf8_length(p, n);
        if (size == 0 || bri_control_length(p, n) > 0) {
            size = 1;
            *p = '?';
        }
    }
}
