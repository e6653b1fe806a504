/*
 * follow.c - see follow.h
 */
#include "follow.h"

#include <stdio.h>
#include <time.h>

#include "core/clock.h"
#include "print.h"
#include "words.h"

#define SHORTEST_NS (10 * BRI_MILLISECOND)

static void read_duration(
    const char *option, const char *arg, struct argp_state *state, int64_t *out)
{
    struct ctl_remark why;

    if (ctl_read_duration(arg, out, &why) < 0)
        argp_error(state, "%s: %s", option, why.text);
}

error_t ctl_follow_option(struct ctl_follow *x, int key, char *arg, struct argp_state *state)
{
    struct ctl_remark why;

    switch (key) {
    case CTL_FOLLOW_INTERVAL:
        read_duration("--interval", arg, state, &x->interval_ns);
        if (x->interval_ns < SHORTEST_NS || x->interval_ns == BROKER_FOREVER)
            argp_error(state, "--interval: at least 10ms");
        return 0;
    case CTL_FOLLOW_TIMEOUT:
        read_duration("--timeout", arg, state, &x->timeout_ns);
        return 0;
    case CTL_FOLLOW_COUNT:
        x->is_counted = true;
        if (ctl_read_count(arg, &x->left, &why) < 0)
            argp_error(state, "--count: %s", why.text);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void ctl_follow_start(struct ctl_follow *x)
{
    x->end_ns = x->timeout_ns == BROKER_FOREVER ? BROKER_FOREVER : bri_now() + x->timeout_ns;
}

int64_t ctl_follow_left(const struct ctl_follow *x, int64_t most_ns)
{
    int64_t left = x->end_ns == BROKER_FOREVER ? most_ns : x->end_ns - bri_now();

    if (left < 0)
        return 0;
    return left < most_ns ? left : most_ns;
}

bool ctl_follow_sleep(const struct ctl_follow *x)
{
    int64_t left = ctl_follow_left(x, x->interval_ns);
    const struct timespec time = {.tv_sec = left / BRI_SECOND, .tv_nsec = left % BRI_SECOND};

    if (left > 0)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    return ctl_follow_left(x, 1) > 0;
}

bool ctl_follow_line(struct ctl *ctl, struct ctl_follow *x)
{
    return ctl_flush(ctl) == 0 && !(x->is_counted && --x->left == 0);
}

int64_t ctl_realtime_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * BRI_SECOND + now.tv_nsec;
}

void ctl_format_clock(int64_t realtime_ns, char out[32])
{
    time_t seconds = (time_t)(realtime_ns / BRI_SECOND);
    struct tm local;
    size_t n;

    if (localtime_r(&seconds, &local) == NULL)
        local = (struct tm){0};
    n = strftime(out, 32, "%T", &local);
    (void)snprintf(out + n, 32 - n, ".%03d", (int)(realtime_ns % BRI_SECOND / BRI_MILLISECOND));
}
