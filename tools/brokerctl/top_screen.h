/*
 * The screen of `brokerctl top`.
 */
#ifndef CTL_TOP_SCREEN_H
#define CTL_TOP_SCREEN_H

#include "follow.h"
#include "rates.h"

struct ctl_top {
    struct ctl *ctl;
    struct ctl_filter filter;
    struct ctl_follow follow;
    enum ctl_rate_order order;
    bool once;
    struct ctl_rates rates;
};

/* Shows and renews it until a key ends it. 0, or what the library says; SYSTEM: the terminal cannot
 * do that. */
int ctl_top_screen(struct ctl_top *top);

#endif
