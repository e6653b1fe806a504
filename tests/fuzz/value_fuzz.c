/*
 * Fuzzing of everything in libbroker/value that reads bytes: msgpack-c is the oracle for what a
 * value is, and the functions are held against each other for the rest.
 *
 * An input is one byte that says where the others are cut into two pieces, and these.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "driver.h"
#include "value/head.h"
#include "value/value.h"

#define PIECE_ROOM 200
_Static_assert(1 + 4 * PIECE_ROOM <= FUZZ_ROOM, "two values and what damage adds");

static uint64_t n_valid; /* first values */

/* ASan must not end the process where msgpack-c asks for more memory than there is. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* A copy of exactly its size, so that a sanitizer sees every byte read too many. */
struct piece {
    uint8_t *data;
    size_t size;
    bool valid;
};

static struct piece make_piece(const uint8_t *data, size_t size)
{
    struct piece piece = {malloc(size > 0 ? size : 1), size, false};
    int r;

    if (piece.data == NULL)
        abort();
    if (size > 0)
        memcpy(piece.data, data, size);
    r = bri_value_check(piece.data, size);
    fuzz_require(
        r == 0 || r == BROKER_INVALID || r == BROKER_TOODEEP, "check gives one of its codes");
    piece.valid = r == 0;
    return piece;
}

/* Whether msgpack-c takes the piece for one whole value; *out is to be destroyed in any case. */
static bool msgpack_takes(const struct piece *piece, msgpack_unpacked *out)
{
    size_t used = 0;

    msgpack_unpacked_init(out);
    return msgpack_unpack_next(out, (const char *)piece->data, piece->size, &used) ==
               MSGPACK_UNPACK_SUCCESS &&
           used == piece->size;
}

static bool has_nan(const struct piece *piece)
{
    const uint8_t *end = piece->data + piece->size;
    const uint8_t *p = piece->data;
    struct bri_head h;

    while (p < end) {
        p = bri_head_read(p, end, &h);
        fuzz_require(p != NULL, "a checked value consists of headers");
        if (h.kind == BRI_KIND_DOUBLE && isnan(h.d))
            return true;
    }
    return false;
}

/* A container's elements lie side by side and fill it; other values are none. */
static void try_iterating(const struct piece *piece)
{
    const void *element;
    struct bri_iter it;
    size_t n = 0;
    size_t size;
    uint32_t announced;
    int r;

    if (bri_iter_array(&it, piece->data, piece->size) < 0 &&
        bri_iter_map(&it, piece->data, piece->size) < 0)
        return;
    announced = it.left;
    while ((r = bri_iter_next(&it, &element, &size)) == 0) {
        n++;
        if (piece->valid)
            fuzz_require(bri_value_check(element, size) == 0, "an element is a value");
    }
    fuzz_require(r == BROKER_EMPTY || r == BROKER_INVALID, "a walk gives one of its codes");
    fuzz_require(n <= announced, "a walk ends");
    fuzz_require(
        !piece->valid || (r == BROKER_EMPTY && n == announced), "a walk gives every element");
}

static void try_decoding(const struct piece *piece, bool nan)
{
    broker_value v = broker_nil();
    int r = bri_value_decode(piece->data, piece->size, &v);
    uint8_t *again;
    size_t size;

    fuzz_require(r == 0 || r == BROKER_CORRUPT, "decode gives one of its codes");
    fuzz_require(!piece->valid || r == 0, "a checked value can be decoded");
    if (r < 0 || !piece->valid)
        return;
    fuzz_require(bri_value_measure(v, &size) == 0, "a decoded value can be measured");
    fuzz_require(size <= piece->size || v.type == BROKER_DOUBLE, "the shortest form is no longer");
    again = malloc(size);
    if (again == NULL)
        abort();
    fuzz_require(bri_value_encode(v, again) == size, "encode keeps to what measure says");
    fuzz_require(bri_value_check(again, size) == 0, "what was encoded is a value");
    fuzz_require(
        bri_value_equal(piece->data, piece->size, again, size) == !nan, "it is the same value");
    free(again);
}

/* Packed again by msgpack-c, headers get shorter and nothing else changes. */
static void try_repacking(const struct piece *piece, const msgpack_object *object, bool nan)
{
    msgpack_sbuffer again;
    msgpack_packer packer;

    msgpack_sbuffer_init(&again);
    msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
    fuzz_require(
        msgpack_pack_object(&packer, *object) == 0, "msgpack-c packs what it has unpacked");
    fuzz_require(bri_value_check(again.data, again.size) == 0, "what msgpack-c packs is a value");
    fuzz_require(bri_value_equal(piece->data, piece->size, again.data, again.size) == !nan,
        "it is the same value for msgpack-c");
    msgpack_sbuffer_destroy(&again);
}

static void try_key(const struct piece *piece, struct bri_key *k, bool *out_is_key)
{
    struct bri_key again;
    int r = bri_key_init(k, broker_packed(piece->data, piece->size));

    *out_is_key = r == 0;
    if (!piece->valid) {
        fuzz_require(r == BROKER_INVALID || r == BROKER_TOODEEP, "what is no value is no key");
        return;
    }
    fuzz_require(
        r == 0 || r == BROKER_BADKEY || r == BROKER_TOOBIG, "a key gives one of its codes");
    if (r < 0)
        return;
    fuzz_require(bri_value_check(k->data, k->size) == 0, "a key is a value");
    fuzz_require(
        bri_value_equal(piece->data, piece->size, k->data, k->size), "a key equals its value");
    fuzz_require(bri_key_init(&again, broker_packed(k->data, k->size)) == 0, "a key can be a key");
    fuzz_require(
        again.size == k->size && memcmp(again.data, k->data, k->size) == 0, "a key is its own key");
    bri_key_fini(&again);
}

static void try_piece(const struct piece *piece)
{
    msgpack_unpacked unpacked;
    bool nan = piece->valid && has_nan(piece);

    /*
     * msgpack-c allocates what 32-bit counts announce before it looks for it: not asked about those
     * we refuse.
     */
    if (piece->valid || (memchr(piece->data, 0xdd, piece->size) == NULL &&
                            memchr(piece->data, 0xdf, piece->size) == NULL)) {
        fuzz_require(
            msgpack_takes(piece, &unpacked) == piece->valid, "msgpack-c agrees on what is a value");
        if (piece->valid)
            try_repacking(piece, &unpacked.data, nan);
        msgpack_unpacked_destroy(&unpacked);
    }
    try_iterating(piece);
    try_decoding(piece, nan);
}

static void try_order(const struct piece *a, const struct piece *b)
{
    int there = 0;
    int back = 0;
    int r = bri_value_compare(a->data, a->size, b->data, b->size, &there);
    bool equal = bri_value_equal(a->data, a->size, b->data, b->size);

    fuzz_require(r == 0 || r == BROKER_INCOMPARABLE || r == BROKER_CORRUPT,
        "compare gives one of its codes");
    fuzz_require(
        equal == bri_value_equal(b->data, b->size, a->data, a->size), "equality is symmetric");
    if (!a->valid || !b->valid) {
        fuzz_require(!equal, "what is no value equals nothing");
        return;
    }
    fuzz_require(r != BROKER_CORRUPT, "values are not corrupt");
    fuzz_require(
        bri_value_compare(b->data, b->size, a->data, a->size, &back) == r, "order is symmetric");
    fuzz_require((there > 0) == (back < 0) && (there < 0) == (back > 0), "order has one direction");
    fuzz_require(r < 0 || equal == (there == 0), "order and equality agree");
}

static void try_pair(const struct piece *a, const struct piece *b)
{
    struct bri_key keys[2];
    bool is_key[2];

    try_key(a, &keys[0], &is_key[0]);
    try_key(b, &keys[1], &is_key[1]);
    try_order(a, b);
    try_order(a, a);
    if (is_key[0] && is_key[1])
        fuzz_require((keys[0].size == keys[1].size &&
                         memcmp(keys[0].data, keys[1].data, keys[0].size) == 0) ==
                         bri_value_equal(a->data, a->size, b->data, b->size),
            "keys are the same if and only if the values are equal");
    bri_key_fini(&keys[0]);
    bri_key_fini(&keys[1]);
}

static void try(const uint8_t *data, size_t size)
{
    struct piece a;
    struct piece b;
    size_t cut;

    if (size == 0)
        return;
    cut = 1 + (data[0] < size - 1 ? data[0] : size - 1);
    a = make_piece(data + 1, cut - 1);
    b = make_piece(data + cut, size - cut);
    try_piece(&a);
    try_piece(&b);
    try_pair(&a, &b);
    n_valid += a.valid;
    free(a.data);
    free(b.data);
}

/* Two values, often equal or nearly so, and often damaged. */
static size_t make_input(struct random *r, const struct fuzz_corpus *corpus, uint8_t out[FUZZ_ROOM])
{
    size_t room = random_below(r, 4) == 0 ? PIECE_ROOM : 24;
    size_t n_first = random_value(r, out + 1, room, 1 + (unsigned int)random_below(r, 40));
    size_t n_second = n_first;
    uint8_t *second = out + 1 + n_first;

    (void)corpus;
    if (random_below(r, 2) == 0)
        memcpy(second, out + 1, n_first);
    else
        n_second = random_value(r, second, room, 4);
    out[0] = (uint8_t)n_first;
    switch (random_below(r, 4)) {
    case 0:
        return 1 + random_damage(r, out + 1, n_first + n_second, 4 * (size_t)PIECE_ROOM);
    case 1:
        return 1 + n_first + random_damage(r, second, n_second, (size_t)2 * PIECE_ROOM);
    default:
        return 1 + n_first + n_second;
    }
}

static void end(void)
{
    (void)printf("%llu of them with a valid first value\n", (unsigned long long)n_valid);
}

const struct fuzz_target fuzz_target = {
    .name = "value_fuzz", .try = try, .make = make_input, .end = end};
