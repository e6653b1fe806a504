/*
 * loop.c - see loop.h
 */
#include "loop.h"

#include <signal.h>

int brokerd_loop_new(sd_event **out_loop, sd_event_signal_handler_t on_stop,
    sd_event_signal_handler_t on_reload, void *arg)
{
    sigset_t signals;
    int r;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    r = sd_event_new(out_loop);
    if (r >= 0)
        r = sd_event_add_signal(*out_loop, NULL, SIGTERM, on_stop, arg);
    if (r >= 0)
        r = sd_event_add_signal(*out_loop, NULL, SIGINT, on_stop, arg);
    if (r >= 0)
        r = sd_event_add_signal(*out_loop, NULL, SIGHUP, on_reload, arg);
    return r;
}
