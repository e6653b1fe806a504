/*
 * deep_sleep.h - processes that sleep until they are woken
 *
 * Whoever sleeps for something in an arena looks for himself after a second, so that a wake-up that
 * was lost costs no more. A test for wake-ups that are lost, on a machine where anything may take
 * a second, is better off without that: then one that is lost is waited for in vain.
 */
#ifndef STRESS_DEEP_SLEEP_H
#define STRESS_DEEP_SLEEP_H

#include <stdbool.h>

/* From now on no sleep of this process in an arena ends by its time. */
void deep_sleep(void);

#endif
