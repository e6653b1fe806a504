/*
 * Random msgpack for tests.
 */
#include "random.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

uint64_t random_seed(void)
{
    const char *given = getenv("BROKER_TEST_SEED");

    return given != NULL ? strtoull(given, NULL, 0) : UINT64_C(0x5eed);
}

/* splitmix64 */
uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t random_below(struct random *r, size_t n)
{
    return (size_t)(random_next(r) % n);
}

static size_t put_number(uint8_t *out, uint8_t format, uint64_t bits, size_t n_bytes)
{
    uint64_t big = htobe64(bits);

    out[0] = format;
    memcpy(out + 1, (const uint8_t *)&big + sizeof(big) - n_bytes, n_bytes);
    return 1 + n_bytes;
}

/* A number one or two away from a bound of some format. */
static uint64_t near_bound(struct random *r)
{
    static const unsigned int bits[] = {0, 5, 7, 8, 15, 16, 31, 32, 53, 63};
    uint64_t bound = UINT64_C(1) << bits[random_below(r, sizeof(bits) / sizeof(bits[0]))];

    bound += random_below(r, 5) - 2;
    return random_below(r, 2) == 0 ? bound : -bound;
}

static double random_double(struct random *r)
{
    uint64_t bits = random_next(r);
    double d;

    switch (random_below(r, 4)) {
    case 0:
        return (double)(int64_t)near_bound(r);
    case 1:
        return (double)near_bound(r);
    case 2:
        return (double)(int64_t)near_bound(r) / 4;
    default:
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
}

static size_t put_double(uint8_t *out, double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return put_number(out, 0xcb, bits, 8);
}

static size_t put_float(uint8_t *out, double d)
{
    float f = (float)d;
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return put_number(out, 0xca, bits, 4);
}

/* A number in any format that takes no more than @room bytes. */
static size_t random_number(struct random *r, uint8_t *out, size_t room)
{
    size_t n_bytes = (size_t)1 << random_below(r, 4);
    size_t widest = random_below(r, 3);
    uint8_t power = (uint8_t)(n_bytes == 1 ? 0 : n_bytes == 2 ? 1 : n_bytes == 4 ? 2 : 3);

    if (room < 9) {
        out[0] =
            (uint8_t)(random_below(r, 2) == 0 ? random_below(r, 0x80) : 0xe0 + random_below(r, 32));
        return 1;
    }
    if (widest == 0)
        return random_below(r, 4) == 0 ? put_float(out, random_double(r))
                                       : put_double(out, random_double(r));
    return put_number(out, (uint8_t)((widest == 1 ? 0xcc : 0xd0) + power), near_bound(r), n_bytes);
}

/*
 * The formats of what has a size: the one with the size in the first byte, and those with 1, 2 and
 * 4 bytes for it.
 */
struct sized {
    uint8_t small; /* 0 if there is none */
    uint8_t n_small;
    uint8_t wide[3]; /* 0 if there is none */
};

static const struct sized str_formats = {0xa0, 32, {0xd9, 0xda, 0xdb}};
static const struct sized bin_formats = {0, 0, {0xc4, 0xc5, 0xc6}};
static const struct sized ext_formats = {0, 0, {0xc7, 0xc8, 0xc9}};
static const struct sized array_formats = {0x90, 16, {0, 0xdc, 0xdd}};
static const struct sized map_formats = {0x80, 16, {0, 0xde, 0xdf}};

/* A header for @size (at most 255), often a wider one than is needed. */
static size_t random_header(
    struct random *r, uint8_t *out, const struct sized *formats, size_t size)
{
    size_t width = random_below(r, 3);

    if (size < formats->n_small && random_below(r, 2) == 0) {
        out[0] = (uint8_t)(formats->small + size);
        return 1;
    }
    if (formats->wide[width] == 0)
        width++;
    return put_number(out, formats->wide[width], size, (size_t)1 << width);
}

static size_t random_bytes(struct random *r, uint8_t *out, size_t size)
{
    static const char pieces[][5] = {"a", "b", "$", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x8d"};
    size_t at = 0;

    while (at < size) {
        const char *piece = pieces[random_below(r, sizeof(pieces) / sizeof(pieces[0]))];
        size_t n = strlen(piece);

        if (n > size - at || random_below(r, 16) == 0) {
            out[at++] = (uint8_t)random_below(r, 256);
            continue;
        }
        memcpy(out + at, piece, n);
        at += n;
    }
    return size;
}

static size_t random_blob(struct random *r, uint8_t *out, size_t room)
{
    const struct sized *formats[] = {&str_formats, &str_formats, &bin_formats, &ext_formats};
    const struct sized *chosen = formats[random_below(r, 4)];
    size_t most = random_below(r, 8) == 0 ? 200 : 12;
    size_t size = random_below(r, most + 1);
    size_t at;

    if (room < 8 + most)
        size = 0;
    if (room < 8)
        return random_number(r, out, room);
    if (chosen != &ext_formats) {
        at = random_header(r, out, chosen, size);
        return at + random_bytes(r, out + at, size);
    }
    if (random_below(r, 2) == 0 && room >= 18) {
        size_t power = random_below(r, 5);

        out[0] = (uint8_t)(0xd4 + power);
        out[1] = (uint8_t)random_next(r);
        return 2 + random_bytes(r, out + 2, (size_t)1 << power);
    }
    at = random_header(r, out, chosen, size);
    out[at++] = (uint8_t)random_next(r);
    return at + random_bytes(r, out + at, size);
}

/* @n values one after the other, each leaving a byte for each that follows. */
static size_t put_values(struct random *r, uint8_t *out, size_t room, unsigned int depth, size_t n)
{
    size_t at = 0;

    for (; n > 0; n--)
        at += random_value(r, out + at, room - at - (n - 1), depth);
    return at;
}

static size_t random_container(struct random *r, uint8_t *out, size_t room, unsigned int depth)
{
    size_t n = random_below(r, 6);
    size_t at;

    if (room < 5 + 2 * n)
        n = 0;
    if (room < 5 || depth == 0)
        return random_number(r, out, room);
    if (random_below(r, 2) == 0) {
        at = random_header(r, out, &array_formats, n);
        return at + put_values(r, out + at, room - at, depth - 1, n);
    }
    at = random_header(r, out, &map_formats, n);
    return at + put_values(r, out + at, room - at, depth - 1, 2 * n);
}

size_t random_value(struct random *r, uint8_t *out, size_t room, unsigned int depth)
{
    static const uint8_t constants[] = {0xc0, 0xc2, 0xc3};

    switch (random_below(r, 8)) {
    case 0:
        out[0] = constants[random_below(r, sizeof(constants))];
        return 1;
    case 1:
    case 2:
        return random_blob(r, out, room);
    case 3:
    case 4:
    case 5:
        return random_container(r, out, room, depth);
    default:
        return random_number(r, out, room);
    }
}

size_t random_damage(struct random *r, uint8_t *data, size_t size, size_t room)
{
    size_t n_times = 1 + random_below(r, 4);

    for (size_t i = 0; i < n_times && size > 0; i++) {
        size_t at = random_below(r, size);
        size_t n = 1 + random_below(r, size - at);

        switch (random_below(r, 6)) {
        case 0:
            size = at;
            break;
        case 1: /* take some out */
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
            break;
        case 2: /* repeat some */
            if (n > room - size)
                break;
            memmove(data + at + n, data + at, size - at);
            size += n;
            break;
        case 3:
            data[at] = (uint8_t)(data[at] ^ 1U << random_below(r, 8));
            break;
        case 4:
            data[at] = (uint8_t)(0xc0 + random_below(r, 0x20));
            break;
        default:
            data[at] = (uint8_t)random_next(r);
            break;
        }
    }
    return size;
}
