/*
 * fixture.h - a daemon for each test of a suite, with one arena
 */
#ifndef TESTS_DAEMON_FIXTURE_H
#define TESTS_DAEMON_FIXTURE_H

#include <broker.h>
#include <criterion/criterion.h>

#include "support/instance.h"

#define CONFIG "[arena default]\nsize = 16M\n"

static struct instance *instance;

static void fixture_start(void)
{
    instance = instance_start(CONFIG);
}

static void fixture_stop(void)
{
    instance_stop(instance);
}

static broker *open_broker(void)
{
    broker *b = NULL;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0, "%s", broker_last_error());
    return b;
}

#endif
