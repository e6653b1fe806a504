/*
 * use_array.c - what the stress test does with arrays
 *
 * array: counters, side by side. stripes: STRIPE elements next to each other are always the same;
 * everybody writes some stripes at a time, or all: a write that is seen or left half done leaves a
 * stripe of two numbers.
 */
#include <stdlib.h>

#include "objects.h"
#include "objects/pack.h"
#include "value/value.h"
#include "worker.h"

static void add_to_sums(struct worker *w)
{
    uint32_t k = worker_pick(w, N_COUNTERS);
    struct tally *t = &w->life->summed[k];
    broker_value total;

    worker_step(w, "array add");
    atomic_fetch_add(&t->begun, 1);
    worker_expect(w, broker_array_add(w->sums_array, k, broker_int(1), &total), "array add", 0);
    atomic_fetch_add(&t->done, 1);
    if ((uint64_t)total.i < atomic_load(&t->done))
        ledger_fail(w->ledger, "life %u: a total of %lld after %llu additions of its own",
            w->number, (long long)total.i, (unsigned long long)atomic_load(&t->done));
}

static broker_value make_stripes(struct worker *w, uint32_t n)
{
    broker_value stripes;
    struct bri_pack p;

    bri_pack_start(&p, &w->in);
    bri_pack_array(&p, n * STRIPE);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = worker_pick(w, UINT16_MAX + 1);

        for (uint32_t k = 0; k < STRIPE; k++)
            bri_pack_value(&p, broker_int(number));
    }
    if (bri_pack_end(&p, &stripes) < 0)
        abort();
    return stripes;
}

static void check_stripes(struct worker *w, broker_value stripes)
{
    const void *bytes;
    struct bri_iter it;
    broker_value v;
    int64_t first = 0;
    uint32_t n = 0;
    size_t size;

    worker_expect(w, bri_iter_array(&it, stripes.data, stripes.size), "walk", 0);
    for (; bri_iter_next(&it, &bytes, &size) == 0; n++) {
        worker_expect(w, bri_value_decode(bytes, size, &v), "decode", 0);
        if (n % STRIPE == 0)
            first = v.i;
        else if (v.i != first)
            ledger_fail(w->ledger, "life %u: stripe %u has %lld and %lld", w->number, n / STRIPE,
                (long long)first, (long long)v.i);
    }
    if (n % STRIPE != 0)
        ledger_fail(w->ledger, "life %u: %u elements are no whole stripes", w->number, n);
}

static void use_stripes(struct worker *w)
{
    uint32_t n = 1 + worker_pick(w, worker_pick(w, 16) == 0 ? N_STRIPES : 8);
    int64_t start = (int64_t)worker_pick(w, N_STRIPES - n + 1) * STRIPE;
    int64_t stop = start + (int64_t)n * STRIPE;
    broker_value v;

    worker_step(w, "array stripes");
    if (worker_pick(w, 3) != 0) {
        worker_expect(w, broker_array_set_slice(w->stripes, start, stop, 1, make_stripes(w, n)),
            "array set_slice", 0);
        return;
    }
    if (worker_pick(w, 8) == 0)
        worker_expect(w, broker_array_read(w->stripes, &w->out, &v), "array read", 0);
    else
        worker_expect(w, broker_array_get_slice(w->stripes, start, stop, 1, &w->out, &v),
            "array get_slice", 0);
    check_stripes(w, v);
}

void array_use(struct worker *w)
{
    if (worker_pick(w, 2) == 0)
        add_to_sums(w);
    else
        use_stripes(w);
}
