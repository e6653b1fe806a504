/*
 * The check that every value passes before anything else reads it: msgpack-c's own parser template
 * with callbacks that only count, so that it allocates nothing and accepts nothing that msgpack-c
 * would not.
 */
#include "value/value.h"

#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

_Static_assert(MSGPACK_EMBED_STACK_SIZE == BRI_VALUE_DEPTH, "the template's stack is the limit");

/* The template wants a type for what has been parsed; nothing is kept of it. */
typedef char walk_object;

struct walk_budget {
    size_t left; /* values that may still be announced: no more than there are bytes for */
};

static inline walk_object see_root(struct walk_budget *budget)
{
    (void)budget;
    return 0;
}

#define SEE_SIMPLE(name)                                                                           \
    static inline int see_##name(struct walk_budget *budget, walk_object *o)                       \
    {                                                                                              \
        (void)budget;                                                                              \
        *o = 0;                                                                                    \
        return 0;                                                                                  \
    }

#define SEE_NUMBER(name, type)                                                                     \
    static inline int see_##name(struct walk_budget *budget, type number, walk_object *o)          \
    {                                                                                              \
        (void)budget;                                                                              \
        (void)number;                                                                              \
        *o = 0;                                                                                    \
        return 0;                                                                                  \
    }

SEE_SIMPLE(nil)
SEE_SIMPLE(true)
SEE_SIMPLE(false)
SEE_NUMBER(uint8, uint8_t)
SEE_NUMBER(uint16, uint16_t)
SEE_NUMBER(uint32, uint32_t)
SEE_NUMBER(uint64, uint64_t)
SEE_NUMBER(int8, int8_t)
SEE_NUMBER(int16, int16_t)
SEE_NUMBER(int32, int32_t)
SEE_NUMBER(int64, int64_t)
SEE_NUMBER(float, float)
SEE_NUMBER(double, double)

/* Sizes are size_t: newer versions of the template pass that, older ones unsigned int. */
static inline int see_str(
    struct walk_budget *budget, const char *base, const char *body, size_t size, walk_object *o)
{
    (void)budget;
    (void)base;
    (void)body;
    (void)size;
    *o = 0;
    return 0;
}

static inline int see_bin(
    struct walk_budget *budget, const char *base, const char *body, size_t size, walk_object *o)
{
    return see_str(budget, base, body, size, o);
}

/*
 * @size includes the byte of the type, so it is never 0, unless an ext 32 of 0xffffffff bytes made
 * the template's sum wrap around: that one it would take for empty.
 */
static inline int see_ext(
    struct walk_budget *budget, const char *base, const char *body, size_t size, walk_object *o)
{
    if (size == 0)
        return MSGPACK_UNPACK_PARSE_ERROR;
    return see_str(budget, base, body, size, o);
}

static inline int see_announced(struct walk_budget *budget, size_t n, walk_object *o)
{
    if (n > budget->left)
        return MSGPACK_UNPACK_PARSE_ERROR;
    budget->left -= n;
    *o = 0;
    return 0;
}

static inline int see_array(struct walk_budget *budget, size_t n, walk_object *o)
{
    return see_announced(budget, n, o);
}

static inline int see_map(struct walk_budget *budget, size_t n, walk_object *o)
{
    return n > SIZE_MAX / 2 ? MSGPACK_UNPACK_PARSE_ERROR : see_announced(budget, 2 * n, o);
}

static inline int see_array_item(struct walk_budget *budget, walk_object *array, walk_object item)
{
    (void)budget;
    (void)array;
    (void)item;
    return 0;
}

static inline int see_map_item(
    struct walk_budget *budget, walk_object *map, walk_object key, walk_object value)
{
    (void)budget;
    (void)map;
    (void)key;
    (void)value;
    return 0;
}

#define msgpack_unpack_struct(name) struct walk##name
#define msgpack_unpack_func(type, name) static inline type walk##name
#define msgpack_unpack_callback(name) see##name
#define msgpack_unpack_object walk_object
#define msgpack_unpack_user struct walk_budget

#include <msgpack/unpack_template.h>

int bri_value_check_first(const void *data, size_t size, size_t *out_used)
{
    struct walk_context walk;
    size_t used = 0;
    int r;

    if (size == 0)
        return BROKER_INVALID;
    walk.user.left = size - 1;
    walk_init(&walk);
    r = walk_execute(&walk, data, size, &used);
    if (r == MSGPACK_UNPACK_NOMEM_ERROR) /* used for one thing only: the stack is full */
        return BROKER_TOODEEP;
    if (r <= 0)
        return BROKER_INVALID;
    *out_used = used;
    return 0;
}

int bri_value_check(const void *data, size_t size)
{
    size_t used;
    int r = bri_value_check_first(data, size, &used);

    return r == 0 && used != size ? BROKER_INVALID : r;
}
