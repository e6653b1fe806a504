/*
 * settle.h - whether all is in order when everybody has gone
 */
#ifndef STRESS_SETTLE_H
#define STRESS_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <broker.h>

#include "support/instance.h"

/* Descriptors that the daemon has open while it has nobody but the caller as a client. */
unsigned settle_count_fds(const struct instance *i);

/* Waits until it has @n_fds open and nobody but the caller has a session, as it should be soon;
 * says what is left and gives false if that takes too long. */
bool settle_await(const struct instance *i, unsigned n_fds);

/*
 * Ends the daemon and checks the arena that it leaves: nothing is damaged or lost, no session is
 * left, no object either if @must_be_empty. Says what is wrong and gives false. The instance can be
 * restarted.
 */
bool settle_audit(struct instance *i, bool must_be_empty);

/* A number of an object's statistic; false if there is none. */
bool settle_stat(broker *b, const char *name, const char *field, uint64_t *out_number);

#endif
