/*
 * settle.h - whether all is in order when everybody has gone
 */
#ifndef STRESS_SETTLE_H
#define STRESS_SETTLE_H

#include <stdbool.h>

#include "support/instance.h"

/* Descriptors that the daemon has open while it has nobody but the caller as a client. */
unsigned settle_count_fds(const struct instance *i);

/* Waits until it has @n open, as it should soon; says so and gives false if it has not. */
bool settle_await_fds(const struct instance *i, unsigned n);

/*
 * Ends the daemon and checks the arena that it leaves: nothing is damaged or lost, no session is
 * left, no object either if @must_be_empty. Says what is wrong and gives false. The instance can be
 * restarted.
 */
bool settle_audit(struct instance *i, bool must_be_empty);

#endif
