/*
 * Equality of encoded values. Both are walked side by side; only maps whose pairs come in different
 * orders are searched, and that within a budget.
 */
#include "value/head.h"
#include "value/value.h"

/* Lets a few pairs that are themselves large change places. */
#define STEPS_PER_BYTE 8

/* How far a walk has come. */
struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

/* One call of bri_value_equal(). */
struct comparison {
    uint64_t steps_left; /* headers that may still be walked over in searching */
    unsigned int depth;  /* containers that are open */
    bool gave_up;        /* the steps are used up: nothing that is found from now on counts */
};

/* Pairs of a map to search through. */
struct pairs {
    struct cursor at;
    uint32_t n;       /* pairs to come */
    uint32_t n_found; /* pairs seen that have the key */
};

static bool same_values(struct comparison *c, struct cursor *a, struct cursor *b);

/* Step over one value of a map that is searched, and pay for it. */
static bool step_over(struct comparison *c, struct cursor *at)
{
    uint64_t n_steps = 0;

    if (c->gave_up)
        return false;
    at->p = bri_head_skip(at->p, at->end, &n_steps);
    if (at->p == NULL || n_steps > c->steps_left)
        c->gave_up = true;
    else
        c->steps_left -= n_steps;
    return !c->gave_up;
}

static bool step_over_pairs(struct comparison *c, struct cursor *at, uint32_t n)
{
    for (uint64_t i = 0; i < 2 * (uint64_t)n; i++) {
        if (!step_over(c, at))
            return false;
    }
    return true;
}

/*
 * Look through @pairs for the key at @key, passing over the first @rank that have it. True if there
 * is one more: @pairs is then at its value. Counts in pairs->n_found.
 */
static bool find_key(struct comparison *c, struct cursor key, struct pairs *pairs, uint32_t rank)
{
    pairs->n_found = 0;
    while (pairs->n > 0) {
        struct cursor key_a = key;
        struct cursor key_b = pairs->at;

        /*
         * Paid for before it is done: to compare keys takes no more steps than to step over them.
         */
        if (!step_over(c, &pairs->at))
            return false;
        if (same_values(c, &key_a, &key_b) && pairs->n_found++ == rank)
            return true;
        if (!step_over(c, &pairs->at))
            return false;
        pairs->n--;
    }
    return false;
}

/*
 * Whether the @n pairs at @a, of which the first is known to have another key than the first at @b,
 * are those at @b in another order. Each is looked up among those at @b; if its key came before,
 * say twice, then it is the third with this key that it must equal. So each has a partner of its
 * own.
 */
static bool same_pairs(struct comparison *c, struct cursor *a, struct cursor *b, uint32_t n)
{
    const struct cursor first = *a;
    struct cursor second = *b;

    if (n < 2 || !step_over_pairs(c, &second, 1))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct pairs earlier = {first, i, 0};
        struct pairs partner = {i == 0 ? second : *b, i == 0 ? n - 1 : n, 0};

        (void)find_key(c, *a, &earlier, UINT32_MAX); /* counts them all */
        if (!find_key(c, *a, &partner, earlier.n_found))
            return false;
        if (!step_over(c, a) || !same_values(c, a, &partner.at))
            return false;
    }
    return step_over_pairs(c, b, n);
}

static bool same_maps(struct comparison *c, struct cursor *a, struct cursor *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct cursor value_a = *a;
        struct cursor value_b = *b;

        if (!same_values(c, &value_a, &value_b))
            return same_pairs(c, a, b, n - i);
        *a = value_a;
        *b = value_b;
        if (!same_values(c, a, b))
            return false;
    }
    return true;
}

static bool same_arrays(struct comparison *c, struct cursor *a, struct cursor *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!same_values(c, a, b))
            return false;
    }
    return true;
}

static bool same_containers(
    struct comparison *c, struct cursor *a, struct cursor *b, const struct bri_head *h)
{
    bool same;

    if (c->depth == BRI_VALUE_DEPTH)
        return false;
    c->depth++;
    if (h->kind == BRI_KIND_MAP)
        same = same_maps(c, a, b, h->count);
    else
        same = same_arrays(c, a, b, h->count);
    c->depth--;
    return same;
}

/* Moves both cursors behind the values if they are equal; else the cursors are of no more use. */
static bool same_values(struct comparison *c, struct cursor *a, struct cursor *b)
{
    struct bri_head ha;
    struct bri_head hb;

    a->p = bri_head_read(a->p, a->end, &ha);
    b->p = bri_head_read(b->p, b->end, &hb);
    if (a->p == NULL || b->p == NULL)
        return false;
    bri_head_unify(&ha);
    bri_head_unify(&hb);
    if (ha.kind != hb.kind || ha.count != hb.count)
        return false;
    switch (ha.kind) {
    case BRI_KIND_NIL:
        return true;
    case BRI_KIND_INT:
        return ha.i == hb.i;
    case BRI_KIND_UINT:
        return ha.u == hb.u;
    case BRI_KIND_DOUBLE:
        return ha.d == hb.d;
    case BRI_KIND_STR:
    case BRI_KIND_BIN:
        return memcmp(ha.body, hb.body, ha.count) == 0;
    case BRI_KIND_EXT:
        return ha.ext_type == hb.ext_type && memcmp(ha.body, hb.body, ha.count) == 0;
    case BRI_KIND_ARRAY:
    case BRI_KIND_MAP:
        return same_containers(c, a, b, &ha);
    default:
        return false;
    }
}

bool bri_value_equal(const void *a, size_t na, const void *b, size_t nb)
{
    struct comparison c = {.steps_left = BRI_EQUAL_STEPS + STEPS_PER_BYTE * ((uint64_t)na + nb)};
    struct cursor ca;
    struct cursor cb;

    if (na == 0 || nb == 0)
        return false;
    ca = (struct cursor){a, (const uint8_t *)a + na};
    cb = (struct cursor){b, (const uint8_t *)b + nb};
    return same_values(&c, &ca, &cb) && !c.gave_up && ca.p == ca.end && cb.p == cb.end;
}
