/*
 * pair.c - see pair.h
 */
#include "support/pair.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/clock.h"

#define PATIENCE_NS (40 * BRI_SECOND)

pid_t pair_endpoint(const struct pair *pair)
{
    int64_t until = bri_now() + PATIENCE_NS;
    pid_t pid;

    while ((pid = instance_zmq_pid(pair->instance)) == 0) {
        cr_assert_lt(bri_now(), until, "there is no endpoint");
        (void)sched_yield();
    }
    return pid;
}

/* Whether a program that comes by ZeroMQ is served. */
static int visit(const struct pair *pair)
{
    broker_dict *dict;
    broker *b;
    int64_t total;
    int r = broker_open(pair->ipc, &b);

    if (r < 0)
        return r;
    r = broker_dict_open(b, "visits", NULL, &dict);
    if (r == 0) {
        r = broker_dict_add(dict, broker_str("n"), 1, &total);
        broker_dict_close(dict);
    }
    broker_close(b);
    return r;
}

static void await_service(const struct pair *pair)
{
    int64_t until = bri_now() + PATIENCE_NS;

    while (visit(pair) < 0)
        cr_assert_lt(bri_now(), until, "the endpoint does not serve: %s", broker_last_error());
}

void pair_await_another(const struct pair *pair, pid_t old)
{
    int64_t until = bri_now() + PATIENCE_NS;

    while (pair_endpoint(pair) == old) {
        cr_assert_lt(bri_now(), until, "the endpoint goes on");
        (void)sched_yield();
    }
    await_service(pair);
}

void pair_expect_well(const struct pair *pair)
{
    int64_t before, after;

    cr_assert_eq(broker_dict_add(pair->dict, broker_str("n"), 1, &before), 0);
    cr_assert_eq(instance_pid(pair->instance), pair->daemon);
    cr_assert_eq(kill(pair->daemon, 0), 0);
    await_service(pair);
    cr_assert_eq(broker_dict_add(pair->dict, broker_str("n"), 1, &after), 0);
    cr_assert_eq(after, before + 1);
}

void pair_expect_same(const struct pair *pair, pid_t endpoint)
{
    pair_expect_well(pair);
    cr_assert_eq(instance_zmq_pid(pair->instance), endpoint, "the endpoint was started anew");
}

void pair_start(struct pair *pair, const char *zmq_lines)
{
    char config[1024];

    (void)snprintf(
        config, sizeof(config), "[arena default]\nsize = 16M\n[zmq]\nipc = yes\n%s", zmq_lines);
    pair->instance = instance_start(config);
    pair->daemon = instance_pid(pair->instance);
    (void)snprintf(pair->path, sizeof(pair->path), "%s/zmq", instance_dir(pair->instance));
    (void)snprintf(pair->ipc, sizeof(pair->ipc), "ipc://%s", pair->path);
    cr_assert_eq(broker_open(instance_address(pair->instance), &pair->broker), 0);
    cr_assert_eq(broker_dict_open(pair->broker, "mine", NULL, &pair->dict), 0);
    await_service(pair);
}

void pair_stop(struct pair *pair)
{
    if (pair->dict != NULL)
        broker_dict_close(pair->dict);
    broker_close(pair->broker);
    instance_stop(pair->instance);
}
