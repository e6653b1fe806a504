/*
 * selftest.h - the watchdog's ping, sent only while the daemon does its work
 *
 * When the service manager wants pings ($WATCHDOG_USEC), the daemon tries itself a few times within
 * that time: it takes the registry's guard of every arena, and asks over its own attach socket, as
 * a client would. The ping is sent when the answer is there. What a client can cause must not make
 * the test fail: a guard that somebody holds, a crowd at the socket, descriptors used up.
 */
#ifndef BROKERD_SELFTEST_H
#define BROKERD_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct brokerd;

struct brokerd_selftest {
    sd_event_source *tick, *on_answer;
    uint64_t interval_usec;
    int probe;           /* our own connection to the attach socket; -1: none */
    uint64_t n_accepted; /* of the daemon, at the last tick */
};

/* Begins, if pings are wanted. False, logged, when it cannot. The attach socket is there already.
 */
bool brokerd_selftest_start(struct brokerd *d);

void brokerd_selftest_stop(struct brokerd *d);

#endif
