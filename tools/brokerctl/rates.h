/*
 * How fast things happen to objects: what top shows.
 */
#ifndef CTL_RATES_H
#define CTL_RATES_H

#include "arena.h"
#include "each.h"

/* One object; rates are a second. */
struct ctl_rate {
    char name[BRI_NAME_MAX + 1];
    const char *type; /* constant */
    uint64_t created_ns;
    bool contains;
    uint64_t contents, bytes, waiters, sessions;
    uint64_t changes, sleeps, wait_ns, contended; /* counters as they were */
    double changes_rate, sleeps_rate, contended_rate;
    double waiting; /* threads that slept for it, on average */
};

struct ctl_rates {
    struct ctl_rate *list; /* in order of name, until it is sorted otherwise */
    uint32_t n;
    int64_t at_ns;
    double changes_rate; /* of all */
    struct ctl_arena arena;
};

enum ctl_rate_order {
    CTL_BY_CHANGES,
    CTL_BY_WAITING,
    CTL_BY_CONTENDED,
    CTL_BY_CONTENTS,
    CTL_BY_SIZE,
    CTL_BY_NAME,
    CTL_N_ORDERS,
};

extern const char *const ctl_rate_orders[CTL_N_ORDERS];

/*
 * Looks at the objects that match, and how much happened since @before (NULL, or in order of name),
 * which is freed on success. 0, or what the library says.
 */
int ctl_rates_take(struct ctl *ctl, const struct ctl_filter *filter, struct ctl_rates *before,
    struct ctl_rates *out);

/* A list of pointers in that order, which the caller frees; NULL without memory. */
const struct ctl_rate **ctl_rates_sort(const struct ctl_rates *x, enum ctl_rate_order order);

void ctl_rates_free(struct ctl_rates *x);

#endif
