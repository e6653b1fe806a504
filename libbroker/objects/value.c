/*
 * value.c - the value type: one number
 *
 * The number and the object's generation are one pair of words, changed by a compare-and-swap of
 * both without the guard: an operation is one instruction, so a kill leaves it before or after, and
 * a handle of an object that was destroyed cannot touch what lives in the slot now. Whoever fails
 * to swap does so because somebody else has succeeded, and nobody ever waits.
 */
#include <stddef.h>

#include "client/handle.h"
#include "core/audit.h"
#include "core/pair.h"
#include "core/type.h"
#include "engine_ops.h"
#include "objects/numbers.h"
#include "objects/save.h"

struct number_shm {
    struct bri_pair pair; /* [atomic] the number in its 64-bit form, and the object's generation */
    uint64_t initial;     /* [const] */
    uint32_t code;        /* [const] letter of the type */
    uint32_t spare;
};

_Static_assert(sizeof(struct number_shm) <= BRI_SLOT_STATE, "state size");
_Static_assert(offsetof(struct bri_slot_shm, state) % _Alignof(struct number_shm) == 0,
    "a pair must not cross its alignment");

static inline struct number_shm *state_of(const struct bri_object *o)
{
    return (struct number_shm *)o->slot->state;
}

/* The pair has another generation, @high: why; 0 if it is sealed and we may see it all the same. */
static __attribute__((noinline)) int trouble(const struct bri_object *o, uint64_t high)
{
    int r = bri_read_trouble(o);

    return r < 0 || high == ~o->generation ? r : BROKER_CORRUPT;
}

/* A look at the number, and its type. GONE, CORRUPT. */
static inline int look(
    const struct bri_object *o, const struct bri_number_type **out_type, uint64_t *out_bits)
{
    const struct number_shm *s = state_of(o);
    uint64_t high;
    int r = 0;

    *out_type = bri_number_type(*(const volatile uint32_t *)&s->code);
    /* In this order: a number that was read while the object lived is the object's. */
    *out_bits = __atomic_load_n(&s->pair.low, __ATOMIC_ACQUIRE);
    high = __atomic_load_n(&s->pair.high, __ATOMIC_RELAXED);
    if (__builtin_expect(high != o->generation, 0))
        r = trouble(o, high);
    return __builtin_expect(*out_type != NULL, 1) ? r : BROKER_CORRUPT;
}

/*
 * Makes the number @bits if it is still *@seen, and else *@seen what it is now: 0, BRI_AGAIN. GONE,
 * CORRUPT.
 */
static inline int swap(const struct bri_object *o, uint64_t *seen, uint64_t bits)
{
    struct bri_pair now = {*seen, o->generation};
    int r;

    if (__builtin_expect(
            bri_pair_swap(&state_of(o)->pair, &now, (struct bri_pair){bits, o->generation}), 1))
        return 0;
    *seen = now.low;
    if (now.high == o->generation)
        return BRI_AGAIN;
    r = trouble(o, now.high);
    return r < 0 ? r : BROKER_LOST;
}

int bri_value_get(struct bri_handle *h, broker_value *out_value)
{
    const struct bri_number_type *type;
    uint64_t bits;
    int r = look(&h->object, &type, &bits);

    if (r == 0)
        *out_value = bri_number_value(type, bits);
    return r;
}

int bri_value_exchange(struct bri_handle *h, broker_value value, broker_value *out_old)
{
    const struct bri_number_type *type;
    uint64_t seen, bits;
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    r = look(&h->object, &type, &seen);
    if (r == 0)
        r = bri_number_bits(type, value, &bits);
    if (r < 0)
        return r;
    do
        r = swap(&h->object, &seen, bits);
    while (r == BRI_AGAIN);
    if (r == 0)
        *out_old = bri_number_value(type, seen);
    return r;
}

int bri_value_set(struct bri_handle *h, broker_value value)
{
    return bri_value_exchange(h, value, &(broker_value){0});
}

int bri_value_add(struct bri_handle *h, broker_value delta, broker_value *out_total)
{
    const struct bri_number_type *type;
    uint64_t seen, bits;
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    r = look(&h->object, &type, &seen);
    while (r == 0) {
        r = bri_number_sum(type, seen, delta, &bits);
        if (r < 0)
            break;
        r = swap(&h->object, &seen, bits);
        if (r == 0) {
            *out_total = bri_number_value(type, bits);
            break;
        }
        if (r == BRI_AGAIN)
            r = 0;
    }
    return r;
}

int bri_value_compare_and_set(struct bri_handle *h, broker_value expected, broker_value value)
{
    const struct bri_number_type *type;
    uint64_t seen, wanted, bits;
    int r;

    if (h->object.att == NULL)
        return BROKER_ACCESS;
    r = look(&h->object, &type, &seen);
    if (r == 0)
        r = bri_number_bits(type, expected, &wanted);
    if (r == 0)
        r = bri_number_bits(type, value, &bits);
    if (r < 0)
        return r;
    do {
        if (!bri_number_equal(type, seen, wanted))
            return BROKER_MISMATCH;
        r = swap(&h->object, &seen, bits);
    } while (r == BRI_AGAIN);
    return r;
}

/* ---- the type ---- */

/* The type and the number that the options ask for. */
static int read_options(
    const broker_number_options *wanted, uint32_t *out_code, uint64_t *out_initial)
{
    broker_value initial = wanted->initial.type != BROKER_NIL ? wanted->initial : broker_int(0);
    int r = bri_number_code(wanted->typecode, out_code);

    return r < 0 ? r : bri_number_bits(bri_number_type(*out_code), initial, out_initial);
}

static int value_create(struct bri_object *o, const void *options)
{
    static const broker_number_options defaults;
    struct number_shm *s = state_of(o);
    int r = read_options(options != NULL ? options : &defaults, &s->code, &s->initial);

    if (r < 0)
        return BROKER_INVALID;
    s->pair = (struct bri_pair){s->initial, o->generation};
    return 0;
}

static int value_match(const struct bri_object *o, const void *options)
{
    broker_number_options wanted = *(const broker_number_options *)options;
    const struct number_shm *s = state_of(o);
    const struct bri_number_type *type = bri_number_type(s->code);
    uint64_t initial;
    uint32_t code;

    if (type == NULL)
        return BROKER_CORRUPT;
    if (wanted.typecode == NULL)
        wanted.typecode = type->code;
    if (read_options(&wanted, &code, &initial) < 0)
        return BROKER_INVALID;
    if (code != s->code || (wanted.initial.type != BROKER_NIL && initial != s->initial))
        return BROKER_MISMATCH;
    return 0;
}

static void set_high(struct bri_object *o, uint64_t high)
{
    struct number_shm *s = state_of(o);
    struct bri_pair now = {0};

    while (!bri_pair_swap(&s->pair, &now, (struct bri_pair){now.low, high}))
        ;
}

/* The pair becomes one that no handle expects. */
static void value_gone(struct bri_object *o)
{
    set_high(o, 0);
}

static void value_seal(struct bri_object *o, bool sealed)
{
    set_high(o, sealed ? ~o->generation : o->generation);
}

static void value_audit(const struct bri_object *o, struct bri_audit *audit)
{
    const struct bri_number_type *type;
    uint64_t bits;

    if (look(o, &type, &bits) < 0)
        bri_audit_fail(audit, o, "its number is another object's, or its type is none");
    else if (!bri_number_fits(type, bits))
        bri_audit_fail(audit, o, "its number is none of its type");
}

static void value_stat(const struct bri_object *o, struct bri_stat *stat)
{
    const struct bri_number_type *type = bri_number_type(state_of(o)->code);

    if (type != NULL)
        bri_stat_add_text(stat, "typecode", type->code);
}

static int value_save(const struct bri_object *o, struct bri_save *save)
{
    const struct number_shm *s = state_of(o);
    const struct bri_number_type *type;
    uint64_t bits;
    int r = look(o, &type, &bits);

    if (r < 0)
        return r;
    bri_save_option(save, "typecode", broker_str(type->code));
    bri_save_option(save, "initial", bri_number_value(type, s->initial));
    if (bits != 0)
        bri_pack_value(&save->contents.pack, bri_number_value(type, bits));
    return 0;
}

static int value_load(struct bri_handle *h, const struct bri_load *load)
{
    return bri_value_set(h, load->contents.type != BROKER_NIL ? load->contents : broker_int(0));
}

const struct bri_type_ops bri_value_type = {
    .number = BRI_TYPE_VALUE,
    .name = "value",
    .has_heap = false,
    .is_word = true,
    .create = value_create,
    .match = value_match,
    .gone = value_gone,
    .seal = value_seal,
    .audit = value_audit,
    .stat = value_stat,
    .save = value_save,
    .load = value_load,
};
