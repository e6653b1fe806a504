/*
 * fixture.h - a daemon for each test of a suite, and $BROKER_ADDRESS leading to it
 */
#ifndef TESTS_CTL_FIXTURE_H
#define TESTS_CTL_FIXTURE_H

#include <stdlib.h>

#include <criterion/criterion.h>

#include "run.h"
#include "support/instance.h"

static struct instance *instance;

static void fixture_start(void)
{
    instance = instance_start("[arena default]\nsize = 16M\n");
    cr_assert_eq(setenv("BROKER_ADDRESS", instance_address(instance), 1), 0);
}

static void fixture_stop(void)
{
    instance_stop(instance);
}

#endif
