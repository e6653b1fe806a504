/*
 * rates.c - see rates.h
 *
 * An object's changes are counted by its guard: each section that changed something moved its
 * sequence. Locks change without a guard and count how often they were acquired.
 */
#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/registry.h"
#include "each.h"
#include "view.h"

#define LIST_FIRST 64u

const char *const ctl_rate_orders[CTL_N_ORDERS] = {
    "changes", "waiting", "contended", "contents", "size", "name"};

struct taking {
    struct ctl *ctl;
    struct ctl_rates *rates;
    uint32_t capacity;
};

static const char *type_name(broker_value stat)
{
    broker_value type;

    for (unsigned i = 0; i < ctl_n_types && ctl_map_get(stat, "type", &type); i++)
        if (ctl_is_text(type, ctl_types[i].name))
            return ctl_types[i].name;
    return "";
}

static uint64_t count_changes(struct ctl *ctl, const char *name, broker_value stat)
{
    struct bri_object o;
    broker_value acquired;
    uint64_t seq;

    if (bri_registry_find(ctl->broker->arena, name, &o) < 0)
        return 0;
    seq = atomic_load(&o.slot->seq) / 2 - *(const volatile uint64_t *)&o.slot->n_silent;
    return ctl_map_get(stat, "holds", &acquired) ? seq + ctl_map_number(stat, "acquired") : seq;
}

static int add(void *arg, const char *name, broker_value stat)
{
    struct taking *t = arg;
    struct ctl_rates *x = t->rates;
    struct ctl_rate *rate;

    if (x->n == t->capacity) {
        uint32_t capacity = t->capacity != 0 ? t->capacity * 2 : LIST_FIRST;
        struct ctl_rate *list = realloc(x->list, capacity * sizeof(*list));

        if (list == NULL)
            return BROKER_NOMEM;
        x->list = list;
        t->capacity = capacity;
    }
    rate = &x->list[x->n++];
    *rate = (struct ctl_rate){.type = type_name(stat),
        .created_ns = ctl_map_number(stat, "created_ns"),
        .bytes = ctl_map_number(stat, "bytes"),
        .waiters = ctl_map_number(stat, "waiters"),
        .sessions = ctl_map_number(stat, "sessions"),
        .changes = count_changes(t->ctl, name, stat),
        .sleeps = ctl_map_number(stat, "sleeps"),
        .wait_ns = ctl_map_number(stat, "wait_ns"),
        .contended = ctl_map_number(stat, "guard_contended") + ctl_map_number(stat, "contended")};
    rate->contains = ctl_contents(stat, &rate->contents);
    memcpy(rate->name, name, strlen(name) + 1);
    return 0;
}

static double per_second(uint64_t before, uint64_t after, double seconds)
{
    return after > before && seconds > 0 ? (double)(after - before) / seconds : 0;
}

static void compare(struct ctl_rate *after, const struct ctl_rate *before, double seconds)
{
    if (after->created_ns != before->created_ns)
        return;
    after->changes_rate = per_second(before->changes, after->changes, seconds);
    after->sleeps_rate = per_second(before->sleeps, after->sleeps, seconds);
    after->contended_rate = per_second(before->contended, after->contended, seconds);
    after->waiting = per_second(before->wait_ns, after->wait_ns, seconds) / BRI_SECOND;
}

int ctl_rates_take(struct ctl *ctl, const struct ctl_filter *filter, struct ctl_rates *before,
    struct ctl_rates *out)
{
    struct ctl_rates now = {.at_ns = bri_now()};
    struct taking t = {.ctl = ctl, .rates = &now};
    uint32_t old = 0;
    int r;

    ctl_look_at_arena(ctl, &now.arena);
    r = ctl_each_object(ctl, filter, add, &t);
    if (r < 0) {
        ctl_rates_free(&now);
        return r;
    }
    for (uint32_t i = 0; before != NULL && i < now.n; i++) {
        while (old < before->n && strcmp(before->list[old].name, now.list[i].name) < 0)
            old++;
        if (old < before->n && strcmp(before->list[old].name, now.list[i].name) == 0)
            compare(&now.list[i], &before->list[old],
                (double)(now.at_ns - before->at_ns) / (double)BRI_SECOND);
        now.changes_rate += now.list[i].changes_rate;
    }
    ctl_rates_free(before);
    *out = now;
    return 0;
}

/* ---- orders ---- */

static double weight(const struct ctl_rate *x, enum ctl_rate_order order)
{
    switch (order) {
    case CTL_BY_CHANGES:
        return x->changes_rate;
    case CTL_BY_WAITING:
        return (double)x->waiters + x->waiting;
    case CTL_BY_CONTENDED:
        return x->contended_rate;
    case CTL_BY_CONTENTS:
        return (double)x->contents;
    case CTL_BY_SIZE:
        return (double)x->bytes;
    default:
        return 0; /* as they are */
    }
}

/* The list is in order of name, and so are addresses: equal ones stay in that order. */
static int compare_weights(const void *a, const void *b, void *order)
{
    const struct ctl_rate *x = *(const struct ctl_rate *const *)a;
    const struct ctl_rate *y = *(const struct ctl_rate *const *)b;
    double wx = weight(x, *(enum ctl_rate_order *)order);
    double wy = weight(y, *(enum ctl_rate_order *)order);

    return wx != wy ? (wx < wy) - (wx > wy) : (x > y) - (x < y);
}

const struct ctl_rate **ctl_rates_sort(const struct ctl_rates *x, enum ctl_rate_order order)
{
    const struct ctl_rate **list = calloc(x->n + 1u, sizeof(*list));

    if (list == NULL)
        return NULL;
    for (uint32_t i = 0; i < x->n; i++)
        list[i] = &x->list[i];
    qsort_r(list, x->n, sizeof(*list), compare_weights, &order);
    return list;
}

void ctl_rates_free(struct ctl_rates *x)
{
    if (x == NULL)
        return;
    free(x->list);
    x->list = NULL;
    x->n = 0;
}
