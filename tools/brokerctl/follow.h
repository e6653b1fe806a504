/*
 * What commands share that print something whenever it happens.
 */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include <argp.h>

#include "ctl.h"

/* How long and how often. */
struct ctl_follow {
    int64_t interval_ns; /* between looks, where nothing tells of a change */
    int64_t timeout_ns;  /* to end after */
    int64_t end_ns;      /* set by ctl_follow_start() */
    uint64_t left;       /* lines to print */
    bool is_counted;
};

/* Keys of options; those of a command begin behind them. */
enum {
    CTL_FOLLOW_INTERVAL = 0x400,
    CTL_FOLLOW_TIMEOUT,
    CTL_FOLLOW_COUNT,
};

#define CTL_FOLLOW_OPTIONS                                                                         \
    {"timeout", CTL_FOLLOW_TIMEOUT, "DURATION", 0, "end after this time", 0},                      \
    {                                                                                              \
        "count", CTL_FOLLOW_COUNT, "N", 0, "end after so many lines", 0                            \
    }

/* Reads these options: 0, or ARGP_ERR_UNKNOWN. */
error_t ctl_follow_option(struct ctl_follow *x, int key, char *arg, struct argp_state *state);

void ctl_follow_start(struct ctl_follow *x);

/* Sleeps until the next look; false when the time is over. */
bool ctl_follow_sleep(const struct ctl_follow *x);

/* What is left of the time, at most @most_ns. */
int64_t ctl_follow_left(const struct ctl_follow *x, int64_t most_ns);

/* One line was printed: hands it on. False when there are enough, or it cannot be written. */
bool ctl_follow_line(struct ctl *ctl, struct ctl_follow *x);

/* The time as people write it: "15:04:05.123". */
void ctl_format_clock(int64_t realtime_ns, char out[32]);

int64_t ctl_realtime_ns(void);

#endif
