/*
 * test_capacity.c - how much fits: what is promised of small objects, in an arena of a real
 * instance
 */
#include <stdio.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "raw.h"

#define N_EVENTS 100000u

static struct instance *instance;
static broker *b;

static void start(void)
{
    instance = instance_start("[arena default]\nsize = 64M\n");
    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
}

static void stop(void)
{
    broker_close(b);
    instance_stop(instance);
}

TestSuite(capacity, .init = start, .fini = stop, .timeout = 60);

static const char *name_of(unsigned i)
{
    static char name[16];

    (void)snprintf(name, sizeof(name), "event %u", i);
    return name;
}

/* Each is there, and its own: all are made and every seventh set before any is looked at. */
Test(capacity, a_hundred_thousand_events_fit_in_64_mib)
{
    const broker_event_options new = {.mode = BROKER_CREATE}, there = {.mode = BROKER_OPEN};
    broker_event *event;
    bool is_set;

    for (unsigned i = 0; i < N_EVENTS; i++) {
        cr_assert_eq(
            broker_event_open(b, name_of(i), &new, &event), 0, "%u: %s", i, broker_last_error());
        if (i % 7 == 0)
            cr_assert_eq(broker_event_set(event), 0);
        broker_event_close(event);
    }
    for (unsigned i = 0; i < N_EVENTS; i++) {
        cr_assert_eq(
            broker_event_open(b, name_of(i), &there, &event), 0, "%u: %s", i, broker_last_error());
        cr_assert_eq(broker_event_is_set(event, &is_set), 0);
        cr_assert_eq(is_set, i % 7 == 0, "%u", i);
        broker_event_close(event);
    }
}
