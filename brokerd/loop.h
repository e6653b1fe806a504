/*
 * loop.h - the event loop of a daemon, and the signals that it is told by
 */
#ifndef BROKERD_LOOP_H
#define BROKERD_LOOP_H

#include <systemd/sd-event.h>

/* A new loop. SIGTERM and SIGINT call @on_stop, SIGHUP @on_reload, both with @arg; in the thread
 * they are blocked. A negative errno if it cannot be made: *@out_loop may be there then, too. */
int brokerd_loop_new(sd_event **out_loop, sd_event_signal_handler_t on_stop,
    sd_event_signal_handler_t on_reload, void *arg);

#endif
